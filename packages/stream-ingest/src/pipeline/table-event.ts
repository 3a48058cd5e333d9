/**
 * What a table tells of itself when a pipeline starts: freshness is known before the first commit of the process, too.
 *
 * @module
 */
import type { DeltaTable } from '@stream-ingest/delta'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { hasListeners, publish } from '../observe/event.ts'
import { commitMetric, commitsBackFrom, isCommitOf } from './commit-history.ts'

/** Commits that are read, from the newest back, to find a row of the pipeline: those without rows and other writers' are passed. */
export const COMMITS_READ_MAX = 17

/** Reads commits, where somebody listens. Never throws: what cannot be read is not known. */
export async function publishTableOpened(config: PipelineConfig, table: DeltaTable): Promise<void> {
  if (!hasListeners('table:opened')) return
  const { version, checkpointVersion, fileTotals } = table.state
  const newestRecordMs = await newestRecordOf(config.pipelineId, table).catch(() => null)
  const fileCount = fileTotals?.numFiles ?? null
  publish('table:opened', { pipeline: config.name, version, checkpointVersion, fileCount, newestRecordMs })
}

async function newestRecordOf(pipelineId: string, { store, state }: DeltaTable): Promise<number | null> {
  for await (const commit of commitsBackFrom(store, state.version, COMMITS_READ_MAX)) {
    if (!isCommitOf(pipelineId, commit)) continue
    const newestRecordMs = commitMetric(commit, 'newestRecordTimestampMs')
    if (newestRecordMs !== null) return Number(newestRecordMs)
  }
  return null
}
