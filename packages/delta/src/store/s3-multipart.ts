/**
 * Uploads of large objects in parts.
 *
 * @module
 */
import type { CompletedPart, CreateMultipartUploadCommandInput } from '@aws-sdk/client-s3'
import type { S3Sdk } from './s3-connection.ts'
import type { S3Action } from './s3-error.ts'

/** Parts of one object under way at once. */
const PARTS_IN_FLIGHT_MAX = 4

/** S3's limit. */
const PARTS_MAX = 10_000

export interface MultipartUpload {
  readonly sdk: S3Sdk
  /** Bucket, key, encryption and storage class. */
  readonly target: CreateMultipartUploadCommandInput
  readonly body: Uint8Array
  readonly partBytes: number
  readonly signal: AbortSignal | undefined
  /** Makes the error to throw from that of a request. */
  readonly explain: (error: unknown, action: S3Action) => unknown
}

/**
 * - `completed`: the object is there.
 * - `gone`: the server does not know the upload when it is to be completed. Either the answer to an earlier attempt was
 *   lost and the object is there, or somebody ended the upload.
 */
export type MultipartOutcome = 'completed' | 'gone'

/** Creates or replaces an object by its parts; on failure nothing is visible and the parts are given up. */
export async function uploadInParts(upload: MultipartUpload): Promise<MultipartOutcome> {
  const { sdk, target } = upload
  const { CreateMultipartUploadCommand, AbortMultipartUploadCommand } = sdk.s3
  const sendOptions = upload.signal ? { abortSignal: upload.signal } : {}
  const created = await sdk.client
    .send(new CreateMultipartUploadCommand({ ...target, ChecksumAlgorithm: 'CRC32' }), sendOptions)
    .catch((error: unknown) => {
      throw upload.explain(error, 'CreateMultipartUpload')
    })
  const uploadId = created.UploadId
  try {
    const parts = await sendParts(upload, uploadId)
    return await complete(upload, uploadId, parts)
  } catch (error) {
    // Without the caller's signal, which may be why we are here. Parts that stay are for the bucket's lifecycle rule
    // for incomplete uploads; the failure to report is the one that led here.
    await sdk.client
      .send(new AbortMultipartUploadCommand({ Bucket: target.Bucket, Key: target.Key, UploadId: uploadId }))
      .catch(() => undefined)
    throw error
  }
}

async function sendParts(upload: MultipartUpload, uploadId: string | undefined): Promise<CompletedPart[]> {
  const { body, sdk, target } = upload
  const partBytes = Math.max(upload.partBytes, Math.ceil(body.byteLength / PARTS_MAX))
  const partCount = Math.ceil(body.byteLength / partBytes)
  const parts: CompletedPart[] = new Array(partCount)
  const sendOptions = upload.signal ? { abortSignal: upload.signal } : {}
  let nextIndex = 0
  let hasFailed = false
  const sendInTurn = async (): Promise<void> => {
    while (nextIndex < partCount && !hasFailed) {
      const index = nextIndex++
      const command = new sdk.s3.UploadPartCommand({
        Bucket: target.Bucket,
        Key: target.Key,
        UploadId: uploadId,
        PartNumber: index + 1,
        Body: body.subarray(index * partBytes, (index + 1) * partBytes),
        ChecksumAlgorithm: 'CRC32',
      })
      const sent = await sdk.client.send(command, sendOptions).catch((error: unknown) => {
        hasFailed = true
        throw upload.explain(error, 'UploadPart')
      })
      parts[index] = {
        PartNumber: index + 1,
        ETag: sent.ETag,
        ...(sent.ChecksumCRC32 === undefined ? {} : { ChecksumCRC32: sent.ChecksumCRC32 }),
      }
    }
  }
  // All are awaited, the failed upload's too: a part that ends after the upload was given up would stay in the bucket.
  const inFlightCount = Math.min(PARTS_IN_FLIGHT_MAX, partCount)
  const settled = await Promise.allSettled(Array.from({ length: inFlightCount }, sendInTurn))
  const failed = settled.find(outcome => outcome.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  return parts
}

async function complete(
  upload: MultipartUpload,
  uploadId: string | undefined,
  parts: CompletedPart[],
): Promise<MultipartOutcome> {
  const { sdk, target } = upload
  const command = new sdk.s3.CompleteMultipartUploadCommand({
    Bucket: target.Bucket,
    Key: target.Key,
    UploadId: uploadId,
    MultipartUpload: { Parts: parts },
  })
  try {
    await sdk.client.send(command, upload.signal ? { abortSignal: upload.signal } : {})
    return 'completed'
  } catch (error) {
    if (error instanceof Error && error.name === 'NoSuchUpload') return 'gone'
    throw upload.explain(error, 'CompleteMultipartUpload')
  }
}
