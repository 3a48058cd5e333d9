/**
 * The values of a column chunk as Parquet stores them: no nulls, one after the other, in typed arrays.
 *
 * Where a column has no nulls these are views of its buffers. Parquet's byte order is the host's (checked by
 * `createParquetEncoder`), so that the PLAIN form of a fixed-width type is the memory itself.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { sliceBits } from '../column/bitmap.ts'
import type { Column, DecimalColumn } from '../column/column.ts'
import type { ByteWriter } from './byte-writer.ts'
import type { Leaf } from './schema-element.ts'

export type PhysicalValues =
  /** One bit a value, least significant first. */
  | { readonly type: 'BOOLEAN'; readonly count: number; readonly bits: Uint8Array }
  | { readonly type: 'INT32'; readonly count: number; readonly words: Int32Array }
  /** Two words a value, the low one first: reading a BigInt64Array would make a BigInt of each. */
  | { readonly type: 'INT64'; readonly count: number; readonly words: Int32Array }
  | { readonly type: 'FLOAT'; readonly count: number; readonly numbers: Float32Array }
  | { readonly type: 'DOUBLE'; readonly count: number; readonly numbers: Float64Array }
  | ByteArrays
  | {
      readonly type: 'FIXED_LEN_BYTE_ARRAY'
      readonly count: number
      readonly width: number
      readonly bytes: Uint8Array
    }

/** Value `i` is `data[starts[i], ends[i])`. */
export interface ByteArrays {
  readonly type: 'BYTE_ARRAY'
  readonly count: number
  readonly data: Uint8Array
  readonly starts: Int32Array
  readonly ends: Int32Array
}

/** Below this a loop copies bytes faster than a call does. */
const LOOP_COPY_MAX_BYTES = 64

/** @param rows the rows that have values, ascending; null where it is every row */
export function physicalValues(column: Column, rows: Int32Array | null, leaf: Leaf): PhysicalValues {
  const count = rows === null ? column.length : rows.length
  switch (column.kind) {
    case 'boolean':
      return { type: 'BOOLEAN', count, bits: rows === null ? column.values : takeBits(column.values, rows) }
    case 'int8':
    case 'int16':
      return { type: 'INT32', count, words: widened(column.values, rows) }
    case 'int32':
      return {
        type: 'INT32',
        count,
        words: rows === null ? column.values : takeWords(column.values, rows, 1),
      }
    case 'int64': {
      const words = wordsOf(column.values)
      return { type: 'INT64', count, words: rows === null ? words : takeWords(words, rows, 2) }
    }
    case 'float32':
      return {
        type: 'FLOAT',
        count,
        numbers: rows === null ? column.values : takeNumbers(column.values, rows, new Float32Array(count)),
      }
    case 'float64':
      return {
        type: 'DOUBLE',
        count,
        numbers: rows === null ? column.values : takeNumbers(column.values, rows, new Float64Array(count)),
      }
    case 'decimal128':
      return decimalValues(column, rows, leaf)
    case 'binary':
      return {
        type: 'BYTE_ARRAY',
        count,
        data: column.data,
        starts: rows === null ? column.offsets.subarray(0, count) : takeWords(column.offsets, rows, 1),
        ends:
          rows === null
            ? column.offsets.subarray(1, count + 1)
            : takeWords(column.offsets.subarray(1), rows, 1),
      }
    default:
      assert.fail(`a column of kind ${column.kind} has no values of its own`)
  }
}

/** The values at `positions`, of values that are not BOOLEAN. */
export function takeValues(values: PhysicalValues, positions: Int32Array): PhysicalValues {
  const count = positions.length
  switch (values.type) {
    case 'BOOLEAN':
      return { ...values, count, bits: takeBits(values.bits, positions) }
    case 'INT32':
      return { ...values, count, words: takeWords(values.words, positions, 1) }
    case 'INT64':
      return { ...values, count, words: takeWords(values.words, positions, 2) }
    case 'FLOAT':
      return { ...values, count, numbers: takeNumbers(values.numbers, positions, new Float32Array(count)) }
    case 'DOUBLE':
      return { ...values, count, numbers: takeNumbers(values.numbers, positions, new Float64Array(count)) }
    case 'BYTE_ARRAY':
      return {
        ...values,
        count,
        starts: takeWords(values.starts, positions, 1),
        ends: takeWords(values.ends, positions, 1),
      }
    case 'FIXED_LEN_BYTE_ARRAY': {
      const { width } = values
      const bytes = new Uint8Array(count * width)
      for (let i = 0, to = 0; i < count; i++) {
        const from = positions[i]! * width
        for (let b = 0; b < width; b++) bytes[to++] = values.bytes[from + b]!
      }
      return { ...values, count, bytes }
    }
  }
}

/** Bytes of the values `[from, to)` in PLAIN encoding. */
export function plainSizeBytes(values: PhysicalValues, from: number, to: number): number {
  switch (values.type) {
    case 'BOOLEAN':
      return (to - from + 7) >> 3
    case 'INT32':
    case 'FLOAT':
      return (to - from) * 4
    case 'INT64':
    case 'DOUBLE':
      return (to - from) * 8
    case 'FIXED_LEN_BYTE_ARRAY':
      return (to - from) * values.width
    case 'BYTE_ARRAY': {
      const { starts, ends } = values
      let sizeBytes = (to - from) * 4
      for (let i = from; i < to; i++) sizeBytes += ends[i]! - starts[i]!
      return sizeBytes
    }
  }
}

