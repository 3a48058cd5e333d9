import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeControlBatch, encodeRecordBatch } from '../../src/kafka/record-batch-encoder.ts'
import { EmbeddedBroker, PROTOCOL_ERRORS } from '../../src/testing/index.ts'
import { RawClient } from './raw-client.ts'

const batch = (baseSequence = -1, producerId = -1n, producerEpoch = 0): Uint8Array =>
  encodeRecordBatch([{ value: 'a' }, { value: 'b' }], {
    baseOffset: 0n,
    producerId,
    producerEpoch,
    baseSequence,
  })

interface Produced {
  readonly errorCode: number
  readonly baseOffset: bigint
}

/** Produce version 9 to partition 0 of `orders`. */
function sendProduce(client: RawClient, records: Uint8Array, acks = -1, topic = 'orders'): number {
  return client.send({
    apiKey: 0,
    version: 9,
    flexible: true,
    body: writer => {
      writer.string(null).int16(acks).int32(1_000)
      writer.array([topic], name => {
        writer.string(name)
        writer.array([0], partition => writer.int32(partition).bytes(records).tags()).tags()
      })
      writer.tags()
    },
  })
}

async function produce(
  client: RawClient,
  records: Uint8Array,
  acks = -1,
  topic = 'orders',
): Promise<Produced> {
  const reader = await client.receive(sendProduce(client, records, acks, topic), true)
  const [produced] = reader.array(() => {
    reader.string()
    const partitions = reader.array(() => {
      reader.int32()
      const result = { errorCode: reader.int16(), baseOffset: reader.int64() }
      reader.int64()
      reader.int64()
      reader.array(() => assert.fail('there are no record errors'))
      reader.nullableString()
      reader.skipTags()
      return result
    })
    reader.skipTags()
    return partitions
  })
  return produced![0]!
}

test('appends a batch and answers with its base offset', async () => {
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders' }] })
  using client = await RawClient.connect(broker)
  assert.deepEqual(await produce(client, batch()), { errorCode: 0, baseOffset: 0n })
  assert.deepEqual(await produce(client, batch(), 1), { errorCode: 0, baseOffset: 2n })
  assert.deepEqual(broker.endOffsets('orders'), [4n])
})

test('acks = 0 gets no answer', async () => {
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders' }] })
  using client = await RawClient.connect(broker)
  sendProduce(client, batch(), 0)
  assert.deepEqual(
    await produce(client, batch()),
    { errorCode: 0, baseOffset: 2n },
    'the next answer is the next’s',
  )
})

test('refuses what a broker refuses', async () => {
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders' }], maxBatchBytes: 10_000 })
  using client = await RawClient.connect(broker)
  const codeOf = async (records: Uint8Array, acks = -1, topic = 'orders'): Promise<number> =>
    (await produce(client, records, acks, topic)).errorCode
  const flipped = new Uint8Array(batch())
  flipped[flipped.length - 1]! ^= 1
  const old = new Uint8Array(batch())
  old[16] = 1
  assert.equal(await codeOf(flipped), PROTOCOL_ERRORS.CORRUPT_MESSAGE)
  assert.equal(await codeOf(batch().subarray(0, 65)), PROTOCOL_ERRORS.CORRUPT_MESSAGE)
  assert.equal(await codeOf(old), PROTOCOL_ERRORS.UNSUPPORTED_FOR_MESSAGE_FORMAT)
  assert.equal(await codeOf(new Uint8Array(0)), PROTOCOL_ERRORS.INVALID_RECORD)
  assert.equal(await codeOf(Buffer.concat([batch(), batch()])), PROTOCOL_ERRORS.INVALID_RECORD)
  const marker = encodeControlBatch('commit', { baseOffset: 0n, producerId: 1n })
  assert.equal(await codeOf(marker), PROTOCOL_ERRORS.INVALID_RECORD)
  const transactional = encodeRecordBatch([{ value: 'a' }], {
    baseOffset: 0n,
    producerId: 1n,
    transactional: true,
  })
  assert.equal(await codeOf(transactional), PROTOCOL_ERRORS.INVALID_TXN_STATE)
  const large = encodeRecordBatch([{ value: 'x'.repeat(10_000) }], { baseOffset: 0n })
  assert.equal(await codeOf(large), PROTOCOL_ERRORS.MESSAGE_TOO_LARGE)
  assert.equal(await codeOf(batch(), 7), PROTOCOL_ERRORS.INVALID_REQUIRED_ACKS)
  assert.equal(await codeOf(batch(), -1, 'nowhere'), PROTOCOL_ERRORS.UNKNOWN_TOPIC_OR_PARTITION)
  assert.deepEqual(broker.endOffsets('orders'), [0n])
})

