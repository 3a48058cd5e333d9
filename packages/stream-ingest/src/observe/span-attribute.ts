/**
 * What spans and their attributes are called: one place, for OpenTelemetry's conventions for messaging are still in
 * development.
 *
 * Semantic Conventions › Messaging spans, › Kafka.
 *
 * @module
 */
export const SPAN_ATTRIBUTES = {
  system: 'messaging.system',
  operationName: 'messaging.operation.name',
  operationType: 'messaging.operation.type',
  topic: 'messaging.destination.name',
  partition: 'messaging.destination.partition.id',
  consumerGroup: 'messaging.consumer.group.name',
  messageCount: 'messaging.batch.message_count',
  errorType: 'error.type',
  pipeline: 'stream_ingest.pipeline',
  table: 'stream_ingest.table.uri',
  version: 'stream_ingest.table.version',
  rowCount: 'stream_ingest.commit.rows',
  fileCount: 'stream_ingest.commit.files',
  sizeBytes: 'stream_ingest.commit.bytes',
  attemptCount: 'stream_ingest.commit.attempts',
  flushReason: 'stream_ingest.flush.reason',
} as const

export function receiveSpanName(topic: string): string {
  return `receive ${topic}`
}

export function processSpanName(topic: string): string {
  return `process ${topic}`
}

/** By the table's folder: a name of few values. */
export function commitSpanName(tableUri: string): string {
  return `commit ${tableUri.split('/').at(-1) ?? tableUri}`
}
