/**
 * The log, version by version: each commit by itself and against the table before it, and every checksum and checkpoint
 * against what the commits come to.
 *
 * PROTOCOL.md › Action Reconciliation, › In-Commit Timestamps, › Row Tracking. Where the commits before a checkpoint are
 * gone, that checkpoint is the beginning and is taken at its word. Memory is bounded as {@link LiveFiles} says.
 *
 * @module
 */
import type { Action, CommitInfo } from '../../action.ts'
import { readCommit } from '../../commit-reader.ts'
import { commitViolations } from '../../commit-rules.ts'
import { DeltaLakeError } from '../../error.ts'
import { advanceTableState, initialTableState } from '../../load-table-state.ts'
import { formatChecksumPath, formatCommitPath } from '../../log-path.ts'
import type { CheckpointFiles, LogListing } from '../../log-segment.ts'
import { writerFeaturesOf } from '../../protocol.ts'
import { assignsRowIds, rowIdHighWaterMark } from '../../row-tracking.ts'
import type { ObjectStore, RequestOptions } from '../../store/object-store.ts'
import { tableProperty } from '../../table-property.ts'
import type { TableState } from '../../table-state.ts'
import { type CheckpointCounts, compareCheckpoint, loadCheckpoint } from './checkpoint-check.ts'
import { checksumDifferences, readChecksumDocument } from './checksum-check.ts'
import { FindingList } from './finding.ts'
import { addTotals, emptyTotals, LiveFiles, type LiveTotals } from './live-files.ts'

/** Commits that are read ahead. */
const COMMITS_AHEAD = 16

/** Parts of the live files at most; with more files than fit into so many, the parts are larger. */
const BUCKETS_MAX = 1_024

/** What was looked at. */
export interface LogCheck {
  readonly findings: FindingList
  readonly commitCount: number
  readonly checksumCount: number
  /** Live files of the version, by the log's replay; null where that came to no state of the table. */
  readonly liveFileCount: number | null
  /** Of each checkpoint at a version. */
  readonly checkpoints: ReadonlyMap<number, readonly CheckpointCounts[]>
}

export interface LogCheckOptions extends RequestOptions {
  /** Called after each commit, with how many have been read in this pass. */
  readonly progressed?: (commitsDone: number) => void
}

/**
 * Checks all of the log up to a version.
 *
 * @param liveFilesMax files that are held in memory at a time; more take one replay of the log for each part of them
 * @throws DeltaLakeError what the store throws; what is wrong with the log is a finding
 */
export async function checkLog(
  store: ObjectStore,
  listing: LogListing,
  version: number,
  liveFilesMax: number,
  options: LogCheckOptions,
): Promise<LogCheck> {
  for (let bucketCount = 1; ; bucketCount *= 2) {
    const filesMax = bucketCount < BUCKETS_MAX ? liveFilesMax : Number.POSITIVE_INFINITY
    const replay = new LogReplayCheck(store, listing, version, filesMax, options)
    let fits = true
    for (let bucket = 0; bucket < bucketCount && fits; bucket++) fits = await replay.run(bucket, bucketCount)
    if (fits) return replay
  }
}

class LogReplayCheck implements LogCheck {
  readonly findings = new FindingList()
  readonly checkpoints = new Map<number, CheckpointCounts[]>()
  commitCount = 0
  checksumCount = 0
  liveFileCount: number | null = 0
  readonly #store: ObjectStore
  readonly #listing: LogListing
  readonly #version: number
  readonly #liveFilesMax: number
  readonly #request: LogCheckOptions
  readonly #checkpointsByVersion: ReadonlyMap<number, CheckpointFiles[]>
  readonly #checksumVersions: ReadonlySet<number>
  /** Of the buckets so far, by version. */
  readonly #totals = new Map<number, LiveTotals>()
  // Of one run:
  #live = new LiveFiles(0, 1)
  #state: TableState | null = null
  #isFirst = true
  #isLast = true

