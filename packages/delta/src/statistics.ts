/**
 * Statistics straight from columns: loops over typed arrays, no JavaScript value per row; or from the bounds that the
 * Parquet encoder has found on its way.
 *
 * Rules by type (PROTOCOL.md › Per-file Statistics, and what readers are known to get wrong): longs and decimals
 * exact; timestamps rounded down to milliseconds (readers add one); strings in the order of their UTF-8 bytes,
 * shortened; any NaN omits both bounds, an infinity its own; zero is −0.0 as minimum and 0.0 as maximum; days outside
 * the years 1 to 9999 omit the bound; booleans, binary, arrays and maps have only null counts.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { floorDiv, formatDate, pad, splitTimestamp } from './calendar.ts'
import type {
  BinaryColumn,
  Column,
  ColumnBatch,
  DecimalColumn,
  Int64Column,
  StructColumn,
} from './column/column.ts'
import { fieldPathKey } from './column-mapping.ts'
import { formatDecimal } from './decimal-text.ts'
import { JsonNumber } from './json.ts'
import type { Bound } from './parquet/bounds.ts'
import type { LeafBounds } from './parquet/parquet-encoder.ts'
import type { StructField } from './schema.ts'
import {
  type NullCounts,
  type Statistics,
  type StatisticsOptions,
  type StatisticValue,
  type StatisticValues,
  statisticsKey,
  truncateMax,
  truncateMin,
} from './statistics-codec.ts'

export * from './statistics-codec.ts'

/** Both bounds of a column; null where it has none. */
interface Bounds {
  readonly min: StatisticValue | null
  readonly max: StatisticValue | null
}

const NO_BOUNDS: Bounds = { min: null, max: null }
const NOTHING_KNOWN: LeafBounds = new Map()

interface CollectOptions extends StatisticsOptions {
  readonly bounds: LeafBounds
}

/** 0001-01-01 and 9999-12-31: readers parse no other dates. */
const DATE_MIN_DAYS = -719_162
const DATE_MAX_DAYS = 2_932_896
const MICROS_PER_MILLI = 1000n

/** A bitmap of the rows that have a value and are not inside a null struct; null where all have. */
interface Rows {
  readonly length: number
  readonly validity: Uint8Array | null
  readonly nullCount: number
}

interface Collected {
  readonly minValues: Record<string, StatisticValue | StatisticValues>
  readonly maxValues: Record<string, StatisticValue | StatisticValues>
  readonly nullCount: Record<string, number | NullCounts>
}

/**
 * Computes the statistics of a file whose rows are `batch`. Pure.
 *
 * @param bounds of its leaf columns, as far as known: those are not looked for again
 */
export function collectStatistics(
  batch: ColumnBatch,
  options: StatisticsOptions,
  bounds: LeafBounds = NOTHING_KNOWN,
): Statistics {
  const collected = newCollected()
  const rows: Rows = { length: batch.rowCount, validity: null, nullCount: 0 }
  collectFields(batch.schema.fields, batch.columns, rows, [], { ...options, bounds }, collected)
  return {
    numRecords: batch.rowCount,
    ...collected,
    ...(options.tightBounds ? { tightBounds: true } : {}),
  }
}

/** Objects without a prototype: a column may be called `__proto__`. */
function newCollected(): Collected {
  return { minValues: Object.create(null), maxValues: Object.create(null), nullCount: Object.create(null) }
}

function collectFields(
  fields: readonly StructField[],
  columns: readonly Column[],
  parent: Rows,
  parents: readonly string[],
  options: CollectOptions,
  into: Collected,
): void {
  for (const [i, { name }] of fields.entries()) {
    const column = columns[i]!
    const path = [...parents, name]
    if (column.kind === 'struct') collectStruct(column, name, parent, path, options, into)
    else if (options.columns === null || options.columns.has(statisticsKey(path))) {
      const rows = rowsOf(column, parent)
      into.nullCount[name] = rows.nullCount
      if (rows.nullCount === rows.length) continue
      const known = options.bounds.get(fieldPathKey(path))
      const { min, max } =
        known === undefined
          ? boundsOf(column, rows, options.stringPrefixLength)
          : known === null
            ? NO_BOUNDS
            : statisticBounds(column, known.min, known.max, options.stringPrefixLength)
      if (min !== null) into.minValues[name] = min
      if (max !== null) into.maxValues[name] = max
    }
  }
}

function collectStruct(
  column: StructColumn,
  name: string,
  parent: Rows,
  path: readonly string[],
  options: CollectOptions,
  into: Collected,
): void {
  const nested = newCollected()
  collectFields(column.type.fields, column.fields, rowsOf(column, parent), path, options, nested)
  // A struct without anything below it is left out: readers trip over empty objects.
  for (const key of ['minValues', 'maxValues', 'nullCount'] as const) {
    if (Object.keys(nested[key]).length > 0) into[key][name] = nested[key] as never
  }
}

