/**
 * A table's schema and that of rows which are to go into it, merged: columns that are new, types that become wider.
 *
 * PROTOCOL.md › Change Metadata, › Type Widening, › Column Mapping. Nothing is dropped, renamed or put in another order,
 * and files that are there already stay valid: readers fill a column that a file lacks with null.
 *
 * @module
 */
import type { Metadata, Protocol } from './action.ts'
import { assignColumnMapping, columnMappingMode, MAX_COLUMN_ID } from './column-mapping.ts'
import { readerFeaturesOf, writerFeaturesOf } from './protocol.ts'
import { array, type DataType, field, map, type StructField, type StructType, struct } from './schema.ts'
import {
  formatDataType,
  formatSchemaString,
  nameProblem,
  SCHEMA_DEPTH_MAX,
  schemaFields,
  someType,
} from './schema-codec.ts'
import { tableProperty } from './table-property.ts'
import type { TableState } from './table-state.ts'
import { TYPE_CHANGES_KEY, type TypeChange, typeChange, widerType } from './type-widening.ts'

/** One thing that a merge changes. `path` is as people write it: `order.total`, `items.element.sku`. */
export type SchemaChange =
  | {
      readonly kind: 'field-added'
      readonly path: string
      readonly name: string
      readonly type: DataType
    }
  | {
      readonly kind: 'type-widened'
      readonly path: string
      readonly fromType: DataType
      readonly toType: DataType
    }

export interface SchemaIncompatible {
  readonly status: 'incompatible'
  /** Each names the column, both types and what to do. */
  readonly problems: readonly string[]
}

export type SchemaMerge =
  | { readonly status: 'unchanged' }
  | { readonly status: 'evolved'; readonly schema: StructType; readonly changes: readonly SchemaChange[] }
  | SchemaIncompatible

export interface MergeOptions {
  /** May types become wider than other engines read without the feature? `delta.enableTypeWidening`. */
  readonly typeWidening: boolean
  /** Record changed types in `delta.typeChanges`: where the table has the feature. `typeWidening` by default. */
  readonly recordTypeChanges?: boolean
}

/** What a commit must carry so that the rows fit. */
export type TableEvolution =
  | { readonly status: 'unchanged' }
  | {
      readonly status: 'evolved'
      readonly metadata: Metadata
      /** Null where the table's protocol allows the new schema already. */
      readonly protocol: Protocol | null
      readonly schema: StructType
      readonly changes: readonly SchemaChange[]
    }
  | SchemaIncompatible

/**
 * Merges two schemas. Pure.
 *
 * Fields match without regard to case, and the table's name, nullability and metadata stand. A field that the table
 * lacks goes to the end of its struct, at any depth, and may be null, it and all in it; one that has no type yet (`void`)
 * is left out. Where the incoming type is the narrower one the table's is kept, and the rows are to be cast.
 *
 * Says nothing about nulls: a column of the table that must not be null is the writer's to check.
 */
export function mergeSchemas(table: StructType, incoming: StructType, options: MergeOptions): SchemaMerge {
  const merge = new Merge(options)
  const schema = merge.struct(table, incoming, [])
  if (merge.problems.length > 0) return { status: 'incompatible', problems: merge.problems }
  if (schema === table) return { status: 'unchanged' }
  return { status: 'evolved', schema, changes: merge.changes }
}

/**
 * What must be committed with rows of `incoming` so that they fit the table: its metadata with the merged schema, all
 * else as it is, and the protocol where a new type needs a feature. Under column mapping each new field gets an id and a
 * physical name that no file has held yet.
 *
 * @param newUuid for physical names
 * @throws DeltaLakeError `DELTA_PROPERTY_INVALID`
 */
export function evolveTable(state: TableState, incoming: StructType, newUuid: () => string): TableEvolution {
  const { metadata, protocol } = state
  const features = writerFeaturesOf(protocol)
  const hasTypeWidening = features.has('typeWidening') || features.has('typeWidening-preview')
  const merge = mergeSchemas(state.schema, incoming, {
    typeWidening: hasTypeWidening && tableProperty(metadata.configuration, 'delta.enableTypeWidening'),
    recordTypeChanges: hasTypeWidening,
  })
  if (merge.status !== 'evolved') return merge
  const { changes } = merge
  const problems = [...tableProblems(state, changes)]
  if (problems.length > 0) return { status: 'incompatible', problems }
  const { schema, configuration } = withMapping(metadata, merge.schema, newUuid)
  return {
    status: 'evolved',
    metadata: { ...metadata, schemaString: formatSchemaString(schema), configuration },
    protocol: changes.some(change => usesTimestampNtz(newType(change))) ? withTimestampNtz(protocol) : null,
    schema,
    changes,
  }
}

