/**
 * `delta.schema`: columns with their types, as text or nested YAML, and where their values come from.
 *
 * @module
 */

import { record } from './collection-type.ts'
import type { ConfigNode, ListNode, MapNode } from './config-node.ts'
import type { ConfigReader } from './config-reader.ts'
import {
  type DeclaredField,
  type DeclaredType,
  listOf,
  mapKeyProblem,
  mapOf,
  nameProblem,
  parseDataType,
  structOf,
  TYPE_DEPTH_MAX,
  type TypeProblem,
} from './data-type.ts'
import type { DecodeSource } from './decode-field.ts'
import { quoteValue, type Span } from './diagnostic.ts'
import { boolean, type FieldType, type JsonSchema, scalarOf, text } from './field-type.ts'
import { optional, readSection, required, section, withDefault } from './section.ts'

/** A column of `delta.schema`. */
export interface DeclaredColumn extends DeclaredField {
  readonly source: DecodeSource
  readonly nameSpan: Span
}

/** Columns of a table, fields of a struct. Parquet footers and statistics grow with them. */
export const SCHEMA_FIELDS_MAX = 4096
const METADATA_ENTRIES_MAX = 64

/** Key of `metadata` that names the source of a column; it does not reach the table. */
export const SOURCE_METADATA_KEY = 'source'

const DATA_TYPE_EXPECTED = 'a data type as text, or one of `{ list: … }`, `{ struct: … }`, `{ map: … }`'

/** The data type of one field, `depth` levels of types inside others. */
function dataType(depth: number): FieldType<DeclaredType> {
  return {
    label: 'data type',
    expected: DATA_TYPE_EXPECTED,
    jsonSchema: { $ref: '#/definitions/data_type' },
    read: (node, reader) => readDataType(node, reader, depth),
  }
}

function fieldName(): FieldType<string> {
  const base = text({ label: 'name', expected: 'the name of a column' })
  return {
    ...base,
    read(node, reader) {
      const name = base.read(node, reader)
      if (name === undefined) return undefined
      const problem = nameProblem(name)
      if (problem === null) return name
      reader.mismatch(node, 'the name of a column', problem)
      return undefined
    },
  }
}

/** The keys of one entry of `delta.schema` and of nested `struct` lists. */
export function schemaFieldSection(depth = 0) {
  return section('delta.schema', 'One column of the table, or one field of a struct.', {
    name: required<string>(fieldName(), {
      description:
        'The name of the column, and of the payload’s field unless `metadata.source` names another.',
      example: 'user_id',
    }),
    data_type: required<DeclaredType>(dataType(depth), {
      description: 'The data type; see below.',
      example: 'int64',
    }),
    nullable: withDefault<boolean>(boolean(), true, {
      description: 'May the value be missing or null? Otherwise such a record is bad.',
    }),
    metadata: optional<ReadonlyMap<string, string>>(
      record(text({ allowBoolean: true, allowEmpty: true }), {
        label: 'map of text',
        expected: 'a map of texts',
        entriesMax: METADATA_ENTRIES_MAX,
      }),
      {
        description:
          '`source` names where the value comes from: `payload.a.b`, `kafka.key` or `kafka.headers.NAME`. Other keys (such as `comment`) are written to the table’s schema.',
        example: '{ source: payload.user.id }',
      },
    ),
  })
}

const mapSection = (depth: number) =>
  section('map', 'The types of a map’s keys and values.', {
    key: required<DeclaredType>(dataType(depth), { description: 'Always `utf8`.' }),
    value: required<DeclaredType>(dataType(depth), { description: 'The type of the values.' }),
  })

/** The whole of `delta.schema`. */
export function schemaType(): FieldType<readonly DeclaredColumn[]> {
  return {
    label: 'list of fields',
    expected: 'a list of fields',
    jsonSchema: {
      type: 'array',
      minItems: 1,
      maxItems: SCHEMA_FIELDS_MAX,
      items: { $ref: '#/definitions/schema_field' },
    },
    read(node, reader) {
      if (node.kind === 'list' && node.items.length > 0) return readFields(node, reader, 0)
      reader.mismatch(node, 'a list of fields', 'each is `{ name: …, data_type: …, nullable: … }`')
      return undefined
    },
  }
}

