import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readRecords } from '../../src/kafka/record-batch.ts'
import { encodeRecordBatch } from '../../src/kafka/record-batch-encoder.ts'
import { RecordSlab } from '../../src/kafka/record-slab.ts'
import { EmbeddedBroker, PROTOCOL_ERRORS } from '../../src/testing/index.ts'
import { fetchOne, fetchPartitions, fetchRequest, RawClient, readFetchResponse } from './raw-client.ts'

const record = (value: string): { key: string; value: string; timestampMs: number } => ({
  key: 'k',
  value,
  timestampMs: 1_000,
})

function values(batch: Uint8Array): string[] {
  const slab = new RecordSlab()
  readRecords(batch, slab, 'orders', 0)
  return Array.from({ length: slab.count }, (_, index) =>
    Buffer.from(slab.bytes.subarray(slab.valueStart[index]!, slab.valueEnd[index]!)).toString(),
  )
}

test('answers with the stored bytes; only base offset and leader epoch differ from the producer’s', async () => {
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders' }] })
  using client = await RawClient.connect(broker)
  const first = encodeRecordBatch([record('a')], { baseOffset: 0n, codec: 'lz4' })
  const second = encodeRecordBatch([record('b'), record('c')], { baseOffset: 77n, codec: 'zstd' })
  broker.produce('orders', 0, Buffer.concat([first, second]))
  const fetched = await fetchOne(client, {
    topicId: broker.topicId('orders'),
    partitions: [{ partition: 0, offset: 0n }],
  })
  assert.equal(fetched.errorCode, 0)
  assert.deepEqual([fetched.startOffset, fetched.highWatermark, fetched.lastStableOffset], [0n, 3n, 3n])
  const stored = Buffer.from(fetched.records)
  assert.deepEqual(stored.subarray(0, first.length), Buffer.from(first))
  assert.equal(stored.readBigInt64BE(first.length), 1n)
  assert.deepEqual(stored.subarray(first.length + 16), Buffer.from(second).subarray(16))
  assert.deepEqual(values(fetched.records.subarray(first.length)), ['b', 'c'])
})

test('starts with the batch that holds the offset', async () => {
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders' }] })
  using client = await RawClient.connect(broker)
  broker.produce('orders', 0, [record('a')])
  broker.produce('orders', 0, [record('b'), record('c')])
  const { records } = await fetchOne(client, {
    topicId: broker.topicId('orders'),
    partitions: [{ partition: 0, offset: 2n }],
  })
  assert.deepEqual(values(records), ['b', 'c'])
})

test('cuts the last batch at max_bytes, but gives the first one whole', async () => {
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders', partitions: 2 }] })
  using client = await RawClient.connect(broker)
  const batch = encodeRecordBatch([record('x'.repeat(500))], { baseOffset: 0n })
  for (const partition of [0, 1])
    for (let count = 0; count < 3; count++) broker.produce('orders', partition, batch)
  const topicId = broker.topicId('orders')
  const both = [0, 1].map(partition => ({ partition, offset: 0n }))
  const small = await fetchPartitions(client, { topicId, partitions: both, maxBytes: 10 })
  assert.deepEqual(
    small.map(fetched => fetched.records.length),
    [batch.length, 0],
  )
  const cut = await fetchPartitions(client, { topicId, partitions: both, maxBytes: batch.length + 100 })
  assert.deepEqual(
    cut.map(fetched => fetched.records.length),
    [batch.length + 100, 0],
  )
  const perPartition = await fetchPartitions(client, {
    topicId,
    partitions: both.map(wanted => ({ ...wanted, maxBytes: batch.length * 2 })),
  })
  assert.deepEqual(
    perPartition.map(fetched => fetched.records.length),
    [batch.length * 2, batch.length * 2],
  )
})

