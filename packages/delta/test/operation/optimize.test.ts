import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  type Add,
  DeltaTable,
  FaultQueue,
  InjectedCrash,
  loadSnapshot,
  MemoryObjectStore,
  optimizeTable,
  parseStatistics,
  readCommit,
  type StoreCall,
  scanTable,
  vacuumTable,
} from '@stream-ingest/delta'
import { formatCommit } from '../../src/action-codec.ts'
import { formatCommitPath } from '../../src/log-path.ts'
import { fileTree } from '../../src/parquet/file-schema.ts'
import { openParquet } from '../../src/parquet/parquet-reader.ts'
import { createReaders, openRowGroup } from '../../src/parquet/value-reader.ts'
import { field, primitive } from '../../src/schema.ts'
import { removeOf } from '../../src/tombstone.ts'
import { inlineDeletionVector } from '../simulation/inline-deletion-vector.ts'
import { createEvents, testRuntime, uploadEvents } from '../table-fixture.ts'

const TRACKED = { 'delta.enableRowTracking': 'true' }

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

/** A file of each list. */
async function append(table: DeltaTable, ...files: (readonly number[])[]): Promise<Add[]> {
  const all: Add[] = []
  for (const ids of files) {
    const { adds, rowCounts } = await uploadEvents(table, ids)
    assert.equal((await table.append({ adds, rowCounts, txns: [] })).status, 'committed')
    all.push(...adds)
  }
  return all
}

async function idsOf(store: MemoryObjectStore): Promise<number[]> {
  const ids: number[] = []
  for await (const batch of scanTable((await loadSnapshot(store))!))
    for (const row of batch) ids.push(Number(row.id))
  return ids.toSorted((a, b) => a - b)
}

async function filesOf(store: MemoryObjectStore): Promise<Add[]> {
  return (await loadSnapshot(store))!.allFiles()
}

/** Deletes rows of a file as another engine does, by a deletion vector. */
async function deleteRows(store: MemoryObjectStore, add: Add, rows: readonly number[]): Promise<void> {
  const { version } = (await loadSnapshot(store))!
  const statistics = parseStatistics(add.stats!)!
  const again: Add = {
    ...add,
    dataChange: true,
    deletionVector: inlineDeletionVector(rows),
    stats: JSON.stringify({ numRecords: statistics.numRecords, tightBounds: false }),
  }
  const body = formatCommit([
    { commitInfo: { operation: 'DELETE', txnId: `delete-${version}` } },
    { remove: removeOf(add, 1, true) },
    { add: again },
  ])
  assert.equal((await store.putIfAbsent(formatCommitPath(version + 1), body)).status, 'created')
}

