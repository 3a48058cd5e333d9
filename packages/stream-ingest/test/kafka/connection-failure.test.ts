import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { systemRuntime } from '@stream-ingest/delta'
import { CertificateAuthority } from '../../../../scripts/stack/certificate.ts'
import { type KafkaConfig, Secret } from '../../src/config/ingest-config.ts'
import { KafkaError, StreamIngestError } from '../../src/error.ts'
import { KafkaCluster } from '../../src/kafka/cluster.ts'
import { connectionError } from '../../src/kafka/connection-failure.ts'
import { EmbeddedBroker } from '../../src/testing/index.ts'
import { kafkaConfig } from './kafka-fixture.ts'

const AUTHORITY = new CertificateAuthority('test authority')
const ONCE = { attemptsMax: 1, baseDelayMs: 1, maxDelayMs: 1 }

/** A server that hangs up as soon as it is spoken to: a broker that goes down, or one without TLS. */
async function hangUp(t: TestContext): Promise<string> {
  const server = createServer((socket: Socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.resetAndDestroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** TLS before the embedded broker. */
async function behindTls(t: TestContext, broker: EmbeddedBroker): Promise<string> {
  const { key, certificate } = AUTHORITY.issue({ commonName: 'broker', hosts: ['127.0.0.1'] })
  const server = createTlsServer({ key, cert: certificate }, client => {
    const upstream = connect(broker.port, '127.0.0.1')
    for (const socket of [client, upstream]) socket.on('error', () => {})
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
    client.pipe(upstream).pipe(client)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

function openCluster(t: TestContext, config: Partial<KafkaConfig>): KafkaCluster {
  const options = { runtime: systemRuntime, retry: ONCE, fetchUrl: fetch }
  const cluster = new KafkaCluster(kafkaConfig('', 'events', config), options)
  t.after(() => cluster.close())
  return cluster
}

test('a handshake that is cut off lets another server be asked', async t => {
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'events' }] })
  const cluster = openCluster(t, {
    bootstrapServers: [await hangUp(t), await behindTls(t, broker)],
    securityProtocol: 'ssl',
    ssl: { ca: AUTHORITY.certificate, rejectUnauthorized: true },
  })
  const connection = await cluster.anyConnection()
  assert.equal(connection.isOpen, true)
})

test('a SASL exchange that is cut off is no judgement of the credentials', async t => {
  const cluster = openCluster(t, {
    bootstrapServers: [await hangUp(t)],
    securityProtocol: 'sasl_plaintext',
    sasl: { mechanism: 'plain', username: 'alice', password: new Secret('secret') },
  })
  await assert.rejects(cluster.anyConnection(), (error: unknown) => {
    assert(error instanceof KafkaError, String(error))
    assert.equal(error.code, 'KAFKA_UNREACHABLE')
    assert.equal(error.isRetryable(), true)
    return true
  })
})

test('a certificate that is refused is not asked for again', () => {
  const thrown = new Error('failed', {
    cause: Object.assign(new Error('certificate has expired'), { code: 'CERT_HAS_EXPIRED' }),
  })
  const error = connectionError(thrown, 'broker:9093')
  assert.equal(error.code, 'KAFKA_TLS')
  assert.equal(error.isRetryable(), false)
})

test('what is thrown for a connection that broke while it was authenticated is judged the same everywhere', () => {
  const broken = Object.assign(new Error('Connection closed'), { code: 'PLT_KFK_NETWORK' })
  const thrown = Object.assign(new Error('SASL authentication failed.', { cause: broken }), {
    code: 'PLT_KFK_AUTHENTICATION',
  })
  for (const error of [connectionError(thrown, 'broker:9092'), StreamIngestError.from(thrown)]) {
    assert.deepEqual([error.code, error.isRetryable()], ['KAFKA_UNREACHABLE', true])
  }
})
