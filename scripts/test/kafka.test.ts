import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { Consumer, MessagesStreamModes } from '@platformatic/kafka'
import { KafkaProducer } from '../kafka-producer.ts'
import { TransactionWriter } from '../transactions/transaction-writer.ts'

const KAFKA = process.env.SI_TEST_KAFKA
const skip = KAFKA === undefined ? 'SI_TEST_KAFKA is not set: no broker to test with' : false
const TEN_MEGABYTES = 10 * 1024 * 1024

test('fills a topic in turn over its partitions, in every codec', { skip }, async t => {
  const producer = await connect(t)
  for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    const topic = `fill-${codec}-${randomUUID()}`
    await producer.createTopic(topic, 3)
    const values = Array.from({ length: 100 }, (_, index) => ({ value: `message ${index}` }))
    const counts = await producer.fill(topic, 3, values, { codec, batchRecords: 7 })
    assert.deepEqual(counts, [34, 33, 33])
    assert.deepEqual((await consume(t, topic, 100)).sort(), values.map(record => record.value).sort())
  }
})

test('adds partitions to a topic', { skip }, async t => {
  const producer = await connect(t)
  const topic = `grown-${randomUUID()}`
  await producer.createTopic(topic, 1)
  await producer.addPartitions(topic, 3)
  assert.equal(await producer.append(topic, 2, [{ value: 'in the last one' }]), 0n)
})

test('takes a message of ten megabytes', { skip }, async t => {
  const producer = await connect(t)
  const topic = `large-${randomUUID()}`
  await producer.createTopic(topic, 1)
  assert.equal(await producer.append(topic, 0, [{ value: Buffer.alloc(TEN_MEGABYTES, 'x') }]), 0n)
  assert.equal(await producer.append(topic, 0, [{ value: 'after' }]), 1n)
})

test('interleaves transactions of several producers', { skip }, async t => {
  const producer = await connect(t)
  const topic = `transactions-${randomUUID()}`
  await producer.createTopic(topic, 1)
  const writer = await TransactionWriter.start(KAFKA as string)
  t.after(() => writer.close())
  const [left, right] = [randomUUID(), randomUUID()]
  await writer.begin(left)
  await writer.begin(right)
  assert.equal(await writer.send(left, topic, 0, ['aborted 1', 'aborted 2']), 0n)
  assert.equal(await writer.send(right, topic, 0, ['committed 1']), 2n)
  await writer.abort(left)
  await writer.begin(left)
  assert.equal(await writer.send(left, topic, 0, ['aborted 3']), 4n)
  await writer.abort(left)
  await writer.commit(right)
  await assert.rejects(writer.commit(right), /commit .*Invalid transition/i)
})

async function connect(t: TestContext): Promise<KafkaProducer> {
  const producer = await KafkaProducer.connect(KAFKA as string)
  t.after(() => producer.close())
  return producer
}

/** Through a client of another make. */
async function consume(t: TestContext, topic: string, count: number): Promise<string[]> {
  const consumer = new Consumer({
    clientId: 'stack-test',
    groupId: randomUUID(),
    bootstrapBrokers: [KAFKA as string],
  })
  t.after(() => consumer.close(true))
  const stream = await consumer.consume({
    topics: [topic],
    mode: MessagesStreamModes.EARLIEST,
    maxWaitTime: 100,
  })
  const values: string[] = []
  for await (const message of stream) {
    values.push(String(message.value))
    if (values.length === count) break
  }
  return values
}
