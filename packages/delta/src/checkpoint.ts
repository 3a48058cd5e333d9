/**
 * Classic V1 checkpoints: the state of the table at one version, as one Parquet file.
 *
 * PROTOCOL.md › Checkpoints. Derived from the log alone, so any writer may make one and two that do agree. The pointer
 * `_last_checkpoint` moves only after the checkpoint is complete, and never backwards.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { Add, Metadata, Protocol, Remove, Txn } from './action.ts'
import { fileActionFields, stateActionFields } from './checkpoint-schema.ts'
import { appendFields } from './column/append-value.ts'
import { BatchBuilder } from './column/column-builder.ts'
import { DeltaLakeError } from './error.ts'
import { isJsonObject, JsonNumber } from './json.ts'
import { readLastCheckpoint, writeLastCheckpoint } from './last-checkpoint.ts'
import { formatCheckpointPath } from './log-path.ts'
import type { ColumnMappingMode } from './parquet/file-schema.ts'
import type { ParquetEncoder } from './parquet/parquet-encoder.ts'
import { parsePartitionValue } from './partition-value.ts'
import type { Runtime } from './runtime.ts'
import { type DataType, type StructType, struct } from './schema.ts'
import { loadSnapshot, type Snapshot } from './snapshot.ts'
import { parseStatistics } from './statistics.ts'
import type { ObjectStore } from './store/object-store.ts'
import { tableProperty } from './table-property.ts'
import type { TableState } from './table-state.ts'

export interface CheckpointOutcome {
  /** `exists`: another writer made one at this version or later. */
  readonly status: 'written' | 'exists'
  readonly version: number
}

/** Is it time? Derived from the log and not from what this process did, so that a restart never skips one. */
export function checkpointDue(state: TableState, interval?: number): boolean {
  const every = interval ?? tableProperty(state.metadata.configuration, 'delta.checkpointInterval')
  return state.version - (state.checkpointVersion ?? 0) >= every
}

/**
 * Writes the checkpoint of `version` and moves `_last_checkpoint` to it.
 *
 * @throws DeltaLakeError when the log cannot be read or the store refuses; nothing is left half done that a reader sees
 */
export async function writeCheckpoint(
  store: ObjectStore,
  version: number,
  encoder: ParquetEncoder,
  runtime: Runtime,
): Promise<CheckpointOutcome> {
  const pointer = await readLastCheckpoint(store)
  if (pointer !== null && pointer.version >= version) return { status: 'exists', version: pointer.version }
  const snapshot = await loadSnapshot(store, { version, nowMs: runtime.now(), hint: pointer })
  assert(snapshot !== null, 'a checkpoint is made of a version that was committed')
  const { bytes, actionCount, addCount } = await encodeCheckpoint(snapshot, encoder, runtime.now())
  // Crash here: no checkpoint, or one that the next LIST finds; the pointer is only a hint.
  const put = await store.putIfAbsent(formatCheckpointPath(version), bytes)
  if (put.status === 'unknown') throw put.cause
  await writeLastCheckpoint(store, {
    version,
    size: actionCount,
    sizeInBytes: bytes.length,
    numOfAddFiles: addCount,
  })
  return { status: put.status === 'created' ? 'written' : 'exists', version }
}

async function encodeCheckpoint(
  snapshot: Snapshot,
  encoder: ParquetEncoder,
  nowMs: number,
): Promise<{ bytes: Uint8Array; actionCount: number; addCount: number }> {
  const { state } = snapshot
  const { configuration, partitionColumns } = state.metadata
  const statsAsStruct = tableProperty(configuration, 'delta.checkpoint.writeStatsAsStruct')
  const schema = struct([
    ...stateActionFields('v1'),
    ...fileActionFields({
      tableSchema: state.schema,
      partitionColumns,
      columnMapping: tableProperty(configuration, 'delta.columnMapping.mode') as ColumnMappingMode,
      statsAsJson: tableProperty(configuration, 'delta.checkpoint.writeStatsAsJson'),
      statsAsStruct,
      statsColumns: null,
    }),
  ])
  const rows = new BatchBuilder(schema)
  const appendRow = (row: Record<string, unknown>): void => {
    appendFields(schema.fields, rows.columns, row)
    rows.endRow()
  }
  appendRow({ protocol: protocolRow(state.protocol) })
  appendRow({ metaData: metadataRow(state.metadata) })
  for (const txn of state.txns.values()) appendRow({ txn: txnRow(txn) })
  for (const domainMetadata of state.domainMetadata.values()) appendRow({ domainMetadata })
  const oldestTombstoneMs = nowMs - tableProperty(configuration, 'delta.deletedFileRetentionDuration')
  for (const remove of snapshot.tombstones) {
    if ((remove.deletionTimestamp ?? 0) > oldestTombstoneMs) appendRow({ remove: removeRow(remove) })
  }
  let addCount = 0
  for await (const add of snapshot.files()) {
    appendRow({ add: addRow(add, state, statsAsStruct) })
    addCount++
  }
  const actionCount = rows.rowCount
  return { bytes: encoder.encode(rows.finish(), { codec: 'snappy' }).bytes, actionCount, addCount }
}

