/**
 * From the columns of an epoch to encoded data files: rows gathered by table partition, file by file. On whichever
 * thread has the rows; no I/O.
 *
 * @module
 */
import assert from 'node:assert/strict'
import {
  type DataFileFormat,
  type DataFileOptions,
  type EncodedDataFile,
  encodeFileOfFormat,
  type ParquetEncoder,
  type Runtime,
  type StructType,
  struct,
} from '@stream-ingest/delta'
import { Arena, type ColumnBatch, castBatch, gatherBatch, sliceBatch } from '@stream-ingest/delta/column'

/** Settings of a writer. Can be sent to another thread. */
export interface DataFileLayout {
  readonly partitionColumns: readonly string[]
  readonly file: DataFileOptions
  readonly targetFileSizeBytes: number
}

/** What files are encoded under, by the table as it is. Can be sent to another thread. */
export interface FilePlan {
  readonly format: DataFileFormat
  /** The table's fields that the rows have, in their order. */
  readonly schema: StructType
}

/** Rows of one table partition, as they are spread over the batch. */
export interface TablePartitionRows {
  readonly partitionValues: Readonly<Record<string, string | null>>
  /** Ascending row numbers of the batch; null means every row. */
  readonly rows: Int32Array | null
}

/** Rows in this thread's memory. */
export interface BatchRows {
  readonly batch: ColumnBatch
  readonly partitions: readonly TablePartitionRows[]
}

/** What encoding came to. */
export interface EncodedSizes {
  readonly columnBytes: number
  readonly encodedBytes: number
  readonly encodeMs: number
}

/** Less is mostly footer, which says nothing of larger files. */
const RATIO_COLUMNS_MIN_BYTES = 1 << 20
const INITIAL_RATIO = 0.5

/** Encoded bytes per byte of columns, as last seen: tells when a file is large enough. */
export class EncodedRatio {
  value: number = INITIAL_RATIO

  note({ columnBytes, encodedBytes }: EncodedSizes): void {
    if (columnBytes > RATIO_COLUMNS_MIN_BYTES) this.value = encodedBytes / columnBytes
  }
}

export class EpochEncoder {
  private readonly encoder: ParquetEncoder
  private readonly runtime: Pick<Runtime, 'uuid' | 'monotonicMs'>
  private readonly layout: DataFileLayout
  private readonly ratio = new EncodedRatio()
  /** Those that no epoch is being encoded with. */
  private readonly arenas: Arena[] = []

  constructor(
    encoder: ParquetEncoder,
    runtime: Pick<Runtime, 'uuid' | 'monotonicMs'>,
    layout: DataFileLayout,
  ) {
    this.encoder = encoder
    this.runtime = runtime
    this.layout = layout
  }

  /** Encodes file by file: the next one when it is asked for. */
  *encode(rows: BatchRows, plan: FilePlan): Generator<EncodedDataFile, EncodedSizes, void> {
    const arena = this.arenas.pop() ?? new Arena()
    try {
      const sizes = yield* this.encodeWith(arena, rows, plan)
      this.ratio.note(sizes)
      return sizes
    } finally {
      arena.reset()
      this.arenas.push(arena)
    }
  }

  private *encodeWith(
    arena: Arena,
    { batch, partitions }: BatchRows,
    plan: FilePlan,
  ): Generator<EncodedDataFile, EncodedSizes, void> {
    const data = this.dataColumns(batch, plan)
    let columnBytes = 0
    let encodedBytes = 0
    let encodeMs = 0
    for (const { partitionValues, rows } of partitions) {
      // The files of the partition before are encoded, in memory of their own.
      arena.reset()
      let startedMs = this.runtime.monotonicMs()
      const part = rows === null ? data : gatherBatch(data, rows, arena)
      assert(part.rowCount > 0)
      const partBytes = batchSizeBytes(part)
      const fileCount = Math.max(
        1,
        Math.ceil((partBytes * this.ratio.value) / this.layout.targetFileSizeBytes),
      )
      const rowsPerFile = Math.ceil(part.rowCount / fileCount)
      for (let from = 0; from < part.rowCount; from += rowsPerFile) {
        const slice =
          fileCount === 1 ? part : sliceBatch(part, from, Math.min(part.rowCount, from + rowsPerFile))
        const file = encodeFileOfFormat(
          plan.format,
          this.encoder,
          slice,
          partitionValues,
          this.layout.file,
          this.runtime,
        )
        encodedBytes += file.bytes.length
        encodeMs += this.runtime.monotonicMs() - startedMs
        yield file
        startedMs = this.runtime.monotonicMs()
      }
      columnBytes += partBytes
    }
    return { columnBytes, encodedBytes, encodeMs }
  }

  /** Without the partition columns, under the table's names and types. */
  private dataColumns(batch: ColumnBatch, { schema }: FilePlan): ColumnBatch {
    const { partitionColumns } = this.layout
    const kept = batch.schema.fields.flatMap((f, i) => (partitionColumns.includes(f.name) ? [] : [i]))
    const data = { schema, rowCount: batch.rowCount, columns: kept.map(i => batch.columns[i]!) }
    return castBatch(data, struct(kept.map(i => schema.fields[i]!)))
  }
}

/** Bytes of the buffers that a batch refers to, nested columns included. */
export function batchSizeBytes(batch: ColumnBatch): number {
  return batch.columns.reduce((total, column) => total + columnSizeBytes(column), 0)
}

function columnSizeBytes(column: ColumnBatch['columns'][number]): number {
  const validity = column.validity?.byteLength ?? 0
  switch (column.kind) {
    case 'binary':
      return validity + column.offsets.byteLength + column.offsets[column.length]! - column.offsets[0]!
    case 'list':
      return validity + column.offsets.byteLength + columnSizeBytes(column.element)
    case 'map':
      return (
        validity + column.offsets.byteLength + columnSizeBytes(column.key) + columnSizeBytes(column.value)
      )
    case 'struct':
      return column.fields.reduce((total, field) => total + columnSizeBytes(field), validity)
    default:
      return validity + column.values.byteLength
  }
}
