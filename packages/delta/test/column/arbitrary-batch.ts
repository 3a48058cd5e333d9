/**
 * Random schemas, rows that fit them, and batches built from rows: for property tests.
 *
 * @module
 */
import fc from 'fast-check'
import { appendFields } from '../../src/column/append-value.ts'
import { BatchBuilder, type ColumnBatch } from '../../src/column/index.ts'
import {
  array,
  type DataType,
  decimal,
  field,
  map,
  type PrimitiveName,
  primitive,
  type StructType,
  struct,
} from '../../src/schema.ts'

export type Row = Record<string, unknown>

const PRIMITIVES: readonly PrimitiveName[] = [
  'string',
  'long',
  'integer',
  'short',
  'byte',
  'float',
  'double',
  'boolean',
  'binary',
  'date',
  'timestamp',
  'timestamp_ntz',
]

const arbitraryLeaf: fc.Arbitrary<DataType> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...PRIMITIVES).map(primitive) },
  {
    weight: 1,
    arbitrary: fc
      .integer({ min: 1, max: 38 })
      .chain(precision => fc.integer({ min: 0, max: precision }).map(scale => decimal(precision, scale))),
  },
)

export function arbitraryType(depth: number): fc.Arbitrary<DataType> {
  if (depth === 0) return arbitraryLeaf
  return fc.oneof(
    { weight: 3, arbitrary: arbitraryLeaf },
    { weight: 1, arbitrary: fc.tuple(arbitraryType(depth - 1), fc.boolean()).map(([t, n]) => array(t, n)) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(arbitraryLeaf, arbitraryType(depth - 1), fc.boolean())
        .map(([k, v, n]) => map(k, v, n)),
    },
    { weight: 1, arbitrary: arbitrarySchema(depth - 1, 3) },
  )
}

export function arbitrarySchema(depth: number, fieldsMax = 4): fc.Arbitrary<StructType> {
  return fc
    .array(fc.tuple(arbitraryType(depth), fc.boolean()), { minLength: 1, maxLength: fieldsMax })
    .map(types => struct(types.map(([type, nullable], i) => field(`f${i}`, type, nullable))))
}

/** A value in the shape of `columnValue`. */
export function arbitraryValue(type: DataType, nullable: boolean): fc.Arbitrary<unknown> {
  const value = presentValue(type)
  return nullable ? fc.option(value, { nil: null, freq: 3 }) : value
}

function presentValue(type: DataType): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case 'decimal': {
      const limit = 10n ** BigInt(type.precision) - 1n
      return fc.bigInt({ min: -limit, max: limit })
    }
    case 'array':
      return fc.array(arbitraryValue(type.element, type.containsNull), { maxLength: 4 })
    case 'map':
      return fc.array(fc.tuple(presentValue(type.key), arbitraryValue(type.value, type.valueContainsNull)), {
        maxLength: 3,
      })
    case 'struct':
      return arbitraryRow(type)
    case 'primitive':
      switch (type.name) {
        case 'string':
          return fc.oneof(fc.string({ unit: 'binary', maxLength: 8 }), fc.constantFrom('', 'a', 'b'))
        case 'binary':
          return fc.uint8Array({ maxLength: 8 })
        case 'boolean':
          return fc.boolean()
        case 'byte':
          return fc.integer({ min: -128, max: 127 })
        case 'short':
          return fc.integer({ min: -32768, max: 32767 })
        case 'integer':
        case 'date':
          return fc.integer()
        case 'float':
          return fc.float()
        case 'double':
          return fc.double()
        default:
          return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
      }
  }
}

export function arbitraryRow(schema: StructType): fc.Arbitrary<Row> {
  return fc
    .tuple(...schema.fields.map(f => arbitraryValue(f.type, f.nullable)))
    .map(values => Object.fromEntries(schema.fields.map((f, i) => [f.name, values[i]])))
}

export interface BatchCase {
  readonly schema: StructType
  readonly rows: readonly Row[]
}

export function arbitraryBatchCase(
  options: { depth?: number; rowsMin?: number; rowsMax?: number } = {},
): fc.Arbitrary<BatchCase> {
  const { depth = 3, rowsMin = 0, rowsMax = 30 } = options
  return arbitrarySchema(depth).chain(schema =>
    fc
      .array(arbitraryRow(schema), { minLength: rowsMin, maxLength: rowsMax })
      .map(rows => ({ schema, rows })),
  )
}

export function batchOf(schema: StructType, rows: readonly Row[]): ColumnBatch {
  const builder = new BatchBuilder(schema)
  for (const row of rows) {
    appendFields(schema.fields, builder.columns, row)
    builder.endRow()
  }
  return builder.finish()
}
