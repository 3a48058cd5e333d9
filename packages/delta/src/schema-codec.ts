/**
 * The schema's JSON form, and what the names in it must satisfy.
 *
 * PROTOCOL.md › Schema Serialization Format:
 *
 *     struct  {"type":"struct","fields":[{"name":…,"type":T,"nullable":bool,"metadata":{…}}…]}
 *     array   {"type":"array","elementType":T,"containsNull":bool}
 *     map     {"type":"map","keyType":T,"valueType":T,"valueContainsNull":bool}
 *     others  "string" "long" … "decimal(p,s)"
 *
 * @module
 */
import { DeltaLakeError } from './error.ts'
import { formatJson, isJsonObject, parseJsonLossless } from './json.ts'
import {
  array,
  type DataType,
  decimal,
  map,
  type PrimitiveName,
  primitive,
  type StructField,
  type StructType,
  struct,
} from './schema.ts'

/** Deeper schemas are refused: readers recurse over them. */
export const SCHEMA_DEPTH_MAX = 100
export const DECIMAL_PRECISION_MAX = 38

const PRIMITIVE_NAMES: ReadonlySet<string> = new Set<PrimitiveName>([
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
  'void',
  'variant',
])

/** Without column mapping these cannot stand in a column name: Parquet writers of other engines refuse them. */
const ILLEGAL_NAME_CHARACTERS = /[ ,;{}()\n\t=]/

/**
 * Parses `metaData.schemaString`. Field metadata is kept verbatim, so that formatting gives it back.
 *
 * @throws DeltaLakeError `DELTA_LOG_CORRUPT` where the text is no schema; `DELTA_PROTOCOL_UNSUPPORTED` for a type that
 *   is not known; `DELTA_SCHEMA_INVALID` where two names differ only in case
 */
export function parseSchemaString(text: string): StructType {
  let json: unknown
  try {
    json = parseJsonLossless(text)
  } catch (cause) {
    throw new DeltaLakeError('DELTA_LOG_CORRUPT', 'the table schema is not JSON', { cause })
  }
  const type = parseType(json, '', 0)
  if (type.kind !== 'struct')
    throw corrupt(`the table schema is the type \`${formatDataType(type)}\`, not a struct`)
  validateUniqueNames(type)
  return type
}

/** Formats a schema as `metaData.schemaString`. */
export function formatSchemaString(schema: StructType): string {
  return formatJson(typeJson(schema))
}

/** A type for people: `struct<a: long, tags: array<string>>`. */
export function formatDataType(type: DataType): string {
  switch (type.kind) {
    case 'primitive':
      return type.name
    case 'decimal':
      return `decimal(${type.precision},${type.scale})`
    case 'array':
      return `array<${formatDataType(type.element)}>`
    case 'map':
      return `map<${formatDataType(type.key)}, ${formatDataType(type.value)}>`
    case 'struct':
      return `struct<${type.fields.map(f => `${f.name}: ${formatDataType(f.type)}`).join(', ')}>`
  }
}

/**
 * Parses the text of a type that is neither array, map nor struct: `long`, `decimal(10, 2)`.
 *
 * @returns null where no such type is known
 */
export function parsePrimitiveType(text: string): DataType | null {
  if (PRIMITIVE_NAMES.has(text)) return primitive(text as PrimitiveName)
  // Spark before 3.x wrote `null`; `decimal` alone is Hive's default.
  if (text === 'null') return primitive('void')
  if (text === 'decimal') return decimal(10, 0)
  const match = /^decimal\(\s*(\d{1,2})\s*,\s*(\d{1,2})\s*\)$/.exec(text)
  if (match === null) return null
  const precision = Number(match[1])
  const scale = Number(match[2])
  if (precision < 1 || precision > DECIMAL_PRECISION_MAX || scale > precision) return null
  return decimal(precision, scale)
}

/** A column that is no struct: where it is and its field. Arrays and maps are leaves here. */
export interface SchemaLeaf {
  /** Names from the top level down. */
  readonly path: readonly string[]
  readonly field: StructField
}

/** The columns of a schema in order, those inside structs in place of the struct; arrays and maps are not entered. */
export function* schemaLeaves(schema: StructType, parents: readonly string[] = []): Generator<SchemaLeaf> {
  for (const field of schema.fields) {
    const path = [...parents, field.name]
    if (field.type.kind === 'struct') yield* schemaLeaves(field.type, path)
    else yield { path, field }
  }
}

