/**
 * The part of a table's schema that rows fill.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { array, type DataType, map, type StructType, struct } from './schema.ts'

/**
 * The table's fields that the rows have, in the rows' order: with the table's names, types and metadata, so with its
 * physical names under column mapping. Files of the rows are encoded under it, and two tables with the same one take
 * the same files.
 *
 * @param table already merged with `rows`: has every field of it, without regard to case, and holds its types
 */
export function projectSchema(table: StructType, rows: StructType): StructType {
  const byName = new Map(table.fields.map(field => [field.name.toLowerCase(), field]))
  return struct(
    rows.fields.map(row => {
      const own = byName.get(row.name.toLowerCase())
      assert(own !== undefined, `the table has no field \`${row.name}\``)
      // A null where the table allows none is the writer's to refuse; a file that cannot hold one would be damaged.
      return { ...own, type: projectType(own.type, row.type), nullable: own.nullable || row.nullable }
    }),
  )
}

function projectType(table: DataType, rows: DataType): DataType {
  if (table.kind === 'struct' && rows.kind === 'struct') return projectSchema(table, rows)
  if (table.kind === 'array' && rows.kind === 'array') {
    return array(projectType(table.element, rows.element), table.containsNull || rows.containsNull)
  }
  if (table.kind === 'map' && rows.kind === 'map') {
    return map(
      projectType(table.key, rows.key),
      projectType(table.value, rows.value),
      table.valueContainsNull || rows.valueContainsNull,
    )
  }
  return table
}
