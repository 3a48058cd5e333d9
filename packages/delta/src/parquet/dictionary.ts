/**
 * Dictionary encoding: the distinct values of a column chunk, and a code for each value.
 *
 * Encodings.md › Dictionary Encoding. All or nothing for a chunk: its values are in memory, so that a dictionary that
 * does not pay is noticed before the first page is written.
 *
 * @module
 */
import type { Arena } from '../column/arena.ts'
import { copyBytes } from '../column/copy-bytes.ts'
import { type ByteArrays, type PhysicalValues, plainSizeBytes, takeValues } from './physical-values.ts'
import { bitWidthOf } from './rle.ts'

/** Codes of at most 17 bits. */
const DICTIONARY_ENTRIES_MAX = 131_072
const DICTIONARY_SIZE_MAX_BYTES = 1 << 20

/**
 * Most columns without repetition show it early. At each of these row counts a chunk is given up whose share of
 * distinct values is larger than this.
 */
const CHECKPOINTS: readonly { readonly rows: number; readonly distinctShareMax: number }[] = [
  { rows: 4096, distinctShareMax: 0.9 },
  { rows: 16_384, distinctShareMax: 0.7 },
  { rows: 65_536, distinctShareMax: 0.5 },
]

export interface DictionaryEncoded {
  readonly dictionary: PhysicalValues
  /** For each value its place in the dictionary. */
  readonly codes: Int32Array
  readonly bitWidth: number
}

/**
 * Null where a dictionary would be too large or save nothing.
 * @param arena where the codes are taken from, and what else is needed meanwhile
 */
export function encodeDictionary(values: PhysicalValues, arena: Arena): DictionaryEncoded | null {
  if (values.type === 'BOOLEAN' || values.count < 2) return null
  const found = findDistinct(values, arena)
  if (found === null) return null
  const dictionary = takeValues(values, found.positions)
  const bitWidth = bitWidthOf(found.positions.length - 1)
  const sizeBytes = plainSizeBytes(dictionary, 0, dictionary.count) + Math.ceil((values.count * bitWidth) / 8)
  if (sizeBytes >= plainSizeBytes(values, 0, values.count)) return null
  return { dictionary, codes: found.codes, bitWidth }
}

interface Distinct {
  /** Where each distinct value occurs first. */
  readonly positions: Int32Array
  readonly codes: Int32Array
}

function findDistinct(values: Exclude<PhysicalValues, { type: 'BOOLEAN' }>, arena: Arena): Distinct | null {
  switch (values.type) {
    case 'INT32':
      return distinctWords(values.words, values.count, arena)
    case 'INT64':
      return distinctWordPairs(values.words, values.count, arena)
    // By their bits, so that every NaN and both zeros come back as they were.
    case 'FLOAT':
      return distinctWords(
        new Int32Array(values.numbers.buffer, values.numbers.byteOffset, values.count),
        values.count,
        arena,
      )
    case 'DOUBLE':
      return distinctWordPairs(
        new Int32Array(values.numbers.buffer, values.numbers.byteOffset, values.count * 2),
        values.count,
        arena,
      )
    case 'BYTE_ARRAY':
      return distinctByteArrays(values, arena)
    case 'FIXED_LEN_BYTE_ARRAY': {
      const { count, width, bytes } = values
      const starts = Int32Array.from({ length: count }, (_, i) => i * width)
      const ends = starts.map(start => start + width)
      return distinctByteArrays({ type: 'BYTE_ARRAY', count, data: bytes, starts, ends }, arena)
    }
  }
}

/** Open addressing; a slot holds a code + 1, or 0. */
function newTable(count: number, arena: Arena): Int32Array {
  let capacity = 64
  while (capacity < 2 * Math.min(count, DICTIONARY_ENTRIES_MAX)) capacity *= 2
  return arena.take(Int32Array, capacity).fill(0)
}

function isNotWorthIt(rows: number, distinctCount: number): boolean {
  for (const checkpoint of CHECKPOINTS) {
    if (rows === checkpoint.rows) return distinctCount > rows * checkpoint.distinctShareMax
  }
  return false
}

function distinctWords(words: Int32Array, count: number, arena: Arena): Distinct | null {
  const table = newTable(count, arena)
  const mask = table.length - 1
  const codes = arena.take(Int32Array, count)
  const positions = arena.take(Int32Array, Math.min(count, DICTIONARY_ENTRIES_MAX))
  const entriesMax = Math.min(positions.length, DICTIONARY_SIZE_MAX_BYTES / 4)
  let entryCount = 0
  for (let i = 0; i < count; i++) {
    if ((i & 4095) === 0 && isNotWorthIt(i, entryCount)) return null
    const word = words[i]!
    let slot = Math.imul(word, 0x9e3779b1)
    slot = (slot ^ (slot >>> 15)) & mask
    for (;;) {
      const code = table[slot]! - 1
      if (code < 0) {
        if (entryCount === entriesMax) return null
        positions[entryCount] = i
        codes[i] = entryCount
        table[slot] = ++entryCount
        break
      }
      if (words[positions[code]!] === word) {
        codes[i] = code
        break
      }
      slot = (slot + 1) & mask
    }
  }
  return { positions: positions.subarray(0, entryCount), codes }
}

