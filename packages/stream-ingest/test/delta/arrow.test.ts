import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  array,
  type DataType,
  decimal,
  field,
  map,
  primitive,
  type StructType,
  struct,
} from '@stream-ingest/delta'
import {
  BatchBuilder,
  type Column,
  type ColumnBatch,
  columnValue,
  sliceBatch,
} from '@stream-ingest/delta/column'
import {
  DataType as ArrowType,
  type Data,
  RecordBatch,
  Schema,
  Table,
  Type,
  tableFromIPC,
  tableToIPC,
} from 'apache-arrow'
import { appendFields } from '../../../delta/src/column/append-value.ts'
import { arrowBatchOf, arrowSchemaOf } from '../../src/delta/arrow.ts'

const P = primitive
const POINT = struct([field('x', P('long'), false), field('label', P('string'))])

/** Each type with values of its own, the extremes among them; null where the column may be. */
const CASES: readonly (readonly [name: string, type: DataType, arrow: string, values: readonly unknown[]])[] =
  [
    ['boolean', P('boolean'), 'Bool', [true, false, null, true, true, false, null, true, false]],
    ['byte', P('byte'), 'Int8', [-128, 127, null, 0]],
    ['short', P('short'), 'Int16', [-32768, 32767, null, 0]],
    ['integer', P('integer'), 'Int32', [-(2 ** 31), 2 ** 31 - 1, null, 0]],
    ['long', P('long'), 'Int64', [-(2n ** 63n), 2n ** 63n - 1n, null, 0n]],
    ['float', P('float'), 'Float32', [1.5, -0.25, null, Number.POSITIVE_INFINITY]],
    ['double', P('double'), 'Float64', [Math.PI, Number.MAX_VALUE, null, Number.NaN]],
    ['string', P('string'), 'Utf8', ['', 'ä😀', null, 'x'.repeat(1000)]],
    ['binary', P('binary'), 'Binary', [new Uint8Array(0), Uint8Array.of(0, 255), null, Uint8Array.of(7)]],
    ['date', P('date'), 'Date32<DAY>', [-719_162, 20_779, null, 0]],
    [
      'timestamp',
      P('timestamp'),
      'Timestamp<MICROSECOND, UTC>',
      [-1n, 1_800_000_000_123_456n, null, 253_402_300_799_999_999n],
    ],
    ['timestamp_ntz', P('timestamp_ntz'), 'Timestamp<MICROSECOND>', [-1n, 1_800_000_000_123_456n, null, 0n]],
    [
      'decimal(38,10)',
      decimal(38, 10),
      'Decimal[38e+10]',
      [10n ** 38n - 1n, -(10n ** 38n) + 1n, null, -1n, 0n, 12_345n],
    ],
    ['decimal(5,2)', decimal(5, 2), 'Decimal[5e+2]', [99_999n, -99_999n, null, 1n]],
    ['list<long>', array(P('long')), 'List<Int64>', [[1n, null, 3n], [], null, [4n]]],
    [
      'list<list<string>>',
      array(array(P('string'))),
      'List<List<Utf8>>',
      [[['a', null], null, []], [], null, [['b'], ['c', 'd']]],
    ],
    [
      'struct',
      POINT,
      'Struct<{x:Int64, label:Utf8}>',
      [{ x: 1n, label: 'one' }, { x: 2n, label: null }, null, { x: 3n, label: '' }],
    ],
    [
      'map<string,struct>',
      map(P('string'), POINT),
      'Map<{key:Utf8, value:Struct<{x:Int64, label:Utf8}>}>',
      [
        [
          ['k', { x: 1n, label: 'l' }],
          ['m', null],
        ],
        [],
        null,
        [['z', { x: 2n, label: null }]],
      ],
    ],
    [
      'list<decimal>',
      array(decimal(20, 0)),
      'List<Decimal[20e0]>',
      [[18_446_744_073_709_551_615n], null, [0n, null, -1n]],
    ],
  ]

function batchOf(schema: StructType, rows: readonly Record<string, unknown>[]): ColumnBatch {
  const builder = new BatchBuilder(schema)
  for (const row of rows) {
    appendFields(schema.fields, builder.columns, row)
    builder.endRow()
  }
  return builder.finish()
}

/** The value at an index as `columnValue` gives it, read from Arrow's own layout by Arrow's own rules. */
function arrowValue(data: Data, index: number): unknown {
  if (!data.getValid(index)) return null
  const { type, values, valueOffsets, children } = data
  const within = (child: Data): unknown[] =>
    Array.from({ length: valueOffsets[index + 1]! - valueOffsets[index]! }, (_, i) =>
      arrowValue(child, valueOffsets[index]! + i),
    )
  switch (type.typeId) {
    case Type.Bool: {
      const bit = data.offset + index
      return ((values[bit >> 3] >> (bit & 7)) & 1) === 1
    }
    case Type.Utf8:
      return Buffer.from(values.subarray(valueOffsets[index], valueOffsets[index + 1])).toString()
    case Type.Binary:
      return Uint8Array.from(values.subarray(valueOffsets[index], valueOffsets[index + 1]))
    case Type.Decimal: {
      const [a, b, c, d] = values.subarray(index * 4, index * 4 + 4)
      const unsigned = BigInt(a) | (BigInt(b) << 32n) | (BigInt(c) << 64n) | (BigInt(d) << 96n)
      return BigInt.asIntN(128, unsigned)
    }
    case Type.List:
      return within(children[0]!)
    case Type.Map:
      return within(children[0]!).map(entry => Object.values(entry as object))
    case Type.Struct:
      return Object.fromEntries(
        type.children.map((child: { name: string }, i: number) => [
          child.name,
          arrowValue(children[i]!, index),
        ]),
      )
    default:
      return values[index]
  }
}

