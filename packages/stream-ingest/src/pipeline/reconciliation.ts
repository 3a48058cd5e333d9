/**
 * Where every message went, from the table alone: each commit tells how many messages stand behind it, and what became of
 * them.
 *
 * @module
 */
import { type ObjectStore, parseJson } from '@stream-ingest/delta'
import { commitMetric, commitsBackFrom, type HistoryCommit, isCommitOf } from './commit-history.ts'

/** Commits that are read at most: one request each. */
export const RECONCILED_COMMITS_MAX = 100_000

/** Sums over the commits of one pipeline. */
export interface Reconciliation {
  /** The oldest version that was looked at: the log holds none before it, or the bound was reached. */
  readonly fromVersion: number
  readonly toVersion: number
  /** Of the pipeline, in this range. */
  readonly commits: number
  /** Of these: commits with files that do not say what stands behind them. They are in no sum. */
  readonly uncounted: number
  readonly consumed: bigint
  readonly rows: bigint
  readonly badRecords: bigint
  /** Of the bad records: those that are in the quarantine. */
  readonly quarantined: bigint
  readonly skipped: bigint
  readonly filtered: bigint
  /** Rows of the files that these commits added, by the files' own statistics; null where a file has none. */
  readonly rowsInFiles: bigint | null
  /** Offsets that somebody moved back over by hand: their messages may be there more than once. */
  readonly repeated: bigint
  /** Offsets that somebody passed over by hand: their messages were never consumed. */
  readonly passedOver: bigint
  /** The log goes back to the table's first version: nothing is left out. */
  readonly isWhole: boolean
  /** `consumed = rows + badRecords + skipped + filtered`, and the files have these rows. */
  readonly isBalanced: boolean
}

const METRICS = {
  consumed: 'numConsumedRecords',
  rows: 'numOutputRows',
  badRecords: 'numBadRecords',
  quarantined: 'numQuarantinedRecords',
  skipped: 'numSkippedRecords',
  filtered: 'numFilteredRecords',
  repeated: 'numRepeatedOffsets',
  passedOver: 'numPassedOverOffsets',
} as const

type Sums = { -readonly [Name in keyof typeof METRICS]: bigint }

/**
 * Adds up the newest commits, as far back as the log goes, at most `commitsMax` of them.
 *
 * @param version of the table
 * @throws what the store throws; DeltaLakeError for a commit that cannot be read
 */
export async function reconcile(
  pipelineId: string,
  store: ObjectStore,
  version: number,
  commitsMax: number = RECONCILED_COMMITS_MAX,
  signal?: AbortSignal,
): Promise<Reconciliation> {
  const sums: Sums = {
    consumed: 0n,
    rows: 0n,
    badRecords: 0n,
    quarantined: 0n,
    skipped: 0n,
    filtered: 0n,
    repeated: 0n,
    passedOver: 0n,
  }
  let commits = 0
  let uncounted = 0
  let rowsInFiles: bigint | null = 0n
  let fromVersion = version
  for await (const commit of commitsBackFrom(store, version, commitsMax, signal)) {
    fromVersion = commit.version
    if (!isCommitOf(pipelineId, commit)) continue
    commits++
    const added = rowsAdded(commit)
    if (commitMetric(commit, METRICS.consumed) === null && added !== 0n) {
      uncounted++
      continue
    }
    for (const name of Object.keys(METRICS) as (keyof typeof METRICS)[]) {
      sums[name] += commitMetric(commit, METRICS[name]) ?? 0n
    }
    rowsInFiles = rowsInFiles === null || added === null ? null : rowsInFiles + added
  }
  const { consumed, rows, badRecords, skipped, filtered } = sums
  return {
    fromVersion,
    toVersion: version,
    commits,
    uncounted,
    ...sums,
    rowsInFiles,
    isWhole: fromVersion === 0,
    isBalanced:
      consumed === rows + badRecords + skipped + filtered && (rowsInFiles === null || rowsInFiles === rows),
  }
}

/** Rows of the commit's files by their statistics; null where one of them has none. */
function rowsAdded({ actions }: HistoryCommit): bigint | null {
  let rows = 0n
  for (const action of actions) {
    if (!('add' in action)) continue
    const { stats, deletionVector } = action.add
    const count = stats === undefined || stats === null ? null : numRecordsOf(stats)
    if (count === null) return null
    rows += BigInt(count - (deletionVector?.cardinality ?? 0))
  }
  return rows
}

function numRecordsOf(stats: string): number | null {
  let parsed: unknown
  try {
    parsed = parseJson(stats)
  } catch {
    return null
  }
  const { numRecords } = (parsed ?? {}) as { numRecords?: unknown }
  return typeof numRecords === 'number' && Number.isSafeInteger(numRecords) ? numRecords : null
}
