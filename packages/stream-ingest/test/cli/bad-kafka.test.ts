/** Kafka that is not there, is not Kafka, or does not have what is asked for. */
import assert from 'node:assert/strict'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type Server, type Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { EmbeddedBroker } from '../../src/testing/index.ts'
import { assertFailure, range, run, SECRET, sound, Workplace } from './command-harness.ts'
import { deadAddress, serve } from './local-server.ts'

/** Of `broker.test`, signed by itself, until 2126. */
const TLS_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgN5Ph/elNNCbD4Q7r
p/2L/Q6Ld3Me5fd5vIS3X4wxgWmhRANCAAQ7xMnsFO6wgqzucIKwnSLztsTm1tMl
jzH78dFdnKBByWx9le96Pp9ue6m/GCcGMO9S8MmYrHJp9oUtrtGSO5HH
-----END PRIVATE KEY-----
`
const TLS_CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIUN5bM7jkMxM1/qsx6fxFH3jRXsGwwCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLYnJva2VyLnRlc3QwIBcNMjYxMTIzMTY0NjQwWhgPMjEyNjEw
MzAxNjQ2NDBaMBYxFDASBgNVBAMMC2Jyb2tlci50ZXN0MFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEO8TJ7BTusIKs7nCCsJ0i87bE5tbTJY8x+/HRXZygQclsfZXv
ej6fbnupvxgnBjDvUvDJmKxyafaFLa7RkjuRx6NTMFEwHQYDVR0OBBYEFLGZXmEs
mHeqtHBks8cfPUJ1GaZ4MB8GA1UdIwQYMBaAFLGZXmEsmHeqtHBks8cfPUJ1GaZ4
MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAJr/bhEo0fOhUlP3
4oDidHCRBfoYXyzaL8DPFj1oeSb3AiAaO/SNnoniJelukooXQeZ8lou5QhKLHmSe
t6u5jtiAbg==
-----END CERTIFICATE-----
`

const tlsServer = (): Server => createTlsServer({ key: TLS_KEY, cert: TLS_CERTIFICATE })

const UNREACHABLE = { exitCode: 69, kind: 'kafka', code: 'KAFKA_UNREACHABLE', retryable: true } as const

describe('no broker', () => {
  test('is said within seconds, with the address', async t => {
    const address = await deadAddress()
    const workplace = await Workplace.open(t, address)
    const error = assertFailure(await workplace.ingest(), {
      ...UNREACHABLE,
      message: new RegExp(`^no answer from \`${address}\`: connect ECONNREFUSED ${address}$`),
      hint: /check `kafka\.bootstrap_servers`, the network and the listener/,
    })
    assert.equal(error.context.servers, address)
  })

  test('of several: all are named, each with what it said', async t => {
    const [first, second] = [await deadAddress(), await deadAddress()]
    const workplace = await Workplace.open(t, `${first},${second}`)
    assertFailure(await workplace.ingest(), {
      ...UNREACHABLE,
      message: new RegExp(
        `^none of \`${first}\`, \`${second}\` answers: .*ECONNREFUSED ${first}.*ECONNREFUSED ${second}$`,
      ),
      hint: /bootstrap_servers/,
    })
  })

  test('one that is there among others that are not is enough', async t => {
    await using broker = await EmbeddedBroker.start({ topics: [{ name: 'events' }] })
    broker.produce('events', 0, sound(0, 3))
    const workplace = await Workplace.open(t, `${await deadAddress()},${broker.bootstrapServers}`)
    await workplace.ingestAll()
    assert.deepEqual(await workplace.offsets(), range(0, 3))
  })

  test('a host that has no address', async t => {
    const workplace = await Workplace.open(t, 'kafka.invalid:9092')
    assertFailure(await workplace.ingest(), {
      ...UNREACHABLE,
      message: /^no answer from `kafka\.invalid:9092`: getaddrinfo (ENOTFOUND|EAI_AGAIN) kafka\.invalid$/,
      hint: /bootstrap_servers/,
    })
  })
})

describe('a server that is no Kafka broker', { concurrency: true }, () => {
  const notKafka = {
    ...UNREACHABLE,
    hint: /check that the port is one of Kafka, and that `kafka\.security_protocol` is the one of this listener/,
  }
  const quick = { kafka: { request_timeout_ms: 1000 } }

  test('of HTTP', async t => {
    const address = await serve(
      t,
      createHttpServer((_request, response) => response.end('hello')),
    )
    const workplace = await Workplace.open(t, address)
    assertFailure(await workplace.ingest(), {
      ...notKafka,
      message: new RegExp(`^\`${address}\` does not answer as a Kafka broker: it closed the connection`),
    })
  })

  const servers: Readonly<Record<string, (socket: Socket) => void>> = {
    'that greets first, as SSH does': socket => socket.write('SSH-2.0-OpenSSH_9.0\r\n'),
    'that never says a word': () => {},
    'that says zeros without end': socket => {
      const more = (): void => {
        while (socket.write(Buffer.alloc(1024)));
      }
      socket.on('drain', more)
      more()
    },
    'that announces two gigabytes': socket => socket.write(Buffer.from('7fffffff00000000', 'hex')),
  }
  for (const [name, greet] of Object.entries(servers)) {
    test(name, async t => {
      const address = await serve(t, createServer(greet))
      const workplace = await Workplace.open(t, address)
      assertFailure(await workplace.ingest(quick), {
        ...notKafka,
        message: new RegExp(
          `^\`${address}\` does not answer as a Kafka broker: (no answer within 1000 ms|it closed)`,
        ),
      })
    })
  }
})

