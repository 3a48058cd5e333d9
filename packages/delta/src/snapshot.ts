/**
 * The table at one version, with its files.
 *
 * PROTOCOL.md › Action Reconciliation. Commits after the checkpoint are in memory; the checkpoint's files stream from the
 * store each time they are asked for, so that a table of millions of files needs no more than its newest commits.
 *
 * @module
 */
import type { Action, Add, Remove, Sidecar } from './action.ts'
import { readCheckpointFiles, readCheckpointState } from './checkpoint-reader.ts'
import { readCommit, readCommits } from './commit-reader.ts'
import { resolveVersionAt } from './commit-timestamp.ts'
import { DeltaLakeError } from './error.ts'
import type { LastCheckpoint } from './last-checkpoint.ts'
import { checkedState, stateOfReplay } from './load-table-state.ts'
import { FileReplay, StateReplay } from './log-replay.ts'
import { type CheckpointFiles, type LogSegment, loadLogSegment } from './log-segment.ts'
import type { ObjectStore, RequestOptions } from './store/object-store.ts'
import type { FileTotals, TableState } from './table-state.ts'

export interface LoadSnapshotOptions extends RequestOptions {
  /** Default: the newest. */
  readonly version?: number
  /** Instead of `version`: the newest version committed at this time (epoch milliseconds) or before. */
  readonly timestampMs?: number
  /** Epoch milliseconds, for expired `txn`s. Default: the machine's clock. */
  readonly nowMs?: number
  /** What `_last_checkpoint` says, where the caller has just read it: saves a request. */
  readonly hint?: LastCheckpoint | null
}

/** How many older checkpoints are tried where the newest cannot be read. */
const CHECKPOINT_FALLBACKS_MAX = 3

/**
 * Loads a snapshot.
 *
 * @returns null where there is no table
 * @throws DeltaLakeError `DELTA_LOG_GAP`, `DELTA_LOG_CORRUPT`, `DELTA_VERSION_NOT_FOUND`, `DELTA_PROTOCOL_UNSUPPORTED`,
 *   and what the store throws
 */
export async function loadSnapshot(
  store: ObjectStore,
  options: LoadSnapshotOptions = {},
): Promise<Snapshot | null> {
  const { timestampMs, ...atVersion } = options
  const request: RequestOptions = options.signal === undefined ? {} : { signal: options.signal }
  if (timestampMs === undefined) return loadSnapshotVersion(store, atVersion, request)
  const version = await resolveVersionAt(store, timestampMs, request)
  return version === null ? null : loadSnapshotVersion(store, { ...atVersion, version }, request)
}

async function loadSnapshotVersion(
  store: ObjectStore,
  options: Omit<LoadSnapshotOptions, 'timestampMs'>,
  request: RequestOptions,
): Promise<Snapshot | null> {
  let checkpointBefore: number | undefined
  let firstFailure: unknown
  for (let attempt = 0; attempt <= CHECKPOINT_FALLBACKS_MAX; attempt++) {
    let segment: LogSegment | null
    try {
      segment = await loadLogSegment(store, {
        ...options,
        ...(checkpointBefore === undefined ? {} : { checkpointBefore }),
      })
    } catch (error) {
      // Without the checkpoint that cannot be read the log has a gap: what matters is that it cannot be read.
      throw firstFailure ?? error
    }
    if (segment === null) return null
    try {
      return await openSnapshot(store, segment, options, request)
    } catch (error) {
      const isLogDamage = error instanceof DeltaLakeError && error.code === 'DELTA_LOG_CORRUPT'
      if (!isLogDamage || segment.checkpoint === null) throw firstFailure ?? error
      firstFailure ??= error
      checkpointBefore = segment.checkpoint.version
    }
  }
  throw firstFailure
}

