import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { suite, test } from 'node:test'
import { appendFields } from '../../src/column/append-value.ts'
import { BatchBuilder } from '../../src/column/column-builder.ts'
import { createParquetEncoder } from '../../src/parquet/file-encoder.ts'
import { fileTree } from '../../src/parquet/file-schema.ts'
import { openParquet } from '../../src/parquet/parquet-reader.ts'
import { createReaders, openRowGroup } from '../../src/parquet/value-reader.ts'
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
      const fields = [field('first', primitive('long')), field('last', primitive('string'))]
      const { columns, leaves } = createReaders(fields, fileTree(file.metadata.schema), 'none')
      await openRowGroup(file, 0, leaves)
      for (let row = 0; row < ROWS; row++) {
        assert.deepEqual(
          columns.map(column => column?.read()),
          [BigInt(row), `row ${row}`],
        )
      }
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
    await file.readChunks(0, [0, 2])
    assert.ok(readBytes < 200_000, `${readBytes} bytes were read`)
  })
})
