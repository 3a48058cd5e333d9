/**
 * What every check of a pipeline is given.
 *
 * @module
 */
import type { Runtime, TableState } from '@stream-ingest/delta'
import type { PipelineConfig } from '../config/ingest-config.ts'
import type { TableLayout } from '../config/table-layout.ts'
import type { Fetch } from '../kafka/sasl.ts'

export interface CheckContext {
  readonly pipeline: PipelineConfig
  readonly runtime: Runtime
  /** Of one request; a check of several has a few times that. */
  readonly timeoutMs: number
  /** Requests to token endpoints, and the one that asks the store for the time. */
  readonly fetchUrl: Fetch
}

/** What the checks of the table found for those of the topic. */
export interface TableFindings {
  /** Null where there is no table yet. */
  readonly state: TableState | null
  /** Null where messages cannot be decoded, which is said already. */
  readonly layout: TableLayout | null
}
