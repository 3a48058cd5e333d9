/**
 * Which log files make up the table at a version: the newest complete checkpoint and the commits after it.
 *
 * PROTOCOL.md › Delta Log Entries, › Checkpoints, › Action Reconciliation. One listing from the pointer's version on;
 * versions must be contiguous, because a missing commit is lost data and not "the newest version".
 *
 * Compacted commits are recognised and not used: what they hold is in the commits, which every reader of timestamps
 * needs anyway, and ones that were not reconciled are seen in the wild.
 *
 * @module
 */
import { DeltaLakeError } from './error.ts'
import { type LastCheckpoint, readLastCheckpoint } from './last-checkpoint.ts'
import { formatCommitPath, formatStartAfter, LOG_PREFIX, type LogPath, parseLogPath } from './log-path.ts'
import type { ObjectInfo, ObjectStore, RequestOptions } from './store/object-store.ts'

/** The files of one complete checkpoint. */
export interface CheckpointFiles {
  readonly version: number
  readonly format: 'parquet' | 'json'
  /** More than one for a multi-part checkpoint, in the order of the parts. Sidecars are not here. */
  readonly files: readonly ObjectInfo[]
}

/** What a listing of the log folder found, from some version on. */
export interface LogListing {
  readonly commits: ReadonlyMap<number, ObjectInfo>
  /** Complete ones, newest first; of several at one version any will do. */
  readonly checkpoints: readonly CheckpointFiles[]
  /** Versions with a `.crc`, ascending. */
  readonly checksumVersions: readonly number[]
  /** Of commits and complete checkpoints; −1 where there are none. */
  readonly newestVersion: number
  /** Some name of a log file was seen, be it an incomplete checkpoint. */
  readonly hasLogFiles: boolean
}

export interface LogSegment {
  /** The table's version that the segment makes up. */
  readonly version: number
  readonly checkpoint: CheckpointFiles | null
  /** Ascending and contiguous, from the version after the checkpoint (or 0) to `version`. */
  readonly commits: readonly { readonly version: number; readonly file: ObjectInfo }[]
  /** Newest version in the segment, the checkpoint's included, that has a `.crc`; null where none has. */
  readonly checksumVersion: number | null
  /** Does the commit of `version` exist? Not where only the checkpoint at that version was kept. */
  readonly hasTipCommit: boolean
}

export interface LogSegmentOptions extends RequestOptions {
  /** Default: the newest. */
  readonly version?: number
  /** Only checkpoints before this version: to go on without one that cannot be read. */
  readonly checkpointBefore?: number
  /** What `_last_checkpoint` says, where the caller has just read it. */
  readonly hint?: LastCheckpoint | null
}

/** Lists the log from the files of `fromVersion` on. */
export async function listTail(
  store: ObjectStore,
  fromVersion: number,
  options?: RequestOptions,
): Promise<LogListing> {
  const commits = new Map<number, ObjectInfo>()
  const ofCheckpoints: (ObjectInfo & { readonly path: LogPath })[] = []
  const checksumVersions: number[] = []
  let hasLogFiles = false
  for await (const file of store.list(LOG_PREFIX, {
    ...options,
    startAfter: formatStartAfter(fromVersion),
    shallow: true,
  })) {
    const path = parseLogPath(file.key)
    // Stores that do not list in byte order may hand out older ones too.
    if (path === null || path.version < fromVersion) continue
    hasLogFiles = true
    const { version } = path
    switch (path.kind) {
      case 'commit':
        commits.set(version, file)
        break
      case 'checksum':
        checksumVersions.push(version)
        break
      case 'classic-checkpoint':
      case 'v2-checkpoint':
      case 'checkpoint-part':
        ofCheckpoints.push({ ...file, path })
        break
      case 'compacted':
        break
    }
  }
  const checkpoints = completeCheckpoints(ofCheckpoints)
  checksumVersions.sort((a, b) => a - b)
  let newestVersion = checkpoints[0]?.version ?? -1
  for (const version of commits.keys()) if (version > newestVersion) newestVersion = version
  return { commits, checkpoints, checksumVersions, newestVersion, hasLogFiles }
}

/** The complete checkpoints among files of the log, newest first. Files without bytes are none. */
export function completeCheckpoints(
  files: Iterable<ObjectInfo & { readonly path: LogPath }>,
): CheckpointFiles[] {
  const checkpoints: CheckpointFiles[] = []
  const parts = new Map<string, { version: number; partCount: number; files: Map<number, ObjectInfo> }>()
  for (const { path, ...file } of files) {
    if (file.sizeBytes === 0) continue
    const { version } = path
    if (path.kind === 'classic-checkpoint') checkpoints.push({ version, format: 'parquet', files: [file] })
    else if (path.kind === 'v2-checkpoint') checkpoints.push({ version, format: path.format, files: [file] })
    else if (path.kind === 'checkpoint-part') {
      const key = `${version}/${path.partCount}`
      const set = parts.get(key) ?? { version, partCount: path.partCount, files: new Map() }
      set.files.set(path.part, file)
      parts.set(key, set)
    }
  }
  for (const { version, partCount, files: found } of parts.values()) {
    if (found.size !== partCount) continue
    const inOrder = [...found].sort(([a], [b]) => a - b).map(([, file]) => file)
    checkpoints.push({ version, format: 'parquet', files: inOrder })
  }
  return checkpoints.sort((a, b) => b.version - a.version)
}