test('an idempotent producer’s batch counts once; gaps and fenced epochs are refused', async () => {
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders' }] })
  using client = await RawClient.connect(broker)
  assert.deepEqual(await produce(client, batch(0, 5n)), { errorCode: 0, baseOffset: 0n })
  assert.deepEqual(await produce(client, batch(2, 5n)), { errorCode: 0, baseOffset: 2n })
  assert.deepEqual(await produce(client, batch(0, 5n)), { errorCode: 0, baseOffset: 0n }, 'a repetition')
  assert.equal((await produce(client, batch(9, 5n))).errorCode, PROTOCOL_ERRORS.OUT_OF_ORDER_SEQUENCE_NUMBER)
  assert.equal((await produce(client, batch(0, 5n, 1))).errorCode, 0)
  assert.equal((await produce(client, batch(4, 5n, 0))).errorCode, PROTOCOL_ERRORS.INVALID_PRODUCER_EPOCH)
  assert.deepEqual(broker.endOffsets('orders'), [6n])
})

test('a lost response leaves the batch in the log', async () => {
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders' }] })
  using client = await RawClient.connect(broker)
  broker.failNext('Produce', 'lose-response')
  sendProduce(client, batch())
  await client.closed()
  assert.deepEqual(broker.endOffsets('orders'), [2n])
})

test('the bound on stored bytes refuses more, in the process too', async () => {
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders' }], maxStoredBytes: 200 })
  using client = await RawClient.connect(broker)
  assert.equal((await produce(client, batch())).errorCode, 0)
  assert.equal((await produce(client, batch())).errorCode, 0)
  assert.equal((await produce(client, batch())).errorCode, PROTOCOL_ERRORS.POLICY_VIOLATION)
  assert.throws(
    () => broker.produce('orders', 0, [{ value: 'more than there is room for' }]),
    /POLICY_VIOLATION/,
  )
  broker.deleteRecordsBefore('orders', 0, 4n)
  assert.equal((await produce(client, batch())).baseOffset, 4n)
})

test('producing in the process stamps records, leaves gaps on demand, and stores damage on demand', async () => {
  const clock = (): number => 5_000
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders' }], clock })
  assert.equal(broker.produce('orders', 0, [{ value: 'a' }]), 0n)
  assert.equal(broker.storedBatches('orders', 0)[0]!.header.maxTimestamp, 5_000n)
  assert.equal(broker.produce('orders', 0, [{ value: 'b' }], { baseOffset: 2n ** 60n }), 2n ** 60n)
  assert.deepEqual(broker.endOffsets('orders'), [2n ** 60n + 1n])
  const damaged = new Uint8Array(batch())
  damaged[damaged.length - 1]! ^= 1
  assert.throws(() => broker.produce('orders', 0, damaged), /CORRUPT_MESSAGE/)
  broker.produce('orders', 0, damaged, { checkCrc: false })
  assert.throws(() => broker.produce('orders', 9, []), { code: 'KAFKA_TOPIC_NOT_FOUND' })
  assert.throws(() => broker.produce('nowhere', 0, []), { code: 'KAFKA_TOPIC_NOT_FOUND' })
})
