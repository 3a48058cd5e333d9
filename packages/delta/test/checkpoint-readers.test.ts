import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import {
  DeltaTable,
  decimal,
  encodeDataFile,
  field,
  LocalObjectStore,
  primitive,
  struct,
  uploadDataFile,
  writeCheckpoint,
} from '@stream-ingest/delta'
import { BatchBuilder } from '@stream-ingest/delta/column'
import { formatCommit } from '../src/action-codec.ts'
import { formatInstant } from '../src/calendar.ts'
import { appendFields } from '../src/column/append-value.ts'
import { formatDecimal } from '../src/decimal-text.ts'
import { formatChecksumPath, formatCommitPath } from '../src/log-path.ts'
import { encoder, testRuntime } from './table-fixture.ts'

/** A Python that has delta-rs and duckdb with its Delta extension. */
const python = process.env.SI_TEST_PYTHON

const DATA = struct([
  field('id', primitive('long')),
  field('amount', decimal(20, 3)),
  field('at', primitive('timestamp')),
  field('nested', struct([field('name', primitive('string'))])),
])
const SCHEMA = struct([...DATA.fields, field('day', primitive('date'))])
const V2 = { 'delta.checkpointPolicy': 'v2' }
const TYPED_ONLY = { 'delta.checkpoint.writeStatsAsJson': 'false' }
const FILES = 8

/** The one row of a file: values that are another one where they went through a double. */
function rowOf(i: number): { id: bigint; amount: bigint; at: bigint; day: string } {
  return {
    id: 9_007_199_254_740_993n + BigInt(i),
    amount: 12_345_678_901_234_567_890n + BigInt(i),
    at: 1_792_320_000_123_457n + BigInt(i),
    day: `2026-01-0${(i % 3) + 1}`,
  }
}

/** Appends files of a row each, takes one away, checkpoints, removes the commits, and appends once more. */
async function makeTable(
  path: string,
  properties: Record<string, string>,
  fileActionsMax: number,
): Promise<object> {
  const store = new LocalObjectStore(path)
  const runtime = testRuntime(Date.UTC(2026, 0, 1))
  const spec = { schema: SCHEMA, partitionColumns: ['day'], properties }
  const { table } = await DeltaTable.openOrCreate(store, spec, { runtime })
  const append = async (target: DeltaTable, i: number) => {
    const { day, ...values } = rowOf(i)
    const rows = new BatchBuilder(DATA)
    appendFields(DATA.fields, rows.columns, { ...values, nested: { name: `n${i}` } })
    rows.endRow()
    const file = encodeDataFile(target.state, encoder, rows.finish(), { day }, { codec: 'snappy' }, runtime)
    const add = await uploadDataFile(store, file, runtime)
    const txns = [{ appId: 'app', version: BigInt(i), lastUpdated: runtime.now() }]
    assert.equal((await target.append({ adds: [add], rowCounts: [1], txns })).status, 'committed')
    return add
  }
  const gone = await append(table, 0)
  for (let i = 1; i < FILES; i++) await append(table, i)
  const version = table.state.version + 1
  const { path: removed, size, partitionValues } = gone
  const tombstone = { path: removed, size, partitionValues, dataChange: true, extendedFileMetadata: true }
  const commit = formatCommit([
    { commitInfo: { operation: 'DELETE' } },
    { remove: { ...tombstone, deletionTimestamp: runtime.now() } },
  ])
  await store.put(formatCommitPath(version), commit)
  assert.equal(
    (await writeCheckpoint(store, version, encoder, runtime, { fileActionsMax })).status,
    'written',
  )
  for (let v = 0; v < version; v++) await store.delete([formatCommitPath(v), formatChecksumPath(v)])
  await append((await DeltaTable.open(store, { runtime }))!, FILES)
  const rows = Array.from({ length: FILES }, (_, i) => rowOf(i + 1)).map(({ amount, at, day, id }) => ({
    id: String(id),
    amount: formatDecimal(amount, 3),
    at: formatInstant(at),
    day,
  }))
  return { path, txn: ['app', FILES], rows }
}

test('delta-rs and DuckDB find every row by checkpoints of each form, and by the statistics in them', {
  skip: python === undefined ? 'SI_TEST_PYTHON names no Python with delta-rs and duckdb' : false,
}, async t => {
  const folder = await mkdtemp(join(tmpdir(), 'checkpoints-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const manifest = [
    await makeTable(join(folder, 'classic'), {}, 50_000),
    await makeTable(join(folder, 'row-groups'), {}, 2),
    await makeTable(join(folder, 'typed-only'), TYPED_ONLY, 50_000),
    await makeTable(join(folder, 'v2-inline'), V2, 50_000),
    await makeTable(join(folder, 'v2-sidecars'), V2, 3),
    await makeTable(join(folder, 'v2-sidecars-typed-only'), { ...V2, ...TYPED_ONLY }, 3),
  ]
  const manifestPath = join(folder, 'manifest.json')
  await writeFile(manifestPath, JSON.stringify(manifest))
  const script = join(import.meta.dirname, 'checkpoint-readers.py')
  const { stdout } = await promisify(execFile)(python!, [script, manifestPath], { maxBuffer: 1 << 28 })
  assert.deepEqual(JSON.parse(stdout), { tables: manifest.length, problems: [] })
})
