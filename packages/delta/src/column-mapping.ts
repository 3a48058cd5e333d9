/**
 * Column mapping: the names and ids that columns have in data files, apart from those that people see.
 *
 * PROTOCOL.md › Column Mapping. Each field, at any depth, carries an id and a physical name in its metadata. Data files,
 * statistics, `partitionValues` and clustering columns use physical names; the ids go into the files' schema in both
 * modes. `metaData.partitionColumns` keeps the names that people see.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { Metadata } from './action.ts'
import type { Column, ColumnBatch } from './column/column.ts'
import { array, type DataType, map, type StructField, type StructType, struct } from './schema.ts'
import { tableProperty } from './table-property.ts'

/** How the fields of the table are found in its files. */
export type ColumnMappingMode = 'none' | 'name' | 'id'

export const COLUMN_MAPPING_MODE = 'delta.columnMapping.mode'
export const MAX_COLUMN_ID = 'delta.columnMapping.maxColumnId'
const PHYSICAL_NAME = 'delta.columnMapping.physicalName'
const FIELD_ID = 'delta.columnMapping.id'

export function columnMappingMode({ configuration }: Pick<Metadata, 'configuration'>): ColumnMappingMode {
  return tableProperty(configuration, COLUMN_MAPPING_MODE) as ColumnMappingMode
}

/** The name of a field in data files, in `partitionValues` and in statistics. */
export function physicalName(field: StructField, mode: ColumnMappingMode): string {
  const name = field.metadata[PHYSICAL_NAME]
  return mode !== 'none' && typeof name === 'string' ? name : field.name
}

/** The id of a field in data files; null where it has none. */
export function fieldId(field: StructField): number | null {
  const id = field.metadata[FIELD_ID]
  return typeof id === 'number' || typeof id === 'bigint' ? Number(id) : null
}

/** The schema as data files have it: physical names at every level, metadata as it is. */
export function physicalSchema(schema: StructType, mode: ColumnMappingMode): StructType {
  return mode === 'none' ? schema : (physicalType(schema, mode) as StructType)
}

function physicalType(type: DataType, mode: ColumnMappingMode): DataType {
  switch (type.kind) {
    case 'struct':
      return struct(
        type.fields.map(f => ({ ...f, name: physicalName(f, mode), type: physicalType(f.type, mode) })),
      )
    case 'array':
      return array(physicalType(type.element, mode), type.containsNull)
    case 'map':
      return map(physicalType(type.key, mode), physicalType(type.value, mode), type.valueContainsNull)
    default:
      return type
  }
}

/**
 * Ids of the fields of a physical schema by their path (see `fieldPathKey`), with `element`, `key` and `value` inside
 * arrays and maps: what the Parquet encoder takes.
 */
export function fieldIdsOf(physical: StructType): ReadonlyMap<string, number> {
  const ids = new Map<string, number>()
  const walk = (type: DataType, path: readonly string[]): void => {
    if (type.kind === 'array') walk(type.element, [...path, 'element'])
    else if (type.kind === 'map') {
      walk(type.key, [...path, 'key'])
      walk(type.value, [...path, 'value'])
    } else if (type.kind === 'struct') {
      for (const field of type.fields) {
        const at = [...path, field.name]
        const id = fieldId(field)
        if (id !== null) ids.set(fieldPathKey(at), id)
        walk(field.type, at)
      }
    }
  }
  walk(physical, [])
  return ids
}

/** A path of names as one key: names may hold any visible character, dots included. */
export function fieldPathKey(path: readonly string[]): string {
  return path.join('\0')
}

/**
 * Gives every field, at any depth, an id and a physical name where it has none.
 *
 * @param maxColumnId the highest id ever given in this table; 0 for a new one
 * @param newPhysicalName of a field without one: `col-<uuid>` for a column that no file holds yet, else its own name
 */
export function assignColumnMapping(
  schema: StructType,
  maxColumnId: number,
  newPhysicalName: (field: StructField) => string,
): { readonly schema: StructType; readonly maxColumnId: number } {
  let last = Math.max(maxColumnId, ...[...fieldIdsOf(schema).values()])
  const assign = (type: DataType): DataType => {
    switch (type.kind) {
      case 'struct':
        return struct(
          type.fields.map(f => {
            const id = fieldId(f) ?? ++last
            const name = f.metadata[PHYSICAL_NAME] ?? newPhysicalName(f)
            const metadata = { ...f.metadata, [FIELD_ID]: id, [PHYSICAL_NAME]: name }
            return { ...f, metadata, type: assign(f.type) }
          }),
        )
      case 'array':
        return array(assign(type.element), type.containsNull)
      case 'map':
        return map(assign(type.key), assign(type.value), type.valueContainsNull)
      default:
        return type
    }
  }
  const assigned = assign(schema) as StructType
  return { schema: assigned, maxColumnId: last }
}

/**
 * A batch whose columns have the names that people see, as data files have it. Buffers are shared.
 *
 * @param tableSchema holds every field of the batch, by the same name
 */
export function physicalBatch(
  batch: ColumnBatch,
  tableSchema: StructType,
  mode: ColumnMappingMode,
): ColumnBatch {
  if (mode === 'none') return batch
  const schema = mapped(batch.schema, tableSchema, mode) as StructType
  return {
    schema,
    rowCount: batch.rowCount,
    columns: batch.columns.map((column, i) => withType(column, schema.fields[i]!.type)),
  }
}

/** A type of the batch under the names, ids and metadata that the table has for it. */
function mapped(type: DataType, inTable: DataType, mode: ColumnMappingMode): DataType {
  switch (type.kind) {
    case 'struct':
      assert(inTable.kind === 'struct')
      return struct(
        type.fields.map(f => {
          const field = inTable.fields.find(other => other.name === f.name)
          assert(field !== undefined, `the table has no field \`${f.name}\``)
          return {
            name: physicalName(field, mode),
            type: mapped(f.type, field.type, mode),
            nullable: f.nullable,
            metadata: field.metadata,
          }
        }),
      )
    case 'array':
      assert(inTable.kind === 'array')
      return array(mapped(type.element, inTable.element, mode), type.containsNull)
    case 'map':
      assert(inTable.kind === 'map')
      return map(
        mapped(type.key, inTable.key, mode),
        mapped(type.value, inTable.value, mode),
        type.valueContainsNull,
      )
    default:
      return type
  }
}

function withType(column: Column, type: DataType): Column {
  switch (column.kind) {
    case 'struct':
      assert(type.kind === 'struct')
      return { ...column, type, fields: column.fields.map((c, i) => withType(c, type.fields[i]!.type)) }
    case 'list':
      assert(type.kind === 'array')
      return { ...column, type, element: withType(column.element, type.element) }
    case 'map':
      assert(type.kind === 'map')
      return {
        ...column,
        type,
        key: withType(column.key, type.key),
        value: withType(column.value, type.value),
      }
    default:
      return column
  }
}
