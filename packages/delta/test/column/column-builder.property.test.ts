import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { appendFields, appendValue } from '../../src/column/append-value.ts'
import {
  BatchBuilder,
  type BinaryBuilder,
  type BooleanBuilder,
  batchRow,
  type Column,
  type ColumnBatch,
  ColumnBuilder,
  columnValue,
  createColumnBuilder,
  type Int64Builder,
  type ListBuilder,
  MapBuilder,
  type NumberBuilder,
  StructBuilder,
} from '../../src/column/index.ts'
import { array, type DataType, field, primitive, struct } from '../../src/schema.ts'
import {
  arbitraryBatchCase,
  arbitrarySchema,
  arbitraryType,
  arbitraryValue,
  type Row,
} from './arbitrary-batch.ts'

describe('column builders against a plain-array model', () => {
  test('rows come out as they went in, bad rows leave no trace, however far each got', () => {
    const cases = arbitraryBatchCase({ rowsMax: 60 }).chain(({ schema, rows }) =>
      fc.record({
        schema: fc.constant(schema),
        rows: fc.constant(rows),
        // Per row: how many columns of it are appended before it is given up; null where it is good.
        givenUpAfter: fc.array(fc.option(fc.nat({ max: schema.fields.length }), { freq: 2 }), {
          minLength: rows.length,
          maxLength: rows.length,
        }),
      }),
    )
    fc.assert(
      fc.property(cases, ({ schema, rows, givenUpAfter }) => {
        const builder = new BatchBuilder(schema)
        const model: unknown[] = []
        rows.forEach((row, i) => {
          const columnCount = givenUpAfter[i]
          if (columnCount === null || columnCount === undefined) {
            appendFields(schema.fields, builder.columns, row)
            builder.endRow()
            model.push(row)
          } else {
            schema.fields.slice(0, columnCount).forEach((f, c) => {
              appendValue(builder.columns[c]!, row[f.name])
            })
            builder.rollBackRow()
          }
        })
        const batch = builder.finish()
        assert.equal(batch.rowCount, model.length)
        assert.deepEqual(
          model.map((_, i) => batchRow(batch, i)),
          model,
        )
        for (const column of batch.columns) assertConsistent(column)
      }),
      { numRuns: 150 },
    )
  })

  test('truncating to any length keeps the rows before it, and appending goes on from there', () => {
    const cases = arbitraryType(2).chain(type =>
      fc.record({
        type: fc.constant(type),
        steps: fc.array(
          fc.oneof(
            { weight: 5, arbitrary: fc.array(arbitraryValue(type, true), { maxLength: 20 }) },
            { weight: 1, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) },
          ),
          { maxLength: 12 },
        ),
      }),
    )
    fc.assert(
      fc.property(cases, ({ type, steps }) => {
        const builder = createColumnBuilder(type)
        let model: unknown[] = []
        for (const step of steps) {
          if (typeof step === 'number') {
            model = model.slice(0, Math.floor(step * model.length))
            builder.truncate(model.length)
          } else {
            for (const value of step) appendValue(builder, value)
            model.push(...step)
          }
          assert.equal(builder.length, model.length)
          assert.equal(builder.nullCount, model.filter(value => value === null).length)
        }
        assertRows(type, builder.finish(), model)
        assert.equal(builder.length, 0)
        assert.equal(builder.nullCount, 0)
      }),
      { numRuns: 200 },
    )
  })

  test('a builder that was finished starts again with fresh buffers', () => {
    fc.assert(
      fc.property(
        arbitraryType(2).chain(type =>
          fc.tuple(
            fc.constant(type),
            fc.array(arbitraryValue(type, true), { maxLength: 20 }),
            fc.array(arbitraryValue(type, true), { maxLength: 20 }),
          ),
        ),
        ([type, first, second]) => {
          const builder = createColumnBuilder(type)
          for (const value of first) appendValue(builder, value)
          const firstColumn = builder.finish()
          for (const value of second) appendValue(builder, value)
          const secondColumn = builder.finish()
          assertRows(type, firstColumn, first)
          assertRows(type, secondColumn, second)
        },
      ),
      { numRuns: 100 },
    )
  })

  test('a batch in the buffers of one that was done with has its own rows only', () => {
    fc.assert(
      fc.property(
        arbitraryBatchCase({ rowsMax: 60 }).chain(({ schema, rows }) =>
          fc.tuple(fc.constant(schema), fc.constant(rows), fc.nat(60), fc.nat(60)),
        ),
        ([schema, rows, firstCount, laterCount]) => {
          const builder = new BatchBuilder(schema)
          const first = fill(builder, rows.slice(0, firstCount))
          const second = fill(builder, rows)
          builder.recycle(first)
          const third = fill(builder, rows.slice(laterCount))
          const fourth = fill(builder, rows.toReversed())
          assert.deepEqual(allRows(second), rows)
          assert.deepEqual(allRows(third), rows.slice(laterCount))
          assert.deepEqual(allRows(fourth), rows.toReversed())
        },
      ),
      { numRuns: 100 },
    )
  })

  test('the buffers of a batch that was done with are used again', () => {
    const builder = new BatchBuilder(
      struct([field('id', primitive('long')), field('name', primitive('string'))]),
    )
    const rows = Array.from({ length: 2000 }, (_, i) => ({ id: BigInt(i), name: `row number ${i}` }))
    const buffers = (batch: ColumnBatch): unknown[] =>
      batch.columns.map(column => {
        assert(column.kind === 'int64' || column.kind === 'binary')
        return column.kind === 'int64' ? column.values.buffer : column.data.buffer
      })
    const first = fill(builder, rows)
    builder.recycle(first)
    fill(builder, rows)
    const [numbers, texts] = buffers(fill(builder, rows))
    // Not `equal`, which would print the buffers.
    assert(numbers === buffers(first)[0])
    assert(texts === buffers(first)[1])
  })

  test('every kind grows past its first capacity, with the first null at any row', () => {
    const cases = arbitraryType(1).chain(type =>
      fc.record({
        type: fc.constant(type),
        samples: fc.array(arbitraryValue(type, false), { minLength: 1, maxLength: 5 }),
        rowCount: fc.integer({ min: 1000, max: 5000 }),
        nullFrom: fc.nat({ max: 5000 }),
        nullEvery: fc.integer({ min: 1, max: 7 }),
      }),
    )
    fc.assert(
      fc.property(cases, ({ type, samples, rowCount, nullFrom, nullEvery }) => {
        const model = Array.from({ length: rowCount }, (_, i) =>
          i >= nullFrom && i % nullEvery === 0 ? null : samples[i % samples.length],
        )
        const builder = createColumnBuilder(type)
        for (const value of model) appendValue(builder, value)
        assertRows(type, builder.finish(), model)
      }),
      { numRuns: 25 },
    )
  })

  test('a half-written row inside lists, maps and structs is dropped with everything below it', () => {
    fc.assert(
      fc.property(arbitrarySchema(2), fc.gen(), (schema, gen) => {
        const builder = new StructBuilder(schema)
        const rows: unknown[] = []
        for (let round = 0; round < 3; round++) {
          const row = gen(arbitraryValue, schema, false)
          appendValue(builder, row)
          rows.push(row)
          for (const child of builder.fields) {
            // Children of a row that is never closed: elements without an end, keys without values.
            if ('element' in child) appendValue((child as ListBuilder).element, null)
            else if (child instanceof MapBuilder) appendValue(child.key, null)
            else child.appendNull()
          }
          builder.truncate(rows.length)
        }
        assertRows(schema, builder.finish(), rows)
      }),
      { numRuns: 60 },
    )
  })
})

