import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, test } from 'node:test'
import { parquetReadObjects } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'
import { createParquetEncoder, PARQUET_CODECS } from '../../src/index.ts'
import { array, field, map, primitive, type StructType, struct } from '../../src/schema.ts'
import { batchOf, type Row } from '../column/arbitrary-batch.ts'
import { arrayBufferOf, type ColumnMetaData, fileMetadata, rawParsers, readRows } from './read-back.ts'

const encoder = createParquetEncoder()

function chunksOf(bytes: Uint8Array): ColumnMetaData[] {
  return fileMetadata(bytes).row_groups.flatMap(group => group.columns.map(column => column.meta_data!))
}

function range<T>(count: number, value: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => value(i))
}

describe('Parquet files', () => {
  test('nulls and empty lists keep their places at each level of a list of structs of lists', () => {
    const schema = struct([
      field('l', array(struct([field('a', array(primitive('long'))), field('b', primitive('string'))]))),
    ])
    const rows: Row[] = [
      { l: null },
      { l: [] },
      { l: [null] },
      { l: [{ a: null, b: null }] },
      { l: [{ a: [], b: 'x' }] },
      { l: [{ a: [null], b: null }, null, { a: [1n, null, 2n], b: 'y' }] },
      { l: [{ a: [3n], b: '' }] },
    ]
    for (const pageRows of [1, 2, 100]) {
      const { bytes } = encoder.encode(batchOf(schema, rows), { codec: 'none', pageRows })
      assert.deepEqual(readRows(bytes, schema), rows)
    }
  })

  test('nulls and empty maps keep their places at each level of a map of lists', () => {
    const schema = struct([field('m', map(primitive('string'), array(primitive('integer'))))])
    const rows: Row[] = [
      { m: null },
      { m: [] },
      { m: [['a', null]] },
      {
        m: [
          ['b', []],
          ['a', [null]],
          ['b', [1, null, 2]],
        ],
      },
    ]
    const { bytes } = encoder.encode(batchOf(schema, rows), { codec: 'zstd' })
    assert.deepEqual(readRows(bytes, schema), rows)
  })

  test("hyparquet's own rows are those that were written, in every codec", async () => {
    const schema = struct([
      field('id', primitive('long'), false),
      field('name', primitive('string')),
      field('tags', array(primitive('string'))),
      field('at', primitive('timestamp')),
    ])
    const rows = range(5000, i => ({
      id: BigInt(i),
      name: i % 7 === 0 ? null : `name ${i % 40}`,
      tags: i % 5 === 0 ? null : range(i % 4, t => `tag ${t}`),
      at: BigInt(i) * 1_000_003n,
    }))
    for (const codec of PARQUET_CODECS) {
      const { bytes } = encoder.encode(batchOf(schema, rows), { codec, pageRows: 999, rowGroupRows: 3001 })
      const file = arrayBufferOf(bytes)
      const read = await parquetReadObjects({ file, compressors, parsers: rawParsers })
      // hyparquet has undefined for a list that is null.
      assert.deepEqual(
        read.map(row => ({ ...row, tags: row.tags ?? null })),
        rows,
      )
    }
  })

  test('large batches come back whole: dictionaries of many codes, nulls, many pages and row groups', () => {
    const schema = struct([
      field('many', primitive('string')),
      field('pairs', primitive('long')),
      field('amounts', primitive('double'), false),
      field('flags', primitive('boolean')),
      field('lists', array(primitive('integer'))),
    ])
    const rows = range(30_001, i => ({
      many: i % 11 === 0 ? null : `value ${(i * 7919) % 4001}`,
      pairs: i > 15_000 && i < 16_000 ? null : BigInt(((i * 31) % 257) - 128) * 2n ** 40n,
      amounts: ((i * 13) % 9973) / 100,
      flags: i % 3 === 0 ? null : i % 2 === 0,
      lists: i % 10 === 0 ? null : range(i % 4, n => (i * n) % 100),
    }))
    for (const rowGroupRows of [7001, 1_000_000]) {
      const { bytes } = encoder.encode(batchOf(schema, rows), { codec: 'snappy', rowGroupRows })
      assert.deepEqual(readRows(bytes, schema), rows)
    }
  })
})

