import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Action } from '../src/action.ts'
import { formatAction } from '../src/action-codec.ts'
import { readChecksum, writeChecksum } from '../src/checksum.ts'
import { advanceTableState, initialTableState, loadTableState } from '../src/load-table-state.ts'
import {
  formatChecksumPath,
  formatCommitPath,
  formatV2CheckpointPath,
  LAST_CHECKPOINT_PATH,
} from '../src/log-path.ts'
import { addOf, createTestTable, metadataOf, PROTOCOL, SCHEMA, type TestLog } from './table-log.ts'

const UUID = '123e4567-e89b-42d3-a456-426614174000'

/** A checkpoint of the state at a version, with one live file, and the pointer to it. */
async function putCheckpoint(log: TestLog, version: number, txns: Record<string, bigint>): Promise<void> {
  const actions: Action[] = [
    { checkpointMetadata: { version } },
    { protocol: PROTOCOL },
    { metaData: metadataOf() },
    ...Object.entries(txns).map(([appId, v]) => ({ txn: { appId, version: v, lastUpdated: 1 } })),
    { add: addOf('old.parquet') },
  ]
  await log.put(formatV2CheckpointPath(version, UUID, 'json'), actions.map(formatAction).join('\n'))
  await log.put(LAST_CHECKPOINT_PATH, JSON.stringify({ version, size: actions.length }))
}

test('a place without a table gives null', async () => {
  const log = await createTestTable(-1)
  assert.equal(await loadTableState(log.store), null)
})

test('commits alone give the state and the sums over the files', async () => {
  const { store } = await createTestTable(3)
  const state = await loadTableState(store)
  assert.equal(state?.version, 3)
  assert.deepEqual(state.schema, SCHEMA)
  assert.deepEqual([...state.txns.values()], [{ appId: 'app', version: 30n, lastUpdated: 3 }])
  assert.deepEqual(state.fileTotals, { numFiles: 4, sizeBytes: 400 })
  assert.equal(state.checkpointVersion, null)
})

test('a healthy table of any length opens in four requests', async () => {
  const log = await createTestTable(40)
  await putCheckpoint(log, 30, { app: 300n })
  const at39 = await loadTableState(log.store, { version: 39 })
  await writeChecksum(log.store, { ...at39!, fileTotals: { numFiles: 40, sizeBytes: 4000 } })
  log.calls.length = 0
  const state = await loadTableState(log.store)
  assert.deepEqual(
    log.calls.map(c => `${c.operation} ${c.key}`),
    [
      `get ${LAST_CHECKPOINT_PATH}`,
      'list _delta_log/',
      `get ${formatChecksumPath(39)}`,
      `get ${formatCommitPath(40)}`,
    ],
  )
  assert.equal(state?.version, 40)
  assert.equal(state.txns.get('app')?.version, 400n)
  assert.equal(state.checkpointVersion, 30)
  assert.deepEqual(state.fileTotals, { numFiles: 41, sizeBytes: 4100 })
})

test('a checksum, a checkpoint and the whole log give one state', async () => {
  const log = await createTestTable(12)
  const replayed = await loadTableState(log.store)
  await putCheckpoint(log, 10, { app: 100n })
  const fromCheckpoint = await loadTableState(log.store)
  assert.deepEqual(fromCheckpoint, { ...replayed, checkpointVersion: 10, fileTotals: null })
  assert.equal(await writeChecksum(log.store, replayed!), 'written')
  assert.deepEqual(await loadTableState(log.store), { ...replayed, checkpointVersion: 10 })
})

test('a checksum that does not list the txns, is torn, or is of another commit is passed over', async () => {
  const log = await createTestTable(2)
  const state = (await loadTableState(log.store))!
  await writeChecksum(log.store, state)
  const good = JSON.parse(new TextDecoder().decode((await log.store.get(formatChecksumPath(2)))!))
  const { setTransactions: _, ...withoutTxns } = good
  for (const text of [
    JSON.stringify(withoutTxns),
    '{',
    '',
    JSON.stringify({ ...good, txnId: 'another' }),
    JSON.stringify({ ...good, setTransactions: [] }),
    JSON.stringify({ ...good, numFiles: 'many' }),
  ]) {
    await log.put(formatChecksumPath(2), text)
    assert.deepEqual(await loadTableState(log.store), state, text)
  }
})

test('a damaged newest commit does not hide behind a checksum', async () => {
  const log = await createTestTable(2)
  await writeChecksum(log.store, (await loadTableState(log.store))!)
  await log.put(formatCommitPath(2), '{"commitInfo":{"time')
  await assert.rejects(loadTableState(log.store), { code: 'DELTA_LOG_CORRUPT' })
})

