/**
 * From the columns of an epoch to a commit of the table, with the Kafka offsets in it.
 *
 * The order of events is the guarantee: files are encoded and uploaded under names that nobody refers to, then one
 * commit names them together with the next offset of every topic partition concerned. ARCHITECTURE.md › What a crash
 * leaves behind names what each `await` here leaves.
 *
 * @module
 */
import assert from 'node:assert/strict'
import {
  type Add,
  type CommitEvents,
  type DeltaTable,
  type EncodedDataFile,
  encodeDataFile,
  type ParquetCodec,
  type ParquetEncoder,
  type Runtime,
  type StructType,
  struct,
  type Txn,
  type UpkeepOutcome,
  uploadDataFile,
} from '@stream-ingest/delta'
import { type ColumnBatch, gatherBatch, sliceBatch } from '@stream-ingest/delta/column'
import { DeltaError } from '../error.ts'
import { assertFitsTable } from './table-fit.ts'

/** Files that may be on their way to the store at once; each holds its encoded bytes until it is there. */
export const UPLOADS_IN_FLIGHT_MAX = 4
/** Times a commit is re-planned because the table's metadata or protocol changed underneath. */
export const REPLANS_MAX = 10

export interface TableWriterOptions {
  /** Every column of an epoch's batch, partition columns included. */
  readonly schema: StructType
  readonly partitionColumns: readonly string[]
  readonly codec: ParquetCodec
  readonly compressionLevel?: number
  readonly targetFileSizeBytes: number
  readonly checkpointInterval?: number
  /** Shown in the table's history. */
  readonly queryId: string
}

/** The progress of one topic partition: `txn` of `appId` moves from `expected` to `nextOffset`. */
export interface OffsetAdvance {
  readonly appId: string
  /** What the table held when reading started from there; null where it held nothing. */
  readonly expected: bigint | null
  readonly nextOffset: bigint
}

/** Rows of one table partition, as they are spread over the batch. */
export interface TablePartitionRows {
  readonly partitionValues: Readonly<Record<string, string | null>>
  /** Ascending row numbers of the batch; null means every row. */
  readonly rows: Int32Array | null
}

export interface EpochColumns {
  readonly batch: ColumnBatch
  readonly partitions: readonly TablePartitionRows[]
  readonly offsets: readonly OffsetAdvance[]
  /** Strings on the wire; `numOutputRows`, `numFiles` and `numOutputBytes` are added here. */
  readonly metrics: Readonly<Record<string, string>>
  readonly operationParameters: Readonly<Record<string, string>>
}

export interface WrittenFile {
  readonly key: string
  readonly rowCount: number
  readonly sizeBytes: number
}

export type EpochOutcome =
  | {
      readonly status: 'committed'
      readonly version: number
      readonly files: readonly WrittenFile[]
      readonly attemptCount: number
    }
  /** Another writer moved one of our offsets: what this epoch holds may be in the table already. */
  | { readonly status: 'fenced'; readonly winner: number; readonly appId: string }

export interface WriterStages {
  encodeMs: number
  uploadMs: number
  commitMs: number
}

export class TableWriter {
  readonly table: DeltaTable
  readonly stages: WriterStages = { encodeMs: 0, uploadMs: 0, commitMs: 0 }
  private readonly encoder: ParquetEncoder
  private readonly runtime: Runtime
  private readonly options: TableWriterOptions
  private readonly dataColumns: readonly number[]
  /** Encoded bytes per byte of columns, as last seen: tells when a file is large enough. */
  #encodedRatio = 0.5

  /** @throws DeltaError `TABLE_SCHEMA_MISMATCH` */
  constructor(table: DeltaTable, encoder: ParquetEncoder, runtime: Runtime, options: TableWriterOptions) {
    this.table = table
    this.encoder = encoder
    this.runtime = runtime
    this.options = options
    this.dataColumns = options.schema.fields.flatMap((f, i) =>
      options.partitionColumns.includes(f.name) ? [] : [i],
    )
    assertFitsTable(table.store.uri, options.schema, options.partitionColumns, table.state)
  }

  /** The next offset that the table holds for an app id; null where it holds none. */
  nextOffset(appId: string): bigint | null {
    return this.table.state.txns.get(appId)?.version ?? null
  }

  get encodedRatio(): number {
    return this.#encodedRatio
  }

  /** Encodes an epoch without writing anything: what a dry run reports. */
  planEpoch(epoch: EpochColumns): WrittenFile[] {
    return [...this.encodeFiles(epoch)].map(file => ({
      key: file.key,
      rowCount: file.rowCount,
      sizeBytes: file.bytes.length,
    }))
  }

  /**
   * Writes an epoch: all of its rows and offsets in one commit, or nothing.
   *
   * @throws what the store throws, `DELTA_COMMIT_…`, `DELTA_TABLE_CHANGED`, `TABLE_SCHEMA_MISMATCH` where the table
   *   was changed meanwhile so that the files do not fit any more
   */
  async writeEpoch(epoch: EpochColumns, events: CommitEvents = {}): Promise<EpochOutcome> {
    const uploaded = await this.uploadFiles(epoch)
    const startedMs = this.runtime.monotonicMs()
    try {
      return await this.commitFiles(epoch, uploaded, events)
    } finally {
      this.stages.commitMs += this.runtime.monotonicMs() - startedMs
    }
  }

