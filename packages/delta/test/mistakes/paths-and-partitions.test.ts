import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createParquetEncoder,
  formatPartitionValue,
  loadSnapshot,
  optimizeTable,
  parsePartitionValue,
  primitive,
  vacuumTable,
  writeCheckpoint,
} from '@stream-ingest/delta'
import { parseCommit } from '../../src/action-codec.ts'
import { readAll } from '../operation/scan-fixture.ts'
import { inlineDeletionVector } from '../simulation/inline-deletion-vector.ts'
import { createPartitioned, createTable, DAY_MS, DV_PROTOCOL, row } from './mistake-table.ts'

test('1: a partition path is decoded exactly once (delta-rs #3577, #4053, #1896, #1228)', async () => {
  const table = await createPartitioned()
  const add = await table.file('p=a%3Ab/x.parquet', [row(1)], {
    path: 'p=a%253Ab/x.parquet',
    partitionValues: { p: 'a:b' },
  })
  await table.commit({ add })
  assert.deepEqual(await readAll(table.store), [{ id: 1n, p: 'a:b' }])
})

test('2: a removed file is gone whose path has an escaped space: the text is kept as it is (delta-rs #4624, #4304)', async () => {
  const table = await createPartitioned()
  for (const name of ['x', 'y']) {
    const add = await table.file(`p=hello world/${name}.parquet`, [row(1)], {
      path: `p=hello%20world/${name}.parquet`,
      partitionValues: { p: 'hello world' },
    })
    await table.commit({ add })
  }
  assert.equal((await optimizeTable(table.store, { runtime: table.runtime })).filesRemoved, 2)
  assert.equal((await readAll(table.store)).length, 2)
  assert.equal((await (await loadSnapshot(table.store))!.allFiles()).length, 1)
})

test('3: add.path is decoded before it is looked up (delta-rs #1079)', async () => {
  const table = await createTable()
  const add = await table.file('a b%.parquet', [row(7)], { path: 'a%20b%25.parquet' })
  await table.commit({ add })
  assert.deepEqual(await readAll(table.store), [row(7)])
})

test('4: characters beyond ASCII are read bare and escaped (kernel-rs #2423)', async () => {
  const table = await createPartitioned()
  const bare = await table.file('p=é/x.parquet', [row(1)], { partitionValues: { p: 'é' } })
  const escaped = await table.file('p=日/y.parquet', [row(2)], {
    path: 'p=%E6%97%A5/y.parquet',
    partitionValues: { p: '日' },
  })
  await table.commit({ add: bare }, { add: escaped })
  assert.deepEqual(await readAll(table.store), [
    { id: 1n, p: 'é' },
    { id: 2n, p: '日' },
  ])
})

test('5: VACUUM deletes below escaped directories, and keeps what is live there (delta-rs #4646)', async () => {
  const table = await createPartitioned()
  table.ageMs = 30 * DAY_MS
  const add = await table.file('p=a%3Ab/live.parquet', [row(1)], {
    path: 'p=a%253Ab/live.parquet',
    partitionValues: { p: 'a:b' },
  })
  await table.text('p=a%3Ab/orphan.parquet', 'x')
  await table.text('p=hello world/orphan.parquet', 'x')
  await table.commit({ add })
  assert.equal((await vacuumTable(table.store, { runtime: table.runtime })).filesDeleted, 2)
  assert.deepEqual(await table.keys(), ['p=a%3Ab/live.parquet'])
})

test('6: rows deleted by a vector stay deleted in a partition whose value has spaces (trino #26299, #24648)', async () => {
  const table = await createPartitioned({ protocol: DV_PROTOCOL })
  const add = await table.file('p=a b/x.parquet', [row(1), row(2), row(3)], {
    path: 'p=a%20b/x.parquet',
    partitionValues: { p: 'a b' },
    deletionVector: inlineDeletionVector([1]),
  })
  await table.commit({ add })
  const left = [
    { id: 1n, p: 'a b' },
    { id: 3n, p: 'a b' },
  ]
  assert.deepEqual(await readAll(table.store), left)
  await optimizeTable(table.store, { runtime: table.runtime })
  assert.deepEqual(await readAll(table.store), left)
})

test('7: an empty partition value is null, and is written as null (kernel-rs #2859)', async () => {
  const table = await createPartitioned()
  await table.commit({ add: await table.file('x.parquet', [row(1)], { partitionValues: { p: '' } }) })
  assert.deepEqual(await readAll(table.store), [{ id: 1n, p: null }])
  assert.equal(formatPartitionValue(primitive('string'), ''), null)
})

test('8: null values in tags and partition values are read (kernel-rs #2281)', () => {
  const line =
    '{"add":{"path":"x","partitionValues":{"p":null},"size":1,"modificationTime":1,"dataChange":true,"tags":{"t":null}}}'
  const [action] = parseCommit(new TextEncoder().encode(line), 'x.json')
  assert(action !== undefined && 'add' in action)
  assert.deepEqual([action.add.partitionValues, action.add.tags], [{ p: null }, { t: null }])
})

test('9: partition columns alone are read without the deleted rows (trino #21737)', async () => {
  const table = await createPartitioned({ protocol: DV_PROTOCOL })
  const add = await table.file('x.parquet', [row(1), row(2), row(3)], {
    partitionValues: { p: 'a' },
    deletionVector: inlineDeletionVector([0, 2]),
  })
  await table.commit({ add })
  assert.deepEqual(await readAll(table.store, { columns: ['p'] }), [{ p: 'a' }])
})

test('10: partition values from a checkpoint are those of the commits (duckdb-delta #304)', async () => {
  const table = await createPartitioned()
  for (const [i, p] of ['a', 'b:c', null].entries()) {
    await table.commit({ add: await table.file(`${i}.parquet`, [row(i)], { partitionValues: { p } }) })
  }
  const before = await readAll(table.store)
  await writeCheckpoint(table.store, table.version, createParquetEncoder(), table.runtime)
  await table.store.delete([0, 1, 2].map(v => `_delta_log/0000000000000000000${v}.json`))
  assert.deepEqual(await readAll(table.store), before)
})

test('11: instants as partition values are read in both forms, and written in that of the protocol (delta-sharing #634)', () => {
  const type = primitive('timestamp')
  const micros = 1_767_323_045_000_006n
  assert.equal(parsePartitionValue(type, '2026-01-02 03:04:05.000006'), micros)
  assert.equal(parsePartitionValue(type, '2026-01-02T03:04:05.000006Z'), micros)
  assert.equal(formatPartitionValue(type, micros), '2026-01-02T03:04:05.000006Z')
})
