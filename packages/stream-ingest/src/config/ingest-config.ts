/**
 * The configuration as the code sees it: camelCase, defaults filled in, secrets resolved, sizes in bytes, times in ms.
 *
 * @module
 */
import type { DataType, ParquetCodec, StructType } from '@stream-ingest/delta'
import type { DecodeField } from './decode-field.ts'
import type { Secret } from './secret.ts'

export { Secret } from './secret.ts'

export interface SaslConfig {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512' | 'aws_msk_iam' | 'oauthbearer'
  readonly username?: string
  readonly password?: Secret
  readonly region?: string
  readonly tokenEndpoint?: string
  readonly clientId?: string
  readonly clientSecret?: Secret
  readonly scope?: string
}

/** PEM texts. */
export interface SslConfig {
  readonly ca?: string
  readonly cert?: string
  readonly key?: Secret
  readonly keyPassphrase?: Secret
  readonly serverName?: string
  readonly rejectUnauthorized: boolean
}

export interface KafkaConfig {
  readonly bootstrapServers: readonly string[]
  readonly topics: readonly string[]
  readonly consumerGroup: string
  readonly autoOffsetReset: 'earliest' | 'latest' | 'none' | { readonly timestampMs: number }
  readonly onOffsetOutOfRange: 'fail' | 'earliest' | 'latest'
  readonly assignment: 'all' | 'group' | { readonly partitions: readonly number[] }
  readonly isolationLevel: 'read_committed' | 'read_uncommitted'
  readonly securityProtocol: 'plaintext' | 'ssl' | 'sasl_plaintext' | 'sasl_ssl'
  readonly sasl?: SaslConfig
  readonly ssl?: SslConfig
  readonly clientId: string
  readonly fetchMinBytes: number
  readonly fetchMaxBytes: number
  readonly fetchMaxPartitionBytes: number
  readonly fetchMaxWaitMs: number
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly requestTimeoutMs: number
}

/** Where tables live: a bucket, or a directory (`local:` in place of `s3:`). */
export type S3Config =
  | {
      readonly kind: 's3'
      readonly bucket: string
      readonly region: string
      readonly prefix: string
      readonly endpoint?: string
      readonly forcePathStyle: boolean
      readonly credentials?: {
        readonly accessKeyId?: string
        readonly secretAccessKey?: Secret
        readonly sessionToken?: Secret
        readonly roleArn?: string
      }
      readonly serverSideEncryption?: 'AES256' | 'aws:kms'
      readonly kmsKeyId?: string
      readonly storageClass?: string
      readonly createBucket: boolean
    }
  | { readonly kind: 'local'; readonly path: string }

export type DeriveUnit = 'date' | 'hour' | 'year' | 'month' | 'day'

/** A column computed from an instant, in UTC. `from` is a dotted payload path or `kafka.timestamp`. */
export interface DerivedColumn {
  readonly name: string
  readonly from: string
  readonly as: DeriveUnit
}

export const KAFKA_METADATA_COLUMNS = ['topic', 'partition', 'offset', 'timestamp', 'key', 'headers'] as const
export type KafkaMetadataField = (typeof KAFKA_METADATA_COLUMNS)[number]

/** A declared column, as `IngestConfig.getSchemaFields` gives it. */
export interface SchemaField {
  readonly name: string
  /** The type in the table. */
  readonly dataType: DataType
  readonly nullable: boolean
  /** Kept with the column in the table; left out where there is none. */
  readonly metadata?: Readonly<Record<string, string>>
}

export interface DeltaConfig {
  readonly tableName: string
  readonly writeMode: 'append' | 'overwrite' | 'error_if_exists'
  /** The declared fields as Delta types, without partition or metadata columns that are only derived; null where absent. */
  readonly schema: StructType | null
  /** One for each field of `schema`, in its order: what decoding needs to know of it. Empty where `schema` is null. */
  readonly fields: readonly DecodeField[]
  readonly partitionColumns: readonly string[]
  readonly derive: readonly DerivedColumn[]
  /** Field to column name, in the order of {@link KAFKA_METADATA_COLUMNS}. */
  readonly metadataColumns: ReadonlyMap<KafkaMetadataField, string>
  readonly mergeSchema: boolean
  readonly createTable: boolean
  readonly tableProperties: Readonly<Record<string, string>>
  readonly checkpointInterval?: number
  readonly targetFileSizeBytes: number
  readonly optimize?: { readonly everyMs: number; readonly minFiles: number }
  /** Without `retentionMs` the table's property decides. */
  readonly vacuum?: { readonly everyMs: number; readonly retentionMs?: number }
}

export interface ProcessingConfig {
  /** Most messages in one commit. */
  readonly batchSize: number
  readonly batchTimeoutMs: number
  readonly memoryLimitBytes: number
  readonly maxRetries: number
  readonly retryBaseDelayMs: number
  readonly retryMaxDelayMs: number
  readonly compression: ParquetCodec
  readonly compressionLevel?: number
  readonly onBadRecord: 'stop' | 'skip' | 'quarantine'
  /** Most bad records of one run that are skipped or quarantined. */
  readonly maxBadRecords?: number
  /** Largest share of them among the records of a run, in [0, 1]. */
  readonly maxBadRatio?: number
  readonly onNullValue: 'skip' | 'row' | 'bad'
  readonly valueFormat: 'json' | 'avro' | 'protobuf' | 'raw'
  readonly runtimeLimitMs?: number
  readonly workers?: number
  readonly dryRun: boolean
}

/** Ages of the newest row of a table that is behind; without one, none is too old. */
export interface FreshnessConfig {
  readonly warnAfterMs?: number
  readonly errorAfterMs?: number
}

/** One topic-to-table flow. `name` is the pipeline id of the offsets in the table: `consumer_group`, or `group.name` of several. */
export interface PipelineConfig {
  readonly name: string
  readonly pipelineId: string
  readonly kafka: KafkaConfig
  readonly s3: S3Config
  readonly delta: DeltaConfig
  readonly processing: ProcessingConfig
  readonly freshness?: FreshnessConfig
}
