import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  DeltaLakeError,
  DeltaTable,
  FaultQueue,
  loadSnapshot,
  MemoryObjectStore,
  readCommit,
} from '@stream-ingest/delta'
import { formatCommit } from '../src/action-codec.ts'
import { formatCommitPath } from '../src/log-path.ts'
import { COMMIT_STALE_AFTER_MS } from '../src/transaction.ts'
import {
  appendEvents,
  createEvents,
  damageOnPurpose,
  encoder,
  testRuntime,
  uploadEvents,
} from './table-fixture.ts'

const isCommit = (key: string): boolean => /_delta_log\/\d{20}\.json$/.test(key)

function setUp() {
  const faults = new FaultQueue()
  const runtime = testRuntime()
  return { faults, runtime, store: new MemoryObjectStore({ faults: faults.hook, now: runtime.now }) }
}

suite('an append', () => {
  test('carries files and progress in one commit, commitInfo first', async () => {
    const { store, runtime } = setUp()
    const table = await createEvents(store, runtime)
    await appendEvents(table, [1, 2, 3], 'p:0', 3n)
    const [info, ...rest] = (await readCommit(store, 1))!
    assert(info !== undefined && 'commitInfo' in info)
    assert.equal(info.commitInfo.isBlindAppend, true)
    assert.equal(info.commitInfo.readVersion, 0)
    assert.deepEqual(
      rest.map(a => Object.keys(a)[0]),
      ['txn', 'add'],
    )
    assert.equal(table.state.txns.get('p:0')?.version, 3n)
  })

  test('goes on top of an unrelated winner', async () => {
    const { store, runtime } = setUp()
    const ours = await createEvents(store, runtime)
    const other = (await DeltaTable.open(store, { runtime: testRuntime(undefined, 2) }))!
    await appendEvents(other, [1], 'other:0', 1n)
    await appendEvents(ours, [2], 'ours:0', 1n)
    assert.equal(ours.state.version, 2)
    assert.deepEqual([...ours.state.txns.keys()].sort(), ['other:0', 'ours:0'])
    const info = (await readCommit(store, 2))!.find(a => 'commitInfo' in a)
    assert.equal(info?.commitInfo.readVersion, 0, 'the version that was read stays the original one')
  })

  test('is fenced by a winner that moved one of its txns', async () => {
    const { store, runtime } = setUp()
    const ours = await createEvents(store, runtime)
    const other = (await DeltaTable.open(store, { runtime: testRuntime(undefined, 2) }))!
    await appendEvents(other, [1], 'p:0', 1n)
    const files = await uploadEvents(ours, [1])
    const outcome = await ours.append({ ...files, txns: [{ appId: 'p:0', version: 1n }] })
    assert.deepEqual(outcome, {
      status: 'conflict',
      winner: 1,
      reason: { kind: 'txn', appId: 'p:0', version: 1n },
    })
    assert.equal(await readCommit(store, 2), null, 'nothing of the fenced writer is in the log')
  })

  test('is fenced by a winner several versions on', async () => {
    const { store, runtime } = setUp()
    const ours = await createEvents(store, runtime)
    const other = (await DeltaTable.open(store, { runtime: testRuntime(undefined, 2) }))!
    for (const [i, app] of ['a', 'b', 'p:0', 'c'].entries()) await appendEvents(other, [i], app, 1n)
    const files = await uploadEvents(ours, [9])
    const outcome = await ours.append({ ...files, txns: [{ appId: 'p:0', version: 1n }] })
    assert.equal(outcome.status === 'conflict' && outcome.winner, 3)
  })

  test('is fenced by an app id that it only read', async () => {
    const { store, runtime } = setUp()
    const ours = await createEvents(store, runtime)
    const other = (await DeltaTable.open(store, { runtime: testRuntime(undefined, 2) }))!
    await appendEvents(other, [1], 'read:0', 1n)
    const files = await uploadEvents(ours, [9])
    const outcome = await ours.append({ ...files, txns: [], readAppIds: ['read:0'] })
    assert.equal(outcome.status, 'conflict')
  })

  for (const [reason, action] of [
    ['metadata', 'metaData'],
    ['protocol', 'protocol'],
  ] as const) {
    test(`gives way to a winner that changed the ${reason}`, async () => {
      const { store, runtime } = setUp()
      const ours = await createEvents(store, runtime)
      const { metadata, protocol } = ours.state
      const body = action === 'metaData' ? { metaData: { ...metadata, description: 'new' } } : { protocol }
      await store.putIfAbsent(formatCommitPath(1), formatCommit([{ commitInfo: { txnId: 'other' } }, body]))
      const files = await uploadEvents(ours, [9])
      const outcome = await ours.append({ ...files, txns: [] })
      assert.deepEqual(outcome, { status: 'conflict', winner: 1, reason: { kind: reason } })
    })
  }

  test('stops at a winner that makes it another table', async () => {
    const { store, runtime } = setUp()
    const ours = await createEvents(store, runtime)
    damageOnPurpose(store)
    const metaData = { ...ours.state.metadata, id: 'another' }
    await store.putIfAbsent(
      formatCommitPath(1),
      formatCommit([{ commitInfo: { txnId: 'other' } }, { metaData }]),
    )
    const outcome = await ours.append({ ...(await uploadEvents(ours, [9])), txns: [] })
    assert.deepEqual(outcome.status === 'conflict' && outcome.reason, {
      kind: 'table-replaced',
      tableId: 'another',
    })
    await assert.rejects(ours.reload(), { code: 'DELTA_TABLE_CHANGED' })
  })
})

