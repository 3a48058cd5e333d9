/**
 * Names in `_delta_log`.
 *
 *     commit                _delta_log/%020d.json
 *     classic checkpoint    _delta_log/%020d.checkpoint.parquet
 *     multi-part checkpoint _delta_log/%020d.checkpoint.%010d.%010d.parquet     part from 1, parts
 *     V2 checkpoint         _delta_log/%020d.checkpoint.<uuid>.(json|parquet)
 *     compacted commits     _delta_log/%020d.%020d.compacted.json
 *     version checksum      _delta_log/%020d.crc
 *     pointer               _delta_log/_last_checkpoint
 *     sidecar               _delta_log/_sidecars/<unique>.parquet
 *
 * PROTOCOL.md › Delta Table Specification, File Types.
 *
 * @module
 */
import assert from 'node:assert/strict'

export const LOG_PREFIX = '_delta_log/'
export const LAST_CHECKPOINT_PATH = '_delta_log/_last_checkpoint'
export const SIDECAR_PREFIX = '_delta_log/_sidecars/'

export type LogPath =
  | { readonly kind: 'commit'; readonly version: number }
  | { readonly kind: 'checksum'; readonly version: number }
  | { readonly kind: 'classic-checkpoint'; readonly version: number }
  | {
      readonly kind: 'checkpoint-part'
      readonly version: number
      readonly part: number
      readonly partCount: number
    }
  | {
      readonly kind: 'v2-checkpoint'
      readonly version: number
      readonly uuid: string
      readonly format: 'json' | 'parquet'
    }
  | { readonly kind: 'compacted'; readonly version: number; readonly endVersion: number }

const UUID = '[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}'
const COMMIT = /^(\d{20})\.json$/
const CHECKSUM = /^(\d{20})\.crc$/
const CLASSIC = /^(\d{20})\.checkpoint\.parquet$/
const PART = /^(\d{20})\.checkpoint\.(\d{10})\.(\d{10})\.parquet$/
const V2 = new RegExp(`^(\\d{20})\\.checkpoint\\.(${UUID})\\.(json|parquet)$`)
const COMPACTED = /^(\d{20})\.(\d{20})\.compacted\.json$/

/**
 * What a key in the log folder is.
 *
 * @returns null for a stray file, the pointer, and anything in a folder below
 */
export function parseLogPath(key: string): LogPath | null {
  if (!key.startsWith(LOG_PREFIX)) return null
  const name = key.slice(LOG_PREFIX.length)
  const version = Number(name.slice(0, 20))
  if (!Number.isSafeInteger(version)) return null
  if (COMMIT.test(name)) return { kind: 'commit', version }
  if (CHECKSUM.test(name)) return { kind: 'checksum', version }
  if (CLASSIC.test(name)) return { kind: 'classic-checkpoint', version }
  const part = PART.exec(name)
  if (part !== null) {
    const [index, partCount] = [Number(part[2]), Number(part[3])]
    if (index < 1 || index > partCount) return null
    return { kind: 'checkpoint-part', version, part: index, partCount }
  }
  const v2 = V2.exec(name)
  if (v2 !== null)
    return { kind: 'v2-checkpoint', version, uuid: v2[2]!, format: v2[3] as 'json' | 'parquet' }
  const compacted = COMPACTED.exec(name)
  if (compacted !== null) {
    const endVersion = Number(compacted[2])
    return endVersion > version && Number.isSafeInteger(endVersion)
      ? { kind: 'compacted', version, endVersion }
      : null
  }
  return null
}

export function formatCommitPath(version: number): string {
  return `${LOG_PREFIX}${formatVersion(version)}.json`
}

export function formatChecksumPath(version: number): string {
  return `${LOG_PREFIX}${formatVersion(version)}.crc`
}

export function formatCheckpointPath(version: number): string {
  return `${LOG_PREFIX}${formatVersion(version)}.checkpoint.parquet`
}

export function formatCheckpointPartPath(version: number, part: number, partCount: number): string {
  assert(part >= 1 && part <= partCount)
  const [index, count] = [String(part).padStart(10, '0'), String(partCount).padStart(10, '0')]
  return `${LOG_PREFIX}${formatVersion(version)}.checkpoint.${index}.${count}.parquet`
}

export function formatV2CheckpointPath(version: number, uuid: string, format: 'json' | 'parquet'): string {
  return `${LOG_PREFIX}${formatVersion(version)}.checkpoint.${uuid}.${format}`
}

export function formatCompactedPath(version: number, endVersion: number): string {
  assert(endVersion > version)
  return `${LOG_PREFIX}${formatVersion(version)}.${formatVersion(endVersion)}.compacted.json`
}

/** The name of a sidecar in its folder. Only that it is unique matters; version and number are for people. */
export function formatSidecarName(version: number, number: number, uuid: string): string {
  return `${formatVersion(version)}.checkpoint.${String(number).padStart(10, '0')}.${uuid}.parquet`
}

/** For a listing that starts with the files of `version`: sorts before all of them, after those of the version before. */
export function formatStartAfter(version: number): string {
  return `${LOG_PREFIX}${formatVersion(version)}.`
}

function formatVersion(version: number): string {
  assert(Number.isSafeInteger(version) && version >= 0, `${version} is no table version`)
  return String(version).padStart(20, '0')
}
