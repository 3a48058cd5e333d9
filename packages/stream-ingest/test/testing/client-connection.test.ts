import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createConnection } from 'node:net'
import { test } from 'node:test'
import { EmbeddedBroker, PROTOCOL_ERRORS } from '../../src/testing/index.ts'
import { fetchOne, fetchRequest, RawClient, type RawRequest } from './raw-client.ts'

const apiVersions = (version: number): RawRequest => ({
  apiKey: 18,
  version,
  flexible: version >= 3,
  flexibleResponseHeader: false,
  body: writer => {
    if (version >= 3) writer.string('test').string('1').tags()
  },
})

test('lists its APIs in every version of ApiVersions', async () => {
  await using broker = await EmbeddedBroker.start()
  using client = await RawClient.connect(broker)
  const lists = []
  for (const version of [0, 1, 2, 3, 4]) {
    const reader = await client.request(apiVersions(version))
    assert.equal(reader.int16(), 0)
    const apis = reader.array(() => {
      const api = [reader.int16(), reader.int16(), reader.int16()]
      reader.skipTags()
      return api
    })
    if (version >= 1) assert.equal(reader.int32(), 0)
    reader.skipTags()
    assert.equal(reader.remainingBytes, 0)
    lists.push(apis)
  }
  for (const list of lists) assert.deepEqual(list, lists[0])
  assert.deepEqual(
    lists[0]!.find(([key]) => key === 1),
    [1, 4, 18],
  )
})

test('answers an unknown version of ApiVersions with UNSUPPORTED_VERSION and the list, in version 0', async () => {
  await using broker = await EmbeddedBroker.start()
  using client = await RawClient.connect(broker)
  const correlationId = client.send(apiVersions(99))
  const reader = await client.receive(correlationId, false)
  assert.equal(reader.int16(), PROTOCOL_ERRORS.UNSUPPORTED_VERSION)
  assert(reader.array(() => [reader.int16(), reader.int16(), reader.int16()]).length > 10)
  assert.equal(reader.remainingBytes, 0)
  const next = await client.request(apiVersions(0))
  assert.equal(next.int16(), 0, 'the connection stays open')
})

test('closes the connection at what it does not understand, and says why', async () => {
  await using broker = await EmbeddedBroker.start({ maxRequestBytes: 1_000 })
  const unknown = { flexible: false, body: () => {} }
  const reject = async (send: (client: RawClient) => void): Promise<string> => {
    using client = await RawClient.connect(broker)
    send(client)
    await client.closed()
    return broker.rejections.at(-1)!.reason
  }
  assert.match(await reject(client => client.send({ ...unknown, apiKey: 999, version: 0 })), /not known/)
  assert.match(
    await reject(client => client.send({ ...unknown, apiKey: 1, version: 3 })),
    /Fetch is known in versions 4 to 18/,
  )
  assert.match(await reject(client => client.send({ ...unknown, apiKey: 1, version: 12 })), /malformed/)
  const lyingArray: RawRequest = {
    apiKey: 3,
    version: 0,
    flexible: false,
    body: writer => writer.int32(0x7fffffff),
  }
  assert.match(await reject(client => client.send(lyingArray)), /announces `2147483647` items/)
  assert.match(await reject(client => client.write(Buffer.from([0x7f, 0xff, 0xff, 0xff]))), /over the limit/)
  assert.match(await reject(client => client.write(Buffer.from([0xff, 0xff, 0xff, 0xff]))), /over the limit/)
})

test('answers requests that come in one piece, in their order, also byte by byte', async () => {
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders' }] })
  using client = await RawClient.connect(broker)
  const poll = fetchRequest({
    topicId: broker.topicId('orders'),
    partitions: [{ partition: 0, offset: 0n }],
    maxWaitMs: 60_000,
  })
  const arrived = broker.nextRequest('Fetch')
  const first = client.send(poll)
  const others = Array.from({ length: 20 }, () => client.send(apiVersions(3)))
  await arrived
  broker.produce('orders', 0, [{ value: 'late' }])
  await client.receive(first, true)
  for (const correlationId of others) await client.receive(correlationId, true, false)

  const bytes = Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 77, 0xff, 0xff])
  for (const byte of bytes) client.write(Buffer.from([byte]))
  await client.receive(77, false)
})

