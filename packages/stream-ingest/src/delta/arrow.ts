/**
 * Arrow types for users: columns are Arrow-layout buffers already, so a record batch wraps them and copies nothing.
 *
 * `apache-arrow` is imported here and nowhere else.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { StructType, DataType as TableType } from '@stream-ingest/delta'
import type { Column, ColumnBatch } from '@stream-ingest/delta/column'
import type {
  Data,
  DataType,
  Decimal,
  Field,
  Int32,
  List,
  Map_,
  RecordBatch,
  Schema,
  Struct,
  Utf8,
} from 'apache-arrow'

export type { RecordBatch, Schema } from 'apache-arrow'

const DECIMAL_BITS = 128

type Arrow = typeof import('apache-arrow')
let arrow: Arrow | null = null

/**
 * The library, loaded at the first call: it costs 150 ms and 20 MB that nobody needs who moves topics into tables. By
 * its ES module's file, so that its classes are those that a user's `import` gives.
 */
function loadArrow(): Arrow {
  arrow ??= createRequire(import.meta.url)(fileURLToPath(import.meta.resolve('apache-arrow'))) as Arrow
  return arrow
}

/** The Arrow schema of a table's columns. `void` and `variant` columns have no Arrow form and are left out. */
export function arrowSchemaOf(schema: StructType): Schema {
  return new (loadArrow().Schema)(arrowFields(schema))
}

/** Wraps a batch. The buffers are shared: neither side may write to them afterwards. */
export function arrowBatchOf(batch: ColumnBatch): RecordBatch {
  const { RecordBatch, Struct, makeData } = loadArrow()
  const schema = arrowSchemaOf(batch.schema)
  const children = arrowChildren(batch.columns, schema.fields)
  return new RecordBatch(
    schema,
    makeData({ type: new Struct(schema.fields), length: batch.rowCount, nullCount: 0, children }),
  )
}

function arrowChildren(columns: readonly Column[], fields: readonly Field[]): Data[] {
  // A batch of columns that have no Arrow form cannot be built: both lists leave out the same.
  assert.equal(columns.length, fields.length)
  return columns.map((column, i) => arrowDataOf(column, fields[i]!.type))
}

function arrowFields(schema: StructType): Field[] {
  const { Field } = loadArrow()
  const fields: Field[] = []
  for (const { name, type, nullable } of schema.fields) {
    const arrowType = arrowTypeOf(type)
    if (arrowType !== null) fields.push(new Field(name, arrowType, nullable))
  }
  return fields
}

function arrowTypeOf(type: TableType): DataType | null {
  const { Decimal, Field, List, Map_, Struct } = loadArrow()
  switch (type.kind) {
    case 'decimal':
      return new Decimal(type.scale, type.precision, DECIMAL_BITS)
    case 'array': {
      const element = arrowTypeOf(type.element)
      return element === null ? null : new List(new Field('element', element, type.containsNull))
    }
    case 'map': {
      const key = arrowTypeOf(type.key)
      const value = arrowTypeOf(type.value)
      if (key === null || value === null) return null
      const entries = new Struct<{ key: DataType; value: DataType }>([
        new Field('key', key, false),
        new Field('value', value, type.valueContainsNull),
      ])
      return new Map_(new Field('entries', entries, false))
    }
    case 'struct':
      return new Struct(arrowFields(type))
    case 'primitive':
      return arrowPrimitive(type.name)
  }
}

function arrowPrimitive(name: (TableType & { kind: 'primitive' })['name']): DataType | null {
  const arrow = loadArrow()
  switch (name) {
    case 'boolean':
      return new arrow.Bool()
    case 'byte':
      return new arrow.Int8()
    case 'short':
      return new arrow.Int16()
    case 'integer':
      return new arrow.Int32()
    case 'long':
      return new arrow.Int64()
    case 'float':
      return new arrow.Float32()
    case 'double':
      return new arrow.Float64()
    case 'string':
      return new arrow.Utf8()
    case 'binary':
      return new arrow.Binary()
    case 'date':
      return new arrow.DateDay()
    case 'timestamp':
      return new arrow.TimestampMicrosecond('UTC')
    case 'timestamp_ntz':
      return new arrow.TimestampMicrosecond()
    case 'void':
    case 'variant':
      return null
  }
}

function arrowDataOf(column: Column, type: DataType): Data {
  const { makeData } = loadArrow()
  const { length, nullCount, validity: nullBitmap } = column
  const base = { length, nullCount, nullBitmap }
  switch (column.kind) {
    case 'binary':
      return makeData({ ...base, type: type as Utf8, valueOffsets: column.offsets, data: column.data })
    case 'list': {
      const list = type as List
      const child = arrowDataOf(column.element, list.children[0]!.type)
      return makeData({ ...base, type: list, valueOffsets: column.offsets, child })
    }
    case 'map': {
      const map = type as Map_
      const entries = map.children[0]!.type as Struct
      const child = makeData({
        type: entries,
        length: column.key.length,
        nullCount: 0,
        children: [
          arrowDataOf(column.key, entries.children[0]!.type),
          arrowDataOf(column.value, entries.children[1]!.type),
        ],
      })
      return makeData({ ...base, type: map, valueOffsets: column.offsets, child })
    }
    case 'struct': {
      const struct = type as Struct
      const children = arrowChildren(column.fields, struct.children)
      return makeData({ ...base, type: struct, children })
    }
    case 'decimal128':
      // Arrow's JavaScript keeps a decimal as four 32-bit words over the same bytes.
      return makeData({ ...base, type: type as Decimal, data: words(column.values) })
    default:
      return makeData({ ...base, type: type as Int32, data: column.values as Int32Array })
  }
}

function words(values: BigInt64Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length * 2)
}
