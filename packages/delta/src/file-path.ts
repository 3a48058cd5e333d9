/**
 * Object keys and the paths that stand for them in the log.
 *
 * PROTOCOL.md › Add File, RFC 2396. Two layers: a partition value is Hive-escaped into a directory name, and the key is
 * percent-encoded into `add.path`. Readers decode exactly once. Keys made here have characters that neither layer
 * touches, so key and path are the same text; the truth about partitions is `add.partitionValues` anyway.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { posix } from 'node:path'
import { DeltaLakeError } from './error.ts'
import type { ParquetCodec } from './parquet/parquet-encoder.ts'

/** The directory of a null partition value. */
export const HIVE_NULL_PARTITION = '__HIVE_DEFAULT_PARTITION__'

/** Longer directory names are replaced by a hash: S3 keys end at 1,024 bytes, names on disks at 255. */
const DIRECTORY_MAX_CHARACTERS = 100
const SAFE_COMPONENT = /^[A-Za-z0-9][A-Za-z0-9._=-]*$/
const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*:/

/** Control characters, and `" # % ' * / : = ? \ { [ ] ^` with DEL. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is escaped
const HIVE_UNSAFE = /[\x00-\x1f"#%'*/:=?\\{[\]^\x7f]/g
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is escaped
const URI_UNSAFE = /[\x00-\x20"#%<>?[\\\]^`{|}\x7f]/g

/**
 * The key of a new data file, never used before: `date=2026-11-22/part-00000-<uuid>.snappy.parquet`.
 *
 * @param uuid random; it alone makes the name unique
 * @param partitionValues in the order of the table's partition columns; only for people who look at the bucket
 */
export function formatDataFileKey(
  uuid: string,
  codec: ParquetCodec,
  partitionValues: Readonly<Record<string, string | null>> = {},
): string {
  assert(SAFE_COMPONENT.test(uuid))
  const directories = Object.entries(partitionValues).map(([name, value]) => `${directoryName(name, value)}/`)
  const suffix = codec === 'none' ? '' : `.${codec}`
  return `${directories.join('')}part-00000-${uuid}${suffix}.parquet`
}

/** A directory name with only safe characters; a value that has others, or looks hidden, becomes a hash. */
function directoryName(column: string, value: string | null): string {
  const name = `${column}=${value ?? HIVE_NULL_PARTITION}`
  if (name.length <= DIRECTORY_MAX_CHARACTERS && SAFE_COMPONENT.test(name)) return name
  return `p-${createHash('sha256').update(name).digest('hex').slice(0, 16)}`
}

/** Escapes a partition column or value for a directory name, as Hive does. */
export function escapeHive(text: string): string {
  return text.replace(HIVE_UNSAFE, percentByte)
}

/** Encodes a key as `add.path`; non-ASCII characters stay as they are. */
export function encodeFilePath(key: string): string {
  return key.replace(URI_UNSAFE, percentByte)
}

/**
 * Decodes `add.path` once.
 *
 * @throws DeltaLakeError `DELTA_LOG_CORRUPT` for escapes that are no UTF-8
 */
export function decodeFilePath(path: string): string {
  if (!path.includes('%')) return path
  try {
    return decodeURIComponent(path)
  } catch (cause) {
    throw new DeltaLakeError('DELTA_LOG_CORRUPT', `the file path \`${path}\` has broken percent-encoding`, {
      cause,
    })
  }
}

/** Where a file of the log is: under the table's root, or somewhere else (shallow clones, converted tables). */
export type FileLocation =
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'foreign'; readonly uri: string }

/**
 * Finds the object of an `add.path`.
 *
 * @param tableUri `ObjectStore.uri` of the table's root
 * @throws DeltaLakeError `DELTA_LOG_CORRUPT` for broken encoding or a path that leaves the root with `..`
 */
export function locateFile(path: string, tableUri: string): FileLocation {
  if (!SCHEME.test(path) && !path.startsWith('/')) {
    const key = decodeFilePath(path).replace(/^(?:\.\/)+/, '')
    if (key.split('/').includes('..')) {
      throw new DeltaLakeError('DELTA_LOG_CORRUPT', `the file path \`${path}\` leaves the table's folder`)
    }
    return { kind: 'key', key }
  }
  const uri = canonicalUri(decodeFilePath(path))
  const root = `${canonicalUri(decodeFilePath(tableUri))}/`
  if (uri.startsWith(root) && !uri.split('/').includes('..'))
    return { kind: 'key', key: uri.slice(root.length) }
  return { kind: 'foreign', uri: path }
}

/**
 * Every key below the table's root that a path of the log may mean: decoded once, as the protocol has it, and as it
 * stands, since some writers named their objects so. For those who must not touch any file of the table.
 *
 * @returns besides the keys, texts that are no key of this table: they meet no object
 * @throws DeltaLakeError `DELTA_LOG_CORRUPT` for a path that leaves the root with `..`
 */
export function possibleKeys(path: string, tableUri: string): ReadonlySet<string> {
  // Escaped once more, decoding gives the path as it stands; a path with broken escapes can only be meant so.
  const verbatim = path.replaceAll('%', '%25')
  const spellings = isDecodable(path) ? [path, verbatim] : [verbatim]
  const root = `${tableUri}/`
  const keys = new Set([path.startsWith(root) ? path.slice(root.length) : path])
  for (const spelling of spellings) {
    const location = locateFile(spelling, tableUri)
    if (location.kind === 'foreign') continue
    keys.add(location.key)
    // File systems take `a//b` and `a/./b` for `a/b`.
    keys.add(posix.normalize(location.key))
  }
  return keys
}

function isDecodable(path: string): boolean {
  try {
    decodeURIComponent(path)
    return true
  } catch {
    return false
  }
}

/** One spelling for the ways in which engines write the same place. */
function canonicalUri(uri: string): string {
  if (uri.startsWith('/')) return `file://${uri}`
  if (uri.startsWith('file:/')) return `file://${uri.slice('file:'.length).replace(/^\/+/, '/')}`
  return uri.replace(/^s3[an]:/, 's3:')
}

function percentByte(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}
