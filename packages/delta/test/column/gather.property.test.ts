import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  Arena,
  batchRow,
  type Column,
  columnValue,
  countUnsetBits,
  gather,
  gatherBatch,
  sliceBatch,
  sliceBits,
} from '../../src/column/index.ts'
import { primitive } from '../../src/schema.ts'
import { arbitraryBatchCase, batchOf } from './arbitrary-batch.ts'

describe('gather and slice', () => {
  test('gathered rows are the rows asked for, in the order asked for, from whole batches and from slices', () => {
    fc.assert(
      fc.property(
        arbitraryBatchCase({ rowsMin: 1 }),
        fc.nat(),
        fc.nat(),
        fc.array(fc.nat(), { maxLength: 40 }),
        ({ schema, rows }, a, b, picks) => {
          const from = a % rows.length
          const to = from + 1 + (b % (rows.length - from))
          const indices = Int32Array.from(picks, pick => pick % (to - from))
          const batch = gatherBatch(sliceBatch(batchOf(schema, rows), from, to), indices, usedArena())
          assert.equal(batch.rowCount, indices.length)
          assert.deepEqual(
            Array.from(indices, (_, i) => batchRow(batch, i)),
            Array.from(indices, index => rows[from + index]),
          )
          for (const [i, column] of batch.columns.entries()) {
            const name = schema.fields[i]!.name
            assert.equal(
              column.nullCount,
              Array.from(indices).filter(x => rows[from + x]![name] === null).length,
            )
          }
        },
      ),
      { numRuns: 200 },
    )
  })

  test('rows that follow one another are gathered as the same rows one by one', () => {
    fc.assert(
      fc.property(
        arbitraryBatchCase({ rowsMin: 20, rowsMax: 60 }),
        fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 6 }),
        ({ schema, rows }, ranges) => {
          const indices = Int32Array.from(
            ranges.flatMap(([a, b]) => {
              const from = a % 4
              return Array.from({ length: 16 + (b % (rows.length - from - 15)) }, (_, i) => from + i)
            }),
          )
          const batch = gatherBatch(batchOf(schema, rows), indices, usedArena())
          assert.deepEqual(
            Array.from(indices, (_, i) => batchRow(batch, i)),
            Array.from(indices, index => rows[index]),
          )
        },
      ),
      { numRuns: 200 },
    )
  })

  test('bytes under a null do not come along with the run that it is in', () => {
    const rowCount = 40
    const column: Column = {
      kind: 'binary',
      type: primitive('string'),
      length: rowCount,
      nullCount: 1,
      validity: Uint8Array.from([0xfd, 0xff, 0xff, 0xff, 0xff]),
      offsets: Int32Array.from({ length: rowCount + 1 }, (_, i) => i),
      data: Uint8Array.from({ length: rowCount }, (_, i) => 0x41 + (i % 26)),
    }
    const gathered = gather(
      column,
      Int32Array.from({ length: rowCount }, (_, i) => i),
    )
    assert(gathered.kind === 'binary')
    assert.equal(gathered.offsets[rowCount], rowCount - 1)
    assert.equal(columnValue(gathered, 1), null)
    assert.equal(columnValue(gathered, 2), columnValue(column, 2))
  })

  test('a slice of a slice holds the rows of its range and their null counts', () => {
    fc.assert(
      fc.property(
        arbitraryBatchCase({ rowsMin: 1, rowsMax: 60 }),
        fc.nat(),
        fc.nat(),
        ({ schema, rows }, a, b) => {
          let batch = batchOf(schema, rows)
          let expected = rows
          for (const seed of [a, b]) {
            const from = seed % (expected.length + 1)
            const to = from + ((seed >> 5) % (expected.length - from + 1))
            batch = sliceBatch(batch, from, to)
            expected = expected.slice(from, to)
          }
          assert.deepEqual(
            Array.from({ length: batch.rowCount }, (_, i) => batchRow(batch, i)),
            expected,
          )
          for (const [i, column] of batch.columns.entries()) {
            const name = schema.fields[i]!.name
            assert.equal(column.nullCount, expected.filter(row => row[name] === null).length)
          }
        },
      ),
      { numRuns: 200 },
    )
  })

  test('a slice outside its column is refused', () => {
    const batch = sliceBatch(batchOf({ kind: 'struct', fields: [] }, []), 0, 0)
    assert.equal(batch.rowCount, 0)
    fc.assert(
      fc.property(arbitraryBatchCase(), ({ schema, rows }) => {
        assert.throws(() => sliceBatch(batchOf(schema, rows), 0, rows.length + 1), /reaches outside/)
      }),
      { numRuns: 5 },
    )
  })
})

describe('bitmaps', () => {
  test('bits are moved and counted as one by one', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 200 }), fc.nat(), fc.nat(), (bools, a, b) => {
        const bits = new Uint8Array((bools.length + 7) >> 3)
        bools.forEach((set, i) => {
          if (set) bits[i >> 3]! |= 1 << (i & 7)
        })
        const from = a % (bools.length + 1)
        const to = from + (b % (bools.length - from + 1))
        const moved = sliceBits(bits, from, to)
        const expected = bools.slice(from, to)
        assert.deepEqual(
          expected.map((_, i) => ((moved[i >> 3]! >> (i & 7)) & 1) === 1),
          expected,
        )
        assert.equal(countUnsetBits(bits, from, to), expected.filter(set => !set).length)
      }),
    )
  })
})

/** What was in it before must not show. */
function usedArena(): Arena {
  const arena = new Arena()
  arena.take(Uint8Array, 1 << 16).fill(0xab)
  arena.reset()
  return arena
}
