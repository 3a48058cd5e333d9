/**
 * Arrow types for users: columns are Arrow-layout buffers already, so a record batch wraps them and copies nothing.
 *
 * `apache-arrow` is imported here and nowhere else.
 *
 * @module
 */
import type { StructType, DataType as TableType } from '@stream-ingest/delta'
import type { Column, ColumnBatch } from '@stream-ingest/delta/column'
import {
  Binary,
  Bool,
  type Data,
  type DataType,
  DateDay,
  Decimal,
  Field,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  List,
  Map_,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  TimestampMicrosecond,
  Utf8,
} from 'apache-arrow'

const DECIMAL_BITS = 128

/** The Arrow schema of a table's columns. `void` and `variant` columns have no Arrow form and are left out. */
export function arrowSchemaOf(schema: StructType): Schema {
  return new Schema(arrowFields(schema))
}

/** Wraps a batch. The buffers are shared: neither side may write to them afterwards. */
export function arrowBatchOf(batch: ColumnBatch): RecordBatch {
  const schema = arrowSchemaOf(batch.schema)
  const children = batch.columns.map((column, i) => arrowDataOf(column, schema.fields[i]!.type))
  return new RecordBatch(
    schema,
    makeData({ type: new Struct(schema.fields), length: batch.rowCount, nullCount: 0, children }),
  )
}

function arrowFields(schema: StructType): Field[] {
  const fields: Field[] = []
  for (const { name, type, nullable } of schema.fields) {
    const arrowType = arrowTypeOf(type)
    if (arrowType !== null) fields.push(new Field(name, arrowType, nullable))
  }
  return fields
}

function arrowTypeOf(type: TableType): DataType | null {
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
  switch (name) {
    case 'boolean':
      return new Bool()
    case 'byte':
      return new Int8()
    case 'short':
      return new Int16()
    case 'integer':
      return new Int32()
    case 'long':
      return new Int64()
    case 'float':
      return new Float32()
    case 'double':
      return new Float64()
    case 'string':
      return new Utf8()
    case 'binary':
      return new Binary()
    case 'date':
      return new DateDay()
    case 'timestamp':
      return new TimestampMicrosecond('UTC')
    case 'timestamp_ntz':
      return new TimestampMicrosecond()
    case 'void':
    case 'variant':
      return null
  }
}

function arrowDataOf(column: Column, type: DataType): Data {
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
      const children = column.fields.map((f, i) => arrowDataOf(f, struct.children[i]!.type))
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
