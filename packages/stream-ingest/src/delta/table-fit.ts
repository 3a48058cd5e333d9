/**
 * Does what a pipeline writes fit the table that is there?
 *
 * @module
 */
import { formatDataType, type StructType, type TableState } from '@stream-ingest/delta'
import { DeltaError } from '../error.ts'

/**
 * @param schema every column that the pipeline fills, partition columns included
 * @throws DeltaError `TABLE_SCHEMA_MISMATCH`, naming every difference at once
 */
export function assertFitsTable(
  tableUri: string,
  schema: StructType,
  partitionColumns: readonly string[],
  state: TableState,
): void {
  const problems: string[] = []
  const tableFields = new Map(state.schema.fields.map(f => [f.name, f]))
  for (const { name, type, nullable } of schema.fields) {
    const inTable = tableFields.get(name)
    if (inTable === undefined) {
      const other = state.schema.fields.find(f => f.name.toLowerCase() === name.toLowerCase())
      problems.push(
        other === undefined
          ? `the table has no column \`${name}\``
          : `column \`${name}\` is called \`${other.name}\` in the table`,
      )
      continue
    }
    const ours = formatDataType(type)
    const theirs = formatDataType(inTable.type)
    if (ours !== theirs) {
      problems.push(`column \`${name}\` is \`${theirs}\` in the table and \`${ours}\` in the configuration`)
    } else if (nullable && !inTable.nullable) {
      problems.push(`column \`${name}\` may not be null in the table but may be in the configuration`)
    }
  }
  const written = new Set(schema.fields.map(f => f.name))
  for (const { name, nullable } of state.schema.fields) {
    if (!nullable && !written.has(name)) {
      problems.push(`the table’s column \`${name}\` may not be null and the configuration does not fill it`)
    }
  }
  const theirs = state.metadata.partitionColumns
  if (theirs.length !== partitionColumns.length || theirs.some((name, i) => name !== partitionColumns[i])) {
    problems.push(
      `the table is partitioned by ${listOf(theirs)}, the configuration says ${listOf(partitionColumns)}`,
    )
  }
  if (problems.length === 0) return
  throw new DeltaError('TABLE_SCHEMA_MISMATCH', `${tableUri} does not fit: ${problems.join('; ')}`, {
    context: { table: tableUri, version: state.version },
  })
}

function listOf(names: readonly string[]): string {
  return names.length === 0 ? 'nothing' : names.map(n => `\`${n}\``).join(', ')
}
