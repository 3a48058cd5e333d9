/**
 * An object store in a bucket of S3, or of a server that speaks its protocol.
 *
 * The SDK repeats a request that got no answer or 5xx. Hence a conditional put that this store reports as `exists` may be
 * its own earlier attempt (Delta protocol notes: a lost 200 followed by 412).
 *
 * @module
 */
import assert from 'node:assert/strict'
import type {
  ListObjectsV2CommandOutput,
  PutObjectCommandInput,
  ServerSideEncryption,
  StorageClass,
} from '@aws-sdk/client-s3'
import { DeltaLakeError } from '../error.ts'
import { checkKey, checkPrefix, compareKeys, joinKey, normalizeRoot } from './object-key.ts'
import type {
  ByteRange,
  ListOptions,
  ObjectBody,
  ObjectInfo,
  ObjectStore,
  PutIfAbsentResult,
  RequestOptions,
} from './object-store.ts'
import { S3Connection, type S3ConnectionOptions, type S3Sdk } from './s3-connection.ts'
import { explainS3Error, httpStatusOf, type S3Action, s3CodeOf } from './s3-error.ts'
import { type MultipartOutcome, partsOf, regroup, uploadInParts } from './s3-multipart.ts'

/** Larger objects go up in parts: a part that fails is cheap to repeat. */
const MULTIPART_THRESHOLD_BYTES_DEFAULT = 64 * 1024 * 1024
const PART_BYTES_DEFAULT = 16 * 1024 * 1024

/** S3's smallest part other than the last. */
const PART_BYTES_MIN = 5 * 1024 * 1024

/** S3's limit per DeleteObjects. */
const DELETE_BATCH_SIZE = 1000

export interface S3StoreOptions extends S3ConnectionOptions {
  readonly bucket: string
  /** Root of the store within the bucket. Default: the bucket. */
  readonly prefix?: string | undefined
  readonly serverSideEncryption?: 'AES256' | 'aws:kms' | 'aws:kms:dsse' | undefined
  readonly kmsKeyId?: string | undefined
  readonly storageClass?: string | undefined
  /** Objects above this size go up in parts. Default 64 MiB. */
  readonly multipartThresholdBytes?: number | undefined
  /** At least 5 MiB. Default 16 MiB. */
  readonly partBytes?: number | undefined
}

export class S3ObjectStore implements ObjectStore {
  readonly uri: string
  readonly endpoint?: string
  readonly #options: S3StoreOptions
  readonly #prefix: string
  readonly #connection: S3Connection
  /** Shared with `at`: the bucket has answered, so a missing object is not a missing bucket. */
  readonly #seen: { bucket: boolean }

  /** Makes no request; `connection` is shared by stores that came from one another. */
  constructor(options: S3StoreOptions, connection?: S3Connection, seen?: { bucket: boolean }) {
    assert(options.bucket !== '', 'a bucket has a name')
    assert((options.partBytes ?? PART_BYTES_DEFAULT) >= PART_BYTES_MIN, 'a part has at least 5 MiB')
    this.#options = options
    this.#prefix = normalizeRoot(options.prefix ?? '')
    this.#connection = connection ?? new S3Connection(options)
    this.#seen = seen ?? { bucket: false }
    this.uri = `s3://${joinKey(options.bucket, this.#prefix)}`.replace(/\/$/, '')
    if (options.endpoint !== undefined) this.endpoint = options.endpoint
  }

  async get(
    key: string,
    options: RequestOptions & { readonly range?: ByteRange } = {},
  ): Promise<Uint8Array | null> {
    const path = this.#path(key)
    const { range } = options
    if (range) {
      assert(range.startByte >= 0 && range.startByte <= range.endByte, 'byte range runs backwards')
      // HTTP has no way to write an empty range.
      if (range.startByte === range.endByte) {
        return (await this.head(key, options)) === null ? null : new Uint8Array(0)
      }
    }
    try {
      return await this.#send(options, async ({ s3, client }, sendOptions) => {
        const input = { Bucket: this.#options.bucket, Key: path, ...(range && { Range: formatRange(range) }) }
        const output = await client.send(new s3.GetObjectCommand(input), sendOptions)
        const body = (await output.Body?.transformToByteArray()) ?? new Uint8Array(0)
        // A server may ignore the range and send everything.
        const isWhole = range !== undefined && output.ContentRange === undefined
        return isWhole ? body.subarray(range.startByte, range.endByte) : body
      })
    } catch (error) {
      if (httpStatusOf(error) === 416) return new Uint8Array(0)
      if (await this.#isMissingObject(error, options)) return null
      throw this.#explain(error, 'GetObject', path, options)
    }
  }

