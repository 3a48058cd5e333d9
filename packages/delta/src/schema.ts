/**
 * The table schema: Delta data types and their JSON form.
 *
 * PROTOCOL.md › Schema Serialization Format.
 *
 * @module
 */

export type PrimitiveName =
  | 'string'
  | 'long'
  | 'integer'
  | 'short'
  | 'byte'
  | 'float'
  | 'double'
  | 'boolean'
  | 'binary'
  | 'date'
  | 'timestamp'
  | 'timestamp_ntz'
  | 'void'
  | 'variant'

export interface PrimitiveType {
  readonly kind: 'primitive'
  readonly name: PrimitiveName
}

/** Exact decimal: 1 ≤ precision ≤ 38 digits, 0 ≤ scale ≤ precision of them after the point. */
export interface DecimalType {
  readonly kind: 'decimal'
  readonly precision: number
  readonly scale: number
}

export interface ArrayType {
  readonly kind: 'array'
  readonly element: DataType
  readonly containsNull: boolean
}

export interface MapType {
  readonly kind: 'map'
  readonly key: DataType
  readonly value: DataType
  readonly valueContainsNull: boolean
}

export interface StructType {
  readonly kind: 'struct'
  readonly fields: readonly StructField[]
}

export type DataType = PrimitiveType | DecimalType | ArrayType | MapType | StructType

/** Metadata values are kept as they came: foreign tables put numbers, strings, objects and arrays there. */
export interface StructField {
  readonly name: string
  readonly type: DataType
  readonly nullable: boolean
  readonly metadata: Readonly<Record<string, unknown>>
}

const primitives = new Map<PrimitiveName, PrimitiveType>()

/** The shared instance of a primitive type. */
export function primitive(name: PrimitiveName): PrimitiveType {
  let type = primitives.get(name)
  if (type === undefined) {
    type = Object.freeze({ kind: 'primitive', name })
    primitives.set(name, type)
  }
  return type
}

export function decimal(precision: number, scale: number): DecimalType {
  return { kind: 'decimal', precision, scale }
}

export function array(element: DataType, containsNull = true): ArrayType {
  return { kind: 'array', element, containsNull }
}

export function map(key: DataType, value: DataType, valueContainsNull = true): MapType {
  return { kind: 'map', key, value, valueContainsNull }
}

export function struct(fields: readonly StructField[]): StructType {
  return { kind: 'struct', fields }
}

export function field(
  name: string,
  type: DataType,
  nullable = true,
  metadata: Readonly<Record<string, unknown>> = {},
): StructField {
  return { name, type, nullable, metadata }
}
