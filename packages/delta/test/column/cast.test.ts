import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { batchRow, castBatch, castColumn, sliceBatch } from '../../src/column/index.ts'
import { array, type DataType, field, map, primitive, struct } from '../../src/schema.ts'
import { parsePrimitiveType } from '../../src/schema-codec.ts'
import { arbitraryBatchCase, arbitraryValue, batchOf } from './arbitrary-batch.ts'

const type = (name: string): DataType => parsePrimitiveType(name)!
const same = (value: unknown): unknown => value
const scaled = (zeros: number) => (value: unknown) => BigInt(value as number | bigint) * 10n ** BigInt(zeros)

/** Narrow type, wide type, what becomes of a value. */
const cases: readonly (readonly [string, string, (value: unknown) => unknown])[] = [
  ['byte', 'short', same],
  ['byte', 'integer', same],
  ['short', 'integer', same],
  ['byte', 'long', scaled(0)],
  ['integer', 'long', scaled(0)],
  ['float', 'double', same],
  ['byte', 'double', same],
  ['integer', 'double', same],
  ['date', 'timestamp_ntz', value => BigInt(value as number) * 86_400_000_000n],
  ['short', 'decimal(12,2)', scaled(2)],
  ['long', 'decimal(38,18)', scaled(18)],
  ['decimal(10,2)', 'decimal(38,20)', scaled(18)],
  ['decimal(38,2)', 'decimal(38,2)', same],
]

for (const [narrow, wide, expected] of cases) {
  test(`every ${narrow} is the same value as ${wide}, nulls and nested places included`, () => {
    const shape = (t: string) =>
      struct([
        field('v', type(t)),
        field('deep', struct([field('m', map(type(t), array(type(t))))])),
        field('other', primitive('string')),
      ])
    const value =
      narrow === 'date'
        ? fc.option(fc.integer({ min: -719_162, max: 2_932_896 }))
        : arbitraryValue(type(narrow), true)
    const values = fc.array(value, { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(values, fc.nat(), (list, seed) => {
        const rows = list.map(v => ({ v, deep: { m: v === null ? null : [[v, list]] }, other: 'x' }))
        const from = seed % rows.length
        const batch = sliceBatch(batchOf(shape(narrow), rows), from, rows.length)
        const cast = castBatch(batch, shape(wide))
        const wideOf = (value: unknown): unknown => (value === null ? null : expected(value))
        for (let i = 0; i < cast.rowCount; i++) {
          const { v } = rows[from + i]!
          const m = v === null ? null : [[wideOf(v), list.map(wideOf)]]
          assert.deepEqual(batchRow(cast, i), { v: wideOf(v), deep: { m }, other: 'x' })
        }
        assert.equal(cast.columns[2], batch.columns[2], 'what stays is not copied')
      }),
      { numRuns: 30 },
    )
  })
}

test('a batch under its own schema is the same batch', () => {
  fc.assert(
    fc.property(arbitraryBatchCase({ rowsMin: 1 }), ({ schema, rows }) => {
      const batch = batchOf(schema, rows)
      assert.deepEqual(castBatch(batch, schema), batch)
    }),
  )
})

test('a type that does not hold the values is a bug of the caller', () => {
  const [column] = batchOf(struct([field('v', primitive('long'))]), [{ v: 1n }]).columns
  for (const name of ['integer', 'double', 'string', 'timestamp_ntz']) {
    assert.throws(() => castColumn(column!, type(name)), { code: 'ERR_ASSERTION' }, name)
  }
})