describe('dictionaries', () => {
  const schema = struct([field('v', primitive('string'), false)])
  const encodings = (rows: readonly Row[], dictionary = true, of: StructType = schema) =>
    chunksOf(encoder.encode(batchOf(of, rows), { codec: 'none', dictionary }).bytes)[0]!.encodings

  test('are made of values that repeat, and can be turned off', () => {
    const repeated = range(1000, i => ({ v: `value ${i % 10}` }))
    assert.deepEqual(encodings(repeated), ['PLAIN', 'RLE_DICTIONARY'])
    assert.deepEqual(encodings(repeated, false), ['PLAIN'])
  })

  test('are given up where values do not repeat, early, by size or because they save nothing', () => {
    assert.deepEqual(encodings(range(10_000, i => ({ v: `value ${i}` }))), ['PLAIN'])
    assert.deepEqual(encodings([{ v: 'one' }]), ['PLAIN'])
    // 1.2 MB of distinct values, each of them twice.
    const large = 'x'.repeat(1000)
    assert.deepEqual(encodings(range(2400, i => ({ v: `${large}${i % 1200}` }))), ['PLAIN'])
  })

  test('keep NaN and both zeros as they were', () => {
    const doubles = struct([field('v', primitive('double'))])
    const rows = range(400, i => ({ v: [0, -0, NaN, 1.5][i % 4]! }))
    assert.deepEqual(encodings(rows, true, doubles), ['PLAIN', 'RLE_DICTIONARY', 'RLE'])
    const { bytes } = encoder.encode(batchOf(doubles, rows), { codec: 'none' })
    assert.deepEqual(readRows(bytes, doubles), rows)
  })
})

describe('sizes', () => {
  test('a page of large values holds about a MiB, a larger value has its own', () => {
    const schema = struct([field('v', primitive('string'), false)])
    const rows = range(100, i => ({ v: `${i}`.padEnd(i === 50 ? 3_000_000 : 50_000, '-') }))
    const { bytes } = encoder.encode(batchOf(schema, rows), { codec: 'none', dictionary: false })
    const [chunk] = chunksOf(bytes)
    const pageCount = (chunk as { encoding_stats?: { count: number }[] }).encoding_stats![0]!.count
    assert(pageCount >= 5 && pageCount <= 20, `${pageCount} pages`)
    assert.deepEqual(readRows(bytes, schema), rows)
  })

  test('a row group holds about 128 MiB of columns', () => {
    const schema = struct([field('v', primitive('binary'), false)])
    const value = new Uint8Array(1 << 20)
    const { bytes } = encoder.encode(
      batchOf(
        schema,
        range(200, () => ({ v: value })),
      ),
      { codec: 'zstd' },
    )
    const groups = fileMetadata(bytes).row_groups
    assert.deepEqual(
      groups.map(group => Number(group.num_rows)),
      [127, 73],
    )
  })
})

test('a file is signed with the version of the package', async () => {
  const manifest = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'))
  const schema = struct([field('v', primitive('long'))])
  const { bytes } = encoder.encode(batchOf(schema, [{ v: 1n }]), { codec: 'none' })
  assert.equal(fileMetadata(bytes).created_by, `stream-ingest version ${manifest.version}`)
})

test('the same batch gives the same bytes', () => {
  const schema = struct([field('v', primitive('string')), field('l', array(primitive('long')))])
  const rows = range(500, i => ({ v: `${i % 9}`, l: [BigInt(i)] }))
  const once = encoder.encode(batchOf(schema, rows), { codec: 'snappy' })
  const again = createParquetEncoder().encode(batchOf(schema, rows), { codec: 'snappy' })
  assert.deepEqual(Buffer.from(once.bytes), Buffer.from(again.bytes))
})
