import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PARQUET_CODECS } from '../../src/parquet/parquet-encoder.ts'
import { arbitraryBatchCase } from '../column/arbitrary-batch.ts'
import { createScanTable, readAll } from './scan-fixture.ts'

test('rows of any schema are read as they were written, whatever the codec, the pages and the row groups', async () => {
  await fc.assert(
    fc.asyncProperty(
      arbitraryBatchCase({ depth: 3, rowsMin: 1, rowsMax: 40 }),
      fc.constantFrom(...PARQUET_CODECS),
      fc.boolean(),
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 1, max: 50 }),
      async ({ schema, rows }, codec, dictionary, pageRows, rowGroupRows) => {
        const encode = { codec, dictionary, pageRows, rowGroupRows }
        const { store } = await createScanTable({
          schema,
          files: [{ path: 'a.parquet', schema, rows, encode }],
        })
        assert.deepEqual(await readAll(store), rows)
      },
    ),
    { numRuns: 200 },
  )
})

test('any one column is read alone as it is read with the others', async () => {
  await fc.assert(
    fc.asyncProperty(
      arbitraryBatchCase({ depth: 2, rowsMin: 1, rowsMax: 20 }),
      fc.nat(),
      async ({ schema, rows }, choice) => {
        const { name } = schema.fields[choice % schema.fields.length]!
        const encode = { pageRows: 7 }
        const { store } = await createScanTable({
          schema,
          files: [{ path: 'a.parquet', schema, rows, encode }],
        })
        assert.deepEqual(
          await readAll(store, { columns: [name] }),
          rows.map(row => ({ [name]: row[name] })),
        )
      },
    ),
    { numRuns: 60 },
  )
})
