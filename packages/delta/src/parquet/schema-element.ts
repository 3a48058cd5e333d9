/**
 * From a Delta schema to a Parquet schema: the elements of the footer and the tree that the encoder walks.
 *
 * PROTOCOL.md › Parquet data types; LogicalTypes.md. Lists have three levels, maps a repeated `key_value` group; every
 * node is OPTIONAL but those that are not nullable. Logical types are written with their older converted types, except
 * where there is none (a timestamp without a zone).
 *
 * @module
 */
import assert from 'node:assert/strict'
import { fieldPathKey } from '../column-mapping.ts'
import type { DecimalType, PrimitiveType, StructField, StructType } from '../schema.ts'
import type { ThriftWriter } from './thrift.ts'

/** parquet.thrift › Type. */
export const PHYSICAL_TYPE_IDS = {
  BOOLEAN: 0,
  INT32: 1,
  INT64: 2,
  FLOAT: 4,
  DOUBLE: 5,
  BYTE_ARRAY: 6,
  FIXED_LEN_BYTE_ARRAY: 7,
} as const
export type PhysicalType = keyof typeof PHYSICAL_TYPE_IDS

/** parquet.thrift › FieldRepetitionType. */
const REPETITION_IDS = { REQUIRED: 0, OPTIONAL: 1, REPEATED: 2 } as const

/** parquet.thrift › ConvertedType. */
const CONVERTED_TYPE_IDS = {
  UTF8: 0,
  MAP: 1,
  LIST: 3,
  DECIMAL: 5,
  DATE: 6,
  TIMESTAMP_MICROS: 10,
  INT_8: 15,
  INT_16: 16,
} as const
type ConvertedType = keyof typeof CONVERTED_TYPE_IDS

/** Levels are kept in bytes. */
const LEVEL_MAX = 255
const DECIMAL_INT32_DIGITS_MAX = 9
const DECIMAL_INT64_DIGITS_MAX = 18

/** parquet.thrift › SchemaElement. */
export interface SchemaElement {
  readonly name: string
  readonly repetition?: keyof typeof REPETITION_IDS
  readonly physicalType?: PhysicalType
  readonly typeLength?: number
  readonly childCount?: number
  readonly convertedType?: ConvertedType
  readonly decimal?: DecimalType
  readonly fieldId?: number
  /** Writes the member of the LogicalType union. */
  readonly logicalType?: (thrift: ThriftWriter) => void
}

/** A column of the file. */
export interface Leaf {
  /** Names from the root's child down, the groups in between included. */
  readonly path: readonly string[]
  readonly type: PrimitiveType | DecimalType
  readonly physicalType: PhysicalType
  /** For FIXED_LEN_BYTE_ARRAY. */
  readonly typeLength: number
  readonly definitionLevelMax: number
  readonly repetitionLevelMax: number
}

interface NodeBase {
  /** For messages. */
  readonly place: string
  readonly nullable: boolean
}

/** A Delta column, field, element, key or value, with the repetition level that its items have. */
export type SchemaNode =
  | (NodeBase & { readonly kind: 'leaf'; readonly leaf: Leaf })
  | (NodeBase & { readonly kind: 'struct'; readonly fields: readonly SchemaNode[] })
  | (NodeBase & { readonly kind: 'list'; readonly repetitionLevel: number; readonly element: SchemaNode })
  | (NodeBase & {
      readonly kind: 'map'
      readonly repetitionLevel: number
      readonly key: SchemaNode
      readonly value: SchemaNode
    })

export interface ParquetSchema {
  /** Depth first, the root first. */
  readonly elements: readonly SchemaElement[]
  /** One for each column of the Delta schema. */
  readonly nodes: readonly SchemaNode[]
  /** In the order of the file. */
  readonly leaves: readonly Leaf[]
}

/**
 * @param fieldIds by path (`fieldPathKey`), with `element`, `key` and `value` as the names inside arrays and maps
 * @throws AssertionError for a struct without fields and for `void` and `variant`: the caller leaves them out
 */
