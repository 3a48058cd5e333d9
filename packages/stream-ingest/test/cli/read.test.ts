import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { decimal, field, map, parseJson, primitive, struct } from '@stream-ingest/delta'
import type { OutputStream } from '../../src/cli/command-io.ts'
import { show, showAll, temporaryFolder, type World, writeTable } from './table-fixture.ts'

const SCHEMA = struct([
  field('id', primitive('long'), false),
  field('name', primitive('string')),
  field('price', decimal(10, 2)),
  field('at', primitive('timestamp')),
  field('tags', map(primitive('integer'), primitive('string'))),
  field('day', primitive('date')),
])

function row(id: number): Record<string, unknown> {
  const micros = 1_795_341_600_123_456n + BigInt(id)
  return { id: 9007199254740993n + BigInt(id), name: `n${id}`, price: 150n, at: micros, tags: [[id, 'x']] }
}

/** Three versions after the creation: ids 0 to 4, 5, and 6. */
async function lake(t: TestContext): Promise<World> {
  const cwd = await temporaryFolder(t)
  const partitionValues = { day: '2026-11-22' }
  await writeTable(join(cwd, 'lake/events'), {
    schema: SCHEMA,
    partitionColumns: ['day'],
    commits: [[0, 1, 2, 3, 4], [5], [6]].map(ids => ({ files: [{ rows: ids.map(row), partitionValues }] })),
  })
  return { cwd }
}

function lines(text: string): string[] {
  assert(text.endsWith('\n'))
  return text.slice(0, -1).split('\n')
}

const FIRST =
  '{"id":9007199254740993,"name":"n0","price":"1.50","at":"2026-11-22T10:00:00.123456Z","tags":[{"key":0,"value":"x"}],"day":"2026-11-22"}'

