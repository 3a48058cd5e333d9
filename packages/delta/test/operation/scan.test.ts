import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type DeltaErrorCode, DeltaLakeError } from '../../src/error.ts'
import { scanTable } from '../../src/operation/scan.ts'
import { array, decimal, field, map, primitive, struct } from '../../src/schema.ts'
import { loadSnapshot } from '../../src/snapshot.ts'
import { MemoryObjectStore } from '../../src/store/memory.ts'
import { createScanTable, encodeRows, readAll, type TestTable } from './scan-fixture.ts'

const LONG = primitive('long')
const STRING = primitive('string')
const ID = struct([field('id', LONG)])

function ids(from: number, to: number): { id: bigint }[] {
  return Array.from({ length: to - from }, (_, i) => ({ id: BigInt(from + i) }))
}

async function assertFails(promise: Promise<unknown>, code: DeltaErrorCode, message: RegExp): Promise<void> {
  await assert.rejects(promise, (error: unknown) => {
    assert(error instanceof DeltaLakeError, String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, message)
    return true
  })
}

const TWO_FILES: TestTable = {
  schema: ID,
  files: [
    { path: 'a.parquet', schema: ID, rows: ids(0, 10), encode: { rowGroupRows: 4 } },
    { path: 'b.parquet', schema: ID, rows: ids(10, 15) },
  ],
}

