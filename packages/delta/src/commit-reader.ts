/**
 * Reads commits.
 *
 * @module
 */
import type { Action } from './action.ts'
import { parseCommit } from './action-codec.ts'
import { formatCommitPath } from './log-path.ts'
import type { ObjectStore, RequestOptions } from './store/object-store.ts'

/** Commits that are read at the same time. */
export const COMMIT_READS_AT_ONCE = 16

/**
 * The actions of one commit, in their order; null where there is no such version (yet, or any more).
 *
 * @throws DeltaLakeError `DELTA_LOG_CORRUPT`, and what the store throws
 */
export async function readCommit(
  store: ObjectStore,
  version: number,
  options?: RequestOptions,
): Promise<Action[] | null> {
  const key = formatCommitPath(version)
  const bytes = await store.get(key, options)
  return bytes === null ? null : parseCommit(bytes, key)
}
