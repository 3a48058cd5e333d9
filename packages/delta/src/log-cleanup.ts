/**
 * Log cleanup: deletes what of the log no version within its retention needs.
 *
 * PROTOCOL.md › Delta Log Entries; delta-spark `MetadataCleanup`. Commits stay for `delta.logRetentionDuration`; before the
 * newest checkpoint that is older than that, everything goes, the oldest first, so that what an interrupted cleanup leaves
 * is a log that begins later. Sidecars go once no checkpoint refers to them.
 *
 * @module
 */
import { readCheckpointState, readSidecars, sidecarKey } from './checkpoint-reader.ts'
import { readInCommitTimestamp } from './commit-timestamp.ts'
import { DeltaLakeError } from './error.ts'
import { LOG_PREFIX, type LogPath, parseLogPath, SIDECAR_PREFIX } from './log-path.ts'
import { type CheckpointFiles, completeCheckpoints, listTail } from './log-segment.ts'
import { assertMaintainable, writerFeaturesOf } from './protocol.ts'
import type { ObjectInfo, ObjectStore, RequestOptions } from './store/object-store.ts'
import { tableProperty } from './table-property.ts'
import type { TableState } from './table-state.ts'

const DAY_MS = 86_400_000

/** Log files that one call deletes: what is left is a matter of the next one. */
export const LOG_DELETES_MAX = 2_000
/** Between two requests the log is contiguous; within one the store decides what goes first. */
const DELETE_BATCH_SIZE = 100
/** Log files that one call lists, as long as there is something among them to delete. */
const LISTED_FILES_MAX = 20_000
/** Sidecars are only deleted where no more checkpoints than these have to be asked what they refer to. */
const CHECKPOINTS_ASKED_MAX = 2_000
const CHECKPOINTS_ASKED_AT_ONCE = 16
/** A sidecar may be of a checkpoint that is still being written. */
const SIDECAR_AGE_MIN_MS = DAY_MS

export interface LogCleanupOutcome {
  /**
   * - `clean`: nothing is left to delete before the next UTC midnight.
   * - `more`: this call has deleted as much as one may; another one goes on.
   * - `disabled`: `delta.enableExpiredLogCleanup` is false.
   * - `protected`: the table keeps its checkpoints before a version (`checkpointProtection`).
   * - `sidecars-kept`: too many checkpoints remain to find out which sidecars they refer to.
   */
  readonly status: 'clean' | 'more' | 'disabled' | 'protected' | 'sidecars-kept'
  /** The oldest version that the log keeps by its retention; null where nothing has expired. */
  readonly keptFrom: number | null
  readonly filesDeleted: number
  readonly sidecarsDeleted: number
}

/** A file of the log, and what its name says. */
export interface LogFile extends ObjectInfo {
  readonly path: LogPath
}

export interface LogCleanupPlan {
  /** The checkpoint before which everything goes; its own commit and what comes after stay. */
  readonly checkpoint: CheckpointFiles
  /** To be deleted in this order. */
  readonly keys: readonly string[]
}

/** Commits from before this time have expired: the UTC midnight before the table's retention began. */
export function logCutoffMs({ metadata }: Pick<TableState, 'metadata'>, nowMs: number): number {
  return midnightBefore(nowMs - tableProperty(metadata.configuration, 'delta.logRetentionDuration'))
}

function midnightBefore(ms: number): number {
  return Math.floor(ms / DAY_MS) * DAY_MS
}

/**
 * Plans what of a log is deleted. Pure.
 *
 * @param files from the oldest on; later ones may be missing
 * @param expiredVersion the newest version that has expired
 * @returns null where no complete checkpoint has expired, so that everything is still needed
 */
export function planLogCleanup(files: readonly LogFile[], expiredVersion: number): LogCleanupPlan | null {
  const checkpoint = completeCheckpoints(files).find(({ version }) => version <= expiredVersion)
  if (checkpoint === undefined) return null
  const { version: keptFrom } = checkpoint
  const keys = files
    .filter(({ path }) => path.version < keptFrom || (path.kind === 'compacted' && path.version === keptFrom))
    .sort((a, b) => a.path.version - b.path.version || RANK[a.path.kind] - RANK[b.path.kind])
    .map(({ key }) => key)
  return { checkpoint, keys }
}

