import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { describe, type TestContext, test } from 'node:test'
import { EmbeddedBroker } from '../../src/testing/index.ts'
import { assertFailure, documentOf, type Outcome, run, sound, Workplace } from './command-harness.ts'

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

interface ShownMessage {
  readonly partition: number
  readonly offset: number
  readonly outcome: 'row' | 'bad' | 'skipped'
  readonly row: ShownRow | null
  readonly reason: { readonly code: string; readonly column: string } | null
  readonly value: string | null
}

function messagesOf(outcome: Outcome): ShownMessage[] {
  assert.equal(outcome.exitCode, 0, outcome.stderr)
  return (documentOf(outcome) as { messages: ShownMessage[] }).messages
}

function places(outcome: Outcome): string[] {
  return messagesOf(outcome).map(({ partition, offset }) => `${partition}@${offset}`)
}

describe('tap', () => {
  test('shows the last messages of each partition as rows, and what does not fit, and writes nothing', async t => {
    const { tap, workplace, broker } = await openScene(t)
    const outcome = await tap('--last', '6')
    assert.equal(outcome.exitCode, 0)
    const rows = outcome.stdout
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as ShownRow)
    assert.deepEqual(
      rows.map(row => [row.id, row._kafka_partition, row._kafka_offset]),
      [...[24, 26, 27, 28, 29].map(i => [i, 0, i]), ...[24, 25, 26, 27, 28, 29].map(i => [i, 1, i])],
    )
    assert.match(
      outcome.stderr,
      /^events\[0\]@25 {2}RECORD_INVALID {2}\$\.id: expected int64.*\n {2}= value: \{"id":"x"\}$/m,
    )
    assert.match(outcome.stderr, /^11 rows, 1 bad record\n$/m)
    assert.deepEqual(await readdir(workplace.folder), ['pipeline.yaml'])
    assert.equal(broker.requestCount('JoinGroup') + broker.requestCount('OffsetCommit'), 0)
  })

  test('begins and ends where it is told to, by offset and by time', async t => {
    const { tap } = await openScene(t)
    assert.deepEqual(places(await tap('--from', '3', '--limit', '2', '--json')), ['0@3', '0@4', '1@3', '1@4'])
    const since = await tap('--from', '2026-01-01T05:00:00Z', '--limit', '1', '--partition', '1', '--json')
    assert.deepEqual(places(since), ['1@5'])
    assert.deepEqual(places(await tap('--from', 'earliest', '--limit', '1', '--json')), ['0@0', '1@0'])
    const between = ['--from', '12', '--until', '2026-01-01T15:00:00Z', '--partition', '1', '--json']
    assert.deepEqual(places(await tap(...between)), ['1@12', '1@13', '1@14'])
    assert.deepEqual(places(await tap('--last', '2', '--until', '4', '--json')), ['0@2', '0@3', '1@2', '1@3'])
    assert.deepEqual(places(await tap('--from', 'latest', '--json')), [])
    assert.equal(
      (await tap('--from', 'earliest', '--until', 'latest', '--partition', '1')).stdout.split('\n').length,
      31,
    )
  })

  test('refuses options that exclude each other', async t => {
    const { tap } = await openScene(t)
    for (const flags of [
      ['--last', '2', '--from', '3'],
      ['--limit', '2'],
    ]) {
      assertFailure(await tap(...flags, '--json'), {
        exitCode: 64,
        code: 'CONFIG_USAGE',
        message: /exclude each other|goes with/,
        hint: /where to begin/,
      })
    }
  })

  test('finds the last messages behind offsets that hold none: markers, and transactions that were aborted', async t => {
    const { tap, broker } = await openScene(t)
    const producer = broker.createTransactionalProducer()
    for (let i = 0; i < 40; i++) {
      producer.produce('events', 1, sound(1000 + i, 1001 + i))
      producer.abort()
    }
    assert.deepEqual(places(await tap('--last', '3', '--partition', '1', '--json')), ['1@27', '1@28', '1@29'])
  })

  test('shows what does not fit alone, with what it is', async t => {
    const { tap } = await openScene(t)
    const shown = messagesOf(await tap('--bad', '--json'))
    assert.deepEqual(
      shown.map(({ partition, offset, outcome, row, reason, value }) => [
        partition,
        offset,
        outcome,
        row,
        reason?.code,
        reason?.column,
        value,
      ]),
      [[0, 25, 'bad', null, 'RECORD_INVALID', 'id', '{"id":"x"}']],
    )
    const text = await tap('--bad')
    assert.match(text.stdout, /^events\[0\]@25 .*\n {2}= value: \{"id":"x"\}\n$/)
  })

  test('keeps what a message holds from giving orders to the terminal', async t => {
    const { tap, broker } = await openScene(t)
    broker.produce('events', 1, [{ value: '\u001b[2J{' }])
    assert.match((await tap('--last', '1', '--bad')).stdout, /= value: \\u001b\[2J\{\n/)
  })

  test('counts tombstones that are left out, and shows rows without columns of Kafka in their place', async t => {
    const { workplace, broker } = await openScene(t)
    broker.produce('events', 1, [{ value: null }])
    const config = await workplace.configure({ delta: { metadata_columns: false } })
    const outcome = await run(['tap', config, '--last', '2', '--partition', '1', '--json'], {
      cwd: workplace.folder,
    })
    assert.deepEqual(
      messagesOf(outcome).map(({ offset, outcome, row }) => [offset, outcome, row]),
      [
        [29, 'row', { id: 29, name: 'n29' }],
        [30, 'skipped', null],
      ],
    )
    const { rows, badRecords, skipped, complete } = documentOf(outcome)
    assert.deepEqual([rows, badRecords, skipped, complete], [1, 0, 1, true])
  })

  test('shows the columns that messages would add, without adding them', async t => {
    const { workplace, broker } = await openScene(t)
    broker.produce('events', 1, [{ value: '{"id":30,"price":1.5}' }, { value: '{"id":31}' }])
    const config = await workplace.configure({ delta: { merge_schema: true, metadata_columns: false } })
    const outcome = await run(['tap', config, '--last', '3', '--partition', '1', '--json'], {
      cwd: workplace.folder,
    })
    const last = messagesOf(outcome).map(({ row }) => row)
    assert.deepEqual(last[1], { id: 30, name: null, price: 1.5 })
    assert.deepEqual(last[2], { id: 31, name: null, price: null })
    assert.deepEqual(await readdir(workplace.folder), ['pipeline.yaml'])
  })

  test('takes the schema of the table where the configuration has none', async t => {
    const { tap, workplace } = await openScene(t)
    await workplace.ingestAll({ processing: { on_bad_record: 'skip' } })
    const before = await readdir(workplace.tablePath)
    await workplace.configure({ delta: { schema: undefined } })
    const outcome = await run(['tap', 'pipeline.yaml', '--partition', '1', '--last', '1', '--json'], {
      cwd: workplace.folder,
    })
    assert.deepEqual(places(outcome), ['1@29'])
    assert.deepEqual(await readdir(workplace.tablePath), before)
    assert.equal((await tap('--partition', '1')).exitCode, 0)
  })
})
