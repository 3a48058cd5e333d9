/**
 * The store of a pipeline's table, for those who look at the table without running the pipeline.
 *
 * @module
 */
import type { ObjectStore } from '@stream-ingest/delta'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { quarantineTableName } from '../delta/quarantine-schema.ts'
import { openLakeStore } from '../s3/lake-store.ts'

export { quarantineTableName }

/** Rooted at the quarantine of the table. Makes no request. */
export function openQuarantineStore({ s3, processing, delta }: PipelineConfig): ObjectStore {
  return openLakeStore(s3, processing).at(quarantineTableName(delta.tableName))
}

/** Rooted at the table. Makes no request. */
export function openTableStore(pipeline: PipelineConfig): ObjectStore {
  return openLakeStore(pipeline.s3, pipeline.processing).at(pipeline.delta.tableName)
}
