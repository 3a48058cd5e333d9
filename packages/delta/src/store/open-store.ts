/**
 * From what people write for a place to the store that it means.
 *
 * @module
 */
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DeltaLakeError } from '../error.ts'
import { LocalObjectStore, type LocalStoreOptions } from './local.ts'
import { MemoryObjectStore, type MemoryStoreOptions } from './memory.ts'
import type { ObjectStore } from './object-store.ts'
import { S3ObjectStore, type S3StoreOptions } from './s3.ts'

export interface OpenStoreOptions {
  /** What relative paths are taken from. Default: the process's working directory. */
  readonly workingDirectory?: string
  readonly local?: LocalStoreOptions
  readonly memory?: Omit<MemoryStoreOptions, 'name'>
  readonly s3?: Omit<S3StoreOptions, 'bucket' | 'prefix'>
}

/** Two letters at least, so that the drive of a Windows path is none. */
const SCHEME = /^([A-Za-z][A-Za-z0-9+.-]+):/

/** S3's rules for names, with the older ones that allowed `_` and capitals. */
const BUCKET_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/

/**
 * The store rooted at a path, a `file:///path`, an `s3://bucket/prefix` or a `memory:name` (a new, empty one). Makes no
 * request. Throws `STORE_URI_INVALID`.
 */
export function openStore(uri: string, options: OpenStoreOptions = {}): ObjectStore {
  const scheme = SCHEME.exec(uri)?.[1]?.toLowerCase()
  switch (scheme) {
    case undefined:
      if (uri === '') throw invalid(uri, 'is empty')
      return new LocalObjectStore(resolve(options.workingDirectory ?? '', uri), options.local)
    case 'file':
      return new LocalObjectStore(filePath(uri), options.local)
    case 's3':
      return openS3(uri, options)
    case 'memory':
      return new MemoryObjectStore({ ...options.memory, name: uri.slice('memory:'.length) })
    case 's3a':
    case 's3n':
      throw invalid(uri, `has the scheme \`${scheme}\` of Hadoop`, `write \`s3${uri.slice(scheme.length)}\``)
    default:
      throw invalid(uri, `has the unknown scheme \`${scheme}\``)
  }
}

function openS3(uri: string, options: OpenStoreOptions): ObjectStore {
  const rest = uri.slice('s3:'.length)
  if (!rest.startsWith('//')) throw invalid(uri, 'has no `//` after `s3:`')
  // Keys are raw: nothing is percent-decoded, `?` and `#` are characters like any other.
  const [, , bucket = '', ...segments] = rest.split('/')
  if (!BUCKET_NAME.test(bucket)) throw invalid(uri, `names no bucket: \`${bucket}\``)
  return new S3ObjectStore({ ...options.s3, bucket, prefix: segments.join('/') })
}

function filePath(uri: string): string {
  try {
    return fileURLToPath(uri)
  } catch (cause) {
    throw invalid(uri, 'is no address of a local file', 'write `file:///path`', cause)
  }
}

function invalid(uri: string, problem: string, hint?: string, cause?: unknown): DeltaLakeError {
  // An address may hold a password before its host.
  const shown = uri.replace(/\/\/[^/@]*@/, '//[secret]@')
  return new DeltaLakeError('STORE_URI_INVALID', `the location \`${shown}\` ${problem}`, {
    ...(hint === undefined ? {} : { hint }),
    context: { uri: shown },
    cause,
  })
}
