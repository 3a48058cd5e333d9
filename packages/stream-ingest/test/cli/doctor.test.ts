/** `doctor` without real parts: its two forms, what it leaves alone, and faults that no real broker can be given. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { systemRuntime } from '@stream-ingest/delta'
import { IngestConfig } from '../../src/config/config.ts'
import { diagnose } from '../../src/doctor/doctor.ts'
import { EmbeddedBroker } from '../../src/testing/index.ts'
import { WireWriter } from '../../src/testing/wire.ts'
import { documentOf, type Outcome, run, sound, Workplace } from './command-harness.ts'

interface ShownCheck {
  readonly group: string
  readonly pipeline: string
  readonly title: string
  readonly status: 'pass' | 'warn' | 'fail'
  readonly code: string | null
  readonly message: string | null
  readonly help: string | null
}

const checksOf = (outcome: Outcome): ShownCheck[] => documentOf(outcome).checks as ShownCheck[]

/** Times and places that differ from run to run. */
function settled(text: string, folder: string, address: string): string {
  return text
    .replaceAll(folder, '.')
    .replaceAll(address, 'broker:9092')
    .replaceAll(/ +(\d+ ms|\d+\.\d s)$/gm, '  … ms')
    .replaceAll(/free space: \S+ \S+/g, 'free space: 9 GiB')
    .replace(/node \S+/, 'node N')
}

async function withBroker(
  t: TestContext,
  work: (broker: EmbeddedBroker, workplace: Workplace) => Promise<void>,
): Promise<void> {
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'events', partitions: 2 }] })
  broker.produce('events', 0, sound(0, 3))
  await work(broker, await Workplace.open(t, broker.bootstrapServers))
}

