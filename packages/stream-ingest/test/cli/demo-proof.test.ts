import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { field, primitive, struct, systemRuntime } from '@stream-ingest/delta'
import type { CommandIo } from '../../src/cli/command-io.ts'
import { type Proof, proveExactlyOnce } from '../../src/cli/demo-proof.ts'
import {
  generateMessages,
  MessageSummaryBuilder,
  type UserEvent,
} from '../../src/testing/generate-messages.ts'
import { type FixtureRow, temporaryFolder, writeTable } from './table-fixture.ts'

const SCHEMA = struct([
  field('user_id', primitive('long'), false),
  field('event_type', primitive('string'), false),
  field('timestamp', primitive('timestamp'), false),
  field('session_id', primitive('string')),
  field('page', primitive('string')),
  field('amount', primitive('double')),
  field('quantity', primitive('integer')),
  field('is_mobile', primitive('boolean')),
  field('_kafka_partition', primitive('integer')),
  field('_kafka_offset', primitive('long')),
])
const MESSAGES = 40
const PARTITIONS = 2
const messages = [...generateMessages({ seed: 1, count: MESSAGES })]

function rowOf(event: UserEvent, index: number): Record<string, unknown> {
  return {
    ...event,
    timestamp: BigInt(event.timestamp) * 1_000n,
    _kafka_partition: index % PARTITIONS,
    _kafka_offset: BigInt(Math.floor(index / PARTITIONS)),
  }
}

/** Writes a table of the messages after `change` has been at its rows, and has it judged. */
async function prove(
  t: TestContext,
  change: (rows: Record<string, unknown>[]) => readonly FixtureRow[] = rows => rows,
  nextOffset = BigInt(MESSAGES / PARTITIONS),
): Promise<Proof> {
  const cwd = await temporaryFolder(t)
  const rows = change(messages.map(({ event }, index) => rowOf(event!, index)))
  const txns = [0, 1].map(partition => ({ appId: `demo:topic-id:${partition}`, version: nextOffset }))
  await writeTable(join(cwd, 'user_events'), { schema: SCHEMA, commits: [{ files: [{ rows }], txns }] })
  await writeFile(join(cwd, 'user_events/part-orphan.parquet'), 'left by a writer that died')
  const config = {
    kafka: { bootstrap_servers: 'localhost:9092', topic: 'user-events', consumer_group: 'demo' },
    local: { path: cwd },
    delta: { table_name: 'user_events' },
  }
  await writeFile(join(cwd, 'demo.yaml'), JSON.stringify(config))
  const summary = new MessageSummaryBuilder()
  for (const message of messages) summary.add(message)
  const topic = { name: 'user-events', summary: summary.summary(), partitionCounts: [20, 20] }
  const io = { env: {}, cwd, runtime: systemRuntime } as unknown as CommandIo
  return proveExactlyOnce('demo.yaml', topic, io)
}

describe('the proof', () => {
  test('holds where every message is there once, and counts what a dead writer left', async t => {
    const { ok, problems, facts } = await prove(t)
    assert.deepEqual(problems, [])
    assert(ok)
    const { sizeBytes, ...rest } = facts
    assert(sizeBytes > 0)
    assert.deepEqual(rest, {
      commits: 1,
      rows: MESSAGES,
      files: 1,
      orphans: 1,
      duplicates: 0,
      gaps: 0,
      sumsMatch: true,
    })
  })

  test('fails for a message that is there twice', async t => {
    const { ok, problems, facts } = await prove(t, rows => [...rows, rows[7]!])
    assert(!ok)
    assert.equal(facts.duplicates, 1)
    assert.equal(facts.gaps, 0)
    assert(problems.includes('1 rows too many'), problems.join())
  })

  test('fails for a message that is missing, also where another takes its place', async t => {
    const missing = await prove(t, rows => rows.toSpliced(3, 1))
    assert(!missing.ok)
    assert.equal(missing.facts.gaps, 1)
    const replaced = await prove(t, rows => rows.toSpliced(3, 1, { ...rows[4]! }))
    assert(!replaced.ok)
    assert.deepEqual([replaced.facts.duplicates, replaced.facts.gaps], [1, 1])
  })

  test('fails for a row of an offset or partition that the topic does not have', async t => {
    for (const stranger of [{ _kafka_offset: 20n }, { _kafka_offset: -1n }, { _kafka_partition: 2 }]) {
      const { ok, facts } = await prove(t, rows => [...rows, { ...rows[0]!, ...stranger }])
      assert(!ok)
      assert.equal(facts.duplicates, 1)
    }
  })

  test('fails for a value that is another one than in the message', async t => {
    for (const change of [
      { user_id: 9007199254740993n },
      { page: 'x' },
      { amount: null },
      { quantity: 1_000 },
    ]) {
      const { ok, problems, facts } = await prove(t, rows => rows.with(5, { ...rows[5]!, ...change }))
      assert(!ok, JSON.stringify(Object.keys(change)))
      assert.equal(facts.sumsMatch, false)
      assert.match(problems.join(), new RegExp(`column \`${Object.keys(change)[0]}\``))
    }
  })

  test('fails where the offsets in the table are not the ends of the partitions', async t => {
    const { ok, problems } = await prove(t, rows => rows, 19n)
    assert(!ok)
    assert.match(problems.join(), /goes on at offset 19 of partition 0, which has 20 messages/)
  })
})
