import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { before, describe, test } from 'node:test'
import { type Admin, FetchIsolationLevels, ListOffsetTimestamps } from '@platformatic/kafka'
import { loadSnapshot, readCommit } from '@stream-ingest/delta'
import { TransactionWriter } from '../../../../scripts/transactions/transaction-writer.ts'
import { ingest } from './ingest-process.ts'
import { inTable, nextOffsetsOf } from './lake-table.ts'
import { assertMarks, markedEvent, markedEvents, markedRecords, range } from './marked-event.ts'
import { openScene, parts, skip } from './real-parts.ts'

const openTestScene = openScene()
/** The least that may be configured: every answer holds one batch or a few. */
const SMALL_FETCH_BYTES = 1024
const MARKER_WAIT_MS_MAX = 30_000
const MARKER_POLL_MS = 20

describe('topics with transactions', { skip }, () => {
  const topic = `transactions-${randomUUID()}`
  let endOffset: bigint

  before(async () => {
    if (skip !== false) return
    const { producer, admin } = await openTestScene()
    await producer.createTopic(topic, 1)
    await writeInterleaved(topic)
    endOffset = await endOffsetOf(admin, topic, 'READ_UNCOMMITTED')
    await untilEnd(admin, topic, 'READ_COMMITTED', endOffset)
  })

  test('only committed rows are in the table, the whole topic in one response', async () => {
    await assertCommittedOnly('transactions_at_once', {})
  })

  test('only committed rows are in the table, a batch or two in a response', async () => {
    await assertCommittedOnly('transactions_in_parts', { fetch_max_partition_bytes: SMALL_FETCH_BYTES })
  })

  async function assertCommittedOnly(table: string, kafka: Record<string, unknown>): Promise<void> {
    const { configFile } = await openTestScene()
    const run = await ingest(configFile({ topic, table, kafka }))
    await assertMarks(table, COMMITTED)
    assert.equal(run.metrics.rows, COMMITTED.length)
    assert.equal(run.metrics.filtered, ABORTED_COUNT)
    const [partition] = run.pipelines[0]!.partitions
    assert.deepEqual([partition?.nextOffset, partition?.lag], [Number(endOffset), 0])
    assert.deepEqual(await nextOffsetsOf(table), [endOffset])
    assert.equal(await filteredInHistory(table), ABORTED_COUNT)
  }

  test('read_uncommitted takes the aborted rows too', async () => {
    const { configFile } = await openTestScene()
    const table = 'transactions_uncommitted'
    const run = await ingest(configFile({ topic, table, kafka: { isolation_level: 'read_uncommitted' } }))
    assert.deepEqual([run.metrics.rows, run.metrics.filtered], [COMMITTED.length + ABORTED_COUNT, 0])
    assert.deepEqual(await nextOffsetsOf(table), [endOffset])
  })

  test('an open transaction ends a bounded run at the last stable offset; its rows come after the commit', async t => {
    const { producer, admin, configFile } = await openTestScene()
    const openTopic = `open-transaction-${randomUUID()}`
    const table = 'transactions_open'
    await producer.createTopic(openTopic, 1)
    await producer.append(openTopic, 0, markedRecords(0, 1))
    const writer = await TransactionWriter.start(parts.kafka)
    t.after(() => writer.close())
    const id = randomUUID()
    await writer.begin(id)
    assert.equal(await writer.send(id, openTopic, 0, markedEvents(1, 3)), 1n)
    // Decided on its own, and still behind the open transaction.
    await producer.append(openTopic, 0, markedRecords(3, 4))
    assert.equal(await endOffsetOf(admin, openTopic, 'READ_COMMITTED'), 1n)

    const config = configFile({ topic: openTopic, table })
    const held = await ingest(config)
    assert.equal(held.pipelines[0]?.partitions[0]?.lag, 0)
    assert.deepEqual(await nextOffsetsOf(table), [1n])
    await assertMarks(table, [0])

    await writer.commit(id)
    await untilEnd(admin, openTopic, 'READ_COMMITTED', 5n)
    await ingest(config)
    assert.deepEqual(await nextOffsetsOf(table), [5n])
    await assertMarks(table, range(0, 4))
  })
})

