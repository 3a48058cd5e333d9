/** Bad input on real parts: what real Kafka and a real S3 server say, and what becomes of it. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { after, before, describe, type TestContext, test } from 'node:test'
import { S3ObjectStore } from '@stream-ingest/delta'
import { KafkaProducer } from '../../../../scripts/kafka-producer.ts'
import { COMPRESSION_CODECS } from '../../src/kafka/compression.ts'
import { encodeRecordBatch } from '../../src/kafka/record-batch-encoder.ts'
import {
  assertFailure,
  type ConfigParts,
  documentOf,
  logOf,
  type Outcome,
  offsetsOf,
  range,
  SECRET,
  sound,
  Workplace,
} from '../cli/command-harness.ts'

const NEEDED = ['SI_TEST_KAFKA', 'SI_TEST_KAFKA_SASL', 'SI_TEST_S3_ENDPOINT'] as const
const missing = NEEDED.find(name => process.env[name] === undefined)
const skip = missing === undefined ? false : `${missing} is not set: no real parts`

const kafka = process.env.SI_TEST_KAFKA ?? ''
const saslKafka = process.env.SI_TEST_KAFKA_SASL ?? ''
const username = process.env.SI_TEST_KAFKA_SASL_USERNAME ?? ''
const password = process.env.SI_TEST_KAFKA_SASL_PASSWORD ?? ''
const endpoint = process.env.SI_TEST_S3_ENDPOINT ?? ''
const credentials = {
  accessKeyId: process.env.SI_TEST_S3_ACCESS_KEY ?? '',
  secretAccessKey: process.env.SI_TEST_S3_SECRET_KEY ?? '',
}
const bucket = process.env.SI_TEST_S3_BUCKET ?? ''
const MIB = 1024 * 1024

let producer: KafkaProducer
before(async () => {
  if (skip === false) producer = await KafkaProducer.connect(kafka)
})
after(() => producer?.close())

/** One topic and one table in the bucket, both of a name of their own. */
class Scene {
  readonly topic: string
  readonly prefix: string
  readonly workplace: Workplace

  private constructor(topic: string, prefix: string, workplace: Workplace) {
    this.topic = topic
    this.prefix = prefix
    this.workplace = workplace
  }

  static async open(t: TestContext): Promise<Scene> {
    const topic = `bad-input-${randomUUID()}`
    await producer.createTopic(topic, 1)
    const prefix = `bad-input-${randomUUID()}`
    return new Scene(topic, prefix, await Workplace.open(t, kafka, s3Section({ prefix })))
  }

  async produce(values: readonly { readonly value: string | Uint8Array | null }[]): Promise<void> {
    await producer.appendBatch(this.topic, 0, encodeRecordBatch(values, { baseOffset: 0n }))
  }

  async ingest(parts: ConfigParts = {}): Promise<Outcome> {
    return this.workplace.ingest({ ...parts, kafka: { topic: this.topic, ...parts.kafka } })
  }

  async ingestAll(parts: ConfigParts = {}): Promise<void> {
    const outcome = await this.ingest(parts)
    assert.equal(outcome.exitCode, 0, outcome.stderr)
  }

  async offsets(): Promise<number[]> {
    const store = new S3ObjectStore({
      bucket,
      prefix: `${this.prefix}/events`,
      region: 'us-east-1',
      endpoint,
      forcePathStyle: true,
      credentials,
    })
    try {
      return await offsetsOf(store)
    } finally {
      await store.close()
    }
  }
}

function s3Section(changes: object): object {
  return {
    bucket,
    region: 'us-east-1',
    endpoint,
    force_path_style: true,
    credentials: {
      access_key_id: credentials.accessKeyId,
      secret_access_key: credentials.secretAccessKey,
    },
    ...changes,
  }
}