/** Every field of a schema at any depth, also inside arrays and maps, with its path (`a.b`, `list.element.c`). */
export function* schemaFields(type: DataType, parent = ''): Generator<{ path: string; field: StructField }> {
  const at = (name: string): string => (parent === '' ? name : `${parent}.${name}`)
  switch (type.kind) {
    case 'struct':
      for (const field of type.fields) {
        yield { path: at(field.name), field }
        yield* schemaFields(field.type, at(field.name))
      }
      return
    case 'array':
      yield* schemaFields(type.element, at('element'))
      return
    case 'map':
      yield* schemaFields(type.key, at('key'))
      yield* schemaFields(type.value, at('value'))
  }
}

/** Does any part of the type satisfy the test? */
export function someType(type: DataType, test: (type: DataType) => boolean): boolean {
  if (test(type)) return true
  switch (type.kind) {
    case 'struct':
      return type.fields.some(f => someType(f.type, test))
    case 'array':
      return someType(type.element, test)
    case 'map':
      return someType(type.key, test) || someType(type.value, test)
    default:
      return false
  }
}

/**
 * Names are unique without regard to case at each level.
 *
 * @throws DeltaLakeError `DELTA_SCHEMA_INVALID` naming both
 */
export function validateUniqueNames(type: DataType, parent = ''): void {
  switch (type.kind) {
    case 'struct': {
      const seen = new Map<string, string>()
      for (const field of type.fields) {
        const folded = field.name.toLowerCase()
        const other = seen.get(folded)
        if (other !== undefined) {
          const place = parent === '' ? 'the schema' : `\`${parent}\``
          throw new DeltaLakeError(
            'DELTA_SCHEMA_INVALID',
            other === field.name
              ? `the column \`${other}\` occurs twice in ${place}`
              : `the columns \`${other}\` and \`${field.name}\` of ${place} differ only in case`,
            { hint: 'rename one of the two columns' },
          )
        }
        seen.set(folded, field.name)
        validateUniqueNames(field.type, parent === '' ? field.name : `${parent}.${field.name}`)
      }
      return
    }
    case 'array':
      validateUniqueNames(type.element, `${parent}.element`)
      return
    case 'map':
      validateUniqueNames(type.key, `${parent}.key`)
      validateUniqueNames(type.value, `${parent}.value`)
  }
}

/**
 * Checks the schema of a table that is about to be created or evolved without column mapping: names that every engine
 * takes, and partition columns that are top-level, primitive, named once, and not all there is.
 *
 * @throws DeltaLakeError `DELTA_SCHEMA_INVALID` naming the column
 */
export function validateTableSchema(schema: StructType, partitionColumns: readonly string[]): void {
  validateUniqueNames(schema)
  for (const { path, field } of schemaFields(schema)) validateName(path, field.name)
  const seen = new Set<string>()
  for (const name of partitionColumns) {
    const column = schema.fields.find(f => f.name === name)
    if (column === undefined) {
      throw invalid(
        `the partition column \`${name}\` is not a column of the schema`,
        'add the column, or do not partition by it',
      )
    }
    if (!isPartitionType(column.type)) {
      throw invalid(
        `the partition column \`${name}\` has the type ${formatDataType(column.type)}, which has no partition values`,
        'partition by a column of a simple type',
      )
    }
    if (seen.has(name)) throw invalid(`the partition column \`${name}\` is named twice`, 'name it once')
    seen.add(name)
  }
  if (schema.fields.length === seen.size) {
    throw invalid(
      schema.fields.length === 0
        ? 'the schema has no columns'
        : 'the table would have only partition columns',
      'add a column that the data files can hold',
    )
  }
}

/** Can a column of this type partition a table? */
export function isPartitionType(type: DataType): boolean {
  return (
    type.kind === 'decimal' || (type.kind === 'primitive' && type.name !== 'void' && type.name !== 'variant')
  )
}

function validateName(path: string, name: string): void {
  const problem = nameProblem(name)
  if (problem !== null) throw invalid(`the column name \`${path}\` ${problem.what}`, problem.fix)
}