describe('column builders', () => {
  test('a long keeps all 64 bits, given as a number, as halves and as a bigint', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), value => {
        const builder = createColumnBuilder({ kind: 'primitive', name: 'long' })
        assert('appendHalves' in builder)
        const long = builder as import('../../src/column/index.ts').Int64Builder
        long.appendNumber(value)
        long.append(BigInt(value))
        const bits = BigInt.asUintN(64, BigInt(value))
        long.appendHalves(Number(BigInt.asIntN(32, bits)), Number(BigInt.asIntN(32, bits >> 32n)))
        for (let i = 0; i < 3; i++) {
          assert.equal(long.at(i), BigInt(value))
          // A long has no negative zero.
          assert.equal(long.numberAt(i), value + 0)
        }
      }),
    )
  })

  test('a value written straight into the data of a string column is a row like any other', () => {
    const builder = createColumnBuilder({ kind: 'primitive', name: 'string' }) as BinaryBuilder
    builder.appendString('äöü')
    builder.ensure(100_000)
    builder.data.fill(0x78, builder.dataEnd, builder.dataEnd + 100_000)
    builder.appendWritten(builder.dataEnd + 100_000)
    builder.appendRange(new TextEncoder().encode('abc😀def'), 3, 7)
    assertRows(builder.type, builder.finish(), ['äöü', 'x'.repeat(100_000), '😀'])
  })

  test('a map or list that was not ended, and a struct with a missing child, are refused', () => {
    const list = createColumnBuilder({
      kind: 'array',
      element: { kind: 'primitive', name: 'long' },
      containsNull: true,
    }) as ListBuilder
    list.element.appendNull()
    assert.throws(() => list.appendNull(), /a null list has elements/)
    assert.throws(() => list.finish(), /a list was not ended/)
    const map = createColumnBuilder({
      kind: 'map',
      key: { kind: 'primitive', name: 'string' },
      value: { kind: 'primitive', name: 'long' },
      valueContainsNull: true,
    }) as MapBuilder
    map.key.appendNull()
    assert.throws(() => map.appendEnd(), /more keys than values/)
    assert.throws(() => map.appendNull(), /a null map has entries/)
    assert.throws(() => map.finish(), /a map was not ended/)
    const row = new StructBuilder(struct([field('a', { kind: 'primitive', name: 'long' })]))
    assert.throws(() => row.appendPresent(), /another length than its struct/)
  })

  test('void and variant have no builder', () => {
    for (const name of ['void', 'variant'] as const) {
      assert.throws(() => createColumnBuilder({ kind: 'primitive', name }), /no column holds the type/)
    }
  })

  test('bytes in use grow with what is appended and are given back by a roll-back', () => {
    fc.assert(
      fc.property(arbitraryBatchCase({ rowsMin: 1 }), ({ schema, rows }) => {
        const builder = new BatchBuilder(schema)
        const sizes = [builder.sizeBytes]
        for (const row of rows) {
          appendFields(schema.fields, builder.columns, row)
          builder.endRow()
          assert(builder.sizeBytes >= sizes.at(-1)!)
          sizes.push(builder.sizeBytes)
        }
        appendFields(schema.fields, builder.columns, rows[0]!)
        builder.rollBackRow()
        // The first null of a column brings a bitmap that stays.
        assert(builder.sizeBytes >= sizes.at(-1)!)
        assert(builder.sizeBytes <= sizes.at(-1)! + 64 * (rows.length + 8))
        builder.finish()
        assert.equal(builder.sizeBytes, sizes[0])
      }),
      { numRuns: 50 },
    )
  })
})

