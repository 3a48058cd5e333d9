import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LAST_CHECKPOINT_PATH } from '../src/log-path.ts'
import { listTail, loadLogSegment } from '../src/log-segment.ts'
import { createTestLog, createTestTable } from './table-log.ts'

const name = (version: number, rest: string): string =>
  `_delta_log/${String(version).padStart(20, '0')}.${rest}`
const pointer = (version: number): string => JSON.stringify({ version, size: 3 })

/** A log of empty-ish files: only names and sizes matter here. */
async function logOf(files: Record<string, string>) {
  const log = createTestLog()
  for (const [key, text] of Object.entries(files)) await log.put(key, text)
  log.calls.length = 0
  return log
}

test('a folder without log files is no table', async () => {
  const { store } = await logOf({
    'x.parquet': 'x',
    '_delta_log/foo.txt': 'x',
    '_delta_log/_sidecars/a.parquet': 'x',
  })
  assert.equal(await loadLogSegment(store), null)
})

test('a log that has only remains of a table is damage, not an empty place', async () => {
  for (const files of [
    { [name(6, 'checkpoint.0000000001.0000000002.parquet')]: 'x' },
    { [name(6, 'checkpoint.parquet')]: '' },
    { [name(0, 'crc')]: 'x' },
    { [LAST_CHECKPOINT_PATH]: pointer(5) },
  ]) {
    const { store } = await logOf(files)
    await assert.rejects(loadLogSegment(store), { code: 'DELTA_LOG_CORRUPT' })
  }
})

test('the pointer and one listing find the newest checkpoint and the commits after it', async () => {
  const { store, calls } = await logOf({
    [name(8, 'json')]: 'x',
    [name(10, 'checkpoint.parquet')]: 'x',
    [name(10, 'crc')]: 'x',
    [name(10, 'json')]: 'x',
    [name(11, 'crc')]: 'x',
    [name(11, 'json')]: 'x',
    [name(12, 'json')]: 'x',
    [LAST_CHECKPOINT_PATH]: pointer(10),
  })
  const segment = await loadLogSegment(store)
  assert.equal(segment?.version, 12)
  assert.equal(segment.checkpoint?.version, 10)
  assert.deepEqual(
    segment.commits.map(c => c.version),
    [11, 12],
  )
  assert.equal(segment.checksumVersion, 11)
  assert.equal(segment.hasTipCommit, true)
  assert.deepEqual(
    calls.map(c => c.operation),
    ['get', 'list'],
  )
})

test('a pointer to nowhere costs another listing only', async () => {
  const log = await createTestTable(3)
  await log.put(LAST_CHECKPOINT_PATH, pointer(2))
  const segment = await loadLogSegment(log.store)
  assert.equal(segment?.version, 3)
  assert.equal(segment.commits.length, 4)
})

test('a missing commit is a gap that is named, also behind a checkpoint', async () => {
  const { store } = await logOf({ [name(0, 'json')]: 'x', [name(3, 'json')]: 'x' })
  await assert.rejects(loadLogSegment(store), {
    code: 'DELTA_LOG_GAP',
    message:
      'the log of memory:test has a gap: versions 1 to 2 are missing (`_delta_log/00000000000000000001.json`)',
  })
  const other = await logOf({ [name(5, 'checkpoint.parquet')]: 'x', [name(7, 'json')]: 'x' })
  await assert.rejects(loadLogSegment(other.store), {
    code: 'DELTA_LOG_GAP',
    message: /version 6 is missing/,
  })
})

test('commits that were cleaned away before a checkpoint are no gap', async () => {
  const { store } = await logOf({
    [name(2, 'json')]: 'x',
    [name(5, 'checkpoint.parquet')]: 'x',
    [name(6, 'json')]: 'x',
  })
  assert.equal((await loadLogSegment(store))?.version, 6)
})

test('a checkpoint alone is a table', async () => {
  const { store } = await logOf({ [name(5, 'checkpoint.parquet')]: 'x' })
  const segment = await loadLogSegment(store)
  assert.equal(segment?.version, 5)
  assert.equal(segment.hasTipCommit, false)
})

test('an incomplete multi-part checkpoint is passed over for an older one', async () => {
  const { store } = await logOf({
    [name(2, 'checkpoint.0000000001.0000000002.parquet')]: 'x',
    [name(2, 'checkpoint.0000000002.0000000002.parquet')]: 'x',
    [name(3, 'json')]: 'x',
    [name(4, 'checkpoint.0000000002.0000000002.parquet')]: 'x',
    [name(4, 'json')]: 'x',
  })
  const segment = await loadLogSegment(store)
  assert.equal(segment?.checkpoint?.version, 2)
  assert.deepEqual(
    segment.checkpoint.files.map(f => f.key.slice(43, 53)),
    ['0000000001', '0000000002'],
  )
  assert.deepEqual(
    segment.commits.map(c => c.version),
    [3, 4],
  )
})

test('an empty commit is damage by its size alone', async () => {
  const { store } = await logOf({ [name(0, 'json')]: 'x', [name(1, 'json')]: '' })
  await assert.rejects(loadLogSegment(store), {
    code: 'DELTA_LOG_CORRUPT',
    message: /000001\.json` of memory:test is empty/,
  })
})

test('an older version is asked for, found, or said to be gone or not there yet', async () => {
  const { store } = await logOf({
    [name(5, 'checkpoint.parquet')]: 'x',
    [name(6, 'json')]: 'x',
    [name(7, 'json')]: 'x',
    [name(8, 'checkpoint.parquet')]: 'x',
    [name(8, 'json')]: 'x',
    [LAST_CHECKPOINT_PATH]: pointer(8),
  })
  const segment = await loadLogSegment(store, { version: 7 })
  assert.equal(segment?.checkpoint?.version, 5)
  assert.deepEqual(
    segment.commits.map(c => c.version),
    [6, 7],
  )
  await assert.rejects(loadLogSegment(store, { version: 9 }), {
    code: 'DELTA_VERSION_NOT_FOUND',
    message: /no version 9; the newest is 8/,
  })
  await assert.rejects(loadLogSegment(store, { version: 4 }), {
    code: 'DELTA_VERSION_NOT_FOUND',
    message: /the oldest it holds is 5/,
  })
})

test('a tail names the newest version, or none', async () => {
  const { store } = await createTestTable(3)
  assert.equal((await listTail(store, 2)).newestVersion, 3)
  assert.deepEqual([...(await listTail(store, 2)).commits.keys()], [2, 3])
  assert.equal((await listTail(store, 4)).newestVersion, -1)
})
