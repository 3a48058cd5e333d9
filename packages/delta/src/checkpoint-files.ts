/**
 * The files that make up a checkpoint: one Parquet file, or on tables that ask for it one of version 2 with sidecars.
 *
 * PROTOCOL.md › Checkpoints, › V2 Spec. Files stream through row groups, and the bytes go out as they are made, so that
 * memory is that of one batch; with sidecars each batch is a file of its own. What is no file has
 * a row group to itself: a writer that opens the table reads that one alone.
 *
 * @module
 */
import type { Action, Add, Remove, Sidecar } from './action.ts'
import { FileActionRows } from './checkpoint-row-builder.ts'
import { fileActionFields, stateActionFields } from './checkpoint-schema.ts'
import { appendFields } from './column/append-value.ts'
import type { Column, ColumnBatch } from './column/column.ts'
import { BatchBuilder, createColumnBuilder } from './column/column-builder.ts'
import { columnMappingMode } from './column-mapping.ts'
import type { ParquetEncodeOptions, ParquetEncoder, ParquetFileWriter } from './parquet/parquet-encoder.ts'
import { type StructField, type StructType, struct } from './schema.ts'
import { statisticsOptionsOf } from './statistics-codec.ts'
import { tableProperty } from './table-property.ts'
import type { TableState } from './table-state.ts'

/** File actions of one row group, or of one sidecar; and how many a checkpoint of version 2 holds without sidecars. */
export const FILE_ACTIONS_MAX = 50_000
/** A batch is closed early at this size of its columns: statistics of hundreds of columns are large. */
const BATCH_SIZE_MAX_BYTES = 128 << 20

const ENCODE_OPTIONS: ParquetEncodeOptions = { codec: 'snappy' }

export type CheckpointFormat = 'v1' | 'v2'

/** Actions of one batch, as the columns `add` and `remove`. */
export type FileBatch = ColumnBatch

/** The columns of a table's checkpoints. */
export interface CheckpointColumns {
  readonly format: CheckpointFormat
  readonly state: readonly StructField[]
  readonly files: readonly StructField[]
}

export function checkpointColumns(state: TableState, format: CheckpointFormat): CheckpointColumns {
  const { configuration, partitionColumns } = state.metadata
  const statsAsJson = tableProperty(configuration, 'delta.checkpoint.writeStatsAsJson')
  const files = fileActionFields({
    tableSchema: state.schema,
    partitionColumns,
    columnMapping: columnMappingMode({ configuration }),
    statsAsJson,
    statsAsStruct: tableProperty(configuration, 'delta.checkpoint.writeStatsAsStruct'),
    // Without the text, the typed form is all there is: columns that are no longer indexed keep theirs.
    statsColumns: statsAsJson ? statisticsOptionsOf(state).columns : null,
  })
  return { format, state: stateActionFields(format), files }
}

/** Batches tombstones, then files: at most `actionsMax` at a time. */
export async function* fileBatches(
  columns: CheckpointColumns,
  actionsMax: number,
  removes: Iterable<Remove>,
  adds: AsyncIterable<readonly Add[]>,
): AsyncGenerator<FileBatch> {
  const rows = new FileActionRows(columns.files)
  const isFull = (): boolean =>
    rows.rowCount === actionsMax ||
    (rows.rowCount % SIZE_CHECK_ROWS === 0 && rows.sizeBytes >= BATCH_SIZE_MAX_BYTES)
  for (const remove of removes) {
    rows.appendRemove(remove)
    if (isFull()) yield rows.finish()
  }
  // Apart from the files, so that reading the tombstones alone does not pass over those.
  if (rows.rowCount > 0) yield rows.finish()
  for await (const batch of adds) {
    for (const add of batch) {
      rows.appendAdd(add)
      if (isFull()) yield rows.finish()
    }
  }
  if (rows.rowCount > 0) yield rows.finish()
}

/** The size of all columns is added up after so many rows. */
const SIZE_CHECK_ROWS = 1_000

/** The file that holds everything but what is in sidecars. */
export class CheckpointFile {
  readonly #columns: CheckpointColumns
  readonly #withFiles: boolean
  readonly #writer: ParquetFileWriter

  /** @param withFiles false where all files are in sidecars */
  constructor(encoder: ParquetEncoder, columns: CheckpointColumns, withFiles: boolean) {
    this.#columns = columns
    this.#withFiles = withFiles
    this.#writer = encoder.createFileWriter(this.#schema, ENCODE_OPTIONS)
  }

  get rowCount(): number {
    return this.#writer.rowCount
  }

  /** Rows of anything but files: each an object of one action. */
  appendState(actions: Iterable<Action>): void {
    const { state, files } = this.#columns
    const rows = new BatchBuilder(struct(state))
    for (const action of actions) {
      appendFields(state, rows.columns, action as unknown as Record<string, unknown>)
      rows.endRow()
    }
    const { rowCount, columns } = rows.finish()
    const absent = this.#withFiles ? nullColumns(files, rowCount) : []
    this.#writer.appendRowGroup({ schema: this.#schema, rowCount, columns: [...columns, ...absent] })
  }

  appendFiles({ rowCount, columns }: FileBatch): void {
    const absent = nullColumns(this.#columns.state, rowCount)
    this.#writer.appendRowGroup({ schema: this.#schema, rowCount, columns: [...absent, ...columns] })
  }

  /** The bytes made since the last call. */
  take(): Uint8Array {
    return this.#writer.take()
  }

  /** The rest of the bytes. */
  finish(): Uint8Array {
    return this.#writer.finish()
  }

  get #schema(): StructType {
    const { state, files } = this.#columns
    return struct(this.#withFiles ? [...state, ...files] : [...state])
  }
}

/** One batch as a file of its own. */
export function encodeSidecar(encoder: ParquetEncoder, batch: FileBatch): Uint8Array {
  return encoder.encode(batch, { ...ENCODE_OPTIONS, rowGroupRows: batch.rowCount }).bytes
}

/** Everything of the table but its files, and for version 2 what says so. */
export function* stateActions(
  state: TableState,
  format: CheckpointFormat,
  sidecars: readonly Sidecar[],
): Generator<Action> {
  const { version, protocol, metadata, txns, domainMetadata } = state
  if (format === 'v2') yield { checkpointMetadata: { version } }
  // Feature lists are null for low versions, as the state has them: an empty list would be read as another protocol.
  yield { protocol }
  yield { metaData: metadata }
  for (const txn of txns.values()) yield { txn }
  for (const domain of domainMetadata.values()) yield { domainMetadata: domain }
  for (const sidecar of sidecars) yield { sidecar }
}

function nullColumns(fields: readonly StructField[], rowCount: number): Column[] {
  return fields.map(({ type }) => {
    const builder = createColumnBuilder(type)
    for (let row = 0; row < rowCount; row++) builder.appendNull()
    return builder.finish()
  })
}