  async head(key: string, options: RequestOptions = {}): Promise<ObjectInfo | null> {
    const path = this.#path(key)
    try {
      return await this.#send(options, async ({ s3, client }, sendOptions) => {
        const input = { Bucket: this.#options.bucket, Key: path }
        const output = await client.send(new s3.HeadObjectCommand(input), sendOptions)
        return {
          key,
          sizeBytes: output.ContentLength ?? 0,
          lastModifiedMs: output.LastModified?.getTime() ?? 0,
        }
      })
    } catch (error) {
      if (await this.#isMissingObject(error, options)) return null
      throw this.#explain(error, 'HeadObject', path, options)
    }
  }

  async put(key: string, body: Uint8Array, options: RequestOptions = {}): Promise<void> {
    const path = this.#path(key)
    if (body.byteLength > (this.#options.multipartThresholdBytes ?? MULTIPART_THRESHOLD_BYTES_DEFAULT)) {
      return this.#putInParts(key, path, body, options)
    }
    try {
      await this.#send(options, ({ s3, client }, sendOptions) =>
        client.send(new s3.PutObjectCommand({ ...this.#putInput(path), Body: body }), sendOptions),
      )
    } catch (error) {
      throw this.#explain(error, 'PutObject', path, options)
    }
  }

  async putIfAbsent(key: string, body: ObjectBody, options: RequestOptions = {}): Promise<PutIfAbsentResult> {
    const path = this.#path(key)
    if (!(body instanceof Uint8Array)) return this.#putPiecesIfAbsent(key, path, body, options)
    try {
      await this.#send(options, ({ s3, client }, sendOptions) => {
        const input = { ...this.#putInput(path), Body: body, IfNoneMatch: '*' }
        return client.send(new s3.PutObjectCommand(input), sendOptions)
      })
      return { status: 'created' }
    } catch (error) {
      return this.#judgeConditionalPut(error, path, options)
    }
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    checkPrefix(prefix)
    const root = this.#prefix === '' ? '' : `${this.#prefix}/`
    let previous = options.startAfter ?? ''
    let token: string | undefined
    do {
      const page = await this.#listPage(root, prefix, token, options)
      for (const object of page.Contents ?? []) {
        const path = decodeListed(object.Key ?? '', page.EncodingType)
        // Consoles make empty objects that end in `/` to show a folder.
        if (path.endsWith('/')) continue
        const key = path.slice(root.length)
        const order = compareKeys(key, previous)
        if (order < 0 && previous !== options.startAfter) throw this.#unordered(previous, key)
        if (order <= 0) continue
        previous = key
        yield { key, sizeBytes: object.Size ?? 0, lastModifiedMs: object.LastModified?.getTime() ?? 0 }
      }
      token = nextPage(page, this.uri)
    } while (token !== undefined)
  }

  async delete(keys: readonly string[], options: RequestOptions = {}): Promise<void> {
    const paths = keys.map(key => this.#path(key))
    for (let start = 0; start < paths.length; start += DELETE_BATCH_SIZE) {
      await this.#deleteBatch(paths.slice(start, start + DELETE_BATCH_SIZE), options)
    }
  }

  at(prefix: string): ObjectStore {
    const root = normalizeRoot(prefix)
    if (root === '') return this
    const options = { ...this.#options, prefix: joinKey(this.#prefix, root) }
    return new S3ObjectStore(options, this.#connection, this.#seen)
  }

  async close(): Promise<void> {
    await this.#connection.close()
  }

  #path(key: string): string {
    checkKey(key)
    return joinKey(this.#prefix, key)
  }

  #putInput(path: string): PutObjectCommandInput {
    const { bucket, serverSideEncryption, kmsKeyId, storageClass } = this.#options
    return {
      Bucket: bucket,
      Key: path,
      ...(serverSideEncryption && { ServerSideEncryption: serverSideEncryption as ServerSideEncryption }),
      ...(kmsKeyId && { SSEKMSKeyId: kmsKeyId }),
      ...(storageClass && { StorageClass: storageClass as StorageClass }),
    }
  }

  async #send<T>(
    options: RequestOptions,
    request: (sdk: S3Sdk, sendOptions: { abortSignal?: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    options.signal?.throwIfAborted()
    const result = await request(
      await this.#connection.open(),
      options.signal ? { abortSignal: options.signal } : {},
    )
    this.#seen.bucket = true
    return result
  }

  #explain(error: unknown, action: S3Action, key: string | undefined, options: RequestOptions): unknown {
    if (options.signal?.aborted === true) return options.signal.reason
    const { bucket } = this.#options
    const { endpoint, region } = this.#connection
    return explainS3Error(error, { action, bucket, key, endpoint, region })
  }

  /** Whether a request failed because there is no such object. Throws where it is the bucket that is missing. */
  async #isMissingObject(error: unknown, options: RequestOptions): Promise<boolean> {
    if (httpStatusOf(error) !== 404) return false
    const code = s3CodeOf(error)
    if (code === 'NoSuchKey') this.#seen.bucket = true
    if (code === 'NoSuchBucket') return false
    if (this.#seen.bucket) return true
    // The answer to a HEAD has no body that could tell what is missing.
    try {
      await this.#send(options, ({ s3, client }, sendOptions) =>
        client.send(new s3.HeadBucketCommand({ Bucket: this.#options.bucket }), sendOptions),
      )
    } catch (bucketError) {
      if (httpStatusOf(bucketError) === 404) {
        throw new DeltaLakeError(
          'STORE_BUCKET_NOT_FOUND',
          `the bucket \`${this.#options.bucket}\` does not exist`,
          {
            context: { bucket: this.#options.bucket, endpoint: this.endpoint },
            cause: bucketError,
          },
        )
      }
      // Whoever may not ask for the bucket still learns that the object is not there.
      if (httpStatusOf(bucketError) !== 403) {
        throw this.#explain(bucketError, 'HeadBucket', undefined, options)
      }
    }
    return true
  }

  /** Delta protocol notes §7.1: what an answer other than 200 says about a conditional create. */
  #judgeConditionalPut(error: unknown, path: string, options: RequestOptions): PutIfAbsentResult {
    const status = httpStatusOf(error)
    // 304 is what old MinIO servers answer.
    if (status === 412 || status === 304) return { status: 'exists' }
    const explained = this.#explain(error, 'PutObject', path, options)
    if (!(explained instanceof DeltaLakeError)) throw explained
    if (status === 409) return { status: 'unknown', cause: explained }
    if (status === 501 || s3CodeOf(error) === 'NotImplemented') {
      throw new DeltaLakeError(
        'STORE_NOT_ATOMIC',
        `the server of \`${this.uri}\` does not implement \`PutObject\` with \`If-None-Match: *\` (\`${path}\`)`,
        { context: explained.context, cause: error },
      )
    }
    const isOpen = explained.code === 'STORE_UNAVAILABLE' || explained.code === 'STORE_THROTTLED'
    if (isOpen && explained.retryable) return { status: 'unknown', cause: explained }
    throw explained
  }

  async #putInParts(key: string, path: string, body: Uint8Array, options: RequestOptions): Promise<void> {
    const { status } = await this.#upload(path, partsOf(body, this.#partBytes), false, options)
    if (status === 'completed') return
    // The SDK repeated a completion whose answer was lost, or the upload was ended by somebody else: the bytes tell.
    const stored = await this.get(key, options)
    if (stored !== null && Buffer.compare(stored, body) === 0) return
    throw this.#endedEarly(path)
  }

  /** Small bodies go as one, whatever they came in. */
  async #putPiecesIfAbsent(
    key: string,
    path: string,
    pieces: AsyncIterable<Uint8Array>,
    options: RequestOptions,
  ): Promise<PutIfAbsentResult> {
    const parts = regroup(pieces, this.#partBytes)
    const first = await parts.next()
    if (first.done === true) return this.putIfAbsent(key, new Uint8Array(0), options)
    if (first.value.length < this.#partBytes) {
      // The last one: the source ends behind it.
      await parts.next()
      return this.putIfAbsent(key, first.value, options)
    }
    const all = async function* (): AsyncGenerator<Uint8Array> {
      yield first.value
      yield* parts
    }
    const outcome = await this.#upload(path, all(), true, options)
    switch (outcome.status) {
      case 'completed':
        return { status: 'created' }
      case 'gone':
        // Perhaps by an earlier attempt of ours.
        if ((await this.head(key, options)) !== null) return { status: 'exists' }
        throw this.#endedEarly(path)
      default:
        return outcome as PutIfAbsentResult
    }
  }

  get #partBytes(): number {
    return this.#options.partBytes ?? PART_BYTES_DEFAULT
  }

  #upload(
    path: string,
    parts: AsyncIterable<Uint8Array>,
    ifAbsent: boolean,
    options: RequestOptions,
  ): Promise<MultipartOutcome> {
    return this.#send(options, sdk =>
      uploadInParts({
        sdk,
        target: this.#putInput(path),
        parts,
        ifAbsent,
        signal: options.signal,
        explain: (error, action) => this.#explain(error, action, path, options),
      }),
    )
  }

  #endedEarly(path: string): DeltaLakeError {
    return new DeltaLakeError(
      'STORE_REQUEST_FAILED',
      `the multipart upload of \`${path}\` to \`${this.uri}\` ended before it was completed`,
      {
        retryable: true,
        hint: 'write again; check that no lifecycle rule ends uploads this young',
        context: { key: path },
      },
    )
  }

  async #listPage(
    root: string,
    prefix: string,
    token: string | undefined,
    options: ListOptions,
  ): Promise<ListObjectsV2CommandOutput> {
    try {
      return await this.#send(options, ({ s3, client }, sendOptions) => {
        const command = new s3.ListObjectsV2Command({
          Bucket: this.#options.bucket,
          Prefix: root + prefix,
          EncodingType: 'url',
          ...(options.startAfter !== undefined && { StartAfter: root + options.startAfter }),
          ...(options.shallow === true && { Delimiter: '/' }),
          ...(token !== undefined && { ContinuationToken: token }),
        })
        return client.send(command, sendOptions)
      })
    } catch (error) {
      throw this.#explain(error, 'ListObjectsV2', root + prefix, options)
    }
  }

  /** Log replay stands on the order: better no answer than a log that seems to have gaps. */
  #unordered(previous: string, key: string): DeltaLakeError {
    return new DeltaLakeError(
      'STORE_REQUEST_FAILED',
      `\`${this.uri}\` lists \`${key}\` after \`${previous}\`: not in the order of the keys' bytes`,
      { hint: 'use a bucket type that lists in lexicographic order', context: { previous, key } },
    )
  }

  async #deleteBatch(paths: readonly string[], options: RequestOptions): Promise<void> {
    const { bucket } = this.#options
    const output = await this.#send(options, ({ s3, client }, sendOptions) => {
      const objects = paths.map(path => ({ Key: path }))
      const input = { Bucket: bucket, Delete: { Objects: objects, Quiet: true } }
      return client.send(new s3.DeleteObjectsCommand(input), sendOptions)
    }).catch((error: unknown) => {
      throw this.#explain(error, 'DeleteObjects', paths[0], options)
    })
    const failed = (output.Errors ?? []).filter(({ Code }) => Code !== 'NoSuchKey')
    const first = failed[0]
    if (first === undefined) return
    // An error in the answer's list looks like one of a request, so that one table judges both.
    const cause = Object.assign(new Error(`${first.Message} (${failed.length} keys of ${paths.length})`), {
      Code: first.Code,
      $metadata: first.Code === 'AccessDenied' ? { httpStatusCode: 403 } : {},
    })
    throw this.#explain(cause, 'DeleteObjects', first.Key, options)
  }
}

/** A listing cut short without a word would look like missing commits. */
function nextPage(page: ListObjectsV2CommandOutput, uri: string): string | undefined {
  if (page.IsTruncated !== true) return undefined
  if (page.NextContinuationToken !== undefined) return page.NextContinuationToken
  throw new DeltaLakeError(
    'STORE_REQUEST_FAILED',
    `\`${uri}\` cuts a listing short and does not say where it goes on`,
  )
}

function formatRange(range: ByteRange): string {
  const isOpen = !Number.isSafeInteger(range.endByte)
  return `bytes=${range.startByte}-${isOpen ? '' : range.endByte - 1}`
}

/** Undoes `encoding-type=url`, by which names that XML cannot hold are listed: a form's encoding, `+` for a space. */
function decodeListed(key: string, encodingType: string | undefined): string {
  return encodingType === 'url' ? decodeURIComponent(key.replaceAll('+', ' ')) : key
}
