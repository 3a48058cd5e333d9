import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { after, before, describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { EncodableRecord } from '../../../src/kafka/record-batch-encoder.ts'
import type { DrainResult } from '../../../src/lambda/drain.ts'
import { generateMessages } from '../../../src/testing/generate-messages.ts'
import { type EventMessage, kafkaEvent } from '../../lambda/lambda-fixture.ts'
import { nextOffsetsOf, readBoth } from '../lake-table.ts'
import { assertMarks, markedEvent, range } from '../marked-event.ts'
import { type ExampleChanges, openScene, partsEnvironment, skip } from '../real-parts.ts'
import { buildBundle, CLIENT, type FunctionOptions, LambdaFunction, type Outcome } from './lambda-host.ts'

const PARTITIONS = 4
/** Short of a function's real deadlines: several invocations for half a million messages. */
const SHORT_DEADLINE_MS = 3_000
const LONG_DEADLINE_MS = 600_000
/** A machine that is too slow for the short one gets twice as much, and so on. */
const INVOCATIONS_MAX = 60
/** Kills and freezes hit uploads and commits more often then. */
const SMALL_COMMITS = { memory_limit: '4MiB', batch_timeout_ms: 50 }
/** As many messages as there is memory for. */
const LARGE_COMMITS = { batch_size: undefined }
const KILLS = 12
const FREEZES = 5
/** Ten times that with LAMBDA_BACKLOG_MB=1000. */
const BACKLOG_MB = Number(process.env.LAMBDA_BACKLOG_MB ?? 100)
const BACKLOG_MESSAGE_BYTES = 1000

const openTestScene = openScene()
let bundle = ''

describe(`on AWS Lambda, served by ${CLIENT}, with real Kafka and S3`, { skip }, () => {
  let remove: () => Promise<void> = async () => {}
  before(async () => {
    if (skip !== false) return
    const built = await buildBundle()
    bundle = built.folder
    remove = built.remove
  })
  after(() => remove())

  test('half a million messages are drained over invocations with short deadlines, each once', async t => {
    const filled = await fillTopic(500_000)
    const table = 'lambda_drain'
    // More than a hundred commits: no machine makes them in one deadline.
    const processing = { batch_size: 4_000 }
    const ingest = await createFunction(t, { topic: filled.topic, table, processing })
    const { answers } = await drainAll(ingest, SHORT_DEADLINE_MS)
    const productive = answers.filter(({ rows }) => rows > 0).length
    assert(productive > 1, 'one invocation was enough: the deadline is no test')
    assert.equal(ingest.coldStarts, 1, 'the environment was used again')
    await assertFilled(table, filled)
    const { lag } = answers.at(-1)!
    assert.equal(lag, 0)
    t.diagnostic(
      `${answers.length} invocations, rows ${answers.map(a => a.rows).join(' ')}, peak ${mib(ingest.peakBytes)}`,
    )
  })

  test('what invocations killed at any moment leave is made exact by the next', async t => {
    const filled = await fillTopic(200_000)
    const table = 'lambda_killed'
    const ingest = await createFunction(t, { topic: filled.topic, table, processing: SMALL_COMMITS })
    let kills = 0
    for (let i = 0; i < KILLS; i++) {
      // The function believes it has a minute: nothing in it ends before the kill.
      const outcome = ingest.invoke({})
      if ((await ingest.line(/"event":"(started|stopped)"/)) === null) break
      await sleep(40 * i)
      await ingest.kill()
      if ((await outcome).kind === 'killed') kills++
    }
    assert(kills >= KILLS / 2, `only ${kills} invocations were killed before they ended`)
    await drainAll(ingest, LONG_DEADLINE_MS)
    await assertFilled(table, filled)
    t.diagnostic(`${kills} of ${KILLS} invocations killed`)
  })

  test('one killed at its deadline loses nothing', async t => {
    const filled = await fillTopic(100_000)
    const table = 'lambda_deadline'
    const ingest = await createFunction(t, { topic: filled.topic, table })
    const outcome = ingest.invoke({}, SHORT_DEADLINE_MS)
    assert((await ingest.line(/"event":"started"/)) !== null)
    // So that it does not end in time by itself.
    ingest.freeze()
    assert.deepEqual(await outcome, { kind: 'killed', by: 'deadline' })
    await drainAll(ingest, LONG_DEADLINE_MS)
    await assertFilled(table, filled)
  })

  test('one that is frozen while another commits writes nothing twice when it goes on', async t => {
    let filled = await fillTopic(50_000)
    const table = 'lambda_frozen'
    const changes = { topic: filled.topic, table, processing: SMALL_COMMITS }
    const frozen = await createFunction(t, changes)
    const other = await createFunction(t, changes)
    let overtaken = 0
    for (let i = 0; i < FREEZES; i++) {
      const held = frozen.invoke({}, LONG_DEADLINE_MS)
      assert((await frozen.line(/"event":"started"/)) !== null)
      await sleep(60 * i)
      frozen.freeze()
      const outcome = await other.invoke({}, LONG_DEADLINE_MS)
      frozen.thaw()
      const end = await held
      assert(end.kind === 'answer' || end.kind === 'error', JSON.stringify(end))
      if (outcome.kind === 'answer' && (outcome.payload as DrainResult).rows > 0) overtaken++
      filled = await fillMore(filled, 50_000)
    }
    assert(overtaken >= FREEZES / 2, `only ${overtaken} times did the other one commit meanwhile`)
    await drainAll(other, LONG_DEADLINE_MS)
    await assertFilled(table, filled)
    t.diagnostic(`overtaken ${overtaken} times`)
  })

  test('two that overlap write each message once', async t => {
    const filled = await fillTopic(200_000)
    const table = 'lambda_overlap'
    const changes = { topic: filled.topic, table, processing: SMALL_COMMITS }
    const both = [await createFunction(t, changes), await createFunction(t, changes)]
    const ends = await Promise.all(both.map(one => one.invoke({}, LONG_DEADLINE_MS)))
    for (const end of ends) assert(end.kind === 'answer' || end.kind === 'error', JSON.stringify(end))
    await drainAll(both[0]!, LONG_DEADLINE_MS)
    await assertFilled(table, filled)
    t.diagnostic(ends.map(describeOutcome).join(' | '))
  })

  test('one whose budget is more than its memory is killed and loses nothing; by default it fits', async t => {
    const filled = await fillTopic(800_000, 1)
    const table = 'lambda_memory'
    const greedy = await createFunction(
      t,
      {
        topic: filled.topic,
        table,
        // Everything in one commit.
        processing: { ...LARGE_COMMITS, memory_limit: '1GiB' },
      },
      { memoryMib: 256 },
    )
    assert.deepEqual(await greedy.invoke({}, LONG_DEADLINE_MS), { kind: 'killed', by: 'memory' })
    const frugal = await createFunction(
      t,
      { topic: filled.topic, table, processing: LARGE_COMMITS },
      { memoryMib: 256 },
    )
    await drainAll(frugal, LONG_DEADLINE_MS)
    await assertFilled(table, filled)
    t.diagnostic(`peak ${mib(greedy.peakBytes)} with 1 GiB, ${mib(frugal.peakBytes)} by default`)
  })

  test(`a function of 512 MB drains a backlog of ${BACKLOG_MB} MB (LAMBDA_BACKLOG_MB: how much)`, async t => {
    const { producer } = await openTestScene()
    const topic = `lambda-${randomUUID()}`
    const table = 'lambda_backlog'
    await producer.createTopic(topic, PARTITIONS)
    const count = (BACKLOG_MB * 1e6) / BACKLOG_MESSAGE_BYTES
    const counts = await producer.fill(topic, PARTITIONS, largeMessages(count), { codec: 'lz4' })
    const ingest = await createFunction(t, { topic, table, processing: LARGE_COMMITS }, { memoryMib: 512 })
    const startedMs = performance.now()
    await drainAll(ingest, LONG_DEADLINE_MS)
    const seconds = (performance.now() - startedMs) / 1000
    assert.equal(ingest.coldStarts, 1)
    await assertFilled(table, { topic, counts })
    t.diagnostic(`${BACKLOG_MB} MB in ${seconds.toFixed(1)} s, peak ${mib(ingest.peakBytes)}`)
  })

  test('batches of a trigger are stored once, however often they are delivered', async t => {
    const topic = `lambda-${randomUUID()}`
    const table = 'lambda_trigger'
    const ingest = await createFunction(t, { topic, table })
    const batch = (from: number, to: number): unknown =>
      kafkaEvent(
        range(from, to).map(
          (mark): EventMessage => ({
            topic,
            partition: 0,
            offset: BigInt(mark),
            timestamp: Date.UTC(2026, 0, 1) + mark * 1000,
            keyBytes: null,
            payloadBytes: Buffer.from(mark === 7 ? 'no JSON' : markedEvent(mark)),
            headerList: [['signed', Buffer.from([200, 1])]],
          }),
        ),
      )
    const stored = { kind: 'answer', payload: { batchItemFailures: [] } }
    assert.deepEqual(await ingest.invoke(batch(0, 5)), stored)
    assert.deepEqual(await ingest.invoke(batch(0, 5)), stored)
    assert.deepEqual(await ingest.invoke(batch(3, 7)), stored)
    await ingest.kill()
    assert.deepEqual(await ingest.invoke(batch(5, 7)), stored)
    assert.deepEqual(await ingest.invoke(batch(5, 10)), {
      kind: 'answer',
      payload: { batchItemFailures: [{ itemIdentifier: { partition: `${topic}-0`, offset: 7 } }] },
    })
    assert.equal(ingest.coldStarts, 2)
    await assertMarks(table, range(0, 7))
  })

  test('bad input is an error with its code and a hint, inside the deadline', async t => {
    const { producer, configFile } = await openTestScene()
    const topic = `lambda-${randomUUID()}`
    await producer.createTopic(topic, 1)
    await producer.append(topic, 0, [{ value: markedEvent(0) }])
    const failing = async (
      environment: Record<string, string>,
      kind: 'error' | 'init-error',
      pattern: RegExp,
      event: unknown = {},
      timeoutMs?: number,
    ): Promise<void> => {
      const config = configFile({ topic, table: 'lambda_bad' })
      const one = await LambdaFunction.create(t, {
        bundle,
        environment: { INGEST_CONFIG: config, ...partsEnvironment(), ...environment },
      })
      const outcome = await one.invoke(event, timeoutMs)
      assert(outcome.kind === kind, `${kind}, not ${JSON.stringify(outcome)}`)
      const { errorType, errorMessage } = outcome.payload
      assert.match(`${errorType}: ${errorMessage}`, pattern)
      assert.doesNotMatch(JSON.stringify(outcome) + one.lines.join('\n'), /hush/)
    }
    const startsWith = (code: string): RegExp => new RegExp(`^${code}.*\\(.+\\)$`, 's')
    await failing({}, 'error', startsWith('LambdaError: LAMBDA_EVENT: '), { Records: [] })
    await failing({}, 'error', startsWith('LambdaError: LAMBDA_EVENT: '), 'a text')
    await failing(
      { INGEST_CONFIG: '/nowhere.yaml' },
      'init-error',
      startsWith('ConfigError: CONFIG_NOT_FOUND: '),
    )
    await failing({ INGEST_CONFIG: '' }, 'init-error', startsWith('ConfigError: CONFIG_'))
    await failing(
      { INGEST_CONFIG: 'kafka: { topc: t }' },
      'init-error',
      startsWith('ConfigError: CONFIG_INVALID: '),
    )
    await failing(
      { AWS_ACCESS_KEY_ID: 'nobody', AWS_SECRET_ACCESS_KEY: 'hush' },
      'error',
      startsWith('S3Error: STORE_CREDENTIALS: '),
    )
    // A port that nobody listens on; then one that takes connections and never answers.
    const refused = /^(KafkaError: KAFKA_|LambdaError: LAMBDA_DEADLINE: )/
    await failing({ KAFKA: '127.0.0.1:1' }, 'error', refused, {}, 15_000)
    const silent = await silentServer(t)
    await failing({ KAFKA: silent }, 'error', refused, {}, 15_000)
  })
})

async function createFunction(
  t: TestContext,
  changes: ExampleChanges,
  options: Partial<FunctionOptions> = {},
): Promise<LambdaFunction> {
  const { configFile } = await openTestScene()
  const config = configFile(changes)
  return LambdaFunction.create(t, {
    bundle,
    environment: { INGEST_CONFIG: config, ...partsEnvironment() },
    ...options,
  })
}

/** Invokes until nothing is left. A deadline that is too short for this machine is doubled. */
async function drainAll(
  ingest: LambdaFunction,
  deadlineMs: number,
): Promise<{ answers: readonly DrainResult[] }> {
  const answers: DrainResult[] = []
  let timeoutMs = deadlineMs
  for (let i = 0; i < INVOCATIONS_MAX; i++) {
    const outcome = await ingest.invoke({}, timeoutMs)
    if (outcome.kind === 'error' && outcome.payload.errorMessage.startsWith('LAMBDA_DEADLINE: ')) {
      timeoutMs *= 2
      continue
    }
    assert(outcome.kind === 'answer', `${JSON.stringify(outcome)}\n${ingest.lines.slice(-20).join('\n')}`)
    const answer = outcome.payload as DrainResult
    answers.push(answer)
    if (answer.caughtUp) return { answers }
    if (answer.rows === 0) timeoutMs *= 2
  }
  assert.fail(`not caught up after ${INVOCATIONS_MAX} invocations`)
}

interface Filled {
  readonly topic: string
  readonly counts: readonly number[]
  readonly userIdSum?: bigint
}

async function fillTopic(count: number, partitionCount = PARTITIONS): Promise<Required<Filled>> {
  const { producer } = await openTestScene()
  const topic = `lambda-${randomUUID()}`
  await producer.createTopic(topic, partitionCount)
  return fillMore({ topic, counts: new Array(partitionCount).fill(0), userIdSum: 0n }, count)
}

async function fillMore(filled: Required<Filled>, count: number): Promise<Required<Filled>> {
  const { topic, counts } = filled
  const { producer } = await openTestScene()
  let { userIdSum } = filled
  function* counted(): Generator<EncodableRecord> {
    for (const message of generateMessages({ seed: counts[0]! + 1, count })) {
      userIdSum += BigInt(Buffer.from(message.key).toString())
      yield message
    }
  }
  const added = await producer.fill(topic, counts.length, counted(), { codec: 'lz4' })
  return { topic, counts: counts.map((before, partition) => before + added[partition]!), userIdSum }
}

/** As many rows as messages, every offset's sum and every user's: no other set has the same. */
async function assertFilled(table: string, { counts, userIdSum }: Filled): Promise<void> {
  const rowCount = counts.reduce((sum, count) => sum + count, 0)
  const offsetSum = counts.reduce((sum, count) => sum + (BigInt(count) * BigInt(count - 1)) / 2n, 0n)
  const partitionSum = counts.reduce((sum, count, partition) => sum + count * partition, 0)
  assert.deepEqual(await nextOffsetsOf(table), counts.map(BigInt))
  for (const { engine, rowCount: rows, columns } of await readBoth(table)) {
    assert.deepEqual(
      [engine, rows, columns._kafka_offset?.sum, columns._kafka_partition?.sum],
      [engine, rowCount, String(offsetSum), String(partitionSum)],
    )
    if (userIdSum !== undefined) assert.equal(columns.user_id?.sum, String(userIdSum), engine)
  }
}

function* largeMessages(count: number): Generator<EncodableRecord> {
  const timestamp = Date.UTC(2026, 0, 1)
  for (let i = 0; i < count; i++) {
    const start = `{"user_id":${i},"event_type":"purchase","timestamp":${timestamp + i},"page":"`
    // Letters that do not repeat: what is buffered is as large as it looks.
    let page = ''
    for (let j = 0; page.length < BACKLOG_MESSAGE_BYTES - start.length - 2; j++) {
      page += (Math.imul(i * 131 + j, 2_654_435_761) >>> 0).toString(36)
    }
    yield {
      timestampMs: timestamp + i,
      value: `${start}${page.slice(0, BACKLOG_MESSAGE_BYTES - start.length - 2)}"}`,
    }
  }
}

/** `host:port` of a server that takes connections and never says anything. */
async function silentServer(t: TestContext): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

function describeOutcome(outcome: Outcome): string {
  return outcome.kind === 'answer' ? `${(outcome.payload as DrainResult).rows} rows` : outcome.kind
}

function mib(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`
}
