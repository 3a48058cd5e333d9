import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { array, field, formatDataType, map, primitive, type StructField, struct } from '@stream-ingest/delta'
import { IngestConfig } from '../../src/config/config.ts'
import { mergedTableLayout, unfilledNames } from '../../src/config/merged-layout.ts'
import { describeSource, type TableLayout } from '../../src/config/table-layout.ts'

const long = primitive('long')
const text = primitive('string')

function layoutOf(delta: string, table: readonly StructField[] | null): TableLayout {
  const config = IngestConfig.parse(`
kafka: { bootstrap_servers: "localhost:9092", topic: t, consumer_group: g }
local: { path: ./lake }
delta:
  table_name: t
  merge_schema: true
  metadata_columns: [offset]
${delta.replace(/^/gm, '  ')}
`)
  return mergedTableLayout(config.pipelines[0]!.delta, table === null ? null : struct(table))
}

function columns({ columns }: TableLayout): string[] {
  return columns.map(
    ({ field: { name, type, nullable }, source }) =>
      `${name} ${formatDataType(type)}${nullable ? '' : ' not null'} ← ${describeSource(source)}`,
  )
}

const offset = field('_kafka_offset', long)
const OFFSET = '_kafka_offset long ← the record’s offset'

suite('the layout of a table that grows', () => {
  test('begins with metadata, derived and partition columns where nothing is declared', () => {
    const layout = layoutOf('partition_columns: [country]\nderive: { day: { from: at, as: date } }', null)
    assert.deepEqual(columns(layout), [
      'day date ← date of the payload’s `at`, in UTC',
      'country string ← the payload’s `country`',
      OFFSET,
    ])
  })

  test('has the columns of the table behind those of the configuration', () => {
    const layout = layoutOf('schema: [{ name: id, data_type: int64, nullable: false }]', [
      field('id', long, false),
      offset,
      field('note', text),
      field('when', primitive('timestamp'), false),
    ])
    assert.deepEqual(columns(layout), [
      'id long not null ← the payload’s `id`',
      OFFSET,
      'note string ← the payload’s `note`',
      'when timestamp not null ← the payload’s `when`',
    ])
  })

  test('has nested fields and wider types of the table in declared columns', () => {
    const declared = `schema:
  - { name: n, data_type: int32 }
  - { name: s, data_type: "struct<a: int8, l: list<struct<b: int64>>>" }
  - { name: m, data_type: "map<utf8, float>" }
  - { name: u, data_type: uint8 }`
    const inner = struct([field('b', long), field('c', text)])
    const layout = layoutOf(declared, [
      field('n', long),
      field('s', struct([field('a', primitive('integer')), field('l', array(inner)), field('d', text)])),
      field('m', map(text, primitive('double'))),
      field('u', primitive('integer')),
    ])
    assert.deepEqual(
      layout.columns.slice(0, 4).map(({ field: { name, type } }) => `${name} ${formatDataType(type)}`),
      [
        'n long',
        's struct<a: integer, l: array<struct<b: long, c: string>>, d: string>',
        'm map<string, double>',
        'u integer',
      ],
    )
    const source = layout.columns[3]!.source
    assert(source.kind === 'decode' && source.field.unsignedBits === 8, 'the declared bound stays')
  })

  test('keeps the declared type where it is the wider one: the table is to follow', () => {
    const layout = layoutOf('schema: [{ name: n, data_type: int64 }]', [field('n', primitive('integer'))])
    assert.equal(columns(layout)[0], 'n long ← the payload’s `n`')
  })

  test('reads the instant of a derived column as it did before messages made a column of it', () => {
    const derive = 'derive: { day: { from: at, as: date } }'
    for (const type of [text, long]) {
      const layout = layoutOf(derive, [field('day', primitive('date')), offset, field('at', type)])
      assert.deepEqual(columns(layout), [
        'day date ← date of the payload’s `at`, in UTC',
        OFFSET,
        `at ${formatDataType(type)} ← the payload’s \`at\``,
      ])
      const { source } = layout.columns[0]!
      assert(
        source.kind === 'derive' && source.from.kind === 'field' && source.from.field.unit === 'millisecond',
      )
    }
    const typed = layoutOf(derive, [
      field('day', primitive('date')),
      offset,
      field('at', primitive('timestamp')),
    ])
    const derived = typed.columns.find(column => column.field.name === 'day')!.source
    assert(derived.kind === 'derive' && derived.from.kind === 'field' && derived.from.column === 'at')
  })

  test('keeps the rules of partition columns, and the types that they have in the table', () => {
    const layout = layoutOf('partition_columns: [country, shop]', [
      field('country', text),
      field('shop', long),
      offset,
    ])
    assert.deepEqual(columns(layout), [
      'shop long ← the payload’s `shop`',
      'country string ← the payload’s `country`',
      OFFSET,
    ])
    assert.deepEqual(
      layout.columns.filter(column => column.isPartition).map(column => column.field.name),
      ['shop', 'country'],
    )
  })

  test('leaves out what JSON cannot fill', () => {
    const table = [
      offset,
      field('nothing', primitive('void')),
      field('By_Number', map(long, text)),
      field('deep', array(struct([field('v', primitive('variant'))]))),
    ]
    assert.deepEqual(columns(layoutOf('', table)), [OFFSET])
    assert.deepEqual([...unfilledNames(struct(table))], ['by_number', 'deep'])
  })
})
