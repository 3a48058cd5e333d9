/**
 * From the columns of an epoch to data files in the store: rows gathered by table partition, encoded, uploaded under
 * names that nobody refers to yet.
 *
 * @module
 */
import assert from 'node:assert/strict'
import {
  type Add,
  type DataFileOptions,
  type EncodedDataFile,
  encodeDataFile,
  type ObjectStore,
  type ParquetEncoder,
  type Runtime,
  struct,
  uploadDataFile,
} from '@stream-ingest/delta'
import { Arena, type ColumnBatch, castBatch, gatherBatch, sliceBatch } from '@stream-ingest/delta/column'
import type { RowPlan } from './table-fit.ts'

/** Files that may be on their way to the store at once; each holds its encoded bytes until it is there. */
export const UPLOADS_IN_FLIGHT_MAX = 4

export interface DataFileLayout {
  readonly partitionColumns: readonly string[]
  readonly file: DataFileOptions
  readonly targetFileSizeBytes: number
}

/** Rows of one table partition, as they are spread over the batch. */
export interface TablePartitionRows {
  readonly partitionValues: Readonly<Record<string, string | null>>
  /** Ascending row numbers of the batch; null means every row. */
  readonly rows: Int32Array | null
}

export interface EpochRows {
  readonly batch: ColumnBatch
  readonly partitions: readonly TablePartitionRows[]
}

/** A data file in the store, and what a commit says of it. */
export interface UploadedFile {
  readonly add: Add
  readonly key: string
  readonly rowCount: number
  readonly sizeBytes: number
}

/** Time spent, over all epochs. */
export interface FileStages {
  encodeMs: number
  uploadMs: number
}

export class DataFileWriter {
  readonly stages: FileStages = { encodeMs: 0, uploadMs: 0 }
  private readonly store: ObjectStore
  private readonly encoder: ParquetEncoder
  private readonly runtime: Runtime
  private readonly layout: DataFileLayout
  /** Those that no epoch is being encoded with. */
  private readonly arenas: Arena[] = []
  /** Encoded bytes per byte of columns, as last seen: tells when a file is large enough. */
  #encodedRatio = 0.5

  constructor(store: ObjectStore, encoder: ParquetEncoder, runtime: Runtime, layout: DataFileLayout) {
    this.store = store
    this.encoder = encoder
    this.runtime = runtime
    this.layout = layout
  }

  get encodedRatio(): number {
    return this.#encodedRatio
  }

  /** Encodes file by file, so that the next one is encoded while the ones before are on their way. */
  async upload(epoch: EpochRows, plan: RowPlan): Promise<UploadedFile[]> {
    const uploaded: Promise<UploadedFile>[] = []
    const inFlight = new Set<Promise<unknown>>()
    try {
      for (const file of this.encode(epoch, plan)) {
        const startedMs = this.runtime.monotonicMs()
        // Crash here or while uploading: files that no commit names; VACUUM removes them, Kafka still has the rows.
        const upload = uploadDataFile(this.store, file, this.runtime).then(add => {
          this.stages.uploadMs += this.runtime.monotonicMs() - startedMs
          return { add, key: file.key, rowCount: file.rowCount, sizeBytes: add.size }
        })
        uploaded.push(upload)
        inFlight.add(upload)
        upload.then(
          () => inFlight.delete(upload),
          () => inFlight.delete(upload),
        )
        if (inFlight.size >= UPLOADS_IN_FLIGHT_MAX) await Promise.race(inFlight)
      }
      return await Promise.all(uploaded)
    } finally {
      // After a failure the others end before the caller goes on: nothing may run behind its back.
      await Promise.allSettled(uploaded)
    }
  }

  /** Encodes without writing anything, file by file. */
  *encode(epoch: EpochRows, plan: RowPlan): Generator<EncodedDataFile> {
    const arena = this.arenas.pop() ?? new Arena()
    try {
      yield* this.encodeWith(arena, epoch, plan)
    } finally {
      arena.reset()
      this.arenas.push(arena)
    }
  }

  private *encodeWith(arena: Arena, epoch: EpochRows, plan: RowPlan): Generator<EncodedDataFile> {
    const data = this.dataColumns(epoch.batch, plan)
    let columnBytes = 0
    let encodedBytes = 0
    for (const { partitionValues, rows } of epoch.partitions) {
      // The files of the partition before are encoded, in memory of their own.
      arena.reset()
      const part = rows === null ? data : gatherBatch(data, rows, arena)
      assert(part.rowCount > 0)
      const partBytes = batchSizeBytes(part)
      const fileCount = Math.max(
        1,
        Math.ceil((partBytes * this.#encodedRatio) / this.layout.targetFileSizeBytes),
      )
      const rowsPerFile = Math.ceil(part.rowCount / fileCount)
      for (let from = 0; from < part.rowCount; from += rowsPerFile) {
        const startedMs = this.runtime.monotonicMs()
        const slice =
          fileCount === 1 ? part : sliceBatch(part, from, Math.min(part.rowCount, from + rowsPerFile))
        const file = encodeDataFile(
          plan.state,
          this.encoder,
          slice,
          partitionValues,
          this.layout.file,
          this.runtime,
        )
        encodedBytes += file.bytes.length
        this.stages.encodeMs += this.runtime.monotonicMs() - startedMs
        yield file
      }
      columnBytes += partBytes
    }
    // Small files are mostly footer: they say nothing about the ratio of large ones.
    if (columnBytes > 1 << 20) this.#encodedRatio = encodedBytes / columnBytes
  }

  /** Without the partition columns, under the table's names and types. */
  private dataColumns(batch: ColumnBatch, { schema }: RowPlan): ColumnBatch {
    const { partitionColumns } = this.layout
    const kept = batch.schema.fields.flatMap((f, i) => (partitionColumns.includes(f.name) ? [] : [i]))
    const data = { schema, rowCount: batch.rowCount, columns: kept.map(i => batch.columns[i]!) }
    return castBatch(data, struct(kept.map(i => schema.fields[i]!)))
  }
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  let total = 0
  for (const item of items) total += value(item)
  return total
}

/** Bytes of the buffers that a batch refers to, nested columns included. */
export function batchSizeBytes(batch: ColumnBatch): number {
  return sum(batch.columns, columnSizeBytes)
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
      return validity + sum(column.fields, columnSizeBytes)
    default:
      return validity + column.values.byteLength
  }
}