/** The PLAIN form of `[from, to)` where the memory has it already, null where it must be written. */
export function plainView(values: PhysicalValues, from: number, to: number): Uint8Array | null {
  switch (values.type) {
    case 'BOOLEAN':
      return (from & 7) === 0 && (to & 7) === 0 ? values.bits.subarray(from >> 3, to >> 3) : null
    case 'INT32':
      return bytesOf(values.words, from, to)
    case 'INT64':
      return bytesOf(values.words, from * 2, to * 2)
    case 'FLOAT':
    case 'DOUBLE':
      return bytesOf(values.numbers, from, to)
    case 'FIXED_LEN_BYTE_ARRAY':
      return values.bytes.subarray(from * values.width, to * values.width)
    case 'BYTE_ARRAY':
      return null
  }
}

/** Encodings.md › Plain. */
export function appendPlain(out: ByteWriter, values: PhysicalValues, from: number, to: number): void {
  if (values.type === 'BYTE_ARRAY') appendByteArrays(out, values, from, to)
  else if (values.type === 'BOOLEAN') {
    out.append(sliceBits(values.bits, from, to))
    const spare = (to - from) & 7
    if (spare !== 0) out.bytes[out.length - 1]! &= (1 << spare) - 1
  } else out.append(plainView(values, from, to)!)
}

/** Each value: its length in four bytes, then its bytes. */
function appendByteArrays(out: ByteWriter, values: ByteArrays, from: number, to: number): void {
  out.ensure(plainSizeBytes(values, from, to))
  const { data, starts, ends } = values
  const { bytes } = out
  // Short values are copied four bytes at a time, which beats both single bytes and a call.
  const source = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const target = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = out.length
  for (let i = from; i < to; i++) {
    const start = starts[i]!
    const end = ends[i]!
    const size = end - start
    target.setInt32(at, size, true)
    at += 4
    if (size > LOOP_COPY_MAX_BYTES) {
      bytes.set(data.subarray(start, end), at)
      at += size
      continue
    }
    let byte = start
    for (const wordsEnd = end - 3; byte < wordsEnd; byte += 4, at += 4) {
      target.setInt32(at, source.getInt32(byte, true), true)
    }
    while (byte < end) bytes[at++] = data[byte++]!
  }
  out.length = at
}

/** By precision: INT32, INT64, or big-endian two's complement of the fewest bytes. */
function decimalValues(column: DecimalColumn, rows: Int32Array | null, leaf: Leaf): PhysicalValues {
  const words = wordsOf(column.values)
  const count = rows === null ? column.length : rows.length
  if (leaf.physicalType === 'INT32') {
    const low = new Int32Array(count)
    for (let i = 0; i < count; i++) low[i] = words[(rows === null ? i : rows[i]!) * 4]!
    return { type: 'INT32', count, words: low }
  }
  if (leaf.physicalType === 'INT64') {
    const low = new Int32Array(count * 2)
    for (let i = 0; i < count; i++) {
      const from = (rows === null ? i : rows[i]!) * 4
      low[i * 2] = words[from]!
      low[i * 2 + 1] = words[from + 1]!
    }
    return { type: 'INT64', count, words: low }
  }
  const width = leaf.typeLength
  const source = new Uint8Array(column.values.buffer, column.values.byteOffset, column.values.byteLength)
  const bytes = new Uint8Array(count * width)
  for (let i = 0, to = 0; i < count; i++) {
    const from = (rows === null ? i : rows[i]!) * 16
    for (let b = width - 1; b >= 0; b--) bytes[to++] = source[from + b]!
  }
  return { type: 'FIXED_LEN_BYTE_ARRAY', count, width, bytes }
}

function wordsOf(values: BigInt64Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.length * 2)
}

function bytesOf(values: Int32Array | Float32Array | Float64Array, from: number, to: number): Uint8Array {
  const { BYTES_PER_ELEMENT: width } = values
  return new Uint8Array(values.buffer, values.byteOffset + from * width, (to - from) * width)
}

function widened(values: Int8Array | Int16Array, rows: Int32Array | null): Int32Array {
  if (rows === null) return new Int32Array(values)
  const words = new Int32Array(rows.length)
  for (let i = 0; i < rows.length; i++) words[i] = values[rows[i]!]!
  return words
}

function takeBits(bits: Uint8Array, rows: Int32Array): Uint8Array {
  const taken = new Uint8Array((rows.length + 7) >> 3)
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!
    taken[i >> 3]! |= ((bits[row >> 3]! >> (row & 7)) & 1) << (i & 7)
  }
  return taken
}

function takeWords(words: Int32Array, rows: Int32Array, wordsPerValue: 1 | 2): Int32Array {
  const taken = new Int32Array(rows.length * wordsPerValue)
  if (wordsPerValue === 1) for (let i = 0; i < rows.length; i++) taken[i] = words[rows[i]!]!
  else {
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!
      taken[i * 2] = words[row * 2]!
      taken[i * 2 + 1] = words[row * 2 + 1]!
    }
  }
  return taken
}

function takeNumbers<T extends Float32Array | Float64Array>(numbers: T, rows: Int32Array, taken: T): T {
  for (let i = 0; i < rows.length; i++) taken[i] = numbers[rows[i]!]!
  return taken
}