export function planParquetSchema(
  schema: StructType,
  fieldIds: ReadonlyMap<string, number> = new Map(),
): ParquetSchema {
  const elements: SchemaElement[] = []
  const leaves: Leaf[] = []
  assert(schema.fields.length > 0, 'a Parquet file has at least one column')
  elements.push({ name: 'schema', childCount: schema.fields.length })
  const root: Above = { path: [], deltaPath: [], definitionLevel: 0, repetitionLevel: 0 }
  const nodes = schema.fields.map(field => planField(field, root))
  return { elements, nodes, leaves }

  function planField(field: Pick<StructField, 'name' | 'type' | 'nullable'>, above: Above): SchemaNode {
    const here: Above = {
      path: [...above.path, field.name],
      deltaPath: [...above.deltaPath, field.name],
      definitionLevel: above.definitionLevel + (field.nullable ? 1 : 0),
      repetitionLevel: above.repetitionLevel,
    }
    const place = here.deltaPath.join('.')
    const fieldId = fieldIds.get(fieldPathKey(here.deltaPath))
    const element = {
      name: field.name,
      repetition: field.nullable ? 'OPTIONAL' : 'REQUIRED',
      ...(fieldId === undefined ? {} : { fieldId }),
    } as const
    const base = { place, nullable: field.nullable }
    const { type } = field
    switch (type.kind) {
      case 'struct':
        assert(type.fields.length > 0, `the struct \`${place}\` has no fields, Parquet cannot hold it`)
        elements.push({ ...element, childCount: type.fields.length })
        return { ...base, kind: 'struct', fields: type.fields.map(child => planField(child, here)) }
      case 'array': {
        elements.push({
          ...element,
          childCount: 1,
          convertedType: 'LIST',
          logicalType: thrift => thrift.field(3, () => {}),
        })
        elements.push({ name: 'list', repetition: 'REPEATED', childCount: 1 })
        const inside = repeated(here, 'list')
        const child = planField({ name: 'element', type: type.element, nullable: type.containsNull }, inside)
        return { ...base, kind: 'list', repetitionLevel: inside.repetitionLevel, element: child }
      }
      case 'map': {
        elements.push({
          ...element,
          childCount: 1,
          convertedType: 'MAP',
          logicalType: thrift => thrift.field(2, () => {}),
        })
        elements.push({ name: 'key_value', repetition: 'REPEATED', childCount: 2 })
        const inside = repeated(here, 'key_value')
        const key = planField({ name: 'key', type: type.key, nullable: false }, inside)
        const value = planField({ name: 'value', type: type.value, nullable: type.valueContainsNull }, inside)
        return { ...base, kind: 'map', repetitionLevel: inside.repetitionLevel, key, value }
      }
      default: {
        assert(here.definitionLevel <= LEVEL_MAX, `\`${place}\` is nested too deeply`)
        const leafType = planLeafType(type, place)
        elements.push({ ...element, ...leafType })
        const leaf: Leaf = {
          path: here.path,
          type,
          physicalType: leafType.physicalType,
          typeLength: leafType.typeLength ?? 0,
          definitionLevelMax: here.definitionLevel,
          repetitionLevelMax: here.repetitionLevel,
        }
        leaves.push(leaf)
        return { ...base, kind: 'leaf', leaf }
      }
    }
  }
}

/** Where a field stands in the tree. */
interface Above {
  readonly path: readonly string[]
  readonly deltaPath: readonly string[]
  readonly definitionLevel: number
  readonly repetitionLevel: number
}

/** Inside a repeated group: one level of either kind more. */
function repeated(above: Above, groupName: string): Above {
  return {
    path: [...above.path, groupName],
    deltaPath: above.deltaPath,
    definitionLevel: above.definitionLevel + 1,
    repetitionLevel: above.repetitionLevel + 1,
  }
}

type LeafType = Pick<SchemaElement, 'typeLength' | 'convertedType' | 'decimal' | 'logicalType'> & {
  readonly physicalType: PhysicalType
}

