/**
 * Which type holds all values of two: the type changes that a table may make without rewriting its files.
 *
 * PROTOCOL.md › Type Widening. A change is recorded in `delta.typeChanges` of the nearest field, so that readers know
 * that older files hold the narrower type.
 *
 * @module
 */

import type { DataType, DecimalType, PrimitiveName } from './schema.ts'
import { decimal } from './schema.ts'
import { DECIMAL_PRECISION_MAX, formatDataType } from './schema-codec.ts'

export const TYPE_CHANGES_KEY = 'delta.typeChanges'

/** An entry of `delta.typeChanges`. */
export interface TypeChange {
  readonly fromType: string
  readonly toType: string
  /** Where the type stands inside the field: `element`, `key`, `value.element`; absent for the field's own type. */
  readonly fieldPath?: string
}

export function typeChange(from: DataType, to: DataType, fieldPath: readonly string[]): TypeChange {
  return {
    fromType: formatDataType(from),
    toType: formatDataType(to),
    ...(fieldPath.length === 0 ? {} : { fieldPath: fieldPath.join('.') }),
  }
}

/** Narrowest first. */
const INTEGERS: readonly PrimitiveName[] = ['byte', 'short', 'integer', 'long']
/** Digits that hold every value of the integer type. */
const INTEGER_DIGITS: ReadonlyMap<PrimitiveName, number> = new Map([
  ['byte', 10],
  ['short', 10],
  ['integer', 10],
  ['long', 20],
])

/** Are the types, neither of them a struct, an array or a map, the same? */
export function sameSimpleType(a: DataType, b: DataType): boolean {
  return formatDataType(a) === formatDataType(b)
}

/**
 * The type that a table column takes so that it can hold values of `incoming` too.
 *
 * - `keep`: the table's type holds them already, perhaps after a cast that loses nothing;
 * - `widen`: the narrowest type that holds both; `needsFeature` where other engines read it only with type widening.
 *   Byte, short and integer are one type in Parquet, so that widening among them asks nothing of a reader;
 * - null: no type holds both, or only one that a person should choose (an integer that becomes a decimal).
 */
export function widerType(
  table: DataType,
  incoming: DataType,
): { status: 'keep' } | { status: 'widen'; type: DataType; needsFeature: boolean } | null {
  if (holds(table, incoming)) return { status: 'keep' }
  if (table.kind === 'decimal' && incoming.kind === 'decimal') {
    const type = commonDecimal(table, incoming)
    return type === null ? null : { status: 'widen', type, needsFeature: true }
  }
  if (table.kind !== 'primitive' || incoming.kind !== 'primitive') return null
  if (INTEGERS.includes(table.name) && INTEGERS.includes(incoming.name)) {
    return { status: 'widen', type: incoming, needsFeature: incoming.name === 'long' }
  }
  const isSafe =
    (table.name === 'float' && incoming.name === 'double') ||
    (table.name === 'date' && incoming.name === 'timestamp_ntz')
  return isSafe ? { status: 'widen', type: incoming, needsFeature: true } : null
}

/** Does `wide` hold every value of `narrow`, as the protocol defines it? */
function holds(wide: DataType, narrow: DataType): boolean {
  if (sameSimpleType(wide, narrow)) return true
  if (wide.kind === 'decimal' && narrow.kind === 'decimal') {
    return wide.scale >= narrow.scale && wide.precision - wide.scale >= narrow.precision - narrow.scale
  }
  if (narrow.kind !== 'primitive') return false
  const digits = INTEGER_DIGITS.get(narrow.name)
  if (wide.kind === 'decimal') return digits !== undefined && wide.precision - wide.scale >= digits
  if (wide.kind !== 'primitive') return false
  switch (wide.name) {
    case 'short':
    case 'integer':
    case 'long':
      return INTEGERS.includes(narrow.name) && INTEGERS.indexOf(narrow.name) < INTEGERS.indexOf(wide.name)
    case 'double':
      return narrow.name === 'float' || (digits !== undefined && narrow.name !== 'long')
    case 'timestamp_ntz':
      return narrow.name === 'date'
    default:
      return false
  }
}

function commonDecimal(a: DecimalType, b: DecimalType): DecimalType | null {
  const scale = Math.max(a.scale, b.scale)
  const precision = Math.max(a.precision - a.scale, b.precision - b.scale) + scale
  return precision > DECIMAL_PRECISION_MAX ? null : decimal(precision, scale)
}
