import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { KafkaConfig } from '../../src/config/ingest-config.ts'
import { KafkaError } from '../../src/error.ts'
import { createKafkaSource, type KafkaSource } from '../../src/kafka/kafka-source.ts'
import { MessageBatch } from '../../src/kafka/message-batch.ts'
import type { SourceChunk } from '../../src/kafka/message-source.ts'
import { encodeRecordBatch } from '../../src/kafka/record-batch-encoder.ts'
import { EmbeddedBroker, type ProtocolErrorName } from '../../src/testing/index.ts'
import { kafkaConfig, TEST_RETRY, testRuntime } from './kafka-fixture.ts'

const BUDGET = { maxBytes: 1 << 26, maxWaitMs: 10_000 }

interface Scene extends AsyncDisposable {
  readonly broker: EmbeddedBroker
  readonly source: KafkaSource
}

/** A broker with one topic, and a source over it at offset 0 of each partition. */
async function stage(partitions = 1, overrides: Partial<KafkaConfig> = {}): Promise<Scene> {
  const broker = await EmbeddedBroker.start({ topics: [{ name: 'orders', partitions }] })
  const source = createKafkaSource(kafkaConfig(broker.bootstrapServers, 'orders', overrides), {
    runtime: testRuntime,
    retry: TEST_RETRY,
  })
  await source.open()
  for (const target of source.assignment) source.seek(target, 0n)
  return {
    broker,
    source,
    [Symbol.asyncDispose]: async () => {
      await source.close()
      await broker.close()
    },
  }
}

const values = (chunks: readonly SourceChunk[]): (string | null)[] =>
  [...new MessageBatch(chunks)].map(({ payload }) => payload)

async function readValues(source: KafkaSource, count: number): Promise<(string | null)[]> {
  const found: (string | null)[] = []
  while (found.length < count) {
    const chunks = await source.read(BUDGET)
    assert(chunks.length > 0, 'data arrives')
    found.push(...values(chunks))
  }
  return found
}

describe('a leader that changes', () => {
  for (const name of [
    'NOT_LEADER_OR_FOLLOWER',
    'FENCED_LEADER_EPOCH',
    'UNKNOWN_LEADER_EPOCH',
    'LEADER_NOT_AVAILABLE',
    'UNKNOWN_TOPIC_ID',
    'UNKNOWN_TOPIC_OR_PARTITION',
    'KAFKA_STORAGE_ERROR',
  ] as const satisfies ProtocolErrorName[]) {
    test(`is looked up again after ${name}, and nothing is lost or repeated`, async () => {
      await using scene = await stage(2)
      scene.broker.failNext('Fetch', name, 2, { topic: 'orders', partition: 1 })
      const before = scene.broker.requestCount('Metadata')
      for (const partition of [0, 1]) {
        for (const value of ['a', 'b'])
          scene.broker.produce('orders', partition, [{ value: `${partition}${value}` }])
      }
      assert.deepEqual((await readValues(scene.source, 4)).sort(), ['0a', '0b', '1a', '1b'])
      assert(scene.broker.requestCount('Metadata') > before)
    })
  }

  test('fences the former epoch: the new one is learned', async () => {
    await using scene = await stage()
    scene.broker.produce('orders', 0, [{ value: 'a' }])
    assert.deepEqual(await readValues(scene.source, 1), ['a'])
    scene.broker.bumpLeaderEpoch('orders', 0)
    scene.broker.produce('orders', 0, [{ value: 'b' }])
    assert.deepEqual(await readValues(scene.source, 1), ['b'])
  })

  test('that never settles ends in an error that may be tried again', async () => {
    await using scene = await stage()
    scene.broker.produce('orders', 0, [{ value: 'a' }])
    scene.broker.failNext('Fetch', 'NOT_LEADER_OR_FOLLOWER', TEST_RETRY.attemptsMax)
    await assert.rejects(scene.source.read(BUDGET), (error: unknown) => {
      assert(error instanceof KafkaError && error.code === 'KAFKA_PROTOCOL' && error.isRetryable())
      assert.match(error.message, /NOT_LEADER_OR_FOLLOWER for `orders-0` at offset 0/)
      return true
    })
    assert.deepEqual(await readValues(scene.source, 1), ['a'])
  })

  test('does not hold up the data of other partitions in the same response', async () => {
    await using scene = await stage(2)
    scene.broker.produce('orders', 0, [{ value: 'a' }])
    scene.broker.failNext('Fetch', 'NOT_LEADER_OR_FOLLOWER', 1, { topic: 'orders', partition: 1 })
    assert.deepEqual(values(await scene.source.read(BUDGET)), ['a'])
    assert.equal(scene.source.counters.fetchCount, 1)
  })
})

