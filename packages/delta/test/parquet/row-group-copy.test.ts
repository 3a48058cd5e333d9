import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createParquetEncoder, type ParquetCodec } from '@stream-ingest/delta'
import fc from 'fast-check'
import type { EncodedRowGroup } from '../../src/parquet/chunk-description.ts'
import { copyRowGroups } from '../../src/parquet/row-group-copy.ts'
import { decimal, field, primitive, type StructType, struct } from '../../src/schema.ts'
import { arbitraryBatchCase, batchOf, type Row } from '../column/arbitrary-batch.ts'
import { openFile } from './open-file.ts'
import { fileMetadata, readRows } from './read-back.ts'

const encoder = createParquetEncoder()

/** A file of one row group for each list of rows. */
function encode(
  schema: StructType,
  groups: readonly (readonly Row[])[],
  codec: ParquetCodec = 'snappy',
): Uint8Array {
  const file = encoder.createFileWriter(schema, { codec })
  for (const rows of groups) file.appendRowGroup(batchOf(schema, rows))
  return file.finish()
}

async function groupsOf(
  bytes: Uint8Array,
  schema: StructType,
  codec: ParquetCodec = 'snappy',
): Promise<EncodedRowGroup[] | null> {
  const groups = copyRowGroups(await openFile(bytes), schema, { codec })
  if (groups === null) return null
  const all: EncodedRowGroup[] = []
  for await (const group of groups) all.push(group)
  return all
}

suite('row groups that are copied', () => {
  test('hold the same rows in the same bytes, whatever their types', async () => {
    const property = fc.asyncProperty(
      arbitraryBatchCase({ depth: 2, rowsMin: 2, rowsMax: 20 }),
      fc.constantFrom('snappy', 'zstd', 'gzip', 'lz4_raw', 'none'),
      async ({ schema, rows }, codec) => {
        const half = Math.ceil(rows.length / 2)
        const parts = [rows.slice(0, half), rows.slice(half)]
        const bytes = encode(schema, parts, codec)
        const groups = await groupsOf(bytes, schema, codec)
        assert(groups !== null)
        const file = encoder.createFileWriter(schema, { codec })
        file.appendRowGroup(batchOf(schema, rows.slice(0, 1)))
        for (const group of groups) file.appendEncodedRowGroup(group)
        const copied = file.finish()
        assert.deepEqual(
          readRows(copied, schema),
          readRows(encode(schema, [rows.slice(0, 1), ...parts]), schema),
        )
        assert.deepEqual(chunkBytes(copied).slice(1), chunkBytes(bytes))
      },
    )
    await fc.assert(property, { numRuns: 100 })
  })

  const LONGS = struct([field('v', primitive('long'))])
  const rows = [{ v: 1n }, { v: 2n }]

  test('are none where a column would be described in another way', async () => {
    const bytes = encode(LONGS, [rows])
    assert.equal((await groupsOf(bytes, LONGS))?.length, 1)
    for (const other of [
      struct([field('w', primitive('long'))]),
      struct([field('v', primitive('long'), false)]),
      struct([field('v', primitive('integer'))]),
      struct([field('v', primitive('timestamp'))]),
      struct([field('v', decimal(18, 2))]),
      struct([field('v', primitive('long')), field('w', primitive('long'))]),
    ]) {
      assert.equal(await groupsOf(bytes, other), null)
    }
    assert.equal(await groupsOf(bytes, LONGS, 'zstd'), null)
    const fieldIds = new Map([['v', 7]])
    assert.equal(copyRowGroups(await openFile(bytes), LONGS, { codec: 'snappy', fieldIds }), null)
    const withId = encoder.encode(batchOf(LONGS, rows), { codec: 'snappy', fieldIds }).bytes
    assert.equal(copyRowGroups(await openFile(withId), LONGS, { codec: 'snappy' }), null)
    assert(copyRowGroups(await openFile(withId), LONGS, { codec: 'snappy', fieldIds }))
  })

  test('are refused where their pages are not what the footer says', async () => {
    const bytes = encode(LONGS, [Array.from({ length: 5000 }, (_, i) => ({ v: BigInt(i) }))], 'none')
    const damaged = bytes.slice()
    // The header of the first page, behind the magic number.
    damaged.fill(0xff, 4, 12)
    await assert.rejects(groupsOf(damaged, LONGS, 'none'), { code: 'DELTA_DATA_CORRUPT' })
    const cut = bytes.slice()
    cut.set(encode(LONGS, [rows], 'none').subarray(4, 40), 4)
    await assert.rejects(groupsOf(cut, LONGS, 'none'), { code: 'DELTA_DATA_CORRUPT' })
  })
})

/** Of every column chunk, from its first page on. */
function chunkBytes(bytes: Uint8Array): Buffer[] {
  return fileMetadata(bytes).row_groups.map(group =>
    Buffer.concat(
      group.columns.map(({ meta_data: column }) => {
        const start = Number(column!.dictionary_page_offset || column!.data_page_offset)
        return bytes.subarray(start, start + Number(column!.total_compressed_size))
      }),
    ),
  )
}
