/**
 * Checks a table: the rules of its log, what checksums and checkpoints say, its files, and, deep, its rows.
 *
 * Changes nothing. PROTOCOL.md, all of it that a reader can verify.
 *
 * @module
 */
import { DeltaLakeError } from '../error.ts'
import type { OpenForeignStore } from '../file-source.ts'
import { parseLastCheckpoint } from '../last-checkpoint.ts'
import { LAST_CHECKPOINT_PATH } from '../log-path.ts'
import { type LogListing, listTail } from '../log-segment.ts'
import { loadSnapshot } from '../snapshot.ts'
import type { ObjectStore, RequestOptions } from '../store/object-store.ts'
import { checkFiles } from './check/file-check.ts'
import type { Finding, FindingList } from './check/finding.ts'
import { LIVE_FILES_MAX } from './check/live-files.ts'
import { checkLog, type LogCheck, logFault } from './check/log-check.ts'

export type { CheckRule, Finding } from './check/finding.ts'

export interface CheckOptions extends RequestOptions {
  /** Up to this version, and the files of this version. Default: the newest. */
  readonly version?: number
  /** Also read every row of every live file. Default false. */
  readonly deep?: boolean
  /** Opens places outside of the table; without it files there are not looked at. */
  readonly openForeign?: OpenForeignStore
  /** Files that are held in memory at a time; more take several passes over the log. */
  readonly liveFilesMax?: number
  /** Epoch milliseconds, for expired `txn`s. Default: the machine's clock. */
  readonly nowMs?: number
  /** Called after each commit, then after every few files; deep, after each of them. */
  readonly progressed?: (done: CheckProgress) => void
}

export interface CheckProgress {
  /** In a table of more files than `liveFilesMax`, in the pass that is under way. */
  readonly commitsDone: number
  readonly commitsTotal: number
  readonly filesDone: number
  /** Null before the whole log has been read, and where it came to no state of the table. */
  readonly filesTotal: number | null
}

/** What was looked at, and what was found. */
export interface CheckReport {
  readonly version: number
  readonly isDeep: boolean
  readonly commitCount: number
  readonly checkpointCount: number
  readonly checksumCount: number
  /** Live files of the version; null where the table cannot be opened. */
  readonly fileCount: number | null
  /** Empty where the table is sound. */
  readonly findings: readonly Finding[]
  /** Findings beyond those that are kept. */
  readonly findingsLeftOut: number
}

/**
 * Checks a table.
 *
 * Requests: each commit, checksum and checkpoint once (several times in tables of more than `liveFilesMax` files) and one
 * look-up a live file; deep, all files. Memory does not grow with the table, but for 24 bytes a live file.
 *
 * @throws DeltaLakeError `DELTA_TABLE_NOT_FOUND`, `DELTA_VERSION_NOT_FOUND`, `DELTA_PROTOCOL_UNSUPPORTED`, and what the
 *   store throws: what keeps the check from being done. What is wrong with the table is a finding
 */
export async function checkTable(store: ObjectStore, options: CheckOptions = {}): Promise<CheckReport> {
  const request: RequestOptions = options.signal === undefined ? {} : { signal: options.signal }
  const listing = await listTail(store, 0, request)
  const version = versionOf(store, listing, options.version)
  const commitsTotal = [...listing.commits.keys()].filter(v => v <= version).length
  let filesTotal: number | null = null
  const report = (done: Partial<CheckProgress>): void =>
    options.progressed?.({ commitsDone: commitsTotal, commitsTotal, filesDone: 0, filesTotal, ...done })
  const log = await checkLog(store, listing, version, options.liveFilesMax ?? LIVE_FILES_MAX, {
    ...request,
    progressed: commitsDone => report({ commitsDone }),
  })
  filesTotal = log.liveFileCount
  await checkPointer(store, listing, log, request)
  const fileCount = await checkSnapshot(store, version, log.findings, options, request, report)
  let checkpointCount = 0
  for (const counts of log.checkpoints.values()) checkpointCount += counts.length
  return {
    version,
    isDeep: options.deep === true,
    commitCount: log.commitCount,
    checkpointCount,
    checksumCount: log.checksumCount,
    fileCount,
    findings: log.findings.kept,
    findingsLeftOut: log.findings.leftOutCount,
  }
}