suite('an ambiguous answer to the commit', () => {
  for (const kind of ['lost-answer', 'timeout', 'throttled', 'conflict', 'own-earlier-write'] as const) {
    test(`${kind}: the commit is there once, and is known to be ours`, async () => {
      const { store, runtime, faults } = setUp()
      const table = await createEvents(store, runtime)
      faults.add('putIfAbsent', { kind }, isCommit)
      await appendEvents(table, [1, 2], 'p:0', 2n)
      assert.equal(faults.pendingCount, 0)
      assert.equal(table.state.version, 1)
      assert.equal(await readCommit(store, 2), null)
      assert.equal((await (await loadSnapshot(store))!.allFiles()).length, 1)
    })
  }

  test('a request that arrives late takes the version that we then find to be ours', async () => {
    const { store, runtime, faults } = setUp()
    const table = await createEvents(store, runtime)
    faults.add('putIfAbsent', { kind: 'late-write' }, isCommit)
    const { delay } = runtime
    runtime.delay = async ms => {
      store.deliverLateWrites()
      await delay(ms)
    }
    await appendEvents(table, [1], 'p:0', 1n)
    assert.equal(table.state.version, 1)
    assert.equal(await readCommit(store, 2), null)
  })

  test('never goes to the next version while the one before is unknown, and ends in DELTA_COMMIT_UNKNOWN', async () => {
    const runtime = testRuntime()
    const attempted: number[] = []
    let down = false
    const store = new MemoryObjectStore({
      now: runtime.now,
      faults: ({ operation, key }) =>
        down && operation === 'putIfAbsent' && isCommit(key) ? { kind: 'timeout' } : undefined,
    })
    const table = await createEvents(store, runtime)
    down = true
    const files = await uploadEvents(table, [1])
    await assert.rejects(
      table.append({ ...files, txns: [] }, { attempted: version => attempted.push(version) }),
      (error: unknown) =>
        error instanceof DeltaLakeError && error.code === 'DELTA_COMMIT_UNKNOWN' && error.retryable,
    )
    assert.deepEqual(attempted, [1])
  })

  test('a winner in the meantime fences a commit whose first answer was a timeout', async () => {
    const { store, runtime, faults } = setUp()
    const ours = await createEvents(store, runtime)
    const other = (await DeltaTable.open(store, { runtime: testRuntime(undefined, 2) }))!
    const files = await uploadEvents(ours, [1])
    faults.add('putIfAbsent', { kind: 'timeout' }, isCommit)
    const { delay } = runtime
    runtime.delay = async () => {
      runtime.delay = delay
      await appendEvents(other, [1], 'p:0', 1n)
    }
    const outcome = await ours.append({ ...files, txns: [{ appId: 'p:0', version: 1n }] })
    assert.equal(outcome.status, 'conflict')
  })
})

test('of writers that append at once each commits once, at a version of its own', async () => {
  const { store, runtime } = setUp()
  await createEvents(store, runtime)
  const writers = await Promise.all(
    Array.from(
      { length: 8 },
      async (_, i) => (await DeltaTable.open(store, { runtime: testRuntime(undefined, 10 + i) }))!,
    ),
  )
  await Promise.all(
    writers.map(async (writer, w) => {
      for (let i = 0; i < 5; i++) await appendEvents(writer, [w * 10 + i], `w${w}`, BigInt(i + 1))
    }),
  )
  const snapshot = (await loadSnapshot(store))!
  assert.equal(snapshot.version, 40)
  assert.equal((await snapshot.allFiles()).length, 40)
  assert.deepEqual(
    [...snapshot.state.txns.values()].map(t => t.version),
    Array(8).fill(5n),
  )
})

