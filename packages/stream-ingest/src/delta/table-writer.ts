/**
 * From the columns of an epoch to a commit of the table, with the Kafka offsets in it.
 *
 * The order of events is the guarantee: files are encoded and uploaded under names that nobody refers to, then one
 * commit names them together with the next offset of every topic partition concerned and, where schemas are merged, the
 * columns that the rows brought. ARCHITECTURE.md › What a crash leaves behind names what each `await` here leaves.
 *
 * @module
 */
import {
  type CommitEvents,
  type CommitOutcome,
  type DeltaTable,
  formatSchemaString,
  type ParquetCodec,
  type ParquetEncoder,
  type Runtime,
  type SchemaChange,
  type StructType,
  type Txn,
  type UpkeepOutcome,
} from '@stream-ingest/delta'
import { DeltaError } from '../error.ts'
import { DataFileWriter, type EpochRows, type FileStages, type UploadedFile } from './data-file-writer.ts'
import type { DataFileLayout } from './epoch-encoder.ts'
import { assertFitsTable, planRows, type RowPlan, type TableFit } from './table-fit.ts'
import { TableOverwriter } from './table-overwriter.ts'

export type { TablePartitionRows } from './epoch-encoder.ts'

/** Times a commit is planned anew because the table's metadata or protocol changed underneath. */
export const REPLANS_MAX = 10

export interface TableWriterOptions {
  /** Every configured column, partition columns included. */
  readonly schema: StructType
  readonly partitionColumns: readonly string[]
  /** May an epoch bring columns that the table lacks, or wider types? */
  readonly mergeSchema: boolean
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

export interface EpochColumns extends EpochRows {
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
      /** What this commit made of the table's schema. */
      readonly schemaChanges: readonly SchemaChange[]
    }
  /** Another writer moved one of our offsets: what this epoch holds may be in the table already. */
  | { readonly status: 'fenced'; readonly winner: number; readonly appId: string }
  /**
   * Another writer changed the table so that columns which the rows brought have no place in it any more, such as the
   * same new column with another type: the rows are to be decoded anew, under the table's schema.
   */
  | { readonly status: 'schema-changed'; readonly winner: number; readonly problems: readonly string[] }

export interface WriterStages extends FileStages {
  commitMs: number
}

export class TableWriter {
  readonly table: DeltaTable
  private readonly runtime: Runtime
  private readonly encoder: ParquetEncoder
  private readonly options: TableWriterOptions
  private readonly fit: TableFit
  private readonly files: DataFileWriter
  private commitMs = 0

  /** @throws DeltaError `TABLE_SCHEMA_MISMATCH` */
  constructor(table: DeltaTable, encoder: ParquetEncoder, runtime: Runtime, options: TableWriterOptions) {
    this.table = table
    this.encoder = encoder
    this.runtime = runtime
    this.options = options
    this.fit = { ...options, newUuid: runtime.uuid }
    const { codec, compressionLevel, partitionColumns, targetFileSizeBytes } = options
    this.files = new DataFileWriter(table.store, encoder, runtime, {
      partitionColumns,
      targetFileSizeBytes,
      file: { codec, ...(compressionLevel === undefined ? {} : { compressionLevel }) },
    })
    assertFitsTable(table.store.uri, this.fit, table.state)
  }

  /** The next offset that the table holds for an app id; null where it holds none. */
  nextOffset(appId: string): bigint | null {
    return this.table.state.txns.get(appId)?.version ?? null
  }

  get encodedRatio(): number {
    return this.files.encodedRatio
  }

  /** How files are written: for threads that encode. */
  get fileLayout(): DataFileLayout {
    return this.files.layout
  }

  get stages(): WriterStages {
    return { ...this.files.stages, commitMs: this.commitMs }
  }

  /**
   * Encodes an epoch without writing anything: what a dry run reports.
   *
   * @throws DeltaError `TABLE_SCHEMA_MISMATCH`
   */
  planEpoch(epoch: EpochColumns): WrittenFile[] {
    const plan = this.planRows(epoch)
    if (plan.status === 'incompatible') {
      throw new DeltaError(
        'TABLE_SCHEMA_MISMATCH',
        `${this.table.store.uri} does not fit: ${plan.problems.join('; ')}`,
      )
    }
    return [...this.files.encode(epoch, plan)].map(file => ({
      key: file.key,
      rowCount: file.rowCount,
      sizeBytes: file.bytes.length,
    }))
  }

