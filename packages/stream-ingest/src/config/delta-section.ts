/**
 * The `delta` section.
 *
 * @module
 */
import { struct } from '@stream-ingest/delta'
import { list, record } from './collection-type.ts'
import type { ConfigNode } from './config-node.ts'
import type { ConfigReader } from './config-reader.ts'
import { nameProblem, structOf } from './data-type.ts'
import type { DecodeField } from './decode-field.ts'
import { quoteValue, type Span } from './diagnostic.ts'
import { boolean, duration, enumeration, type FieldType, integer, size, text } from './field-type.ts'
import {
  type DeltaConfig,
  type DerivedColumn,
  type DeriveUnit,
  KAFKA_METADATA_COLUMNS,
  type KafkaMetadataField,
} from './ingest-config.ts'
import { type DeclaredColumn, schemaFieldSection, schemaType } from './schema-field.ts'
import {
  optional,
  readSection,
  required,
  type SectionReading,
  type SectionValues,
  section,
  sectionType,
  withDefault,
} from './section.ts'
import { nearestWord } from './suggestion.ts'
import { DERIVE_UNITS, type LayoutProblem, planTableLayout } from './table-layout.ts'

const MS_PER_HOUR = 3_600_000
/** A pipeline refuses a table that has it: offsets would expire. */
const TXN_RETENTION_PROPERTY = 'delta.setTransactionRetentionDuration'
const MS_PER_DAY = 86_400_000
const PARTITION_COLUMNS_MAX = 32
const DERIVE_MAX = 64
const PROPERTIES_MAX = 256

const deriveEntrySection = section('delta.derive.*', 'One derived column; its key is the column’s name.', {
  from: required<string>(text({ expected: 'the path of a field, or `kafka.timestamp`' }), {
    description: 'A column, a nested field (`order.placed_at`), or `kafka.timestamp`.',
    example: 'timestamp',
  }),
  as: required<DeriveUnit>(enumeration(DERIVE_UNITS), {
    description: 'Which part of the instant, in UTC.',
    example: 'date',
  }),
})

/** A derived column and where its name stands. */
interface DeclaredDerive extends DerivedColumn {
  readonly nameSpan: Span
}

function deriveType(): FieldType<readonly DeclaredDerive[]> {
  const expected = 'a map of columns, such as `{ date: { from: timestamp, as: date } }`'
  return {
    label: 'map of sections',
    expected,
    jsonSchema: { type: 'object', additionalProperties: { $section: deriveEntrySection.name } },
    read(node, reader) {
      if (node.kind !== 'map' || node.entries.length > DERIVE_MAX) {
        reader.mismatch(node, node.kind === 'map' ? `at most ${DERIVE_MAX} columns` : expected)
        return undefined
      }
      const derived: DeclaredDerive[] = []
      for (const { key, keySpan, value } of node.entries) {
        const problem = nameProblem(key)
        if (problem !== null) reader.sink.error('CONFIG_INVALID_VALUE', keySpan, problem)
        const path = `delta.derive.${key}`
        if (value.kind !== 'map') {
          reader.mismatch(value, '`{ from: …, as: … }`')
          continue
        }
        const entries = value.entries.map(entry => ({ ...entry, owner: path }))
        const { from, as } = readSection(deriveEntrySection, entries, { path, span: keySpan }, reader).values
        if (from !== undefined && as !== undefined && problem === null)
          derived.push({ name: key, from, as, nameSpan: keySpan })
      }
      return derived.length === node.entries.length ? derived : undefined
    },
  }
}

type MetadataColumns = ReadonlyMap<KafkaMetadataField, string>

const METADATA_WORDS: readonly string[] = KAFKA_METADATA_COLUMNS.flatMap(name => [
  name,
  metadataColumnName(name),
])

export function metadataColumnName(field: KafkaMetadataField): string {
  return `_kafka_${field}`
}

const DEFAULT_METADATA: MetadataColumns = new Map(
  (['topic', 'partition', 'offset', 'timestamp'] as const).map(name => [name, metadataColumnName(name)]),
)

