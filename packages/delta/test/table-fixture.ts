/**
 * Tables for tests, made through the real write path so that they are correct by construction. What a test leaves behind
 * is checked when it ends: whatever it tests, its table is sound.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { afterEach } from 'node:test'
import {
  type Add,
  checkTable,
  createParquetEncoder,
  DeltaTable,
  encodeDataFile,
  field,
  type ObjectStore,
  primitive,
  type Runtime,
  type StructType,
  struct,
  uploadDataFile,
} from '@stream-ingest/delta'
import { BatchBuilder } from '@stream-ingest/delta/column'
import { appendFields } from '../src/column/append-value.ts'

export const EVENTS: StructType = struct([
  field('id', primitive('long'), false),
  field('name', primitive('string')),
  field('day', primitive('date')),
])

/** A clock that moves only when something waits, seeded chance, and counted ids. */
export function testRuntime(startMs = 1_800_000_000_000, seed = 1): Runtime & { sleptMs: number } {
  let nowMs = startMs
  let state = seed
  let ids = 0
  const runtime = {
    sleptMs: 0,
    now: () => nowMs,
    monotonicMs: () => nowMs,
    random: () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
      return state / 0x80000000
    },
    uuid: () => `00000000-0000-4000-8000-${String(seed * 1_000_000 + ids++).padStart(12, '0')}`,
    delay: async (ms: number) => {
      // Whole milliseconds, as clocks give them.
      nowMs += Math.ceil(ms)
      runtime.sleptMs += ms
    },
  }
  return runtime
}

/** Tables of the test that runs. */
const written = new Map<ObjectStore, Runtime>()

afterEach(async () => {
  const tables = [...written]
  written.clear()
  for (const [store, runtime] of tables) {
    const { findings } = await checkTable(store, { deep: true, nowMs: runtime.now() })
    assert.deepEqual(findings, [], 'the table that the test leaves behind is not sound')
  }
})

/** For a test that damages its table on purpose: it is not checked at the end. */
export function damageOnPurpose(store: ObjectStore): void {
  written.delete(store)
}

export async function createEvents(
  store: ObjectStore,
  runtime: Runtime,
  properties: Readonly<Record<string, string>> = {},
): Promise<DeltaTable> {
  const { table } = await DeltaTable.openOrCreate(
    store,
    { schema: EVENTS, partitionColumns: ['day'], properties },
    { runtime },
  )
  written.set(store, runtime)
  return table
}

export const encoder = createParquetEncoder()

/** Encodes and uploads one file of rows of one day. */
export async function uploadEvents(
  table: DeltaTable,
  ids: readonly number[],
  day = '2026-01-01',
): Promise<{ adds: Add[]; rowCounts: number[] }> {
  const schema = struct(EVENTS.fields.slice(0, 2))
  const rows = new BatchBuilder(schema)
  for (const id of ids) {
    appendFields(schema.fields, rows.columns, { id: BigInt(id), name: id % 3 === 0 ? null : `name ${id}` })
    rows.endRow()
  }
  const file = encodeDataFile(
    table.state,
    encoder,
    rows.finish(),
    { day },
    { codec: 'snappy' },
    table.runtime,
  )
  return { adds: [await uploadDataFile(table.store, file, table.runtime)], rowCounts: [ids.length] }
}

/** Appends rows with the progress of one application, and insists on success. */
export async function appendEvents(
  table: DeltaTable,
  ids: readonly number[],
  appId: string,
  version: bigint,
): Promise<void> {
  const files = await uploadEvents(table, ids)
  const outcome = await table.append({
    ...files,
    txns: [{ appId, version, lastUpdated: table.runtime.now() }],
  })
  assert.equal(outcome.status, 'committed')
}
