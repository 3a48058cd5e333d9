/**
 * Builders whose schema becomes wider while rows are in them: new columns get nulls for the rows that there are, numbers
 * move to a wider type. Nothing is decoded again.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { DataType, DecimalType, StructType } from '../schema.ts'
import { formatDataType } from '../schema-codec.ts'
import {
  BatchBuilder,
  type ColumnBuilder,
  createColumnBuilder,
  DecimalBuilder,
  Int64Builder,
  ListBuilder,
  MapBuilder,
  NumberBuilder,
  StructBuilder,
} from './column-builder.ts'

/**
 * A builder of `schema` with the rows of `batch`. Columns whose type stays are the same objects in both, so that only one
 * of the two may be appended to; the other can take its place again once these columns are as they were.
 *
 * @param schema has each field of the batch's schema, with its type or a wider one
 * @returns null where a number that is there already is not exact in the wider type: a long of more than 53 bits in a
 *   double
 */
export function evolveBatchBuilder(batch: BatchBuilder, schema: StructType): BatchBuilder | null {
  const columns = evolveFields(batch.schema, batch.columns, schema, batch.rowCount)
  if (columns === null) return null
  const evolved = new BatchBuilder(schema, columns)
  evolved.rowCount = batch.rowCount
  return evolved
}

function evolveFields(
  from: StructType,
  builders: readonly ColumnBuilder[],
  to: StructType,
  length: number,
): ColumnBuilder[] | null {
  const byName = new Map(from.fields.map(({ name }, i) => [name, builders[i]!]))
  const evolved: ColumnBuilder[] = []
  for (const { name, type } of to.fields) {
    const builder = byName.get(name)
    byName.delete(name)
    const next = builder === undefined ? nulls(type, length) : evolveBuilder(builder, type)
    if (next === null) return null
    evolved.push(next)
  }
  assert(byName.size === 0, 'a wider schema has every field of the narrower one')
  return evolved
}

function nulls(type: DataType, length: number): ColumnBuilder {
  const builder = createColumnBuilder(type)
  for (let i = 0; i < length; i++) builder.appendNull()
  return builder
}

function evolveBuilder(builder: ColumnBuilder, type: DataType): ColumnBuilder | null {
  if (builder.type === type || formatDataType(builder.type) === formatDataType(type)) return builder
  if (builder instanceof StructBuilder && type.kind === 'struct') {
    const fields = evolveFields(builder.type, builder.fields, type, builder.length)
    return fields === null ? null : builder.withFields(type, fields)
  }
  if (builder instanceof ListBuilder && type.kind === 'array') {
    const element = evolveBuilder(builder.element, type.element)
    return element === null ? null : builder.withElement(type, element)
  }
  if (builder instanceof MapBuilder && type.kind === 'map') {
    const key = evolveBuilder(builder.key, type.key)
    const value = evolveBuilder(builder.value, type.value)
    return key === null || value === null ? null : builder.withEntries(type, key, value)
  }
  return widenNumbers(builder, createColumnBuilder(type))
}

function widenNumbers(from: ColumnBuilder, to: ColumnBuilder): ColumnBuilder | null {
  const append = widening(from, to)
  for (let i = 0; i < from.length; i++) {
    if (from.isNullAt(i)) to.appendNull()
    else if (!append(i)) return null
  }
  return to
}

/** Appends the value of a row; false where the wider type does not hold it exactly. */
function widening(from: ColumnBuilder, to: ColumnBuilder): (row: number) => boolean {
  if (from instanceof Int64Builder && to instanceof NumberBuilder) {
    return row => {
      const value = from.numberAt(row)
      if (!Number.isSafeInteger(value)) return false
      to.append(value)
      return true
    }
  }
  const append = exactWidening(from, to)
  return row => {
    append(row)
    return true
  }
}

function exactWidening(from: ColumnBuilder, to: ColumnBuilder): (row: number) => void {
  if (to instanceof DecimalBuilder) {
    const unscaledAt = unscaledValues(from, to.type.scale)
    return row => to.append(unscaledAt(row))
  }
  assert(
    from instanceof NumberBuilder,
    `no way from ${formatDataType(from.type)} to ${formatDataType(to.type)}`,
  )
  if (to instanceof Int64Builder) return row => to.appendNumber(from.at(row))
  assert(
    to instanceof NumberBuilder,
    `no way from ${formatDataType(from.type)} to ${formatDataType(to.type)}`,
  )
  return row => to.append(from.at(row))
}

/** Values as integers of `scale` digits after the point. */
function unscaledValues(from: ColumnBuilder, scale: number): (row: number) => bigint {
  const factor = 10n ** BigInt(scale)
  if (from instanceof NumberBuilder) return i => BigInt(from.at(i)) * factor
  if (from instanceof Int64Builder) return i => from.at(i) * factor
  assert(from instanceof DecimalBuilder, `no way from ${formatDataType(from.type)} to a decimal`)
  const own: DecimalType = from.type
  const rescale = 10n ** BigInt(scale - own.scale)
  return i => from.at(i) * rescale
}
