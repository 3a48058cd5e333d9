/**
 * What is said of a record that does not fit.
 *
 * @module
 */
import type { PipelineConfig } from '../config/ingest-config.ts'
import { SerializationError } from '../error.ts'
import { publish } from '../observe/event.ts'
import type { BadRecord } from './epoch.ts'

/**
 * Tells whoever listens, and what is to be done by `processing.on_bad_record`.
 *
 * @param isOverLimit it is one more than may be skipped or quarantined
 */
export function rejectRecord(
  config: PipelineConfig,
  bad: BadRecord,
  isOverLimit: boolean,
): PipelineConfig['processing']['onBadRecord'] {
  const { topic, partition } = bad.topicPartition
  const action = isOverLimit ? 'stop' : config.processing.onBadRecord
  publish('record:rejected', {
    pipeline: config.name,
    topic,
    partition,
    offset: bad.offset,
    ...bad.reason,
    action,
  })
  return action
}

/** The error that ends a run at a bad record, everything before it being in the table. */
export function badRecordError(config: PipelineConfig, bad: BadRecord, tableUri: string): SerializationError {
  const { topic, partition } = bad.topicPartition
  const { code, path, column, message } = bad.reason
  return new SerializationError(code, `${topic}[${partition}]@${bad.offset} ${path}: ${message}`, {
    context: { pipeline: config.name, topic, partition, offset: bad.offset, column, table: tableUri },
    hint: `nothing from ${topic}[${partition}]@${bad.offset} on is in the table and a restart resumes there: correct \`delta.schema\` or the producer, or set \`processing.on_bad_record: quarantine\` or \`processing.on_bad_record: skip\``,
  })
}