export const DATA_TYPE_SCHEMA: JsonSchema = {
  anyOf: [
    { type: 'string' },
    {
      type: 'object',
      additionalProperties: false,
      minProperties: 1,
      maxProperties: 1,
      properties: {
        list: { $ref: '#/definitions/data_type' },
        struct: {
          anyOf: [
            { type: 'array', items: { $ref: '#/definitions/schema_field' } },
            { type: 'object', additionalProperties: { $ref: '#/definitions/data_type' } },
          ],
        },
        map: {
          type: 'object',
          additionalProperties: false,
          required: ['key', 'value'],
          properties: {
            key: { $ref: '#/definitions/data_type' },
            value: { $ref: '#/definitions/data_type' },
          },
        },
      },
    },
  ],
}

function readFields(
  node: ListNode,
  reader: ConfigReader,
  depth: number,
): readonly DeclaredColumn[] | undefined {
  if (node.items.length > SCHEMA_FIELDS_MAX) {
    const message = `${node.items.length} fields: at most ${SCHEMA_FIELDS_MAX} are possible`
    reader.sink.error('CONFIG_INVALID_VALUE', node.span, message)
    return undefined
  }
  const columns: DeclaredColumn[] = []
  const names = new Map<string, string>()
  for (const item of node.items) {
    const column = readField(item, reader, depth)
    if (column === undefined) continue
    const twin = names.get(column.name.toLowerCase())
    if (twin === undefined) {
      names.set(column.name.toLowerCase(), column.name)
      columns.push(column)
    } else {
      const problem =
        twin === column.name ? 'is given twice' : `differs from ${quoteValue(twin)} only in case`
      reader.sink.error('CONFIG_CONFLICT', column.nameSpan, `the field ${quoteValue(column.name)} ${problem}`)
    }
  }
  return columns.length === node.items.length ? columns : undefined
}

function readField(node: ConfigNode, reader: ConfigReader, depth: number): DeclaredColumn | undefined {
  if (node.kind !== 'map') {
    reader.mismatch(node, 'a field', 'write `{ name: …, data_type: … }`')
    return undefined
  }
  const entries = node.entries.map(entry => ({ ...entry, owner: 'a field of delta.schema' }))
  // The first key stands for an entry that lacks another one.
  const place = { path: 'a field of delta.schema', span: node.entries[0]?.keySpan ?? node.span }
  const reading = readSection(schemaFieldSection(depth), entries, place, reader)
  const { name, data_type: declared, nullable, metadata } = reading.values
  const source = readSource(
    metadata?.get(SOURCE_METADATA_KEY),
    name,
    reading.spanOf('metadata'),
    reader,
    depth,
  )
  if (name === undefined || declared === undefined || nullable === undefined || source === undefined)
    return undefined
  const kept = [...(metadata ?? [])].filter(([key]) => key !== SOURCE_METADATA_KEY)
  return {
    name,
    declared,
    nullable,
    source,
    nameSpan: reading.spanOf('name'),
    ...(kept.length === 0 ? {} : { metadata: Object.fromEntries(kept) }),
  }
}

function readSource(
  written: string | undefined,
  name: string | undefined,
  span: Span,
  reader: ConfigReader,
  depth: number,
): DecodeSource | undefined {
  if (written === undefined) return name === undefined ? undefined : { kind: 'payload', path: [name] }
  if (depth > 0) {
    reader.sink.error(
      'CONFIG_INVALID_VALUE',
      span,
      'only a column names its source, not a field inside another',
      {
        help: 'name the source of the column around it',
      },
    )
    return undefined
  }
  const source = parseSource(written)
  if (source !== null) return source
  reader.sink.error('CONFIG_INVALID_VALUE', span, `${quoteValue(written)} names no source`, {
    help: 'write `payload.a.b`, `kafka.key` or `kafka.headers.NAME`; other facts of the record are `metadata_columns`',
  })
  return undefined
}

/** `payload.a.b` (or `a.b`), `kafka.key`, `kafka.headers.NAME`; null for anything else. */
export function parseSource(written: string): DecodeSource | null {
  if (written === 'kafka.key') return { kind: 'key' }
  const header = /^kafka\.headers\.(.+)$/s.exec(written)?.[1]
  if (header !== undefined) return { kind: 'header', name: header }
  if (written === 'payload' || /^kafka(\.|$)/.test(written)) return null
  const path = written.replace(/^payload\./, '').split('.')
  return path.includes('') ? null : { kind: 'payload', path }
}