test('waits for min_bytes until they come', async () => {
  const timers: (() => void)[] = []
  const schedule = (_delayMs: number, callback: () => void): (() => void) => {
    timers.push(callback)
    return () => {}
  }
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders' }], schedule })
  using client = await RawClient.connect(broker)
  const arrived = broker.nextRequest('Fetch')
  const answer = fetchOne(client, {
    topicId: broker.topicId('orders'),
    partitions: [{ partition: 0, offset: 0n }],
    maxWaitMs: 60_000,
    minBytes: 100,
  })
  await arrived
  broker.produce('orders', 0, [record('small')])
  broker.produce('orders', 0, [record('enough now')])
  const { records } = await answer
  assert.equal(timers.length, 1)
  assert(records.length >= 100)
})

test('answers empty when max_wait_ms is over', async () => {
  const delays: number[] = []
  const schedule = (delayMs: number, callback: () => void): (() => void) => {
    delays.push(delayMs)
    setImmediate(callback)
    return () => {}
  }
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders' }], schedule })
  using client = await RawClient.connect(broker)
  const partitions = [{ partition: 0, offset: 0n }]
  const fetched = await fetchOne(client, { topicId: broker.topicId('orders'), partitions, maxWaitMs: 750 })
  assert.equal(fetched.records.length, 0)
  assert.equal(fetched.errorCode, 0)
  assert.deepEqual(delays, [750])
})

test('refuses offsets outside the log, unknown partitions, ids and epochs, each partition by itself', async () => {
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders', partitions: 5 }] })
  using client = await RawClient.connect(broker)
  const topicId = broker.topicId('orders')
  for (let partition = 0; partition < 5; partition++) {
    for (const value of ['a', 'b', 'c']) broker.produce('orders', partition, [record(value)])
  }
  broker.deleteRecordsBefore('orders', 0, 2n)
  broker.bumpLeaderEpoch('orders', 2)
  const fetched = await fetchPartitions(client, {
    topicId,
    partitions: [
      { partition: 0, offset: 1n },
      { partition: 1, offset: 4n },
      { partition: 2, offset: 0n, leaderEpoch: 0 },
      { partition: 3, offset: 0n, leaderEpoch: 9 },
      { partition: 4, offset: 3n },
      { partition: 5, offset: 0n },
      { partition: 4, offset: 2n },
    ],
  })
  assert.deepEqual(
    fetched.map(partition => partition.errorCode),
    [
      PROTOCOL_ERRORS.OFFSET_OUT_OF_RANGE,
      PROTOCOL_ERRORS.OFFSET_OUT_OF_RANGE,
      PROTOCOL_ERRORS.FENCED_LEADER_EPOCH,
      PROTOCOL_ERRORS.UNKNOWN_LEADER_EPOCH,
      0,
      PROTOCOL_ERRORS.UNKNOWN_TOPIC_OR_PARTITION,
      0,
    ],
  )
  assert.deepEqual(values(fetched[6]!.records), ['c'])
  assert.deepEqual(broker.startOffsets('orders'), [2n, 0n, 0n, 0n, 0n])

  broker.deleteTopic('orders')
  assert.notEqual(broker.createTopic('orders', 1), topicId)
  const stale = await fetchOne(client, {
    topicId,
    partitions: [{ partition: 0, offset: 0n }],
    maxWaitMs: 60_000,
  })
  assert.equal(stale.errorCode, PROTOCOL_ERRORS.UNKNOWN_TOPIC_ID)
})

test('knows no fetch sessions', async () => {
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders' }] })
  using client = await RawClient.connect(broker)
  const request = fetchRequest({ topicId: broker.topicId('orders'), partitions: [], sessionId: 5 })
  const { errorCode } = readFetchResponse(await client.request(request))
  assert.equal(errorCode, PROTOCOL_ERRORS.FETCH_SESSION_ID_NOT_FOUND)
})

