/**
 * Reads commits.
 *
 * @module
 */
import type { Action } from './action.ts'
import { parseCommit } from './action-codec.ts'
import { DeltaLakeError } from './error.ts'
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

/** One commit with its version. */
export interface Commit {
  readonly version: number
  readonly actions: readonly Action[]
}

/**
 * Reads commits in the order given, several at a time.
 *
 * @throws DeltaLakeError `DELTA_LOG_GAP` where one is not there any more, `DELTA_LOG_CORRUPT`, what the store throws
 */
export async function* readCommits(
  store: ObjectStore,
  versions: readonly number[],
  options?: RequestOptions,
): AsyncGenerator<Commit> {
  const pending: Promise<Action[] | null>[] = []
  const start = (index: number): void => {
    const read = readCommit(store, versions[index]!, options)
    // Where an earlier one fails, this one's failure has nobody waiting for it.
    read.catch(() => undefined)
    pending.push(read)
  }
  for (let i = 0; i < Math.min(COMMIT_READS_AT_ONCE, versions.length); i++) start(i)
  for (const [index, version] of versions.entries()) {
    const actions = await pending.shift()!
    if (index + COMMIT_READS_AT_ONCE < versions.length) start(index + COMMIT_READS_AT_ONCE)
    if (actions === null) {
      throw new DeltaLakeError(
        'DELTA_LOG_GAP',
        `the commit \`${formatCommitPath(version)}\` of ${store.uri} was listed and is not there any more`,
        {
          retryable: true,
          hint: 'log cleanup removed it meanwhile: read the table again',
          context: { version },
        },
      )
    }
    yield { version, actions }
  }
}
