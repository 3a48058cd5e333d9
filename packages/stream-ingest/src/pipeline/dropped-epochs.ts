/**
 * Epochs that were decoded in vain: how often in a row, how long to wait before the table is read again, and when to give
 * up.
 *
 * @module
 */
import type { Runtime } from '@stream-ingest/delta'
import type { EpochOutcome } from '../delta/table-writer.ts'
import { DeltaError, KafkaError } from '../error.ts'

export type DroppedOutcome = Exclude<EpochOutcome, { readonly status: 'committed' }>

/** Times in a row that another writer may change the table's schema so that rows have to be decoded anew. */
export const SCHEMA_CHANGED_IN_A_ROW_MAX = 10
const DELAY_STEP_MS = 50
const DELAY_STEPS_MAX = 20

export class DroppedEpochs {
  private readonly pipelineId: string
  private readonly tableUri: string
  private readonly fencedMax: number
  private fencedCount = 0
  private schemaChangedCount = 0

  /** @param fencedMax times in a row that another writer of the pipeline may be first */
  constructor(pipelineId: string, tableUri: string, fencedMax: number) {
    this.pipelineId = pipelineId
    this.tableUri = tableUri
    this.fencedMax = fencedMax
  }

  /** Something was committed, or is begun anew. */
  reset(): void {
    this.fencedCount = 0
    this.schemaChangedCount = 0
  }

  /** @throws KafkaError `PIPELINE_FENCED`, DeltaError `TABLE_SCHEMA_MISMATCH` where it happened too often */
  note(outcome: DroppedOutcome): void {
    if (outcome.status === 'fenced') this.fencedCount++
    else this.schemaChangedCount++
    if (this.fencedCount > this.fencedMax) {
      throw new KafkaError(
        'PIPELINE_FENCED',
        `another process commits to ${this.tableUri} as \`${this.pipelineId}\` and was first ${this.fencedCount} times in a row`,
      )
    }
    if (outcome.status === 'schema-changed' && this.schemaChangedCount > SCHEMA_CHANGED_IN_A_ROW_MAX) {
      throw new DeltaError(
        'TABLE_SCHEMA_MISMATCH',
        `the schema of ${this.tableUri} was changed ${this.schemaChangedCount} times in a row so that the messages did not fit: ${outcome.problems.join('; ')}`,
        { hint: 'declare the named columns in `delta.schema`, the same in all writers of the table' },
      )
    }
  }

  /** Lets one of two equal writers get ahead. */
  async wait(runtime: Runtime): Promise<void> {
    const steps = Math.min(this.fencedCount + this.schemaChangedCount, DELAY_STEPS_MAX)
    await runtime.delay(runtime.random() * DELAY_STEP_MS * steps)
  }
}
