/**
 * The pipeline that the benchmarks run: the columns of a shape and the four metadata columns, partitioned by the day of
 * the record's time unless said otherwise.
 *
 * @module
 */
import { IngestConfig } from 'stream-ingest'
import { type Column, declaredType } from './shapes/shape.ts'

export interface BenchSettings {
  readonly kafka: string
  readonly topic: string
  readonly columns: readonly Column[]
  /** Default: `date`, of the record's time. */
  readonly partitionColumns?: readonly string[]
  /** Where the lake is: an S3 prefix, or a directory. */
  readonly lake: string
  readonly batchSize: number
  readonly compression: string
  /** As `processing.memory_limit` has it, e.g. `128MiB`. */
  readonly memoryLimit?: string
  /** As `processing.workers` has it. */
  readonly workers?: number
}

/** S3 settings come from the environment that the dev stack sets. */
export function benchConfig(settings: BenchSettings): IngestConfig {
  const { SI_TEST_S3_ENDPOINT, SI_TEST_S3_ACCESS_KEY, SI_TEST_S3_SECRET_KEY, SI_TEST_S3_BUCKET } = process.env
  const place =
    SI_TEST_S3_ENDPOINT === undefined
      ? { local: { path: settings.lake } }
      : {
          s3: {
            bucket: SI_TEST_S3_BUCKET,
            region: 'us-east-1',
            prefix: settings.lake,
            endpoint: SI_TEST_S3_ENDPOINT,
            force_path_style: true,
            credentials: {
              access_key_id: SI_TEST_S3_ACCESS_KEY,
              secret_access_key: SI_TEST_S3_SECRET_KEY,
            },
          },
        }
  const { memoryLimit, workers } = settings
  return IngestConfig.parse(
    JSON.stringify({
      kafka: { bootstrap_servers: settings.kafka, topic: settings.topic, consumer_group: 'bench' },
      ...place,
      delta: {
        table_name: 'events',
        partition_columns: settings.partitionColumns ?? ['date'],
        schema: settings.columns.map(({ name, type, required = false }) => ({
          name,
          data_type: declaredType(type),
          nullable: !required,
        })),
      },
      processing: {
        batch_size: settings.batchSize,
        compression_type: settings.compression,
        ...(memoryLimit === undefined ? {} : { memory_limit: memoryLimit }),
        ...(workers === undefined ? {} : { workers }),
      },
    }),
  )
}