/** Within a version the commit goes first: a checkpoint without its commit is whole, the other way round it is a gap. */
const RANK: Readonly<Record<LogPath['kind'], number>> = {
  compacted: 0,
  commit: 1,
  checksum: 2,
  'classic-checkpoint': 3,
  'checkpoint-part': 3,
  'v2-checkpoint': 3,
}

/**
 * Deletes what has expired, at most {@link LOG_DELETES_MAX} log files. Stopping half way leaves a log that begins later.
 *
 * @param state of the newest version
 * @throws DeltaLakeError `DELTA_PROTOCOL_UNSUPPORTED` naming a feature that is not known, `DELTA_LOG_CORRUPT` for a
 *   checkpoint that would have to stand for what is deleted and cannot be read, and what the store throws
 */
export async function cleanUpLog(
  store: ObjectStore,
  state: TableState,
  nowMs: number,
  options: RequestOptions = {},
): Promise<LogCleanupOutcome> {
  const { metadata, protocol } = state
  const nothing = { keptFrom: null, filesDeleted: 0, sidecarsDeleted: 0 }
  if (!tableProperty(metadata.configuration, 'delta.enableExpiredLogCleanup')) {
    return { status: 'disabled', ...nothing }
  }
  assertMaintainable(protocol)
  const plan = await findPlan(store, state, nowMs, options)
  const keptFrom = plan?.checkpoint.version ?? null
  if (keptFrom !== null && keptFrom < protectedBefore(state)) return { status: 'protected', ...nothing }
  const keys = plan?.keys.slice(0, LOG_DELETES_MAX) ?? []
  if (plan !== null && keys.length > 0) await assertWhole(store, plan.checkpoint, options)
  for (let from = 0; from < keys.length; from += DELETE_BATCH_SIZE) {
    // Crash here: the log begins later, and the next cleanup goes on.
    await store.delete(keys.slice(from, from + DELETE_BATCH_SIZE), options)
  }
  const filesDeleted = keys.length
  if (plan !== null && filesDeleted < plan.keys.length) {
    return { status: 'more', keptFrom, filesDeleted, sidecarsDeleted: 0 }
  }
  const sidecarsDeleted = await deleteSidecars(store, nowMs, options)
  return sidecarsDeleted === null
    ? { status: 'sidecars-kept', keptFrom, filesDeleted, sidecarsDeleted: 0 }
    : { status: 'clean', keptFrom, filesDeleted, sidecarsDeleted }
}

/** A client that does not know all that happened before this version must keep the checkpoints from before it. */
function protectedBefore({ protocol, metadata }: TableState): number {
  return writerFeaturesOf(protocol).has('checkpointProtection')
    ? tableProperty(metadata.configuration, 'delta.requireCheckpointProtectionBeforeVersion')
    : 0
}

async function findPlan(
  store: ObjectStore,
  state: TableState,
  nowMs: number,
  options: RequestOptions,
): Promise<LogCleanupPlan | null> {
  const { configuration } = state.metadata
  const cutoffMs = logCutoffMs(state, nowMs)
  const inCommitFrom = tableProperty(configuration, 'delta.enableInCommitTimestamps')
    ? (tableProperty(configuration, 'delta.inCommitTimestampEnablementVersion') ?? 0)
    : Number.POSITIVE_INFINITY
  const expiry = new ExpirySearch(store, cutoffMs, inCommitFrom, options)
  const files: LogFile[] = []
  for await (const file of store.list(LOG_PREFIX, { ...options, shallow: true })) {
    const path = parseLogPath(file.key)
    if (path === null || path.version > state.version) continue
    files.push({ ...file, path })
    if (path.kind === 'commit' && (await expiry.passes(path.version, file.lastModifiedMs))) break
    if (files.length % LISTED_FILES_MAX === 0) {
      const plan = planLogCleanup(files, expiry.surelyExpired)
      if (plan !== null && plan.keys.length > 0) return plan
    }
  }
  return planLogCleanup(files, await expiry.newestExpired())
}

/**
 * Finds the newest commit that has expired, while they are listed from the oldest on. The times of objects are made to
 * rise from version to version; in-commit timestamps do, and cost a request each: the search doubles its steps, then
 * halves.
 */
