/**
 * When a version was committed, and which version was the newest at a time.
 *
 * PROTOCOL.md › In-Commit Timestamps › Recommendations for Readers. Versions with in-commit timestamps have theirs in the
 * commit; earlier ones the time of the object, made to rise from version to version.
 *
 * @module
 */
import { readCommit } from './commit-reader.ts'
import { DeltaLakeError } from './error.ts'
import { loadTableState } from './load-table-state.ts'
import { formatCommitPath } from './log-path.ts'
import { listTail } from './log-segment.ts'
import type { ObjectStore, RequestOptions } from './store/object-store.ts'
import { tableProperty } from './table-property.ts'

/**
 * The newest version that was committed at `timestampMs` or before.
 *
 * @returns null where there is no table
 * @throws DeltaLakeError `DELTA_VERSION_NOT_FOUND` for a time before the oldest commit that the log still holds
 */
export async function resolveVersionAt(
  store: ObjectStore,
  timestampMs: number,
  options: RequestOptions = {},
): Promise<number | null> {
  const state = await loadTableState(store, options)
  if (state === null) return null
  const listing = await listTail(store, 0, options)
  const versions = [...listing.commits.keys()].filter(v => v <= state.version).sort((a, b) => a - b)
  const { configuration } = state.metadata
  const enabled = tableProperty(configuration, 'delta.enableInCommitTimestamps')
  // A table that was created with in-commit timestamps does not say when they began.
  const enabledVersion = enabled
    ? (tableProperty(configuration, 'delta.inCommitTimestampEnablementVersion') ?? 0)
    : Number.POSITIVE_INFINITY
  const inCommit = versions.filter(v => v >= enabledVersion)
  const byObject = versions.filter(v => v < enabledVersion)
  const found =
    (await newestInCommit(store, inCommit, timestampMs, options)) ??
    newestByObject(
      byObject.map(version => ({ version, ms: listing.commits.get(version)!.lastModifiedMs })),
      timestampMs,
    )
  if (found !== null) return found
  throw new DeltaLakeError(
    'DELTA_VERSION_NOT_FOUND',
    `the oldest commit that the log of ${store.uri} holds is younger than ${new Date(timestampMs).toISOString()}`,
    { context: { table: store.uri, timestampMs } },
  )
}

/** In-commit timestamps rise from version to version, so the search halves. */
async function newestInCommit(
  store: ObjectStore,
  versions: readonly number[],
  timestampMs: number,
  options: RequestOptions,
): Promise<number | null> {
  let low = 0
  let high = versions.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((await readInCommitTimestamp(store, versions[middle]!, options)) <= timestampMs) low = middle + 1
    else high = middle
  }
  return low === 0 ? null : versions[low - 1]!
}

/**
 * The in-commit timestamp of a version, which has one.
 *
 * @throws DeltaLakeError `DELTA_LOG_CORRUPT` where it has none, and what the store throws
 */
export async function readInCommitTimestamp(
  store: ObjectStore,
  version: number,
  options: RequestOptions,
): Promise<number> {
  for (const action of (await readCommit(store, version, options)) ?? []) {
    if ('commitInfo' in action && action.commitInfo.inCommitTimestamp !== undefined) {
      return action.commitInfo.inCommitTimestamp
    }
  }
  throw new DeltaLakeError(
    'DELTA_LOG_CORRUPT',
    `the commit \`${formatCommitPath(version)}\` of ${store.uri} has no \`inCommitTimestamp\``,
    { context: { table: store.uri, version } },
  )
}

function newestByObject(
  commits: readonly { readonly version: number; readonly ms: number }[],
  timestampMs: number,
): number | null {
  let newest: number | null = null
  let previousMs = Number.NEGATIVE_INFINITY
  for (const { version, ms } of commits) {
    const adjustedMs = Math.max(ms, previousMs + 1)
    if (adjustedMs > timestampMs) break
    newest = version
    previousMs = adjustedMs
  }
  return newest
}
