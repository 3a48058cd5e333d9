/**
 * A table that is open for appending: its state, and the commits made on it.
 *
 * @module
 */
import type { Add, Metadata, Protocol, Remove, Txn } from './action.ts'
import { type CheckpointOutcome, checkpointDue, writeCheckpoint } from './checkpoint.ts'
import { writeChecksum } from './checksum.ts'
import { readCommit } from './commit-reader.ts'
import { DeltaLakeError } from './error.ts'
import { loadTableState } from './load-table-state.ts'
import { cleanUpLog, type LogCleanupOutcome, logCutoffMs } from './log-cleanup.ts'
import { formatCommitPath } from './log-path.ts'
import { type CreateTableSpec, createTable } from './operation/create.ts'
import type { ParquetEncoder } from './parquet/parquet-encoder.ts'
import { assertReadable } from './protocol.ts'
import { type Runtime, systemRuntime } from './runtime.ts'
import { loadSnapshot, type Snapshot } from './snapshot.ts'
import type { ObjectStore, RequestOptions } from './store/object-store.ts'
import type { TableState } from './table-state.ts'
import { removeOf } from './tombstone.ts'
import {
  assertRemovable,
  type CommitEvents,
  type CommitOutcome,
  type CommitRequest,
  commitTransaction,
} from './transaction.ts'

export interface DeltaTableOptions {
  readonly runtime?: Runtime
}

/** What an append adds: files that are uploaded already, and the progress that they stand for. */
export interface AppendRequest {
  readonly adds: readonly Add[]
  /** Physical rows of each add. */
  readonly rowCounts: readonly number[]
  readonly txns: readonly Txn[]
  /** What `evolveTable` made of the state that the table stands at. */
  readonly change?: TableChange
  /** App ids whose progress decided what is appended; those of `txns` are always included. */
  readonly readAppIds?: Iterable<string>
  readonly operation?: string
  readonly operationParameters?: Readonly<Record<string, unknown>>
  readonly operationMetrics?: Readonly<Record<string, string>>
  readonly userMetadata?: string
  /** Stable over the attempts of one append; a fresh one is made where absent. */
  readonly txnId?: string
}

/** What else an append may carry: the table's metadata and protocol as the rows need them. */
export interface TableChange {
  /** The whole of it, under the table's own id: it takes the place of what is there. */
  readonly metadata: Metadata
  readonly protocol: Protocol | null
}

/** Live files that one commit can take out: their tombstones are held in memory and are one object of the log. */
export const OVERWRITE_REMOVES_MAX = 100_000

/** Files of the log that are worth having and whose absence costs time only. */
export interface UpkeepOutcome {
  readonly checksum: 'written' | 'exists' | 'unknown-totals' | { readonly error: unknown }
  readonly checkpoint: 'not-due' | CheckpointOutcome | { readonly error: unknown }
  /** Considered after a checkpoint was written, until nothing is left to delete on this day. */
  readonly logCleanup: 'not-due' | LogCleanupOutcome | { readonly error: unknown }
}

export class DeltaTable {
  readonly store: ObjectStore
  readonly runtime: Runtime
  #state: TableState
  #stateReadAtMs: number
  /** The newest commit made through this object. */
  #ownTip: { readonly version: number; readonly txnId: string } | null = null
  /** The cutoff of the cleanup that left nothing to do: it moves once a day. */
  #logCleanBeforeMs: number | null = null

  private constructor(store: ObjectStore, state: TableState, runtime: Runtime) {
    this.store = store
    this.runtime = runtime
    this.#state = state
    this.#stateReadAtMs = runtime.now()
  }

  /**
   * Opens the table at its newest version: four requests on a healthy table of any size.
   *
   * @returns null where there is no table
   * @throws DeltaLakeError `DELTA_PROTOCOL_UNSUPPORTED`, `DELTA_LOG_CORRUPT`, `DELTA_LOG_GAP`, what the store throws
   */
  static async open(store: ObjectStore, options: DeltaTableOptions = {}): Promise<DeltaTable | null> {
    const runtime = options.runtime ?? systemRuntime
    const state = await loadTableState(store, { nowMs: runtime.now() })
    if (state === null) return null
    assertReadable(state.protocol)
    return new DeltaTable(store, state, runtime)
  }

  /** Opens the table, after creating it where there is none. Of several creators one wins; the others open its table. */
  static async openOrCreate(
    store: ObjectStore,
    spec: CreateTableSpec,
    options: DeltaTableOptions = {},
  ): Promise<{ table: DeltaTable; created: boolean }> {
    const runtime = options.runtime ?? systemRuntime
    const { status, state } = await createTable(store, spec, runtime)
    assertReadable(state.protocol)
    const table = new DeltaTable(store, state, runtime)
    if (status === 'created') await table.upkeep()
    return { table, created: status === 'created' }
  }