describe('a broker of another security protocol', () => {
  const failedTls = { exitCode: 69, kind: 'kafka', code: 'KAFKA_TLS', retryable: false } as const

  test('that wants TLS from a client without', async t => {
    // What TLS says to a request that is none, before it closes: a fatal alert, `unexpected_message`.
    const alert = Uint8Array.of(0x15, 3, 3, 0, 2, 2, 10)
    const server = createServer(socket => socket.once('data', () => socket.end(alert)))
    const address = await serve(t, server)
    const workplace = await Workplace.open(t, address)
    assertFailure(await workplace.ingest(), {
      exitCode: 78,
      kind: 'kafka',
      code: 'KAFKA_SECURITY_PROTOCOL',
      retryable: false,
      message: new RegExp(`^\`${address}\` speaks TLS, and was not spoken to so$`),
      hint: /set `kafka\.security_protocol` to `ssl` or `sasl_ssl`/,
    })
  })

  test('that wants TLS and only hangs up', async t => {
    const address = await serve(t, tlsServer())
    const workplace = await Workplace.open(t, address)
    assertFailure(await workplace.ingest(), {
      ...UNREACHABLE,
      message: /does not answer as a Kafka broker: it closed the connection/,
      hint: /`kafka\.security_protocol` is the one of this listener/,
    })
  })

  test('that has no TLS for a client that wants it', async t => {
    await using broker = await EmbeddedBroker.start({ topics: [{ name: 'events' }] })
    const workplace = await Workplace.open(t, broker.bootstrapServers)
    assertFailure(await workplace.ingest({ kafka: { security_protocol: 'ssl' } }), {
      // A broker that goes down does the same: it is asked again.
      ...UNREACHABLE,
      message: new RegExp(`^no answer from \`${broker.bootstrapServers}\`: it ended the TLS handshake$`),
      hint: /check that `kafka\.security_protocol` is the one of this listener/,
    })
  })

  test('whose certificate nobody vouches for', async t => {
    const address = await serve(t, tlsServer())
    const workplace = await Workplace.open(t, address)
    assertFailure(await workplace.ingest({ kafka: { security_protocol: 'ssl' } }), {
      ...failedTls,
      message: /self-signed certificate.*\(DEPTH_ZERO_SELF_SIGNED_CERT\)/,
      hint: /into `kafka\.ssl\.ca`/,
    })
  })

  test('whose certificate is of another name', async t => {
    const address = await serve(t, tlsServer())
    const workplace = await Workplace.open(t, address)
    const ssl = { ca: TLS_CERTIFICATE, server_name: 'other.test' }
    assertFailure(await workplace.ingest({ kafka: { security_protocol: 'ssl', ssl } }), {
      ...failedTls,
      message: /other\.test.*(ERR_TLS_CERT_ALTNAME_INVALID)/,
      hint: /`kafka\.ssl\.server_name`/,
    })
  })

  test('that does not know SASL', async t => {
    await using broker = await EmbeddedBroker.start({ topics: [{ name: 'events' }] })
    const workplace = await Workplace.open(t, broker.bootstrapServers)
    const sasl = { mechanism: 'plain', username: 'alice', password: SECRET }
    assertFailure(await workplace.ingest({ kafka: { security_protocol: 'sasl_plaintext', sasl } }), {
      ...UNREACHABLE,
      message: /does not answer as a Kafka broker/,
      hint: /`kafka\.security_protocol` is the one of this listener/,
    })
  })

  test('whose secret cannot be read here', async t => {
    const workplace = await Workplace.open(t, await deadAddress())
    const sasl = { mechanism: 'plain', username: 'alice', password: { from_env: 'NO_SUCH_VARIABLE' } }
    assertFailure(await workplace.ingest({ kafka: { security_protocol: 'sasl_plaintext', sasl } }), {
      exitCode: 78,
      kind: 'config',
      code: 'CONFIG_INVALID',
      message: /NO_SUCH_VARIABLE/,
      hint: /./,
    })
  })
})

