/**
 * Smallest and largest values: column chunk statistics and the column index.
 *
 * parquet.thrift › Statistics, ColumnOrder (TYPE_ORDER): signed comparison of numbers and decimals, unsigned bytewise
 * comparison of strings and binaries, false before true. A smallest zero is written as −0, a largest as +0. Chunks and
 * pages with a NaN get no bounds, as readers disagree on where a NaN sorts.
 *
 * @module
 */
import type { ByteArrays, PhysicalValues } from './physical-values.ts'
import type { Leaf } from './schema-element.ts'

/** A number for BOOLEAN (0, 1), INT32, FLOAT and DOUBLE, a bigint for INT64, the bytes themselves for both byte types. */
export type Bound = number | bigint | Uint8Array

export interface Bounds {
  readonly min: Bound
  readonly max: Bound
}

/** The bounds of the values `[from, to)`, at least one; null where one of them is NaN. */
export function boundsOf(values: PhysicalValues, from: number, to: number): Bounds | null {
  switch (values.type) {
    case 'BOOLEAN':
      return booleanBounds(values.bits, from, to)
    case 'INT32':
      return wordBounds(values.words, from, to)
    case 'INT64':
      return wordPairBounds(values.words, from, to)
    case 'FLOAT':
    case 'DOUBLE':
      return floatBounds(values.numbers, from, to)
    case 'BYTE_ARRAY':
      return byteArrayBounds(values, from, to)
    case 'FIXED_LEN_BYTE_ARRAY':
      return decimalBounds(values.bytes, values.width, from, to)
  }
}

/** Bounds around both. */
export function mergeBounds(a: Bounds, b: Bounds, leaf: Leaf): Bounds {
  return {
    min: compareBounds(a.min, b.min, leaf) <= 0 ? a.min : b.min,
    max: compareBounds(a.max, b.max, leaf) >= 0 ? a.max : b.max,
  }
}

/** Negative, zero or positive, in the order of the column. */
export function compareBounds(a: Bound, b: Bound, leaf: Leaf): number {
  if (a instanceof Uint8Array && b instanceof Uint8Array) {
    if (leaf.physicalType === 'FIXED_LEN_BYTE_ARRAY' && a[0] !== b[0]) {
      // The first byte of a decimal has the sign.
      return (a[0]! << 24) - (b[0]! << 24)
    }
    return Buffer.compare(a, b)
  }
  return a < b ? -1 : a > b ? 1 : 0
}

/** PLAIN encoding without the length prefix of byte arrays. */
export function boundBytes(bound: Bound, leaf: Leaf): Uint8Array {
  if (bound instanceof Uint8Array) return bound
  const bytes = new Uint8Array(8)
  const view = new DataView(bytes.buffer)
  if (typeof bound === 'bigint') {
    view.setBigInt64(0, bound, true)
    return bytes
  }
  switch (leaf.physicalType) {
    case 'BOOLEAN':
      bytes[0] = bound
      return bytes.subarray(0, 1)
    case 'DOUBLE':
      view.setFloat64(0, bound, true)
      return bytes
    case 'FLOAT':
      view.setFloat32(0, bound, true)
      return bytes.subarray(0, 4)
    default:
      view.setInt32(0, bound, true)
      return bytes.subarray(0, 4)
  }
}

/** At most `sizeMax` bytes that are not above `min`; whole characters of a string. */
export function truncateMin(min: Uint8Array, sizeMax: number, leaf: Leaf): Uint8Array {
  if (min.length <= sizeMax) return min
  return min.subarray(0, isText(leaf) ? characterStart(min, sizeMax) : sizeMax)
}

/** At most about `sizeMax` bytes that are not below `max`; valid UTF-8 for a string; null where there are none. */
export function truncateMax(max: Uint8Array, sizeMax: number, leaf: Leaf): Uint8Array | null {
  if (max.length <= sizeMax) return max
  if (!isText(leaf)) {
    let end = sizeMax
    while (end > 0 && max[end - 1] === 0xff) end--
    if (end === 0) return null
    const above = max.slice(0, end)
    above[end - 1]!++
    return above
  }
  // The next code point in place of the last that has one.
  const characters = [
    ...new TextDecoder('utf-8', { ignoreBOM: true }).decode(max.subarray(0, characterStart(max, sizeMax))),
  ]
  while (characters.length > 0) {
    const codePoint = characters.pop()!.codePointAt(0)!
    if (codePoint === 0x10ffff) continue
    const next = codePoint === 0xd7ff ? 0xe000 : codePoint + 1
    return new TextEncoder().encode(characters.join('') + String.fromCodePoint(next))
  }
  return null
}