describe('read', () => {
  test('prints one JSON object a line where stdout is no terminal', async t => {
    const world = await lake(t)
    const shown = lines(await showAll(['read', 'lake/events'], world))
    assert.equal(shown.length, 7)
    assert.equal(shown[0], FIRST)
    assert.deepEqual(lines(await showAll(['read', 'lake/events', '--limit', '3'], world)), shown.slice(0, 3))
    assert.equal(await showAll(['read', 'lake/events', '--limit', '0'], world), '')
  })

  test('takes an address, a version, and columns in any order', async t => {
    const world = await lake(t)
    const args = ['read', `file://${world.cwd}/lake/events`, '--version', '1', '--columns', 'day, name']
    const shown = lines(await showAll(args, world))
    assert.equal(shown.length, 5)
    assert.equal(shown[4], '{"day":"2026-11-22","name":"n4"}')
  })

  test('prints CSV with a header', async t => {
    const world = await lake(t)
    const args = ['read', 'lake/events', '--format', 'csv', '--limit', '1']
    assert.equal(
      await showAll(args, world),
      'id,name,price,at,tags,day\r\n9007199254740993,n0,1.50,2026-11-22T10:00:00.123456Z,"[{""key"":0,""value"":""x""}]",2026-11-22\r\n',
    )
  })

  test('prints an aligned table on a terminal, and says how many rows there are', async t => {
    const world = { ...(await lake(t)), terminalWidth: 200 }
    assert.equal(
      await showAll(['read', 'lake/events', '--columns', 'id,name', '--limit', '2'], world),
      [
        '              id  name',
        '            long  string',
        '9007199254740993  n0',
        '9007199254740994  n1',
        '… 7 rows, showing 2 (--limit N for more)',
        '',
      ].join('\n'),
    )
    const all = lines(await showAll(['read', 'lake/events', '--columns', 'name'], world))
    assert.equal(all.at(-1), '7 rows')
    assert.equal(all.length, 2 + 7 + 1)
  })

  test('prints only the header of a table without rows', async t => {
    const cwd = await temporaryFolder(t)
    await writeTable(join(cwd, 'empty'), { schema: struct([field('id', primitive('long'))]), commits: [] })
    assert.equal(await showAll(['read', 'empty', '--format', 'table'], { cwd }), '  id\nlong\n0 rows\n')
    assert.equal(await showAll(['read', 'empty', '--format', 'csv'], { cwd }), 'id\r\n')
    assert.equal(await showAll(['read', 'empty'], { cwd }), '')
  })

  test('prints one document with --json, which says whether there is more', async t => {
    const world = await lake(t)
    const text = await showAll(['read', 'lake/events', '--json', '--limit', '2', '--columns', 'id'], world)
    assert.deepEqual(parseJson(text), {
      table: `file://${world.cwd}/lake/events`,
      version: 3,
      truncated: true,
      rows: [{ id: 9007199254740993n }, { id: 9007199254740994n }],
    })
    const all = parseJson(await showAll(['read', 'lake/events', '--json'], world)) as Record<string, unknown>
    assert.equal(all.truncated, false)
    assert.equal((all.rows as unknown[]).length, 7)
  })

  test('waits for a slow reader', async t => {
    const { cwd } = await lake(t)
    let written = 0
    let drained = 0
    let drain: (() => void) | null = null
    const stdout: OutputStream = {
      write: () => {
        assert.equal(drain, null, 'written before the reader took what there was')
        written++
        return false
      },
      once: (_event, listener) => {
        drain = listener
        setImmediate(() => {
          drain = null
          drained++
          listener()
        })
      },
    }
    assert.equal((await show(['read', 'lake/events'], { cwd, stdout })).exitCode, 0)
    assert.equal(written, 3)
    assert.equal(drained, 3)
  })

  test('finds the table of a pipeline in a configuration', async t => {
    const world = await lake(t)
    const pipeline = (table: string) => ({
      kafka: { topic: table },
      delta: { table_name: table, schema: [{ name: 'id', data_type: 'int64' }] },
    })
    const config = {
      kafka: { bootstrap_servers: 'localhost:9092', consumer_group: 'g' },
      local: { path: join(world.cwd, 'lake') },
      pipelines: { events: pipeline('events'), other: pipeline('other') },
    }
    await writeFile(join(world.cwd, 'pipelines.yaml'), JSON.stringify(config))
    const shown = await showAll(['read', 'pipelines.yaml', '--pipeline', 'events', '--limit', '1'], world)
    assert.equal(shown, `${FIRST}\n`)
    const { exitCode, stderr } = await show(['read', 'pipelines.yaml'], world)
    assert.equal(exitCode, 64)
    assert.match(stderr, /several pipelines[\s\S]*--pipeline: `events`, `other`/)
    const missing = await show(['read', 'pipelines.yaml', '--pipeline', 'other'], world)
    assert.equal(missing.exitCode, 66)
    assert.match(
      missing.stderr,
      /error\[DELTA_TABLE_NOT_FOUND\]: there is no Delta table at `file:.*lake\/other`/,
    )
  })

  test('says what is wrong with what it was asked for', async t => {
    const world = await lake(t)
    const cases: [args: string[], exitCode: number, message: RegExp][] = [
      [
        ['lake/nothing'],
        66,
        /error\[DELTA_TABLE_NOT_FOUND\]: there is no Delta table at `file:.*lake\/nothing`/,
      ],
      [['lake/events', '--columns', 'id,nmae'], 64, /no column `nmae`\n.*did you mean `name`\?/],
      [['lake/events', '--columns', 'zzz'], 64, /no column `zzz`\n.*its columns are `id`, `name`/],
      [['lake/events', '--version', '9'], 66, /no version 9; the newest is 3/],
      [['lake/events', '--limit', 'x'], 64, /expected a whole number/],
      [['lake/events', '--format', 'xml'], 64, /Allowed choices are ndjson, table, csv/],
      [['s3a://bucket/table'], 64, /write `s3:\/\/bucket\/table`/],
      [['nowhere.yaml'], 78, /no configuration at/],
    ]
    for (const [args, exitCode, message] of cases) {
      const shown = await show(['read', ...args], world)
      assert.equal(shown.stdout, '', args.join(' '))
      assert.match(shown.stderr, message)
      assert.equal(shown.exitCode, exitCode, args.join(' '))
    }
    const { stdout } = await show(['read', 'lake/nothing', '--json'], world)
    const document = parseJson(stdout) as { error: { code: string } }
    assert.equal(document.error.code, 'DELTA_TABLE_NOT_FOUND')
  })

  test('names the data file that is gone', async t => {
    const world = await lake(t)
    const { rm, glob } = await import('node:fs/promises')
    for await (const file of glob('lake/events/day=*/*.parquet', { cwd: world.cwd }))
      await rm(join(world.cwd, file))
    const { exitCode, stderr } = await show(['read', 'lake/events'], world)
    assert.equal(exitCode, 65)
    assert.match(
      stderr,
      /error\[DELTA_DATA_CORRUPT\]: the file `day=2026-11-22\/part-.*` of .* does not exist/,
    )
  })
})