class ExpirySearch {
  /** All up to here have expired, as far as is known yet. */
  surelyExpired = -1
  readonly #store: ObjectStore
  readonly #cutoffMs: number
  readonly #inCommitFrom: number
  readonly #options: RequestOptions
  #adjustedMs = Number.NEGATIVE_INFINITY
  /** Listed versions with in-commit timestamps, behind the last one that was looked at. */
  #pending: number[] = []
  #step = 1
  #firstLive: number | null = null

  constructor(store: ObjectStore, cutoffMs: number, inCommitFrom: number, options: RequestOptions) {
    this.#store = store
    this.#cutoffMs = cutoffMs
    this.#inCommitFrom = inCommitFrom
    this.#options = options
  }

  /** Takes the next commit; true where none from it on can have expired. */
  async passes(version: number, lastModifiedMs: number): Promise<boolean> {
    if (version < this.#inCommitFrom) {
      this.#adjustedMs = Math.max(lastModifiedMs, this.#adjustedMs + 1)
      if (this.#adjustedMs > this.#cutoffMs) return true
      this.surelyExpired = version
      return false
    }
    this.#pending.push(version)
    if (this.#pending.length < this.#step) return false
    if (!(await this.#isExpired(version))) {
      this.#firstLive = version
      return true
    }
    this.surelyExpired = version
    this.#pending = []
    this.#step *= 2
    return false
  }

  /** After the listing: −1 where none has expired. */
  async newestExpired(): Promise<number> {
    let low = 0
    let high = this.#pending.length - (this.#firstLive === null ? 0 : 1)
    while (low < high) {
      const middle = (low + high) >> 1
      if (await this.#isExpired(this.#pending[middle]!)) low = middle + 1
      else high = middle
    }
    return low === 0 ? this.surelyExpired : this.#pending[low - 1]!
  }

  async #isExpired(version: number): Promise<boolean> {
    return (await readInCommitTimestamp(this.#store, version, this.#options)) <= this.#cutoffMs
  }
}

/** The one checkpoint that all from before it hangs on is opened before the rest goes. */
async function assertWhole(
  store: ObjectStore,
  checkpoint: CheckpointFiles,
  options: RequestOptions,
): Promise<void> {
  const { sidecars } = await readCheckpointState(store, checkpoint, options)
  if (sidecars.length === 0) return
  const present = new Set<string>()
  for await (const { key } of store.list(SIDECAR_PREFIX, options)) present.add(key)
  for (const { path } of sidecars) {
    const key = sidecarKey(path, store.uri)
    if (present.has(key)) continue
    throw new DeltaLakeError(
      'DELTA_LOG_CORRUPT',
      `the sidecar \`${key}\` of the checkpoint of version ${checkpoint.version} of ${store.uri} does not exist`,
      { context: { table: store.uri, file: key } },
    )
  }
}

/** @returns null where too many checkpoints would have to be asked */
async function deleteSidecars(
  store: ObjectStore,
  nowMs: number,
  options: RequestOptions,
): Promise<number | null> {
  const cutoffMs = midnightBefore(nowMs - SIDECAR_AGE_MIN_MS)
  const candidates = new Set<string>()
  for await (const { key, lastModifiedMs } of store.list(SIDECAR_PREFIX, { ...options, shallow: true })) {
    if (lastModifiedMs < cutoffMs) candidates.add(key)
  }
  if (candidates.size === 0) return 0
  // Listed after the candidates: a checkpoint that refers to one of them is there.
  const { checkpoints } = await listTail(store, 0, options)
  if (checkpoints.length > CHECKPOINTS_ASKED_MAX) return null
  for (let from = 0; from < checkpoints.length; from += CHECKPOINTS_ASKED_AT_ONCE) {
    const asked = checkpoints.slice(from, from + CHECKPOINTS_ASKED_AT_ONCE)
    const referred = await Promise.all(asked.map(checkpoint => readSidecars(store, checkpoint, options)))
    for (const { path } of referred.flat()) candidates.delete(sidecarKey(path, store.uri))
  }
  await store.delete([...candidates], options)
  return candidates.size
}