async function openSnapshot(
  store: ObjectStore,
  segment: LogSegment,
  options: Omit<LoadSnapshotOptions, 'timestampMs'>,
  request: RequestOptions,
): Promise<Snapshot> {
  const state = new StateReplay()
  const files = new FileReplay()
  const adds: Add[][] = []
  const tombstones: Remove[] = []
  let tip: readonly Action[] | null = null
  const newestFirst = segment.commits.map(c => c.version).reverse()
  for await (const { version, actions } of readCommits(store, newestFirst, request)) {
    if (version === segment.version) tip = actions
    state.apply(actions)
    const inForce = files.apply(actions)
    adds.push(inForce.adds)
    for (const remove of inForce.removes) tombstones.push(remove)
  }
  const tailAdds = adds.reverse().flat()
  const { checkpoint } = segment
  if (checkpoint === null) {
    const totals = sumFiles(tailAdds)
    const tableState = checkedState(stateOfReplay(store, segment, state, tip, totals), options.nowMs)
    return new Snapshot(store, tableState, files, tailAdds, tombstones, null)
  }
  const { actions, sidecars } = await readCheckpointState(store, checkpoint, request)
  state.apply(actions)
  if (tip === null && segment.hasTipCommit) tip = await readCommit(store, segment.version, request)
  const tableState = checkedState(stateOfReplay(store, segment, state, tip, null), options.nowMs)
  // Opens every file of the checkpoint: one that is missing or torn shows while an older one can still take its place.
  for await (const batch of readCheckpointFiles(store, checkpoint, sidecars, 'remove', request)) {
    for (const remove of files.applyCheckpoint(batch).removes) tombstones.push(remove)
  }
  return new Snapshot(store, tableState, files, tailAdds, tombstones, { checkpoint, sidecars })
}

function sumFiles(adds: readonly Add[]): FileTotals {
  let sizeBytes = 0
  for (const { size } of adds) sizeBytes += size
  return { numFiles: adds.length, sizeBytes }
}

interface CheckpointSource {
  readonly checkpoint: CheckpointFiles
  readonly sidecars: readonly Sidecar[]
}

/** The table at `state.version`. Immutable. */
export class Snapshot {
  readonly store: ObjectStore
  readonly state: TableState
  /** Removed files, expired ones included: `delta.deletedFileRetentionDuration` decides which of them still count. */
  readonly tombstones: readonly Remove[]
  readonly #replay: FileReplay
  /** Live files that the commits after the checkpoint added. */
  readonly #tailAdds: readonly Add[]
  readonly #source: CheckpointSource | null

  constructor(
    store: ObjectStore,
    state: TableState,
    replay: FileReplay,
    tailAdds: readonly Add[],
    tombstones: readonly Remove[],
    source: CheckpointSource | null,
  ) {
    this.store = store
    this.state = state
    this.tombstones = tombstones
    this.#replay = replay
    this.#tailAdds = tailAdds
    this.#source = source
  }

  get version(): number {
    return this.state.version
  }

  /**
   * The live files, in batches of some thousands from the checkpoint, then the newest in one.
   *
   * @throws DeltaLakeError `DELTA_LOG_CORRUPT`, and what the store throws
   */
  async *fileBatches(options: RequestOptions = {}): AsyncGenerator<readonly Add[]> {
    if (this.#source !== null) {
      const { checkpoint, sidecars } = this.#source
      for await (const batch of readCheckpointFiles(this.store, checkpoint, sidecars, 'add', options)) {
        const { adds } = this.#replay.applyCheckpoint(batch)
        if (adds.length > 0) yield adds
      }
    }
    if (this.#tailAdds.length > 0) yield this.#tailAdds
  }

  /** The live files, one by one. */
  async *files(options: RequestOptions = {}): AsyncGenerator<Add> {
    for await (const batch of this.fileBatches(options)) yield* batch
  }

  /** All live files at once, for tables that are known to be small. */
  async allFiles(options: RequestOptions = {}): Promise<Add[]> {
    const all: Add[] = []
    for await (const batch of this.fileBatches(options)) for (const add of batch) all.push(add)
    return all
  }

  /** Number and bytes of the live files; reads them where no checksum said it. */
  async fileTotals(options: RequestOptions = {}): Promise<FileTotals> {
    if (this.state.fileTotals !== null) return this.state.fileTotals
    let numFiles = 0
    let sizeBytes = 0
    for await (const batch of this.fileBatches(options)) {
      const sums = sumFiles(batch)
      numFiles += sums.numFiles
      sizeBytes += sums.sizeBytes
    }
    return { numFiles, sizeBytes }
  }
}
