/**
 * Makes the place that a store is rooted in: a bucket, or a directory. Stores never do it by themselves.
 *
 * @module
 */

import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { BucketLocationConstraint } from '@aws-sdk/client-s3'
import { makeDirectory } from './local.ts'
import { explainLocalError } from './local-error.ts'
import { S3Connection, type S3ConnectionOptions } from './s3-connection.ts'
import { explainS3Error, s3CodeOf } from './s3-error.ts'

/** The region whose name S3 refuses to be told: it is the one without a constraint. */
const REGION_WITHOUT_CONSTRAINT = 'us-east-1'

/**
 * What S3 answers where the name is taken. Whether the bucket is ours shows at the first request on it; some servers say
 * the second of their own buckets.
 */
const TAKEN = new Set(['BucketAlreadyOwnedByYou', 'BucketAlreadyExists'])

/**
 * Creates a bucket in the connection's region, with the account's defaults.
 *
 * @returns `exists` where the name is taken, by whomever
 * @throws DeltaLakeError `STORE_ACCESS_DENIED`, `STORE_CREDENTIALS`, `STORE_REGION`, `STORE_UNAVAILABLE`…
 */
export async function createBucket(
  options: S3ConnectionOptions & { readonly bucket: string },
): Promise<'created' | 'exists'> {
  const { bucket } = options
  const connection = new S3Connection(options)
  try {
    const { s3, client } = await connection.open()
    const region = await client.config.region()
    const constraint = region as BucketLocationConstraint
    await client.send(
      new s3.CreateBucketCommand({
        Bucket: bucket,
        ...(region === REGION_WITHOUT_CONSTRAINT
          ? {}
          : { CreateBucketConfiguration: { LocationConstraint: constraint } }),
      }),
    )
    return 'created'
  } catch (error) {
    if (TAKEN.has(s3CodeOf(error))) return 'exists'
    const { endpoint, region } = connection
    throw explainS3Error(error, { action: 'CreateBucket', bucket, endpoint, region })
  } finally {
    await connection.close()
  }
}

/**
 * Creates a directory and those above it where they are missing, durable, and makes sure that it can be written to.
 *
 * @throws DeltaLakeError `STORE_ACCESS_DENIED`, `STORE_NO_SPACE`, `STORE_KEY_INVALID` where a file has its name
 */
export async function createDirectory(path: string): Promise<void> {
  const directory = resolve(path)
  try {
    await makeDirectory(directory)
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    throw explainLocalError(error, 'create', directory)
  }
}
