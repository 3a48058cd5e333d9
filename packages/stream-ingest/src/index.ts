/**
 * `stream-ingest`: Kafka topics into Delta Lake tables, exactly once.
 *
 * {@link IngestConfig} and {@link StreamIngestProcessor} are the whole product in two lines; the other classes are its
 * parts, for programs that do some of the work themselves. Importing this loads neither the AWS SDK nor `apache-arrow`:
 * they are loaded by the first call that needs them.
 *
 * @module
 */

// What a program needs of the Delta core to look at the tables it writes, to test itself, and to extend the product.
export {
  type Action,
  type Add,
  type ByteRange,
  type DataType,
  type DeltaErrorCode,
  DeltaLakeError,
  DeltaTable,
  type ListOptions,
  LocalObjectStore,
  loadSnapshot,
  MemoryObjectStore,
  type Metadata,
  type ObjectInfo,
  type ObjectStore,
  openStore,
  type ParquetCodec,
  type Protocol,
  type PutIfAbsentResult,
  type RequestOptions,
  type Runtime,
  S3ObjectStore,
  type S3StoreOptions,
  type ScanOptions,
  Snapshot,
  type StructField,
  type StructType,
  scanTable,
  systemRuntime,
  type TableRow,
  type TableState,
  type VacuumOptions,
  type VacuumResult,
  vacuumTable,
} from '@stream-ingest/delta'
export { localMain } from './cli/local-main.ts'
export { type ConfigOptions, IngestConfig } from './config/config.ts'
export { formatDiagnostics } from './config/diagnostic-format.ts'
export {
  type DeltaConfig,
  type DerivedColumn,
  type DeriveUnit,
  KAFKA_METADATA_COLUMNS,
  type KafkaConfig,
  type KafkaMetadataField,
  type PipelineConfig,
  type ProcessingConfig,
  type S3Config,
  type SaslConfig,
  type SchemaField,
  Secret,
  type SslConfig,
} from './config/ingest-config.ts'
export type { Environment } from './config/interpolation.ts'
export type { BadRecordReason } from './decode/decoder.ts'
export {
  ConfigError,
  DeltaError,
  type Diagnostic,
  ERROR_KINDS,
  ERRORS,
  type ErrorCode,
  type ErrorDefinition,
  type ErrorKind,
  type ErrorOptions,
  EXIT_CODES,
  GenericError,
  IoError,
  KafkaError,
  LambdaError,
  RETRY_BASE_DELAY_MS,
  RETRY_MAX_DELAY_MS,
  S3Error,
  SerializationError,
  StreamIngestError,
} from './error.ts'
export {
  type ConsumeOptions,
  KafkaConsumerClient,
  type KafkaConsumerOptions,
  type KafkaHealth,
  type KafkaMetrics,
} from './kafka/kafka-consumer-client.ts'
export {
  extractPartitionValues,
  type KafkaMessage,
  MessageBatch,
  parseJsonMessage,
} from './kafka/message-batch.ts'
export type {
  MessageSource,
  OffsetLoss,
  ReadBudget,
  SourceChunk,
  StartPosition,
  TopicPartition,
} from './kafka/message-source.ts'
export type { PartitionDescription, TopicDescription } from './kafka/topic-description.ts'
export {
  createHandler,
  type DrainResult,
  type HandlerOptions,
  type KafkaEventResponse,
  type LambdaContext,
  type LambdaHandler,
  lambdaHandler,
} from './lambda/index.ts'
export {
  FLUSH_REASONS,
  type FlushReason,
  type IngestEventName,
  type IngestEvents,
  type MessageCounts,
  type OffsetRange,
  type StoreOperation,
  subscribe,
} from './observe/event.ts'
export { traceEvents } from './observe/trace.ts'
export { convertToArrowBatch, createArrowSchema } from './pipeline/arrow-batch.ts'
export type { OffsetGap } from './pipeline/batch-trim.ts'
export {
  DeltaWriter,
  type DeltaWriterHealth,
  type DeltaWriterOptions,
  type WriteResult,
} from './pipeline/delta-writer.ts'
export type { HealthReport, PartHealth } from './pipeline/health-check.ts'
export type { IngestMetrics, StageTimes } from './pipeline/ingest-metrics.ts'
export type {
  ActiveCommit,
  OffsetChange,
  OffsetMove,
  OffsetMoveOptions,
  OffsetTarget,
} from './pipeline/offset-move.ts'
export type { PartitionProgress, PipelineResult, RunOptions } from './pipeline/pipeline.ts'
export type { PartitionStatus, PipelineStatus } from './pipeline/pipeline-status.ts'
export type { Reconciliation } from './pipeline/reconciliation.ts'
export type { StatusReport, StatusReportOptions } from './pipeline/status-report.ts'
export {
  type PipelineFailure,
  type ProcessingResult,
  type ProcessorOptions,
  StreamIngestProcessor,
} from './pipeline/stream-ingest-processor.ts'
export type { TableMetrics } from './pipeline/table-metrics.ts'
export type { TapOptions, TappedMessage, TappedMessages } from './pipeline/tap.ts'
export { S3Client, type S3ClientOptions, type S3Health } from './s3/s3-client.ts'