/** A list of fields, `true` (all), `false` (none), or a map from field to column name. */
function metadataColumnsType(): FieldType<MetadataColumns> {
  const expected =
    'a list of `topic`, `partition`, `offset`, `timestamp`, `key`, `headers`; `true`, `false`, or a map to column names'
  const item = enumeration([...METADATA_WORDS])
  return {
    label: 'list, boolean or map',
    expected,
    jsonSchema: {
      anyOf: [
        { type: 'boolean' },
        { type: 'array', items: { enum: METADATA_WORDS } },
        {
          type: 'object',
          propertyNames: { enum: METADATA_WORDS },
          additionalProperties: { type: ['string', 'boolean'] },
        },
      ],
    },
    read(node, reader) {
      if (node.kind === 'map') return readRenames(node.entries, reader)
      const scalar = node.kind === 'scalar' ? reader.resolve(node) : undefined
      if (scalar === null) return undefined
      if (scalar?.text === 'false') return new Map()
      if (scalar?.text === 'true')
        return inOrder(new Map(KAFKA_METADATA_COLUMNS.map(name => [name, metadataColumnName(name)])))
      const names = list(item, { label: '', expected, itemsMax: KAFKA_METADATA_COLUMNS.length }).read(
        node,
        reader,
      )
      return names === undefined
        ? undefined
        : inOrder(new Map(names.map(metadataField).map(name => [name, metadataColumnName(name)])))
    },
  }
}

function metadataField(word: string): KafkaMetadataField {
  return word.replace(/^_kafka_/, '') as KafkaMetadataField
}

function inOrder(columns: MetadataColumns): MetadataColumns {
  return new Map(
    KAFKA_METADATA_COLUMNS.flatMap(name => (columns.has(name) ? [[name, columns.get(name) as string]] : [])),
  )
}

function readRenames(
  entries: readonly { key: string; keySpan: Span; value: ConfigNode }[],
  reader: ConfigReader,
): MetadataColumns | undefined {
  const columns = new Map<KafkaMetadataField, string>()
  let isComplete = true
  for (const { key, keySpan, value } of entries) {
    if (!METADATA_WORDS.includes(key)) {
      const near = nearestWord(key, METADATA_WORDS)
      const detail =
        near === null
          ? { help: `known are ${KAFKA_METADATA_COLUMNS.map(quoteValue).join(', ')}` }
          : { help: `did you mean \`${near}\`?`, suggestion: near }
      reader.sink.error(
        'CONFIG_UNKNOWN_KEY',
        keySpan,
        `unknown key ${quoteValue(key)} in delta.metadata_columns`,
        detail,
      )
      isComplete = false
      continue
    }
    const field = metadataField(key)
    const scalar = value.kind === 'scalar' ? reader.resolve(value) : undefined
    if (scalar === null) isComplete = false
    else if (scalar?.kind === 'null' || scalar?.text === 'true') columns.set(field, metadataColumnName(field))
    else if (scalar?.text === 'false') continue
    else if (scalar === undefined || nameProblem(scalar.text) !== null) {
      reader.mismatch(
        value,
        'the name of a column, `true` or `false`',
        nameProblem(scalar?.text ?? '') ?? undefined,
      )
      isComplete = false
    } else columns.set(field, scalar.text)
  }
  return isComplete ? inOrder(columns) : undefined
}

const optimizeSection = section('delta.optimize', 'Compaction by the running process.', {
  every: withDefault<number>(duration({ min: 60_000, max: 30 * MS_PER_DAY }), MS_PER_HOUR, {
    description: 'How often.',
    defaultText: '`1h`',
  }),
  min_files: withDefault<number>(integer({ min: 2, max: 1_000_000 }), 8, {
    description: 'Leave a partition alone that has fewer small files.',
  }),
})

const vacuumSection = section('delta.vacuum', 'Removal of files that are no longer part of the table.', {
  every: withDefault<number>(duration({ min: 60_000, max: 30 * MS_PER_DAY }), MS_PER_DAY, {
    description: 'How often.',
    defaultText: '`24h`',
  }),
  retention: optional<number>(duration({ min: MS_PER_DAY, max: 3650 * MS_PER_DAY }), {
    description:
      'Keep what was in the table more recently. A day at least: no file that is about to be committed may go.',
    defaultText: 'the table’s property, else `168h`',
    example: '168h',
  }),
})

