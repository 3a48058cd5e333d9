/**
 * Columns of a narrower type as columns of a wider one: what rows need whose table was widened since they were decoded.
 *
 * PROTOCOL.md › Type Widening. Every value of the narrower type is one of the wider: nothing is lost or refused.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { DataType, StructType } from '../schema.ts'
import { formatDataType } from '../schema-codec.ts'
import { type Column, type ColumnBatch, columnKindOf } from './column.ts'
import { columnValue } from './value.ts'

const MICROS_PER_DAY = 86_400_000_000n

/**
 * The batch under another schema: the same fields in the same order, each of the same type or a wider one. Buffers of
 * columns that stay as they are are shared.
 */
export function castBatch(batch: ColumnBatch, schema: StructType): ColumnBatch {
  assert.equal(schema.fields.length, batch.columns.length)
  const columns = batch.columns.map((column, i) => castColumn(column, schema.fields[i]!.type))
  return { schema, rowCount: batch.rowCount, columns }
}

/** As {@link castBatch} for one column. */
export function castColumn(column: Column, type: DataType): Column {
  switch (column.kind) {
    case 'struct':
      assert(type.kind === 'struct' && type.fields.length === column.fields.length)
      return {
        ...column,
        type,
        fields: column.fields.map((child, i) => castColumn(child, type.fields[i]!.type)),
      }
    case 'list':
      assert(type.kind === 'array')
      return { ...column, type, element: castColumn(column.element, type.element) }
    case 'map':
      assert(type.kind === 'map')
      return {
        ...column,
        type,
        key: castColumn(column.key, type.key),
        value: castColumn(column.value, type.value),
      }
    default:
      return formatDataType(column.type) === formatDataType(type) ? column : castSimple(column, type)
  }
}

type SimpleColumn = Exclude<Column, { readonly kind: 'struct' | 'list' | 'map' }>

function castSimple(column: SimpleColumn, type: DataType): Column {
  const { length, nullCount, validity } = column
  const base = { length, nullCount, validity }
  if (type.kind === 'decimal')
    return { ...base, kind: 'decimal128', type, values: asDecimal(column, type.scale) }
  assert(type.kind === 'primitive')
  const kind = columnKindOf(type)
  if (column.kind === 'int32' && column.type.name === 'date') {
    // A date of the years that a timestamp has: 290 000 before and after 1970.
    assert(type.name === 'timestamp_ntz')
    return { ...base, kind: 'int64', type, values: bigints(column.values, day => day * MICROS_PER_DAY) }
  }
  assert(
    column.kind === 'int8' || column.kind === 'int16' || column.kind === 'int32' || column.kind === 'float32',
    `a ${column.kind} column does not become ${type.name}`,
  )
  const { values } = column
  switch (kind) {
    case 'int16':
      return { ...base, kind, type, values: Int16Array.from(values) }
    case 'int32':
      return { ...base, kind, type, values: Int32Array.from(values) }
    case 'int64':
      return { ...base, kind, type, values: bigints(values, value => value) }
    case 'float64':
      return { ...base, kind, type, values: Float64Array.from(values) }
    default:
      throw new assert.AssertionError({ message: `a ${column.kind} column does not become ${type.name}` })
  }
}

function bigints(values: ArrayLike<number>, of: (value: bigint) => bigint): BigInt64Array {
  const made = new BigInt64Array(values.length)
  for (let i = 0; i < values.length; i++) made[i] = of(BigInt(Math.trunc(values[i]!)))
  return made
}

/** Unscaled values in 128 bits. Those under a null are of no matter, and stay zero. */
function asDecimal(column: SimpleColumn, scale: number): BigInt64Array {
  const factor = 10n ** BigInt(scale - (column.type.kind === 'decimal' ? column.type.scale : 0))
  const made = new BigInt64Array(column.length * 2)
  for (let i = 0; i < column.length; i++) {
    const value = columnValue(column, i)
    if (value === null) continue
    assert(
      typeof value === 'number' || typeof value === 'bigint',
      `no decimal comes of a ${column.kind} column`,
    )
    const unscaled = BigInt(value) * factor
    made[2 * i] = BigInt.asIntN(64, unscaled)
    made[2 * i + 1] = unscaled >> 64n
  }
  return made
}