describe('a broker that goes', () => {
  for (const fault of ['disconnect', 'lose-response'] as const) {
    test(`is connected to again after ${fault}`, async () => {
      await using scene = await stage()
      scene.broker.produce('orders', 0, [{ value: 'a' }])
      scene.broker.failNext('Fetch', fault, 2)
      assert.deepEqual(await readValues(scene.source, 1), ['a'])
    })
  }

  test('and comes back at the same place is found', async () => {
    await using scene = await stage()
    const { port } = scene.broker
    scene.broker.produce('orders', 0, [{ value: 'a' }])
    assert.deepEqual(await readValues(scene.source, 1), ['a'])
    scene.broker.disconnectClients()
    scene.broker.produce('orders', 0, [{ value: 'b' }])
    assert.deepEqual(await readValues(scene.source, 1), ['b'])
    assert.equal(scene.broker.port, port)
  })

  test('for good ends in KAFKA_UNREACHABLE, which names it', async () => {
    await using scene = await stage()
    await scene.broker.close()
    await assert.rejects(scene.source.read(BUDGET), (error: unknown) => {
      assert(error instanceof KafkaError && error.code === 'KAFKA_UNREACHABLE' && error.isRetryable())
      assert(error.message.includes(scene.broker.bootstrapServers), error.message)
      return true
    })
  })

  test('silent is given up after the request timeout, and asked again', async () => {
    await using scene = await stage(1, { requestTimeoutMs: 200, fetchMaxWaitMs: 10 })
    scene.broker.produce('orders', 0, [{ value: 'a' }])
    scene.broker.failNext('ListOffsets', 'hang')
    const ends = await scene.source.endOffsets()
    assert.deepEqual([...ends.values()], [{ startOffset: 0n, endOffset: 1n }])
  })
})

describe('open', () => {
  test('names the servers that do not answer', async () => {
    const broker = await EmbeddedBroker.start()
    const { bootstrapServers } = broker
    await broker.close()
    const config = kafkaConfig(bootstrapServers, 'orders', {
      bootstrapServers: [bootstrapServers, '127.0.0.1:1'],
    })
    const source = createKafkaSource(config, { runtime: testRuntime, retry: TEST_RETRY })
    await assert.rejects(source.open(), (error: unknown) => {
      assert(error instanceof KafkaError && error.code === 'KAFKA_UNREACHABLE')
      assert.match(error.message, /^none of `127\.0\.0\.1:\d+`, `127\.0\.0\.1:1` answers: .*ECONNREFUSED/)
      return true
    })
    await source.close()
  })

  test('suggests the topic that was meant', async () => {
    await using broker = await EmbeddedBroker.start({ topics: [{ name: 'user-events' }] })
    const config = kafkaConfig(broker.bootstrapServers, 'user_event')
    const source = createKafkaSource(config, { runtime: testRuntime, retry: TEST_RETRY })
    await assert.rejects(source.open(), {
      code: 'KAFKA_TOPIC_NOT_FOUND',
      hint: 'did you mean `user-events`?',
    })
    await source.close()
  })

  test('refuses a listed partition that the topic does not have', async () => {
    await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders', partitions: 2 }] })
    const config = kafkaConfig(broker.bootstrapServers, 'orders', { assignment: { partitions: [0, 7] } })
    const source = createKafkaSource(config, { runtime: testRuntime, retry: TEST_RETRY })
    await assert.rejects(source.open(), /lists partition 7 of topic `orders`, which has 2/)
    await source.close()
  })

  test('refuses a topic that may not be described, and says which right is missing', async () => {
    await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders' }] })
    broker.failNext('Metadata', 'TOPIC_AUTHORIZATION_FAILED')
    const config = kafkaConfig(broker.bootstrapServers, 'orders')
    const source = createKafkaSource(config, { runtime: testRuntime, retry: TEST_RETRY })
    await assert.rejects(source.open(), {
      code: 'KAFKA_AUTHORIZATION',
      hint: 'grant `Describe` on topic `orders` to this principal',
    })
    await source.close()
  })

  test('of a group is for a later release', () => {
    assert.throws(
      () =>
        createKafkaSource(kafkaConfig('127.0.0.1:1', 'orders', { assignment: 'group' }), {
          runtime: testRuntime,
        }),
      { code: 'CONFIG_UNSUPPORTED' },
    )
  })
})

