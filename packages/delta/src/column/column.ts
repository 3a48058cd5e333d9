/**
 * Arrow-layout columns: what the decoder fills, the Parquet encoder reads and `apache-arrow` can wrap without a copy.
 *
 * Arrow Columnar Format › Physical Memory Layout. Buffers are little-endian. `validity` has bit `i` (least significant
 * first) set where row `i` has a value; null where no row is null. Values under a null are unspecified.
 *
 * @module
 */
import type { ArrayType, DataType, DecimalType, MapType, PrimitiveType, StructType } from '../schema.ts'

interface ColumnBase {
  readonly length: number
  readonly nullCount: number
  readonly validity: Uint8Array | null
}

/** One bit a row, least significant first. */
export interface BooleanColumn extends ColumnBase {
  readonly kind: 'boolean'
  readonly type: PrimitiveType
  readonly values: Uint8Array
}

export interface Int8Column extends ColumnBase {
  readonly kind: 'int8'
  readonly type: PrimitiveType
  readonly values: Int8Array
}

export interface Int16Column extends ColumnBase {
  readonly kind: 'int16'
  readonly type: PrimitiveType
  readonly values: Int16Array
}

/** `integer`, and `date` as days since 1970-01-01. */
export interface Int32Column extends ColumnBase {
  readonly kind: 'int32'
  readonly type: PrimitiveType
  readonly values: Int32Array
}

/** `long`, and `timestamp` / `timestamp_ntz` as microseconds since the epoch. */
export interface Int64Column extends ColumnBase {
  readonly kind: 'int64'
  readonly type: PrimitiveType
  readonly values: BigInt64Array
}

export interface Float32Column extends ColumnBase {
  readonly kind: 'float32'
  readonly type: PrimitiveType
  readonly values: Float32Array
}

export interface Float64Column extends ColumnBase {
  readonly kind: 'float64'
  readonly type: PrimitiveType
  readonly values: Float64Array
}

/** The unscaled value in 128 bits, two's complement: words `2i` (low, unsigned) and `2i + 1` (high, signed). */
export interface DecimalColumn extends ColumnBase {
  readonly kind: 'decimal128'
  readonly type: DecimalType
  readonly values: BigInt64Array
}

/** `string` (UTF-8) and `binary`: row `i` is `data[offsets[i], offsets[i + 1])`. */
export interface BinaryColumn extends ColumnBase {
  readonly kind: 'binary'
  readonly type: PrimitiveType
  readonly offsets: Int32Array
  readonly data: Uint8Array
}

export interface ListColumn extends ColumnBase {
  readonly kind: 'list'
  readonly type: ArrayType
  readonly offsets: Int32Array
  readonly element: Column
}

export interface MapColumn extends ColumnBase {
  readonly kind: 'map'
  readonly type: MapType
  readonly offsets: Int32Array
  readonly key: Column
  readonly value: Column
}

/** Children have the struct's length; under a null struct they hold a null, or any value where not nullable. */
export interface StructColumn extends ColumnBase {
  readonly kind: 'struct'
  readonly type: StructType
  readonly fields: readonly Column[]
}

export type Column =
  | BooleanColumn
  | Int8Column
  | Int16Column
  | Int32Column
  | Int64Column
  | Float32Column
  | Float64Column
  | DecimalColumn
  | BinaryColumn
  | ListColumn
  | MapColumn
  | StructColumn

/** Rows as columns: `columns[i]` belongs to `schema.fields[i]`, each `rowCount` long. */
export interface ColumnBatch {
  readonly schema: StructType
  readonly rowCount: number
  readonly columns: readonly Column[]
}

/** The columnar kind that holds a type. `void` and `variant` have none: such columns are not written. */
export function columnKindOf(type: DataType): Column['kind'] | null {
  switch (type.kind) {
    case 'decimal':
      return 'decimal128'
    case 'array':
      return 'list'
    case 'map':
      return 'map'
    case 'struct':
      return 'struct'
    case 'primitive':
      switch (type.name) {
        case 'boolean':
          return 'boolean'
        case 'byte':
          return 'int8'
        case 'short':
          return 'int16'
        case 'integer':
        case 'date':
          return 'int32'
        case 'long':
        case 'timestamp':
        case 'timestamp_ntz':
          return 'int64'
        case 'float':
          return 'float32'
        case 'double':
          return 'float64'
        case 'string':
        case 'binary':
          return 'binary'
        case 'void':
        case 'variant':
          return null
      }
  }
}

export function isNullAt(column: ColumnBase, index: number): boolean {
  return column.validity !== null && ((column.validity[index >> 3]! >> (index & 7)) & 1) === 0
}
