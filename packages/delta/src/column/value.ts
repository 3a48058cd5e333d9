/**
 * From a column to JavaScript values: for tests, printing and users' rows, not for the hot path.
 *
 * @module
 */
import { isBitSet } from './bitmap.ts'
import { type Column, type ColumnBatch, isNullAt } from './column.ts'

/**
 * The value of a row, in the shapes that `appendValue` takes: `boolean` → boolean; `byte`, `short`, `integer`, `date`
 * (days since 1970-01-01), `float`, `double` → number; `long`, `timestamp`, `timestamp_ntz` (microseconds) → bigint;
 * decimal → the unscaled bigint (the scale is in the type); `string` → string; `binary` → a copy as `Uint8Array`;
 * array → array; map → `[key, value]` entries in their order, repeated keys included; struct → plain object.
 */
export function columnValue(column: Column, index: number): unknown {
  if (isNullAt(column, index)) return null
  switch (column.kind) {
    case 'boolean':
      return isBitSet(column.values, index)
    case 'int8':
    case 'int16':
    case 'int32':
    case 'int64':
    case 'float32':
    case 'float64':
      return column.values[index]!
    case 'decimal128':
      return (column.values[index * 2 + 1]! << 64n) | BigInt.asUintN(64, column.values[index * 2]!)
    case 'binary': {
      const bytes = column.data.subarray(column.offsets[index]!, column.offsets[index + 1]!)
      return column.type.name === 'string' ? utf8Decoder.decode(bytes) : bytes.slice()
    }
    case 'list': {
      const elements: unknown[] = []
      const end = column.offsets[index + 1]!
      for (let i = column.offsets[index]!; i < end; i++) elements.push(columnValue(column.element, i))
      return elements
    }
    case 'map': {
      const entries: [unknown, unknown][] = []
      const end = column.offsets[index + 1]!
      for (let i = column.offsets[index]!; i < end; i++) {
        entries.push([columnValue(column.key, i), columnValue(column.value, i)])
      }
      return entries
    }
    case 'struct':
      // fromEntries defines properties, so that a field named `__proto__` is one like any other.
      return Object.fromEntries(
        column.type.fields.map((field, i) => [field.name, columnValue(column.fields[i]!, index)]),
      )
  }
}

/** A row as a plain object by column name. */
export function batchRow(batch: ColumnBatch, index: number): Record<string, unknown> {
  return Object.fromEntries(
    batch.schema.fields.map((field, i) => [field.name, columnValue(batch.columns[i]!, index)]),
  )
}

// A byte order mark is part of the value.
const utf8Decoder = new TextDecoder('utf-8', { ignoreBOM: true })
