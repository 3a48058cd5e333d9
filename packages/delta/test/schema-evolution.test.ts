import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  evolveTable,
  type MergeOptions,
  mergeSchemas,
  type TableEvolution,
  type TableState,
} from '@stream-ingest/delta'
import fc from 'fast-check'
import type { Protocol } from '../src/action.ts'
import { initialTableState } from '../src/load-table-state.ts'
import { assertWritable } from '../src/protocol.ts'
import { array, type DataType, field, map, primitive, type StructType, struct } from '../src/schema.ts'
import {
  formatDataType,
  formatSchemaString,
  parsePrimitiveType,
  SCHEMA_DEPTH_MAX,
  schemaFields,
} from '../src/schema-codec.ts'
import { arbitrarySchema } from './column/arbitrary-batch.ts'

const NARROW: MergeOptions = { typeWidening: false }
const WIDENING: MergeOptions = { typeWidening: true }

const type = (name: string): DataType => parsePrimitiveType(name)!
const columns = (types: Readonly<Record<string, DataType | string>>): StructType =>
  struct(Object.entries(types).map(([name, t]) => field(name, typeof t === 'string' ? type(t) : t)))

function merged(table: StructType, incoming: StructType, options = NARROW): StructType {
  const merge = mergeSchemas(table, incoming, options)
  assert(merge.status !== 'incompatible', JSON.stringify(merge))
  return merge.status === 'evolved' ? merge.schema : table
}

function problems(table: StructType, incoming: StructType, options = NARROW): readonly string[] {
  const merge = mergeSchemas(table, incoming, options)
  return merge.status === 'incompatible' ? merge.problems : []
}

suite('new fields', () => {
  test('go to the end of their struct, may be null, and are named in the changes', () => {
    const table = struct([field('id', primitive('long'), false), field('at', primitive('timestamp'))])
    const incoming = struct([field('who', primitive('string'), false), field('id', primitive('long'), false)])
    assert.deepEqual(mergeSchemas(table, incoming, NARROW), {
      status: 'evolved',
      schema: struct([...table.fields, field('who', primitive('string'))]),
      changes: [{ kind: 'field-added', path: 'who', name: 'who', type: primitive('string') }],
    })
  })

  test('are found in structs, elements, keys and values', () => {
    const before = columns({ a: 'long' })
    const after = struct([field('a', primitive('long')), field('b', primitive('string'))])
    const shape = (inner: StructType): StructType =>
      columns({ s: inner, list: array(array(inner, false), false), m: map(inner, inner, false) })
    const merge = mergeSchemas(shape(before), shape(struct([...after.fields].reverse())), NARROW)
    assert(merge.status === 'evolved')
    assert.deepEqual(merge.schema, shape(after))
    assert.deepEqual(
      merge.changes.map(c => c.path),
      ['s.b', 'list.element.element.b', 'm.key.b', 'm.value.b'],
    )
  })

  test('may be null in everything that they hold', () => {
    const inner = struct([field('x', array(primitive('long'), false), false)])
    const incoming = struct([field('s', map(primitive('string'), inner, false), false)])
    const [added] = merged(struct([]), incoming).fields
    const open = struct([field('x', array(primitive('long')))])
    assert.deepEqual(added, field('s', map(primitive('string'), open)))
  })

  test('wait for their type: void adds nothing, at any depth', () => {
    const table = columns({ a: 'long' })
    const incoming = columns({
      a: 'long',
      b: 'void',
      c: array(primitive('void')),
      d: columns({ e: 'void' }),
      f: map(primitive('string'), primitive('void')),
      g: columns({ h: 'void', i: 'long' }),
    })
    assert.deepEqual(merged(table, incoming), columns({ a: 'long', g: columns({ i: 'long' }) }))
  })

  test('keep their comment, and nothing that belongs to another table', () => {
    const metadata = {
      comment: 'who',
      'delta.columnMapping.id': 7,
      'delta.typeChanges': [],
      CURRENT_DEFAULT: '1',
    }
    const merge = merged(columns({ a: 'long' }), struct([field('b', primitive('long'), true, metadata)]))
    assert.deepEqual(merge.fields[1]?.metadata, { comment: 'who' })
  })

  test('deeper than a schema can be are refused', () => {
    let deep: DataType = primitive('long')
    for (let i = 0; i < SCHEMA_DEPTH_MAX; i++) deep = array(deep)
    assert.match(problems(columns({ a: 'long' }), columns({ deep }))[0]!, /`deep…` is nested deeper than 100/)
  })
})

