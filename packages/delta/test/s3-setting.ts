/**
 * An S3 store on a server in the process, and the faults that tests give it.
 *
 * @module
 */
import { S3ObjectStore, type S3StoreOptions } from '../src/store/s3.ts'
import { type FakeS3Fault, type FakeS3Options, type FakeS3Request, FakeS3Server } from './fake-s3-server.ts'

export const MIB = 1024 * 1024
export const credentials = { accessKeyId: 'access', secretAccessKey: 'secret' }

export function connect(endpoint: string, options: Partial<S3StoreOptions> = {}): S3ObjectStore {
  return new S3ObjectStore({
    bucket: 'lake',
    region: 'us-east-1',
    endpoint,
    forcePathStyle: true,
    credentials,
    attemptsMax: 2,
    multipartThresholdBytes: 6 * MIB,
    partBytes: 5 * MIB,
    ...options,
  })
}

export const body = Buffer.from('body')

export interface Setting {
  readonly fake: FakeS3Server
  readonly store: S3ObjectStore
}

export async function withServer(
  options: FakeS3Options & { store?: Partial<S3StoreOptions> },
  run: (setting: Setting) => Promise<void>,
): Promise<void> {
  const fake = await FakeS3Server.start(options)
  const store = connect(fake.endpoint, options.store)
  try {
    await run({ fake, store })
  } finally {
    await store.close()
    await fake.close()
  }
}

export async function keysOf(store: S3ObjectStore): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of store.list('')) keys.push(key)
  return keys
}

/** The fault meets the first `times` requests of an action. */
export function failing(action: string, fault: FakeS3Fault, times = Number.POSITIVE_INFINITY) {
  let left = times
  return (request: FakeS3Request) => (request.action === action && left-- > 0 ? fault : undefined)
}

export function answering(action: string, status: number, code: string, more: object = {}) {
  return failing(action, { kind: 'answer', status, code, ...more })
}
