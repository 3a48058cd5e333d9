import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadSnapshot, scanTable, vacuumTable } from '@stream-ingest/delta'
import { removeOf } from '../../src/tombstone.ts'
import { readAll } from '../operation/scan-fixture.ts'
import { createTable, DAY_MS, HOUR_MS, type MistakeTable, NOW_MS, row } from './mistake-table.ts'

/** A live file, one that was replaced `removedMs` ago, and one that nobody names; all of them old. */
async function createLake(removedMs: number): Promise<MistakeTable> {
  const table = await createTable({ ageMs: 60 * DAY_MS })
  const old = await table.file('old.parquet', [row(1)])
  const live = await table.file('live.parquet', [row(1)])
  await table.text('orphan.parquet', 'x')
  await table.commit({ add: old })
  await table.commit({ remove: removeOf(old, NOW_MS - removedMs, true) }, { add: live })
  return table
}

test('53: VACUUM deletes what it counts (delta-rs #663, #3911)', async () => {
  const table = await createLake(30 * DAY_MS)
  const { filesDeleted, files } = await vacuumTable(table.store, { runtime: table.runtime })
  assert.deepEqual([filesDeleted, files.map(f => f.key)], [2, ['old.parquet', 'orphan.parquet']])
  assert.deepEqual(await table.keys(), ['live.parquet'])
})

test('54: VACUUM leaves young files alone, and versions within the retention readable (delta-rs #3645, #3835, #3989, #4290)', async () => {
  const table = await createLake(2 * DAY_MS)
  table.ageMs = HOUR_MS
  await table.text('about-to-be-committed.parquet', 'x')
  await vacuumTable(table.store, { runtime: table.runtime })
  assert.deepEqual(await table.keys(), ['about-to-be-committed.parquet', 'live.parquet', 'old.parquet'])
  const before = (await loadSnapshot(table.store, { version: 1 }))!
  for await (const rows of scanTable(before)) assert.deepEqual(rows, [row(1)])
})

test('55: a retention of nothing is refused, whatever is allowed (delta #1470)', async () => {
  const table = await createLake(30 * DAY_MS)
  for (const allowShortRetention of [false, true]) {
    await assert.rejects(
      vacuumTable(table.store, { runtime: table.runtime, retentionMs: 0, allowShortRetention }),
      {
        code: 'DELTA_RETENTION_TOO_SHORT',
      },
    )
  }
  assert.equal((await table.keys()).length, 3)
})

test('56: files of changes go by their age, and those that readers of changes need stay (delta-rs #3392)', async () => {
  const table = await createLake(30 * DAY_MS)
  await table.text('_change_data/old.parquet', 'x')
  table.ageMs = DAY_MS
  await table.text('_change_data/young.parquet', 'x')
  await vacuumTable(table.store, { runtime: table.runtime })
  assert.deepEqual(await table.keys(), ['_change_data/young.parquet', 'live.parquet'])
  assert.deepEqual(await readAll(table.store), [row(1)])
})