  constructor(
    store: ObjectStore,
    listing: LogListing,
    version: number,
    liveFilesMax: number,
    request: LogCheckOptions,
  ) {
    this.#store = store
    this.#listing = listing
    this.#version = version
    this.#liveFilesMax = liveFilesMax
    this.#request = request
    this.#checkpointsByVersion = Map.groupBy(listing.checkpoints, c => c.version)
    this.#checksumVersions = new Set(listing.checksumVersions)
  }

  /** @returns false where the files of the bucket are too many */
  async run(bucket: number, bucketCount: number): Promise<boolean> {
    this.#live = new LiveFiles(bucket, bucketCount)
    this.#isFirst = bucket === 0
    this.#isLast = bucket === bucketCount - 1
    const first = this.#firstVersion()
    this.#state = first === 0 ? initialTableState() : null
    let commitsDone = 0
    for await (const { version, commit } of this.#commits(first)) {
      this.#takeCommit(version, commit)
      if (commit.kind !== 'absent') this.#request.progressed?.(++commitsDone)
      if (this.#live.count > this.#liveFilesMax) return false
      for (const checkpoint of this.#checkpointsByVersion.get(version) ?? []) {
        await this.#takeCheckpoint(version, checkpoint, commit.kind === 'read' ? commit.actions : null)
        if (this.#live.count > this.#liveFilesMax) return false
      }
      if (this.#state !== null && this.#checksumVersions.has(version)) {
        await this.#takeChecksum(version, this.#state, commit.kind === 'read' ? commit.actions : [])
      }
    }
    this.liveFileCount =
      this.#state === null || this.liveFileCount === null ? null : this.liveFileCount + this.#live.count
    return true
  }

  #firstVersion(): number {
    let first = this.#listing.checkpoints.at(-1)?.version ?? this.#version
    for (const version of this.#listing.commits.keys()) if (version < first) first = version
    return first
  }

  async *#commits(first: number): AsyncGenerator<{ version: number; commit: CommitRead }> {
    const pending: Promise<CommitRead>[] = []
    let next = first
    for (let version = first; version <= this.#version; version++) {
      while (next <= this.#version && pending.length < COMMITS_AHEAD) pending.push(this.#readCommit(next++))
      yield { version, commit: await pending.shift()! }
    }
  }

  async #readCommit(version: number): Promise<CommitRead> {
    if (!this.#listing.commits.has(version)) return { kind: 'absent' }
    try {
      const actions = await readCommit(this.#store, version, this.#request)
      return actions === null ? { kind: 'absent' } : { kind: 'read', actions }
    } catch (error) {
      // Thrown where it is awaited: a failure that is read ahead has nobody waiting for it.
      return { kind: 'failed', error }
    }
  }

  #takeCommit(version: number, commit: CommitRead): void {
    if (commit.kind === 'read') {
      if (this.#isFirst) this.commitCount++
      this.#apply(version, commit.actions)
      return
    }
    this.#forget()
    if (commit.kind === 'failed') {
      this.#find('log-unreadable', version, logFault(commit.error))
    } else if (this.#isGapBeginning(version)) this.#find('log-gap', version, this.#gapText(version))
  }

  /** Older commits are cleaned away up to a version; after the oldest that is there none may be missing. */
  #isGapBeginning(version: number): boolean {
    return this.#listing.commits.has(version - 1)
  }

  #gapText(first: number): string {
    let last = first
    while (last < this.#version && !this.#listing.commits.has(last + 1)) last++
    const versions = last === first ? `version ${first} is` : `versions ${first} to ${last} are`
    return `${versions} missing (\`${formatCommitPath(first)}\`)`
  }

  /** After a gap nothing is known until the next checkpoint. */
  #forget(): void {
    this.#state = null
    this.#live.clear()
  }

  #apply(version: number, actions: readonly Action[]): void {
    const before = this.#state
    let after: TableState | null = null
    if (before !== null) {
      try {
        after = advanceTableState(before, version, actions)
      } catch (error) {
        this.#find('schema', version, logFault(error))
        this.#forget()
      }
    }
    const hasTimestamps = (after ?? before) !== null && timestampsEnabled((after ?? before)!)
    for (const { rule, message } of commitViolations(actions)) {
      if (rule !== 'commit-info-first') this.#find('commit', version, message)
      else if (hasTimestamps) this.#find('commit-timestamp', version, message)
    }
    if (before === null || after === null) return
    this.#state = after
    for (const path of this.#live.apply(actions)) {
      this.#find(
        'commit',
        version,
        `\`${path}\` is added with another deletion vector than it is live with, which is not removed`,
        false,
      )
    }
    for (const message of transitionFaults(before, after, actions)) this.#find('commit', version, message)
    this.#checkSchema(version, before, after)
    this.#checkTimestamp(version, before, after)
    this.#checkRowIds(version, before, after, actions)
  }

