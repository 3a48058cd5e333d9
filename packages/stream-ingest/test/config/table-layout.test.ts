import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { array, field, primitive, struct } from '@stream-ingest/delta'
import { checkConfigText } from '../../src/config/config.ts'
import type { DeltaConfig } from '../../src/config/ingest-config.ts'
import { adoptTableSchema, describeSource, resolveTableLayout } from '../../src/config/table-layout.ts'

function read(delta: string) {
  const text = `kafka: { bootstrap_servers: "a:1", topic: t, consumer_group: g }
local: { path: x }
delta:
  table_name: t
${delta.replace(/^/gm, '  ')}
`
  return checkConfigText(text, { environment: {} })
}

function deltaOf(delta: string): DeltaConfig {
  const { pipelines, diagnostics } = read(delta)
  assert.deepEqual(diagnostics, [])
  const config = pipelines?.[0]?.delta
  assert(config !== undefined)
  return config
}

function findings(delta: string): string[] {
  return read(delta).diagnostics.map(({ line, column, message }) => `${line}:${column} ${message}`)
}

const SCHEMA = `schema:
  - { name: id, data_type: int64, nullable: false }
  - { name: at, data_type: timestamp_second }
  - { name: born, data_type: date }
  - { name: order, data_type: "struct<placed: timestamp_second not null, total: int64>", metadata: { source: payload.o } }
`