test('a checksum is never overwritten, and never written without certain sums', async () => {
  const log = await createTestTable(2)
  const state = (await loadTableState(log.store))!
  assert.equal(await writeChecksum(log.store, { ...state, fileTotals: null }), 'unknown-totals')
  assert.equal(await readChecksum(log.store, 2), null)
  assert.equal(await writeChecksum(log.store, state), 'written')
  assert.equal(await writeChecksum(log.store, state), 'exists')
})

test('the latest txn wins whatever its version, and expires after that', async () => {
  const log = await createTestTable(1, { 'delta.setTransactionRetentionDuration': 'interval 1 second' })
  await log.commit(2, [
    { commitInfo: {} },
    { txn: { appId: 'app', version: 3n, lastUpdated: 5000 } },
    { txn: { appId: 'stale', version: 9n, lastUpdated: 100 } },
    { txn: { appId: 'undated', version: 9n } },
  ])
  const fresh = await loadTableState(log.store, { nowMs: 5500 })
  assert.deepEqual([...fresh!.txns.values()], [{ appId: 'app', version: 3n, lastUpdated: 5000 }])
  // The older txn of the same app must not come back where the latest has expired.
  assert.equal((await loadTableState(log.store, { nowMs: 6000 }))!.txns.size, 0)
})

test('a removed domain is gone, one that is set again is there', async () => {
  const log = await createTestTable(0)
  const domain = (name: string, removed: boolean): Action => ({
    domainMetadata: { domain: name, configuration: '{}', removed },
  })
  await log.commit(1, [domain('a', false), domain('b', false)])
  await log.commit(2, [domain('a', true)])
  assert.deepEqual([...(await loadTableState(log.store))!.domainMetadata.keys()], ['b'])
  await log.commit(3, [domain('a', false)])
  assert.deepEqual([...(await loadTableState(log.store))!.domainMetadata.keys()].sort(), ['a', 'b'])
})

test('a log without protocol or metadata is refused', async () => {
  for (const [missing, actions] of [
    ['protocol', [{ metaData: metadataOf() }]],
    ['metaData', [{ protocol: PROTOCOL }]],
  ] as const) {
    const log = await createTestTable(-1)
    await log.commit(0, actions)
    await assert.rejects(loadTableState(log.store), {
      code: 'DELTA_LOG_CORRUPT',
      message: new RegExp(`has no \`${missing}\``),
    })
  }
})

test('a reader feature that is not known is refused before anything else is made of it', async () => {
  const log = await createTestTable(
    0,
    {},
    { minReaderVersion: 3, minWriterVersion: 7, readerFeatures: ['odd'], writerFeatures: ['odd'] },
  )
  await assert.rejects(loadTableState(log.store), { code: 'DELTA_PROTOCOL_UNSUPPORTED', message: /`odd`/ })
})

test('advancing a state commit by commit is the same as replaying the log', async () => {
  const ict = { 'delta.enableInCommitTimestamps': 'true' }
  const commits: Action[][] = [
    [{ commitInfo: { inCommitTimestamp: 1000 } }, { protocol: PROTOCOL }, { metaData: metadataOf(ict) }],
    [{ commitInfo: { inCommitTimestamp: 1001 } }, { txn: { appId: 'a', version: 1n } }, { add: addOf('x') }],
    [
      { commitInfo: { inCommitTimestamp: 1002 } },
      { domainMetadata: { domain: 'd', configuration: '1', removed: false } },
      { add: addOf('y') },
    ],
    [
      { commitInfo: { inCommitTimestamp: 1003 } },
      { remove: { path: 'x', dataChange: true, size: 100 } },
      { domainMetadata: { domain: 'd', configuration: '1', removed: true } },
    ],
    [
      { commitInfo: { inCommitTimestamp: 1004 } },
      { txn: { appId: 'a', version: 0n } },
      { metaData: { ...metadataOf(ict), name: 'n' } },
    ],
  ]
  const log = await createTestTable(-1)
  let state = initialTableState()
  for (const [version, actions] of commits.entries()) {
    await log.commit(version, actions)
    state = advanceTableState(state, version, actions)
    assert.deepEqual(state, await loadTableState(log.store))
  }
  assert.equal(state.inCommitTimestampMs, 1004)
  assert.deepEqual(state.fileTotals, { numFiles: 1, sizeBytes: 100 })
  assert.throws(() => advanceTableState(state, 7, []), assert.AssertionError)
})

test('sums that are not certain any more are unknown', async () => {
  const log = await createTestTable(0)
  const state = (await loadTableState(log.store))!
  const after = (actions: Action[]) => advanceTableState(state, 1, actions).fileTotals
  assert.equal(after([{ remove: { path: 'f0.parquet', dataChange: true } }]), null)
  assert.equal(after([{ add: { ...addOf('f0.parquet'), dataChange: false } }]), null)
  assert.deepEqual(
    after([
      { remove: { path: 'f0.parquet', dataChange: false, size: 100 } },
      { add: { ...addOf('g', 90), dataChange: false } },
    ]),
    { numFiles: 1, sizeBytes: 90 },
  )
})
