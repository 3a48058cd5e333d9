import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KafkaConfig } from '../../src/config/ingest-config.ts'
import { KafkaConsumerClient } from '../../src/kafka/kafka-consumer-client.ts'
import { EmbeddedBroker } from '../../src/testing/index.ts'
import { kafkaConfig, TEST_RETRY, testRuntime } from './kafka-fixture.ts'

async function withClient(
  run: (
    broker: EmbeddedBroker,
    connect: (overrides?: Partial<KafkaConfig>) => KafkaConsumerClient,
  ) => Promise<void>,
): Promise<void> {
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders', partitions: 2 }] })
  const clients: KafkaConsumerClient[] = []
  try {
    await run(broker, overrides => {
      const config = kafkaConfig(broker.bootstrapServers, 'orders', overrides)
      const client = new KafkaConsumerClient(config, { runtime: testRuntime, retry: TEST_RETRY })
      clients.push(client)
      return client
    })
  } finally {
    for (const client of clients) await client.close()
  }
}

const payloads = async (client: KafkaConsumerClient): Promise<(string | null)[]> =>
  [...(await client.consumeBatch({ maxWaitMs: 5000 }))].map(({ payload }) => payload)

test('goes on where the group committed, and starts at auto_offset_reset where it never did', async () => {
  await withClient(async (broker, connect) => {
    for (const value of ['a', 'b', 'c']) broker.produce('orders', 0, [{ value }])
    const first = connect()
    const batch = await first.consumeBatch({ maxWaitMs: 5000 })
    const messages = [...batch]
    assert.deepEqual(
      messages.map(({ payload }) => payload),
      ['a', 'b', 'c'],
    )
    await first.commitOffsets(messages.slice(0, 2))
    assert.equal(broker.committedOffset('test-group', 'orders', 0)?.offset, 2n)
    assert.deepEqual(await payloads(connect()), ['c'])
    await first.commitOffsets(batch)
    assert.equal(broker.committedOffset('test-group', 'orders', 0)?.offset, 3n)
  })
})

test('starts at the end, at a time, or refuses to guess', async () => {
  await withClient(async (broker, connect) => {
    for (const timestampMs of [1000, 2000, 3000]) {
      broker.produce('orders', 0, [{ value: `${timestampMs}`, timestampMs }])
    }
    assert.deepEqual(await payloads(connect({ autoOffsetReset: { timestampMs: 1500 } })), ['2000', '3000'])
    const latest = connect({ autoOffsetReset: 'latest' })
    assert.deepEqual([...(await latest.consumeBatch({ maxWaitMs: 1 }))], [])
    broker.produce('orders', 1, [{ value: 'new' }])
    assert.deepEqual(await payloads(latest), ['new'])
    await assert.rejects(connect({ autoOffsetReset: 'none' }).consumeBatch(), {
      code: 'KAFKA_NO_OFFSET',
      message: /group `test-group` has no offset for `orders-0`, `orders-1`/,
    })
  })
})

test('counts what it consumed, and says how far behind it is', async () => {
  await withClient(async (broker, connect) => {
    const producer = broker.createTransactionalProducer('p')
    producer.produce('orders', 0, [{ value: 'no' }, { value: 'no' }])
    producer.abort()
    broker.produce('orders', 0, [{ value: 'yes' }])
    const client = connect()
    await payloads(client)
    const { batchesConsumed, messagesConsumed, abortedMessages, lag, bytesConsumed } = client.getMetrics()
    assert.deepEqual([batchesConsumed, messagesConsumed, abortedMessages, lag], [1, 1, 2, 0n])
    assert(bytesConsumed > 0)
  })
})

test('reports its health instead of throwing', async () => {
  await withClient(async (broker, connect) => {
    const healthy = await connect().healthCheck()
    assert.deepEqual([healthy.ok, healthy.topics], [true, [{ topic: 'orders', partitionCount: 2 }]])
    const lost = connect()
    await broker.close()
    const unhealthy = await lost.healthCheck()
    assert.deepEqual([unhealthy.ok, unhealthy.error?.code], [false, 'KAFKA_UNREACHABLE'])
  })
})