describe('the layout of a table', () => {
  test('has the fields of the schema, then partition and derived columns, then metadata', () => {
    const layout = resolveTableLayout(
      deltaOf(`${SCHEMA}partition_columns: [hour, tenant, day, id]
derive: { day: { from: at, as: date } }
metadata_columns: true
`),
    )
    assert.deepEqual(
      layout.columns.map(
        ({ field: { name, nullable }, isPartition }) =>
          `${name}${nullable ? '' : '!'}${isPartition ? '*' : ''}`,
      ),
      [
        'id!*',
        'at',
        'born',
        'order',
        'day*',
        'hour*',
        'tenant*',
        '_kafka_topic',
        '_kafka_partition',
        '_kafka_offset',
        '_kafka_timestamp',
        '_kafka_key',
        '_kafka_headers',
      ],
    )
    assert.deepEqual(layout.schema.fields.slice(4), [
      field('day', primitive('date')),
      field('hour', primitive('integer')),
      field('tenant', primitive('string')),
      field('_kafka_topic', primitive('string')),
      field('_kafka_partition', primitive('integer')),
      field('_kafka_offset', primitive('long')),
      field('_kafka_timestamp', primitive('timestamp')),
      field('_kafka_key', primitive('binary')),
      field(
        '_kafka_headers',
        array(struct([field('key', primitive('string')), field('value', primitive('binary'))])),
      ),
    ])
    assert.deepEqual(layout.partitionColumns, ['hour', 'tenant', 'day', 'id'])
    assert.deepEqual(
      layout.schema.fields,
      layout.columns.map(column => column.field),
    )
  })

  test('says by which rule a column gets its value', () => {
    const layout = resolveTableLayout(
      deltaOf(`${SCHEMA}partition_columns: [date, year, tenant, id, p, _kafka_topic]
derive:
  p: { from: order.placed, as: hour }
  q: { from: kafka.timestamp, as: month }
  r: { from: payload.elsewhere.at, as: day }
`),
    )
    const rules = new Map(layout.columns.map(({ field: { name }, source }) => [name, describeSource(source)]))
    assert.equal(
      rules.get('date'),
      'the payload’s `date` where present, else date of the Kafka timestamp, in UTC',
    )
    assert.equal(
      rules.get('year'),
      'the payload’s `year` where present, else year of the Kafka timestamp, in UTC',
    )
    assert.equal(rules.get('tenant'), 'the payload’s `tenant`')
    assert.equal(rules.get('p'), 'hour of the payload’s `o.placed`, in UTC')
    assert.equal(rules.get('q'), 'month of the Kafka timestamp, in UTC')
    assert.equal(rules.get('r'), 'day of the payload’s `elsewhere.at`, in UTC')
    assert.equal(rules.get('_kafka_topic'), 'the record’s topic')
    const date = layout.columns.find(({ field: { name } }) => name === 'date')
    assert.deepEqual(date?.source, {
      kind: 'decode_or_derive',
      as: 'date',
      field: {
        name: 'date',
        type: primitive('date'),
        declaredType: 'date32',
        nullable: true,
        source: { kind: 'payload', path: ['date'] },
      },
    })
    const hour = layout.columns.find(({ field: { name } }) => name === 'p')
    assert(hour?.source.kind === 'derive' && hour.source.from.kind === 'field')
    assert.equal(hour.source.from.field.unit, 'second')
    assert.equal(hour.source.from.field.nullable, true)
    assert.deepEqual(hour.source.from.field.source, { kind: 'payload', path: ['o', 'placed'] })
  })

  test('takes a declared column for a partition column of that name, whatever the name is', () => {
    const layout = resolveTableLayout(
      deltaOf(
        'schema: [{ name: date, data_type: utf8 }, { name: x, data_type: utf8 }]\npartition_columns: [date]\n',
      ),
    )
    assert.equal(layout.columns[0]?.source.kind, 'decode')
    assert.equal(layout.columns[0]?.isPartition, true)
  })

  for (const [name, delta, expected] of [
    [
      'a derived column that is declared',
      `derive: { id: { from: at, as: date } }`,
      '10:13 the column `id` is already a column of the schema',
    ],
    [
      'a metadata column that is declared',
      `metadata_columns: { offset: ID }`,
      '10:21 the column `ID` is already a column of the schema',
    ],
    [
      'a metadata column that is derived',
      `derive: { d: { from: at, as: date } }\nmetadata_columns: { offset: d }`,
      '11:21 the column `d` is already a derived column',
    ],
    [
      'two metadata columns of one name',
      `metadata_columns: { offset: x, topic: x }`,
      '10:21 the column `x` is already the record’s topic',
    ],
    [
      'a partition column that differs in case',
      `partition_columns: [ID]`,
      '10:22 the column `ID` is already a column of the schema',
    ],
    [
      'a partition column that is nested',
      `partition_columns: [order]`,
      '10:22 `order` cannot partition the table: it is a struct',
    ],
    [
      'an hour of a date',
      `derive: { h: { from: born, as: hour } }`,
      '10:13 `born` is a date: it has no hour',
    ],
    [
      'a date of a number',
      `derive: { d: { from: id, as: date } }`,
      '10:13 `id` is `int64`: only a timestamp or a date has a date',
    ],
    [
      'a field that a struct does not have',
      `derive: { d: { from: order.plaed, as: date } }`,
      '10:13 `order.plaed` is no field: `order` has no field `plaed`',
    ],
    [
      'a fact of Kafka that is no instant',
      `derive: { d: { from: kafka.offset, as: date } }`,
      '10:13 `kafka.offset` is no instant: write `kafka.timestamp`',
    ],
  ] as const) {
    test(`refuses ${name}, at its place`, () => {
      const [finding, ...more] = findings(`${SCHEMA}${delta}\n`)
      assert.equal(finding, expected)
      assert.deepEqual(more, [])
    })
  }

  test('refuses data files without columns', () => {
    const [finding] = findings(
      'schema: [{ name: a, data_type: utf8 }]\nmetadata_columns: false\npartition_columns: [a]\n',
    )
    assert.match(finding ?? '', /every column is a partition column/)
  })
})

describe('the schema of a table that exists', () => {
  const table = struct([
    field('id', primitive('long'), false),
    field('at', primitive('timestamp')),
    field('date', primitive('date')),
    field('year', primitive('string')),
    field('_kafka_topic', primitive('string')),
  ])

  test('stands in for one that is not declared; what is derived keeps its rule', () => {
    const delta = deltaOf('partition_columns: [date, year]\n')
    assert.equal(delta.schema, null)
    const layout = resolveTableLayout(adoptTableSchema(delta, table))
    assert.deepEqual(
      layout.columns.map(({ field: { name }, source }) => `${name} ${source.kind}`),
      ['id decode', 'at decode', 'year decode', 'date decode_or_derive', '_kafka_topic kafka'],
    )
    assert(layout.columns[1]?.source.kind === 'decode')
    assert.equal(layout.columns[1].source.field.unit, 'microsecond')
  })

  test('that does not fit the configuration is an error of the configuration', () => {
    const delta = deltaOf('derive: { d: { from: id, as: date } }\n')
    assert.throws(() => resolveTableLayout(adoptTableSchema(delta, table)), {
      code: 'CONFIG_CONFLICT',
      message: '`id` is `long`: only a timestamp or a date has a date',
    })
  })
})
