/**
 * From what a Parquet leaf holds to the values of a Delta type.
 *
 * parquet-format › Logical Types; PROTOCOL.md › Type Widening. Values come in the shapes of `columnValue`: `long`,
 * timestamps and decimals as bigint, dates as days. A file may hold a narrower type than the table has since a column was
 * widened, and timestamps in any of the units that engines have written.
 *
 * @module
 */
import type { SchemaElement } from 'hyparquet'
import { floorDiv } from '../calendar.ts'
import type { DataType, DecimalType } from '../schema.ts'

/** Converts decoded values; may give the array that it got. */
export type ValueConversion = (values: ArrayLike<unknown>) => ArrayLike<unknown>

/** `bytes`: of strings too, as views of the page: for who copies them on at once. */
export type TextForm = 'string' | 'bytes'

const MICROS_PER_DAY = 86_400_000_000n
const NANOS_PER_DAY = 86_400_000_000_000n
/** 1970-01-01 as a Julian day, from which INT96 counts. */
const JULIAN_EPOCH_DAY = 2_440_588n
const LOW_64_BITS = 0xffff_ffff_ffff_ffffn

/**
 * The conversion of a leaf.
 *
 * @returns null where the leaf cannot hold values of the type
 */
export function valueConversion(
  element: SchemaElement,
  type: DataType,
  textForm: TextForm = 'string',
): ValueConversion | null {
  if (type.kind === 'decimal') return decimalConversion(element, type)
  if (type.kind !== 'primitive') return null
  const physical = element.type
  switch (type.name) {
    case 'boolean':
      return physical === 'BOOLEAN' ? same : null
    case 'byte':
    case 'short':
    case 'integer':
    case 'date':
      return physical === 'INT32' ? same : null
    case 'long':
      return integerConversion(element)
    case 'float':
      return physical === 'FLOAT' ? same : null
    case 'double':
      return physical === 'DOUBLE' || physical === 'FLOAT' || physical === 'INT32' ? same : null
    case 'timestamp':
    case 'timestamp_ntz':
      return timestampConversion(element)
    case 'string':
      if (!isBytes(element)) return null
      return textForm === 'bytes' ? same : each(value => decodeText(value as Uint8Array))
    case 'binary':
      if (!isBytes(element)) return null
      // A view would keep the whole page in memory.
      return textForm === 'bytes' ? same : each(value => (value as Uint8Array).slice())
    case 'void':
    case 'variant':
      return null
  }
}

function integerConversion(element: SchemaElement): ValueConversion | null {
  if (element.type === 'INT64') return same
  if (element.type !== 'INT32') return null
  return element.converted_type === 'UINT_32'
    ? each(value => BigInt((value as number) >>> 0))
    : each(value => BigInt(value as number))
}

function timestampConversion(element: SchemaElement): ValueConversion | null {
  switch (element.type) {
    case 'INT96':
      return each(value => floorDiv(int96Nanos(value as bigint), 1000n))
    case 'INT64':
      break
    case 'INT32':
      // A date that was widened to a timestamp without zone.
      return element.converted_type === 'DATE'
        ? each(value => BigInt(value as number) * MICROS_PER_DAY)
        : null
    default:
      return null
  }
  const logical = element.logical_type
  const unit = logical?.type === 'TIMESTAMP' ? logical.unit : element.converted_type
  if (unit === 'MILLIS' || unit === 'TIMESTAMP_MILLIS') return each(value => (value as bigint) * 1000n)
  return unit === 'NANOS' ? each(value => floorDiv(value as bigint, 1000n)) : same
}

/** Nanoseconds of the day in the low 64 bits, the Julian day above them. */
function int96Nanos(value: bigint): bigint {
  return ((value >> 64n) - JULIAN_EPOCH_DAY) * NANOS_PER_DAY + (value & LOW_64_BITS)
}

/** Integers count as decimals of scale 0: what they were before the column was widened. */
function decimalConversion(element: SchemaElement, type: DecimalType): ValueConversion | null {
  const logical = element.logical_type
  const fileScale = element.scale ?? (logical?.type === 'DECIMAL' ? logical.scale : 0)
  if (fileScale > type.scale) return null
  const factor = 10n ** BigInt(type.scale - fileScale)
  const scaled = (unscaled: bigint): bigint => (factor === 1n ? unscaled : unscaled * factor)
  switch (element.type) {
    case 'INT32':
      return each(value => scaled(BigInt(value as number)))
    case 'INT64':
      return factor === 1n ? same : each(value => scaled(value as bigint))
    case 'BYTE_ARRAY':
    case 'FIXED_LEN_BYTE_ARRAY':
      return each(value => scaled(bigEndian(value as Uint8Array)))
    default:
      return null
  }
}

/** Two's complement, the most significant byte first. */
function bigEndian(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let value = bytes.length > 0 && bytes[0]! >= 0x80 ? -1n : 0n
  let offset = 0
  for (; offset + 8 <= bytes.length; offset += 8) value = (value << 64n) | view.getBigUint64(offset)
  for (; offset < bytes.length; offset++) value = (value << 8n) | BigInt(bytes[offset]!)
  return value
}

function isBytes(element: SchemaElement): boolean {
  return element.type === 'BYTE_ARRAY' || element.type === 'FIXED_LEN_BYTE_ARRAY'
}

// A byte order mark is part of the value.
const utf8Decoder = new TextDecoder('utf-8', { ignoreBOM: true })

function decodeText(bytes: Uint8Array): string {
  return utf8Decoder.decode(bytes)
}

function same(values: ArrayLike<unknown>): ArrayLike<unknown> {
  return values
}

function each(convert: (value: unknown) => unknown): ValueConversion {
  return values => {
    const converted = new Array<unknown>(values.length)
    for (let i = 0; i < values.length; i++) converted[i] = convert(values[i])
    return converted
  }
}
