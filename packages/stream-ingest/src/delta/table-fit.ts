/**
 * Does what a pipeline writes fit the table that is there, and what must the table become so that it does?
 *
 * @module
 */
import {
  columnDefault,
  type DataType,
  evolvedState,
  evolveTable,
  formatDataType,
  mergeSchemas,
  projectSchema,
  type StructField,
  type StructType,
  struct,
  type TableEvolution,
  type TableState,
} from '@stream-ingest/delta'
import { DeltaError } from '../error.ts'
import { assertKeepsOffsets } from './offset-retention.ts'

/** What a pipeline is configured to write. */
export interface TableFit {
  /** Every column that the configuration fills, partition columns included. */
  readonly schema: StructType
  readonly partitionColumns: readonly string[]
  /** May columns be added to the table, and types become wider? */
  readonly mergeSchema: boolean
  /** For the physical names of new columns. */
  readonly newUuid: () => string
}

/** How rows go into the table. */
export interface RowPlan {
  /** What the commit of the rows makes of the table. */
  readonly evolution: Exclude<TableEvolution, { readonly status: 'incompatible' }>
  /** The table with that: what the rows' files are encoded under. */
  readonly state: TableState
  /** The table's fields that the rows have, in their order. Plans with the same one take the same files. */
  readonly schema: StructType
}

/**
 * Plans how rows go into the table.
 *
 * @param rows the schema that they were decoded under: the configured columns, perhaps more where schemas are merged
 * @returns why the columns that the configuration does not name have no place in the table, as it is now
 * @throws DeltaError `TABLE_SCHEMA_MISMATCH` where those that it names have none
 */
export function planRows(
  tableUri: string,
  state: TableState,
  rows: StructType,
  fit: TableFit,
): ({ readonly status: 'fits' } & RowPlan) | Extract<TableEvolution, { readonly status: 'incompatible' }> {
  assertFitsTable(tableUri, fit, state)
  const evolution: TableEvolution = fit.mergeSchema
    ? evolveTable(state, rows, fit.newUuid)
    : { status: 'unchanged' }
  if (evolution.status === 'incompatible') return evolution
  const after = evolvedState(state, evolution)
  return { status: 'fits', evolution, state: after, schema: projectSchema(after.schema, rows) }
}

/**
 * Does the table take the configured columns, after what merging may change?
 *
 * @throws DeltaError `TABLE_SCHEMA_MISMATCH`, naming every difference at once
 */
export function assertFitsTable(tableUri: string, fit: TableFit, state: TableState): void {
  assertKeepsOffsets(tableUri, state)
  assertColumnsFit(tableUri, fit, state)
}

/** {@link assertFitsTable} for the columns alone. */
export function assertColumnsFit(tableUri: string, fit: TableFit, state: TableState): void {
  const problems = [
    ...(fit.mergeSchema ? mergeProblems(fit, state) : columnProblems(fit.schema, state.schema)),
    ...nullProblems(state.schema, fit.schema, ''),
  ]
  const ours = fit.partitionColumns
  const theirs = state.metadata.partitionColumns
  if (theirs.length !== ours.length || theirs.some((name, i) => name !== ours[i])) {
    problems.push(`the table is partitioned by ${listOf(theirs)}, the configuration says ${listOf(ours)}`)
  }
  if (problems.length === 0) return
  throw new DeltaError('TABLE_SCHEMA_MISMATCH', `${tableUri} does not fit: ${problems.join('; ')}`, {
    context: { table: tableUri, version: state.version },
  })
}

function mergeProblems({ schema, newUuid }: TableFit, state: TableState): readonly string[] {
  const evolution = evolveTable(state, schema, newUuid)
  return evolution.status === 'incompatible' ? evolution.problems : []
}

/** Without merging a column must be there under its name, of a type that holds the configured one. */
function* columnProblems(schema: StructType, table: StructType): Generator<string> {
  const tableFields = new Map(table.fields.map(f => [f.name, f]))
  for (const own of schema.fields) {
    const { name, type } = own
    const inTable = tableFields.get(name)
    if (inTable === undefined) {
      const other = table.fields.find(f => f.name.toLowerCase() === name.toLowerCase())
      yield other === undefined
        ? `the table has no column \`${name}\``
        : `column \`${name}\` is called \`${other.name}\` in the table`
    } else if (!holds(inTable, own)) {
      yield `column \`${name}\` is \`${formatDataType(inTable.type)}\` in the table and \`${formatDataType(type)}\` in the configuration`
    }
  }
}

/** A wider type, or a struct with more fields, holds the narrower one: the table may have been changed by others. */
function holds(inTable: StructField, own: StructField): boolean {
  return mergeSchemas(struct([inTable]), struct([own]), { typeWidening: false }).status === 'unchanged'
}

/** Columns of the table that must not be null: each is filled, and never with null. */
function* nullProblems(table: StructType, schema: StructType, parent: string): Generator<string> {
  const filled = new Map(schema.fields.map(f => [f.name.toLowerCase(), f]))
  for (const inTable of table.fields) {
    const { name, type, nullable } = inTable
    const path = parent === '' ? name : `${parent}.${name}`
    const own = filled.get(name.toLowerCase())
    if (own === undefined) {
      if (!nullable && !isFilledByDefault(inTable)) {
        yield `the table’s column \`${path}\` may not be null and the configuration does not fill it`
      }
      continue
    }
    if (own.nullable && !nullable) {
      yield `column \`${path}\` may not be null in the table but may be in the configuration`
    }
    yield* nestedNullProblems(type, own.type, path)
  }
}

/** A literal other than null; other expressions are no matter here, as the table is not written at all. */
function isFilledByDefault(field: StructField): boolean {
  const found = columnDefault(field)
  return found.kind === 'literal' && found.value !== null
}

function* nestedNullProblems(table: DataType, own: DataType, path: string): Generator<string> {
  if (table.kind === 'struct' && own.kind === 'struct') yield* nullProblems(table, own, path)
  else if (table.kind === 'array' && own.kind === 'array') {
    yield* nestedNullProblems(table.element, own.element, `${path}.element`)
  } else if (table.kind === 'map' && own.kind === 'map') {
    yield* nestedNullProblems(table.key, own.key, `${path}.key`)
    yield* nestedNullProblems(table.value, own.value, `${path}.value`)
  }
}

function listOf(names: readonly string[]): string {
  return names.length === 0 ? 'nothing' : names.map(n => `\`${n}\``).join(', ')
}
