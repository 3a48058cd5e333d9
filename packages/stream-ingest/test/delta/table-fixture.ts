/**
 * A table of one day, writers of it, and epochs for them. What a test leaves behind is checked when it ends.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { afterEach } from 'node:test'
import {
  checkTable,
  createParquetEncoder,
  type DataType,
  DeltaTable,
  field,
  formatCommit,
  formatSchemaString,
  loadSnapshot,
  MemoryObjectStore,
  type PrimitiveName,
  primitive,
  type StructType,
  scanTable,
  struct,
  type TableRow,
} from '@stream-ingest/delta'
import { appendFields, BatchBuilder } from '@stream-ingest/delta/column'
import { type EpochColumns, TableWriter } from '../../src/delta/table-writer.ts'
import { fixedRuntime } from '../pipeline/table-fixture.ts'

export const runtime = fixedRuntime()
export let store = new MemoryObjectStore({ now: runtime.now })

afterEach(async () => {
  const { findings } = await checkTable(store, { deep: true, nowMs: runtime.now() })
  assert.deepEqual(findings, [])
})

export const encoder = createParquetEncoder()

export const columns = (types: Readonly<Record<string, string | DataType>>): StructType =>
  struct(
    Object.entries(types).map(([name, type]) =>
      field(name, typeof type === 'string' ? primitive(type as PrimitiveName) : type),
    ),
  )

export const CONFIGURED = columns({ id: 'integer', day: 'date' })

export async function createTable(
  schema = CONFIGURED,
  properties: Readonly<Record<string, string>> = {},
): Promise<void> {
  store = new MemoryObjectStore({ now: runtime.now })
  await DeltaTable.openOrCreate(store, { schema, partitionColumns: ['day'], properties }, { runtime })
}

export async function openWriter(schema = CONFIGURED, mergeSchema = true): Promise<TableWriter> {
  const table = (await DeltaTable.open(store, { runtime }))!
  return new TableWriter(table, encoder, runtime, {
    schema,
    mergeSchema,
    partitionColumns: ['day'],
    codec: 'snappy',
    targetFileSizeBytes: 1 << 20,
    queryId: 'q',
  })
}

/** Rows of one day, and the progress of one topic partition. */
export function epoch(
  schema: StructType,
  rows: readonly TableRow[],
  appId: string,
  from: bigint | null,
): EpochColumns {
  const builder = new BatchBuilder(schema)
  for (const row of rows) {
    appendFields(schema.fields, builder.columns, { day: 20_000, ...row })
    builder.endRow()
  }
  return {
    batch: builder.finish(),
    partitions: [{ partitionValues: { day: '2024-10-04' }, rows: null }],
    offsets: [{ appId, expected: from, nextOffset: (from ?? 0n) + BigInt(rows.length) }],
    metrics: {},
    operationParameters: {},
  }
}

export async function tableRows(names: readonly string[]): Promise<unknown[]> {
  const rows: unknown[] = []
  for await (const batch of scanTable((await loadSnapshot(store))!, { columns: names })) rows.push(...batch)
  return rows
}

export const dataFiles = async (): Promise<number> => {
  let count = 0
  for await (const { key } of store.list('')) if (key.endsWith('.parquet') && !key.startsWith('_')) count++
  return count
}

/** Commits another schema, as another engine would. */
export async function alterTable(
  schema: StructType,
  configuration: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { state } = (await DeltaTable.open(store, { runtime }))!
  const metaData = {
    ...state.metadata,
    schemaString: formatSchemaString(schema),
    configuration: { ...state.metadata.configuration, ...configuration },
  }
  const version = String(state.version + 1).padStart(20, '0')
  const body = formatCommit([{ commitInfo: { txnId: 'other' } }, { metaData }])
  await store.putIfAbsent(`_delta_log/${version}.json`, body)
}