function isText(leaf: Leaf): boolean {
  return leaf.type.kind === 'primitive' && leaf.type.name === 'string'
}

/** The start of the UTF-8 character that byte `at` is in. */
function characterStart(bytes: Uint8Array, at: number): number {
  let start = at
  while (start > 0 && (bytes[start]! & 0xc0) === 0x80) start--
  return start
}

function booleanBounds(bits: Uint8Array, from: number, to: number): Bounds {
  let min = 1
  let max = 0
  for (let i = from; i < to && min >= max; i++) {
    if (((bits[i >> 3]! >> (i & 7)) & 1) === 0) min = 0
    else max = 1
  }
  return min > max ? { min: max, max: min } : { min, max }
}

function wordBounds(words: Int32Array, from: number, to: number): Bounds {
  let min = words[from]!
  let max = min
  for (let i = from + 1; i < to; i++) {
    const value = words[i]!
    if (value < min) min = value
    else if (value > max) max = value
  }
  return { min, max }
}

function wordPairBounds(words: Int32Array, from: number, to: number): Bounds {
  let minLow = words[from * 2]! >>> 0
  let minHigh = words[from * 2 + 1]!
  let maxLow = minLow
  let maxHigh = minHigh
  for (let i = from + 1; i < to; i++) {
    const low = words[i * 2]! >>> 0
    const high = words[i * 2 + 1]!
    if (high < minHigh || (high === minHigh && low < minLow)) {
      minLow = low
      minHigh = high
    } else if (high > maxHigh || (high === maxHigh && low > maxLow)) {
      maxLow = low
      maxHigh = high
    }
  }
  return {
    min: (BigInt(minHigh) << 32n) | BigInt(minLow),
    max: (BigInt(maxHigh) << 32n) | BigInt(maxLow),
  }
}

function floatBounds(numbers: Float32Array | Float64Array, from: number, to: number): Bounds | null {
  let min = Infinity
  let max = -Infinity
  for (let i = from; i < to; i++) {
    const value = numbers[i]!
    if (value < min) min = value
    if (value > max) max = value
    // biome-ignore lint/suspicious/noSelfCompare: the cheapest test for NaN.
    if (value !== value) return null
  }
  return { min: min === 0 ? -0 : min, max: max === 0 ? 0 : max }
}

function byteArrayBounds(values: ByteArrays, from: number, to: number): Bounds {
  const { data, starts, ends } = values
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  let min = from
  let max = from
  for (let i = from + 1; i < to; i++) {
    const start = starts[i]!
    const end = ends[i]!
    if (isBelow(view, start, end, starts[min]!, ends[min]!)) min = i
    else if (isBelow(view, starts[max]!, ends[max]!, start, end)) max = i
  }
  return { min: data.slice(starts[min]!, ends[min]!), max: data.slice(starts[max]!, ends[max]!) }
}

/** Four bytes at a time, read big-endian so that their order is that of the number. */
function isBelow(view: DataView, aStart: number, aEnd: number, bStart: number, bEnd: number): boolean {
  let a = aStart
  let b = bStart
  const wordsEnd = a + Math.min(aEnd - aStart, bEnd - bStart) - 3
  while (a < wordsEnd) {
    const aWord = view.getUint32(a)
    const bWord = view.getUint32(b)
    if (aWord !== bWord) return aWord < bWord
    a += 4
    b += 4
  }
  while (a < aEnd && b < bEnd) {
    const difference = view.getUint8(a++) - view.getUint8(b++)
    if (difference !== 0) return difference < 0
  }
  return a === aEnd && b < bEnd
}

/** Big-endian two's complement. */
function decimalBounds(bytes: Uint8Array, width: number, from: number, to: number): Bounds {
  let min = from * width
  let max = min
  for (let at = (from + 1) * width; at < to * width; at += width) {
    if (isDecimalBelow(bytes, at, min, width)) min = at
    else if (isDecimalBelow(bytes, max, at, width)) max = at
  }
  return { min: bytes.slice(min, min + width), max: bytes.slice(max, max + width) }
}

function isDecimalBelow(bytes: Uint8Array, a: number, b: number, width: number): boolean {
  const signed = (bytes[a]! << 24) - (bytes[b]! << 24)
  if (signed !== 0) return signed < 0
  for (let i = 1; i < width; i++) {
    const difference = bytes[a + i]! - bytes[b + i]!
    if (difference !== 0) return difference < 0
  }
  return false
}
