import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { sliceBatch } from '../../src/column/index.ts'
import { createParquetEncoder, PARQUET_CODECS } from '../../src/index.ts'
import { arbitraryBatchCase, batchOf } from '../column/arbitrary-batch.ts'
import { fileMetadata, readRows } from './read-back.ts'

const encoder = createParquetEncoder()

describe('Parquet files of random schemas and rows', () => {
  test('read back as they were written, in every codec, with pages and row groups of any size', () => {
    fc.assert(
      fc.property(
        arbitraryBatchCase({ depth: 3, rowsMin: 1, rowsMax: 40 }),
        fc.constantFrom(...PARQUET_CODECS),
        fc.boolean(),
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 50 }),
        ({ schema, rows }, codec, dictionary, pageRows, rowGroupRows) => {
          const batch = batchOf(schema, rows)
          const file = encoder.encode(batch, { codec, dictionary, pageRows, rowGroupRows })
          assert.equal(file.rowCount, rows.length)
          assert.equal(fileMetadata(file.bytes).row_groups.length, Math.ceil(rows.length / rowGroupRows))
          assert.deepEqual(readRows(file.bytes, schema), rows)
        },
      ),
      { numRuns: 300 },
    )
  })

  test('a slice of a batch is written like a batch of its rows', () => {
    fc.assert(
      fc.property(
        arbitraryBatchCase({ depth: 2, rowsMin: 1, rowsMax: 40 }),
        fc.nat(),
        fc.nat(),
        ({ schema, rows }, a, b) => {
          const from = a % rows.length
          const to = from + 1 + (b % (rows.length - from))
          const slice = encoder.encode(sliceBatch(batchOf(schema, rows), from, to), {
            codec: 'none',
            pageRows: 7,
          })
          const own = encoder.encode(batchOf(schema, rows.slice(from, to)), { codec: 'none', pageRows: 7 })
          assert.deepEqual(Buffer.from(slice.bytes), Buffer.from(own.bytes))
        },
      ),
      { numRuns: 100 },
    )
  })
})