suite('a compaction', () => {
  test('is one commit that only rearranges rows, under a snapshot', async () => {
    const { store, runtime } = setUp()
    const table = await createEvents(store, runtime)
    const inputs = await append(table, [1, 2], [3], [4, 5, 6])
    const result = await optimizeTable(store, { runtime })
    assert.deepEqual(
      [result.version, result.commits, result.filesRemoved, result.filesAdded, result.rowsRewritten],
      [4, 1, 3, 1, 6],
    )
    const [first, ...actions] = (await readCommit(store, 4))!
    assert(first !== undefined && 'commitInfo' in first)
    const { operation, isBlindAppend, isolationLevel, operationMetrics } = first.commitInfo
    assert.deepEqual([operation, isBlindAppend, isolationLevel], ['OPTIMIZE', false, 'SnapshotIsolation'])
    assert.deepEqual([operationMetrics?.numRemovedFiles, operationMetrics?.numAddedFiles], ['3', '1'])
    const removes = actions.flatMap(a => ('remove' in a ? [a.remove] : []))
    const adds = actions.flatMap(a => ('add' in a ? [a.add] : []))
    assert.deepEqual(removes.map(r => r.path).toSorted(), inputs.map(a => a.path).toSorted())
    assert([...removes, ...adds].every(a => a.dataChange === false))
    assert(removes.every(r => r.extendedFileMetadata === true && r.stats !== undefined))
    assert.deepEqual(parseStatistics(adds[0]!.stats!), {
      numRecords: 6,
      minValues: { id: 1, name: 'name 1' },
      maxValues: { id: 6, name: 'name 5' },
      nullCount: { id: 0, name: 2 },
    })
    assert.deepEqual(await idsOf(store), [1, 2, 3, 4, 5, 6])
    assert.equal((await optimizeTable(store, { runtime })).commits, 0, 'there is nothing left to do')
  })

  test('writes nothing in a dry run', async () => {
    const { store, runtime, calls } = setUp()
    const table = await createEvents(store, runtime)
    await append(table, [1], [2])
    calls.length = 0
    const { filesRemoved, filesAdded, commits } = await optimizeTable(store, { runtime, dryRun: true })
    assert.deepEqual([filesRemoved, filesAdded, commits], [2, 1, 0])
    assert.deepEqual(
      calls.filter(({ operation }) => !['get', 'head', 'list'].includes(operation)),
      [],
    )
  })

  test('applies deletion vectors, and drops a file of which nothing is left', async () => {
    const { store, runtime } = setUp()
    const properties = { 'delta.enableDeletionVectors': 'true' }
    const table = await createEvents(store, runtime, properties)
    const [half, whole] = await append(table, [1, 2, 3, 4], [5, 6], [7])
    await deleteRows(store, half!, [0, 2])
    await deleteRows(store, whole!, [0, 1])
    const { deletionVectorsRemoved, rowsRewritten } = await optimizeTable(store, { runtime })
    assert.deepEqual([deletionVectorsRemoved, rowsRewritten], [2, 3])
    assert.deepEqual(await idsOf(store), [2, 4, 7])
    const [file] = await filesOf(store)
    assert.equal(file?.deletionVector, undefined)
    assert.equal(parseStatistics(file!.stats!)?.tightBounds, true)
    await deleteRows(store, file!, [0, 1, 2])
    assert.equal((await optimizeTable(store, { runtime })).filesAdded, 0)
    assert.deepEqual(await filesOf(store), [])
  })

  test('keeps the ids of rows that it moves, once and again', async () => {
    const { store, runtime } = setUp()
    const table = await createEvents(store, runtime, TRACKED)
    await append(table, [10, 11, 12], [20, 21])
    const idsBefore = await rowIdsOf(store)
    assert.deepEqual(
      idsBefore,
      new Map([
        [10, '0 1'],
        [11, '1 1'],
        [12, '2 1'],
        [20, '3 2'],
        [21, '4 2'],
      ]),
    )
    await optimizeTable(store, { runtime })
    assert.deepEqual(await rowIdsOf(store), idsBefore)
    const [first] = (await readCommit(store, 3))!
    assert(first !== undefined && 'commitInfo' in first)
    assert.deepEqual(first.commitInfo.tags, { 'delta.rowTracking.preserved': 'true' })
    await table.reload()
    await append(table, [30])
    const more = await rowIdsOf(store)
    await optimizeTable(store, { runtime })
    assert.deepEqual(await rowIdsOf(store), more)
    assert.equal((await filesOf(store)).length, 1)
  })

  test('never stands in the way of appends, nor they in its', async () => {
    const { store, runtime, faults } = setUp()
    const table = await createEvents(store, runtime)
    await append(table, [1], [2])
    const other = (await DeltaTable.open(store, { runtime: testRuntime(undefined, 2) }))!
    // The append comes between the compaction's plan and its commit.
    faults.add('put', { kind: 'slow', delayMs: 5 }, key => key.endsWith('.parquet'))
    const [result] = await Promise.all([optimizeTable(store, { runtime }), append(other, [3])])
    assert.deepEqual([result.commits, result.conflicts], [1, 0])
    assert.deepEqual(await idsOf(store), [1, 2, 3])
  })

  test('leaves out what another writer changes meanwhile, and commits the rest', async () => {
    const { store, runtime, faults } = setUp()
    const table = await createEvents(store, runtime, { 'delta.enableDeletionVectors': 'true' })
    const inputs = await append(table, [1, 2], [3], [4, 5], [6])
    // Two bins, by size; the second file's rows are deleted once both are written.
    const sizes = inputs.map(({ size }) => size).toSorted((a, b) => a - b)
    const target = sizes[2]! + sizes[3]!
    let uploads = 0
    const done = new Promise<void>(resolve => {
      faults.add('putIfAbsent', { kind: 'slow', delayMs: 1 }, key => {
        if (!/\d{20}\.json$/.test(key)) return false
        resolve()
        return true
      })
    })
    const optimizing = optimizeTable(store, {
      runtime,
      targetFileSizeBytes: target,
      minFileSizeBytes: 1e9,
      progressed: () => uploads++,
    })
    await done
    await deleteRows(store, inputs[0]!, [1])
    const result = await optimizing
    assert.equal(uploads, 2)
    assert.equal(result.conflicts, 1)
    assert.deepEqual([result.commits, result.filesRemoved], [1, 2])
    assert.deepEqual(await idsOf(store), [1, 3, 4, 5, 6])
  })

  test('plans anew where the schema changes underneath', async () => {
    const { store, runtime, faults } = setUp()
    const table = await createEvents(store, runtime)
    await append(table, [1], [2])
    const { metadata } = table.state
    const winner = formatCommit([
      { commitInfo: { operation: 'SET TBLPROPERTIES', txnId: 'other' } },
      { metaData: { ...metadata, configuration: { 'delta.checkpointInterval': '50' } } },
    ])
    let raced = false
    faults.add('putIfAbsent', { kind: 'slow', delayMs: 1 }, key => key === formatCommitPath(3) && !raced)
    const racing = (async () => {
      const optimizing = optimizeTable(store, {
        runtime,
        progressed: () => {
          if (raced) return
          raced = true
          void store.putIfAbsent(formatCommitPath(3), winner)
        },
      })
      return optimizing
    })()
    const result = await racing
    assert.deepEqual([result.conflicts, result.commits, result.version], [1, 1, 4])
    assert.deepEqual(await idsOf(store), [1, 2])
  })

  test('killed at any write leaves the table whole, and files that VACUUM removes', async () => {
    for (let write = 0; ; write++) {
      const { store, runtime } = setUp()
      const table = await createEvents(store, runtime)
      await append(table, [1], [2], [3])
      let seen = 0
      let isArmed = false
      const dying = new MemoryObjectStore({
        now: runtime.now,
        faults: ({ operation }) => {
          const isWrite = operation === 'put' || operation === 'putIfAbsent'
          return isArmed && isWrite && seen++ === write ? { kind: 'crash', moment: 'after' } : undefined
        },
      })
      for await (const { key } of store.list('')) await dying.put(key, (await store.get(key))!)
      isArmed = true
      let crashed = false
      try {
        await optimizeTable(dying, { runtime })
      } catch (error) {
        assert(error instanceof InjectedCrash)
        crashed = true
      }
      assert.deepEqual(await idsOf(dying), [1, 2, 3])
      await optimizeTable(dying, { runtime })
      assert.equal((await filesOf(dying)).length, 1)
      const later = { ...runtime, now: () => runtime.now() + 30 * 86_400_000 }
      await vacuumTable(dying, { runtime: later })
      assert.deepEqual(await idsOf(dying), [1, 2, 3])
      if (!crashed) {
        assert(write >= 2, 'a compaction writes a file and a commit at least')
        return
      }
    }
  })

  test('refuses a table that it must not write, naming the feature', async () => {
    const { store, runtime } = setUp()
    const table = await createEvents(store, runtime)
    await append(table, [1], [2])
    const { metadata } = table.state
    const body = formatCommit([
      { commitInfo: { txnId: 'other' } },
      { metaData: { ...metadata, configuration: { 'delta.constraints.c': 'id > 0' } } },
    ])
    await store.putIfAbsent(formatCommitPath(3), body)
    await assert.rejects(optimizeTable(store, { runtime }), /`checkConstraints`/)
    await assert.rejects(optimizeTable(new MemoryObjectStore()), { code: 'DELTA_TABLE_NOT_FOUND' })
  })
})

/** By `id`: row id and commit version, as a reader of them finds them. */
async function rowIdsOf(store: MemoryObjectStore): Promise<Map<number, string>> {
  const snapshot = (await loadSnapshot(store))!
  const { configuration } = snapshot.state.metadata
  const fields = [
    field('id', primitive('long')),
    ...['RowId', 'RowCommitVersion'].map(what =>
      field(configuration[`delta.rowTracking.materialized${what}ColumnName`]!, primitive('long')),
    ),
  ]
  const ids = new Map<number, string>()
  for await (const add of snapshot.files()) {
    const file = await openParquet(store, add.path)
    const { columns, leaves } = createReaders(fields, fileTree(file.metadata.schema), 'none')
    await openRowGroup(file, 0, leaves)
    for (let row = 0; row < file.rowCount; row++) {
      const [id, rowId, version] = columns.map(column => column?.read() ?? null)
      ids.set(
        Number(id),
        `${rowId ?? add.baseRowId! + BigInt(row)} ${version ?? add.defaultRowCommitVersion}`,
      )
    }
  }
  return new Map([...ids].toSorted(([a], [b]) => a - b))
}
