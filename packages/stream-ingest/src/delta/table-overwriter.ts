/**
 * A table replaced by the rows of one run: files are uploaded as they come, and one commit at the end puts them in the
 * place of all that is there. Until then nobody sees anything of it.
 *
 * @module
 */
import {
  type Add,
  type CommitEvents,
  type DeltaTable,
  formatJson,
  formatSchemaString,
  type Runtime,
  type SchemaChange,
  type StructType,
  type TableChange,
  type TableState,
  type Txn,
} from '@stream-ingest/delta'
import { DeltaError } from '../error.ts'
import type { DataFileWriter, EpochRows } from './data-file-writer.ts'
import { planRows, type RowPlan, type TableFit } from './table-fit.ts'
import type { WrittenFile } from './table-writer.ts'

/** Files that one overwrite may add: all of them are held until the end, and are one object of the log. */
export const OVERWRITE_ADDS_MAX = 50_000
/** Times that others may change the table while the overwrite is being committed. */
export const OVERWRITE_ATTEMPTS_MAX = 20

export type OverwriteOutcome =
  | {
      readonly status: 'committed'
      readonly version: number
      readonly attemptCount: number
      readonly schemaChanges: readonly SchemaChange[]
    }
  /** Another writer moved one of our offsets since the run began. */
  | { readonly status: 'fenced'; readonly winner: number; readonly appId: string }

export interface OverwriteDetails {
  /** Where reading stands, by app id: every partition that was read, also where it brought nothing. */
  readonly offsets: ReadonlyMap<string, bigint>
  readonly metrics: Readonly<Record<string, string>>
  readonly queryId: string
}

export class TableOverwriter {
  readonly files: WrittenFile[] = []
  private readonly table: DeltaTable
  private readonly writer: DataFileWriter
  private readonly runtime: Runtime
  private readonly fit: TableFit
  private readonly addsMax: number
  private readonly adds: Add[] = []
  /** Schemas of rows, by what of the table's schema their files were encoded under. */
  private readonly encodedUnder = new Map<string, StructType>()
  private readonly schemaChanges: SchemaChange[] = []
  /** The table that the files were planned on. */
  private base: TableState
  /** The same with what the rows so far brought. */
  private evolved: TableState
  private change: TableChange | null = null
  private readonly offsetsBefore: ReadonlyMap<string, bigint>

  constructor(
    table: DeltaTable,
    writer: DataFileWriter,
    runtime: Runtime,
    fit: TableFit,
    addsMax = OVERWRITE_ADDS_MAX,
  ) {
    this.table = table
    this.writer = writer
    this.runtime = runtime
    this.fit = fit
    this.addsMax = addsMax
    this.base = table.state
    this.evolved = table.state
    this.offsetsBefore = new Map([...table.state.txns].map(([appId, txn]) => [appId, txn.version]))
  }

  /**
   * Uploads the rows of an epoch.
   *
   * @throws DeltaError `TABLE_SCHEMA_MISMATCH`, `DELTA_TABLE_TOO_LARGE` above {@link OVERWRITE_ADDS_MAX} files, and what
   *   the store throws
   */
  async take(epoch: EpochRows): Promise<readonly WrittenFile[]> {
    const plan = planRows(this.table.store.uri, this.evolved, epoch.batch.schema, this.fit)
    if (plan.status === 'incompatible') {
      const problems = plan.problems.join('; ')
      throw new DeltaError('TABLE_SCHEMA_MISMATCH', `${this.table.store.uri} does not fit: ${problems}`)
    }
    // Crash here and until the end: files that no commit names; VACUUM removes them, the table is as it was.
    const uploaded = await this.writer.upload(epoch, plan)
    this.note(plan)
    this.encodedUnder.set(formatSchemaString(plan.schema), epoch.batch.schema)
    const files = uploaded.map(({ key, rowCount, sizeBytes }) => ({ key, rowCount, sizeBytes }))
    for (const { add } of uploaded) this.adds.push(add)
    for (const file of files) this.files.push(file)
    if (this.adds.length > this.addsMax) {
      throw new DeltaError(
        'DELTA_TABLE_TOO_LARGE',
        `the run has written more than ${this.addsMax} files, which one commit cannot put into ${this.table.store.uri}`,
        { hint: 'raise `processing.batch_size` and `processing.memory_limit` for fewer, larger files' },
      )
    }
    return files
  }