suite('fields of the table', () => {
  test('match without regard to case and keep name, nullability and metadata', () => {
    const table = struct([field('Id', primitive('long'), false, { comment: 'key' })])
    assert.deepEqual(mergeSchemas(table, columns({ ID: 'long' }), NARROW), { status: 'unchanged' })
  })

  test('that the rows lack stay, in their order', () => {
    const table = columns({ a: 'long', b: 'string', c: 'date' })
    assert.deepEqual(
      merged(table, columns({ c: 'date', d: 'long' })),
      columns({ a: 'long', b: 'string', c: 'date', d: 'long' }),
    )
  })

  test('are not guessed where two incoming names differ only in case', () => {
    assert.deepEqual(
      problems(
        columns({ x: 'long' }),
        struct([field('A', primitive('long')), field('a', primitive('long'))]),
      ),
      ['the incoming columns `A` and `a` differ only in case: rename one'],
    )
  })

  test('without a type take the one that comes', () => {
    const table = columns({ a: 'void', b: 'long' })
    assert.deepEqual(
      merged(table, columns({ a: array(primitive('long'), false), b: 'void' })),
      columns({ a: array(primitive('long')), b: 'long' }),
    )
  })

  test('of another shape are refused, each with both types and what to do', () => {
    const table = columns({ a: columns({ x: 'long' }), b: array(primitive('long')), c: 'string' })
    const incoming = columns({
      a: 'string',
      b: map(primitive('string'), primitive('long')),
      c: 'long',
      d: 'long',
    })
    assert.deepEqual(problems(table, incoming, WIDENING), [
      'the column `a` is `struct<x: long>` in the table and `string` in the incoming rows: convert the values, or write them to a column of another name',
      'the column `b` is `array<long>` in the table and `map<string, long>` in the incoming rows: convert the values, or write them to a column of another name',
      'the column `c` is `string` in the table and `long` in the incoming rows: convert the values, or write them to a column of another name',
    ])
  })
})

suite('types', () => {
  /** table, incoming, without type widening, with it; null: refused. */
  const cases: readonly (readonly [string, string, string | null, string | null])[] = [
    ['byte', 'short', 'short', 'short'],
    ['byte', 'integer', 'integer', 'integer'],
    ['short', 'integer', 'integer', 'integer'],
    ['integer', 'byte', 'integer', 'integer'],
    ['integer', 'long', null, 'long'],
    ['byte', 'long', null, 'long'],
    ['long', 'integer', 'long', 'long'],
    ['float', 'double', null, 'double'],
    ['double', 'float', 'double', 'double'],
    ['double', 'integer', 'double', 'double'],
    ['double', 'long', null, null],
    ['integer', 'double', null, null],
    ['integer', 'decimal(12,2)', null, null],
    ['decimal(12,2)', 'integer', 'decimal(12,2)', 'decimal(12,2)'],
    ['decimal(11,2)', 'integer', null, null],
    ['decimal(22,2)', 'long', 'decimal(22,2)', 'decimal(22,2)'],
    ['decimal(10,2)', 'decimal(12,2)', null, 'decimal(12,2)'],
    ['decimal(10,2)', 'decimal(10,4)', null, 'decimal(12,4)'],
    ['decimal(12,4)', 'decimal(10,2)', 'decimal(12,4)', 'decimal(12,4)'],
    ['decimal(38,0)', 'decimal(38,38)', null, null],
    ['date', 'timestamp_ntz', null, 'timestamp_ntz'],
    ['timestamp_ntz', 'date', 'timestamp_ntz', 'timestamp_ntz'],
    ['date', 'timestamp', null, null],
    ['timestamp', 'timestamp_ntz', null, null],
    ['string', 'binary', null, null],
    ['boolean', 'byte', null, null],
  ]
  for (const [table, incoming, without, withWidening] of cases) {
    test(`${table} and ${incoming}`, () => {
      for (const [options, expected] of [
        [NARROW, without],
        [WIDENING, withWidening],
      ] as const) {
        const merge = mergeSchemas(columns({ a: table }), columns({ a: incoming }), options)
        const found =
          merge.status === 'incompatible'
            ? null
            : formatDataType(
                (merge.status === 'evolved' ? merge.schema : columns({ a: table })).fields[0]!.type,
              )
        assert.equal(found, expected)
      }
    })
  }

  test('a type that the property would allow is refused with the property as the fix', () => {
    assert.match(
      problems(columns({ a: 'integer' }), columns({ a: 'long' }))[0]!,
      /`a` is `integer` in the table and `long` in the incoming rows: set the table property `delta.enableTypeWidening`/,
    )
  })

  test('changes are recorded on the nearest field, after those before', () => {
    const shape = (t: string): DataType => map(type(t), array(columns({ x: t, y: array(type(t)) })))
    const before = { 'delta.typeChanges': [{ fromType: 'byte', toType: 'short' }], comment: 'c' }
    const table = struct([field('m', shape('short'), true, before)])
    const [m] = merged(table, struct([field('m', shape('long'))]), WIDENING).fields
    assert.deepEqual(m!.metadata, {
      comment: 'c',
      'delta.typeChanges': [
        { fromType: 'byte', toType: 'short' },
        { fromType: 'short', toType: 'long', fieldPath: 'key' },
      ],
    })
    assert(
      m!.type.kind === 'map' && m!.type.value.kind === 'array' && m!.type.value.element.kind === 'struct',
    )
    assert.deepEqual(
      m!.type.value.element.fields.map(f => f.metadata),
      [
        { 'delta.typeChanges': [{ fromType: 'short', toType: 'long' }] },
        { 'delta.typeChanges': [{ fromType: 'short', toType: 'long', fieldPath: 'element' }] },
      ],
    )
  })

  test('changes are not recorded in a table without the feature', () => {
    assert.deepEqual(merged(columns({ a: 'byte' }), columns({ a: 'integer' })), columns({ a: 'integer' }))
  })
})