test('a batch damaged at rest is sent damaged', async () => {
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders' }] })
  using client = await RawClient.connect(broker)
  const batch = encodeRecordBatch([record('sound')], { baseOffset: 0n })
  for (let count = 0; count < 3; count++) broker.produce('orders', 0, batch)
  const request = { topicId: broker.topicId('orders'), partitions: [{ partition: 0, offset: 0n }] }
  broker.corruptBatch('orders', 0, 1n, { flipBit: (batch.length - 1) * 8 })
  const flipped = (await fetchOne(client, request)).records
  assert.deepEqual(values(flipped.subarray(0, batch.length)), ['sound'])
  assert.throws(() => values(flipped.subarray(batch.length, batch.length * 2)), {
    code: 'KAFKA_CORRUPT_BATCH',
  })
  broker.corruptBatch('orders', 0, 2n, { truncateToBytes: 70 })
  assert.equal((await fetchOne(client, request)).records.length, batch.length * 2 + 70)
  broker.corruptBatch('orders', 0, 0n, { truncateToBytes: 70, fixLength: true })
  const shorter = (await fetchOne(client, request)).records
  assert.equal(Buffer.from(shorter).readInt32BE(8), 70 - 12)
  assert.throws(() => broker.corruptBatch('orders', 0, 9n, { flipBit: 0 }), { code: 'KAFKA_PROTOCOL' })
})

test('a transaction shows as last stable offset, as aborted transactions and as markers', async () => {
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders' }] })
  using client = await RawClient.connect(broker)
  const producer = broker.createTransactionalProducer()
  for (const [value, end] of [
    ['a1', 'abort'],
    ['c1', 'commit'],
    ['a2', 'abort'],
  ] as const) {
    producer.produce('orders', 0, [record(value), record(value)])
    producer[end]()
  }
  const open = broker.createTransactionalProducer()
  open.produce('orders', 0, [record('open')])
  broker.produce('orders', 0, [record('plain')])
  const request = { topicId: broker.topicId('orders'), partitions: [{ partition: 0, offset: 0n }] }
  const committed = await fetchOne(client, { ...request, readCommitted: true })
  // Each transaction is two records and a marker: 0-2 aborted, 3-5 committed, 6-8 aborted, 9 open, 10 plain.
  assert.deepEqual([committed.highWatermark, committed.lastStableOffset], [11n, 9n])
  assert.deepEqual(committed.aborted, [
    { producerId: producer.producerId, firstOffset: 0n },
    { producerId: producer.producerId, firstOffset: 6n },
  ])
  const batches = broker.storedBatches('orders', 0)
  assert.deepEqual(
    batches.map(batch => batch.header.isControl),
    [false, true, false, true, false, true, false, false],
  )
  const size = batches.slice(0, 6).reduce((sum, batch) => sum + batch.bytes.length, 0)
  assert.equal(committed.records.length, size)
  const uncommitted = await fetchOne(client, request)
  assert.deepEqual(uncommitted.aborted, [])
  assert(uncommitted.records.length > size)

  const later = await fetchOne(client, {
    ...request,
    partitions: [{ partition: 0, offset: 5n, maxBytes: 1 }],
    readCommitted: true,
  })
  assert.deepEqual(later.aborted, [], 'only what overlaps the answer is listed')
  open.commit()
  const whole = await fetchOne(client, { ...request, readCommitted: true })
  assert.deepEqual([whole.highWatermark, whole.lastStableOffset], [12n, 12n])
})

test('a producer that starts again fences the earlier one and aborts what it left open', async () => {
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders' }] })
  const zombie = broker.createTransactionalProducer('writer')
  zombie.produce('orders', 0, [record('lost')])
  const successor = broker.createTransactionalProducer('writer')
  assert.equal(successor.producerId, zombie.producerId)
  assert.equal(broker.storedBatches('orders', 0).at(-1)!.header.isControl, true)
  assert.throws(() => zombie.produce('orders', 0, [record('late')]), /PRODUCER_FENCED/)
  successor.produce('orders', 0, [record('kept')])
  successor.commit()
  assert.deepEqual(broker.endOffsets('orders'), [4n])
})
