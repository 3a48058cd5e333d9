/** Where a pipeline stands, and moving it, on real Kafka and a real S3 server. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, test } from 'node:test'
import { TransactionWriter } from '../../../../scripts/transactions/transaction-writer.ts'
import { documentOfCommand, runCommand } from './command-process.ts'
import { IngestProcess, ingest } from './ingest-process.ts'
import { nextOffsetsOf, readBoth, tableProgress } from './lake-table.ts'
import { assertMarks, markedAtMs, markedEvents, markedRecords, range } from './marked-event.ts'
import { openScene, parts, type Scene, skip } from './real-parts.ts'

const openTestScene = openScene()

interface ShownStatus {
  readonly ok: boolean
  readonly pipelines: readonly [
    {
      readonly version: number | null
      readonly lastCommitAt: string | null
      readonly newestRecordAt: string | null
      readonly freshnessSeconds: number | null
      readonly lag: number | null
      readonly stale: boolean
      readonly partitions: readonly {
        readonly nextOffset: number | null
        readonly endOffset: number | null
        readonly lag: number | null
        readonly lost: number | null
        readonly inTable: boolean
      }[]
      readonly unknownTopicIds: readonly string[]
      readonly reconciliation?: {
        readonly consumed: number
        readonly rows: number
        readonly filtered: number
        readonly repeated: number
        readonly balanced: boolean
        readonly whole: boolean
      }
      readonly error: { readonly code: string } | null
    },
  ]
}

async function statusOf(config: string, flags: readonly string[] = [], code = 0) {
  const { ok, pipelines } = await documentOfCommand<ShownStatus>(['status', config, ...flags], code)
  return { ok, ...pipelines[0] }
}

describe('status', { skip, concurrency: true }, () => {
  test('follows a pipeline from before its table to a topic that was created again', async () => {
    const { scene, topic } = await twoPartitions()
    const config = scene.configFile({ topic, table: 'status' })
    const before = await statusOf(config)
    assert.deepEqual([before.version, before.lag, before.lastCommitAt], [null, 7, null])

    await ingest(config)
    const caughtUp = await statusOf(config, ['--stale-after', '1s', '--reconcile'])
    assert.deepEqual([caughtUp.lag, caughtUp.freshnessSeconds, caughtUp.stale], [0, 0, false])
    assert.equal(caughtUp.newestRecordAt, new Date(markedAtMs(6)).toISOString())
    const { consumed, rows, balanced, whole } = caughtUp.reconciliation!
    assert.deepEqual([consumed, rows, balanced, whole], [7, 7, true, true])

    await scene.producer.append(topic, 0, markedRecords(10, 12))
    const late = await statusOf(config, ['--stale-after', '1s'], 1)
    assert.deepEqual([late.ok, late.lag, late.stale], [false, 2, true])
    assert.deepEqual(
      late.partitions.map(({ nextOffset, endOffset, lag, inTable }) => [nextOffset, endOffset, lag, inTable]),
      [
        [3, 5, 2, true],
        [4, 4, 0, true],
      ],
    )
    await scene.producer.deleteRecords(topic, 0, 4n)
    assert.equal((await statusOf(config)).partitions[0]!.lost, 1)

    const [formerId] = (await tableProgress('status'))!.nextOffsets.keys()
    await scene.producer.deleteTopic(topic)
    await scene.producer.createTopic(topic, 1)
    const created = await statusOf(config)
    assert.deepEqual([created.unknownTopicIds, created.lag], [[formerId], 0])
    assert.deepEqual(
      created.partitions.map(({ inTable }) => inTable),
      [false],
    )
    await scene.producer.deleteTopic(topic)
    const gone = await statusOf(config, [], 1)
    assert.equal(gone.error?.code, 'KAFKA_TOPIC_NOT_FOUND')
    assert.deepEqual([gone.lag, gone.partitions.map(({ nextOffset }) => nextOffset)], [null, [3, 4]])
  })

  test('ends at the last stable offset: an open transaction is no lag', async t => {
    const { scene, topic } = await twoPartitions()
    const config = scene.configFile({ topic, table: 'status_open_transaction' })
    await ingest(config)
    const writer = await TransactionWriter.start(parts.kafka)
    t.after(() => writer.close())
    const id = randomUUID()
    await writer.begin(id)
    await writer.send(id, topic, 0, markedEvents(20, 23))
    assert.equal((await statusOf(config)).lag, 0)
    const dirty = scene.configFile({
      topic,
      table: 'status_open_transaction',
      kafka: { isolation_level: 'read_uncommitted' },
    })
    assert.equal((await statusOf(dirty)).lag, 3)
    await writer.abort(id)
  })

  test('tells of the table where no broker answers', async () => {
    const { scene, topic } = await twoPartitions()
    const table = 'status_without_kafka'
    await ingest(scene.configFile({ topic, table }))
    const away = scene.configFile({ topic, table, kafka: { bootstrap_servers: '127.0.0.1:1' } })
    const status = await statusOf(away, ['--reconcile'], 1)
    assert.equal(status.error?.code, 'KAFKA_UNREACHABLE')
    assert.deepEqual(
      status.partitions.map(({ nextOffset, endOffset }) => [nextOffset, endOffset]),
      [
        [3, null],
        [4, null],
      ],
    )
    assert.equal(status.reconciliation?.consumed, 7)
  })
})

describe('inspect topic and tap', { skip }, () => {
  test('show leaders and settings of a real topic, and its messages as rows', async () => {
    const { scene, topic } = await twoPartitions()
    const config = scene.configFile({ topic, table: 'tapped' })
    interface ShownTopic {
      readonly settings: Readonly<Record<string, string>>
      readonly partitions: readonly Readonly<Record<string, unknown>>[]
    }
    const { topics } = await documentOfCommand<{ topics: [ShownTopic] }>(['inspect', 'topic', config])
    const { settings, partitions } = topics[0]
    assert.equal(settings['cleanup.policy'], 'delete')
    assert.match(settings['retention.ms']!, /^-?\d+$/)
    assert.match(settings['max.message.bytes']!, /^\d+$/)
    assert.deepEqual(
      partitions.map(({ startOffset, endOffset, newestRecordAt }) => [
        startOffset,
        endOffset,
        newestRecordAt,
      ]),
      [
        [0, 3, new Date(markedAtMs(2)).toISOString()],
        [0, 4, new Date(markedAtMs(6)).toISOString()],
      ],
    )
    assert.notEqual(partitions[0]!.leader, null)
    const text = await runCommand(['inspect', 'topic', topic, '--bootstrap', parts.kafka])
    assert.match(text.stdout, /cleanup\.policy delete · retention\.ms /)

    await scene.producer.append(topic, 1, [{ value: 'no JSON' }])
    interface Shown {
      readonly messages: readonly {
        readonly partition: number
        readonly offset: number
        readonly outcome: string
      }[]
    }
    const { messages } = await documentOfCommand<Shown>(['tap', config, '--last', '2'])
    assert.deepEqual(
      messages.map(({ partition, offset, outcome }) => [partition, offset, outcome]),
      [
        [0, 1, 'row'],
        [0, 2, 'row'],
        [1, 3, 'row'],
        [1, 4, 'bad'],
      ],
    )
    assert.equal(await tableProgress('tapped'), null)
  })
})

describe('offsets set', { skip, concurrency: true }, () => {
  test('moves by offset and by time; the next run reads from there; delta-rs and DuckDB read the table as before', async () => {
    const { scene, topic } = await twoPartitions()
    const table = 'offsets_set'
    const config = scene.configFile({ topic, table })
    await ingest(config)
    const set = ['offsets', 'set', config, '--yes']
    const refused = await documentOfCommand<{ error: { code: string } }>([...set, '--to', '1'], 75)
    assert.equal(refused.error.code, 'PIPELINE_ACTIVE')

    interface Move {
      readonly version: number
      readonly changes: readonly { partition: number; fromOffset: number; toOffset: number }[]
    }
    const byTime = new Date(markedAtMs(5)).toISOString()
    const move = await documentOfCommand<Move>([...set, '--force', '--to', byTime, '--partition', '1'])
    assert.deepEqual(move.changes, [{ topic, partition: 1, fromOffset: 4, toOffset: 2 }])
    assert.deepEqual(await nextOffsetsOf(table), [3n, 2n])
    await assertMarks(table, range(0, 7))
    const status = await statusOf(config, ['--reconcile'])
    assert.deepEqual([status.lag, status.reconciliation?.repeated, status.version], [2, 2, move.version])
    await ingest(config)
    await assertSum(table, [...range(0, 7), 5, 6])
  })

  test('fences a process that runs: it drops what it holds and goes on from there', async t => {
    const { scene, topic } = await twoPartitions()
    const table = 'offsets_set_running'
    const config = scene.configFile({ topic, table, processing: { batch_timeout_ms: 200 } })
    const running = IngestProcess.start(t, config)
    await running.line('commit', line => line.rowCount === 7)
    const set = ['offsets', 'set', config, '--to', '1', '--partition', '0', '--force', '--yes']
    const moved = await documentOfCommand<{ version: number }>(set)
    // It has nothing to commit, and does not notice before it has.
    await scene.producer.append(topic, 0, markedRecords(10, 11))
    const fenced = await running.line('conflict')
    assert.equal(fenced.winner, moved.version)
    await running.line('commit', line => Number(line.version) > moved.version)
    running.signal('SIGTERM')
    assert.equal((await running.ended).code, 0)
    // 1 and 2 once more; what was in hand when it was fenced, once.
    await assertSum(table, [...range(0, 7), 1, 2, 10])
    assert.deepEqual(await nextOffsetsOf(table), [4n, 4n])
  })
})

/** Marks 0 to 2 in the first partition, 3 to 6 in the second. */
async function twoPartitions(): Promise<{ scene: Scene; topic: string }> {
  const scene = await openTestScene()
  const topic = `status-${randomUUID()}`
  await scene.producer.createTopic(topic, 2)
  await scene.producer.append(topic, 0, markedRecords(0, 3))
  await scene.producer.append(topic, 1, markedRecords(3, 7))
  return { scene, topic }
}

/** As `assertMarks`, where some are there more than once. */
async function assertSum(table: string, marks: readonly number[]): Promise<void> {
  const sum = marks.reduce((total, mark) => total + (1n << BigInt(mark)), 0n)
  for (const { engine, rowCount, columns } of await readBoth(table)) {
    assert.deepEqual([engine, rowCount, columns.user_id?.sum], [engine, marks.length, String(sum)])
  }
}