describe('what is damaged or large', () => {
  test('a right to read that is missing is named', async () => {
    await using scene = await stage()
    scene.broker.failNext('Fetch', 'TOPIC_AUTHORIZATION_FAILED')
    await assert.rejects(scene.source.read(BUDGET), {
      hint: 'grant `Read` on topic `orders` to this principal',
    })
  })

  test('a topic created again is not read at the offsets of the former one', async () => {
    await using scene = await stage()
    scene.broker.produce('orders', 0, [{ value: 'a' }])
    assert.deepEqual(await readValues(scene.source, 1), ['a'])
    scene.broker.deleteTopic('orders')
    scene.broker.createTopic('orders')
    await assert.rejects(scene.source.read(BUDGET), { code: 'KAFKA_TOPIC_RECREATED' })
  })

  test('a 10 MB message comes whole, although the partition limit is 1 MB', async () => {
    await using scene = await stage(2)
    const large = 'x'.repeat(10 * 1024 * 1024)
    for (const partition of [0, 1]) {
      for (const value of ['small', large, 'after']) scene.broker.produce('orders', partition, [{ value }])
    }
    const found = await readValues(scene.source, 6)
    assert.deepEqual(found.map(value => value?.length).sort(), [large.length, large.length, 5, 5, 5, 5])
  })

  test('a bit-flipped batch is refused when it is decoded, with its place', async () => {
    await using scene = await stage()
    for (const value of ['a', 'b', 'c']) scene.broker.produce('orders', 0, [{ value }])
    scene.broker.corruptBatch('orders', 0, 1n, { flipBit: 8 * 65 })
    const chunks = await scene.source.read(BUDGET)
    assert.throws(() => values(chunks), { code: 'KAFKA_CORRUPT_BATCH', message: /`orders-0@1` is damaged/ })
  })

  test('a truncated batch is refused, with its place', async () => {
    await using scene = await stage()
    scene.broker.produce('orders', 0, [{ value: 'a' }])
    scene.broker.produce('orders', 0, [{ value: 'b'.repeat(200) }])
    scene.broker.corruptBatch('orders', 0, 1n, { truncateToBytes: 100 })
    assert.deepEqual(await readValues(scene.source, 1), ['a'])
    await assert.rejects(scene.source.read(BUDGET), { code: 'KAFKA_CORRUPT_BATCH', message: /`orders-0@1`/ })
  })

  test('a decompression bomb is refused when it is decoded', async () => {
    await using scene = await stage()
    const bomb = encodeRecordBatch([{ value: Buffer.alloc(32 * 1024 * 1024) }], {
      baseOffset: 0n,
      codec: 'zstd',
    })
    scene.broker.produce('orders', 0, bomb)
    const chunks = await scene.source.read(BUDGET)
    assert.throws(() => [...new MessageBatch(chunks, 1024 * 1024)], { code: 'KAFKA_BATCH_TOO_LARGE' })
  })
})