function withMapping(
  metadata: Metadata,
  schema: StructType,
  newUuid: () => string,
): Pick<Metadata, 'configuration'> & { readonly schema: StructType } {
  const { configuration } = metadata
  if (columnMappingMode(metadata) === 'none') return { schema, configuration }
  const highest = Number(configuration[MAX_COLUMN_ID] ?? 0)
  const assigned = assignColumnMapping(schema, highest, () => `col-${newUuid()}`)
  return {
    schema: assigned.schema,
    configuration: { ...configuration, [MAX_COLUMN_ID]: String(assigned.maxColumnId) },
  }
}

/** The table as it will be once the evolution is committed: files are encoded under this state. */
export function evolvedState(state: TableState, evolution: TableEvolution): TableState {
  if (evolution.status !== 'evolved') return state
  const { metadata, protocol, schema } = evolution
  return { ...state, metadata, schema, protocol: protocol ?? state.protocol }
}

/** What the table, rather than the two schemas, has against a change. */
function* tableProblems({ metadata }: TableState, changes: readonly SchemaChange[]): Generator<string> {
  const isMapped = columnMappingMode(metadata) !== 'none'
  for (const change of changes) {
    const { path } = change
    const type = newType(change)
    // Under column mapping the files hold other names than people see.
    if (!isMapped) {
      for (const { path: at, name } of addedNames(change)) {
        const problem = nameProblem(name)
        if (problem !== null) yield `the column name \`${at}\` ${problem.what}: ${problem.fix}`
      }
    }
    if (change.kind === 'type-widened' && metadata.partitionColumns.includes(path)) {
      yield `the partition column \`${path}\` is \`${formatDataType(change.fromType)}\` in the table and would become \`${formatDataType(type)}\`: the type of a partition column cannot change; write to another table`
    }
    if (someType(type, t => t.kind === 'primitive' && t.name === 'variant')) {
      yield `the column \`${path}\` would be \`${formatDataType(type)}\`, which cannot be written here: give it the type \`string\``
    }
  }
}

function* addedNames(change: SchemaChange): Generator<{ path: string; name: string }> {
  const { path } = change
  if (change.kind === 'field-added') yield { path, name: change.name }
  for (const { path: below, field } of schemaFields(newType(change))) {
    if (change.kind === 'field-added' || isVoid(change.fromType)) {
      yield { path: `${path}.${below}`, name: field.name }
    }
  }
}

function newType(change: SchemaChange): DataType {
  return change.kind === 'field-added' ? change.type : change.toType
}

function usesTimestampNtz(type: DataType): boolean {
  return someType(type, t => t.kind === 'primitive' && t.name === 'timestamp_ntz')
}

/** Null where the protocol lists the feature already. */
function withTimestampNtz(protocol: Protocol): Protocol | null {
  const writerFeatures = writerFeaturesOf(protocol)
  if (writerFeatures.has('timestampNtz')) return null
  return {
    minReaderVersion: 3,
    minWriterVersion: 7,
    readerFeatures: [...readerFeaturesOf(protocol), 'timestampNtz'],
    writerFeatures: [...writerFeatures, 'timestampNtz'],
  }
}

/** Where a type stands, and the record of the nearest field's type changes. */
interface Place {
  readonly path: readonly string[]
  /** Inside the nearest field: `element`, `key`, `value`. */
  readonly fieldPath: readonly string[]
  readonly typeChanges: TypeChange[]
}

class Merge {
  readonly changes: SchemaChange[] = []
  readonly problems: string[] = []
  readonly #options: MergeOptions

  constructor(options: MergeOptions) {
    this.#options = options
  }

  /** The same object where nothing changes; so do all below. */
  struct(table: StructType, incoming: StructType, path: readonly string[]): StructType {
    const byName = new Map<string, StructField>()
    const isKnown = new Set(table.fields.map(f => f.name.toLowerCase()))
    const added: StructField[] = []
    for (const candidate of incoming.fields) {
      const folded = candidate.name.toLowerCase()
      const other = byName.get(folded)
      if (other !== undefined) {
        this.problems.push(
          other.name === candidate.name
            ? `the incoming column \`${pathText(path, other.name)}\` occurs twice: leave one out`
            : `the incoming columns \`${pathText(path, other.name)}\` and \`${pathText(path, candidate.name)}\` differ only in case: rename one`,
        )
        continue
      }
      byName.set(folded, candidate)
      if (!isKnown.has(folded)) added.push(...this.#newField(candidate, path))
    }
    let isChanged = added.length > 0
    const fields = table.fields.map(own => {
      const candidate = byName.get(own.name.toLowerCase())
      const merged = candidate === undefined ? own : this.#field(own, candidate, path)
      isChanged ||= merged !== own
      return merged
    })
    return isChanged ? struct([...fields, ...added]) : table
  }

  #newField(candidate: StructField, path: readonly string[]): StructField[] {
    const at = [...path, candidate.name]
    if (at.length + depthOf(candidate.type) > SCHEMA_DEPTH_MAX) {
      this.problems.push(
        `the column \`${at.slice(0, 3).join('.')}…\` is nested deeper than ${SCHEMA_DEPTH_MAX} levels: store it as \`string\``,
      )
      return []
    }
    const type = asNew(candidate.type)
    if (type === null) return []
    this.changes.push({ kind: 'field-added', path: at.join('.'), name: candidate.name, type })
    return [newField(candidate, type)]
  }