describe('a scan', () => {
  test('goes through files and row groups, and gives nothing for a table without files', async () => {
    assert.deepEqual(await readAll((await createScanTable(TWO_FILES)).store), ids(0, 15))
    assert.deepEqual(await readAll((await createScanTable({ schema: ID, files: [] })).store), [])
  })

  test('tells after each file how many it has read', async () => {
    const done: number[] = []
    await readAll((await createScanTable(TWO_FILES)).store, { progressed: files => done.push(files) })
    assert.deepEqual(done, [1, 2])
  })

  test('ends at the limit without opening the files behind it', async () => {
    const { store, calls } = await createScanTable(TWO_FILES)
    for (const limit of [0, 1, 4, 9]) {
      calls.length = 0
      assert.deepEqual(await readAll(store, { limit }), ids(0, limit))
      assert(!calls.some(call => call.key === 'b.parquet'), `a limit of ${limit}`)
    }
    assert.deepEqual(await readAll(store, { limit: 12 }), ids(0, 12))
    assert.deepEqual(await readAll(store, { limit: 99 }), ids(0, 15))
  })

  test('gives rows in batches, so that a large row group is never whole in memory as rows', async () => {
    const rows = ids(0, 10_000)
    const { store } = await createScanTable({ schema: ID, files: [{ path: 'a.parquet', schema: ID, rows }] })
    const snapshot = await loadSnapshot(store)
    const lengths: number[] = []
    for await (const batch of scanTable(snapshot!)) lengths.push(batch.length)
    assert.deepEqual(lengths, [4096, 4096, 1808])
  })

  test('has the columns that are asked for, in that order, and reads no other', async () => {
    const schema = struct([field('a', LONG), field('b', STRING), field('c', LONG)])
    const rows = [{ a: 1n, b: 'x'.repeat(300_000), c: 3n }]
    const { store, calls } = await createScanTable({
      schema,
      files: [{ path: 'a.parquet', schema, rows, encode: { codec: 'none' } }],
    })
    calls.length = 0
    const [row] = await readAll(store, { columns: ['c', 'a'] })
    assert.deepEqual(Object.entries(row!), [
      ['c', 3n],
      ['a', 1n],
    ])
    await assertFails(readAll(store, { columns: ['d'] }), 'DELTA_COLUMN_NOT_FOUND', /no column `d`/)
  })

  test('fills partition columns from the log, columns that a file is too old for with null, and ignores others', async () => {
    const old = struct([field('id', LONG), field('gone', STRING)])
    const { store } = await createScanTable({
      schema: struct([
        field('day', primitive('date')),
        field('id', LONG),
        field('price', decimal(10, 2)),
        field('tags', array(STRING)),
        field('nothing', primitive('void')),
      ]),
      partitionColumns: ['day'],
      files: [
        {
          path: 'a.parquet',
          schema: old,
          rows: [{ id: 1n, gone: 'x' }],
          partitionValues: { day: '1970-01-03' },
        },
        { path: 'b.parquet', schema: old, rows: [{ id: 2n, gone: null }], partitionValues: { day: null } },
      ],
    })
    assert.deepEqual(await readAll(store), [
      { day: 2, id: 1n, price: null, tags: null, nothing: null },
      { day: null, id: 2n, price: null, tags: null, nothing: null },
    ])
    assert.deepEqual(await readAll(store, { columns: ['day'] }), [{ day: 2 }, { day: null }])
  })

  test('tells a struct that is null from one whose fields are all newer than the file', async () => {
    const { store } = await createScanTable({
      schema: struct([
        field('s', struct([field('added', LONG)])),
        field('l', array(struct([field('added', LONG)]))),
      ]),
      files: [
        {
          path: 'a.parquet',
          schema: struct([
            field('s', struct([field('old', array(LONG))])),
            field('l', array(struct([field('old', array(LONG))]))),
          ]),
          rows: [
            { s: null, l: null },
            { s: { old: [1n, 2n] }, l: [] },
            { s: { old: null }, l: [{ old: [1n, 2n] }, null, { old: [] }] },
          ],
        },
      ],
    })
    assert.deepEqual(await readAll(store), [
      { s: null, l: null },
      { s: { added: null }, l: [] },
      { s: { added: null }, l: [{ added: null }, null, { added: null }] },
    ])
  })

  test('keeps the keys of maps what they are, and floats bit for bit', async () => {
    const schema = struct([field('m', map(LONG, primitive('double'))), field('f', primitive('float'))])
    const rows = [
      { m: [[9007199254740993n, -0] as const, [-1n, Number.NaN] as const], f: Number.POSITIVE_INFINITY },
      { m: [], f: -0 },
    ]
    const { store } = await createScanTable({ schema, files: [{ path: 'a.parquet', schema, rows }] })
    const read = await readAll(store)
    assert.deepEqual(read, rows)
    assert(Object.is(read[1]!.f, -0))
  })

  test('finds columns by the names and ids of column mapping, and partition values by their physical names', async () => {
    const physical = struct([field('col-1', LONG), field('col-2', struct([field('col-3', STRING)]))])
    const mapped = (id: number) => ({
      'delta.columnMapping.id': id,
      'delta.columnMapping.physicalName': `col-${id}`,
    })
    const schema = struct([
      field('id', LONG, true, mapped(1)),
      field('inner', struct([field('text', STRING, true, mapped(3))]), true, mapped(2)),
      field('p', STRING, true, mapped(4)),
    ])
    for (const mode of ['name', 'id']) {
      const fieldIds = new Map([
        ['col-1', 1],
        ['col-2', 2],
        ['col-2\0col-3', 3],
      ])
      const { store } = await createScanTable({
        schema,
        partitionColumns: ['p'],
        configuration: { 'delta.columnMapping.mode': mode },
        protocol: { minReaderVersion: 2, minWriterVersion: 5 },
        files: [
          {
            path: 'a.parquet',
            schema: physical,
            rows: [{ 'col-1': 1n, 'col-2': { 'col-3': 'x' } }],
            partitionValues: { 'col-4': 'north' },
            encode: { fieldIds },
          },
        ],
      })
      assert.deepEqual(await readAll(store), [{ id: 1n, inner: { text: 'x' }, p: 'north' }], `mode ${mode}`)
    }
  })

  test('reads files from before their columns were widened', async () => {
    const narrow = struct([
      field('i', primitive('integer')),
      field('d', primitive('float')),
      field('n', decimal(4, 1)),
      field('t', primitive('date')),
    ])
    const { store } = await createScanTable({
      schema: struct([
        field('i', LONG),
        field('d', primitive('double')),
        field('n', decimal(20, 3)),
        field('t', primitive('timestamp_ntz')),
      ]),
      files: [{ path: 'a.parquet', schema: narrow, rows: [{ i: -5, d: 0.5, n: -123n, t: 1 }] }],
    })
    assert.deepEqual(await readAll(store), [{ i: -5n, d: 0.5, n: -12_300n, t: 86_400_000_000n }])
  })

  test('stops at a signal', async () => {
    const { store } = await createScanTable(TWO_FILES)
    const stop = new AbortController()
    const snapshot = await loadSnapshot(store)
    const rows = scanTable(snapshot!, { signal: stop.signal })
    await rows.next()
    stop.abort(new Error('enough'))
    await assert.rejects(rows.next(), /enough/)
  })
})

