/**
 * Keys of an object store: which ones are accepted, and the order in which they are listed.
 *
 * @module
 */
import { DeltaLakeError } from '../error.ts'

/** S3's limit, and below what file systems allow for a path. */
const KEY_BYTES_MAX = 1024

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f]/

/**
 * Throws `STORE_KEY_INVALID` unless every store can hold the key: keys come from table logs too, so a hostile or
 * damaged log must not lead out of the root.
 */
export function checkKey(key: string): void {
  const problem = keyProblem(key)
  if (problem !== null) throw invalidKey(key, problem)
}

/** As {@link checkKey}, for the start of a key: empty, or ending anywhere within one. */
export function checkPrefix(prefix: string): void {
  if (prefix === '') return
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1)
  // The last, unfinished segment can be anything that a key may go on from; `x` makes it a whole one.
  const problem = keyProblem(`${prefix}x`) ?? (folder === '' ? null : keyProblem(folder.slice(0, -1)))
  if (problem !== null) throw invalidKey(prefix, problem)
}

function keyProblem(key: string): string | null {
  if (key === '') return 'is empty'
  if (key.startsWith('/')) return 'starts with `/`'
  if (key.endsWith('/')) return 'ends with `/`'
  if (CONTROL_CHARACTER.test(key)) return 'holds a control character'
  if (!key.isWellFormed()) return 'holds half of a surrogate pair, which has no UTF-8 form'
  for (const segment of key.split('/')) {
    if (segment === '.' || segment === '..') return `holds the segment \`${segment}\``
  }
  if (Buffer.byteLength(key) > KEY_BYTES_MAX) return `is longer than ${KEY_BYTES_MAX} bytes`
  return null
}

function invalidKey(key: string, problem: string): DeltaLakeError {
  const shown = JSON.stringify(key.slice(0, KEY_BYTES_MAX))
  return new DeltaLakeError('STORE_KEY_INVALID', `the object key ${shown} ${problem}`, { context: { key } })
}

/** Drops slashes at both ends of a root's prefix and checks what remains; the empty prefix is the root itself. */
export function normalizeRoot(prefix: string): string {
  const trimmed = prefix.replace(/^\/+|\/+$/g, '')
  if (trimmed !== '') checkKey(trimmed)
  return trimmed
}

/** The key below a root prefix without slashes at its ends. */
export function joinKey(root: string, key: string): string {
  return root === '' ? key : `${root}/${key}`
}

/**
 * Orders keys by their UTF-8 bytes, as stores list them. UTF-16 order differs: a supplementary character starts with a
 * surrogate (0xD800–0xDFFF), which sorts before U+E000–U+FFFF although its code point is larger.
 */
export function compareKeys(left: string, right: string): number {
  const shared = Math.min(left.length, right.length)
  for (let i = 0; i < shared; i++) {
    const l = left.charCodeAt(i)
    const r = right.charCodeAt(i)
    if (l !== r) return codePointRank(l) - codePointRank(r)
  }
  return left.length - right.length
}

/** Moves surrogates behind the rest of the basic plane. */
function codePointRank(unit: number): number {
  if (unit < 0xd800) return unit
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000
}
