import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { suite, test } from 'node:test'
import { appendFields } from '../../src/column/append-value.ts'
import { BatchBuilder } from '../../src/column/column-builder.ts'
import { createParquetEncoder } from '../../src/parquet/file-encoder.ts'
import { openParquet } from '../../src/parquet/parquet-reader.ts'
import { field, primitive, struct } from '../../src/schema.ts'
import { MemoryObjectStore } from '../../src/store/memory.ts'
import type { ByteRange } from '../../src/store/object-store.ts'

const ROWS = 400

/** A file with `betweenBytes` of another column between the first and the last. */
async function fileWithGap(betweenBytes: number): Promise<MemoryObjectStore> {
  const schema = struct([
    field('first', primitive('long')),
    field('between', primitive('binary')),
    field('last', primitive('string')),
  ])
  const batch = new BatchBuilder(schema)
  for (let row = 0; row < ROWS; row++) {
    const between = randomBytes(Math.ceil(betweenBytes / ROWS))
    appendFields(schema.fields, batch.columns, { first: BigInt(row), between, last: `row ${row}` })
    batch.endRow()
  }
  const { bytes } = createParquetEncoder().encode(batch.finish(), { codec: 'none' })
  const store = new MemoryObjectStore()
  await store.put('file.parquet', bytes)
  return store
}

suite('columns of a row group', () => {
  // Less than one request bridges; more than that and less than what is decoded at once; more than either.
  for (const betweenBytes of [10_000, 600_000, 3_000_000]) {
    test(`are read with ${betweenBytes} bytes of another column between them`, async () => {
      const store = await fileWithGap(betweenBytes)
      const file = await openParquet(store, 'file.parquet')
      const columns = await file.readRowGroup(0, ['first', 'last'])
      assert.deepEqual(Array.from(columns.get('first') as ArrayLike<bigint>).slice(-2), [398n, 399n])
      assert.deepEqual(Array.from(columns.get('last') as ArrayLike<string>).slice(-2), ['row 398', 'row 399'])
      assert.equal(columns.get('last')!.length, ROWS)
    })
  }

  test('are read without the bytes of a large column between them', async () => {
    const store = await fileWithGap(1_000_000)
    let readBytes = 0
    const get = store.get.bind(store)
    store.get = async (key: string, options?: { readonly range?: ByteRange }) => {
      const bytes = await get(key, options)
      readBytes += bytes?.length ?? 0
      return bytes
    }
    const file = await openParquet(store, 'file.parquet')
    await file.readRowGroup(0, ['first', 'last'])
    assert.ok(readBytes < 200_000, `${readBytes} bytes were read`)
  })
})
