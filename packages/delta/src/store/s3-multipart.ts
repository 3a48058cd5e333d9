/**
 * Uploads of large objects in parts.
 *
 * @module
 */
import type { CompletedPart, CreateMultipartUploadCommandInput } from '@aws-sdk/client-s3'
import { DeltaLakeError } from '../error.ts'
import type { S3Sdk } from './s3-connection.ts'
import { httpStatusOf, type S3Action } from './s3-error.ts'

/** Parts of one object under way at once. */
const PARTS_IN_FLIGHT_MAX = 4

/** S3's limit. */
const PARTS_MAX = 10_000

export interface MultipartUpload {
  readonly sdk: S3Sdk
  /** Bucket, key, encryption and storage class. */
  readonly target: CreateMultipartUploadCommandInput
  /** Of one size each, but the last one. */
  readonly parts: AsyncIterable<Uint8Array>
  /** Complete it only where there is no such object. */
  readonly ifAbsent: boolean
  readonly signal: AbortSignal | undefined
  /** Makes the error to throw from that of a request. */
  readonly explain: (error: unknown, action: S3Action) => unknown
}

/**
 * - `completed`: the object is there.
 * - `exists`: it was there before.
 * - `gone`: the server does not know the upload when it is to be completed. Either the answer to an earlier attempt was
 *   lost and the object is there, or somebody ended the upload.
 * - `unknown`: no definite answer to the completion.
 */
export type MultipartOutcome =
  | { readonly status: 'completed' | 'exists' | 'gone' }
  | { readonly status: 'unknown'; readonly cause: unknown }

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
  // Without the caller's signal, which may be why it is given up. Parts that stay are for the bucket's lifecycle rule for
  // incomplete uploads; the failure to report is the one that led here.
  const giveUp = async (): Promise<void> => {
    await sdk.client
      .send(new AbortMultipartUploadCommand({ Bucket: target.Bucket, Key: target.Key, UploadId: uploadId }))
      .catch(() => undefined)
  }
  try {
    const parts = await sendParts(upload, uploadId)
    const outcome = await complete(upload, uploadId, parts)
    if (outcome.status === 'exists' || outcome.status === 'unknown') await giveUp()
    return outcome
  } catch (error) {
    await giveUp()
    throw error
  }
}

async function sendParts(upload: MultipartUpload, uploadId: string | undefined): Promise<CompletedPart[]> {
  const { sdk, target } = upload
  const sent: CompletedPart[] = []
  const sendOptions = upload.signal ? { abortSignal: upload.signal } : {}
  const bodies = numbered(upload.parts)
  let hasFailed = false
  const sendInTurn = async (): Promise<void> => {
    while (!hasFailed) {
      const next = await bodies.next()
      if (next.done === true) return
      const { number, body } = next.value
      const command = new sdk.s3.UploadPartCommand({
        Bucket: target.Bucket,
        Key: target.Key,
        UploadId: uploadId,
        PartNumber: number,
        Body: body,
        ChecksumAlgorithm: 'CRC32',
      })
      const answer = await sdk.client.send(command, sendOptions).catch((error: unknown) => {
        throw upload.explain(error, 'UploadPart')
      })
      sent[number - 1] = {
        PartNumber: number,
        ETag: answer.ETag,
        ...(answer.ChecksumCRC32 === undefined ? {} : { ChecksumCRC32: answer.ChecksumCRC32 }),
      }
    }
  }
  const sendOrStop = async (): Promise<void> => {
    try {
      await sendInTurn()
    } catch (error) {
      hasFailed = true
      throw error
    }
  }
  // All are awaited, the failed upload's too: a part that ends after the upload was given up would stay in the bucket.
  const settled = await Promise.allSettled(Array.from({ length: PARTS_IN_FLIGHT_MAX }, sendOrStop))
  const failed = settled.find(outcome => outcome.status === 'rejected')
  if (failed === undefined) return sent
  // The source may have more.
  await bodies.return(undefined)
  throw failed.reason
}

/** From 1. Senders that ask at once are answered one after the other, as generators do. */
async function* numbered(
  bodies: AsyncIterable<Uint8Array>,
): AsyncGenerator<{ number: number; body: Uint8Array }, undefined> {
  let number = 0
  for await (const body of bodies) {
    if (number === PARTS_MAX) {
      throw new DeltaLakeError(
        'STORE_REQUEST_FAILED',
        `an object has at most ${PARTS_MAX} parts of an upload`,
      )
    }
    yield { number: ++number, body }
  }
}

async function complete(
  upload: MultipartUpload,
  uploadId: string | undefined,
  parts: CompletedPart[],
): Promise<MultipartOutcome> {
  const { sdk, target, ifAbsent } = upload
  const command = new sdk.s3.CompleteMultipartUploadCommand({
    Bucket: target.Bucket,
    Key: target.Key,
    UploadId: uploadId,
    MultipartUpload: { Parts: parts },
    ...(ifAbsent ? { IfNoneMatch: '*' } : {}),
  })
  try {
    await sdk.client.send(command, upload.signal ? { abortSignal: upload.signal } : {})
    return { status: 'completed' }
  } catch (error) {
    if (error instanceof Error && error.name === 'NoSuchUpload') return { status: 'gone' }
    const status = httpStatusOf(error)
    if (ifAbsent && status === 412) return { status: 'exists' }
    const cause = upload.explain(error, 'CompleteMultipartUpload')
    if (ifAbsent && (status === 409 || (cause instanceof DeltaLakeError && cause.retryable))) {
      return { status: 'unknown', cause }
    }
    throw cause
  }
}

/** The body in parts of `partBytes`, the last of which may be smaller. */
export async function* partsOf(body: Uint8Array, partBytes: number): AsyncGenerator<Uint8Array> {
  const sizeBytes = Math.max(partBytes, Math.ceil(body.byteLength / PARTS_MAX))
  for (let at = 0; at < body.byteLength; at += sizeBytes) yield body.subarray(at, at + sizeBytes)
}

/** The pieces in parts of `partBytes`, the last of which may be smaller. Each is a buffer of its own. */
export async function* regroup(
  pieces: AsyncIterable<Uint8Array>,
  partBytes: number,
): AsyncGenerator<Uint8Array> {
  let part = new Uint8Array(partBytes)
  let filled = 0
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const taken = piece.subarray(at, at + partBytes - filled)
      part.set(taken, filled)
      at += taken.length
      filled += taken.length
      if (filled < partBytes) continue
      yield part
      part = new Uint8Array(partBytes)
      filled = 0
    }
  }
  if (filled > 0) yield part.subarray(0, filled)
}