function assertRows(type: DataType, column: Column, expected: readonly unknown[]): void {
  assertConsistent(column)
  const batch = { schema: struct([field('v', type)]), rowCount: column.length, columns: [column] }
  assert.equal(column.length, expected.length)
  assert.deepEqual(
    expected.map((_, i) => batchRow(batch, i).v),
    expected,
  )
}

/** What the layout promises of lengths and counts, at every level. */
function assertConsistent(column: Column): void {
  let nullCount = 0
  for (let i = 0; i < column.length; i++) {
    if (column.validity !== null && ((column.validity[i >> 3]! >> (i & 7)) & 1) === 0) nullCount++
  }
  assert.equal(column.nullCount, nullCount)
  switch (column.kind) {
    case 'boolean':
      assert.equal(column.values.length, (column.length + 7) >> 3)
      break
    case 'decimal128':
      assert.equal(column.values.length, column.length * 2)
      break
    case 'binary':
      assert.equal(column.offsets.length, column.length + 1)
      assert.equal(column.data.length, column.offsets.at(-1))
      break
    case 'list':
      assert.equal(column.offsets.length, column.length + 1)
      assert.equal(column.element.length, column.offsets.at(-1))
      assertConsistent(column.element)
      break
    case 'map':
      assert.equal(column.offsets.length, column.length + 1)
      assert.equal(column.key.length, column.offsets.at(-1))
      assert.equal(column.value.length, column.offsets.at(-1))
      assertConsistent(column.key)
      assertConsistent(column.value)
      break
    case 'struct':
      for (const child of column.fields) {
        assert.equal(child.length, column.length)
        assertConsistent(child)
      }
      break
    default:
      assert.equal(column.values.length, column.length)
  }
}

function fill(builder: BatchBuilder, rows: readonly Row[]): ColumnBatch {
  for (const row of rows) {
    appendFields(builder.schema.fields, builder.columns, row)
    builder.endRow()
  }
  return builder.finish()
}

function allRows(batch: ColumnBatch): Row[] {
  return Array.from({ length: batch.rowCount }, (_, i) => batchRow(batch, i))
}