test('accepts so many connections and no more', async () => {
  await using broker = await EmbeddedBroker.start({ maxConnections: 1 })
  using client = await RawClient.connect(broker)
  await client.request(apiVersions(0))
  const refused = createConnection({ host: '127.0.0.1', port: broker.port })
  refused.on('error', () => {})
  await once(refused, 'close')
  assert.equal(broker.connectionCount, 1)
  await client.request(apiVersions(0))
})

test('faults come in the order and number in which they were ordered', async () => {
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders', partitions: 2 }] })
  broker.produce('orders', 0, [{ value: 'a' }])
  broker.failNext('Fetch', 'NOT_LEADER_OR_FOLLOWER', 2, { partition: 0 })
  broker.failNext('Fetch', 'disconnect')
  const request = { topicId: broker.topicId('orders'), partitions: [{ partition: 0, offset: 0n }] }
  using client = await RawClient.connect(broker)
  for (let time = 0; time < 2; time++) {
    const fetched = await fetchOne(client, { ...request, maxWaitMs: 60_000 })
    assert.equal(fetched.errorCode, PROTOCOL_ERRORS.NOT_LEADER_OR_FOLLOWER)
  }
  client.send(fetchRequest(request))
  await client.closed()
  using another = await RawClient.connect(broker)
  assert.equal((await fetchOne(another, request)).errorCode, 0)
  assert.equal(broker.requestCount('Fetch'), 4)
})

test('an ordered error hits the named partition only', async () => {
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'orders', partitions: 2 }] })
  using client = await RawClient.connect(broker)
  const request = (partition: number) => ({
    topicId: broker.topicId('orders'),
    partitions: [{ partition, offset: 0n }],
  })
  broker.failNext('Fetch', 6, 2, { topic: 'orders', partition: 1 })
  assert.equal((await fetchOne(client, request(0))).errorCode, 0)
  assert.equal((await fetchOne(client, request(1))).errorCode, 6)
})

test('a hanging connection stays open and silent; others are served', async () => {
  await using broker = await EmbeddedBroker.start()
  broker.failNext('ApiVersions', 'hang')
  using silent = await RawClient.connect(broker)
  const arrived = broker.nextRequest('ApiVersions')
  silent.send(apiVersions(0))
  silent.send(apiVersions(0))
  await arrived
  using served = await RawClient.connect(broker)
  await served.request(apiVersions(0))
  assert.equal(broker.connectionCount, 2)
  broker.disconnectClients()
  await silent.closed()
})

test('close ends long polls and connections, and frees the port', async () => {
  const broker = await EmbeddedBroker.start({ topics: [{ name: 'orders' }] })
  using client = await RawClient.connect(broker)
  const arrived = broker.nextRequest('Fetch')
  client.send(
    fetchRequest({
      topicId: broker.topicId('orders'),
      partitions: [{ partition: 0, offset: 0n }],
      maxWaitMs: 60_000,
    }),
  )
  await arrived
  await broker.close()
  await client.closed()
  await broker.close()
  await using again = await EmbeddedBroker.start({ port: broker.port })
  assert.equal(again.port, broker.port)
})

test('a taken port is an IO_FAILED that names it', async () => {
  await using broker = await EmbeddedBroker.start()
  await assert.rejects(
    EmbeddedBroker.start({ port: broker.port }),
    (error: { code: string; message: string }) => {
      assert.equal(error.code, 'IO_FAILED')
      assert(error.message.includes(broker.bootstrapServers))
      return true
    },
  )
})
