/**
 * Where every message went, from the table alone: each commit tells how many messages stand behind it, and what became of
 * them.
 *
 * @module
 */
import { type Action, type ObjectStore, readCommit } from '@stream-ingest/delta'
import { replaySeries } from '../delta/quarantine-numbers.ts'
import { parseAppId } from './start-position.ts'

/** Commits that are read at once. */
const CONCURRENCY = 16
/** Commits that are read at most: one request each. */
export const RECONCILED_COMMITS_MAX = 100_000

/** Sums over the commits of one pipeline. */
export interface Reconciliation {
  readonly fromVersion: number
  readonly toVersion: number
  /** Of the pipeline, in this range. */
  readonly commits: number
  readonly consumed: bigint
  readonly rows: bigint
  readonly badRecords: bigint
  /** Of the bad ones those that wait in the quarantine. */
  readonly quarantined: bigint
  readonly skipped: bigint
  readonly filtered: bigint
  /** The log goes back to the table's first version: nothing is left out. */
  readonly isWhole: boolean
  /** `consumed = rows + badRecords + skipped + filtered`. */
  readonly isBalanced: boolean
}

interface Counts {
  commits: number
  consumed: bigint
  rows: bigint
  badRecords: bigint
  quarantined: bigint
  skipped: bigint
  filtered: bigint
}

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
): Promise<Reconciliation> {
  const counts: Counts = {
    commits: 0,
    consumed: 0n,
    rows: 0n,
    badRecords: 0n,
    quarantined: 0n,
    skipped: 0n,
    filtered: 0n,
  }
  let oldest = version + 1
  let isCleaned = false
  while (oldest > 0 && !isCleaned && version - oldest + 1 < commitsMax) {
    const left = commitsMax - (version - oldest + 1)
    const size = Math.min(CONCURRENCY, oldest, left)
    const versions = Array.from({ length: size }, (_, i) => oldest - 1 - i)
    const commits = await Promise.all(versions.map(v => readCommit(store, v)))
    for (const [i, commit] of commits.entries()) {
      if (commit === null) {
        isCleaned = true
        break
      }
      addCommit(pipelineId, commit, counts)
      oldest = versions[i]!
    }
  }
  const { consumed, rows, badRecords, skipped, filtered } = counts
  return {
    ...counts,
    fromVersion: Math.min(oldest, version),
    toVersion: version,
    isWhole: oldest === 0,
    isBalanced: consumed === rows + badRecords + skipped + filtered,
  }
}

function addCommit(pipelineId: string, commit: readonly Action[], counts: Counts): void {
  const isOurs = commit.some(
    action =>
      'txn' in action &&
      (parseAppId(pipelineId, action.txn.appId) !== null || action.txn.appId === replaySeries(pipelineId)),
  )
  if (!isOurs) return
  const metrics = commit.find(action => 'commitInfo' in action)?.commitInfo.operationMetrics ?? {}
  const add = (name: string): bigint => {
    const text = String(metrics[name] ?? '0')
    // Negative where a replay took records out of the quarantine and made rows of them.
    return /^-?\d{1,19}$/.test(text) ? BigInt(text) : 0n
  }
  counts.commits++
  counts.consumed += add('numConsumedRecords')
  counts.rows += add('numOutputRows')
  counts.badRecords += add('numBadRecords')
  counts.quarantined += add('numQuarantinedRecords')
  counts.skipped += add('numSkippedRecords')
  counts.filtered += add('numFilteredRecords')
}
