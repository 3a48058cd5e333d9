import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { describe, type TestContext, test } from 'node:test'
import { EmbeddedBroker } from '../../src/testing/index.ts'
import { documentOf, type Outcome, run, sound, Workplace } from './command-harness.ts'

interface ShownRow {
  readonly id: number
  readonly _kafka_partition: number
  readonly _kafka_offset: number
}

interface Scene {
  readonly broker: EmbeddedBroker
  readonly workplace: Workplace
  tap(...flags: string[]): Promise<Outcome>
}

/** Two partitions of one batch of 30 messages each; the message 25 of the first one does not fit. */
async function openScene(t: TestContext): Promise<Scene> {
  const broker = await EmbeddedBroker.start({ topics: [{ name: 'events', partitions: 2 }] })
  t.after(() => broker.close())
  const records = sound(0, 30).map((record, i) => ({ ...record, timestampMs: Date.UTC(2026, 0, 1, i) }))
  broker.produce(
    'events',
    0,
    records.map((record, i) => (i === 25 ? { ...record, value: '{"id":"x"}' } : record)),
  )
  broker.produce('events', 1, records)
  const workplace = await Workplace.open(t, broker.bootstrapServers)
  const tap = async (...flags: string[]): Promise<Outcome> =>
    run(['tap', await workplace.configure(), ...flags], { cwd: workplace.folder })
  return { broker, workplace, tap }
}

function places(outcome: Outcome): string[] {
  const { rows } = documentOf(outcome) as { rows: ShownRow[] }
  return rows.map(row => `${row._kafka_partition}@${row._kafka_offset}`)
}

describe('tap', () => {
  test('shows the last messages of each partition as rows, and what does not fit, and writes nothing', async t => {
    const { tap, workplace } = await openScene(t)
    const outcome = await tap('--count', '6')
    assert.equal(outcome.exitCode, 1)
    const rows = outcome.stdout
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as ShownRow)
    assert.deepEqual(
      rows.map(row => [row.id, row._kafka_partition, row._kafka_offset]),
      [...[24, 26, 27, 28, 29].map(i => [i, 0, i]), ...[24, 25, 26, 27, 28, 29].map(i => [i, 1, i])],
    )
    assert.match(outcome.stderr, /^events\[0\]@25 {2}RECORD_INVALID {2}\$\.id: expected int64/m)
    assert.match(outcome.stderr, /^11 rows, 1 bad record\n$/m)
    assert.deepEqual(await readdir(workplace.folder), ['pipeline.yaml'])
  })

  test('begins where it is told to', async t => {
    const { tap } = await openScene(t)
    assert.deepEqual(places(await tap('--from', '3', '--count', '2', '--json')), ['0@3', '0@4', '1@3', '1@4'])
    const since = await tap('--from', '2026-01-01T05:00:00Z', '--count', '1', '--partition', '1', '--json')
    assert.deepEqual(places(since), ['1@5'])
    assert.deepEqual(places(await tap('--from', 'earliest', '--count', '1', '--json')), ['0@0', '1@0'])
  })

  test('shows what does not fit alone', async t => {
    const { tap } = await openScene(t)
    const { rows, rejected } = documentOf(await tap('--bad-only', '--json')) as {
      rows: unknown[]
      rejected: Record<string, unknown>[]
    }
    assert.deepEqual(rows, [])
    assert.deepEqual(
      rejected.map(({ partition, offset, code, column }) => [partition, offset, code, column]),
      [[0, 25, 'RECORD_INVALID', 'id']],
    )
  })

  test('takes the schema of the table where the configuration has none', async t => {
    const { tap, workplace } = await openScene(t)
    await workplace.ingestAll({ processing: { on_bad_record: 'skip' } })
    const before = await readdir(workplace.tablePath)
    await workplace.configure({ delta: { schema: undefined } })
    const outcome = await run(['tap', 'pipeline.yaml', '--partition', '1', '--count', '1', '--json'], {
      cwd: workplace.folder,
    })
    assert.deepEqual(places(outcome), ['1@29'])
    assert.deepEqual(await readdir(workplace.tablePath), before)
    assert.equal((await tap('--partition', '1')).exitCode, 0)
  })
})
