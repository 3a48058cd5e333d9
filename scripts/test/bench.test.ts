import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { assertWhole, type Comparison } from '../../bench/comparison.ts'
import { figureOf, formatFigure, pairedRatio } from '../../bench/figure.ts'
import { parseOptions, UsageError } from '../../bench/options.ts'
import { declaredType } from '../../bench/shapes/shape.ts'
import { SHAPES } from '../../bench/shapes/shapes.ts'
import { renderTable } from '../../bench/table.ts'
import { targetResults, targetTable } from '../../bench/target.ts'
import { runCommand } from '../stack/installation.ts'

const RUN = fileURLToPath(new URL('../../bench/run.ts', import.meta.url))
const { SI_TEST_KAFKA, SI_TEST_S3_ENDPOINT, SI_TEST_KERNEL_READER } = process.env
/** The reader on Delta Kernel is there where a Java compiler is, which the Java peer needs. */
const skip =
  SI_TEST_KAFKA && SI_TEST_S3_ENDPOINT && SI_TEST_KERNEL_READER
    ? false
    : 'SI_TEST_KAFKA, SI_TEST_S3_ENDPOINT or SI_TEST_KERNEL_READER is not set: nothing to measure with'
const COUNT = 2_000

interface WrittenFigures {
  readonly comparisons: readonly {
    readonly shape: string
    readonly messageCount: number
    readonly contenders: readonly (Record<string, { readonly median: number; readonly runs: number[] }> & {
      readonly name: string
      readonly messagesRead: readonly number[]
    })[]
    readonly stages: Record<string, { readonly median: number }>
  }[]
  readonly targets: readonly { readonly shape: string; readonly isReached: boolean }[]
}

test('the bench measures every shape, each contender reads every message, and all figures are written', {
  skip,
}, async t => {
  const folder = mkdtempSync(join(tmpdir(), 'stream-ingest-bench-test-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const json = join(folder, 'figures.json')
  const bench = ['--conditions=source', RUN, '--count', String(COUNT), '--runs', '1', '--peers', 'java']
  const { exitCode, stdout, stderr } = await runCommand('node', [...bench, '--json', json])
  assert.equal(exitCode, 0, stderr)
  const { comparisons, targets } = JSON.parse(readFileSync(json, 'utf8')) as WrittenFigures
  const shapes = SHAPES.map(({ name }) => name)
  assert.deepEqual(
    comparisons.map(({ shape }) => shape),
    shapes,
  )
  assert.deepEqual(
    targets.map(({ shape }) => shape),
    shapes,
  )
  for (const { shape, messageCount, contenders, stages } of comparisons) {
    assert.equal(messageCount, COUNT)
    assert.deepEqual(
      contenders.map(({ name, messagesRead }) => [name, messagesRead]),
      ['ingest', 'threads', 'fetch', 'java'].map(name => [name, [COUNT]]),
    )
    for (const contender of contenders) {
      for (const name of ['messagesPerSecond', 'cpuUs', 'userUs', 'startCpuMs', 'peakRssMiB'])
        assert.ok((contender[name]?.median ?? 0) > 0, `${shape}: ${name} of ${contender.name} is above zero`)
    }
    for (const name of ['decodeUs', 'encodeUs', 'commits', 'files', 'writtenMiB'])
      assert.ok((stages[name]?.median ?? 0) > 0, `${shape}: ${name} is above zero`)
  }
  assert.match(stdout, /Targets/)
})

test('the measurements of one stage alone run to their end', async () => {
  const lastLines = { 'json-scan': /^records to rows, routed, round 5: /m, 'parquet-encode': /^gzip /m }
  for (const [name, lastLine] of Object.entries(lastLines)) {
    const script = fileURLToPath(new URL(`../../bench/${name}.mjs`, import.meta.url))
    const { exitCode, stdout, stderr } = await runCommand('node', ['--conditions=source', script, '200'])
    assert.equal(exitCode, 0, `${name}: ${stderr}`)
    assert.match(stdout, lastLine)
  }
})

test('the messages of a shape are JSON of its columns, and the same for the same seed', () => {
  for (const { name, columns, messages } of SHAPES) {
    const sample = [...messages(7, 200)]
    assert.deepEqual(sample, [...messages(7, 200)], name)
    assert.notDeepEqual(sample, [...messages(8, 200)], name)
    const declared = new Set(columns.map(column => column.name))
    const seen = new Set(
      sample.flatMap(({ value }) => Object.keys(JSON.parse(Buffer.from(value).toString()))),
    )
    assert.deepEqual(seen, declared, name)
  }
})

test('a type is declared as the configuration spells it', () => {
  const address = { struct: { city: 'utf8', at: { list: 'float64' } } } as const
  assert.equal(declaredType(address), 'struct<city: utf8, at: list<float64>>')
  assert.equal(declaredType({ map: 'int64', keys: ['a'] }), 'map<utf8, int64>')
})

test('a figure is the median with its range, and a ratio is taken run by run', () => {
  assert.equal(figureOf([3, 1, 2]).median, 2)
  assert.equal(figureOf([4, 1, 2, 3]).median, 2.5)
  // Medians of each alone would say 1.
  assert.equal(pairedRatio([2, 4, 6], [4, 2, 3]).median, 2)
  assert.equal(formatFigure(figureOf([1.005, 2, 3]), 1), '2.0 (1.0–3.0)')
  assert.equal(formatFigure(figureOf([1_234_567]), 0), '1,234,567')
})

test('a contender that has not read everything ends the bench', () => {
  const report = { messages: 9, workWallMs: 1, startCpuMs: 1 }
  assert.throws(() => assertWhole('a consumer', report, 10), /a consumer: 9 of 10 messages/)
  assertWhole('a consumer', { ...report, messages: 10 }, 10)
})

test('a target is judged by the median of the ratios, in its own direction', () => {
  const figures = (value: number): object => figureOf([value, value, value * 1.5])
  const contender = (name: string, cpu: number, rate: number): object => ({
    name,
    cpuUs: figures(cpu),
    workCpuUs: figures(cpu),
    messagesPerSecond: figures(rate),
  })
  const comparison = {
    shape: 'events',
    contenders: [
      contender('ingest', 3, 20),
      contender('threads', 5, 40),
      contender('librdkafka', 2, 90),
      contender('java', 9, 60),
    ],
    stages: {},
  } as unknown as Comparison
  const results = targetResults(comparison)
  assert.deepEqual(
    results.map(({ ratio, bound, isReached }) => [ratio.median, bound, isReached]),
    [
      [1.5, 1, false],
      [40 / 60, 0.5, true],
    ],
  )
  const [header, ...rows] = renderTable(targetTable(results, 2), 'markdown').split('\n').slice(2)
  assert.match(header ?? '', /ratio \| target/)
  assert.match(rows[1] ?? '', /librdkafka.*\| events \| 1\.50 \(1\.50–1\.50\) \| ≤ 1 \| missed by 50 %/)
  assert.match(rows[2] ?? '', /≥ 0\.5 \| reached/)
})

test('unknown shapes, peers and counts are refused with what there is', () => {
  assert.throws(() => parseOptions(['--shapes', 'events,wdie']), UsageError)
  assert.throws(() => parseOptions(['--peers', 'spark']), /duckdb, polars, librdkafka, java/)
  assert.throws(() => parseOptions(['--count', '0']), UsageError)
  assert.deepEqual(parseOptions(['--peers', 'none'])?.peers, [])
})