function readDataType(node: ConfigNode, reader: ConfigReader, depth: number): DeclaredType | undefined {
  if (node.kind === 'map') return readNestedType(node, reader, depth)
  const scalar = scalarOf(node, reader, DATA_TYPE_EXPECTED)
  if (scalar === undefined) return undefined
  const parsed = parseDataType(scalar.text, depth)
  if (parsed.ok) return parsed.declared
  reportTypeProblem(parsed.problem, scalar.text, node.span, reader)
  return undefined
}

function reportTypeProblem(problem: TypeProblem, written: string, span: Span, reader: ConfigReader): void {
  const { message, help, suggestion, start, end } = problem
  // The part that is meant has its own place where the file holds the text as it is read.
  const at = reader.sink.text.slice(span.start, span.end).indexOf(written)
  const place = at === -1 ? span : { start: span.start + at + start, end: span.start + at + end }
  const detail = {
    ...(help === undefined ? {} : { help }),
    ...(suggestion === undefined ? {} : { suggestion }),
  }
  reader.sink.error('CONFIG_INVALID_VALUE', place, message, detail)
}

function readNestedType(node: MapNode, reader: ConfigReader, depth: number): DeclaredType | undefined {
  const [entry, second] = node.entries
  if (depth >= TYPE_DEPTH_MAX) {
    reader.sink.error(
      'CONFIG_INVALID_VALUE',
      node.span,
      `data types are nested deeper than ${TYPE_DEPTH_MAX}`,
    )
    return undefined
  }
  if (entry === undefined || second !== undefined) {
    reader.mismatch(node, DATA_TYPE_EXPECTED)
    return undefined
  }
  const inner = depth + 1
  switch (entry.key) {
    case 'list': {
      const element = readDataType(entry.value, reader, inner)
      return element === undefined ? undefined : listOf(element)
    }
    case 'struct':
      return readStruct(entry.value, reader, inner)
    case 'map':
      return readMap(entry.value, entry.keySpan, reader, inner)
    default:
      reader.sink.error(
        'CONFIG_UNKNOWN_KEY',
        entry.keySpan,
        `unknown key ${quoteValue(entry.key)} in a data type`,
        {
          help: `write ${DATA_TYPE_EXPECTED}`,
        },
      )
      return undefined
  }
}

function readStruct(node: ConfigNode, reader: ConfigReader, depth: number): DeclaredType | undefined {
  if (node.kind === 'list' && node.items.length > 0) {
    const fields = readFields(node, reader, depth)
    return fields === undefined ? undefined : structOf(fields)
  }
  if (node.kind !== 'map' || node.entries.length === 0) {
    reader.mismatch(
      node,
      'the fields of a struct',
      'write `{ a: T, b: U }`, or a list of fields with their names',
    )
    return undefined
  }
  const fields: DeclaredField[] = []
  const names = new Set<string>()
  for (const entry of node.entries) {
    const problem = names.has(entry.key.toLowerCase()) ? 'the field is given twice' : nameProblem(entry.key)
    if (problem !== null) reader.sink.error('CONFIG_INVALID_VALUE', entry.keySpan, problem)
    names.add(entry.key.toLowerCase())
    const declared = readDataType(entry.value, reader, depth)
    if (declared !== undefined && problem === null) fields.push({ name: entry.key, nullable: true, declared })
  }
  return fields.length === node.entries.length ? structOf(fields) : undefined
}

function readMap(
  node: ConfigNode,
  keySpan: Span,
  reader: ConfigReader,
  depth: number,
): DeclaredType | undefined {
  if (node.kind !== 'map') {
    reader.mismatch(node, 'the types of a map', 'write `{ key: utf8, value: T }`')
    return undefined
  }
  const entries = node.entries.map(entry => ({ ...entry, owner: 'a map' }))
  const reading = readSection(mapSection(depth), entries, { path: 'a map', span: keySpan }, reader)
  const { key, value } = reading.values
  if (key === undefined || value === undefined) return undefined
  const problem = mapKeyProblem(key)
  if (problem === null) return mapOf(key, value)
  reader.sink.error('CONFIG_INVALID_VALUE', reading.spanOf('key'), problem)
  return undefined
}
