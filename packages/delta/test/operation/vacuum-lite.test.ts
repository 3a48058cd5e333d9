import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createParquetEncoder, type VacuumProgress, vacuumTable, writeCheckpoint } from '@stream-ingest/delta'
import { formatCommitPath } from '../../src/log-path.ts'
import { LAST_VACUUM_INFO_PATH } from '../../src/operation/vacuum/removed-files.ts'
import { removeOf } from '../../src/tombstone.ts'
import { createTable, DAY_MS, type MistakeTable, NOW_MS, row } from '../mistakes/mistake-table.ts'

/** Three files that were replaced a month ago, one commit each, and a live one. */
async function createLake(): Promise<MistakeTable> {
  const table = await createTable({ ageMs: 60 * DAY_MS })
  const files = await Promise.all(
    [1, 2, 3].map(n => table.file(`dir=a%3Ab/${n}.parquet`, [row(n)], { path: `dir=a%253Ab/${n}.parquet` })),
  )
  for (const add of files) await table.commit({ add })
  const live = await table.file('live.parquet', [row(9)])
  for (const add of files) await table.commit({ remove: removeOf(add, NOW_MS - 30 * DAY_MS, true) })
  await table.commit({ add: live })
  await table.text('orphan.parquet', 'x')
  return table
}

const lite = (table: MistakeTable, more: object = {}) =>
  vacuumTable(table.store, { runtime: table.runtime, lite: true, ...more })

suite('VACUUM by the commits alone', () => {
  test('deletes what they removed, below escaped directories too, and asks for no list of objects', async () => {
    const table = await createLake()
    const { filesDeleted, bytesDeleted, objectsListed, commitsRead } = await lite(table)
    assert.deepEqual([filesDeleted, objectsListed, commitsRead], [3, 0, 8])
    assert(bytesDeleted > 0)
    assert.deepEqual(await table.keys(), ['live.parquet', 'orphan.parquet'])
  })

  test('begins behind what it has looked at, also where another engine did', async () => {
    const table = await createLake()
    await lite(table)
    assert.equal((await lite(table)).commitsRead, 0)
    await table.text(LAST_VACUUM_INFO_PATH, '{"latestCommitVersionOutsideOfRetentionWindow":5}')
    assert.equal((await lite(table)).commitsRead, 2)
    for (const broken of ['', '{"latestCommitVersionOutsideOfRetentionWindow":"x"}']) {
      await table.text(LAST_VACUUM_INFO_PATH, broken)
      assert.equal((await lite(table)).commitsRead, 8, broken)
    }
  })

  test('keeps what came back, what was removed within the retention, and what the newest commits removed', async () => {
    const table = await createLake()
    const [again, young, late] = await Promise.all(
      ['again', 'young', 'late'].map(n => table.file(`${n}.parquet`, [row(5)])),
    )
    const removed = (add: typeof again, ageMs: number) => ({ remove: removeOf(add!, NOW_MS - ageMs, true) })
    await table.commit({ add: again! }, { add: young! }, { add: late! })
    await table.commit(removed(again, 30 * DAY_MS), removed(young, DAY_MS))
    await table.commit({ add: again! })
    table.ageMs = DAY_MS
    await table.commit(removed(late, 30 * DAY_MS))
    await lite(table)
    assert.deepEqual(await table.keys(), [
      'again.parquet',
      'late.parquet',
      'live.parquet',
      'orphan.parquet',
      'young.parquet',
    ])
  })

  test('changes nothing in a dry run', async () => {
    const table = await createLake()
    assert.equal((await lite(table, { dryRun: true })).filesDeleted, 3)
    assert.equal((await table.keys()).length, 5)
    assert.equal(await table.store.head(LAST_VACUUM_INFO_PATH), null)
  })

  test('says where the log no longer holds what it has to look at', async () => {
    const table = await createLake()
    await writeCheckpoint(table.store, table.version, createParquetEncoder(), table.runtime)
    await table.store.delete([0, 1, 2].map(formatCommitPath))
    await assert.rejects(lite(table), { code: 'DELTA_VERSION_NOT_FOUND', message: /begins at version 3/ })
    await table.text(LAST_VACUUM_INFO_PATH, '{"latestCommitVersionOutsideOfRetentionWindow":3}')
    assert.equal((await lite(table)).commitsRead, 4)
  })

  test('tells how far it is after each commit and each deletion', async () => {
    const done: VacuumProgress[] = []
    const { commitsRead, filesDeleted } = await lite(await createLake(), {
      progressed: (d: VacuumProgress) => done.push(d),
    })
    assert.equal(done[0]?.commitsRead, 1)
    assert.deepEqual(done.at(-1) && { ...done.at(-1), bytesDeleted: 0 }, {
      objectsListed: 0,
      commitsRead,
      filesDeleted,
      bytesDeleted: 0,
    })
  })

  test('finds nothing in a table whose commits are all young', async () => {
    const table = await createTable()
    assert.deepEqual((await lite(table)).commitsRead, 0)
  })
})