describe('records on real parts', { skip, concurrency: true }, () => {
  test('one that is no JSON stops the run behind what is sound; skipped, all the rest is there once', async t => {
    const scene = await Scene.open(t)
    await scene.produce([...sound(0, 3), { value: '{"id": 3, "name": oops}' }, ...sound(4, 6)])
    for (let start = 0; start < 2; start++) {
      const outcome = await scene.ingest()
      assertFailure(outcome, {
        exitCode: 65,
        kind: 'serialization',
        code: 'RECORD_NOT_JSON',
        message: new RegExp(`^${scene.topic}\\[0\\]@3 \\$: expected a value at byte 18, found \`oops}\`$`),
        hint: /`processing\.on_bad_record: skip`/,
      })
      assert.deepEqual(await scene.offsets(), [0, 1, 2])
    }
    await scene.ingestAll({ processing: { on_bad_record: 'skip' } })
    assert.deepEqual(await scene.offsets(), [0, 1, 2, 4, 5])
  })

  for (const codec of COMPRESSION_CODECS) {
    test(`one of ten megabytes is a row like any other, ${codec}`, async t => {
      const scene = await Scene.open(t)
      const large = [{ value: `{"id":1,"name":"${'x'.repeat(10 * MIB)}"}` }]
      await scene.produce(sound(0, 1))
      await producer.appendBatch(scene.topic, 0, encodeRecordBatch(large, { baseOffset: 0n, codec }))
      await scene.produce(sound(2, 4))
      assertFailure(await scene.ingest({ processing: { memory_limit: '8MiB' } }), {
        exitCode: 65,
        code: 'KAFKA_BATCH_TOO_LARGE',
        message: new RegExp(`^record batch \`${scene.topic}-0@1\` holds .* over the bound of \\d+ bytes$`),
        hint: /raise `processing\.memory_limit`/,
      })
      assert.deepEqual(await scene.offsets(), [0])
      await scene.ingestAll()
      assert.deepEqual(await scene.offsets(), range(0, 4))
    })
  }
})

describe('offsets that real Kafka has deleted', { skip, concurrency: true }, () => {
  const lose = async (t: TestContext): Promise<Scene> => {
    const scene = await Scene.open(t)
    await scene.produce(sound(0, 5))
    await scene.ingestAll()
    await scene.produce(sound(5, 9))
    await scene.produce(sound(9, 12))
    await producer.deleteRecords(scene.topic, 0, 9n)
    return scene
  }

  test('end the run by default', async t => {
    const scene = await lose(t)
    assertFailure(await scene.ingest(), {
      exitCode: 65,
      code: 'KAFKA_OFFSET_OUT_OF_RANGE',
      message: /^offset 5 of `.*-0` is wanted, 9 to 12 are there: 4 offsets are lost to retention$/,
      hint: /set `kafka\.on_offset_out_of_range` to accept the loss/,
    })
    assert.deepEqual(await scene.offsets(), range(0, 5))
  })

  for (const [policy, resumed] of [
    ['earliest', 9],
    ['latest', 12],
  ] as const) {
    test(`are passed to the ${policy} where that is accepted, and the loss is counted`, async t => {
      const scene = await lose(t)
      const outcome = await scene.ingest({ kafka: { on_offset_out_of_range: policy } })
      // Other tests of this process log at the same time.
      const isLoss = (line: Readonly<Record<string, unknown>>): boolean =>
        line.event === 'offsets-lost' && line.topic === scene.topic
      assert.equal(outcome.exitCode, 0, outcome.stderr)
      assert.equal((documentOf(outcome).metrics as { lostOffsets: number }).lostOffsets, resumed - 5)
      assert.equal(logOf(outcome).filter(isLoss).length, 1)
      await scene.produce(sound(12, 14))
      await scene.ingestAll()
      assert.deepEqual(await scene.offsets(), [...range(0, 5), ...range(resumed, 14)])
    })
  }
})

