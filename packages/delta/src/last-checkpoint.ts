/**
 * The pointer `_delta_log/_last_checkpoint`: a hint where to start listing.
 *
 * PROTOCOL.md › Last Checkpoint File. It is overwritten in place, so it may be stale, missing, empty or torn: nothing
 * but speed depends on it.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { formatJson, isJsonObject, JsonNumber, parseJsonLossless } from './json.ts'
import { LAST_CHECKPOINT_PATH } from './log-path.ts'
import type { ObjectStore, RequestOptions } from './store/object-store.ts'

export interface LastCheckpoint {
  readonly version: number
  /** Actions in the checkpoint, those in sidecars included. */
  readonly size: number
  /** Number of files of a multi-part checkpoint. */
  readonly parts?: number
  readonly sizeInBytes?: number
  readonly numOfAddFiles?: number
}

/** Reads the pointer; null where it is missing or cannot be understood, also where its checksum does not fit. */
export async function readLastCheckpoint(
  store: ObjectStore,
  options?: RequestOptions,
): Promise<LastCheckpoint | null> {
  const bytes = await store.get(LAST_CHECKPOINT_PATH, options)
  return bytes === null ? null : parseLastCheckpoint(new TextDecoder().decode(bytes))
}

/** @returns null where the text is no pointer */
export function parseLastCheckpoint(text: string): LastCheckpoint | null {
  let json: unknown
  try {
    json = parseJsonLossless(text)
  } catch {
    return null
  }
  if (!isJsonObject(json)) return null
  const { version, size, parts, sizeInBytes, numOfAddFiles, checksum } = json
  if (!isCount(version)) return null
  if (typeof checksum === 'string' && checksum !== canonicalChecksum(json)) return null
  return {
    version,
    size: isCount(size) ? size : 0,
    ...(isCount(parts) ? { parts } : {}),
    ...(isCount(sizeInBytes) ? { sizeInBytes } : {}),
    ...(isCount(numOfAddFiles) ? { numOfAddFiles } : {}),
  }
}

/** Formats the pointer with its checksum. */
export function formatLastCheckpoint(hint: LastCheckpoint): string {
  const { version, size, parts, sizeInBytes, numOfAddFiles } = hint
  const json = { version, size, parts, sizeInBytes, numOfAddFiles }
  return formatJson({ ...json, checksum: canonicalChecksum(json) })
}

/**
 * Moves the pointer forward. One that is at this version or later stays.
 *
 * Call it only after the checkpoint is complete. Two writers may still cross between the read and the put; the older
 * hint that then stays costs a longer listing.
 */
export async function writeLastCheckpoint(
  store: ObjectStore,
  hint: LastCheckpoint,
  options?: RequestOptions,
): Promise<void> {
  const current = await readLastCheckpoint(store, options)
  if (current !== null && current.version >= hint.version) return
  await store.put(LAST_CHECKPOINT_PATH, new TextEncoder().encode(formatLastCheckpoint(hint)), options)
}

/**
 * The MD5 of an object's canonical form.
 *
 * PROTOCOL.md › JSON checksum: one `path=value` a leaf, sorted and joined by commas; path elements joined by `+`, keys
 * and strings URL-encoded in quotes, array indices, numbers, booleans and null bare; the top-level `checksum` is left
 * out.
 */
export function canonicalChecksum(json: Readonly<Record<string, unknown>>): string {
  return createHash('md5').update(canonicalForm(json)).digest('hex')
}

export function canonicalForm(json: Readonly<Record<string, unknown>>): string {
  const leaves: { path: string; value: string }[] = []
  for (const [key, value] of Object.entries(json)) {
    if (key !== 'checksum' && value !== undefined) collectLeaves(quote(key), value, leaves)
  }
  // All text is ASCII here, so code unit order is byte order.
  leaves.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
  return leaves.map(leaf => `${leaf.path}=${leaf.value}`).join(',')
}

function collectLeaves(path: string, value: unknown, into: { path: string; value: string }[]): void {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) collectLeaves(`${path}+${index}`, item, into)
  } else if (isJsonObject(value)) {
    for (const [key, item] of Object.entries(value)) collectLeaves(`${path}+${quote(key)}`, item, into)
  } else if (typeof value === 'string') into.push({ path, value: quote(value) })
  else into.push({ path, value: value instanceof JsonNumber ? value.text : String(value) })
}

function quote(text: string): string {
  // encodeURIComponent leaves these five alone; the canonical form does not. A lone surrogate has no UTF-8.
  const encoded = encodeURIComponent(text.toWellFormed()).replace(
    /[!'()*]/g,
    c => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `"${encoded}"`
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
