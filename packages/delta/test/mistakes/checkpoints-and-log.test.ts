import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  cleanUpLog,
  createParquetEncoder,
  DeltaTable,
  loadSnapshot,
  loadTableState,
  writeCheckpoint,
} from '@stream-ingest/delta'
import { formatCheckpointPath, formatChecksumPath, formatCommitPath } from '../../src/log-path.ts'
import { openParquet } from '../../src/parquet/parquet-reader.ts'
import { array, field, primitive, struct } from '../../src/schema.ts'
import { readAll } from '../operation/scan-fixture.ts'
import { addOf } from '../table-log.ts'
import { createTable, DAY_MS, type MistakeTable, NOW_MS } from './mistake-table.ts'

const encoder = createParquetEncoder()

/** Checkpoints the newest version and takes all commits below it away. */
async function checkpointAlone(table: MistakeTable): Promise<void> {
  await writeCheckpoint(table.store, table.version, encoder, table.runtime)
  await table.store.delete(Array.from({ length: table.version }, (_, v) => formatCommitPath(v)))
}

test('25: a checkpoint keeps domains, and does not bring removed ones back (kernel-rs #1716, #2288, #2668)', async () => {
  const protocol = { minReaderVersion: 1, minWriterVersion: 7, writerFeatures: ['domainMetadata'] }
  const table = await createTable({ protocol })
  const domain = (name: string, removed: boolean) => ({
    domainMetadata: { domain: name, configuration: '{}', removed },
  })
  await table.commit(domain('kept', false), domain('gone', false))
  await table.commit(domain('gone', true))
  await checkpointAlone(table)
  const { domainMetadata } = (await loadTableState(table.store))!
  assert.deepEqual([...domainMetadata.keys()], ['kept'])
})

test('26: a checkpoint keeps table features, and writes no lists on old versions (delta-rs #2288, #2360)', async () => {
  const protocol = {
    minReaderVersion: 3,
    minWriterVersion: 7,
    readerFeatures: ['deletionVectors'],
    writerFeatures: ['deletionVectors', 'appendOnly'],
  }
  const modern = await createTable({ protocol })
  await modern.commit({ add: addOf('a.parquet') })
  await checkpointAlone(modern)
  assert.deepEqual((await loadTableState(modern.store))?.protocol, protocol)
  const old = await createTable()
  await old.commit({ add: addOf('a.parquet') })
  await checkpointAlone(old)
  assert.deepEqual((await loadTableState(old.store))?.protocol, { minReaderVersion: 1, minWriterVersion: 2 })
})

test('27: `_last_checkpoint` counts actions, not bytes (delta-rs #1468)', async () => {
  const table = await createTable()
  await table.commit({ add: addOf('a.parquet') }, { txn: { appId: 'a', version: 1n, lastUpdated: NOW_MS } })
  await writeCheckpoint(table.store, 1, encoder, table.runtime)
  const pointer = JSON.parse(
    new TextDecoder().decode((await table.store.get('_delta_log/_last_checkpoint'))!),
  )
  // protocol, metaData, txn, add
  assert.equal(pointer.size, 4)
  assert.equal(pointer.numOfAddFiles, 1)
})

test('28: an empty or broken `_last_checkpoint` is no failure (trino #22748)', async () => {
  const table = await createTable()
  await table.commit({ add: addOf('a.parquet') })
  await checkpointAlone(table)
  for (const text of ['', '{', 'null', '{"version":99}', '{"version":-1}']) {
    await table.text('_delta_log/_last_checkpoint', text)
    assert.equal((await loadTableState(table.store))?.version, 1, text)
  }
})

test('29: a struct without any column that has bounds makes no empty group (delta-rs #2189, #2622, #3527, #3693; trino #18760)', async () => {
  const schema = struct([
    field('id', primitive('long')),
    field(
      's',
      struct([field('l', array(primitive('long'))), field('t', struct([field('b', primitive('boolean'))]))]),
    ),
  ])
  const table = await createTable({ schema })
  const stats =
    '{"numRecords":1,"minValues":{"id":1},"maxValues":{"id":1},"nullCount":{"id":0,"s":{"l":1,"t":{"b":1}}}}'
  await table.commit({ add: await table.file('a.parquet', [{ id: 1n, s: null }], { stats }, schema) })
  await checkpointAlone(table)
  const { metadata } = await openParquet(table.store, formatCheckpointPath(1))
  const empty = metadata.schema.filter(e => e.type === undefined && (e.num_children ?? 0) === 0)
  assert.deepEqual(empty, [])
  assert.deepEqual(await readAll(table.store), [{ id: 1n, s: null }])
})