describe('doctor', () => {
  test('lists what was looked at, group by group, and ends with 0', t =>
    withBroker(t, async (broker, workplace) => {
      const config = await workplace.configure()
      const outcome = await run(['doctor', config], { cwd: workplace.folder })
      assert.equal(outcome.exitCode, 0, outcome.stdout)
      assert.equal(
        settled(outcome.stdout, workplace.folder, broker.bootstrapServers),
        `stream-ingest 0.1.0 · node N
Config    ✓ valid: pipeline.yaml  … ms

events   topic events @ broker:9092  →  ./lake/events
Kafka     ✓ connect to broker:9092: plaintext  … ms
          ✓ cluster: 1 broker  … ms
          ✓ advertised listeners: 1/1 reached (broker:9092)  … ms
          ✓ topic events: 2 partitions  … ms
          ✓ read the newest messages: 3 offsets in 2 partitions  … ms
          ✓ group lake: may describe and commit  … ms
          ✓ offsets: 3 to read, 2 of 2 partitions begin at earliest  … ms
          ✓ messages: the newest 3 fit the columns  … ms
Store     ✓ directory: ./lake: the first run creates it  … ms
          ✓ free space: 9 GiB  … ms
          ✓ list: file://./lake/events  … ms
          ✓ put  … ms
          ✓ get  … ms
          ✓ delete  … ms
          ✓ conditional put: one of several writers is told \`created\`, also in races  … ms
Table     ✓ log: no table yet: the first run creates it  … ms
          ✓ columns: 6 columns as configured  … ms

18 passed.
`,
      )
    }))

  test('leaves nothing behind: no folder, no object, no offset of the group', t =>
    withBroker(t, async (broker, workplace) => {
      const config = await workplace.configure()
      assert.equal((await run(['doctor', config], { cwd: workplace.folder })).exitCode, 0)
      assert.equal(existsSync(join(workplace.folder, 'lake')), false)
      assert.equal(broker.committedOffset('lake', 'events', 0) ?? null, null)
      await workplace.ingestAll()
      const before = readdirSync(workplace.tablePath, { recursive: true }).sort()
      assert.equal((await run(['doctor', config], { cwd: workplace.folder })).exitCode, 0)
      assert.deepEqual(readdirSync(workplace.tablePath, { recursive: true }).sort(), before)
    }))

  test('shows a fault with its code, and the fix below it', t =>
    withBroker(t, async (broker, workplace) => {
      const config = await workplace.configure({ kafka: { topic: 'evnets' } })
      const outcome = await run(['doctor', config, '--only', 'kafka'], { cwd: workplace.folder })
      assert.equal(outcome.exitCode, 66)
      assert.equal(
        settled(outcome.stdout, workplace.folder, broker.bootstrapServers).split('\n\n')[1],
        `events   topic evnets @ broker:9092  →  ./lake/events
Kafka     ✓ connect to broker:9092: plaintext  … ms
          ✓ cluster: 1 broker  … ms
          ✓ advertised listeners: 1/1 reached (broker:9092)  … ms
          x topic evnets                           KAFKA_TOPIC_NOT_FOUND
            topic \`evnets\` does not exist, or may not be described
            = help: did you mean \`events\`?
          · reading, offsets, messages and group: not looked at, a topic cannot be described`,
      )
      assert.match(
        outcome.stdout,
        /\n4 passed, 1 failed\. {3}More: stream-ingest explain KAFKA_TOPIC_NOT_FOUND\n$/,
      )
    }))

  test('with --json prints one document, whose checks are there in the order of the groups', t =>
    withBroker(t, async (_broker, workplace) => {
      const config = await workplace.configure()
      const outcome = await run(['doctor', config, '--json'], { cwd: workplace.folder })
      const document = documentOf(outcome)
      assert.deepEqual(Object.keys(document), ['ok', 'checks', 'skipped'])
      assert.equal(document.ok, true)
      const groups = [...new Set(checksOf(outcome).map(({ group }) => group))]
      assert.deepEqual(groups, ['config', 'kafka', 'store', 'table'])
      assert.equal(outcome.stderr, '')
    }))

  test('looks at every pipeline of every file, or at the one that is named', t =>
    withBroker(t, async (broker, workplace) => {
      const several = {
        kafka: { bootstrap_servers: broker.bootstrapServers, topic: 'events', consumer_group: 'g' },
        local: { path: join(workplace.folder, 'lake') },
        delta: { schema: [{ name: 'id', data_type: 'int64' }] },
        pipelines: { one: { delta: { table_name: 'a' } }, two: { delta: { table_name: 'b' } } },
      }
      await writeFile(join(workplace.folder, 'several.yaml'), JSON.stringify(several))
      const single = await workplace.configure({ delta: { table_name: 'single' } }, 'single.yaml')
      const pipelinesOf = (outcome: Outcome): string[] => [
        ...new Set(checksOf(outcome).map(({ pipeline }) => pipeline)),
      ]
      const all = await run(['doctor', 'several.yaml', single, '--json'], { cwd: workplace.folder })
      assert.equal(all.exitCode, 0, all.stdout)
      assert.deepEqual(pipelinesOf(all), ['', 'one', 'two', 'single'])
      const named = ['doctor', 'several.yaml', '--pipeline', 'two', '--json']
      assert.deepEqual(pipelinesOf(await run(named, { cwd: workplace.folder })), ['', 'two'])
    }))

  test('a file with mistakes is not asked about any further, and the other files are', t =>
    withBroker(t, async (_broker, workplace) => {
      const bad = await workplace.configure({ kafka: { topik: 'x' } as object }, 'bad.yaml')
      const good = await workplace.configure({}, 'good.yaml')
      const outcome = await run(['doctor', bad, good, 'none.yaml', '--json'], { cwd: workplace.folder })
      assert.equal(outcome.exitCode, 78)
      const checks = checksOf(outcome)
      const failed = checks.filter(({ status }) => status === 'fail')
      assert.deepEqual(
        failed.map(({ code }) => code),
        ['CONFIG_UNKNOWN_KEY', 'CONFIG_NOT_FOUND'],
      )
      assert.match(failed[0]!.title, /^bad\.yaml:\d+:\d+$/)
      assert.ok(checks.some(({ title, status }) => title === 'messages' && status === 'pass'))
    }))

  test('--only asks about what it names, and another word is refused with the right ones', t =>
    withBroker(t, async (broker, workplace) => {
      const config = await workplace.configure()
      const outcome = await run(['doctor', config, '--only', 'store,table', '--json'], {
        cwd: workplace.folder,
      })
      const groups = new Set(checksOf(outcome).map(({ group }) => group))
      assert.deepEqual([...groups], ['config', 'store', 'table'])
      assert.equal(broker.requestCount('Metadata'), 0)
      const refused = await run(['doctor', config, '--only', 'kafak'], { cwd: workplace.folder })
      assert.equal(refused.exitCode, 64)
      assert.match(refused.stderr, /expected some of kafka, store, table, clock/)
    }))

  test('--no-write-probe writes nothing', t =>
    withBroker(t, async (_broker, workplace) => {
      const config = await workplace.configure()
      const outcome = await run(['doctor', config, '--no-write-probe', '--json'], { cwd: workplace.folder })
      const titles = checksOf(outcome).map(({ title }) => title)
      assert.ok(titles.includes('list') && !titles.includes('put') && !titles.includes('conditional put'))
      const { skipped } = documentOf(outcome) as { skipped: { title: string; because: string }[] }
      assert.deepEqual(
        skipped.map(({ because }) => because),
        ['nothing is to be written'],
      )
    }))

  test('a broker that hangs costs the time that --timeout gives, and hides nothing else', t =>
    withBroker(t, async (broker, workplace) => {
      broker.failNext('Fetch', 'hang', 100)
      const config = await workplace.configure()
      const outcome = await run(['doctor', config, '--timeout', '200ms', '--json'], { cwd: workplace.folder })
      assert.equal(outcome.exitCode, 69)
      const failed = checksOf(outcome).filter(({ status }) => status === 'fail')
      assert.deepEqual(
        failed.map(({ title }) => title),
        ['read the newest messages'],
      )
      assert.match(failed[0]!.code ?? '', /^(CHECK_TIMEOUT|KAFKA_UNREACHABLE)$/)
      assert.match(failed[0]!.help ?? '', /./)
      assert.ok(checksOf(outcome).some(({ title, status }) => title === 'columns' && status === 'pass'))
    }))
})

