/**
 * Delta types for numbers of JSON: of a new column, and of one that does not hold them.
 *
 * @module
 */
import { type DataType, decimal, primitive } from '@stream-ingest/delta'
import type { NumberShape } from './json-shape.ts'

/** For integers beyond 64 bits: as many digits as a decimal can have. */
const WIDE_INTEGER = decimal(38, 0)
const LONG_MIN = -(2n ** 63n)
const LONG_MAX = 2n ** 63n - 1n

/** The type of a new column for the numbers. */
export function typeOfNumbers({ areIntegers, fitDouble, min, max, wholeDigits }: NumberShape): DataType {
  if (!areIntegers) return primitive(fitDouble ? 'double' : 'string')
  if (min >= LONG_MIN && max <= LONG_MAX) return primitive('long')
  return wholeDigits <= WIDE_INTEGER.precision ? WIDE_INTEGER : primitive('string')
}

/** What a column of integers that no table has yet becomes instead. */
export function unsettledType(type: DataType, shape: NumberShape): DataType | null {
  if (type.kind !== 'primitive' || type.name !== 'long') return null
  if (shape.hasFraction) return shape.fitDouble ? primitive('double') : null
  if (shape.min >= LONG_MIN && shape.max <= LONG_MAX) return null
  return shape.wholeDigits <= WIDE_INTEGER.precision ? WIDE_INTEGER : null
}

const INTEGER_BITS = { byte: 8n, short: 16n, integer: 32n, long: 64n } as const

/** The narrowest type like the column's that holds the numbers; null where the column's does, or none does. */
export function neededType(type: DataType, shape: NumberShape): DataType | null {
  if (type.kind === 'decimal') {
    const scale = Math.max(type.scale, shape.scale)
    const precision = Math.max(type.precision - type.scale, shape.wholeDigits) + scale
    if (precision > WIDE_INTEGER.precision || (scale === type.scale && precision === type.precision))
      return null
    return decimal(precision, scale)
  }
  if (type.kind !== 'primitive' || !Object.hasOwn(INTEGER_BITS, type.name) || shape.hasFraction) return null
  for (const [name, bits] of Object.entries(INTEGER_BITS)) {
    const bound = 2n ** (bits - 1n)
    if (shape.min >= -bound && shape.max < bound) return primitive(name as keyof typeof INTEGER_BITS)
  }
  return null
}