  get state(): TableState {
    return this.#state
  }

  /**
   * Reads the newest version.
   *
   * @throws DeltaLakeError `DELTA_TABLE_CHANGED` where the table is gone or is another one
   */
  async reload(): Promise<void> {
    const readAtMs = this.runtime.now()
    const state = await loadTableState(this.store, { nowMs: readAtMs })
    if (state === null) {
      throw new DeltaLakeError('DELTA_TABLE_CHANGED', `the table ${this.store.uri} is gone`)
    }
    if (state.metadata.id !== this.#state.metadata.id) {
      throw new DeltaLakeError(
        'DELTA_TABLE_CHANGED',
        `the table ${this.store.uri} was replaced: its id was \`${this.#state.metadata.id}\` and is \`${state.metadata.id}\``,
      )
    }
    if (state.version < this.#state.version) {
      throw new DeltaLakeError(
        'DELTA_TABLE_CHANGED',
        `the table ${this.store.uri} went back from version ${this.#state.version} to ${state.version}`,
      )
    }
    this.#state = state
    this.#stateReadAtMs = readAtMs
  }

  /**
   * Appends in one atomic commit. After `committed` the table stands at the new version; after `conflict` it still
   * stands where it was, and the caller decides whether to `reload`.
   */
  append(request: AppendRequest, events?: CommitEvents): Promise<CommitOutcome> {
    return this.commit(this.#writeRequest(request, 'Append', [], false), events)
  }

  /**
   * Puts the request's files in the place of all that are live, in one atomic commit; outcomes as those of `append`. A
   * file that another writer adds or removes meanwhile is a conflict: the whole table is what was read.
   *
   * @throws DeltaLakeError `DELTA_TABLE_APPEND_ONLY`; `DELTA_TABLE_TOO_LARGE` above {@link OVERWRITE_REMOVES_MAX} live
   *   files; `DELTA_TABLE_CHANGED` where the table is gone
   */
  async overwrite(request: AppendRequest, events?: CommitEvents): Promise<CommitOutcome> {
    assertRemovable(this.#state, this.store.uri)
    // Crash here: the request's files are unreferenced; VACUUM removes them. Nothing of the table has changed.
    const removes = await this.#liveTombstones()
    if (removes === null) {
      const { version } = this.#state
      return { status: 'conflict', winner: version + 1, reason: { kind: 'log-cleaned', version } }
    }
    const operationMetrics = {
      numRemovedFiles: String(removes.length),
      numRemovedBytes: String(removes.reduce((total, remove) => total + (remove.size ?? 0), 0)),
      ...request.operationMetrics,
    }
    return this.commit(
      this.#writeRequest({ ...request, operationMetrics }, 'Overwrite', removes, true),
      events,
    )
  }

  /**
   * Commits any actions on top of the state that the table stands at, which they must have been made from. Outcomes as
   * those of {@link append}.
   */
  async commit(request: CommitRequest, events?: CommitEvents): Promise<CommitOutcome> {
    const outcome = await commitTransaction(
      this.store,
      this.#state,
      this.#stateReadAtMs,
      request,
      this.runtime,
      events,
    )
    if (outcome.status === 'committed') {
      this.#state = outcome.state
      this.#ownTip = { version: outcome.state.version, txnId: request.txnId }
      this.#stateReadAtMs = this.runtime.now()
    }
    return outcome
  }

  /**
   * Is the newest commit that was made through this object still the one that the log holds? A writer that does not put
   * conditionally, Spark's default on S3 among them, can write over it, and what it held is then in no version. One
   * request; none where nothing has been committed yet.
   *
   * @throws DeltaLakeError `DELTA_TABLE_CHANGED` naming the version and who wrote over it, and what the store throws
   */
  async assertOwnCommitStands(options?: RequestOptions): Promise<void> {
    if (this.#ownTip === null) return
    const { version, txnId } = this.#ownTip
    const commit = await readCommit(this.store, version, options)
    // Log cleanup removes old ones, and only with a checkpoint that holds what they held.
    if (commit === null) return
    const info = commit.find(action => 'commitInfo' in action)?.commitInfo
    if (info?.txnId === txnId) return
    const by = info?.engineInfo === undefined ? 'another writer' : `\`${info.engineInfo}\``
    throw new DeltaLakeError(
      'DELTA_TABLE_CHANGED',
      `version ${version} of ${this.store.uri}, which was committed here, was overwritten by ${by}`,
      {
        hint: 'let every writer of the table put its commits conditionally (a bucket policy can demand it), then start the writer again from what the table holds',
        context: { table: this.store.uri, version },
      },
    )
  }

  #writeRequest(
    request: AppendRequest,
    mode: 'Append' | 'Overwrite',
    removes: readonly Remove[],
    wholeTable: boolean,
  ): CommitRequest {
    const { adds, rowCounts, txns, change } = request
    const partitionBy = JSON.stringify(this.#state.metadata.partitionColumns)
    return {
      operation: request.operation ?? 'WRITE',
      operationParameters: request.operationParameters ?? { mode, partitionBy },
      operationMetrics: request.operationMetrics ?? {},
      ...(request.userMetadata === undefined ? {} : { userMetadata: request.userMetadata }),
      actions: {
        adds,
        removes,
        txns,
        domainMetadata: [],
        metadata: change?.metadata ?? null,
        protocol: change?.protocol ?? null,
      },
      reads: { appIds: new Set(request.readAppIds ?? []), filePaths: new Set(), wholeTable },
      rowCounts,
      txnId: request.txnId ?? this.runtime.uuid(),
    }
  }

  /** Tombstones of every live file, at the version that the table stands at; null where the log holds it no more. */
  async #liveTombstones(): Promise<Remove[] | null> {
    const { version } = this.#state
    const nowMs = this.runtime.now()
    let snapshot: Snapshot | null
    try {
      snapshot = await loadSnapshot(this.store, { version, nowMs })
    } catch (error) {
      if (error instanceof DeltaLakeError && error.code === 'DELTA_VERSION_NOT_FOUND') return null
      throw error
    }
    if (snapshot === null) {
      throw new DeltaLakeError('DELTA_TABLE_CHANGED', `the table ${this.store.uri} is gone`)
    }
    const removes: Remove[] = []
    for await (const add of snapshot.files()) {
      removes.push(removeOf(add, nowMs, true))
      if (removes.length > OVERWRITE_REMOVES_MAX) {
        throw new DeltaLakeError(
          'DELTA_TABLE_TOO_LARGE',
          `the table ${this.store.uri} has more than ${OVERWRITE_REMOVES_MAX} live files, which one commit cannot take out`,
        )
      }
    }
    return removes
  }

  /**
   * Writes this version's checksum and, where one is due, a checkpoint, after which a part of the expired log is deleted.
   * Never throws: the commit stands whatever happens here.
   *
   * @param encoder absent: no checkpoint is considered
   */
  async upkeep(encoder?: ParquetEncoder, interval?: number): Promise<UpkeepOutcome> {
    const state = this.#state
    // Crash from here on: a longer replay for the next reader; the next commit sees that a checkpoint is due.
    let checksum: UpkeepOutcome['checksum']
    try {
      const ownTxnId = this.#ownTip?.version === state.version ? this.#ownTip.txnId : null
      checksum = await writeChecksum(this.store, state, ownTxnId)
    } catch (error) {
      checksum = { error }
    }
    let checkpoint: UpkeepOutcome['checkpoint'] = 'not-due'
    if (encoder !== undefined && checkpointDue(state, interval)) {
      try {
        const outcome = await writeCheckpoint(this.store, state.version, encoder, this.runtime)
        checkpoint = outcome
        const { version } = outcome
        if (version > (this.#state.checkpointVersion ?? -1))
          this.#state = { ...this.#state, checkpointVersion: version }
      } catch (error) {
        checkpoint = { error }
      }
    }
    const isWritten =
      typeof checkpoint === 'object' && 'status' in checkpoint && checkpoint.status === 'written'
    return { checksum, checkpoint, logCleanup: isWritten ? await this.#cleanUpLog() : 'not-due' }
  }

  async #cleanUpLog(): Promise<UpkeepOutcome['logCleanup']> {
    try {
      const nowMs = this.runtime.now()
      const cutoffMs = logCutoffMs(this.#state, nowMs)
      if (this.#logCleanBeforeMs === cutoffMs) return 'not-due'
      // The store's clock says how old its objects are: a machine whose clock runs ahead must not find them expired.
      const newest = await this.store.head(formatCommitPath(this.#state.version))
      const storeNowMs = Math.min(nowMs, newest?.lastModifiedMs ?? nowMs)
      const outcome = await cleanUpLog(this.store, this.#state, storeNowMs)
      if (outcome.status !== 'more') this.#logCleanBeforeMs = cutoffMs
      return outcome
    } catch (error) {
      return { error }
    }
  }
}
