import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Action } from '../src/action.ts'
import { formatAction } from '../src/action-codec.ts'
import { formatCheckpointPath, formatV2CheckpointPath, LAST_CHECKPOINT_PATH } from '../src/log-path.ts'
import { loadSnapshot } from '../src/snapshot.ts'
import { addOf, createTestLog, createTestTable, metadataOf, PROTOCOL } from './table-log.ts'

const UUID = '123e4567-e89b-42d3-a456-426614174000'
const dv = (id: string) =>
  ({ storageType: 'u', pathOrInlineDv: id, offset: 1, sizeInBytes: 34, cardinality: 2 }) as const

async function pathsOf(log: ReturnType<typeof createTestLog>, version?: number): Promise<string[]> {
  const snapshot = await loadSnapshot(log.store, version === undefined ? {} : { version })
  const files = await snapshot!.allFiles()
  return files.map(f => f.path + (f.deletionVector?.pathOrInlineDv ?? '')).sort()
}

test('files are live from their add to their remove, at every version', async () => {
  const log = await createTestTable(2)
  await log.commit(3, [{ remove: { path: 'f1.parquet', deletionTimestamp: 9, dataChange: true } }])
  await log.commit(4, [{ add: addOf('f1.parquet') }])
  assert.deepEqual(await pathsOf(log, 0), ['f0.parquet'])
  assert.deepEqual(await pathsOf(log, 2), ['f0.parquet', 'f1.parquet', 'f2.parquet'])
  assert.deepEqual(await pathsOf(log, 3), ['f0.parquet', 'f2.parquet'])
  assert.deepEqual(await pathsOf(log), ['f0.parquet', 'f1.parquet', 'f2.parquet'])
  assert.deepEqual(
    (await loadSnapshot(log.store, { version: 3 }))!.tombstones.map(r => r.path),
    ['f1.parquet'],
  )
  assert.deepEqual((await loadSnapshot(log.store))!.tombstones, [])
})

test('a file is the pair of its path and its deletion vector', async () => {
  const log = await createTestTable(0)
  const f0 = addOf('f0.parquet')
  await log.commit(1, [
    { remove: { path: f0.path, dataChange: true } },
    { add: { ...f0, deletionVector: dv('A') } },
  ])
  assert.deepEqual(await pathsOf(log), ['f0.parquetA'])
  await log.commit(2, [
    { remove: { path: f0.path, dataChange: true, deletionVector: dv('A') } },
    { add: { ...f0, deletionVector: dv('B') } },
  ])
  assert.deepEqual(await pathsOf(log), ['f0.parquetB'])
  // A remove without the vector is another key: it does not take the file away.
  await log.commit(3, [{ remove: { path: f0.path, dataChange: true } }])
  assert.deepEqual(await pathsOf(log), ['f0.parquetB'])
})

test('an add of a live file replaces what is known of it', async () => {
  const log = await createTestTable(0)
  await log.commit(1, [{ add: { ...addOf('f0.parquet'), dataChange: false, stats: '{"numRecords":1}' } }])
  const files = await (await loadSnapshot(log.store))!.allFiles()
  assert.deepEqual(
    files.map(f => f.stats),
    ['{"numRecords":1}'],
  )
})

test('a checkpoint is shadowed by the commits after it', async () => {
  const log = createTestLog()
  const actions: Action[] = [
    { protocol: PROTOCOL },
    { metaData: metadataOf() },
    { add: addOf('a') },
    { add: addOf('b') },
    { remove: { path: 'c', dataChange: true, deletionTimestamp: 1 } },
    { remove: { path: 'd', dataChange: true, deletionTimestamp: 1 } },
  ]
  await log.put(formatV2CheckpointPath(5, UUID, 'json'), actions.map(formatAction).join('\n'))
  await log.commit(6, [{ remove: { path: 'a', dataChange: true } }, { add: addOf('c') }])
  const snapshot = (await loadSnapshot(log.store))!
  assert.deepEqual(await pathsOf(log), ['b', 'c'])
  assert.deepEqual(snapshot.tombstones.map(r => r.path).sort(), ['a', 'd'])
  assert.deepEqual(await snapshot.fileTotals(), { numFiles: 2, sizeBytes: 200 })
})

test('a checkpoint that cannot be read is replaced by an older state as long as the log allows', async () => {
  const log = await createTestTable(4)
  await log.put(formatCheckpointPath(3), 'PAR1 not really PAR1')
  await log.put(LAST_CHECKPOINT_PATH, JSON.stringify({ version: 3, size: 1 }))
  assert.equal((await pathsOf(log)).length, 5)
  await log.store.delete(['_delta_log/00000000000000000001.json'])
  await assert.rejects(loadSnapshot(log.store), {
    code: 'DELTA_LOG_CORRUPT',
    message: /the checkpoint cannot be read: .*00003\.checkpoint\.parquet/,
  })
})

test('a time gives the newest version that was there, by the times of the objects made to rise', async () => {
  let now = 0
  const log = createTestLog(() => now)
  // Version 2 is older by the store's clock than version 1.
  for (const [version, ms] of [1000, 3000, 2000, 5000].entries()) {
    now = ms
    await log.commit(
      version,
      version === 0 ? [{ protocol: PROTOCOL }, { metaData: metadataOf() }] : [{ add: addOf(`${version}`) }],
    )
  }
  const versionAt = async (timestampMs: number) => (await loadSnapshot(log.store, { timestampMs }))?.version
  assert.equal(await versionAt(1000), 0)
  assert.equal(await versionAt(2999), 0)
  assert.equal(await versionAt(3000), 1)
  assert.equal(await versionAt(3001), 2)
  assert.equal(await versionAt(9000), 3)
  await assert.rejects(versionAt(999), { code: 'DELTA_VERSION_NOT_FOUND' })
})

test('a time is looked up in the commits from the version on that has in-commit timestamps', async () => {
  let now = 0
  const log = createTestLog(() => now)
  const configuration = {
    'delta.enableInCommitTimestamps': 'true',
    'delta.inCommitTimestampEnablementVersion': '2',
    'delta.inCommitTimestampEnablementTimestamp': '500',
  }
  const commits: Action[][] = [
    [{ protocol: PROTOCOL }, { metaData: metadataOf() }],
    [{ add: addOf('1') }],
    [{ commitInfo: { inCommitTimestamp: 500 } }, { metaData: metadataOf(configuration) }],
    [{ commitInfo: { inCommitTimestamp: 600 } }, { add: addOf('3') }],
    [{ commitInfo: { inCommitTimestamp: 700 } }, { add: addOf('4') }],
  ]
  for (const [version, actions] of commits.entries()) {
    // What the store says of later objects is of no account: a copy of the table has new times.
    now = version < 2 ? 100 * (version + 1) : 1_000_000
    await log.commit(version, actions)
  }
  const versionAt = async (timestampMs: number) => (await loadSnapshot(log.store, { timestampMs }))?.version
  assert.equal(await versionAt(100), 0)
  assert.equal(await versionAt(499), 1)
  assert.equal(await versionAt(500), 2)
  assert.equal(await versionAt(699), 3)
  assert.equal(await versionAt(10_000), 4)
})
