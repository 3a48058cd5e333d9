/** `doctor` where nothing is wrong: TLS, SASL and a bucket, before the first run and after. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, describe, test } from 'node:test'
import { S3ObjectStore } from '@stream-ingest/delta'
import { KafkaProducer } from '../../../../../scripts/kafka-producer.ts'
import { run, sound, Workplace } from '../../cli/command-harness.ts'
import { checksOf, parts, s3Section, saslSection, skip } from './broken-environment.ts'

describe('doctor and an environment that is sound', { skip }, () => {
  const producer = skip === false ? KafkaProducer.connect(parts.kafka) : null
  after(async () => (await producer)?.close())

  for (const mechanism of ['plain', 'scram-sha-256', 'scram-sha-512']) {
    test(`passes every check over TLS and ${mechanism}, and leaves the bucket as it was`, async t => {
      const topic = `sound-${randomUUID()}`
      await (await producer)?.createTopic(topic, 3)
      for (const [partition, codec] of (['gzip', 'lz4', 'zstd'] as const).entries()) {
        await (await producer)?.append(topic, partition, sound(0, 30), { codec })
      }
      const s3 = s3Section({
        credentials: {
          access_key_id: parts.accessKey,
          secret_access_key: { from_env: 'SECRET_KEY' },
        },
      }) as { prefix: string }
      const kafka = {
        bootstrap_servers: parts.saslSsl,
        topic,
        security_protocol: 'sasl_ssl',
        ssl: { ca: parts.authority },
        sasl: saslSection({
          mechanism,
          username: parts.limitedUsername,
          password: { from_env: 'PASSWORD' },
        }),
      }
      const workplace = await Workplace.open(t, parts.saslSsl, s3)
      const config = await workplace.configure({ kafka })
      const env = { SECRET_KEY: parts.secretKey, PASSWORD: parts.limitedPassword }
      const options = { cwd: workplace.folder, env }

      const first = await run(['doctor', config, '--json'], options)
      assertAllPass(first)
      assert.deepEqual(await keysBelow(s3.prefix), [])

      const ran = await run(['run', config, '--until-latest', '--json', '--log', 'json'], options)
      assert.equal(ran.exitCode, 0, ran.stderr)
      const before = await keysBelow(s3.prefix)
      const second = await run(['doctor', config, '--json'], options)
      assertAllPass(second)
      assert.deepEqual(await keysBelow(s3.prefix), before)
      for (const { stdout, stderr } of [first, second]) {
        for (const secret of Object.values(env))
          assert(!(stdout + stderr).includes(secret), 'a secret is printed')
      }
      const text = await run(['doctor', config], options)
      assert.match(text.stdout, new RegExp(`✓ connect to .*: TLS, SASL/${mechanism.toUpperCase()}`))
      assert.match(text.stdout, /✓ offsets: 0 to read/)
      assert.match(text.stdout, /✓ messages: the newest 60 fit the columns/)
      assert.match(text.stdout, /\n\d+ passed\.\n$/)
    })
  }
})

function assertAllPass(outcome: Parameters<typeof checksOf>[0]): void {
  const wrong = checksOf(outcome).filter(({ status }) => status !== 'pass')
  assert.deepEqual(wrong, [])
  assert.equal(outcome.exitCode, 0)
}

async function keysBelow(prefix: string): Promise<string[]> {
  const store = new S3ObjectStore({
    bucket: parts.bucket,
    prefix,
    region: 'us-east-1',
    endpoint: parts.s3,
    forcePathStyle: true,
    credentials: { accessKeyId: parts.accessKey, secretAccessKey: parts.secretKey },
  })
  try {
    const keys: string[] = []
    for await (const { key } of store.list('')) keys.push(key)
    return keys
  } finally {
    await store.close()
  }
}
