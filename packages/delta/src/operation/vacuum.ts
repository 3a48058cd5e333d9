/**
 * VACUUM: deletes files below the table's root that are no part of it and have not been for a while.
 *
 * Delta protocol notes §6.2, the full form: every object is looked at, so that files of failed uploads go as well.
 * Nothing tells such a file from one that a writer has uploaded and is about to commit but its age: hence the floor.
 *
 * The order protects what is committed meanwhile: objects are listed first, the newest snapshot is read after them, and
 * only what that snapshot does not know is deleted.
 *
 * @module
 */
import { DeltaLakeError } from '../error.ts'
import { type Runtime, systemRuntime } from '../runtime.ts'
import type { Snapshot } from '../snapshot.ts'
import type { ObjectInfo, ObjectStore, RequestOptions } from '../store/object-store.ts'
import { tableProperty } from '../table-property.ts'
import { findRemovedFiles, recordVacuumedVersion } from './vacuum/removed-files.ts'
import {
  CANDIDATES_MAX,
  openSnapshot,
  VACUUM_FILES_NAMED_MAX,
  VACUUM_RETENTION_MIN_MS,
  VacuumSweep,
} from './vacuum/sweep.ts'

export { VACUUM_FILES_NAMED_MAX, VACUUM_RETENTION_MIN_MS }

export interface VacuumOptions extends RequestOptions {
  /**
   * Delete what is older than this and has been out of the table for longer. Default: the table's
   * `delta.deletedFileRetentionDuration` (a week where it is not set), at least {@link VACUUM_RETENTION_MIN_MS}.
   */
  readonly retentionMs?: number
  /** Lets `retentionMs` be shorter than the table's property; {@link VACUUM_RETENTION_MIN_MS} holds all the same. */
  readonly allowShortRetention?: boolean
  /**
   * Look at no object, but at what the commits have removed since the last time: fast on tables of many files, and blind to
   * files that were never committed. The log must hold those commits still.
   */
  readonly lite?: boolean
  /** Finds everything and deletes nothing. */
  readonly dryRun?: boolean
  readonly runtime?: Runtime
  /** Called now and then while objects or commits are looked at, and after each request to delete. */
  readonly progressed?: (done: VacuumProgress) => void
}

export interface VacuumProgress {
  readonly objectsListed: number
  readonly commitsRead: number
  readonly filesDeleted: number
  readonly bytesDeleted: number
}

/** Objects between two calls of `progressed`: as many as S3 lists at a time. */
const OBJECTS_PER_REPORT = 1_000

export interface VacuumResult {
  /** Newest version of the table that was looked at. */
  readonly version: number
  readonly dryRun: boolean
  readonly retentionMs: number
  /** Epoch milliseconds: files last modified before this were considered. */
  readonly cutoffMs: number
  /** Objects below the root, those of the log included; none where only the commits were looked at. */
  readonly objectsListed: number
  /** Commits that were looked at in place of the objects. */
  readonly commitsRead: number
  /** Deleted, or in a dry run to be deleted. */
  readonly filesDeleted: number
  readonly bytesDeleted: number
  /** The first {@link VACUUM_FILES_NAMED_MAX} of them, in the order of their keys. */
  readonly files: readonly ObjectInfo[]
}

/**
 * Deletes every object below the root that is older than the retention and is neither a live file, nor a file removed
 * within the retention, nor a deletion vector of one of these. Objects with a name that starts with `_` or `.` at any
 * level are hidden and stay: the log, and whatever engines keep beside it. Stopping half way loses nothing.
 *
 * Where the machine's clock runs ahead of the store's, files look older than they are: keep it synchronised.
 *
 * @throws DeltaLakeError `DELTA_TABLE_NOT_FOUND`, `DELTA_PROTOCOL_UNSUPPORTED` for a table that may not be written here,
 *   `DELTA_RETENTION_TOO_SHORT`, `DELTA_TABLE_CHANGED`, `DELTA_VERSION_NOT_FOUND` where `lite` needs commits that are gone,
 *   and what the store throws
 */
