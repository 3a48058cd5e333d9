import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  Admin,
  Connection,
  Consumer,
  FetchIsolationLevels,
  fetchV17,
  listOffsetsV9,
  MessagesStreamModes,
  metadataV12,
  offsetCommitV9,
  offsetFetchV9,
  Producer,
  type Reader,
  stringDeserializers,
  stringSerializers,
} from '@platformatic/kafka'
import { EmbeddedBroker } from '../../src/testing/index.ts'

const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

function clientOptions(broker: EmbeddedBroker): {
  clientId: string
  bootstrapBrokers: string[]
} {
  return { clientId: 'test', bootstrapBrokers: [broker.bootstrapServers] }
}

test('a producer writes every codec, a consumer group reads it back and commits', async () => {
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders', partitions: 2 }] })
  await using clients = new AsyncDisposableStack()
  const producer = new Producer({
    ...clientOptions(broker),
    serializers: stringSerializers,
    idempotent: true,
  })
  clients.defer(() => producer.close())
  for (const compression of CODECS) {
    const messages = [0, 1].map(partition => ({
      topic: 'orders',
      key: compression,
      value: `${partition}`,
      partition,
    }))
    await producer.send({ messages, compression, acks: -1 })
  }
  assert.deepEqual(broker.endOffsets('orders'), [5n, 5n])

  const consumer = new Consumer({
    ...clientOptions(broker),
    groupId: 'readers',
    deserializers: stringDeserializers,
  })
  clients.defer(() => consumer.close(true))
  const stream = await consumer.consume({
    topics: ['orders'],
    mode: MessagesStreamModes.EARLIEST,
    autocommit: false,
    maxWaitTime: 50,
  })
  const read: string[] = []
  for await (const message of stream) {
    read.push(`${message.partition}@${message.offset} ${message.key}=${message.value}`)
    await message.commit()
    if (read.length === 10) break
  }
  const expected = [0, 1].flatMap(partition =>
    CODECS.map((codec, offset) => `${partition}@${offset} ${codec}=${partition}`),
  )
  assert.deepEqual(read.sort(), expected.sort())
  assert.equal(broker.committedOffset('readers', 'orders', 0)?.offset, 5n)
  assert.deepEqual([...(await consumer.listOffsets({ topics: ['orders'] })).values()], [[5n, 5n]])
  assert.deepEqual(broker.rejections, [])
})

test('two members of a group share the partitions; one leaves, the other gets all', async () => {
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders', partitions: 4 }] })
  await using clients = new AsyncDisposableStack()
  const join = async (): Promise<Consumer<string, string, string, string>> => {
    const consumer = new Consumer({
      ...clientOptions(broker),
      groupId: 'readers',
      deserializers: stringDeserializers,
      heartbeatInterval: 20,
    })
    clients.defer(() => consumer.close(true))
    consumer.topics.trackAll('orders')
    await consumer.joinGroup({})
    return consumer
  }
  const first = await join()
  assert.equal(first.assignments?.[0]?.partitions.length, 4)
  const rejoined = new Promise(resolve => first.once('consumer:group:join', resolve))
  const second = await join()
  await rejoined
  assert.equal(first.assignments?.[0]?.partitions.length, 2)
  assert.equal(second.assignments?.[0]?.partitions.length, 2)
  const alone = new Promise(resolve => first.once('consumer:group:join', resolve))
  await second.close(true)
  await alone
  assert.equal(first.assignments?.[0]?.partitions.length, 4)
})

test('an admin creates, grows, describes and deletes topics', async () => {
  await using broker = await EmbeddedBroker.start()
  await using clients = new AsyncDisposableStack()
  const admin = new Admin(clientOptions(broker))
  clients.defer(() => admin.close())
  const [created] = await admin.createTopics({ topics: ['orders'], partitions: 2, replicas: 1 })
  assert.equal(created!.id, broker.topicId('orders'))
  await assert.rejects(admin.createTopics({ topics: ['orders'], partitions: 2, replicas: 1 }))
  await admin.createPartitions({ topics: [{ name: 'orders', count: 3 }] })
  const metadata = await admin.metadata({ topics: ['orders'], forceUpdate: true })
  assert.equal(metadata.topics.get('orders')!.partitions.length, 3)
  assert.equal(metadata.brokers.get(1)!.port, broker.port)
  await admin.deleteTopics({ topics: ['orders'] })
  assert.deepEqual(await admin.listTopics(), [])
  assert.deepEqual(broker.rejections, [])
})