async function hintOf(
  store: ObjectStore,
  known: LastCheckpoint | null | undefined,
  request: RequestOptions,
): Promise<LastCheckpoint | null> {
  return known === undefined ? readLastCheckpoint(store, request) : known
}

/**
 * Finds the segment: the pointer and one listing on a healthy table.
 *
 * @returns null where there is no table
 * @throws DeltaLakeError `DELTA_LOG_GAP`, `DELTA_LOG_CORRUPT`, `DELTA_VERSION_NOT_FOUND`, and what the store throws
 */
export async function loadLogSegment(
  store: ObjectStore,
  options: LogSegmentOptions = {},
): Promise<LogSegment | null> {
  const request: RequestOptions = options.signal === undefined ? {} : { signal: options.signal }
  const latestStart = Math.min(
    options.version ?? Number.POSITIVE_INFINITY,
    (options.checkpointBefore ?? Infinity) - 1,
  )
  const hint = latestStart < 0 ? null : await hintOf(store, options.hint, request)
  if (hint !== null && hint.version > 0 && hint.version <= latestStart) {
    const listing = await listTail(store, hint.version, request)
    // The pointer may be wrong; only a checkpoint that is there makes an end to looking further back.
    if (listing.checkpoints.some(c => c.version <= latestStart))
      return planLogSegment(store.uri, listing, options)
  }
  const listing = await listTail(store, 0, request)
  if (listing.newestVersion === -1) {
    if (!listing.hasLogFiles && hint === null) return null
    throw new DeltaLakeError(
      'DELTA_LOG_CORRUPT',
      `the log of ${store.uri} has neither a commit nor a complete checkpoint`,
      { context: { table: store.uri } },
    )
  }
  return planLogSegment(store.uri, listing, options)
}

/** Chooses from a listing; pure. */
export function planLogSegment(
  uri: string,
  listing: LogListing,
  options: LogSegmentOptions = {},
): LogSegment {
  const version = options.version ?? listing.newestVersion
  if (version > listing.newestVersion) {
    throw new DeltaLakeError(
      'DELTA_VERSION_NOT_FOUND',
      `the table ${uri} has no version ${version}; the newest is ${listing.newestVersion}`,
      { context: { table: uri, version } },
    )
  }
  const checkpointEnd = Math.min(version, (options.checkpointBefore ?? Infinity) - 1)
  const checkpoint = listing.checkpoints.find(c => c.version <= checkpointEnd) ?? null
  const firstVersion = checkpoint === null ? 0 : checkpoint.version + 1
  const commits: { version: number; file: ObjectInfo }[] = []
  for (let v = firstVersion; v <= version; v++) {
    const file = listing.commits.get(v)
    if (file === undefined) throw gapError(uri, listing, v, version, checkpoint)
    if (file.sizeBytes === 0) {
      throw new DeltaLakeError('DELTA_LOG_CORRUPT', `the log file \`${file.key}\` of ${uri} is empty`, {
        context: { table: uri, file: file.key },
      })
    }
    commits.push({ version: v, file })
  }
  const checksumVersion =
    listing.checksumVersions.findLast(v => v <= version && v >= firstVersion - 1) ?? null
  return { version, checkpoint, commits, checksumVersion, hasTipCommit: listing.commits.has(version) }
}

/** Says which versions are missing, or that the version asked for has been cleaned away. */
function gapError(
  uri: string,
  listing: LogListing,
  missing: number,
  version: number,
  checkpoint: CheckpointFiles | null,
): DeltaLakeError {
  let next = missing
  while (next <= version && !listing.commits.has(next)) next++
  const range = next - 1 > missing ? `versions ${missing} to ${next - 1} are` : `version ${missing} is`
  const oldest = listing.checkpoints.at(-1)?.version ?? null
  if (checkpoint === null && oldest !== null && version < oldest) {
    return new DeltaLakeError(
      'DELTA_VERSION_NOT_FOUND',
      `the log of ${uri} no longer holds version ${version}; the oldest it holds is ${oldest}`,
      { context: { table: uri, version } },
    )
  }
  return new DeltaLakeError(
    'DELTA_LOG_GAP',
    `the log of ${uri} has a gap: ${range} missing (\`${formatCommitPath(missing)}\`)`,
    { context: { table: uri, firstMissing: missing, lastMissing: next - 1 } },
  )
}
