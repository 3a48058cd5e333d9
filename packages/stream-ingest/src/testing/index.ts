/**
 * `stream-ingest/testing`: a Kafka broker in the process, and messages to fill it with.
 *
 * @module
 */
export type { CompressionCodec } from '../kafka/compression.ts'
export type { EncodableRecord } from '../kafka/record-batch-encoder.ts'
export type { Schedule } from './api.ts'
export type { Rejection } from './client-connection.ts'
export type { CommittedOffset } from './cluster.ts'
export { EmbeddedBroker, type EmbeddedBrokerOptions, type TopicSpec } from './embedded-broker.ts'
export { EmbeddedProducer, type ProduceOptions } from './embedded-producer.ts'
export type { Fault, FaultPlace } from './fault.ts'
export {
  type ColumnSummary,
  type GeneratedMessage,
  type GeneratorOptions,
  generateMessages,
  type MessageSummary,
  MessageSummaryBuilder,
} from './generate-messages.ts'
export { KILL_POINTS, type KillPlan, type KillPoint, killingStore, parseKillPlan } from './kill-point.ts'
export {
  MemoryKafka,
  type MemorySourceCall,
  type MemorySourceOptions,
} from './memory-source.ts'
export {
  API_KEYS,
  type ApiName,
  PROTOCOL_ERRORS,
  type ProtocolErrorCode,
  type ProtocolErrorName,
} from './protocol-error.ts'
export type { BatchDamage, StoredBatch, StoredBatchHeader } from './stored-batch.ts'
