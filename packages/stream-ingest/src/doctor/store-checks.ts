/**
 * The store: each right that a pipeline needs, by using it, and the promise that commits stand on.
 *
 * Everything is done below the folder for scratch of the table, under names that nobody else has.
 *
 * @module
 */
import { type ObjectStore, proveConditionalPut, S3ObjectStore } from '@stream-ingest/delta'
import type { S3Config } from '../config/ingest-config.ts'
import { S3Error, StreamIngestError } from '../error.ts'
import { s3StoreOptions } from '../s3/lake-store.ts'
import type { CheckContext } from './check-context.ts'
import type { Checkup, Found } from './checkup.ts'

/** Of the table: hidden from readers and from VACUUM. */
export const SCRATCH_FOLDER = '_stream_ingest'
/** A request and one repetition, with time to spare for the second. */
const STEPS_MAX = 3
/** The proof makes some hundreds of requests. */
const PROOF_STEPS_MAX = 12
/** Of one request: a check is told a failure that stays, not one that passes. */
const RETRIES_MAX = 1

type BucketConfig = S3Config & { readonly kind: 's3' }

/** The bucket, with little patience. Makes no request. */
export function openImpatientStore(config: BucketConfig, timeoutMs: number): ObjectStore {
  return new S3ObjectStore({
    ...s3StoreOptions(config, { maxRetries: RETRIES_MAX }),
    connectTimeoutMs: timeoutMs,
    idleTimeoutMs: timeoutMs,
    requestTimeoutMs: timeoutMs,
  })
}

/** The SDK's name of an answer that did not come in time. */
const TIMED_OUT = 'TimeoutError'

/** Codes after which no other request can do better. */
const OUT_OF_REACH: ReadonlySet<string> = new Set([
  'STORE_UNAVAILABLE',
  'STORE_CREDENTIALS',
  'STORE_REGION',
  'STORE_BUCKET_NOT_FOUND',
  'S3_PATH_STYLE',
  'CHECK_TIMEOUT',
])

export interface StoreCheckOptions {
  /** Put, delete and race. */
  readonly writes: boolean
  /** New for each call, of letters, digits and `-`: part of the keys that are written. */
  readonly scratchName: string
}

/** Can the table be read at all? `empty`: there is no bucket yet, and the first run creates it. */
export type Reach = 'reachable' | 'empty' | 'unreachable'

/** @param store rooted at the table */
export async function checkStore(
  checkup: Checkup,
  context: CheckContext,
  store: ObjectStore,
  { writes, scratchName }: StoreCheckOptions,
): Promise<Reach> {
  const timeout = { timeoutMs: STEPS_MAX * context.timeoutMs }
  const listed = await checkup.run('list', signal => list(context, store, signal), timeout)
  const failure = listed === null ? (checkup.checks.at(-1)?.code ?? '') : ''
  if (OUT_OF_REACH.has(failure)) {
    checkup.skip('put, get, delete and conditional put', 'the store cannot be reached')
    return 'unreachable'
  }
  if (listed?.value === 'no bucket') {
    checkup.skip('put, get, delete and conditional put', 'there is no bucket yet')
    return 'empty'
  }
  if (writes) await checkObject(checkup, context, store, scratchName)
  else checkup.skip('put, delete and conditional put', 'nothing is to be written')
  return 'reachable'
}

async function list(
  { pipeline, timeoutMs }: CheckContext,
  store: ObjectStore,
  signal: AbortSignal,
): Promise<Found<'bucket' | 'no bucket'>> {
  const { s3 } = pipeline
  try {
    for await (const _ of store.list('', { signal })) break
    return { value: 'bucket', message: store.uri }
  } catch (thrown) {
    const error = StreamIngestError.from(thrown)
    if (s3.kind !== 's3') throw error
    if (error.code === 'STORE_BUCKET_NOT_FOUND' && s3.createBucket) {
      return { value: 'no bucket', message: 'no bucket yet: the first run creates it' }
    }
    // Who does not answer at all does not answer to another address either.
    if (error.context.s3Code !== TIMED_OUT && (await wantsPathStyle(s3, timeoutMs, signal))) {
      throw new S3Error(
        'S3_PATH_STYLE',
        `the server at \`${s3.endpoint}\` does not know its buckets by host name: ${error.message}`,
        { cause: thrown },
      )
    }
    throw error
  }
}

/** Asks the same with the bucket in the path. */
async function wantsPathStyle(
  config: BucketConfig,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  if (config.endpoint === undefined || config.forcePathStyle) return false
  const store = openImpatientStore({ ...config, forcePathStyle: true }, timeoutMs)
  try {
    for await (const _ of store.list('', { signal })) break
    return true
  } catch {
    return false
  } finally {
    await store.close()
  }
}

/** One object, from its birth to its end; then many. */
async function checkObject(
  checkup: Checkup,
  context: CheckContext,
  store: ObjectStore,
  scratchName: string,
): Promise<void> {
  const { pipeline, runtime, timeoutMs } = context
  const timeout = { timeoutMs: STEPS_MAX * timeoutMs }
  const scratch = store.at(SCRATCH_FOLDER)
  // What a doctor that died left is removed with the scratch of other proofs.
  const key = `probe-doctor-${scratchName}`
  const body = Buffer.from(`written by stream-ingest doctor at ${new Date(runtime.now()).toISOString()}\n`)
  const put = await checkup.run(
    'put',
    async signal => {
      await scratch.put(key, body, { signal })
      return { value: true }
    },
    timeout,
  )
  await checkup.run(
    'get',
    async signal => {
      const [stored, info] = await Promise.all([scratch.get(key, { signal }), scratch.head(key, { signal })])
      if (put === null) return { value: true, message: 'of a key that does not exist' }
      if (stored === null || info === null) throw vanished(store.uri, key)
      const isSame = info.sizeBytes === body.length && Buffer.compare(stored, body) === 0
      if (!isSame) throw vanished(store.uri, key)
      return { value: true }
    },
    timeout,
  )
  if (put === null) {
    checkup.skip('delete and conditional put', 'nothing can be written')
    return
  }
  await checkup.run(
    'delete',
    async signal => {
      await scratch.delete([key], { signal })
      return { value: true }
    },
    // Commits need none; VACUUM and the cleanup of the log do.
    { ...timeout, isOptional: pipeline.delta.vacuum === undefined },
  )
  await checkup.run(
    'conditional put',
    async signal => {
      await proveConditionalPut(store, { random: () => scratchName, signal })
      return { value: true, message: 'one of several writers is told `created`, also in races' }
    },
    { timeoutMs: PROOF_STEPS_MAX * timeoutMs },
  )
}

function vanished(uri: string, key: string): S3Error {
  return new S3Error('S3_FAILED', `\`${uri}\` took the object \`${key}\` and does not give it back`, {
    hint: 'use a store that is consistent: what was written must be read',
  })
}
