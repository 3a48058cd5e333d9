import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  type CommitOutcome,
  createTable as create,
  DeltaTable,
  FaultQueue,
  loadTableState,
  MemoryObjectStore,
  proveConditionalPut,
  readCommit,
  type StoreCall,
  type StoreFault,
} from '@stream-ingest/delta'
import { formatCommit } from '../../src/action-codec.ts'
import { formatCommitPath } from '../../src/log-path.ts'
import { S3ObjectStore } from '../../src/store/s3.ts'
import { FakeS3Server } from '../fake-s3-server.ts'
import { answering, body, withServer } from '../s3-setting.ts'
import {
  appendEvents,
  createEvents,
  damageOnPurpose,
  EVENTS,
  testRuntime,
  uploadEvents,
} from '../table-fixture.ts'
import { metadataOf } from '../table-log.ts'
import { createTable, NOW_MS } from './mistake-table.ts'

const isCommit = (key: string): boolean => /_delta_log\/\d{20}\.json$/.test(key)

function setUp() {
  const faults = new FaultQueue()
  const runtime = testRuntime()
  const calls: StoreCall[] = []
  const store = new MemoryObjectStore({
    now: runtime.now,
    faults: call => {
      calls.push(call)
      return faults.hook(call)
    },
  })
  return { faults, runtime, store, calls }
}

async function appendUnder(
  fault: StoreFault,
): Promise<{ outcome: CommitOutcome; store: MemoryObjectStore; puts: string[] }> {
  const { faults, runtime, store, calls } = setUp()
  const table = await createEvents(store, runtime)
  const files = await uploadEvents(table, [1])
  faults.add('putIfAbsent', fault, isCommit)
  calls.length = 0
  const outcome = await table.append({ ...files, txns: [] })
  const puts = calls
    .filter(({ operation, key }) => operation === 'putIfAbsent' && isCommit(key))
    .map(c => c.key)
  return { outcome, store, puts }
}

