/**
 * From the `s3:` (or `local:`) section to the object store that it means, rooted where the tables' folders are.
 *
 * @module
 */
import {
  type ObjectStore,
  openStore,
  type S3ConnectionOptions,
  S3ObjectStore,
  type S3StoreOptions,
} from '@stream-ingest/delta'
import type { ProcessingConfig, S3Config } from '../config/ingest-config.ts'

/**
 * Makes no request. `processing.max_retries` bounds how often the S3 client repeats a request; a pipeline that fails all
 * the same starts again from its table, as often.
 *
 * @param onRetry told of each request that the S3 client repeats
 */
export function openLakeStore(
  config: S3Config,
  processing: Pick<ProcessingConfig, 'maxRetries'>,
  onRetry?: S3ConnectionOptions['onRetry'],
): ObjectStore {
  return config.kind === 'local'
    ? openStore(config.path)
    : new S3ObjectStore({ ...s3StoreOptions(config, processing), onRetry })
}

/** What the section says, in the words of the store. */
export function s3StoreOptions(
  config: S3Config & { readonly kind: 's3' },
  processing: Pick<ProcessingConfig, 'maxRetries'>,
): S3StoreOptions {
  const { credentials } = config
  return {
    bucket: config.bucket,
    prefix: config.prefix,
    region: config.region,
    endpoint: config.endpoint,
    forcePathStyle: config.forcePathStyle,
    credentials:
      credentials?.accessKeyId === undefined || credentials.secretAccessKey === undefined
        ? undefined
        : {
            accessKeyId: credentials.accessKeyId,
            secretAccessKey: credentials.secretAccessKey.reveal(),
            ...(credentials.sessionToken === undefined
              ? {}
              : { sessionToken: credentials.sessionToken.reveal() }),
          },
    roleArn: credentials?.roleArn,
    attemptsMax: processing.maxRetries + 1,
    serverSideEncryption: config.serverSideEncryption,
    kmsKeyId: config.kmsKeyId,
    storageClass: config.storageClass,
  }
}