/**
 * What keeps a name from being a column's of a table without column mapping; null where nothing does.
 */
export function nameProblem(name: string): { readonly what: string; readonly fix: string } | null {
  if (name === '') return { what: 'is empty', fix: 'give the column a name' }
  const illegal = ILLEGAL_NAME_CHARACTERS.exec(name)
  if (illegal === null) return null
  return {
    what: `has the character ${JSON.stringify(illegal[0])}, which tables without column mapping cannot have`,
    fix: 'rename the column without spaces and without any of `,;{}()=`',
  }
}

function invalid(message: string, hint: string): DeltaLakeError {
  return new DeltaLakeError('DELTA_SCHEMA_INVALID', message, { hint })
}

function parseType(json: unknown, path: string, depth: number): DataType {
  if (depth > SCHEMA_DEPTH_MAX) {
    throw new DeltaLakeError(
      'DELTA_SCHEMA_INVALID',
      `the schema is nested deeper than ${SCHEMA_DEPTH_MAX} levels`,
    )
  }
  if (typeof json === 'string') {
    const type = parsePrimitiveType(json)
    if (type !== null) return type
    throw new DeltaLakeError('DELTA_PROTOCOL_UNSUPPORTED', `the type \`${json}\` ${of(path)} is not known`, {
      hint: 'use an engine that knows this type, or drop the column',
      context: { column: path, type: json },
    })
  }
  if (!isJsonObject(json)) throw corrupt(`the type ${of(path)} is neither text nor an object`)
  switch (json.type) {
    case 'struct': {
      const fields = json.fields
      if (!Array.isArray(fields)) throw corrupt(`the struct ${of(path)} has no list of fields`)
      return struct(fields.map(f => parseField(f, path, depth + 1)))
    }
    case 'array': {
      const element = parseType(json.elementType, `${path}.element`, depth + 1)
      return array(element, boolean(json, 'containsNull', path))
    }
    case 'map': {
      const key = parseType(json.keyType, `${path}.key`, depth + 1)
      const value = parseType(json.valueType, `${path}.value`, depth + 1)
      return map(key, value, boolean(json, 'valueContainsNull', path))
    }
    default:
      throw new DeltaLakeError(
        'DELTA_PROTOCOL_UNSUPPORTED',
        `the type \`${String(json.type)}\` ${of(path)} is not known`,
        { hint: 'use an engine that knows this type, or drop the column' },
      )
  }
}

function parseField(json: unknown, parent: string, depth: number): StructField {
  if (!isJsonObject(json)) throw corrupt(`a field ${of(parent)} is no object`)
  const name = json.name
  if (typeof name !== 'string') throw corrupt(`a field ${of(parent)} has no name`)
  const path = parent === '' ? name : `${parent}.${name}`
  const metadata = json.metadata ?? {}
  if (!isJsonObject(metadata)) throw corrupt(`the metadata ${of(path)} is no object`)
  const type = parseType(json.type, path, depth)
  return { name, type, nullable: boolean(json, 'nullable', path), metadata }
}

/** A missing flag means that nulls are possible: the reading that loses nothing. */
function boolean(json: Record<string, unknown>, key: string, path: string): boolean {
  const value = json[key] ?? true
  if (typeof value !== 'boolean') throw corrupt(`\`${key}\` ${of(path)} is not a boolean`)
  return value
}

function typeJson(type: DataType): unknown {
  switch (type.kind) {
    case 'primitive':
      return type.name
    case 'decimal':
      return `decimal(${type.precision},${type.scale})`
    case 'array':
      return { type: 'array', elementType: typeJson(type.element), containsNull: type.containsNull }
    case 'map':
      return {
        type: 'map',
        keyType: typeJson(type.key),
        valueType: typeJson(type.value),
        valueContainsNull: type.valueContainsNull,
      }
    case 'struct':
      return {
        type: 'struct',
        fields: type.fields.map(f => ({
          name: f.name,
          type: typeJson(f.type),
          nullable: f.nullable,
          metadata: f.metadata,
        })),
      }
  }
}

function of(path: string): string {
  return path === '' ? 'of the table schema' : `of the column \`${path}\``
}

function corrupt(message: string): DeltaLakeError {
  return new DeltaLakeError('DELTA_LOG_CORRUPT', message)
}