test('a version below a checkpoint that others made while we slept is no commit of ours', async () => {
  const { store, runtime } = setUp()
  const ours = await createEvents(store, runtime)
  const files = await uploadEvents(ours, [99])
  const other = (await DeltaTable.open(store, { runtime: testRuntime(undefined, 2) }))!
  for (let i = 1; i <= 12; i++) {
    await appendEvents(other, [i], 'other:0', BigInt(i))
    await other.upkeep(encoder)
  }
  // The commit at a version that was cleaned away stays behind, with a gap above it.
  damageOnPurpose(store)
  // Log cleanup has removed what the checkpoint covers.
  await store.delete(Array.from({ length: 10 }, (_, i) => formatCommitPath(i)))
  await runtime.delay(COMMIT_STALE_AFTER_MS + 1)
  const outcome = await ours.append({ ...files, txns: [{ appId: 'ours:0', version: 1n }] })
  assert.deepEqual(outcome, { status: 'conflict', winner: 1, reason: { kind: 'log-cleaned', version: 1 } })
  assert.equal((await DeltaTable.open(store))!.state.txns.has('ours:0'), false)
})

test('a writer that slept keeps its commit although others commit on top of it before it looks', async () => {
  const { store, runtime, faults } = setUp()
  const ours = await createEvents(store, runtime)
  const other = (await DeltaTable.open(store, { runtime: testRuntime(undefined, 2) }))!
  const files = await uploadEvents(ours, [1])
  await runtime.delay(COMMIT_STALE_AFTER_MS + 1)
  // The other one's turn comes between our put and our look at the log.
  const look = formatCommitPath(0)
  faults.add('head', { kind: 'slow', delayMs: 1 }, key => key === look)
  const [outcome] = await Promise.all([
    ours.append({ ...files, txns: [{ appId: 'ours:0', version: 1n }] }),
    appendEvents(other, [2], 'other:0', 1n),
  ])
  assert.equal(outcome.status, 'committed')
  assert.equal((await DeltaTable.open(store))!.state.version, 2)
  assert.equal(faults.pendingCount, 0)
})

suite('a table with in-commit timestamps and row tracking', () => {
  test('gets timestamps that grow although the clock stands still', async () => {
    const { store, runtime } = setUp()
    const table = await createEvents(store, runtime, { 'delta.enableInCommitTimestamps': 'true' })
    const first = table.state.inCommitTimestampMs!
    await appendEvents(table, [1], 'a', 1n)
    await appendEvents(table, [2], 'a', 2n)
    assert.equal(table.state.inCommitTimestampMs, first + 2)
    const other = (await DeltaTable.open(store, { runtime: testRuntime(undefined, 2) }))!
    assert.equal(other.state.inCommitTimestampMs, first + 2)
  })

  test('gets row ids anew after a lost race, without overlap', async () => {
    const { store, runtime } = setUp()
    const created = await createEvents(store, runtime)
    const { metadata } = created.state
    await store.delete([formatCommitPath(0), '_delta_log/00000000000000000000.crc'])
    const protocol = {
      minReaderVersion: 1,
      minWriterVersion: 7,
      writerFeatures: ['rowTracking', 'domainMetadata', 'appendOnly', 'invariants'],
    }
    await store.putIfAbsent(
      formatCommitPath(0),
      formatCommit([{ commitInfo: { txnId: 'x' } }, { protocol }, { metaData: metadata }]),
    )
    const ours = (await DeltaTable.open(store, { runtime }))!
    const other = (await DeltaTable.open(store, { runtime: testRuntime(undefined, 2) }))!
    await appendEvents(other, [1, 2, 3], 'b', 1n)
    await appendEvents(ours, [4, 5], 'a', 1n)
    const files = await (await loadSnapshot(store))!.allFiles()
    assert.deepEqual(
      files.map(f => [f.baseRowId, f.defaultRowCommitVersion]),
      [
        [0n, 1],
        [3n, 2],
      ],
    )
    assert.equal(
      ours.state.domainMetadata.get('delta.rowTracking')?.configuration,
      '{"rowIdHighWaterMark":4}',
    )
  })
})
