/**
 * The configuration of one process: the same topic and table for all, the rest as planned.
 *
 * @module
 */
import type { WriterPlan } from './plan.ts'

export const TOPIC = 'chaos'
export const TABLE = 'events'

/** @param storage the section `s3` or `local`, in flow style */
export function writerConfig(plan: WriterPlan, bootstrapServers: string, storage: string): string {
  return `kafka:
  bootstrap_servers: "${bootstrapServers}"
  topic: ${TOPIC}
  consumer_group: chaos
  fetch_max_wait_ms: 100
  fetch_max_partition_bytes: ${plan.fetchMaxPartitionBytes}
${storage}
delta:
  table_name: ${TABLE}
  partition_columns: [day]
  derive: { day: { from: at, as: date } }
  metadata_columns: [partition, offset]
  checkpoint_interval: ${plan.checkpointInterval}
  schema:
    - { name: id, data_type: int64, nullable: false }
    - { name: kind, data_type: utf8, nullable: false }
    - { name: at, data_type: timestamp_millisecond, nullable: false }
processing:
  batch_size: ${plan.batchSize}
  batch_timeout_ms: ${plan.batchTimeoutMs}
  compression_type: ${plan.compression}
  workers: ${plan.workers}
`
}