  /**
   * Writes an epoch: all of its rows and offsets in one commit, or nothing.
   *
   * @throws what the store throws, `DELTA_COMMIT_…`, `DELTA_TABLE_CHANGED`, `TABLE_SCHEMA_MISMATCH` where the table
   *   was changed meanwhile so that the configured columns do not fit any more
   */
  async writeEpoch(epoch: EpochColumns, events: CommitEvents = {}): Promise<EpochOutcome> {
    const lastUpdated = this.runtime.now()
    const txns: Txn[] = epoch.offsets.map(o => ({ appId: o.appId, version: o.nextOffset, lastUpdated }))
    const txnId = this.runtime.uuid()
    let written: { plan: RowPlan; files: readonly UploadedFile[] } | null = null
    // Asked while files are on their way, so that it costs no time.
    const ownCommitStands = this.table.assertOwnCommitStands()
    // Where an upload fails first, nobody waits for this one.
    ownCommitStands.catch(() => {})
    for (let attempt = 1; attempt <= REPLANS_MAX; attempt++) {
      const moved = this.movedOffset(epoch)
      if (moved !== null) return { status: 'fenced', winner: this.table.state.version, appId: moved }
      const plan = this.planRows(epoch)
      if (plan.status === 'incompatible') {
        return { status: 'schema-changed', winner: this.table.state.version, problems: plan.problems }
      }
      if (written === null || !takesSameFiles(written.plan, plan)) {
        // Crash here: files that no commit names, those of an earlier plan too; VACUUM removes them.
        written = { plan, files: await this.files.upload(epoch, plan) }
      }
      // Crash here: files that no commit names; VACUUM removes them, Kafka still has the rows.
      await ownCommitStands
      const outcome = await this.commit(epoch, plan, written.files, txns, txnId, events)
      if (outcome.status === 'committed') {
        return {
          status: 'committed',
          version: outcome.state.version,
          files: written.files.map(({ key, rowCount, sizeBytes }) => ({ key, rowCount, sizeBytes })),
          attemptCount: outcome.attemptCount,
          schemaChanges: plan.evolution.status === 'evolved' ? plan.evolution.changes : [],
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
    }
    throw new DeltaError(
      'DELTA_COMMIT_CONTENTION',
      `the schema or protocol of ${this.table.store.uri} changed ${REPLANS_MAX} times during one commit`,
    )
  }

  /** For a run that replaces the table as it is now. */
  beginOverwrite(): TableOverwriter {
    return new TableOverwriter(this.table, this.files, this.runtime, this.fit)
  }

  /** Checksum and checkpoint of the newest version; never throws. */
  upkeep(): Promise<UpkeepOutcome> {
    return this.table.upkeep(this.encoder, this.options.checkpointInterval)
  }

  private planRows({ batch }: EpochColumns): ReturnType<typeof planRows> {
    return planRows(this.table.store.uri, this.table.state, batch.schema, this.fit)
  }

  private async commit(
    epoch: EpochColumns,
    { evolution }: RowPlan,
    files: readonly UploadedFile[],
    txns: readonly Txn[],
    txnId: string,
    events: CommitEvents,
  ): Promise<CommitOutcome> {
    const startedMs = this.runtime.monotonicMs()
    try {
      return await this.table.append(
        {
          adds: files.map(file => file.add),
          rowCounts: files.map(file => file.rowCount),
          txns,
          ...(evolution.status === 'evolved' ? { change: evolution } : {}),
          operation: 'STREAMING UPDATE',
          operationParameters: {
            outputMode: 'Append',
            queryId: this.options.queryId,
            ...epoch.operationParameters,
          },
          operationMetrics: {
            numAddedFiles: String(files.length),
            numRemovedFiles: '0',
            numOutputRows: String(files.reduce((total, f) => total + f.rowCount, 0)),
            numOutputBytes: String(files.reduce((total, f) => total + f.sizeBytes, 0)),
            ...epoch.metrics,
          },
          txnId,
        },
        events,
      )
    } finally {
      this.commitMs += this.runtime.monotonicMs() - startedMs
    }
  }

  /** An app id whose offset in the table is not the one that reading started from. */
  private movedOffset(epoch: EpochColumns): string | null {
    for (const { appId, expected } of epoch.offsets) {
      if (this.nextOffset(appId) !== expected) return appId
    }
    return null
  }
}

/** Files hold the table's names (physical ones under column mapping), ids and types: are they the same? */
function takesSameFiles(before: RowPlan, now: RowPlan): boolean {
  return formatSchemaString(before.schema) === formatSchemaString(now.schema)
}
