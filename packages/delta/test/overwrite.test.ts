import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  type Action,
  DeltaTable,
  formatCommit,
  loadSnapshot,
  MemoryObjectStore,
  OVERWRITE_REMOVES_MAX,
  readCommit,
} from '@stream-ingest/delta'
import { formatCommitPath } from '../src/log-path.ts'
import {
  appendEvents,
  createEvents,
  damageOnPurpose,
  encoder,
  testRuntime,
  uploadEvents,
} from './table-fixture.ts'

function setUp() {
  const runtime = testRuntime()
  return { runtime, store: new MemoryObjectStore({ now: runtime.now }) }
}

const livePaths = async (store: MemoryObjectStore): Promise<string[]> =>
  (await (await loadSnapshot(store))!.allFiles()).map(add => add.path).sort()

const kinds = (actions: readonly Action[]): (string | undefined)[] => actions.map(a => Object.keys(a)[0])

suite('an overwrite', () => {
  test('puts its files in the place of all others, checkpointed ones included, in one commit', async () => {
    const { store, runtime } = setUp()
    const table = await createEvents(store, runtime, { 'delta.checkpointInterval': '2' })
    for (let i = 1; i <= 3; i++) {
      await appendEvents(table, [i], 'p:0', BigInt(i))
      await table.upkeep(encoder)
    }
    assert.notEqual(table.state.checkpointVersion, null)
    const files = await uploadEvents(table, [7, 8])
    const outcome = await table.overwrite({ ...files, txns: [{ appId: 'p:0', version: 9n, lastUpdated: 1 }] })
    assert(outcome.status === 'committed')
    assert.deepEqual(await livePaths(store), [files.adds[0]!.path])
    const commit = (await readCommit(store, 4))!
    assert.deepEqual(kinds(commit), ['commitInfo', 'txn', 'remove', 'remove', 'remove', 'add'])
    assert('commitInfo' in commit[0]!)
    const { operation, operationParameters, isBlindAppend } = commit[0].commitInfo
    assert.deepEqual([operation, isBlindAppend], ['WRITE', false])
    assert.deepEqual(operationParameters, { mode: 'Overwrite', partitionBy: '["day"]' })
    assert.deepEqual(outcome.state.fileTotals, { numFiles: 1, sizeBytes: files.adds[0]!.size })
  })

  test('of nothing by nothing is a commit too', async () => {
    const { store, runtime } = setUp()
    const table = await createEvents(store, runtime)
    const outcome = await table.overwrite({ adds: [], rowCounts: [], txns: [] })
    assert.equal(outcome.status, 'committed')
    assert.deepEqual(await livePaths(store), [])
  })

  test('gives way to whoever added a file meanwhile, and takes that one out too when it tries again', async () => {
    const { store, runtime } = setUp()
    const table = await createEvents(store, runtime)
    const other = (await DeltaTable.open(store, { runtime: testRuntime(undefined, 2) }))!
    await appendEvents(other, [1], 'o:0', 1n)
    const files = await uploadEvents(table, [7])
    const outcome = await table.overwrite({ ...files, txns: [] })
    assert(outcome.status === 'conflict')
    assert.equal(outcome.reason.kind, 'file-added')
    await table.reload()
    assert.equal((await table.overwrite({ ...files, txns: [] })).status, 'committed')
    assert.deepEqual(await livePaths(store), [files.adds[0]!.path])
  })

  test('gives way to another overwrite', async () => {
    const { store, runtime } = setUp()
    const table = await createEvents(store, runtime)
    await appendEvents(table, [1], 'p:0', 1n)
    const other = (await DeltaTable.open(store, { runtime: testRuntime(undefined, 2) }))!
    await other.overwrite({ adds: [], rowCounts: [], txns: [] })
    const outcome = await table.overwrite({ ...(await uploadEvents(table, [7])), txns: [] })
    assert.equal(outcome.status === 'conflict' && outcome.reason.kind, 'file-removed')
  })

  test('is fenced by a winner that moved its txn, before anything else', async () => {
    const { store, runtime } = setUp()
    const table = await createEvents(store, runtime)
    const other = (await DeltaTable.open(store, { runtime: testRuntime(undefined, 2) }))!
    await appendEvents(other, [1], 'p:0', 1n)
    const files = await uploadEvents(table, [7])
    const outcome = await table.overwrite({ ...files, txns: [{ appId: 'p:0', version: 1n }] })
    assert.equal(outcome.status === 'conflict' && outcome.reason.kind, 'txn')
  })

  test('looks at the newest version where the log holds its own no more', async () => {
    const { store, runtime } = setUp()
    const table = await createEvents(store, runtime, { 'delta.checkpointInterval': '3' })
    const other = (await DeltaTable.open(store, { runtime: testRuntime(undefined, 2) }))!
    for (let i = 1; i <= 4; i++) {
      await appendEvents(other, [i], 'o:0', BigInt(i))
      await other.upkeep(encoder)
    }
    await store.delete([0, 1, 2].map(formatCommitPath))
    const files = await uploadEvents(table, [7])
    const outcome = await table.overwrite({ ...files, txns: [] })
    assert.deepEqual(outcome, {
      status: 'conflict',
      winner: 1,
      reason: { kind: 'log-cleaned', version: 0 },
    })
    await table.reload()
    assert.equal((await table.overwrite({ ...files, txns: [] })).status, 'committed')
    assert.deepEqual(await livePaths(store), [files.adds[0]!.path])
  })

  test('is refused by a table that may only grow', async () => {
    const { store, runtime } = setUp()
    const table = await createEvents(store, runtime, { 'delta.appendOnly': 'true' })
    await appendEvents(table, [1], 'p:0', 1n)
    await assert.rejects(table.overwrite({ adds: [], rowCounts: [], txns: [] }), {
      code: 'DELTA_TABLE_APPEND_ONLY',
    })
    assert.equal((await livePaths(store)).length, 1)
  })

  test('of more files than one commit can take out is refused', async () => {
    const { store, runtime } = setUp()
    const table = await createEvents(store, runtime)
    damageOnPurpose(store)
    const partitionValues = { day: null }
    const add = { partitionValues, size: 1, modificationTime: 1, dataChange: true }
    const adds = Array.from({ length: OVERWRITE_REMOVES_MAX + 1 }, (_, i) => ({
      add: { path: `f${i}`, ...add },
    }))
    await store.putIfAbsent(formatCommitPath(1), formatCommit([{ commitInfo: {} }, ...adds]))
    await table.reload()
    await assert.rejects(table.overwrite({ adds: [], rowCounts: [], txns: [] }), {
      code: 'DELTA_TABLE_TOO_LARGE',
    })
  })
})
