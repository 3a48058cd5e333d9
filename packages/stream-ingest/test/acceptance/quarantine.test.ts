/** One message in a hundred is poison, of many kinds; processes die; every message is accounted for, exactly. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadTableState, parseJson, readCommit } from '@stream-ingest/delta'
import { CORRUPTIONS, type GeneratedMessage, generateMessages } from '../../src/testing/generate-messages.ts'
import { KILL_POINTS } from '../../src/testing/kill-point.ts'
import { inTable, readBoth } from './lake-table.ts'
import { openScene, partsEnvironment, skip } from './real-parts.ts'

const ENTRY = fileURLToPath(new URL('../../bin/stream-ingest.js', import.meta.url))
const PARTITIONS = 3
const MESSAGES = 8_000
const POISON_SHARE = 0.01
/** A command that hangs is killed, so that the test says so. */
const COMMAND_MAX_MS = 3 * 60_000
/** Runs that may die before one gets through. */
const RUNS_MAX = 60

interface CommandEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** A process of its own, which dies by SIGKILL at the named write, where one is named. */
async function command(args: readonly string[], killAt?: string): Promise<CommandEnd> {
  const child = spawn(process.execPath, [ENTRY, ...args], {
    env: {
      PATH: process.env.PATH,
      ...partsEnvironment(),
      ...(killAt === undefined ? {} : { STREAM_INGEST_KILL_AT: killAt }),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: COMMAND_MAX_MS,
    killSignal: 'SIGKILL',
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', text => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', text => (stderr += text))
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return { code, signal, stdout, stderr }
}

/** Ends at every write of the commit path, one after the other, and then not any more. Returns how often it died. */
async function killedAtEachWrite(
  args: readonly string[],
  occurrence: (run: number) => number,
): Promise<number> {
  let deaths = 0
  for (let run = 0; run < RUNS_MAX; run++) {
    const point = KILL_POINTS[run % KILL_POINTS.length]!
    const isLast = run >= KILL_POINTS.length * 2
    const end = await command(args, isLast ? undefined : `${point}:${occurrence(run)}`)
    if (end.signal === 'SIGKILL') {
      deaths++
      continue
    }
    assert.equal(end.code, 0, end.stderr)
    if (isLast) return deaths
  }
  assert.fail('it gets through in the end')
}

async function json(args: readonly string[]): Promise<Record<string, unknown>> {
  const end = await command([...args, '--json'])
  assert.equal(end.code, 0, end.stderr)
  return parseJson(end.stdout) as Record<string, unknown>
}

/** Sums of the metrics over all commits of the table. */
async function commitSums(table: string): Promise<Record<string, number>> {
  return inTable(table, async store => {
    const sums: Record<string, number> = {}
    const { version } = (await loadTableState(store))!
    for (let v = 1; v <= version; v++) {
      for (const action of (await readCommit(store, v))!) {
        if (!('commitInfo' in action)) continue
        for (const [name, value] of Object.entries(action.commitInfo.operationMetrics ?? {})) {
          sums[name] = (sums[name] ?? 0) + Number(value)
        }
      }
    }
    return sums
  })
}

async function assertInBoth(table: string, rows: number, userIds: bigint | null): Promise<void> {
  for (const { engine, rowCount, columns } of await readBoth(table)) {
    assert.deepEqual([engine, rowCount], [engine, rows])
    if (userIds !== null) assert.equal(columns.user_id?.sum, String(userIds), engine)
  }
}

const openTestScene = openScene()

describe('poison in a real topic', { skip }, () => {
  test(`${MESSAGES} messages, of ${CORRUPTIONS.length} kinds of poison among them: killed at each write, reconciled, and replayed under corrected schemas`, async t => {
    const { producer, configFile } = await openTestScene()
    const topic = `poison-${randomUUID()}`
    const table = `poison_${randomUUID().replaceAll('-', '')}`
    const messages = [...generateMessages({ seed: 3, count: MESSAGES, corruptShare: POISON_SHARE })]
    const poison = Map.groupBy(
      messages.filter(m => m.corruption !== null),
      m => m.corruption!,
    )
    assert.deepEqual([...poison.keys()].sort(), [...CORRUPTIONS].sort(), 'every kind is there')
    await producer.createTopic(topic, PARTITIONS)
    await producer.fill(topic, PARTITIONS, messages)
    const processing = { on_bad_record: 'quarantine', batch_size: 120 }
    const config = configFile({ topic, table, processing })

    const deaths = await killedAtEachWrite(['run', config, '--until-latest', '--quiet'], run => 1 + (run % 3))
    assert(deaths >= KILL_POINTS.length, `it died ${deaths} times`)

    // Reconciled: from the table alone, from the quarantine, and by other readers.
    const sound = messages.filter(m => m.event !== null)
    const badCount = MESSAGES - sound.length
    const sums = await commitSums(table)
    assert.deepEqual(
      [sums.numConsumedRecords, sums.numOutputRows, sums.numQuarantinedRecords, sums.numSkippedRecords],
      [MESSAGES, sound.length, badCount, 0],
    )
    await assertInBoth(table, sound.length, sumOf(sound))
    await assertInBoth(`${table}_quarantine`, badCount, null)
    const listed = await json(['quarantine', 'list', config, '--limit', '100000'])
    assert.equal(listed.count, badCount)
    const values = (listed.records as { key: string; value: unknown }[]).map(({ value }) => bytesOf(value))
    const expected = [...poison.values()].flat().map(({ value }) => Buffer.from(value).toString('hex'))
    assert.deepEqual(values.sort(), expected.sort(), 'each as Kafka gave it')

    // Under the same schema nothing fits; under corrected ones, what they correct.
    const unchanged = await json(['quarantine', 'replay', config])
    assert.deepEqual([unchanged.tried, unchanged.replayed], [badCount, 0])
    let rows = [...sound]
    let died = 0
    for (const [kind, source] of [
      ['renamed', 'payload.userId'],
      ['nested', 'payload.user.id'],
    ] as const) {
      const corrected = configFile({ topic, table, processing, delta: { schema: correctedSchema(source) } })
      died += await killedAtEachWrite(['quarantine', 'replay', corrected], () => 1)
      rows = [...rows, ...poison.get(kind)!]
      await assertInBoth(table, rows.length, sumOf(rows))
      const again = await json(['quarantine', 'replay', corrected])
      assert.equal(again.replayed, 0)
    }
    assert(died > 2, `the replay died ${died} times`)
    await assertInBoth(table, rows.length, sumOf(rows))
    const left = await json(['quarantine', 'list', config])
    assert.equal(left.count, MESSAGES - rows.length)
    const after = await commitSums(table)
    assert.deepEqual(
      [after.numConsumedRecords, after.numOutputRows, after.numQuarantinedRecords],
      [MESSAGES, rows.length, MESSAGES - rows.length],
    )
    t.diagnostic(`${badCount} bad records; died ${deaths} times in runs and ${died} times in replays`)
  })
})

/** The example's, with the id from elsewhere. */
function correctedSchema(source: string): unknown {
  return [
    { name: 'user_id', data_type: 'int64', nullable: false, metadata: { source } },
    { name: 'event_type', data_type: 'utf8', nullable: false },
    { name: 'timestamp', data_type: 'timestamp_millisecond', nullable: false },
  ]
}

/** The id is the record's key too, whatever became of the value. */
function sumOf(messages: readonly Pick<GeneratedMessage, 'key'>[]): bigint {
  return messages.reduce((sum, { key }) => sum + BigInt(Buffer.from(key).toString()), 0n)
}

function bytesOf(value: unknown): string {
  const bytes =
    typeof value === 'string'
      ? Buffer.from(value)
      : Buffer.from((value as { base64: string }).base64, 'base64')
  return bytes.toString('hex')
}
