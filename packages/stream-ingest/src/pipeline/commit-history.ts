/**
 * A table's commits from the newest back, and which of them are a pipeline's own.
 *
 * @module
 */
import { type Action, type CommitInfo, type ObjectStore, parseJson, readCommit } from '@stream-ingest/delta'
import { replaySeries } from '../delta/quarantine-numbers.ts'
import { parseAppId } from './start-position.ts'

/** Commits that are asked for at once, after the first one: mostly that is all that is looked for. */
export const COMMITS_AT_ONCE = 16

export interface HistoryCommit {
  readonly version: number
  readonly actions: readonly Action[]
  /** Empty where the commit tells nothing of itself. */
  readonly info: CommitInfo
}

/**
 * The newest `commitsMax` commits, as far back as the log goes.
 *
 * @param version the newest
 * @throws what the store throws; DeltaLakeError `DELTA_LOG_CORRUPT`
 */
export async function* commitsBackFrom(
  store: ObjectStore,
  version: number,
  commitsMax: number,
  signal?: AbortSignal,
): AsyncGenerator<HistoryCommit> {
  const options = signal === undefined ? {} : { signal }
  const oldest = Math.max(0, version - commitsMax + 1)
  for (let next = version, atOnce = 1; next >= oldest; next -= atOnce, atOnce = COMMITS_AT_ONCE) {
    const versions = Array.from({ length: Math.min(atOnce, next - oldest + 1) }, (_, i) => next - i)
    const commits = await Promise.all(versions.map(v => readCommit(store, v, options)))
    for (const [i, actions] of commits.entries()) {
      // Log cleanup takes the oldest first.
      if (actions === null) return
      const info = actions.find(action => 'commitInfo' in action)?.commitInfo ?? {}
      yield { version: versions[i]!, actions, info }
    }
  }
}

/** Does it move an offset of the pipeline, put back what it had in quarantine, or say that it is the pipeline's? */
export function isCommitOf(pipelineId: string, { actions, info }: HistoryCommit): boolean {
  return (
    info.operationParameters?.queryId === pipelineId ||
    actions.some(
      action =>
        'txn' in action &&
        (parseAppId(pipelineId, action.txn.appId) !== null || action.txn.appId === replaySeries(pipelineId)),
    )
  )
}

/** In-commit time, else what the writer noted; epoch milliseconds. */
export function commitTimeMs({ info }: HistoryCommit): number | null {
  return info.inCommitTimestamp ?? info.timestamp ?? null
}

/** Topic names by topic id, as the pipeline's commits tell them. Free-form metadata: what is not as expected is passed over. */
export function topicNamesOf({ info }: HistoryCommit): readonly (readonly [topicId: string, name: string])[] {
  const text = info.operationParameters?.topics
  if (typeof text !== 'string') return []
  let topics: unknown
  try {
    topics = parseJson(text)
  } catch {
    return []
  }
  if (typeof topics !== 'object' || topics === null) return []
  return Object.entries(topics).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
}

const INTEGER = /^-?\d{1,19}$/

/** A number of `operationMetrics`; null where it is not there, or is none. */
export function commitMetric({ info }: HistoryCommit, name: string): bigint | null {
  const text = String(info.operationMetrics?.[name] ?? '')
  return INTEGER.test(text) ? BigInt(text) : null
}