function assertSame(batch: ColumnBatch, arrow: RecordBatch): void {
  assert.equal(arrow.numRows, batch.rowCount)
  for (const [i, column] of batch.columns.entries()) {
    const data = arrow.data.children[i]!
    assert.equal(data.nullCount, column.nullCount)
    for (let row = 0; row < batch.rowCount; row++) {
      assert.deepEqual(arrowValue(data, row), columnValue(column, row), `column ${i}, row ${row}`)
    }
  }
}

/** Every buffer that a column refers to. */
function buffersOf(column: Column): ArrayBufferView[] {
  const own = column.validity === null ? [] : [column.validity]
  switch (column.kind) {
    case 'binary':
      return [...own, column.offsets, column.data]
    case 'list':
      return [...own, column.offsets, ...buffersOf(column.element)]
    case 'map':
      return [...own, column.offsets, ...buffersOf(column.key), ...buffersOf(column.value)]
    case 'struct':
      return [...own, ...column.fields.flatMap(buffersOf)]
    default:
      return [...own, column.values]
  }
}

function arrowBuffersOf(data: Data): ArrayBufferView[] {
  const own = [data.nullBitmap, data.valueOffsets, data.values] as (ArrayBufferView | undefined)[]
  return [
    ...own.filter(buffer => buffer !== undefined && buffer.byteLength > 0),
    ...data.children.flatMap(arrowBuffersOf),
  ] as ArrayBufferView[]
}

const place = ({ buffer, byteOffset }: ArrayBufferView) => ({ buffer, byteOffset })

for (const [name, type, arrowName, values] of CASES) {
  suite(`a column of ${name} as Arrow`, () => {
    const schema = struct([field('c', type)])
    const rows = Array.from({ length: 40 }, (_, i) => ({ c: values[i % values.length] }))
    const batch = batchOf(schema, rows)

    test('has its type', () => {
      const [column] = arrowSchemaOf(schema).fields
      assert.equal(String(column!.type), arrowName)
      assert.equal(column!.nullable, true)
    })

    test('has its values and nulls', () => {
      assertSame(batch, arrowBatchOf(batch))
    })

    test('has them in a slice too', () => {
      for (const [from, to] of [
        [0, 0],
        [1, 10],
        [7, 40],
        [13, 14],
        [39, 40],
      ] as const) {
        const slice = sliceBatch(batch, from, to)
        assertSame(slice, arrowBatchOf(slice))
      }
    })

    test('shares its buffers', () => {
      const column = batch.columns[0]!
      const shared = buffersOf(column)
        .filter(buffer => buffer.byteLength > 0)
        .map(place)
      const wrapped = arrowBuffersOf(arrowBatchOf(batch).data.children[0]!).map(place)
      for (const buffer of wrapped) {
        assert.ok(
          shared.some(ours => ours.buffer === buffer.buffer && ours.byteOffset === buffer.byteOffset),
          'a buffer was copied',
        )
      }
      assert.ok(wrapped.length > 0)
    })

    test('survives Arrow’s own format, sliced and whole', () => {
      for (const part of [batch, sliceBatch(batch, 3, 21)]) {
        const read = tableFromIPC(tableToIPC(new Table([arrowBatchOf(part)])))
        assert.equal(read.numRows, part.rowCount)
        assertSame(part, read.batches[0]!)
      }
    })
  })
}

suite('a batch as Arrow', () => {
  test('is of the classes that a user imports', () => {
    const batch = batchOf(struct([field('a', P('long'), false)]), [{ a: 1n }])
    const arrow = arrowBatchOf(batch)
    assert.ok(arrow instanceof RecordBatch)
    assert.ok(arrow.schema instanceof Schema)
    assert.ok(ArrowType.isInt(arrow.schema.fields[0]!.type))
    assert.deepEqual(
      new Table([arrow]).toArray().map(row => row?.toJSON()),
      [{ a: 1n }],
    )
  })

  test('has no rows where there are none', () => {
    const batch = batchOf(struct([field('a', P('string')), field('b', array(POINT))]), [])
    assert.equal(arrowBatchOf(batch).numRows, 0)
  })

  test('tells what may not be null, at every depth', () => {
    const schema = arrowSchemaOf(
      struct([
        field('id', P('long'), false),
        field('tags', array(P('string'), false)),
        field('point', POINT),
        field('counts', map(P('string'), P('integer'), false)),
      ]),
    )
    const [id, tags, point, counts] = schema.fields
    assert.equal(id!.nullable, false)
    assert.equal(tags!.type.children[0]!.nullable, false)
    assert.deepEqual(
      point!.type.children.map((child: { nullable: boolean }) => child.nullable),
      [false, true],
    )
    const entries = counts!.type.children[0]!
    assert.equal(entries.nullable, false)
    assert.deepEqual(
      entries.type.children.map((child: { nullable: boolean }) => child.nullable),
      [false, false],
    )
  })

  test('leaves out columns that Arrow has no form for', () => {
    const schema = struct([
      field('a', P('long')),
      field('v', P('variant')),
      field('s', struct([field('n', P('void')), field('b', P('byte'))])),
      field('l', array(P('void'))),
    ])
    assert.equal(String(arrowSchemaOf(schema)), 'Schema<{ 0: a: Int64, 1: s: Struct<{b:Int8}> }>')
  })
})