describe('doctor and', () => {
  test('a directory whose file system is full, or nearly so', async t => {
    const workplace = await Workplace.open(t, '127.0.0.1:1')
    const name = await workplace.configure()
    const { pipelines } = await IngestConfig.fromFile(join(workplace.folder, name))
    for (const [free, status] of [
      [2 ** 40, 'pass'],
      [2 ** 29, 'warn'],
      [2 ** 20, 'fail'],
    ] as const) {
      const { checks } = await diagnose(pipelines, {
        runtime: systemRuntime,
        only: new Set(['store']),
        freeBytes: async () => free,
      })
      const check = checks.find(({ title }) => title === 'free space')
      assert.deepEqual([check?.status, check?.code], [status, status === 'pass' ? null : 'STORE_NO_SPACE'])
    }
  })

  test('a clock that differs from the store’s', async t => {
    const workplace = await Workplace.open(t, '127.0.0.1:1', { bucket: 'lake', region: 'eu-central-1' })
    const name = await workplace.configure()
    const { pipelines } = await IngestConfig.fromFile(join(workplace.folder, name))
    const nowMs = Date.parse('2026-11-26T12:00:00Z')
    for (const [seconds, status] of [
      [0, 'pass'],
      [-4, 'pass'],
      [-6, 'warn'],
      [600, 'warn'],
      [1000, 'fail'],
      [-1000, 'fail'],
    ] as const) {
      const { checks } = await diagnose(pipelines, {
        runtime: { ...systemRuntime, now: () => nowMs },
        only: new Set(['clock']),
        fetchUrl: async url => {
          assert.equal(url, 'https://s3.eu-central-1.amazonaws.com')
          const date = new Date(nowMs + seconds * 1000).toUTCString()
          return new Response(null, { status: 403, headers: { date } })
        },
      })
      assert.deepEqual(
        checks.map(check => [check.title, check.status, check.code]),
        [['clock', status, status === 'pass' ? null : 'CLOCK_SKEWED']],
        `${seconds} s`,
      )
    }
  })

  test('a broker that is too old', async t => {
    const address = await oldBroker(t)
    const workplace = await Workplace.open(t, address)
    const config = await workplace.configure()
    const outcome = await run(['doctor', config, '--only', 'kafka', '--json'], { cwd: workplace.folder })
    assert.equal(outcome.exitCode, 69)
    const [check] = checksOf(outcome).filter(({ status }) => status === 'fail')
    assert.equal(check?.code, 'KAFKA_BROKER_UNSUPPORTED')
    assert.match(
      check.message ?? '',
      /speaks API 1 in versions 0 to 11; needed is one of 17, 16, 15, 14, 13$/,
    )
    assert.match(check.help ?? '', /use Apache Kafka 3\.1 or newer/)
  })
})

/** Answers the question for versions as Kafka 2.8 does, and nothing else. Ends with the test. */
async function oldBroker(t: TestContext): Promise<string> {
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.on('data', request => {
      const body = new WireWriter(true)
      body.int32(request.readInt32BE(8)).int16(0)
      body.array(OLD_APIS, ([key, max]) => {
        body.int16(key).int16(0).int16(max).tags()
      })
      body.int32(0).tags()
      const bytes = Buffer.concat(body.finish())
      const size = Buffer.alloc(4)
      size.writeInt32BE(bytes.length)
      socket.write(Buffer.concat([size, bytes]))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Key and newest version of Fetch, ListOffsets, Metadata and ApiVersions. */
const OLD_APIS = [
  [1, 11],
  [2, 6],
  [3, 11],
  [18, 3],
] as const