  #checkSchema(version: number, before: TableState, after: TableState): void {
    if (before.metadata === after.metadata) return
    for (const column of after.metadata.partitionColumns) {
      if (after.schema.fields.some(field => field.name === column)) continue
      this.#find('schema', version, `the partition column \`${column}\` is not in the schema`)
    }
  }

  #checkTimestamp(version: number, before: TableState, after: TableState): void {
    if (!timestampsEnabled(after)) return
    const [earlier, ms] = [before.inCommitTimestampMs, after.inCommitTimestampMs]
    if (ms === null) this.#find('commit-timestamp', version, 'the commit has no `inCommitTimestamp`')
    else if (earlier !== null && ms <= earlier) {
      this.#find('commit-timestamp', version, `the commit is at ${ms}, the one before it at ${earlier}`)
    }
  }

  #checkRowIds(version: number, before: TableState, after: TableState, actions: readonly Action[]): void {
    if (!assignsRowIds(after)) return
    try {
      const [earlier, mark] = [rowIdHighWaterMark(before), rowIdHighWaterMark(after)]
      if (mark < earlier)
        this.#find('row-id', version, `the high-water mark falls from ${earlier} to ${mark}`)
    } catch (error) {
      this.#find('row-id', version, logFault(error))
    }
    for (const action of actions) {
      if (!('add' in action)) continue
      const { path, baseRowId, defaultRowCommitVersion } = action.add
      if (baseRowId === undefined || defaultRowCommitVersion === undefined) {
        this.#find('row-id', version, `\`${path}\` has no \`baseRowId\` or no \`defaultRowCommitVersion\``)
      } else if (defaultRowCommitVersion > version) {
        this.#find('row-id', version, `\`${path}\` has the row commit version ${defaultRowCommitVersion}`)
      }
    }
  }

  async #takeCheckpoint(
    version: number,
    checkpoint: CheckpointFiles,
    actions: readonly Action[] | null,
  ): Promise<void> {
    const file = checkpoint.files[0]!.key
    const report = (message: string): void => {
      this.findings.add('checkpoint', `the checkpoint \`${file}\` differs: ${message}`, { version, file })
    }
    try {
      const counts =
        this.#state === null
          ? await this.#begin(checkpoint, actions)
          : await compareCheckpoint(
              this.#store,
              checkpoint,
              this.#state,
              this.#live,
              this.#isFirst,
              report,
              this.#request,
            )
      if (counts === null) report('it has no `protocol` or no `metaData`')
      else if (this.#isFirst) {
        this.checkpoints.set(version, [...(this.checkpoints.get(version) ?? []), counts])
      }
    } catch (error) {
      this.#find('checkpoint', version, logFault(error), true, file)
    }
  }

  async #begin(
    checkpoint: CheckpointFiles,
    actions: readonly Action[] | null,
  ): Promise<CheckpointCounts | null> {
    const doubled = (path: string): void =>
      this.findings.add('file-duplicate', `\`${path}\` is in the checkpoint twice`, {
        version: checkpoint.version,
        file: checkpoint.files[0]!.key,
      })
    const loaded = await loadCheckpoint(
      this.#store,
      checkpoint,
      this.#live,
      this.#liveFilesMax,
      doubled,
      this.#request,
    )
    if (loaded === null) return null
    const inCommitTimestampMs = timestampsEnabled(loaded.state)
      ? (commitInfoOf(actions)?.inCommitTimestamp ?? null)
      : null
    this.#state = { ...loaded.state, inCommitTimestampMs }
    return loaded
  }

  async #takeChecksum(version: number, state: TableState, actions: readonly Action[]): Promise<void> {
    const file = formatChecksumPath(version)
    const bytes = await this.#store.get(file, this.#request)
    if (bytes === null) return
    const document = readChecksumDocument(bytes)
    if (typeof document === 'string') {
      this.#find('checksum', version, `\`${file}\` ${document}`, true, file)
      return
    }
    const totals = this.#totals.get(version) ?? emptyTotals()
    addTotals(totals, this.#live.totals(document.histogramBoundaries))
    this.#totals.set(version, totals)
    const differs = (message: string): void =>
      this.findings.add('checksum', `the checksum \`${file}\` differs: ${message}`, { version, file })
    if (document.allFiles !== null) {
      const comparison = this.#live.compare({ withStatistics: true })
      for (const add of document.allFiles) {
        const difference = comparison.meet(add)
        if (difference !== null) differs(`the file \`${difference.path}\` ${difference.message}`)
      }
      for (const { path, message } of comparison.missing()) differs(`the file \`${path}\` ${message}`)
    }
    if (!this.#isLast) return
    this.checksumCount++
    const txnId = commitInfoOf(actions)?.txnId
    for (const message of checksumDifferences(document, state, totals, txnId)) differs(message)
  }

  /** @param onceOnly what does not depend on the bucket is told in the first run alone */
  #find(
    rule: Parameters<FindingList['add']>[0],
    version: number,
    message: string,
    onceOnly = true,
    file = formatCommitPath(version),
  ): void {
    if (!onceOnly || this.#isFirst) this.findings.add(rule, message, { version, file })
  }
}