suite('for any two schemas', () => {
  const schemas = fc.tuple(arbitrarySchema(2), arbitrarySchema(2), fc.boolean())

  test('merging twice changes nothing more, and nothing is dropped or moved', () => {
    fc.assert(
      fc.property(schemas, ([table, incoming, typeWidening]) => {
        const merge = mergeSchemas(table, incoming, { typeWidening })
        if (merge.status !== 'evolved') return
        assert.deepEqual(
          merge.schema.fields.slice(0, table.fields.length).map(f => [f.name, f.nullable]),
          table.fields.map(f => [f.name, f.nullable]),
        )
        assert.notEqual(merge.changes.length, 0)
        assert.equal(mergeSchemas(merge.schema, incoming, { typeWidening }).status, 'unchanged')
        assert.equal(mergeSchemas(merge.schema, table, { typeWidening }).status, 'unchanged')
      }),
    )
  })

  test('a schema merged with itself is unchanged', () => {
    fc.assert(
      fc.property(arbitrarySchema(3), schema => {
        assert.equal(mergeSchemas(schema, schema, NARROW).status, 'unchanged')
      }),
    )
  })
})

suite('the evolution of a table', () => {
  let uuids = 0
  const evolve = (state: TableState, incoming: StructType): TableEvolution =>
    evolveTable(state, incoming, () => `uuid-${++uuids}`)
  const tableOf = (
    schema: StructType,
    configuration: Readonly<Record<string, string>> = {},
    protocol: Protocol = { minReaderVersion: 1, minWriterVersion: 2 },
  ): TableState => ({
    ...initialTableState(),
    version: 3,
    schema,
    protocol,
    metadata: {
      id: 'the-id',
      name: 'events',
      description: 'd',
      format: { provider: 'parquet', options: { a: 'b' } },
      schemaString: formatSchemaString(schema),
      partitionColumns: ['day'],
      createdTime: 5,
      configuration,
    },
  })
  const TABLE = columns({ id: 'integer', day: 'integer' })
  const withNew = (name: string, t: string): StructType =>
    columns({ id: 'integer', day: 'integer', [name]: t })

  test('is the metadata with another schema, all else as it was', () => {
    const state = tableOf(TABLE, { 'delta.appendOnly': 'true', 'my.own': 'x' })
    const evolution = evolve(state, withNew('who', 'string'))
    assert(evolution.status === 'evolved')
    assert.deepEqual(evolution.metadata, {
      ...state.metadata,
      schemaString: formatSchemaString(withNew('who', 'string')),
    })
    assert.equal(evolution.protocol, null)
  })

  test('has the protocol that a local timestamp needs, once', () => {
    const state = tableOf(TABLE)
    const evolution = evolve(state, withNew('at', 'timestamp_ntz'))
    assert(evolution.status === 'evolved')
    assert.deepEqual(evolution.protocol, {
      minReaderVersion: 3,
      minWriterVersion: 7,
      readerFeatures: ['timestampNtz'],
      writerFeatures: ['appendOnly', 'invariants', 'timestampNtz'],
    })
    assertWritable(evolution.protocol!, evolution.metadata, evolution.schema)
    const next = { ...state, protocol: evolution.protocol!, schema: evolution.schema }
    const again = evolve(next, withNew('at2', 'timestamp_ntz'))
    assert(again.status === 'evolved')
    assert.equal(again.protocol, null)
  })

  test('widens only where the table has the feature and the property', () => {
    const incoming = columns({ id: 'long', day: 'integer' })
    const protocol = {
      minReaderVersion: 3,
      minWriterVersion: 7,
      readerFeatures: ['typeWidening'],
      writerFeatures: ['typeWidening'],
    }
    const on = { 'delta.enableTypeWidening': 'true' }
    assert.equal(evolve(tableOf(TABLE, on), incoming).status, 'incompatible')
    assert.equal(evolve(tableOf(TABLE, {}, protocol), incoming).status, 'incompatible')
    const evolution = evolve(tableOf(TABLE, on, protocol), incoming)
    assert(evolution.status === 'evolved')
    assert.deepEqual(evolution.schema.fields[0]?.metadata, {
      'delta.typeChanges': [{ fromType: 'integer', toType: 'long' }],
    })
  })

  test('refuses the type of a partition column, names that Parquet cannot hold, and variants', () => {
    const shorts = tableOf(columns({ id: 'integer', day: 'short' }))
    const incoming = columns({
      id: 'integer',
      day: 'integer',
      'a b': 'long',
      s: columns({ 'x;y': 'long', v: 'variant' }),
    })
    const evolution = evolve(shorts, incoming)
    assert(evolution.status === 'incompatible')
    assert.deepEqual(
      evolution.problems.map(p => /`([^`]+)`/.exec(p)?.[1]),
      ['a b', 's.x;y', 's', 'day'],
    )
  })

  test('gives new fields ids and names that no file has held, and never gives an id again', () => {
    const mapping = (id: number, physical: string) => ({
      'delta.columnMapping.id': id,
      'delta.columnMapping.physicalName': physical,
    })
    const table = struct([
      field('id', primitive('integer'), true, mapping(1, 'id')),
      field('day', primitive('integer'), true, mapping(2, 'col-x')),
      field('s', struct([field('a', primitive('long'), true, mapping(4, 'a'))]), true, mapping(3, 's')),
    ])
    const configuration = {
      'delta.columnMapping.mode': 'name',
      'delta.columnMapping.maxColumnId': '9',
      'my.own': 'x',
    }
    const state = tableOf(table, configuration, { minReaderVersion: 2, minWriterVersion: 5 })
    const inner = columns({ a: 'long', 'b c': 'long' })
    uuids = 0
    const evolution = evolve(state, columns({ id: 'integer', s: inner, t: array(columns({ u: 'long' })) }))
    assert(evolution.status === 'evolved')
    assert.deepEqual(evolution.metadata.configuration, {
      ...configuration,
      'delta.columnMapping.maxColumnId': '12',
    })
    const found = [...schemaFields(evolution.schema)].map(({ path, field: { metadata } }) => [path, metadata])
    assert.deepEqual(Object.fromEntries(found), {
      id: mapping(1, 'id'),
      day: mapping(2, 'col-x'),
      s: mapping(3, 's'),
      's.a': mapping(4, 'a'),
      's.b c': mapping(10, 'col-uuid-1'),
      t: mapping(11, 'col-uuid-2'),
      't.element.u': mapping(12, 'col-uuid-3'),
    })
  })
})