function distinctWordPairs(words: Int32Array, count: number, arena: Arena): Distinct | null {
  const table = newTable(count, arena)
  const mask = table.length - 1
  const codes = arena.take(Int32Array, count)
  const positions = arena.take(Int32Array, Math.min(count, DICTIONARY_ENTRIES_MAX))
  const entriesMax = Math.min(positions.length, DICTIONARY_SIZE_MAX_BYTES / 8)
  let entryCount = 0
  for (let i = 0; i < count; i++) {
    if ((i & 4095) === 0 && isNotWorthIt(i, entryCount)) return null
    const low = words[i * 2]!
    const high = words[i * 2 + 1]!
    let slot = Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1)
    slot = (slot ^ (slot >>> 15)) & mask
    for (;;) {
      const code = table[slot]! - 1
      if (code < 0) {
        if (entryCount === entriesMax) return null
        positions[entryCount] = i
        codes[i] = entryCount
        table[slot] = ++entryCount
        break
      }
      const position = positions[code]! * 2
      if (words[position] === low && words[position + 1] === high) {
        codes[i] = code
        break
      }
      slot = (slot + 1) & mask
    }
  }
  return { positions: positions.subarray(0, entryCount), codes }
}

/** Distinct values are copied together, so that comparing with one stays within memory that is near. */
function distinctByteArrays(values: ByteArrays, arena: Arena): Distinct | null {
  const { count, data, starts, ends } = values
  const view = viewOf(data)
  const table = newTable(count, arena)
  const mask = table.length - 1
  const codes = arena.take(Int32Array, count)
  const positions = arena.take(Int32Array, Math.min(count, DICTIONARY_ENTRIES_MAX))
  const hashes = arena.take(Int32Array, positions.length)
  const entries = arena.take(Uint8Array, DICTIONARY_SIZE_MAX_BYTES)
  const entryView = viewOf(entries)
  const entryStarts = arena.take(Int32Array, positions.length + 1)
  entryStarts[0] = 0
  let entryCount = 0
  let sizeBytes = 0
  for (let i = 0; i < count; i++) {
    if ((i & 4095) === 0 && isNotWorthIt(i, entryCount)) return null
    const start = starts[i]!
    const end = ends[i]!
    const size = end - start
    // Neighbours are often equal, and comparing is cheaper than hashing.
    if (i > 0 && ends[i - 1]! - starts[i - 1]! === size && isSame(view, starts[i - 1]!, view, start, size)) {
      codes[i] = codes[i - 1]!
      continue
    }
    const hash = hashOf(view, start, end)
    let slot = hash & mask
    for (;;) {
      const code = table[slot]! - 1
      if (code < 0) {
        sizeBytes += size + 4
        if (entryCount === positions.length || sizeBytes > DICTIONARY_SIZE_MAX_BYTES) return null
        positions[entryCount] = i
        codes[i] = entryCount
        hashes[entryCount] = hash
        const at = entryStarts[entryCount]!
        copyBytes(data, start, end, entries, at)
        table[slot] = ++entryCount
        entryStarts[entryCount] = at + size
        break
      }
      const at = entryStarts[code]!
      if (
        hashes[code] === hash &&
        entryStarts[code + 1]! - at === size &&
        isSame(entryView, at, view, start, size)
      ) {
        codes[i] = code
        break
      }
      slot = (slot + 1) & mask
    }
  }
  return { positions: positions.subarray(0, entryCount), codes }
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength)
}

/** Four bytes at a time, mixed as in MurmurHash3; the last four may have been mixed in before. */
function hashOf(view: DataView, start: number, end: number): number {
  let hash = end - start
  if (hash < 4) for (let p = start; p < end; p++) hash = mix(hash, view.getUint8(p))
  else {
    for (let p = start; p <= end - 4; p += 4) hash = mix(hash, view.getInt32(p, true))
    hash = mix(hash, view.getInt32(end - 4, true))
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  return hash ^ (hash >>> 13)
}

function mix(hash: number, word: number): number {
  const mixed = hash ^ Math.imul(word, 0xcc9e2d51)
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0
}

/** Are these two of `size` bytes equal? */
function isSame(a: DataView, aStart: number, b: DataView, bStart: number, size: number): boolean {
  if (size < 4) {
    for (let i = 0; i < size; i++) if (a.getUint8(aStart + i) !== b.getUint8(bStart + i)) return false
    return true
  }
  for (let i = 0; i <= size - 4; i += 4) {
    if (a.getInt32(aStart + i, true) !== b.getInt32(bStart + i, true)) return false
  }
  return a.getInt32(aStart + size - 4, true) === b.getInt32(bStart + size - 4, true)
}
