import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { appendFields, BatchBuilder, batchRow, evolveBatchBuilder } from '../../src/column/index.ts'
import {
  array,
  type DataType,
  decimal,
  field,
  map,
  primitive,
  type StructType,
  struct,
} from '../../src/schema.ts'

type Row = Record<string, unknown>

const long = primitive('long')
const text = primitive('string')

function builderOf(schema: StructType, rows: readonly Row[]): BatchBuilder {
  const batch = new BatchBuilder(schema)
  append(batch, rows)
  return batch
}

function append(batch: BatchBuilder, rows: readonly Row[]): void {
  for (const row of rows) {
    appendFields(batch.schema.fields, batch.columns, row)
    batch.endRow()
  }
}

function rowsOf(batch: BatchBuilder): Row[] {
  const columns = batch.finish()
  return Array.from({ length: columns.rowCount }, (_, i) => batchRow(columns, i))
}

/** The rows of one column after `first` was appended under `from` and `then` under `to`. */
function evolve(
  from: DataType,
  to: DataType,
  first: readonly unknown[],
  then: readonly unknown[],
): unknown[] {
  const batch = builderOf(
    struct([field('v', from)]),
    first.map(v => ({ v })),
  )
  const evolved = evolveBatchBuilder(batch, struct([field('v', to)]))
  assert(evolved !== null)
  append(
    evolved,
    then.map(v => ({ v })),
  )
  return rowsOf(evolved).map(row => row.v)
}

suite('evolveBatchBuilder', () => {
  test('goes on with the rows that there are, null in the new columns', () => {
    const batch = builderOf(struct([field('a', long)]), [{ a: 1n }, { a: null }])
    const evolved = evolveBatchBuilder(batch, struct([field('b', text), field('a', long)]))!
    append(evolved, [{ a: 3n, b: 'x' }])
    assert.deepEqual(rowsOf(evolved), [
      { b: null, a: 1n },
      { b: null, a: null },
      { b: 'x', a: 3n },
    ])
  })

  test('keeps the builders of columns that stay as they are', () => {
    const batch = builderOf(struct([field('a', long), field('s', struct([field('x', long)]))]), [])
    const evolved = evolveBatchBuilder(
      batch,
      struct([field('a', long), field('s', struct([field('x', long), field('y', long)]))]),
    )!
    assert.equal(evolved.columns[0], batch.columns[0])
    assert.notEqual(evolved.columns[1], batch.columns[1])
  })

  test('adds fields inside structs, lists and maps, and hands out columns of the new type', () => {
    const narrow = struct([field('x', long)])
    const wide = struct([field('x', long), field('y', text)])
    assert.deepEqual(evolve(narrow, wide, [{ x: 1n }, null], [{ x: 2n, y: 'b' }]), [
      { x: 1n, y: null },
      null,
      { x: 2n, y: 'b' },
    ])
    assert.deepEqual(
      evolve(array(narrow), array(wide), [[{ x: 1n }, null], [], null], [[{ x: 2n, y: 'b' }]]),
      [[{ x: 1n, y: null }, null], [], null, [{ x: 2n, y: 'b' }]],
    )
    assert.deepEqual(
      evolve(map(text, narrow), map(text, wide), [{ k: { x: 1n } }, null], [{ l: { x: 2n, y: 'b' } }]),
      [[['k', { x: 1n, y: null }]], null, [['l', { x: 2n, y: 'b' }]]],
    )
  })

  test('moves numbers to wider types', () => {
    const integer = primitive('integer')
    assert.deepEqual(evolve(primitive('byte'), primitive('short'), [-128, null], [300]), [-128, null, 300])
    assert.deepEqual(evolve(integer, long, [-(2 ** 31), null], [2n ** 40n]), [-(2n ** 31n), null, 2n ** 40n])
    assert.deepEqual(evolve(long, primitive('double'), [-5n, null], [1.5]), [-5, null, 1.5])
    const wide = evolve(long, decimal(38, 0), [-(2n ** 63n), null], [10n ** 30n])
    assert.deepEqual(wide, [-(2n ** 63n), null, 10n ** 30n])
    assert.deepEqual(evolve(decimal(4, 1), decimal(6, 3), [125n], [1n]), [12500n, 1n])
  })

  test('is null where a double would not hold what a long holds', () => {
    const batch = builderOf(struct([field('v', long)]), [{ v: 2n ** 53n + 1n }])
    assert.equal(evolveBatchBuilder(batch, struct([field('v', primitive('double'))])), null)
    assert.deepEqual(rowsOf(batch), [{ v: 2n ** 53n + 1n }])
  })

  test('leaves the narrower builder fit to go on, once the wider one has given its rows back', () => {
    const schema = struct([field('l', array(struct([field('x', long)])))])
    const batch = builderOf(schema, [{ l: [{ x: 1n }] }])
    const evolved = evolveBatchBuilder(
      batch,
      struct([field('l', array(struct([field('x', long), field('y', long)]))), field('z', text)]),
    )!
    appendFields(evolved.schema.fields, evolved.columns, {
      l: [
        { x: 2n, y: 2n },
        { x: 3n, y: 3n },
      ],
      z: 'z',
    })
    evolved.rollBackRow()
    append(batch, [{ l: [{ x: 4n }] }, { l: null }])
    assert.deepEqual(rowsOf(batch), [{ l: [{ x: 1n }] }, { l: [{ x: 4n }] }, { l: null }])
  })
})