export async function vacuumTable(store: ObjectStore, options: VacuumOptions = {}): Promise<VacuumResult> {
  const runtime = options.runtime ?? systemRuntime
  const nowMs = runtime.now()
  const request: RequestOptions = options.signal === undefined ? {} : { signal: options.signal }
  const first = await openSnapshot(store, nowMs, request)
  const retentionMs = retentionOf(first, options)
  const dryRun = options.dryRun ?? false
  const sweep = new VacuumSweep(store, first, nowMs, nowMs - retentionMs, dryRun, request)
  const report = (done: Looked): void =>
    options.progressed?.({ ...done, filesDeleted: sweep.filesDeleted, bytesDeleted: sweep.bytesDeleted })
  const looked =
    options.lite === true
      ? await sweepRemoved(first, sweep, dryRun, request, report)
      : await sweepObjects(store, sweep, request, report)
  const { version, cutoffMs, filesDeleted, bytesDeleted, files } = sweep
  return { version, dryRun, retentionMs, cutoffMs, ...looked, filesDeleted, bytesDeleted, files }
}

type Report = (done: Looked) => void

interface Looked {
  readonly objectsListed: number
  readonly commitsRead: number
}

/** Every object, so that files of failed uploads go as well. */
async function sweepObjects(
  store: ObjectStore,
  sweep: VacuumSweep,
  request: RequestOptions,
  report: Report,
): Promise<Looked> {
  let objectsListed = 0
  const told = (): void => report({ objectsListed, commitsRead: 0 })
  let candidates = new Map<string, ObjectInfo>()
  for await (const object of store.list('', request)) {
    objectsListed++
    if (objectsListed % OBJECTS_PER_REPORT === 0) told()
    if (!sweep.isCandidate(object)) continue
    candidates.set(object.key, object)
    if (candidates.size < CANDIDATES_MAX) continue
    await sweep.sweep(candidates, told)
    candidates = new Map()
  }
  await sweep.sweep(candidates, told)
  return { objectsListed, commitsRead: 0 }
}

async function sweepRemoved(
  snapshot: Snapshot,
  sweep: VacuumSweep,
  dryRun: boolean,
  request: RequestOptions,
  report: Report,
): Promise<Looked> {
  let commitsRead = 0
  const told = (): void => report({ objectsListed: 0, commitsRead })
  let lastVersion: number | null = null
  let candidates = new Map<string, ObjectInfo>()
  for await (const { version, files } of findRemovedFiles(snapshot, sweep.cutoffMs, request)) {
    commitsRead++
    told()
    lastVersion = version
    for (const file of files) if (sweep.isCandidate(file)) candidates.set(file.key, file)
    if (candidates.size < CANDIDATES_MAX) continue
    await sweep.sweep(candidates, told)
    candidates = new Map()
  }
  await sweep.sweep(candidates, told)
  // Crash here: the next run looks at the same commits again; their files are gone, and deleting them is no failure.
  if (lastVersion !== null && !dryRun) await recordVacuumedVersion(snapshot.store, lastVersion, request)
  return { objectsListed: 0, commitsRead }
}

function retentionOf({ store, state }: Snapshot, options: VacuumOptions): number {
  const ofTable = tableProperty(state.metadata.configuration, 'delta.deletedFileRetentionDuration')
  const { retentionMs = Math.max(ofTable, VACUUM_RETENTION_MIN_MS) } = options
  const refuse = (why: string, hint?: string): DeltaLakeError =>
    new DeltaLakeError(
      'DELTA_RETENTION_TOO_SHORT',
      `files of ${store.uri} cannot be deleted after \`${formatHours(retentionMs)}\`: ${why}`,
      { ...(hint === undefined ? {} : { hint }), context: { table: store.uri, retentionMs } },
    )
  if (!(retentionMs >= VACUUM_RETENTION_MIN_MS)) {
    throw refuse(
      `the least is \`${formatHours(VACUUM_RETENTION_MIN_MS)}\`, for uploads that are not committed yet`,
    )
  }
  if (retentionMs < ofTable && options.allowShortRetention !== true) {
    throw refuse(
      `\`delta.deletedFileRetentionDuration\` of the table is \`${formatHours(ofTable)}\``,
      'keep them for that long, or allow a shorter retention explicitly: readers of older versions then lose their files',
    )
  }
  return retentionMs
}

function formatHours(ms: number): string {
  return `${ms / 3_600_000} hours`
}
