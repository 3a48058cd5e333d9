/**
 * Compaction and removal of old files by a schedule of their own: a drain is over before either would be due, and a trigger
 * writes many small files.
 *
 * @module
 */
import type { ObjectStore, Runtime } from '@stream-ingest/delta'
import type { IngestConfig } from '../config/config.ts'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { type CareCounts, TableCare } from '../pipeline/table-care.ts'
import { openTableStore } from '../pipeline/table-store.ts'
import { choosePipelines } from './choose-pipelines.ts'
import type { CareOptions } from './event.ts'

export interface CareContext {
  readonly runtime: Runtime
  readonly stop: AbortSignal
  /** In place of S3 or the local directory; rooted where the tables' folders are. */
  readonly createStore?: (config: PipelineConfig) => ObjectStore
}

export interface CareResult {
  readonly success: true
  /** False where the time was over first; what was committed until then stands: invoke again. */
  readonly finished: boolean
  readonly tables: readonly {
    readonly table: string
    readonly optimize?: CareCounts
    readonly vacuum?: CareCounts
  }[]
}

/**
 * One round for each table.
 *
 * @throws LambdaError `LAMBDA_EVENT`; DeltaLakeError, such as `DELTA_TABLE_NOT_FOUND`; what the store throws
 */
export async function care(
  config: IngestConfig,
  { operations, pipelines }: CareOptions,
  { runtime, stop, createStore }: CareContext,
): Promise<CareResult> {
  const tables: Record<string, { table: string; optimize?: CareCounts; vacuum?: CareCounts }> = {}
  for (const pipeline of choosePipelines(config, pipelines)) {
    const store = createStore?.(pipeline).at(pipeline.delta.tableName) ?? openTableStore(pipeline)
    // Several pipelines may write one table.
    if (store.uri in tables) continue
    const done: (typeof tables)[string] = { table: store.uri }
    tables[store.uri] = done
    try {
      const table = new TableCare(pipeline, store, runtime)
      for (const operation of operations) done[operation] = await table.perform(operation, stop)
    } catch (error) {
      if (!stop.aborted) throw error
      return { success: true, finished: false, tables: Object.values(tables) }
    } finally {
      await store.close()
    }
  }
  return { success: true, finished: true, tables: Object.values(tables) }
}