  /**
   * Puts what was taken in the place of all that is there.
   *
   * @throws DeltaError `DELTA_TABLE_CHANGED`, worth a new run where only the schema changed; `DELTA_COMMIT_CONTENTION`;
   *   DeltaLakeError `DELTA_TABLE_APPEND_ONLY`, `DELTA_TABLE_TOO_LARGE`, `DELTA_COMMIT_…`, and what the store throws
   */
  async commit(details: OverwriteDetails, events: CommitEvents = {}): Promise<OverwriteOutcome> {
    const { store } = this.table
    const lastUpdated = this.runtime.now()
    const txns: Txn[] = [...details.offsets].map(([appId, version]) => ({ appId, version, lastUpdated }))
    const txnId = this.runtime.uuid()
    for (let attempt = 1; attempt <= OVERWRITE_ATTEMPTS_MAX; attempt++) {
      const moved = this.movedOffset(details.offsets)
      if (moved !== null) return { status: 'fenced', winner: this.table.state.version, appId: moved }
      const { change } = this
      const outcome = await this.table.overwrite(
        {
          adds: this.adds,
          rowCounts: this.files.map(file => file.rowCount),
          txns,
          ...(change === null ? {} : { change }),
          operation: 'WRITE',
          operationParameters: {
            mode: 'Overwrite',
            partitionBy: JSON.stringify(this.table.state.metadata.partitionColumns),
            queryId: details.queryId,
          },
          operationMetrics: {
            numFiles: String(this.files.length),
            numOutputRows: String(this.files.reduce((total, f) => total + f.rowCount, 0)),
            numOutputBytes: String(this.files.reduce((total, f) => total + f.sizeBytes, 0)),
            ...details.metrics,
          },
          txnId,
        },
        events,
      )
      if (outcome.status === 'committed') {
        const { state, attemptCount } = outcome
        const { schemaChanges } = this
        return { status: 'committed', version: state.version, attemptCount, schemaChanges }
      }
      const { reason, winner } = outcome
      if (reason.kind === 'txn') return { status: 'fenced', winner, appId: reason.appId }
      if (reason.kind === 'table-replaced') {
        throw new DeltaError(
          'DELTA_TABLE_CHANGED',
          `version ${winner} of ${store.uri} gives the table another id (\`${reason.tableId}\`)`,
        )
      }
      // Files came or went, or the schema changed: what is there now is to be replaced.
      // Crash here: files without a commit; VACUUM removes them, the table is as it was.
      await this.table.reload()
      this.rebase()
    }
    throw new DeltaError(
      'DELTA_COMMIT_CONTENTION',
      `other writers changed ${store.uri} ${OVERWRITE_ATTEMPTS_MAX} times while it was to be replaced`,
    )
  }

  private movedOffset(offsets: ReadonlyMap<string, bigint>): string | null {
    for (const appId of offsets.keys()) {
      const now = this.table.state.txns.get(appId)?.version
      // One that has expired meanwhile was moved by nobody.
      if (now !== undefined && now !== this.offsetsBefore.get(appId)) return appId
    }
    return null
  }

  private note(plan: RowPlan): void {
    this.evolved = plan.state
    const { evolution } = plan
    if (evolution.status !== 'evolved') return
    this.change = {
      metadata: evolution.metadata,
      protocol: evolution.protocol ?? this.change?.protocol ?? null,
    }
    this.schemaChanges.push(...evolution.changes)
  }

  /** Goes over to the table as it is now: the files are there already and must fit as they are. */
  private rebase(): void {
    const { base } = this
    const { state, store } = this.table
    const isSame =
      formatJson(state.metadata) === formatJson(base.metadata) &&
      formatJson(state.protocol) === formatJson(base.protocol)
    if (isSame) return
    this.base = state
    this.evolved = state
    this.change = null
    this.schemaChanges.length = 0
    for (const [encodedUnder, rows] of this.encodedUnder) {
      const plan = planRows(store.uri, this.evolved, rows, this.fit)
      if (plan.status === 'incompatible' || formatSchemaString(plan.schema) !== encodedUnder) {
        throw new DeltaError(
          'DELTA_TABLE_CHANGED',
          `the schema of ${store.uri} was changed while the table was to be replaced, and the files do not fit any more`,
          { retryable: true, hint: 'run again: the rows are read and written anew under the new schema' },
        )
      }
      this.note(plan)
    }
  }
}