function planLeafType(type: PrimitiveType | DecimalType, place: string): LeafType {
  if (type.kind === 'decimal') return planDecimal(type)
  switch (type.name) {
    case 'boolean':
      return { physicalType: 'BOOLEAN' }
    case 'byte':
      return { physicalType: 'INT32', convertedType: 'INT_8', logicalType: integer(8) }
    case 'short':
      return { physicalType: 'INT32', convertedType: 'INT_16', logicalType: integer(16) }
    case 'integer':
      return { physicalType: 'INT32' }
    case 'long':
      return { physicalType: 'INT64' }
    case 'float':
      return { physicalType: 'FLOAT' }
    case 'double':
      return { physicalType: 'DOUBLE' }
    case 'date':
      return {
        physicalType: 'INT32',
        convertedType: 'DATE',
        logicalType: thrift => thrift.field(6, () => {}),
      }
    case 'timestamp':
      return { physicalType: 'INT64', convertedType: 'TIMESTAMP_MICROS', logicalType: timestampMicros(true) }
    case 'timestamp_ntz':
      return { physicalType: 'INT64', logicalType: timestampMicros(false) }
    case 'string':
      return {
        physicalType: 'BYTE_ARRAY',
        convertedType: 'UTF8',
        logicalType: thrift => thrift.field(1, () => {}),
      }
    case 'binary':
      return { physicalType: 'BYTE_ARRAY' }
    default:
      assert.fail(`\`${place}\` is of type ${type.name}, which no Parquet column holds`)
  }
}

function planDecimal(type: DecimalType): LeafType {
  const annotation: Pick<LeafType, 'convertedType' | 'decimal' | 'logicalType'> = {
    convertedType: 'DECIMAL',
    decimal: type,
    logicalType: thrift =>
      thrift.field(5, () => {
        thrift.i32(1, type.scale)
        thrift.i32(2, type.precision)
      }),
  }
  if (type.precision <= DECIMAL_INT32_DIGITS_MAX) return { physicalType: 'INT32', ...annotation }
  if (type.precision <= DECIMAL_INT64_DIGITS_MAX) return { physicalType: 'INT64', ...annotation }
  return {
    physicalType: 'FIXED_LEN_BYTE_ARRAY',
    typeLength: decimalSizeBytes(type.precision),
    ...annotation,
  }
}

/** The fewest bytes that hold every unscaled value of a precision in two's complement. */
export function decimalSizeBytes(precision: number): number {
  const largest = 10n ** BigInt(precision) - 1n
  let sizeBytes = 1
  while (largest >= 1n << BigInt(sizeBytes * 8 - 1)) sizeBytes++
  return sizeBytes
}

function integer(bitWidth: 8 | 16): (thrift: ThriftWriter) => void {
  return thrift =>
    thrift.field(10, () => {
      thrift.i8(1, bitWidth)
      thrift.bool(2, true)
    })
}

function timestampMicros(isAdjustedToUtc: boolean): (thrift: ThriftWriter) => void {
  return thrift =>
    thrift.field(8, () => {
      thrift.bool(1, isAdjustedToUtc)
      thrift.field(2, () => thrift.field(2, () => {}))
    })
}

export function writeSchemaElement(thrift: ThriftWriter, element: SchemaElement): void {
  if (element.physicalType !== undefined) thrift.i32(1, PHYSICAL_TYPE_IDS[element.physicalType])
  if (element.typeLength !== undefined) thrift.i32(2, element.typeLength)
  if (element.repetition !== undefined) thrift.i32(3, REPETITION_IDS[element.repetition])
  thrift.string(4, element.name)
  if (element.childCount !== undefined) thrift.i32(5, element.childCount)
  if (element.convertedType !== undefined) thrift.i32(6, CONVERTED_TYPE_IDS[element.convertedType])
  if (element.decimal !== undefined) {
    thrift.i32(7, element.decimal.scale)
    thrift.i32(8, element.decimal.precision)
  }
  if (element.fieldId !== undefined) thrift.i32(9, element.fieldId)
  if (element.logicalType !== undefined) {
    const { logicalType } = element
    thrift.field(10, () => logicalType(thrift))
  }
}