test('undecoded batches come through Connection.send with Fetch version 17', async () => {
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders' }] })
  await using clients = new AsyncDisposableStack()
  broker.produce('orders', 0, [{ value: 'a' }], { codec: 'lz4' })
  const [stored] = broker.storedBatches('orders', 0)
  const connection = new Connection('test')
  clients.defer(() => connection.close())
  await connection.connect('127.0.0.1', broker.port)
  const topics = [
    {
      topicId: broker.topicId('orders'),
      partitions: [
        {
          partition: 0,
          currentLeaderEpoch: 0,
          fetchOffset: 0n,
          lastFetchedEpoch: -1,
          partitionMaxBytes: 1 << 20,
        },
      ],
    },
  ]
  const body = await new Promise<Uint8Array>((resolve, reject) => {
    connection.send(
      1,
      17,
      () => fetchV17.createRequest(0, 1, 1 << 20, FetchIsolationLevels.READ_COMMITTED, 0, -1, topics, [], ''),
      (_correlationId, _apiKey, _apiVersion, reader: Reader) => reader.buffer.slice(reader.position),
      true,
      true,
      (error, slice) => (error ? reject(error) : resolve(slice as Uint8Array)),
    )
  })
  assert(Buffer.from(body).includes(Buffer.from(stored!.bytes)))
})

test('metadata, offsets by time, and a commit from outside the group', async () => {
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders' }] })
  await using clients = new AsyncDisposableStack()
  for (const timestampMs of [1_000, 3_000, 2_000]) {
    broker.produce('orders', 0, [{ timestampMs }, { timestampMs: timestampMs + 500 }], { codec: 'zstd' })
  }
  const connection = new Connection('test')
  clients.defer(() => connection.close())
  await connection.connect('127.0.0.1', broker.port)
  const metadata = await metadataV12.api
    .async(connection, ['orders', 'nowhere'], false, false)
    .catch((error: { response: Awaited<ReturnType<typeof metadataV12.api.async>> }) => error.response)
  assert.deepEqual(
    metadata.topics.map(topic => [topic.errorCode, topic.name]),
    [
      [0, 'orders'],
      [3, 'nowhere'],
    ],
  )
  assert.equal(metadata.topics[0]!.topicId, broker.topicId('orders'))

  const offsetAt = async (timestamp: bigint): Promise<bigint[]> => {
    const partitions = [{ partitionIndex: 0, currentLeaderEpoch: -1, timestamp }]
    const response = await listOffsetsV9.api.async(connection, -1, 0, [{ name: 'orders', partitions }])
    const [found] = response.topics[0]!.partitions
    return [found!.offset, found!.timestamp]
  }
  assert.deepEqual(await offsetAt(-2n), [0n, -1n])
  assert.deepEqual(await offsetAt(-1n), [6n, -1n])
  assert.deepEqual(await offsetAt(-3n), [3n, 3_500n])
  assert.deepEqual(await offsetAt(0n), [0n, 1_000n])
  assert.deepEqual(await offsetAt(1_200n), [1n, 1_500n])
  assert.deepEqual(await offsetAt(1_501n), [2n, 3_000n])
  assert.deepEqual(await offsetAt(9_999n), [-1n, -1n])

  const commit = {
    partitionIndex: 0,
    committedOffset: 4n,
    committedLeaderEpoch: 0,
    committedMetadata: 'note',
  }
  await offsetCommitV9.api.async(connection, 'job', -1, '', null, [{ name: 'orders', partitions: [commit] }])
  assert.deepEqual(broker.committedOffset('job', 'orders', 0), {
    offset: 4n,
    leaderEpoch: 0,
    metadata: 'note',
  })
  const fetched = await offsetFetchV9.api.async(
    connection,
    [{ groupId: 'job', memberEpoch: -1, topics: [{ name: 'orders', partitionIndexes: [0] }] }],
    false,
  )
  const [offset] = fetched.groups[0]!.topics[0]!.partitions
  assert.deepEqual([offset!.committedOffset, offset!.metadata], [4n, 'note'])
})