function versionOf(store: ObjectStore, listing: LogListing, wanted: number | undefined): number {
  const { newestVersion, hasLogFiles } = listing
  const context = { table: store.uri }
  if (!hasLogFiles) {
    throw new DeltaLakeError('DELTA_TABLE_NOT_FOUND', `there is no Delta table at \`${store.uri}\``, {
      context,
    })
  }
  if (wanted === undefined || wanted <= newestVersion) return wanted ?? Math.max(newestVersion, 0)
  throw new DeltaLakeError(
    'DELTA_VERSION_NOT_FOUND',
    `the table ${store.uri} has no version ${wanted}; the newest is ${newestVersion}`,
    { context: { ...context, version: wanted } },
  )
}

/** @returns how many live files there are; null where the table cannot be opened at the version */
async function checkSnapshot(
  store: ObjectStore,
  version: number,
  findings: FindingList,
  options: CheckOptions,
  request: RequestOptions,
  report: (done: Partial<CheckProgress>) => void,
): Promise<number | null> {
  const { deep = false, openForeign, nowMs } = options
  try {
    const snapshot = await loadSnapshot(store, {
      ...request,
      version,
      ...(nowMs === undefined ? {} : { nowMs }),
    })
    if (snapshot === null) return null
    return await checkFiles(snapshot, findings, {
      ...request,
      deep,
      progressed: filesDone => report({ filesDone }),
      ...(openForeign === undefined ? {} : { openForeign }),
    })
  } catch (error) {
    // The version was seen in the listing; that it cannot be had is the log's fault.
    const isGone = error instanceof DeltaLakeError && error.code === 'DELTA_VERSION_NOT_FOUND'
    const message = isGone ? error.message : logFault(error)
    // The log's own check has met it already, in most cases.
    if (!findings.kept.some(finding => finding.message === message)) {
      findings.add('log-unreadable', message, { version })
    }
    return null
  }
}

/** The pointer is a hint, but one that misleads costs every reader a second look. */
async function checkPointer(
  store: ObjectStore,
  listing: LogListing,
  { findings, checkpoints }: LogCheck,
  request: RequestOptions,
): Promise<void> {
  const bytes = await store.get(LAST_CHECKPOINT_PATH, request)
  if (bytes === null) return
  const place = { file: LAST_CHECKPOINT_PATH }
  const pointer = parseLastCheckpoint(new TextDecoder().decode(bytes))
  if (pointer === null) {
    const message = `\`${LAST_CHECKPOINT_PATH}\` cannot be understood, or its checksum does not fit`
    findings.add('last-checkpoint', message, place)
    return
  }
  const { version, size, numOfAddFiles, parts } = pointer
  const there = listing.checkpoints.filter(checkpoint => checkpoint.version === version)
  const add = (message: string): void =>
    findings.add('last-checkpoint', `\`${LAST_CHECKPOINT_PATH}\` ${message}`, { ...place, version })
  if (there.length === 0) {
    add(`points at version ${version}, which has no complete checkpoint`)
    return
  }
  if (parts !== undefined && !there.some(({ files }) => files.length === parts)) {
    add(`says that the checkpoint has ${parts} parts, it has ${there[0]!.files.length}`)
  }
  const counts = checkpoints.get(version)
  // A checkpoint that cannot be read, or lies behind the version asked for, was not counted.
  if (counts === undefined) return
  // Of a V2 checkpoint, `checkpointMetadata` is one more.
  if (!counts.some(({ actionCount }) => actionCount === size || actionCount + 1 === size)) {
    add(`says that the checkpoint has ${size} actions, it has ${counts[0]!.actionCount}`)
  }
  if (numOfAddFiles !== undefined && !counts.some(({ addCount }) => addCount === numOfAddFiles)) {
    add(`says that the checkpoint has ${numOfAddFiles} files, it has ${counts[0]!.addCount}`)
  }
}