type CommitRead =
  | { readonly kind: 'absent' }
  | { readonly kind: 'read'; readonly actions: readonly Action[] }
  | { readonly kind: 'failed'; readonly error: unknown }

/** The codes of faults that lie in the table. */
const TABLE_FAULTS: ReadonlySet<string> = new Set([
  'DELTA_LOG_CORRUPT',
  'DELTA_LOG_GAP',
  'DELTA_DATA_CORRUPT',
  'DELTA_SCHEMA_INVALID',
  'DELTA_PROPERTY_INVALID',
  'PARQUET_UNSUPPORTED',
])

/** The message of a fault of the table; whatever else went wrong is thrown on. */
export function logFault(error: unknown): string {
  if (error instanceof DeltaLakeError && TABLE_FAULTS.has(error.code)) return error.message
  throw error
}

function timestampsEnabled(state: TableState): boolean {
  return tableProperty(state.metadata.configuration, 'delta.enableInCommitTimestamps')
}

function commitInfoOf(actions: readonly Action[] | null): CommitInfo | undefined {
  for (const action of actions ?? []) if ('commitInfo' in action) return action.commitInfo
  return undefined
}

/** What a commit may not do to the table before it. */
function* transitionFaults(
  before: TableState,
  after: TableState,
  actions: readonly Action[],
): Generator<string> {
  const features = writerFeaturesOf(after.protocol)
  if (before.version === -1) {
    for (const name of ['protocol', 'metaData'] as const) {
      if (!actions.some(action => name in action)) yield `the first commit has no \`${name}\``
    }
  } else if (before.metadata.id !== after.metadata.id) {
    yield `the table's id changes from \`${before.metadata.id}\` to \`${after.metadata.id}\``
  }
  for (const action of actions) {
    if ('domainMetadata' in action && !features.has('domainMetadata')) {
      yield `the domain \`${action.domainMetadata.domain}\` needs the table feature \`domainMetadata\``
    }
    if (!('add' in action) || action.add.deletionVector === undefined) continue
    if (!features.has('deletionVectors')) {
      yield `the deletion vector of \`${action.add.path}\` needs the table feature \`deletionVectors\``
    }
  }
}