describe('what the broker does not have', () => {
  async function withBroker(
    t: TestContext,
    run: (broker: EmbeddedBroker, workplace: Workplace) => Promise<void>,
  ) {
    await using broker = await EmbeddedBroker.start({ topics: [{ name: 'events', partitions: 2 }] })
    broker.produce('events', 0, sound(0, 3))
    await run(broker, await Workplace.open(t, broker.bootstrapServers))
  }

  const missing = { exitCode: 66, kind: 'kafka', code: 'KAFKA_TOPIC_NOT_FOUND', retryable: false } as const
  for (const [name, topic, hint] of [
    ['a topic that is misspelled', 'evnets', /^did you mean `events`\?$/],
    ['a topic in another spelling', 'Events', /^did you mean `events`\?$/],
    ['a topic that resembles none', 'orders', /create the topic, or correct `kafka\.topic`/],
  ] as const) {
    test(name, t =>
      withBroker(t, async (_broker, workplace) => {
        const error = assertFailure(await workplace.ingest({ kafka: { topic } }), {
          ...missing,
          message: new RegExp(`^topic \`${topic}\` does not exist`),
          hint,
        })
        assert.equal(error.context.topic, topic)
        await workplace.ingestAll()
        assert.deepEqual(await workplace.offsets(), range(0, 3))
      }),
    )
  }

  test('one of several topics', t =>
    withBroker(t, async (broker, workplace) => {
      const config = await workplace.configure()
      assert.ok(config)
      assertFailure(await workplace.ingest({ kafka: { topic: undefined, topics: ['events', 'event'] } }), {
        ...missing,
        message: /^topic `event` does not exist/,
        hint: /did you mean `events`/,
      })
      assert.equal(broker.requestCount('Fetch'), 0)
    }))

  test('a partition that is listed', t =>
    withBroker(t, async (_broker, workplace) => {
      assertFailure(await workplace.ingest({ kafka: { assignment: [0, 7] } }), {
        ...missing,
        message: /^`kafka\.assignment` lists partition 7 of topic `events`, which has 2$/,
        hint: /correct `kafka\.assignment`/,
      })
    }))

  for (const [name, api, error] of [
    ['the right to describe the topic', 'Metadata', 'TOPIC_AUTHORIZATION_FAILED'],
    ['the right to read the topic', 'Fetch', 'TOPIC_AUTHORIZATION_FAILED'],
  ] as const) {
    test(name, t =>
      withBroker(t, async (broker, workplace) => {
        broker.failNext(api, error, 1)
        assertFailure(await workplace.ingest(), {
          exitCode: 77,
          kind: 'kafka',
          code: 'KAFKA_AUTHORIZATION',
          message: /^the broker denied `(Describe|Read)` on topic `events`: TOPIC_AUTHORIZATION_FAILED$/,
          hint: /^grant `(Describe|Read)` on topic `events` to this principal$/,
        })
        await workplace.ingestAll()
        assert.deepEqual(await workplace.offsets(), range(0, 3))
      }),
    )
  }

  test('the right to write the group’s offsets costs a warning, and no row', t =>
    withBroker(t, async (broker, workplace) => {
      broker.failNext('OffsetCommit', 'GROUP_AUTHORIZATION_FAILED', 100)
      const outcome = await workplace.ingest()
      assert.equal(outcome.exitCode, 0)
      assert.match(outcome.stderr, /Kafka did not take the group’s offsets \(the table has them\)/)
      assert.match(outcome.stderr, /"level":"warn"/)
      assert.deepEqual(await workplace.offsets(), range(0, 3))
    }))
})

describe('a broker that goes while it is read', () => {
  test('for a moment: nobody notices but the log of the broker', async t => {
    await using broker = await EmbeddedBroker.start({ topics: [{ name: 'events' }] })
    const workplace = await Workplace.open(t, broker.bootstrapServers)
    broker.produce('events', 0, sound(0, 10))
    broker.failNext('Fetch', 'disconnect', 2)
    await workplace.ingestAll()
    assert.deepEqual(await workplace.offsets(), range(0, 10))
  })

  test('so that the right to read ends: what was read is in the table, and the next run goes on', async t => {
    await using broker = await EmbeddedBroker.start({ topics: [{ name: 'events' }] })
    const workplace = await Workplace.open(t, broker.bootstrapServers)
    const config = await workplace.configure({ kafka: { fetch_max_wait_ms: 50 } })
    broker.produce('events', 0, sound(0, 10))
    const running = run(['run', config, '--json', '--log', 'json'], { cwd: workplace.folder })
    await broker.nextRequest('Fetch')
    await broker.nextRequest('Fetch')
    broker.failNext('Fetch', 'TOPIC_AUTHORIZATION_FAILED', 1)
    assertFailure(await running, {
      exitCode: 77,
      code: 'KAFKA_AUTHORIZATION',
      message: /denied/,
      hint: /grant/,
    })
    assert.deepEqual(await workplace.offsets(), range(0, 10))
    broker.produce('events', 0, sound(10, 12))
    await workplace.ingestAll()
    assert.deepEqual(await workplace.offsets(), range(0, 12))
  })
})