export const deltaSection = section('delta', 'The table.', {
  table_name: required<string>(
    text({
      expected: 'the name of a table',
      pattern: /^(?!_delta_log$)[A-Za-z0-9_][A-Za-z0-9._-]{0,254}$/,
      help: 'letters, digits, `_`, `-` and `.`; folders go under `prefix` or `path`',
    }),
    { description: 'The last folder of the table’s path.', example: 'user_events' },
  ),
  write_mode: withDefault<DeltaConfig['writeMode']>(
    enumeration(['append', 'overwrite', 'error_if_exists']),
    'append',
    {
      description:
        'Add rows; replace all rows by those of a run that has an end, in one commit at its end; or refuse a table that exists.',
    },
  ),
  schema: optional<readonly DeclaredColumn[]>(schemaType(), {
    description:
      'The columns. Without it the table must exist, or `merge_schema: true` finds them in the messages.',
    example: '[{ name: user_id, data_type: int64, nullable: false }]',
  }),
  partition_columns: withDefault<readonly string[]>(
    list(text({ expected: 'the name of a column' }), {
      label: 'list of text',
      expected: 'a list of column names',
      itemsMax: PARTITION_COLUMNS_MAX,
    }),
    [],
    {
      description:
        'A column of the schema, a derived or a metadata column. Any other name is the payload’s field of that name; `date`, `year`, `month`, `day` and `hour` are derived from the record’s Kafka timestamp (UTC) where the payload has no such field.',
      defaultText: '`[]`',
      example: '[date]',
    },
  ),
  derive: withDefault<readonly DeclaredDerive[]>(deriveType(), [], {
    description: 'Columns computed from an instant, in UTC.',
    defaultText: '`{}`',
    example: '{ date: { from: timestamp, as: date } }',
  }),
  metadata_columns: withDefault<MetadataColumns>(metadataColumnsType(), DEFAULT_METADATA, {
    description:
      'Columns `_kafka_topic`, `_kafka_partition`, `_kafka_offset`, `_kafka_timestamp`, `_kafka_key`, `_kafka_headers`: a list, `true` (all), `false` (none), or a map to other names.',
    defaultText: '`[topic, partition, offset, timestamp]`',
    example: '{ offset: source_offset, topic: source_topic }',
  }),
  merge_schema: withDefault<boolean>(boolean(), false, {
    description:
      'Add unknown payload fields as nullable columns, and widen types where that is safe; see the guide to schema evolution.',
  }),
  create_table: withDefault<boolean>(boolean(), true, {
    description: 'Create the table where it is missing.',
  }),
  table_properties: withDefault<ReadonlyMap<string, string>>(
    record(text({ allowBoolean: true, allowEmpty: true }), {
      label: 'map of text',
      expected: 'a map of texts',
      entriesMax: PROPERTIES_MAX,
    }),
    new Map(),
    {
      description: 'Properties written when the table is created.',
      defaultText: '`{}`',
      example: '{ delta.checkpointInterval: 20 }',
    },
  ),
  checkpoint_interval: optional<number>(integer({ min: 1, max: 100_000 }), {
    description: 'Commits between two checkpoints.',
    defaultText: 'the table’s property, else 10',
    example: '20',
  }),
  target_file_size: withDefault<number>(size({ min: 4096, max: 2 ** 34 }), 128 * 2 ** 20, {
    description: 'Encoded bytes per data file.',
    defaultText: '`128MiB`',
    example: '64MiB',
  }),
  optimize: optional<SectionValues<typeof optimizeSection.fields>>(sectionType(optimizeSection), {
    description: 'Compaction by the running process.',
    defaultText: 'off',
    example: '{ every: 1h, min_files: 8 }',
  }),
  vacuum: optional<SectionValues<typeof vacuumSection.fields>>(sectionType(vacuumSection), {
    description: 'Removal of files that are no longer part of the table.',
    defaultText: 'off',
    example: '{ every: 24h, retention: 168h }',
  }),
})