describe('the memory of a response', () => {
  /** Of several times what one read of the socket brings. */
  const LARGE = 'x'.repeat(300_000)

  /** One chunk of each partition, all of one response. */
  async function readOneResponse(
    { broker, source }: Scene,
    values: readonly string[],
  ): Promise<SourceChunk[]> {
    for (const [partition, value] of values.entries()) broker.produce('orders', partition, [{ value }])
    const chunks: SourceChunk[] = []
    while (chunks.length < values.length) chunks.push(...(await source.read(BUDGET)))
    assert.equal(broker.requestCount('Fetch') <= 2, true, 'they came together')
    return chunks
  }

  test('stays until each of its chunks is released, and is gone then', async () => {
    await using scene = await stage(3)
    const chunks = await readOneResponse(scene, ['a', LARGE, 'c'])
    const batches = chunks.flatMap(chunk => chunk.batches)
    chunks[1]!.release!()
    chunks[0]!.release!()
    chunks[0]!.release!()
    assert.deepEqual(values(chunks), ['a', LARGE, 'c'])
    chunks[2]!.release!()
    assert.deepEqual(
      batches.map(batch => batch.length),
      [0, 0, 0],
    )
  })

  test('stays for partitions behind one that is being looked up, although those before it are released', async () => {
    await using scene = await stage(3, { onOffsetOutOfRange: 'earliest' })
    scene.broker.failNext('Fetch', 'OFFSET_OUT_OF_RANGE', 1, { topic: 'orders', partition: 1 })
    for (const partition of [0, 1, 2]) scene.broker.produce('orders', partition, [{ value: `${partition}` }])
    const [first] = await scene.source.read(BUDGET)
    const [batch] = first!.batches
    first!.release!()
    assert.ok(batch!.length > 0)
    const found: (string | null)[] = []
    while (found.length < 2) {
      const chunks = await scene.source.read(BUDGET)
      found.push(...values(chunks))
      for (const chunk of chunks) chunk.release!()
    }
    assert.deepEqual([found.sort(), batch!.length], [['1', '2'], 0])
  })

  test('is another one for each response: what is kept stays as it is', async () => {
    await using scene = await stage()
    const kept: SourceChunk[] = []
    for (let i = 0; i < 6; i++) {
      scene.broker.produce('orders', 0, [{ value: `${i}${LARGE}` }])
      const chunks = await scene.source.read(BUDGET)
      if (i % 2 === 0) for (const chunk of chunks) chunk.release!()
      else kept.push(...chunks)
    }
    assert.deepEqual(values(kept), [`1${LARGE}`, `3${LARGE}`, `5${LARGE}`])
  })

  test('is not held twice: what the socket brought is given back when it is in one piece', async t => {
    await using scene = await stage()
    const freed = t.mock.method(ArrayBuffer.prototype, 'transfer')
    scene.broker.produce('orders', 0, [{ value: LARGE }])
    const chunks = await scene.source.read(BUDGET)
    assert.deepEqual(values(chunks), [LARGE])
    // The first and the last piece may hold bytes of other responses.
    assert.ok(freed.mock.callCount() >= LARGE.length / 65_536 - 2)
  })
})

