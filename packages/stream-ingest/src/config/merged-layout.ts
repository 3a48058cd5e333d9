/**
 * The layout of a pipeline whose table grows with its messages (`delta.merge_schema`): the configured columns, and every
 * other column of the table, read from the payload's field of its name.
 *
 * @module
 */
import {
  type DataType,
  map,
  type StructField,
  type StructType,
  struct,
  widerType,
} from '@stream-ingest/delta'
import { columnKindOf } from '@stream-ingest/delta/column'
import { ConfigError } from '../error.ts'
import type { DecodeField } from './decode-field.ts'
import type { DeltaConfig } from './ingest-config.ts'
import {
  adoptTableSchema,
  decodeFieldOf,
  planTableLayout,
  resolveTableLayout,
  type TableColumn,
  type TableLayout,
} from './table-layout.ts'

/**
 * @param table null where there is none yet
 * @throws ConfigError `CONFIG_CONFLICT` where settings exclude each other, or the table
 */
export function mergedTableLayout(delta: DeltaConfig, table: StructType | null): TableLayout {
  const chosen = configuredColumns(delta, table)
  if (table === null) assertCreatable(planTableLayout(chosen).layout)
  const configured = resolveTableLayout(chosen)
  if (table === null) return configured
  const inTable = new Map(table.fields.map(each => [each.name, each]))
  const columns = configured.columns.map(column => withTableType(column, inTable.get(column.field.name)))
  const names = new Set(columns.map(({ field: { name } }) => name.toLowerCase()))
  for (const each of table.fields) {
    if (!names.has(each.name.toLowerCase()) && isDecodable(each.type)) columns.push(tableColumn(each))
  }
  return { ...configured, columns, schema: struct(columns.map(({ field }) => field)) }
}

/** Names, in lower case, of columns that stay null as no JSON value becomes one of their type. */
export function unfilledNames(table: StructType): ReadonlySet<string> {
  // A column without a type yet takes that of the first value.
  const unfilled = table.fields.filter(
    ({ type }) => !isDecodable(type) && !(type.kind === 'primitive' && type.name === 'void'),
  )
  return new Set(unfilled.map(({ name }) => name.toLowerCase()))
}

/**
 * The declared columns, or those of the table that a derived column reads its instant from. Where messages have made such
 * a column, it holds text or integers: then the derived column reads the payload itself, as it did at first.
 */
function configuredColumns(delta: DeltaConfig, table: StructType | null): DeltaConfig {
  if (delta.schema !== null) return delta
  const empty = { ...delta, schema: struct([]), fields: [] }
  if (table === null) return empty
  const adopted = adoptTableSchema(delta, table)
  const inputs = new Set(delta.derive.map(({ from }) => from.replace(/^payload\./, '').split('.')[0]))
  const some = (names: ReadonlySet<string | undefined>): DeltaConfig => {
    const fields = adopted.fields.filter(({ name }) => names.has(name))
    const columns = (adopted.schema ?? struct([])).fields.filter(({ name }) => names.has(name))
    return { ...delta, schema: struct(columns), fields }
  }
  // As long as it is text, a partition column that is not declared is what it is without a table: required.
  const typed = table.fields.filter(({ type }) => type.kind !== 'primitive' || type.name !== 'string')
  const partitions = delta.partitionColumns.filter(name => typed.some(each => each.name === name))
  const candidates = [some(new Set([...inputs, ...partitions])), some(new Set(partitions)), empty, adopted]
  return candidates.find(each => planTableLayout(each).problems.length === 0) ?? adopted
}

/** The table is there before the first message is read, so that it holds the start offsets. */
function assertCreatable({ columns }: TableLayout): void {
  if (columns.some(({ isPartition }) => !isPartition)) return
  throw new ConfigError(
    'CONFIG_CONFLICT',
    'the table is created before the first message is read, and without `delta.schema` and `delta.metadata_columns` it would have no column',
    { hint: 'declare a column in `delta.schema`, or keep one of `delta.metadata_columns`' },
  )
}

function tableColumn({ name, type, nullable, metadata }: StructField): TableColumn {
  const field = decodeFieldOf(name, type, nullable, [name])
  return { field: { name, type, nullable, metadata }, source: { kind: 'decode', field }, isPartition: false }
}

/** The column with what messages have added to it in the table. */
function withTableType(column: TableColumn, inTable: StructField | undefined): TableColumn {
  const { field, source, isPartition } = column
  if (inTable === undefined || source.kind !== 'decode' || isPartition) return column
  const merged = merge(source.field, inTable.type)
  if (merged === source.field) return column
  return { field: { ...field, type: merged.type }, source: { kind: 'decode', field: merged }, isPartition }
}

/** The field with the fields and the wider types of the table; the same object where there are none. */
function merge(own: DecodeField, table: DataType): DecodeField {
  const { type } = own
  if (type.kind === 'struct' && table.kind === 'struct') return mergeFields(own, type, table)
  if (type.kind === 'array' && table.kind === 'array' && own.element !== undefined) {
    const element = merge(own.element, table.element)
    return element === own.element ? own : { ...own, type: { ...type, element: element.type }, element }
  }
  if (type.kind === 'map' && table.kind === 'map' && own.value !== undefined) {
    const value = merge(own.value, table.value)
    if (value === own.value) return own
    return { ...own, type: map(type.key, value.type, type.valueContainsNull), value }
  }
  const wider = widerType(type, table)
  if (wider?.status !== 'widen') return own
  const { declaredType, unit } = decodeFieldOf(own.name, wider.type, own.nullable, [])
  return { ...own, type: wider.type, declaredType, ...(unit === undefined ? {} : { unit }) }
}

function mergeFields(own: DecodeField, type: StructType, table: StructType): DecodeField {
  const inTable = new Map(table.fields.map(each => [each.name, each]))
  const names = new Set(type.fields.map(({ name }) => name.toLowerCase()))
  const fields = (own.fields ?? []).map(child => {
    const twin = inTable.get(child.name)
    return twin === undefined ? child : merge(child, twin.type)
  })
  const columns = type.fields.map((each, i) => ({ ...each, type: fields[i]!.type }))
  let isChanged = fields.some((child, i) => child !== own.fields?.[i])
  for (const each of table.fields) {
    if (names.has(each.name.toLowerCase()) || !isDecodable(each.type)) continue
    isChanged = true
    columns.push(each)
    fields.push(decodeFieldOf(each.name, each.type, each.nullable, [each.name]))
  }
  return isChanged ? { ...own, type: struct(columns), fields } : own
}

/** Can a JSON value become one of this type? */
function isDecodable(type: DataType): boolean {
  switch (type.kind) {
    case 'array':
      return isDecodable(type.element)
    case 'map':
      return type.key.kind === 'primitive' && type.key.name === 'string' && isDecodable(type.value)
    case 'struct':
      return type.fields.length > 0 && type.fields.every(each => isDecodable(each.type))
    default:
      return columnKindOf(type) !== null
  }
}