export type DeltaReading = SectionReading<typeof deltaSection.fields>

/** What the table's columns demand of each other, and of each key of the section. */
export function checkDelta(reading: DeltaReading, reader: ConfigReader): void {
  if (reading.values.table_properties?.has(TXN_RETENTION_PROPERTY)) {
    const message = `\`${TXN_RETENTION_PROPERTY}\` makes the table forget the pipeline's offsets`
    reader.sink.error('CONFIG_CONFLICT', reading.spanOf('table_properties'), message, {
      help: 'leave it out: offsets of a pipeline that rests must stay in the table',
    })
  }
  const { schema, partition_columns, derive, metadata_columns, create_table, merge_schema } = reading.values
  const hasColumns = reading.has('schema') || merge_schema === true
  if (!hasColumns && create_table === true && reading.has('create_table')) {
    const message = '`create_table: true` needs a `schema`'
    reader.sink.error('CONFIG_CONFLICT', reading.spanOf('create_table'), message, {
      help: 'add `schema:` to delta, or `merge_schema: true`',
    })
  }
  const isComplete = partition_columns !== undefined && derive !== undefined && metadata_columns !== undefined
  if (!isComplete || (schema === undefined && merge_schema !== true)) return
  const layout = planTableLayout({
    ...declaredColumns(schema ?? []),
    partitionColumns: partition_columns,
    derive,
    metadataColumns: metadata_columns,
  })
  // Without a schema the table may exist and have more columns: what is missing is not to be judged here.
  const problems = layout.problems.filter(
    ({ subject }) => schema !== undefined || subject === 'derive' || subject === 'metadata',
  )
  for (const problem of problems) {
    const { message, help } = problem
    reader.sink.error(
      'CONFIG_CONFLICT',
      problemSpan(problem, reading),
      message,
      help === undefined ? {} : { help },
    )
  }
}

function problemSpan({ subject, name }: LayoutProblem, reading: DeltaReading): Span {
  switch (subject) {
    case 'schema':
      return reading.values.schema?.find(column => column.name === name)?.nameSpan ?? reading.spanOf('schema')
    case 'derive':
      return reading.values.derive?.find(column => column.name === name)?.nameSpan ?? reading.spanOf('derive')
    case 'metadata':
      return reading.spanOf('metadata_columns')
    case 'partition':
      return reading.spanOf('partition_columns')
  }
}

function declaredColumns(columns: readonly DeclaredColumn[]): Pick<DeltaConfig, 'schema' | 'fields'> {
  const type = structOf(columns).type
  const fields = columns.map(
    ({ name, nullable, source, declared }): DecodeField => ({ ...declared, name, nullable, source }),
  )
  return { schema: type.kind === 'struct' ? type : struct([]), fields }
}

export function resolveDelta(values: SectionValues<typeof deltaSection.fields>): DeltaConfig {
  const { schema, checkpoint_interval, optimize, vacuum } = values
  return {
    tableName: values.table_name,
    writeMode: values.write_mode,
    ...(schema === undefined ? { schema: null, fields: [] } : declaredColumns(schema)),
    partitionColumns: values.partition_columns,
    derive: values.derive.map(({ name, from, as }) => ({ name, from, as })),
    metadataColumns: values.metadata_columns,
    mergeSchema: values.merge_schema,
    createTable: values.create_table,
    tableProperties: Object.fromEntries(values.table_properties),
    ...(checkpoint_interval === undefined ? {} : { checkpointInterval: checkpoint_interval }),
    targetFileSizeBytes: values.target_file_size,
    ...(optimize === undefined
      ? {}
      : { optimize: { everyMs: optimize.every, minFiles: optimize.min_files } }),
    ...(vacuum === undefined
      ? {}
      : {
          vacuum: {
            everyMs: vacuum.every,
            ...(vacuum.retention === undefined ? {} : { retentionMs: vacuum.retention }),
          },
        }),
  }
}

/** For the reference and the JSON Schema. */
export const DELTA_SUBSECTIONS = [
  schemaFieldSection(),
  deriveEntrySection,
  optimizeSection,
  vacuumSection,
] as const