  /** Checksum and checkpoint of the newest version; never throws. */
  upkeep(): Promise<UpkeepOutcome> {
    return this.table.upkeep(this.encoder, this.options.checkpointInterval)
  }

  private async commitFiles(
    epoch: EpochColumns,
    uploaded: readonly { add: Add; file: EncodedDataFile }[],
    events: CommitEvents,
  ): Promise<EpochOutcome> {
    const files = uploaded.map(({ add, file }) => ({
      key: file.key,
      rowCount: file.rowCount,
      sizeBytes: add.size,
    }))
    const lastUpdated = this.runtime.now()
    const txns: Txn[] = epoch.offsets.map(o => ({ appId: o.appId, version: o.nextOffset, lastUpdated }))
    const txnId = this.runtime.uuid()
    for (let plan = 1; plan <= REPLANS_MAX; plan++) {
      const moved = this.movedOffset(epoch)
      if (moved !== null) return { status: 'fenced', winner: this.table.state.version, appId: moved }
      const outcome = await this.table.append(
        {
          adds: uploaded.map(u => u.add),
          rowCounts: uploaded.map(u => u.file.rowCount),
          txns,
          operation: 'STREAMING UPDATE',
          operationParameters: {
            outputMode: 'Append',
            queryId: this.options.queryId,
            ...epoch.operationParameters,
          },
          operationMetrics: {
            numAddedFiles: String(files.length),
            numRemovedFiles: '0',
            numOutputRows: String(sum(files, f => f.rowCount)),
            numOutputBytes: String(sum(files, f => f.sizeBytes)),
            ...epoch.metrics,
          },
          txnId,
        },
        events,
      )
      if (outcome.status === 'committed') {
        return {
          status: 'committed',
          version: outcome.state.version,
          files,
          attemptCount: outcome.attemptCount,
        }
      }
      const { reason, winner } = outcome
      if (reason.kind === 'txn') return { status: 'fenced', winner, appId: reason.appId }
      if (reason.kind === 'table-replaced') {
        throw new DeltaError(
          'DELTA_TABLE_CHANGED',
          `version ${winner} of ${this.table.store.uri} gives the table another id (\`${reason.tableId}\`)`,
        )
      }
      // The schema, the protocol or the log changed underneath: look at the newest table before trying again.
      // Crash here: files without a commit; VACUUM removes them, the rows are read again from Kafka.
      await this.table.reload()
      assertFitsTable(
        this.table.store.uri,
        this.options.schema,
        this.options.partitionColumns,
        this.table.state,
      )
    }
    throw new DeltaError(
      'DELTA_COMMIT_CONTENTION',
      `the schema or protocol of ${this.table.store.uri} changed ${REPLANS_MAX} times during one commit`,
    )
  }

  /** An app id whose offset in the table is not the one that reading started from. */
  private movedOffset(epoch: EpochColumns): string | null {
    for (const { appId, expected } of epoch.offsets) {
      if (this.nextOffset(appId) !== expected) return appId
    }
    return null
  }

  /** Encodes file by file, so that the next one is encoded while the ones before are on their way. */
  private async uploadFiles(epoch: EpochColumns): Promise<{ add: Add; file: EncodedDataFile }[]> {
    const uploaded: Promise<{ add: Add; file: EncodedDataFile }>[] = []
    const inFlight = new Set<Promise<unknown>>()
    try {
      for (const file of this.encodeFiles(epoch)) {
        const startedMs = this.runtime.monotonicMs()
        // Crash here or while uploading: files that no commit names; VACUUM removes them, Kafka still has the rows.
        const upload = uploadDataFile(this.table.store, file, this.runtime).then(add => {
          this.stages.uploadMs += this.runtime.monotonicMs() - startedMs
          return { add, file }
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

  private *encodeFiles(epoch: EpochColumns): Generator<EncodedDataFile> {
    const { batch } = epoch
    const data: ColumnBatch = {
      schema: struct(this.dataColumns.map(i => batch.schema.fields[i]!)),
      rowCount: batch.rowCount,
      columns: this.dataColumns.map(i => batch.columns[i]!),
    }
    let columnBytes = 0
    let encodedBytes = 0
    for (const { partitionValues, rows } of epoch.partitions) {
      const part = rows === null ? data : gatherBatch(data, rows)
      assert(part.rowCount > 0)
      const partBytes = batchSizeBytes(part)
      const fileCount = Math.max(
        1,
        Math.ceil((partBytes * this.#encodedRatio) / this.options.targetFileSizeBytes),
      )
      const rowsPerFile = Math.ceil(part.rowCount / fileCount)
      for (let from = 0; from < part.rowCount; from += rowsPerFile) {
        const startedMs = this.runtime.monotonicMs()
        const slice =
          fileCount === 1 ? part : sliceBatch(part, from, Math.min(part.rowCount, from + rowsPerFile))
        const file = encodeDataFile(
          this.table.state,
          this.encoder,
          slice,
          partitionValues,
          {
            codec: this.options.codec,
            ...(this.options.compressionLevel === undefined
              ? {}
              : { compressionLevel: this.options.compressionLevel }),
          },
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