/** A null struct is one null in each of its leaves, whatever the leaf holds there. */
function rowsOf(column: Column, parent: Rows): Rows {
  if (parent.validity === null) {
    return { length: column.length, validity: column.validity, nullCount: column.nullCount }
  }
  if (column.validity === null) return parent
  const validity = new Uint8Array((parent.length + 7) >> 3)
  let validCount = 0
  for (let i = 0; i < validity.length; i++) {
    // Bits behind the last row are unspecified.
    const inRange = i < parent.length >> 3 ? 0xff : (1 << (parent.length & 7)) - 1
    const byte = parent.validity[i]! & column.validity[i]! & inRange
    validity[i] = byte
    validCount += BIT_COUNT[byte]!
  }
  return { length: parent.length, validity, nullCount: parent.length - validCount }
}

const BIT_COUNT = new Uint8Array(256)
for (let i = 1; i < 256; i++) BIT_COUNT[i] = BIT_COUNT[i >> 1]! + (i & 1)

function boundsOf(column: Column, rows: Rows, stringPrefixLength: number): Bounds {
  switch (column.kind) {
    case 'int8':
    case 'int16':
    case 'int32': {
      const { min, max } = numberBounds(column.values, rows)
      return column.type.name === 'date' ? { min: dateBound(min), max: dateBound(max) } : { min, max }
    }
    case 'float32':
    case 'float64':
      return floatBounds(column.values, rows)
    case 'int64':
      return longBounds(column, rows)
    case 'decimal128':
      return decimalBounds(column, rows)
    case 'binary':
      return column.type.name === 'string' ? stringBounds(column, rows, stringPrefixLength) : NO_BOUNDS
    default:
      return NO_BOUNDS
  }
}

/** What a file's bounds of a column are in statistics. */
function statisticBounds(column: Column, min: Bound, max: Bound, stringPrefixLength: number): Bounds {
  switch (column.kind) {
    case 'int8':
    case 'int16':
    case 'int32':
      assert(typeof min === 'number' && typeof max === 'number')
      return column.type.name === 'date' ? { min: dateBound(min), max: dateBound(max) } : { min, max }
    case 'float32':
    case 'float64':
      assert(typeof min === 'number' && typeof max === 'number')
      return finiteBounds(min, max)
    case 'int64':
      assert(typeof min === 'bigint' && typeof max === 'bigint')
      return longStatistics(column, min, max)
    case 'decimal128':
      return {
        min: decimalStatistic(column, unscaledOf(min)),
        max: decimalStatistic(column, unscaledOf(max)),
      }
    case 'binary':
      if (column.type.name !== 'string') return NO_BOUNDS
      assert(min instanceof Uint8Array && max instanceof Uint8Array)
      return textBounds(min, max, stringPrefixLength)
    default:
      return NO_BOUNDS
  }
}

/** Of a decimal as Parquet has it: a number, or big-endian bytes in two's complement. */
function unscaledOf(bound: Bound): bigint {
  if (!(bound instanceof Uint8Array)) return BigInt(bound)
  return BigInt.asIntN(8 * bound.length, BigInt(`0x${Buffer.from(bound).toString('hex')}`))
}

type NumberArray = Int8Array | Int16Array | Int32Array | Float32Array | Float64Array

/** At least one row has a value. */
function numberBounds(values: NumberArray, rows: Rows): { min: number; max: number } {
  let min = Number.POSITIVE_INFINITY
  let max = Number.NEGATIVE_INFINITY
  const { length, validity } = rows
  if (validity === null) {
    for (let i = 0; i < length; i++) {
      const value = values[i]!
      if (value < min) min = value
      if (value > max) max = value
    }
  } else {
    for (let i = 0; i < length; i++) {
      if (((validity[i >> 3]! >> (i & 7)) & 1) === 0) continue
      const value = values[i]!
      if (value < min) min = value
      if (value > max) max = value
    }
  }
  return { min, max }
}

function floatBounds(values: Float32Array | Float64Array, rows: Rows): Bounds {
  const { length, validity } = rows
  for (let i = 0; i < length; i++) {
    const value = values[i]!
    if (Number.isNaN(value) && (validity === null || ((validity[i >> 3]! >> (i & 7)) & 1) === 1))
      return NO_BOUNDS
  }
  const { min, max } = numberBounds(values, rows)
  return finiteBounds(min, max)
}

function finiteBounds(min: number, max: number): Bounds {
  return {
    min: Number.isFinite(min) ? (min === 0 ? -0 : min) : null,
    max: Number.isFinite(max) ? (max === 0 ? 0 : max) : null,
  }
}

/** The text of a bound; null for a day that readers do not parse. */
export function dateBound(days: number): string | null {
  return days < DATE_MIN_DAYS || days > DATE_MAX_DAYS ? null : formatDate(days)
}