suite('commits', () => {
  test('36: of two creators the loser takes the table of the winner (delta-rs #3505, #3513)', async () => {
    const { store, runtime } = setUp()
    const spec = { schema: EVENTS, partitionColumns: ['day'], properties: {} }
    const both = await Promise.all([
      create(store, spec, runtime),
      create(store, spec, testRuntime(undefined, 2)),
    ])
    assert.deepEqual(both.map(({ status }) => status).toSorted(), ['created', 'exists'])
    assert.equal(both[0].state.metadata.id, both[1].state.metadata.id)
    assert.equal(await readCommit(store, 1), null)
  })

  test('37: a commit that landed is reported as one, whatever fails afterwards (delta-rs #268, #2279, #2609; kernel-rs #3070, #2717)', async () => {
    const { outcome, store } = await appendUnder({ kind: 'lost-answer' })
    assert.equal(outcome.status, 'committed')
    assert.equal(await readCommit(store, 2), null, 'made once')
    const { faults, runtime, store: failing } = setUp()
    const table = await createEvents(failing, runtime)
    await appendEvents(table, [1], 'a', 1n)
    faults.add('put', { kind: 'throttled' }).add('putIfAbsent', { kind: 'throttled' })
    const { checksum } = await table.upkeep()
    assert.notEqual(checksum, undefined)
    assert.equal(table.state.version, 1)
  })

  test('38: an answer of “exists” to our own write is a success (trino #27388, #27700, #27701; icechunk #2156)', async () => {
    const { outcome, store } = await appendUnder({ kind: 'own-earlier-write' })
    assert.equal(outcome.status, 'committed')
    assert.equal(await readCommit(store, 2), null)
  })

  test('39: 409 says nothing: the same version is asked for again (arrow-rs-object-store #852)', async () => {
    const { outcome, puts } = await appendUnder({ kind: 'conflict' })
    assert.equal(outcome.status, 'committed')
    assert.deepEqual(puts, [formatCommitPath(1), formatCommitPath(1)])
  })

  test('40: a store that ignores the condition is refused (delta #1830, #3596)', async () => {
    const fake = await FakeS3Server.start({ condition: 'ignore' })
    const store = new S3ObjectStore({
      bucket: 'lake',
      region: 'us-east-1',
      endpoint: fake.endpoint,
      forcePathStyle: true,
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    })
    try {
      let ids = 0
      await assert.rejects(proveConditionalPut(store, { random: () => String(ids++) }), {
        code: 'STORE_NOT_ATOMIC',
      })
    } finally {
      await store.close()
      await fake.close()
    }
  })

  test('41: an overwrite notices appends, an append passes appends, and each winner is read (delta-rs #3622, #1585, #3066)', async () => {
    const { store, runtime, calls } = setUp()
    const ours = await createEvents(store, runtime)
    const stale = (await DeltaTable.open(store, { runtime: testRuntime(undefined, 3) }))!
    const other = (await DeltaTable.open(store, { runtime: testRuntime(undefined, 2) }))!
    for (let i = 1n; i <= 3n; i++) await appendEvents(other, [Number(i)], 'other', i)
    const overwrite = await ours.overwrite({ adds: [], rowCounts: [], txns: [] })
    assert.equal(overwrite.status === 'conflict' && overwrite.reason.kind, 'file-added')
    calls.length = 0
    await appendEvents(stale, [9], 'stale', 1n)
    const read = calls
      .filter(({ operation, key }) => operation === 'get' && isCommit(key))
      .map(({ key }) => key)
    assert.deepEqual(new Set(read), new Set([1, 2, 3, 4].map(formatCommitPath)))
    assert.equal(stale.state.version, 4)
  })

  test('42: each kind of conflict is told by its kind (kernel-rs #2970)', async () => {
    const kinds: string[] = []
    for (const winner of [
      { txn: { appId: 'ours', version: 9n } },
      { protocol: { minReaderVersion: 1, minWriterVersion: 2 } },
      'metadata',
      { metaData: { ...metadataOf(), id: 'another' } },
    ] as const) {
      const { store, runtime } = setUp()
      const table = await createEvents(store, runtime)
      damageOnPurpose(store)
      const action = winner === 'metadata' ? { metaData: { ...table.state.metadata, name: 'x' } } : winner
      await store.put(formatCommitPath(1), formatCommit([{ commitInfo: { txnId: 'w' } }, action]))
      const outcome = await table.append({ adds: [], rowCounts: [], txns: [{ appId: 'ours', version: 1n }] })
      assert(outcome.status === 'conflict')
      kinds.push(outcome.reason.kind)
    }
    assert.deepEqual(kinds, ['txn', 'protocol', 'metadata', 'table-replaced'])
  })

  test('43: whoever appends at once, each commit is there once, in an order of its own (trino #21324, #27805)', async () => {
    const { store, runtime } = setUp()
    await createEvents(store, runtime)
    const writers = await Promise.all(
      Array.from({ length: 6 }, (_, i) => DeltaTable.open(store, { runtime: testRuntime(undefined, i + 2) })),
    )
    await Promise.all(writers.map((table, i) => appendEvents(table!, [i], `app-${i}`, 1n)))
    const state = (await loadTableState(store))!
    assert.equal(state.version, 6)
    assert.equal(state.txns.size, 6)
  })

  test('44: a writer whose progress was moved is told at once, and progress alone can be committed (kafka-delta-ingest #25, #27, #92)', async () => {
    const { store, runtime, calls } = setUp()
    const ours = await createEvents(store, runtime)
    const start = await ours.append({ adds: [], rowCounts: [], txns: [{ appId: 'p:0', version: 40n }] })
    assert.equal(start.status, 'committed')
    const other = (await DeltaTable.open(store, { runtime: testRuntime(undefined, 2) }))!
    await appendEvents(other, [1], 'p:0', 50n)
    calls.length = 0
    const outcome = await ours.append({ adds: [], rowCounts: [], txns: [{ appId: 'p:0', version: 50n }] })
    assert.equal(outcome.status === 'conflict' && outcome.reason.kind, 'txn')
    assert.equal(calls.filter(({ operation }) => operation === 'putIfAbsent').length, 1)
  })

  test('45: the latest txn counts, and only then whether it has expired (kernel-rs #3001)', async () => {
    const table = await createTable({
      configuration: { 'delta.setTransactionRetentionDuration': 'interval 1 days' },
    })
    await table.commit({ txn: { appId: 'a', version: 5n, lastUpdated: NOW_MS } })
    await table.commit({ txn: { appId: 'a', version: 6n, lastUpdated: 1 } })
    const state = (await loadTableState(table.store, { nowMs: NOW_MS }))!
    assert.equal(state.txns.get('a'), undefined, 'the stale version 5 is not what the table holds')
  })

  test('46: a commit has one metaData at most (delta-rs #3785)', () => {
    const metaData = metadataOf()
    assert.throws(() => formatCommit([{ metaData }, { metaData }]), { name: 'AssertionError' })
  })

  test('47: 304 of an old server means that the object is there (delta-rs #3829, MinIO #19442)', () =>
    withServer({ faults: answering('PutObject', 304, 'NotModified') }, async ({ store }) => {
      assert.deepEqual(await store.putIfAbsent('x', body), { status: 'exists' })
    }))
})