const COMMITTED = [2, 3, 6, 7, 8, 9, 12, 13, 14]
const ABORTED_COUNT = 7

/**
 * One partition, offsets in brackets: two producers, `left` aborting twice so that one response holds both of its
 * aborted transactions, and `right` aborting one whose marker comes after rows that are committed.
 */
async function writeInterleaved(topic: string): Promise<void> {
  const { producer, admin } = await openTestScene()
  const untilMarked = (offset: bigint) => untilEnd(admin, topic, 'READ_UNCOMMITTED', offset)
  const writer = await TransactionWriter.start(parts.kafka)
  const [left, right] = [randomUUID(), randomUUID()]
  try {
    await writer.begin(left)
    await writer.begin(right)
    assert.equal(await writer.send(left, topic, 0, markedEvents(0, 2)), 0n)
    assert.equal(await writer.send(right, topic, 0, markedEvents(2, 4)), 2n)
    await writer.abort(left) // marker [4]
    await untilMarked(5n)
    await writer.begin(left)
    assert.equal(await writer.send(left, topic, 0, markedEvents(4, 6)), 5n)
    await writer.abort(left) // marker [7]
    await writer.commit(right) // marker [8]
    await untilMarked(9n)
    // A transaction that a later response decides: rows of others between its own and its marker.
    await writer.begin(right)
    assert.equal(await writer.send(right, topic, 0, markedEvents(10, 12)), 9n)
    // As long as a response may be, each: they are in responses of their own where those are small.
    for (const record of markedRecords(6, 10)) {
      await producer.append(topic, 0, [{ ...record, value: padded(String(record.value), SMALL_FETCH_BYTES) }])
    }
    await writer.begin(left)
    assert.equal(await writer.send(left, topic, 0, markedEvents(12, 14)), 15n)
    assert.equal(await writer.send(right, topic, 0, [markedEvent(15)]), 17n)
    await writer.abort(right) // marker [18]
    await writer.commit(left) // marker [19]
    await untilMarked(20n)
    await producer.append(topic, 0, markedRecords(14, 15))
  } finally {
    await writer.close()
  }
}

function padded(json: string, lengthMin: number): string {
  return `${json.slice(0, -1)},"padding":"${'x'.repeat(lengthMin)}"}`
}

/** Records that the table's own history says were left out. */
async function filteredInHistory(table: string): Promise<number> {
  return inTable(table, async store => {
    const newest = (await loadSnapshot(store))!.version
    let filtered = 0
    for (let version = 1; version <= newest; version++) {
      for (const action of (await readCommit(store, version))!) {
        if ('commitInfo' in action) filtered += Number(action.commitInfo.operationMetrics?.numFilteredRecords)
      }
    }
    return filtered
  })
}

type Isolation = keyof typeof FetchIsolationLevels

/** The end of partition 0 as another client is told it; with `READ_COMMITTED` the last stable offset. */
async function endOffsetOf(admin: Admin, topic: string, isolation: Isolation): Promise<bigint> {
  const partitions = [{ partitionIndex: 0, timestamp: ListOffsetTimestamps.LATEST }]
  const isolationLevel = FetchIsolationLevels[isolation]
  const [answer] = await admin.listOffsets({ topics: [{ name: topic, partitions }], isolationLevel })
  return answer!.partitions[0]!.offset
}

/** The coordinator writes markers after it has answered: waits until the end of the topic is there. */
async function untilEnd(admin: Admin, topic: string, isolation: Isolation, offset: bigint): Promise<void> {
  const deadline = performance.now() + MARKER_WAIT_MS_MAX
  while ((await endOffsetOf(admin, topic, isolation)) < offset) {
    assert(performance.now() < deadline, `the end of ${topic} (${isolation}) reaches ${offset}`)
    await new Promise(resolve => setTimeout(resolve, MARKER_POLL_MS))
  }
}