describe('what real Kafka refuses', { skip, concurrency: true }, () => {
  test('a topic that does not exist, with the one that is meant', async t => {
    const scene = await Scene.open(t)
    const misspelled = scene.topic.replace('bad-input', 'bad-inptu')
    assertFailure(await scene.ingest({ kafka: { topic: misspelled } }), {
      exitCode: 66,
      code: 'KAFKA_TOPIC_NOT_FOUND',
      message: new RegExp(`^topic \`${misspelled}\` does not exist`),
      hint: new RegExp(`^did you mean \`${scene.topic}\`\\?$`),
    })
  })

  test('a topic name that cannot be', async t => {
    const scene = await Scene.open(t)
    const outcome = await scene.ingest({ kafka: { topic: 'no such/topic' } })
    assert.ok([66, 78].includes(outcome.exitCode), outcome.stderr)
  })

  const sasl = (mechanism: string, changes: object = {}): ConfigParts => ({
    kafka: {
      bootstrap_servers: saslKafka,
      security_protocol: 'sasl_plaintext',
      sasl: { mechanism, username, password, ...changes },
    },
  })
  for (const mechanism of ['plain', 'scram-sha-256', 'scram-sha-512']) {
    test(`a wrong password and a user who does not exist, ${mechanism}; the right ones do`, async t => {
      const scene = await Scene.open(t)
      await scene.produce(sound(0, 3))
      for (const changes of [{ password: SECRET }, { username: 'nobody', password: SECRET }]) {
        assertFailure(await scene.ingest(sasl(mechanism, changes)), {
          exitCode: 77,
          kind: 'kafka',
          code: 'KAFKA_AUTHENTICATION',
          message: new RegExp(
            `^broker \`${saslKafka}\` refused the credentials \\(${mechanism.toUpperCase()}\\): .*[Aa]uthentication failed`,
          ),
          hint: /check the name and the secret in `kafka\.sasl`/,
          retryable: false,
        })
      }
      await scene.ingestAll(sasl(mechanism))
      assert.deepEqual(await scene.offsets(), range(0, 3))
    })
  }

  test('a mechanism that the listener does not know', async t => {
    const scene = await Scene.open(t)
    const server = createServer((_request, response) =>
      response.end('{"access_token":"token","expires_in":60}'),
    )
    server.listen(0, '127.0.0.1')
    await new Promise(resolve => server.once('listening', resolve))
    t.after(() => server.close())
    const { port } = server.address() as { port: number }
    const outcome = await scene.ingest({
      kafka: {
        bootstrap_servers: saslKafka,
        security_protocol: 'sasl_plaintext',
        sasl: {
          mechanism: 'oauthbearer',
          token_endpoint: `http://127.0.0.1:${port}/`,
          client_id: 'me',
          client_secret: SECRET,
        },
      },
    })
    assertFailure(outcome, {
      exitCode: 77,
      kind: 'kafka',
      code: 'KAFKA_AUTHENTICATION',
      message:
        /refused the credentials \(OAUTHBEARER\): The broker does not support the requested SASL mechanism/,
      hint: /set `kafka\.sasl\.mechanism` to one that the listener offers: .*`plain`/,
    })
  })

  test('a client without SASL on the listener that wants it', async t => {
    const scene = await Scene.open(t)
    assertFailure(await scene.ingest({ kafka: { bootstrap_servers: saslKafka } }), {
      exitCode: 69,
      code: 'KAFKA_UNREACHABLE',
      message: new RegExp(`\`${saslKafka}\``),
      hint: /`kafka\.security_protocol`/,
    })
  })

  test('a client with SASL on the listener that has none', async t => {
    const scene = await Scene.open(t)
    const { kafka: changes } = sasl('plain', { password: SECRET })
    const outcome = await scene.ingest({ kafka: { ...changes, bootstrap_servers: kafka } })
    assertFailure(outcome, {
      exitCode: 78,
      code: 'KAFKA_SECURITY_PROTOCOL',
      message: new RegExp(`^broker \`${kafka}\` has no SASL on this listener`),
      hint: /set `kafka\.security_protocol` to `plaintext`/,
    })
  })

  test('a client with TLS on the listener that has none', async t => {
    const scene = await Scene.open(t)
    assertFailure(await scene.ingest({ kafka: { security_protocol: 'ssl' } }), {
      exitCode: 69,
      code: 'KAFKA_UNREACHABLE',
      message: new RegExp(`^no answer from \`${kafka}\`: it ended the TLS handshake$`),
      hint: /`kafka\.security_protocol`/,
    })
  })
})

describe('what a real S3 server refuses', { skip, concurrency: true }, () => {
  const cases: Readonly<
    Record<string, { s3: () => object; exitCode: number; code: string; message: RegExp; hint: RegExp }>
  > = {
    'a bucket that does not exist': {
      s3: () => s3Section({ bucket: 'no-such-bucket' }),
      exitCode: 66,
      code: 'STORE_BUCKET_NOT_FOUND',
      message: /`s3:\/\/no-such-bucket\/.*NoSuchBucket/,
      hint: /create the bucket, or correct its name or region/,
    },
    'an access key that it does not know': {
      s3: () => s3Section({ credentials: { access_key_id: 'nobody', secret_access_key: SECRET } }),
      exitCode: 77,
      code: 'STORE_CREDENTIALS',
      message: /InvalidAccessKeyId/,
      hint: /this access key id does not exist/,
    },
    'a secret key that is wrong': {
      s3: () =>
        s3Section({ credentials: { access_key_id: credentials.accessKeyId, secret_access_key: SECRET } }),
      exitCode: 77,
      code: 'STORE_CREDENTIALS',
      message: /SignatureDoesNotMatch/,
      hint: /the secret access key is not the one of this access key id/,
    },
    'https on its http port': {
      s3: () => s3Section({ endpoint: endpoint.replace('http:', 'https:') }),
      exitCode: 69,
      code: 'STORE_UNAVAILABLE',
      message: /failed: /,
      hint: /check `http` or `https`, and the port/,
    },
  }
  for (const [name, { s3, ...expected }] of Object.entries(cases)) {
    test(`${name}; once it is right, the run takes everything`, async t => {
      const scene = await Scene.open(t)
      await scene.produce(sound(0, 5))
      assertFailure(await scene.ingest({ s3: s3() }), { kind: 's3', ...expected })
      await scene.ingestAll()
      assert.deepEqual(await scene.offsets(), range(0, 5))
    })
  }
})
