/**
 * The status of many pipelines, a few at a time, none of which hides another by its failure.
 *
 * @module
 */
import type { ObjectStore, Runtime } from '@stream-ingest/delta'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { tablePath } from '../config/table-path.ts'
import { StreamIngestError } from '../error.ts'
import type { MessageSource } from '../kafka/message-source.ts'
import { type PipelineStatus, readPipelineStatus, unaskedStatus } from './pipeline-status.ts'
import { RECONCILED_COMMITS_MAX, type Reconciliation, reconcile } from './reconciliation.ts'

/** Pipelines that are asked about at the same time: each has connections of its own. */
export const PIPELINES_AT_ONCE = 16

export interface StatusReport {
  readonly status: PipelineStatus
  /** Null where it was not asked for, or cannot be had. */
  readonly reconciliation: Reconciliation | null
}

export interface StatusReportOptions {
  /** Add up what became of the messages behind every commit that the log holds. */
  readonly reconcile?: boolean
  /** Aborted: gives up connections and ends with what is known. */
  readonly signal?: AbortSignal
}

/** What belongs to one pipeline. */
export interface OpenedParts {
  /** Rooted at the table. */
  readonly store: ObjectStore
  readonly source: MessageSource
  close(): Promise<void>
}

/**
 * Asks for each pipeline; in their order. Never throws for an operational failure: the status's `errors` tell.
 *
 * @param open opens nothing but what it closes
 */
export async function readStatusReports(
  pipelines: readonly PipelineConfig[],
  open: (config: PipelineConfig) => OpenedParts,
  runtime: Runtime,
  options: StatusReportOptions,
): Promise<StatusReport[]> {
  const reports: StatusReport[] = []
  const queue = pipelines.entries()
  const work = async (): Promise<void> => {
    for (const [index, config] of queue) reports[index] = await readReport(config, open, runtime, options)
  }
  await Promise.all(Array.from({ length: Math.min(PIPELINES_AT_ONCE, pipelines.length) }, work))
  return reports
}

async function readReport(
  config: PipelineConfig,
  open: (config: PipelineConfig) => OpenedParts,
  runtime: Runtime,
  options: StatusReportOptions,
): Promise<StatusReport> {
  let parts: OpenedParts
  try {
    parts = open(config)
  } catch (thrown) {
    const table = tablePath(config.s3, config.delta.tableName)
    return {
      status: unaskedStatus(config.name, table, StreamIngestError.from(thrown)),
      reconciliation: null,
    }
  }
  const { signal } = options
  const { store, source } = parts
  try {
    const context = { store, source, runtime, ...(signal === undefined ? {} : { signal }) }
    const status = await readPipelineStatus(config, context)
    if (options.reconcile !== true || status.version === null) return { status, reconciliation: null }
    try {
      const { version } = status
      const sums = await reconcile(config.pipelineId, store, version, RECONCILED_COMMITS_MAX, signal)
      return { status, reconciliation: sums }
    } catch (thrown) {
      const errors = [...status.errors, StreamIngestError.from(thrown)]
      return { status: { ...status, errors }, reconciliation: null }
    }
  } finally {
    await parts.close()
  }
}
