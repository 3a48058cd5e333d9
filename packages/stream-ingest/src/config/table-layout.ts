/**
 * The columns of the table, in order, and where each one's value comes from.
 *
 * Order: the fields of `delta.schema`, then partition and derived columns that are not among them, then the record's
 * metadata. Pure: the same configuration gives the same table.
 *
 * @module
 */

import assert from 'node:assert/strict'
import {
  array,
  type DataType,
  field,
  primitive,
  type StructField,
  type StructType,
  struct,
} from '@stream-ingest/delta'
import { ConfigError } from '../error.ts'
import type { DecodeField } from './decode-field.ts'
import type { DeltaConfig, DeriveUnit, KafkaMetadataField } from './ingest-config.ts'

export const DERIVE_UNITS = ['date', 'hour', 'year', 'month', 'day'] as const satisfies readonly DeriveUnit[]

/** The instant that a derived column is computed from. */
export type DeriveInput =
  /** The record's timestamp. A record without one is bad. */
  | { readonly kind: 'kafka_timestamp' }
  /**
   * A timestamp or date read like a column from `field.source` (a whole path, from the payload's root). `column` names
   * the column that holds the same value, where there is one at the top level.
   */
  | { readonly kind: 'field'; readonly field: DecodeField; readonly column: string | null }

/** Where the value of a column comes from. */
export type ColumnSource =
  | { readonly kind: 'decode'; readonly field: DecodeField }
  | { readonly kind: 'derive'; readonly as: DeriveUnit; readonly from: DeriveInput }
  /** The payload's field if it is there and not null, else derived from the record's timestamp. */
  | { readonly kind: 'decode_or_derive'; readonly field: DecodeField; readonly as: DeriveUnit }
  | { readonly kind: 'kafka'; readonly field: KafkaMetadataField }

export interface TableColumn {
  /** As it stands in the table's schema. */
  readonly field: StructField
  readonly source: ColumnSource
  readonly isPartition: boolean
}

export interface TableLayout {
  readonly schema: StructType
  /** One for each field of `schema`, in its order. */
  readonly columns: readonly TableColumn[]
  /** In the order of the configuration. */
  readonly partitionColumns: readonly string[]
}

/** Two settings that cannot both be met. `name` is the column's. */
export interface LayoutProblem {
  readonly subject: 'schema' | 'partition' | 'derive' | 'metadata'
  readonly name: string
  readonly message: string
  readonly help?: string
}

export type LayoutInput = Pick<
  DeltaConfig,
  'schema' | 'fields' | 'partitionColumns' | 'derive' | 'metadataColumns'
>

/**
 * The layout of a configuration with its `schema` (see {@link adoptTableSchema} for one without). One that was validated
 * has a layout; for a schema adopted from a table it throws `CONFIG_CONFLICT` where the two do not fit.
 *
 * Partition columns that are not declared are nullable in the table, although a record without their value is bad: the
 * rule is this configuration's, and other writers of the table need not share it.
 */
export function resolveTableLayout(delta: LayoutInput): TableLayout {
  const { layout, problems } = planTableLayout(delta)
  const [first] = problems
  if (first === undefined) return layout
  throw new ConfigError(
    'CONFIG_CONFLICT',
    problems.map(problem => problem.message).join('; '),
    first.help === undefined ? {} : { hint: first.help },
  )
}

/** The layout, and every reason why it is none. */
export function planTableLayout(delta: LayoutInput): {
  readonly layout: TableLayout
  readonly problems: readonly LayoutProblem[]
} {
  assert(delta.schema !== null, 'a layout needs a schema')
  assert.equal(delta.schema.fields.length, delta.fields.length)
  const problems: LayoutProblem[] = []
  const metadataNames = new Map([...delta.metadataColumns].map(([metadata, name]) => [name, metadata]))
  const partitions = new Set(delta.partitionColumns)
  const columns: TableColumn[] = []
  const add = (column: StructField, source: ColumnSource, subject: LayoutProblem['subject']): void => {
    const twin = columns.find(({ field: { name } }) => name.toLowerCase() === column.name.toLowerCase())
    if (twin === undefined) {
      columns.push({ field: column, source, isPartition: partitions.has(column.name) })
      return
    }
    const message = `the column \`${column.name}\` is already ${originOf(twin.source)}`
    problems.push({ subject, name: column.name, message, help: clashHelp(subject) })
  }
  for (const [index, decode] of delta.fields.entries()) {
    add(delta.schema.fields[index] as StructField, { kind: 'decode', field: decode }, 'schema')
  }
  for (const derived of delta.derive) {
    const input = deriveInput(derived.from, derived.as, delta.fields)
    if (typeof input === 'string') {
      problems.push({ subject: 'derive', name: derived.name, message: input })
      continue
    }
    add(
      field(derived.name, deriveType(derived.as)),
      { kind: 'derive', as: derived.as, from: input },
      'derive',
    )
  }
  for (const name of delta.partitionColumns) {
    const isKnown = columns.some(column => column.field.name === name) || metadataNames.has(name)
    const isProblem = problems.some(problem => problem.name === name)
    if (!isKnown && !isProblem) add(...undeclaredPartition(name), 'partition')
  }
  for (const [metadata, name] of delta.metadataColumns) {
    add(field(name, METADATA_TYPES[metadata]), { kind: 'kafka', field: metadata }, 'metadata')
  }
  checkPartitions(columns, delta.partitionColumns, problems)
  const schema = struct(columns.map(column => column.field))
  return { layout: { schema, columns, partitionColumns: delta.partitionColumns }, problems }
}