/** Feature lists are absent for low versions: an empty list would be read as another protocol. */
function protocolRow(protocol: Protocol): Record<string, unknown> {
  return {
    ...protocol,
    readerFeatures: protocol.minReaderVersion === 3 ? (protocol.readerFeatures ?? []) : null,
    writerFeatures: protocol.minWriterVersion === 7 ? (protocol.writerFeatures ?? []) : null,
  }
}

function metadataRow(metadata: Metadata): Record<string, unknown> {
  return { ...metadata }
}

function txnRow(txn: Txn): Record<string, unknown> {
  return { ...txn }
}

/** Tombstones carry neither stats nor tags in a checkpoint. */
function removeRow(remove: Remove): Record<string, unknown> {
  const { stats: _stats, tags: _tags, ...kept } = remove
  return { ...kept, dataChange: false }
}

function addRow(add: Add, state: TableState, statsAsStruct: boolean): Record<string, unknown> {
  const row: Record<string, unknown> = { ...add, dataChange: false }
  if (statsAsStruct) {
    row.partitionValues_parsed = parsedPartitionValues(add, state)
    row.stats_parsed = add.stats === undefined ? null : parsedStats(add.stats, state.schema)
  }
  return row
}

function parsedPartitionValues(add: Add, state: TableState): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  for (const { name, type } of state.schema.fields) {
    const text = add.partitionValues[name]
    if (text !== undefined) values[name] = typedValue(type, text)
  }
  return values
}

/** Statistics that cannot be understood are left out: they are an aid, and the JSON text is carried as it came. */
function parsedStats(text: string, schema: StructType): Record<string, unknown> | null {
  const parsed = parseStatistics(text)
  if (parsed === null) return null
  try {
    return {
      numRecords: parsed.numRecords,
      minValues: typedStruct(parsed.minValues, schema),
      maxValues: typedStruct(parsed.maxValues, schema),
      nullCount: countStruct(parsed.nullCount, schema),
      tightBounds: parsed.tightBounds ?? null,
    }
  } catch (error) {
    if (error instanceof DeltaLakeError) return null
    throw error
  }
}

function typedStruct(values: unknown, schema: StructType): Record<string, unknown> | null {
  if (!isJsonObject(values)) return null
  const typed: Record<string, unknown> = {}
  for (const { name, type } of schema.fields) {
    const value = values[name]
    if (value === undefined || value === null) continue
    if (type.kind === 'struct') typed[name] = typedStruct(value, type)
    // The text forms of statistics are those of partition values, except that an empty string is a string.
    else if (type.kind === 'primitive' && type.name === 'string') typed[name] = value
    else typed[name] = typedValue(type, value instanceof JsonNumber ? value.text : String(value))
  }
  return typed
}

function countStruct(values: unknown, schema: StructType): Record<string, unknown> | null {
  if (!isJsonObject(values)) return null
  const counts: Record<string, unknown> = {}
  for (const { name, type } of schema.fields) {
    const value = values[name]
    if (type.kind === 'struct') counts[name] = countStruct(value, type)
    else counts[name] = integerOf(value)
  }
  return counts
}

function integerOf(value: unknown): bigint | null {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number') return BigInt(Math.trunc(value))
  return value instanceof JsonNumber ? BigInt(value.text) : null
}

function typedValue(type: DataType, text: string | null): unknown {
  return text === null ? null : parsePartitionValue(type, text)
}