describe('reading ahead', () => {
  const BATCH_BYTES = 4000

  /** Waits until the loop is full: no request goes out however long nobody reads. */
  async function settled(source: KafkaSource): Promise<void> {
    for (let last = -1; last !== source.counters.fetchCount; ) {
      last = source.counters.fetchCount
      await testRuntime.delay(20)
    }
  }

  for (const [bound, overrides, aheadMaxBytes] of [
    ['of a partition', { fetchMaxPartitionBytes: BATCH_BYTES * 2 }, BATCH_BYTES * 2 * (2 * 2 + 1)],
    [
      'of all',
      { fetchMaxPartitionBytes: BATCH_BYTES * 10, fetchMaxBytes: BATCH_BYTES * 5 },
      BATCH_BYTES * 12,
    ],
  ] as const) {
    test(`stops at the bound ${bound}, and goes on when it is read`, async () => {
      await using scene = await stage(2, overrides)
      for (const partition of [0, 1]) {
        for (let batch = 0; batch < 20; batch++) {
          scene.broker.produce('orders', partition, [{ value: 'x'.repeat(BATCH_BYTES - 100) }])
        }
      }
      const first = values(await scene.source.read({ maxBytes: 1, maxWaitMs: 10_000 }))
      await settled(scene.source)
      const { fetchedBytes } = scene.source.counters
      assert(fetchedBytes <= aheadMaxBytes, `${fetchedBytes} bytes are ahead of ${aheadMaxBytes}`)
      assert.equal((await readValues(scene.source, 40 - first.length)).length, 40 - first.length)
    })
  }

  test('is dropped by a seek', async () => {
    await using scene = await stage(1, { fetchMaxPartitionBytes: BATCH_BYTES })
    for (let batch = 0; batch < 10; batch++) {
      scene.broker.produce('orders', 0, [{ value: `${batch}`.repeat(BATCH_BYTES - 100) }])
    }
    const [first] = await scene.source.read({ maxBytes: 1, maxWaitMs: 10_000 })
    await settled(scene.source)
    scene.source.seek(scene.source.assignment[0]!, 0n)
    const [again] = await scene.source.read(BUDGET)
    assert.deepEqual([first?.fromOffset, again?.fromOffset], [0n, 0n])
  })

  test('leaves no timer of its own when data ends the wait', async () => {
    await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders' }] })
    let waits = 0
    const runtime = {
      ...testRuntime,
      delay: async (ms: number, signal?: AbortSignal) => {
        waits++
        await testRuntime.delay(ms, signal).finally(() => waits--)
      },
    }
    const source = createKafkaSource(kafkaConfig(broker.bootstrapServers, 'orders'), {
      runtime,
      retry: TEST_RETRY,
    })
    await source.open()
    source.seek(source.assignment[0]!, 0n)
    const reading = source.read({ maxBytes: 1, maxWaitMs: 60_000 })
    broker.produce('orders', 0, [{ value: 'a' }])
    assert.deepEqual(values(await reading), ['a'])
    assert.equal(waits, 0)
    await source.close()
  })

  test('never has two Fetches under way at one broker', async () => {
    await using scene = await stage(4)
    let underWay = 0
    for (let round = 0; round < 20; round++) {
      for (const partition of [0, 1, 2, 3]) scene.broker.produce('orders', partition, [{ value: `${round}` }])
      const before = scene.broker.requestCount('Fetch')
      await scene.source.read(BUDGET)
      underWay = Math.max(underWay, scene.broker.requestCount('Fetch') - scene.source.counters.fetchCount)
      assert(scene.broker.requestCount('Fetch') >= before)
    }
    assert(underWay <= 1, `${underWay} Fetches at once`)
  })

  test('does not let a busy partition starve a quiet one', async () => {
    await using scene = await stage(2, { fetchMaxPartitionBytes: 2000, fetchMaxBytes: 2000 })
    for (let batch = 0; batch < 50; batch++) scene.broker.produce('orders', 0, [{ value: 'x'.repeat(1500) }])
    scene.broker.produce('orders', 1, [{ value: 'quiet' }])
    let reads = 0
    for (let found = false; !found; reads++)
      found = values(await scene.source.read({ ...BUDGET, maxBytes: 2000 })).includes('quiet')
    assert(reads <= 4, `${reads} reads`)
  })
})

test('close leaves neither sockets nor timers, also with a Fetch under way', async () => {
  const scene = await stage(2)
  const reading = scene.source.read({ maxBytes: 1, maxWaitMs: 60_000 })
  await scene.broker.nextRequest('Fetch')
  const ended = assert.rejects(reading, { code: 'KAFKA_UNREACHABLE' })
  await scene.source.close()
  await ended
  await scene.broker.close()
  const left = () => process.getActiveResourcesInfo().filter(name => /TCP|TLS|Timeout/.test(name))
  // Node takes closed handles off its list some turns later.
  for (let turn = 0; turn < 100 && left().length > 0; turn++) await setImmediate()
  assert.deepEqual(left(), [])
})
