/**
 * The pipeline that the benchmarks run: the generated user events, all eight fields and the four metadata columns.
 *
 * @module
 */
import { IngestConfig } from '../packages/stream-ingest/src/config/config.ts'

export interface BenchSettings {
  readonly kafka: string
  readonly topic: string
  /** Where the lake is: an S3 prefix, or a directory. */
  readonly lake: string
  readonly batchSize: number
  readonly compression: string
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
  return IngestConfig.parse(
    JSON.stringify({
      kafka: { bootstrap_servers: settings.kafka, topic: settings.topic, consumer_group: 'bench' },
      ...place,
      delta: {
        table_name: 'events',
        partition_columns: ['date'],
        schema: [
          { name: 'user_id', data_type: 'int64', nullable: false },
          { name: 'event_type', data_type: 'utf8', nullable: false },
          { name: 'timestamp', data_type: 'timestamp_millisecond', nullable: false },
          { name: 'session_id', data_type: 'utf8' },
          { name: 'page', data_type: 'utf8' },
          { name: 'amount', data_type: 'float64' },
          { name: 'quantity', data_type: 'int32' },
          { name: 'is_mobile', data_type: 'boolean' },
        ],
      },
      processing: { batch_size: settings.batchSize, compression_type: settings.compression },
    }),
  )
}