describe('rows appended many at once', () => {
  test('are those that were appended one by one', () => {
    const cases = arbitraryType(2)
      .filter(holdsRows)
      .chain(type =>
        fc.record({
          type: fc.constant(type),
          before: fc.array(arbitraryValue(type, true), { maxLength: 5 }),
          values: fc.array(arbitraryValue(type, true), { maxLength: 40 }),
          cuts: fc.tuple(fc.nat(40), fc.nat(40)),
        }),
      )
    fc.assert(
      fc.property(cases, ({ type, before, values, cuts }) => {
        const source = createColumnBuilder(type)
        for (const value of values) appendValue(source, value)
        const column = source.finish()
        const [from, to] = cuts.map(cut => Math.min(cut, values.length)).sort((a, b) => a - b) as [
          number,
          number,
        ]
        const builder = createColumnBuilder(type)
        for (const value of before) appendValue(builder, value)
        appendRows(builder, column, from, to)
        appendRows(builder, column, 0, values.length)
        const expected = [...before, ...values.slice(from, to), ...values]
        const built = builder.finish()
        assert.deepEqual(
          expected.map((_, i) => columnValue(built, i)),
          expected,
        )
        assertConsistent(built)
      }),
      { numRuns: 150 },
    )
  })
})

/** Has every builder of such a column `appendRows`? */
function holdsRows(type: DataType): boolean {
  switch (type.kind) {
    case 'decimal':
      return false
    case 'array':
      return holdsRows(type.element)
    case 'map':
      return holdsRows(type.key) && holdsRows(type.value)
    case 'struct':
      return type.fields.every(f => holdsRows(f.type))
    default:
      return true
  }
}

function appendRows(builder: ColumnBuilder, column: Column, from: number, to: number): void {
  const validity = column.validity === null ? null : bytesOf(column.validity, column.length)
  switch (column.kind) {
    case 'boolean':
      ;(builder as BooleanBuilder).appendRows(bytesOf(column.values, column.length), validity, from, to)
      break
    case 'int64':
      ;(builder as Int64Builder).appendRows(column.values, validity, from, to)
      break
    case 'binary':
      ;(builder as BinaryBuilder).appendRows(column.offsets, column.data, validity, from, to)
      break
    case 'list': {
      const list = builder as ListBuilder
      list.appendRows(column.offsets, validity, from, to)
      appendRows(list.element, column.element, column.offsets[from]!, column.offsets[to]!)
      break
    }
    case 'map': {
      const map = builder as MapBuilder
      map.appendRows(column.offsets, validity, from, to)
      appendRows(map.key, column.key, column.offsets[from]!, column.offsets[to]!)
      appendRows(map.value, column.value, column.offsets[from]!, column.offsets[to]!)
      break
    }
    case 'struct': {
      const parts = builder as StructBuilder
      parts.appendRows(validity, from, to)
      for (const [i, child] of column.fields.entries()) appendRows(parts.fields[i]!, child, from, to)
      break
    }
    case 'decimal128':
      assert.fail('decimals are appended one by one')
      break
    default:
      ;(builder as NumberBuilder).appendRows(column.values, validity, from, to)
  }
}

function bytesOf(bits: Uint8Array, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (bits[i >> 3]! >> (i & 7)) & 1)
}

describe('room that is made for rows to come', () => {
  test('changes none of them', () => {
    const cases = arbitraryType(2).chain(type =>
      fc.record({
        type: fc.constant(type),
        values: fc.array(arbitraryValue(type, true), { maxLength: 40 }),
        reservedAfter: fc.nat(40),
        rows: fc.nat(5_000),
      }),
    )
    fc.assert(
      fc.property(cases, ({ type, values, reservedAfter, rows }) => {
        const builder = createColumnBuilder(type)
        for (const [i, value] of values.entries()) {
          if (i === reservedAfter) builder.reserve(rows)
          appendValue(builder, value)
        }
        const column = builder.finish()
        assert.deepEqual(
          values.map((_, i) => columnValue(column, i)),
          values,
        )
        assertConsistent(column)
      }),
      { numRuns: 150 },
    )
  })

  test('is all that such rows need', () => {
    const ROWS = 50_000
    const schema = struct([
      field('number', primitive('double')),
      field('text', primitive('string')),
      field('flag', primitive('boolean')),
      field('list', array(primitive('long'), false)),
    ])
    const builder = new BatchBuilder(schema)
    const append = (count: number) => {
      for (let i = 0; i < count; i++) {
        appendFields(schema.fields, builder.columns, {
          number: i,
          text: 'x'.repeat(i % 50),
          flag: true,
          list: [1n, 2n],
        })
        builder.endRow()
      }
    }
    append(ROWS / 10)
    builder.reserve(ROWS)
    const roomOf = () => builder.columns.map(column => roomBytes(column))
    const room = roomOf()
    append(ROWS - ROWS / 10)
    assert.deepEqual(roomOf(), room)
  })
})

/** Of all buffers of a builder. */
function roomBytes(builder: object): number {
  let total = 0
  for (const part of Object.values(builder)) {
    if (ArrayBuffer.isView(part)) total += part.byteLength
    else if (part instanceof ColumnBuilder) total += roomBytes(part)
  }
  return total
}
