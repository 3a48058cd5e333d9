/**
 * Rows for a table of any schema: ordinary values, nulls, and the ends of each type's range, the same for the same number.
 *
 * Instants stay within what every engine holds as nanoseconds of 64 bits.
 *
 * @module
 */
import type { TableRow } from '../../src/operation/scan.ts'
import { formatPartitionValue, type PartitionValue } from '../../src/partition-value.ts'
import type { DataType, StructField, StructType } from '../../src/schema.ts'

const utf8 = new TextEncoder()

/** Row `n`, every column in it. */
export function inventedRow(schema: StructType, n: number): TableRow {
  return Object.fromEntries(schema.fields.map((f, i) => [f.name, fieldValue(f, n + i)]))
}

/** A value for a partition column, and its text in the log. */
export function inventedPartition(
  field: StructField,
  n: number,
): { readonly value: PartitionValue | null; readonly text: string | null } {
  const value = fieldValue(field, n) as PartitionValue | null
  // An empty text is null, whatever the type.
  if (value === '' || (value instanceof Uint8Array && value.length === 0)) return { value: null, text: null }
  return { value, text: formatPartitionValue(field.type, value) }
}

function fieldValue({ type, nullable }: StructField, n: number): unknown {
  return nullable && n % 5 === 0 ? null : typeValue(type, n)
}

function typeValue(type: DataType, n: number): unknown {
  switch (type.kind) {
    case 'struct':
      return Object.fromEntries(type.fields.map((f, i) => [f.name, fieldValue(f, n + i + 1)]))
    case 'array':
      return Array.from({ length: n % 3 }, (_, i) =>
        type.containsNull && i === 1 ? null : typeValue(type.element, n + i),
      )
    case 'map':
      return Array.from({ length: n % 2 === 0 ? 0 : 1 }, (_, i) => [
        typeValue(type.key, n + i),
        type.valueContainsNull && n % 3 === 0 ? null : typeValue(type.value, n + i),
      ])
    case 'decimal': {
      const largest = 10n ** BigInt(type.precision) - 1n
      return pick(n, [0n, 1n, -1n, largest, -largest])
    }
    case 'primitive':
      return primitiveValue(type.name, n)
  }
}

function primitiveValue(name: string, n: number): unknown {
  switch (name) {
    case 'boolean':
      return n % 2 === 0
    case 'byte':
      return pick(n, [0, 1, -1, 127, -128])
    case 'short':
      return pick(n, [0, 1, -1, 32_767, -32_768])
    case 'integer':
      return pick(n, [0, 1, -1, 2_147_483_647, -2_147_483_648])
    case 'long':
      return pick(n, [0n, 1n, -1n, 9_223_372_036_854_775_807n, -9_223_372_036_854_775_808n])
    case 'float':
      return pick(n, [0, 1.5, -0.25, 3.4028234663852886e38, Math.fround(1e-40)])
    case 'double':
      return pick(n, [0, 1.5, -0.1, 1.7976931348623157e308, 5e-324])
    case 'string':
      return pick(n, ['plain', 'ü é 日本', '', 'a"b\\c', '😀 and more than thirty-two characters of text'])
    case 'binary':
      return pick(n, [utf8.encode('bytes'), new Uint8Array(0), utf8.encode('é')])
    case 'date':
      return pick(n, [0, 20_000, -25_000, 80_000])
    case 'timestamp':
    case 'timestamp_ntz':
      return pick(n, [0n, 1_766_000_000_123_456n, -1n, 4_102_444_800_999_999n, -2_000_000_000_000_001n])
    default:
      // `void` holds nothing else.
      return null
  }
}

function pick<T>(n: number, values: readonly T[]): T {
  return values[n % values.length]!
}
