/**
 * One bound of the statistics, between its JSON and its type.
 *
 * PROTOCOL.md › Per-file Statistics. Writers differ in how they write a bound (a timestamp with or without fractions, a
 * float in more or fewer digits, a decimal as text): bounds of different files compare by type.
 *
 * @module
 */
import { formatDecimal } from './decimal-text.ts'
import { DeltaLakeError } from './error.ts'
import { JsonNumber } from './json.ts'
import { parsePartitionValue } from './partition-value.ts'
import type { DataType } from './schema.ts'
import { dateBound, type StatisticValue, timestampBound } from './statistics.ts'

/** The bound as columns hold values of the type; null where the JSON has none of it, such as `"NaN"`. */
export function typedBound(type: DataType, json: unknown): unknown {
  if (json === null || json === undefined || type.kind === 'struct') return null
  const name = type.kind === 'primitive' ? type.name : null
  if (name === 'string') return typeof json === 'string' ? json : null
  if (typeof json === 'number') {
    if (name === 'long' && Number.isSafeInteger(json)) return json
    if (name === 'double') return Number.isFinite(json) ? json : null
  }
  if (typeof json === 'object' && !(json instanceof JsonNumber)) return null
  const value = parsedText(type, json instanceof JsonNumber ? json.text : String(json))
  // A bound that is no number tells readers nothing, and some trip over it.
  return value === undefined || (typeof value === 'number' && !Number.isFinite(value)) ? null : value
}

/** The text forms of statistics are those of partition values. Undefined where the text does not fit the type. */
export function parsedText(type: DataType, text: string | null): unknown {
  try {
    return parsePartitionValue(type, text)
  } catch (error) {
    if (error instanceof DeltaLakeError) return undefined
    throw error
  }
}

/** A bound as it is written here, whoever wrote it; null where there is none. */
export function canonicalBound(type: DataType, json: unknown, side: 'min' | 'max'): StatisticValue | null {
  const value = typedBound(type, json)
  if (value === null) return null
  if (type.kind === 'decimal') return new JsonNumber(formatDecimal(value as bigint, type.scale))
  switch (type.kind === 'primitive' ? type.name : null) {
    case 'byte':
    case 'short':
    case 'integer':
      return Number(value)
    case 'long':
      return BigInt(value as bigint | number)
    case 'float':
      return signedZero(Math.fround(value as number), side)
    case 'double':
      return signedZero(value as number, side)
    case 'string':
      return value as string
    case 'date':
      return dateBound(value as number)
    case 'timestamp':
      return timestampBound(value as bigint, true)
    case 'timestamp_ntz':
      return timestampBound(value as bigint, false)
    default:
      return null
  }
}

/** Many writers do not tell the zeros apart; some readers do. */
function signedZero(value: number, side: 'min' | 'max'): number {
  return value === 0 ? (side === 'min' ? -0 : 0) : value
}