  #field(own: StructField, candidate: StructField, path: readonly string[]): StructField {
    const typeChanges: TypeChange[] = []
    const place = { path: [...path, own.name], fieldPath: [], typeChanges }
    const type = this.#type(own.type, candidate.type, place)
    if (type === own.type) return own
    if (typeChanges.length === 0) return { ...own, type }
    const before = own.metadata[TYPE_CHANGES_KEY]
    const all = [...(Array.isArray(before) ? before : []), ...typeChanges]
    return { ...own, type, metadata: { ...own.metadata, [TYPE_CHANGES_KEY]: all } }
  }

  #type(table: DataType, incoming: DataType, place: Place): DataType {
    if (isVoid(incoming)) return table
    if (isVoid(table)) return this.#typed(table, incoming, place)
    if (table.kind === 'struct' && incoming.kind === 'struct') {
      return this.struct(table, incoming, place.path)
    }
    if (table.kind === 'array' && incoming.kind === 'array') {
      const element = this.#type(table.element, incoming.element, within(place, 'element'))
      return element === table.element ? table : array(element, table.containsNull)
    }
    if (table.kind === 'map' && incoming.kind === 'map') {
      const key = this.#type(table.key, incoming.key, within(place, 'key'))
      const value = this.#type(table.value, incoming.value, within(place, 'value'))
      return key === table.key && value === table.value ? table : map(key, value, table.valueContainsNull)
    }
    return this.#simpleType(table, incoming, place)
  }

  /** A column that had no type gets one; no file holds values of it. */
  #typed(table: DataType, incoming: DataType, place: Place): DataType {
    const type = asNew(incoming)
    if (type === null) return table
    this.changes.push({ kind: 'type-widened', path: place.path.join('.'), fromType: table, toType: type })
    return type
  }

  #simpleType(table: DataType, incoming: DataType, { path, fieldPath, typeChanges }: Place): DataType {
    const wider = widerType(table, incoming)
    if (wider?.status === 'keep') return table
    const both = `the column \`${path.join('.')}\` is \`${formatDataType(table)}\` in the table and \`${formatDataType(incoming)}\` in the incoming rows`
    if (wider === null) {
      this.problems.push(`${both}: convert the values, or write them to a column of another name`)
      return table
    }
    if (wider.needsFeature && !this.#options.typeWidening) {
      this.problems.push(
        `${both}: set the table property \`delta.enableTypeWidening\` to \`true\` with an engine that upgrades the table, or convert the values`,
      )
      return table
    }
    const { type } = wider
    this.changes.push({ kind: 'type-widened', path: path.join('.'), fromType: table, toType: type })
    if (this.#options.recordTypeChanges ?? this.#options.typeWidening) {
      typeChanges.push(typeChange(table, type, fieldPath))
    }
    return type
  }
}

function within(place: Place, name: string): Place {
  return { ...place, path: [...place.path, name], fieldPath: [...place.fieldPath, name] }
}

function pathText(path: readonly string[], name: string): string {
  return [...path, name].join('.')
}

function isVoid(type: DataType): boolean {
  return type.kind === 'primitive' && type.name === 'void'
}

/** Metadata that belongs to a column of another table: ids, defaults, expressions. */
const FOREIGN_METADATA = /^(delta\.|CURRENT_DEFAULT$|EXISTS_DEFAULT$)/

function newField({ name, metadata }: StructField, type: DataType): StructField {
  const kept = Object.entries(metadata).filter(([key]) => !FOREIGN_METADATA.test(key))
  return field(name, type, true, Object.fromEntries(kept))
}

/** The type of a new column: everything in it may be null, as no older row has it; null where it has no type yet. */
function asNew(type: DataType): DataType | null {
  switch (type.kind) {
    case 'struct': {
      const fields = type.fields.flatMap(f => {
        const inner = asNew(f.type)
        return inner === null ? [] : [newField(f, inner)]
      })
      return fields.length === 0 ? null : struct(fields)
    }
    case 'array': {
      const element = asNew(type.element)
      return element === null ? null : array(element)
    }
    case 'map': {
      const key = asNew(type.key)
      const value = asNew(type.value)
      return key === null || value === null ? null : map(key, value)
    }
    default:
      return isVoid(type) ? null : type
  }
}

/** Levels below the type itself, counted no further than the bound. */
function depthOf(type: DataType, limit = SCHEMA_DEPTH_MAX + 1): number {
  if (limit === 0) return 1
  switch (type.kind) {
    case 'struct':
      return 1 + type.fields.reduce((depth, f) => Math.max(depth, depthOf(f.type, limit - 1)), 0)
    case 'array':
      return 1 + depthOf(type.element, limit - 1)
    case 'map':
      return 1 + Math.max(depthOf(type.key, limit - 1), depthOf(type.value, limit - 1))
    default:
      return 0
  }
}