test('30: a damaged checkpoint or commit is an error with a name, never a crash (delta-rs #2258, #3297)', async () => {
  const table = await createTable()
  await table.commit({ add: addOf('a.parquet') })
  await checkpointAlone(table)
  const checkpoint = (await table.store.get(formatCheckpointPath(1)))!
  await table.store.put(formatCheckpointPath(1), checkpoint.subarray(0, checkpoint.length >> 1))
  await assert.rejects(loadTableState(table.store), { name: 'DeltaLakeError' })
  const other = await createTable()
  await other.text(formatCommitPath(1), '{"add":{"path":"x"')
  await assert.rejects(loadTableState(other.store), { code: 'DELTA_LOG_CORRUPT', message: /0{19}1\.json/ })
})

test('31: log cleanup keeps what is needed, obeys the retention, and does clean up (delta-rs #2174, #3692, #2180, #2447, #1420; delta #4784, #7205)', async () => {
  const configuration = { 'delta.logRetentionDuration': 'interval 10 days' }
  const table = await createTable({ configuration, ageMs: 30 * DAY_MS })
  for (let i = 0; i < 3; i++) await table.commit({ add: addOf(`${i}.parquet`) })
  await writeCheckpoint(table.store, 2, encoder, table.runtime)
  table.ageMs = 5 * DAY_MS
  await table.commit({ add: addOf('young.parquet') })
  const state = (await loadTableState(table.store))!
  const before = await (await loadSnapshot(table.store))!.allFiles()
  await cleanUpLog(table.store, state, NOW_MS)
  assert.deepEqual(await (await loadSnapshot(table.store))!.allFiles(), before)
  assert.equal(await table.store.head(formatCommitPath(1)), null, 'older than the retention, and covered')
  for (const key of [formatCheckpointPath(2), formatCommitPath(2), formatCommitPath(4)]) {
    assert.notEqual(await table.store.head(key), null, key)
  }
})

test('32: a checksum that is wrong neither blocks nor hides anything (delta #5468, #4408; kernel-rs #2753)', async () => {
  const table = await createTable()
  await table.commit({ add: addOf('a.parquet', 5) })
  for (const text of [
    '',
    '{}',
    '{"tableSizeBytes":1,"numFiles":1,"fileSizeHistogram":{"sortedBinBoundaries":[1]}}',
  ]) {
    await table.text(formatChecksumPath(1), text)
    const state = (await loadTableState(table.store))!
    assert.deepEqual(state.fileTotals, { numFiles: 1, sizeBytes: 5 }, text)
    const open = (await DeltaTable.open(table.store, { runtime: table.runtime }))!
    assert.equal(open.state.version, 1)
  }
  const { metadata, protocol } = (await loadTableState(table.store))!
  const good = JSON.stringify({
    tableSizeBytes: 5,
    numFiles: 1,
    numMetadata: 1,
    numProtocol: 1,
    metadata,
    protocol,
    setTransactions: [],
  })
  await table.text(formatCommitPath(2), 'no JSON')
  await table.text(formatChecksumPath(2), good)
  await assert.rejects(loadTableState(table.store), { code: 'DELTA_LOG_CORRUPT' })
})

test('33: a commit of zero bytes is damage, not an empty commit (kernel-rs #2336, trino #20168)', async () => {
  const table = await createTable()
  await table.text(formatCommitPath(1), '')
  await assert.rejects(loadTableState(table.store), { code: 'DELTA_LOG_CORRUPT' })
})

test('34: staged commits and other folders of the log are no versions (delta #7451)', async () => {
  const table = await createTable()
  const staged = '_delta_log/_staged_commits/00000000000000000001.123e4567-e89b-42d3-a456-426614174000.json'
  await table.text(staged, '{"commitInfo":{}}')
  await table.text('_delta_log/nested/00000000000000000005.json', '{"commitInfo":{}}')
  assert.equal((await loadTableState(table.store))?.version, 0)
})

test('35: a checkpoint is written and read batch by batch (oxbow #30, delta-rs #2628)', async () => {
  const table = await createTable()
  await table.commit(...Array.from({ length: 25 }, (_, i) => ({ add: addOf(`${i}.parquet`) })))
  await writeCheckpoint(table.store, 1, encoder, table.runtime, { fileActionsMax: 10 })
  const { metadata } = await openParquet(table.store, formatCheckpointPath(1))
  assert(metadata.row_groups.every(group => Number(group.num_rows) <= 10))
  const sizes: number[] = []
  for await (const batch of (await loadSnapshot(table.store))!.fileBatches()) sizes.push(batch.length)
  assert.deepEqual([Math.max(...sizes), sizes.reduce((a, b) => a + b)], [10, 25])
})