/** Compared as two 32-bit halves: reading a BigInt64Array makes an object per row. */
function longBounds(column: Int64Column, rows: Rows): Bounds {
  const { values } = column
  const high = new Int32Array(values.buffer, values.byteOffset, values.length * 2)
  const low = new Uint32Array(values.buffer, values.byteOffset, values.length * 2)
  const { length, validity } = rows
  let minHigh = 0x7fffffff
  let minLow = 0xffffffff
  let maxHigh = -0x80000000
  let maxLow = 0
  for (let i = 0; i < length; i++) {
    if (validity !== null && ((validity[i >> 3]! >> (i & 7)) & 1) === 0) continue
    const h = high[2 * i + 1]!
    const l = low[2 * i]!
    if (h < minHigh || (h === minHigh && l < minLow)) {
      minHigh = h
      minLow = l
    }
    if (h > maxHigh || (h === maxHigh && l > maxLow)) {
      maxHigh = h
      maxLow = l
    }
  }
  const min = (BigInt(minHigh) << 32n) | BigInt(minLow)
  const max = (BigInt(maxHigh) << 32n) | BigInt(maxLow)
  return longStatistics(column, min, max)
}

function longStatistics(column: Int64Column, min: bigint, max: bigint): Bounds {
  if (column.type.name === 'long') return { min, max }
  const isInstant = column.type.name === 'timestamp'
  return { min: timestampBound(min, isInstant), max: timestampBound(max, isInstant) }
}

/** The text of a bound, rounded down to milliseconds; null for an instant that readers do not parse. */
export function timestampBound(micros: bigint, isInstant: boolean): string | null {
  const millis = floorDiv(micros, MICROS_PER_MILLI)
  const floored = millis * MICROS_PER_MILLI
  const { date, time, microsOfSecond } = splitTimestamp(floored)
  // Years outside 0001 to 9999 have a sign or the year 0000.
  if (date.length !== formatDate(0).length || date.startsWith('0000')) return null
  return `${date}T${time}.${pad(microsOfSecond / 1000, 3)}${isInstant ? 'Z' : ''}`
}

/** Compared as four 32-bit words, the highest one signed. */
function decimalBounds(column: DecimalColumn, rows: Rows): Bounds {
  const { values } = column
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length * 2)
  const { length, validity } = rows
  let min = -1
  let max = -1
  for (let i = 0; i < length; i++) {
    if (validity !== null && ((validity[i >> 3]! >> (i & 7)) & 1) === 0) continue
    if (min === -1) {
      min = i
      max = i
    } else if (compareDecimals(words, i, min) < 0) min = i
    else if (compareDecimals(words, i, max) > 0) max = i
  }
  return { min: decimalBound(column, min), max: decimalBound(column, max) }
}

function compareDecimals(words: Uint32Array, a: number, b: number): number {
  const highest = (words[4 * a + 3]! | 0) - (words[4 * b + 3]! | 0)
  if (highest !== 0) return highest
  for (let word = 2; word >= 0; word--) {
    const difference = words[4 * a + word]! - words[4 * b + word]!
    if (difference !== 0) return difference
  }
  return 0
}

function decimalBound(column: DecimalColumn, row: number): StatisticValue {
  const { values } = column
  return decimalStatistic(column, (values[2 * row + 1]! << 64n) | BigInt.asUintN(64, values[2 * row]!))
}

function decimalStatistic({ type }: DecimalColumn, unscaled: bigint): StatisticValue {
  return new JsonNumber(formatDecimal(unscaled, type.scale))
}

function stringBounds(column: BinaryColumn, rows: Rows, prefixLength: number): Bounds {
  const { offsets, data } = column
  const { length, validity } = rows
  let min = -1
  let max = -1
  for (let i = 0; i < length; i++) {
    if (validity !== null && ((validity[i >> 3]! >> (i & 7)) & 1) === 0) continue
    if (min === -1) {
      min = i
      max = i
    } else if (compareBytes(data, offsets, i, min) < 0) min = i
    else if (compareBytes(data, offsets, i, max) > 0) max = i
  }
  const bytesOf = (row: number): Uint8Array => data.subarray(offsets[row]!, offsets[row + 1]!)
  return textBounds(bytesOf(min), bytesOf(max), prefixLength)
}

function textBounds(min: Uint8Array, max: Uint8Array, prefixLength: number): Bounds {
  const minText = decodePrefix(min, prefixLength)
  const maxText = decodePrefix(max, prefixLength)
  return {
    min: minText === null ? null : truncateMin(minText, prefixLength),
    max: maxText === null ? null : truncateMax(maxText, prefixLength),
  }
}

/** Byte order of UTF-8 is code point order; JavaScript's `<` is not. */
function compareBytes(data: Uint8Array, offsets: Int32Array, a: number, b: number): number {
  let i = offsets[a]!
  let j = offsets[b]!
  const iEnd = offsets[a + 1]!
  const jEnd = offsets[b + 1]!
  while (i < iEnd && j < jEnd) {
    const difference = data[i++]! - data[j++]!
    if (difference !== 0) return difference
  }
  return iEnd - i - (jEnd - j)
}

/** As much of a value as truncation looks at: a string of megabytes is not decoded for 32 characters. */
function decodePrefix(bytes: Uint8Array, prefixLength: number): string | null {
  const end = Math.min(bytes.length, 4 * (2 * prefixLength + 4))
  try {
    // Streaming leaves out a character that the cut has split.
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
    return decoder.decode(bytes.subarray(0, end), { stream: end < bytes.length })
  } catch {
    // Not UTF-8: readers would see other characters than we compare, so there is no safe bound.
    return null
  }
}
