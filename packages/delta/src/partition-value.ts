/**
 * Values of partition columns to and from the text in `add.partitionValues`.
 *
 * PROTOCOL.md › Partition Value Serialization: null is JSON null, and the empty string is null too, for every type.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { formatDate, formatInstant, formatLocalTimestamp, parseDate, parseTimestamp } from './calendar.ts'
import { formatDecimal, parseDecimal } from './decimal-text.ts'
import { DeltaLakeError } from './error.ts'
import type { DataType } from './schema.ts'
import { formatDataType } from './schema-codec.ts'

/**
 * `boolean`; number for `byte`, `short`, `integer`, `float`, `double` and `date` (days since 1970-01-01); bigint for
 * `long`, `timestamp` and `timestamp_ntz` (microseconds) and `decimal` (unscaled); string; bytes for `binary`.
 */
export type PartitionValue = boolean | number | bigint | string | Uint8Array

/**
 * Formats one value. Null and what comes to empty text give null.
 *
 * @throws DeltaLakeError `DELTA_SCHEMA_INVALID` for binary that is not UTF-8, which has no text form
 */
export function formatPartitionValue(type: DataType, value: PartitionValue | null): string | null {
  if (value === null) return null
  const text = formatValue(type, value)
  return text === '' ? null : text
}

/**
 * Parses one value. Timestamps without a zone, the legacy form, are taken as UTC: the writer's zone is not recorded.
 *
 * @throws DeltaLakeError `DELTA_LOG_CORRUPT` where the text does not fit the type
 */
export function parsePartitionValue(type: DataType, text: string | null): PartitionValue | null {
  if (text === null || text === '') return null
  const value = parseValue(type, text)
  if (value === null) {
    throw new DeltaLakeError(
      'DELTA_LOG_CORRUPT',
      `the partition value \`${text}\` is not of the type ${formatDataType(type)}`,
    )
  }
  return value
}

/**
 * The one spelling of a value: two files are in the same table partition where this is equal for every column.
 * (`1` and `1.0` of a double, or two spellings of an instant, are the same partition.)
 *
 * @throws DeltaLakeError `DELTA_LOG_CORRUPT` where the text does not fit the type
 */
export function normalizePartitionValue(type: DataType, text: string | null): string | null {
  return formatPartitionValue(type, parsePartitionValue(type, text))
}

function formatValue(type: DataType, value: PartitionValue): string {
  if (type.kind === 'decimal') {
    assert(typeof value === 'bigint')
    return formatDecimal(value, type.scale)
  }
  assert(type.kind === 'primitive', `${formatDataType(type)} is no partition type`)
  switch (type.name) {
    case 'string':
      assert(typeof value === 'string')
      return value
    case 'boolean':
      assert(typeof value === 'boolean')
      return String(value)
    case 'byte':
    case 'short':
    case 'integer':
      assert(Number.isInteger(value))
      return String(value)
    case 'long':
      assert(typeof value === 'bigint')
      return String(value)
    case 'float':
    case 'double':
      assert(typeof value === 'number')
      return formatJavaNumber(value, type.name === 'float')
    case 'date':
      assert(typeof value === 'number')
      return formatDate(value)
    case 'timestamp':
      assert(typeof value === 'bigint')
      return formatInstant(value)
    case 'timestamp_ntz':
      assert(typeof value === 'bigint')
      return formatLocalTimestamp(value)
    case 'binary':
      assert(value instanceof Uint8Array)
      return decodeBinary(value)
    case 'void':
    case 'variant':
      assert.fail(`${type.name} is no partition type`)
  }
}

function parseValue(type: DataType, text: string): PartitionValue | null {
  if (type.kind === 'decimal') return parseDecimal(text, type.precision, type.scale)
  if (type.kind !== 'primitive') return null
  switch (type.name) {
    case 'string':
      return text
    case 'boolean':
      return /^true$/i.test(text) ? true : /^false$/i.test(text) ? false : null
    case 'byte':
      return parseInteger(text, 8)
    case 'short':
      return parseInteger(text, 16)
    case 'integer':
      return parseInteger(text, 32)
    case 'long': {
      if (!/^[+-]?\d{1,20}$/.test(text)) return null
      const value = BigInt(text.startsWith('+') ? text.slice(1) : text)
      return BigInt.asIntN(64, value) === value ? value : null
    }
    case 'float':
    case 'double': {
      const value = parseJavaNumber(text)
      return value !== null && type.name === 'float' ? Math.fround(value) : value
    }
    case 'date':
      return parseDate(text)
    case 'timestamp':
    case 'timestamp_ntz':
      return parseTimestamp(text)
    case 'binary':
      return new TextEncoder().encode(text)
    case 'void':
    case 'variant':
      return null
  }
}

function parseInteger(text: string, bits: number): number | null {
  if (!/^[+-]?\d{1,10}$/.test(text)) return null
  const value = Number(text)
  const limit = 2 ** (bits - 1)
  return value >= -limit && value < limit ? value : null
}

function parseJavaNumber(text: string): number | null {
  if (text === 'NaN') return Number.NaN
  if (/^[+-]?Infinity$/.test(text))
    return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
  return /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[dDfF]?$/.test(text)
    ? Number(text.replace(/[dDfF]$/, ''))
    : null
}

/** A number as Java's `toString` writes it: `1.0`, `0.001`, `1.0E10`, `-0.0`. */
export function formatJavaNumber(value: number, isFloat: boolean): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity'
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  if (value === 0) return `${sign}0.0`
  const shortest = isFloat ? shortestFloat(Math.abs(value)) : Math.abs(value).toExponential()
  const [mantissa, exponentText] = shortest.split('e') as [string, string]
  const digits = mantissa.replace('.', '')
  const exponent = Number(exponentText)
  if (exponent < -3 || exponent >= 7) return `${sign}${digits[0]}.${digits.slice(1) || '0'}E${exponent}`
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0')
  return `${sign}${whole}.${digits.slice(exponent + 1) || '0'}`
}

/** The fewest digits that are this 32-bit float and no other. */
function shortestFloat(value: number): string {
  for (let fractionDigits = 0; fractionDigits < 8; fractionDigits++) {
    const text = value.toExponential(fractionDigits)
    if (Math.fround(Number(text)) === value) return text
  }
  return value.toExponential(8)
}

function decodeBinary(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw new DeltaLakeError('DELTA_SCHEMA_INVALID', 'a binary partition value is not UTF-8', {
      hint: 'partition by another column: bytes that are no text have no partition value',
      cause,
    })
  }
}