/** A sentence for people: which rule gives a partition column its value. */
export function describeSource(source: ColumnSource): string {
  switch (source.kind) {
    case 'decode':
      return describeDecode(source.field)
    case 'derive': {
      const from =
        source.from.kind === 'kafka_timestamp' ? 'the Kafka timestamp' : describeDecode(source.from.field)
      return `${source.as} of ${from}, in UTC`
    }
    case 'decode_or_derive':
      return `${describeDecode(source.field)} where present, else ${source.as} of the Kafka timestamp, in UTC`
    case 'kafka':
      return `the record’s ${source.field}`
  }
}

/**
 * The configuration with the schema of a table that exists, for one that declares none: the table decides. Metadata,
 * derived and undeclared partition columns keep their rules where the table holds them with the types that they have;
 * metadata columns that the table does not hold are left out.
 */
export function adoptTableSchema(delta: DeltaConfig, table: StructType): DeltaConfig {
  const own = new Map<string, DataType>()
  for (const { name, as } of delta.derive) own.set(name, deriveType(as))
  for (const name of delta.partitionColumns) {
    if (isDeriveUnit(name) && !own.has(name)) own.set(name, deriveType(name))
  }
  for (const [metadata, name] of delta.metadataColumns) own.set(name, METADATA_TYPES[metadata])
  const isOwn = ({ name, type }: StructField): boolean => hasSameShape(own.get(name), type)
  const kept = table.fields.filter(isOwn).map(each => each.name)
  const declared = table.fields.filter(each => !isOwn(each))
  const metadataColumns = new Map([...delta.metadataColumns].filter(([, name]) => kept.includes(name)))
  const fields = declared.map(({ name, type, nullable }) => decodeFieldOf(name, type, nullable, [name]))
  return { ...delta, schema: struct(declared), fields, metadataColumns }
}

/** The same type but for what its fields carry besides name, type and nullability. */
function hasSameShape(own: DataType | undefined, type: DataType): boolean {
  if (own === undefined || own.kind !== type.kind) return false
  if (own.kind === 'primitive') return type.kind === 'primitive' && own.name === type.name
  if (own.kind === 'array') return type.kind === 'array' && hasSameShape(own.element, type.element)
  if (own.kind !== 'struct' || type.kind !== 'struct') return false
  return (
    own.fields.length === type.fields.length &&
    own.fields.every((each, index) => {
      const other = type.fields[index]
      return other !== undefined && other.name === each.name && hasSameShape(each.type, other.type)
    })
  )
}

/** How a Delta type is decoded without a declaration: integers of timestamps are microseconds. */
export function decodeFieldOf(
  name: string,
  type: DataType,
  nullable: boolean,
  path: readonly string[],
): DecodeField {
  const base = { name, type, nullable, source: { kind: 'payload', path } } as const
  switch (type.kind) {
    case 'decimal':
      return { ...base, declaredType: `decimal(${type.precision},${type.scale})` }
    case 'array':
      return {
        ...base,
        declaredType: 'list',
        element: decodeFieldOf('element', type.element, type.containsNull, []),
      }
    case 'map': {
      const key = decodeFieldOf('key', type.key, false, [])
      return {
        ...base,
        declaredType: 'map',
        key,
        value: decodeFieldOf('value', type.value, type.valueContainsNull, []),
      }
    }
    case 'struct': {
      const fields = type.fields.map(child =>
        decodeFieldOf(child.name, child.type, child.nullable, [child.name]),
      )
      return { ...base, declaredType: 'struct', fields }
    }
    case 'primitive': {
      const isInstant = type.name === 'timestamp' || type.name === 'timestamp_ntz'
      return { ...base, declaredType: type.name, ...(isInstant ? { unit: 'microsecond' as const } : {}) }
    }
  }
}

/** PROTOCOL.md › Primitive Types. All nullable: a record may lack a timestamp or a key. */
const METADATA_TYPES: Readonly<Record<KafkaMetadataField, DataType>> = {
  topic: primitive('string'),
  partition: primitive('integer'),
  offset: primitive('long'),
  timestamp: primitive('timestamp'),
  key: primitive('binary'),
  headers: array(struct([field('key', primitive('string')), field('value', primitive('binary'))])),
}

function deriveType(unit: DeriveUnit): DataType {
  return primitive(unit === 'date' ? 'date' : 'integer')
}

function isDeriveUnit(name: string): name is DeriveUnit {
  return (DERIVE_UNITS as readonly string[]).includes(name)
}