describe('a table that cannot be read', () => {
  test('is refused for a reader feature that is not known, by its name', async () => {
    const { store } = await createScanTable({
      ...TWO_FILES,
      protocol: {
        minReaderVersion: 3,
        minWriterVersion: 7,
        readerFeatures: ['catalogManaged'],
        writerFeatures: ['catalogManaged'],
      },
    })
    await assertFails(readAll(store), 'DELTA_PROTOCOL_UNSUPPORTED', /`catalogManaged`/)
  })

  test('is refused for a variant column, unless that is not asked for', async () => {
    const schema = struct([field('id', LONG), field('v', primitive('variant'))])
    const { store } = await createScanTable({
      schema,
      files: [{ path: 'a.parquet', schema: ID, rows: ids(0, 1) }],
    })
    await assertFails(
      readAll(store),
      'DELTA_PROTOCOL_UNSUPPORTED',
      /`v` needs the reader feature `variantType`/,
    )
    assert.deepEqual(await readAll(store, { columns: ['id'] }), ids(0, 1))
  })

  test('names the file that is missing, cut off, or of another form than the schema', async () => {
    const { store } = await createScanTable(TWO_FILES)
    const bytes = (await store.get('b.parquet'))!
    await store.put('b.parquet', bytes.slice(0, -20))
    await assertFails(readAll(store), 'DELTA_DATA_CORRUPT', /the file `b\.parquet` of memory:test/)
    await store.delete(['b.parquet'])
    await assertFails(
      readAll(store),
      'DELTA_DATA_CORRUPT',
      /the file `b\.parquet` of memory:test does not exist/,
    )
    const text = struct([field('id', STRING)])
    const other = await createScanTable({
      schema: ID,
      files: [{ path: 'a.parquet', schema: text, rows: [{ id: '1' }] }],
    })
    await assertFails(
      readAll(other.store),
      'DELTA_DATA_CORRUPT',
      /`a\.parquet` .* column `id` as BYTE_ARRAY \(UTF8\), which cannot be read as long/,
    )
  })

  test('names the file whose pages do not decode, wherever a byte is lost', async () => {
    const schema = struct([field('id', LONG), field('name', STRING)])
    const rows = ids(0, 500).map(({ id }) => ({ id, name: `name ${id}` }))
    const { store } = await createScanTable({ schema, files: [{ path: 'a.parquet', schema, rows }] })
    const sound = (await store.get('a.parquet'))!
    // The page header of the first column, where each byte is one of a few that Thrift allows.
    for (let at = 4; at < 8; at++) {
      const damaged = sound.slice()
      damaged[at] = 0xff
      await store.put('a.parquet', damaged)
      await assertFails(readAll(store), 'DELTA_DATA_CORRUPT', /the file `a\.parquet` .* row group 0/)
    }
  })

  test('is refused where it refers to files of another place that nobody opened', async () => {
    const elsewhere = new MemoryObjectStore({ name: 'elsewhere' })
    await elsewhere.put('a b.parquet', encodeRows(ID, ids(0, 3)))
    const log = await createScanTable({ schema: ID, files: [] })
    const size = (await elsewhere.head('a b.parquet'))!.sizeBytes
    const path = 's3://other/folder/a%20b.parquet'
    await log.commit(1, [
      { commitInfo: {} },
      { add: { path, partitionValues: {}, size, modificationTime: 1, dataChange: true } },
    ])
    await assertFails(readAll(log.store), 'DELTA_FILE_OUTSIDE', /a%20b\.parquet` lies outside/)
    const opened: string[] = []
    const rows = await readAll(log.store, {
      openForeign: uri => {
        opened.push(uri)
        return elsewhere
      },
    })
    assert.deepEqual(rows, ids(0, 3))
    assert.deepEqual(opened, ['s3://other/folder'])
  })
})