/** The payload's field of that name; for the names of derive units, a part of the record's timestamp in its absence. */
function undeclaredPartition(name: string): [StructField, ColumnSource] {
  const source = { kind: 'payload', path: [name] } as const
  if (!isDeriveUnit(name)) {
    const type = primitive('string')
    return [
      field(name, type),
      { kind: 'decode', field: { name, type, declaredType: 'utf8', nullable: false, source } },
    ]
  }
  const type = deriveType(name)
  const declaredType = name === 'date' ? 'date32' : 'int32'
  const decode: DecodeField = { name, type, declaredType, nullable: true, source }
  return [field(name, type), { kind: 'decode_or_derive', field: decode, as: name }]
}

/** The instant that `from` names, or why it is none. */
function deriveInput(from: string, as: DeriveUnit, fields: readonly DecodeField[]): DeriveInput | string {
  if (from === 'kafka.timestamp') return { kind: 'kafka_timestamp' }
  if (/^kafka(\.|$)/.test(from)) return `\`${from}\` is no instant: write \`kafka.timestamp\``
  const whole = fields.find(({ name }) => name === from)
  if (whole !== undefined) return checkInstant({ kind: 'field', field: whole, column: from }, from, as)
  const path = from.replace(/^payload\./, '').split('.')
  if (path.includes('')) return `\`${from}\` is no path`
  const column = from.startsWith('payload.') ? undefined : fields.find(({ name }) => name === path[0])
  if (column !== undefined && path.length > 1) return nestedInput(column, path, from, as)
  // Not declared: ISO-8601 text, or milliseconds as Kafka counts them.
  const source = { kind: 'payload', path } as const
  const type = primitive('timestamp')
  const undeclared: DecodeField = {
    name: from,
    type,
    declaredType: 'timestamp_millisecond',
    nullable: false,
    source,
    unit: 'millisecond',
  }
  return { kind: 'field', field: undeclared, column: null }
}

function nestedInput(
  column: DecodeField,
  path: readonly string[],
  from: string,
  as: DeriveUnit,
): DeriveInput | string {
  let at = column
  for (const name of path.slice(1)) {
    const child = at.fields?.find(candidate => candidate.name === name)
    if (child === undefined) return `\`${from}\` is no field: \`${at.name}\` has no field \`${name}\``
    const source =
      at.source.kind === 'payload' && child.source.kind === 'payload'
        ? ({ kind: 'payload', path: [...at.source.path, ...child.source.path] } as const)
        : null
    if (source === null) return `\`${from}\` is not in the payload`
    at = { ...child, source, nullable: at.nullable || child.nullable }
  }
  return checkInstant({ kind: 'field', field: at, column: null }, from, as)
}

function checkInstant(
  input: DeriveInput & { kind: 'field' },
  from: string,
  as: DeriveUnit,
): DeriveInput | string {
  const { type, declaredType } = input.field
  const name = type.kind === 'primitive' ? type.name : ''
  if (name === 'date' && as === 'hour') return `\`${from}\` is a date: it has no hour`
  if (name === 'timestamp' || name === 'timestamp_ntz' || name === 'date') return input
  return `\`${from}\` is \`${declaredType}\`: only a timestamp or a date has a ${as}`
}

function checkPartitions(
  columns: readonly TableColumn[],
  partitionColumns: readonly string[],
  problems: LayoutProblem[],
): void {
  for (const { field: column, isPartition } of columns) {
    if (
      !isPartition ||
      (column.type.kind !== 'array' && column.type.kind !== 'map' && column.type.kind !== 'struct')
    )
      continue
    const message = `\`${column.name}\` cannot partition the table: it is a ${column.type.kind}`
    problems.push({
      subject: 'partition',
      name: column.name,
      message,
      help: 'partition by a column of a simple type',
    })
  }
  if (columns.length === 0) {
    problems.push({ subject: 'schema', name: '', message: 'the table has no columns' })
  } else if (partitionColumns.length > 0 && columns.every(column => column.isPartition)) {
    const message = 'every column is a partition column: the data files would have no columns'
    problems.push({ subject: 'partition', name: partitionColumns[0] as string, message })
  }
}

function originOf(source: ColumnSource): string {
  switch (source.kind) {
    case 'decode':
      return 'a column of the schema'
    case 'derive':
      return 'a derived column'
    case 'decode_or_derive':
      return 'a partition column'
    case 'kafka':
      return `the record’s ${source.field}`
  }
}

function clashHelp(subject: LayoutProblem['subject']): string {
  switch (subject) {
    case 'metadata':
      return 'rename it: `metadata_columns: { offset: source_offset }`, or leave it out'
    case 'derive':
      return 'give the derived column another name, or remove one of the two'
    default:
      return 'names that differ only in case are the same column to most readers'
  }
}

function describeDecode({ source }: DecodeField): string {
  switch (source.kind) {
    case 'payload':
      return `the payload’s \`${source.path.join('.')}\``
    case 'key':
      return 'the record’s key'
    case 'header':
      return `the record’s header \`${source.name}\``
  }
}
