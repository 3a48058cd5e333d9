import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  DeltaTable,
  FaultQueue,
  loadSnapshot,
  MemoryObjectStore,
  type ObjectStore,
} from '@stream-ingest/delta'
import { readLastCheckpoint } from '../src/last-checkpoint.ts'
import { formatCommitPath } from '../src/log-path.ts'
import { columnPaths } from './parquet/plain-file.ts'
import { appendEvents, createEvents, encoder, testRuntime } from './table-fixture.ts'

const CHECKPOINT_10 = '_delta_log/00000000000000000010.checkpoint.parquet'

async function tableOf(store: ObjectStore, commits: number, from = 1): Promise<DeltaTable> {
  const table = await createEvents(store, testRuntime())
  for (let i = from; i <= commits; i++) {
    await appendEvents(table, [i], 'p:0', BigInt(i))
    await table.upkeep(encoder)
  }
  return table
}

async function keysOf(store: ObjectStore, pattern: RegExp): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of store.list('_delta_log/')) if (pattern.test(key)) keys.push(key)
  return keys
}

suite('a checkpoint', () => {
  test('is written at the interval and read back to the same state without the commits below it', async () => {
    const store = new MemoryObjectStore()
    const table = await tableOf(store, 12)
    assert.deepEqual(await keysOf(store, /checkpoint\.parquet$/), [CHECKPOINT_10])
    assert.equal((await readLastCheckpoint(store))?.version, 10)
    const before = await (await loadSnapshot(store))!.allFiles()
    await store.delete(Array.from({ length: 10 }, (_, i) => formatCommitPath(i)))
    await store.delete(await keysOf(store, /\.crc$/))
    const reopened = (await DeltaTable.open(store))!
    assert.deepEqual(reopened.state.txns, table.state.txns)
    assert.deepEqual(reopened.state.metadata, table.state.metadata)
    const after = await (await loadSnapshot(store))!.allFiles()
    assert.deepEqual(
      after.map(f => [f.path, f.size, f.stats, f.partitionValues]),
      before.map(f => [f.path, f.size, f.stats, f.partitionValues]),
    )
  })

  test('carries statistics and partition values as typed columns too', async () => {
    const store = new MemoryObjectStore()
    await tableOf(store, 10)
    const paths = await columnPaths(store, CHECKPOINT_10)
    for (const path of [
      'add.stats_parsed.minValues.id',
      'add.stats_parsed.nullCount.name',
      'add.partitionValues_parsed.day',
    ]) {
      assert(paths.has(path), path)
    }
    assert(!paths.has('add.stats_parsed.minValues.day'), 'a partition column has no statistics')
  })

  test('is due by the log and not by what this process did', async () => {
    const store = new MemoryObjectStore()
    const table = await createEvents(store, testRuntime())
    // The writer that made these died before its upkeep.
    for (let i = 1; i <= 11; i++) await appendEvents(table, [i], 'p:0', BigInt(i))
    const restarted = (await DeltaTable.open(store, { runtime: testRuntime(undefined, 2) }))!
    await appendEvents(restarted, [12], 'p:0', 12n)
    const { checkpoint } = await restarted.upkeep(encoder)
    assert.deepEqual(checkpoint, { status: 'written', version: 12 })
  })

  test('that fails does not fail the commit, and is made up for by the next one', async () => {
    const faults = new FaultQueue().add('putIfAbsent', { kind: 'timeout' }, key => key.endsWith('.parquet'))
    const store = new MemoryObjectStore({ faults: faults.hook })
    const table = await tableOf(store, 10)
    assert.equal(table.state.version, 10)
    assert.deepEqual(await keysOf(store, /checkpoint\.parquet$/), [])
    await appendEvents(table, [11], 'p:0', 11n)
    assert.deepEqual((await table.upkeep(encoder)).checkpoint, { status: 'written', version: 11 })
  })

  test('asks for the pointer before the work and before it moves it, and no more', async () => {
    const asked: string[] = []
    const store = new MemoryObjectStore({
      faults: ({ operation, key }) => {
        if (operation === 'get') asked.push(key)
        return undefined
      },
    })
    const table = await tableOf(store, 19)
    await appendEvents(table, [20], 'p:0', 20n)
    asked.length = 0
    assert.deepEqual((await table.upkeep(encoder)).checkpoint, { status: 'written', version: 20 })
    assert.equal(asked.filter(key => key.endsWith('_last_checkpoint')).length, 2)
  })

  test('made by another writer is not made again, and the pointer never goes back', async () => {
    const store = new MemoryObjectStore()
    const table = await tableOf(store, 9)
    const other = (await DeltaTable.open(store, { runtime: testRuntime(undefined, 2) }))!
    await appendEvents(other, [10], 'q:0', 1n)
    await appendEvents(table, [11], 'p:0', 11n)
    await table.upkeep(encoder)
    assert.deepEqual((await other.upkeep(encoder)).checkpoint, { status: 'exists', version: 11 })
    assert.equal((await readLastCheckpoint(store))?.version, 11)
  })
})

suite('opening a healthy table', () => {
  test('takes at most four requests, whatever its size', async () => {
    let requests = 0
    let counting = false
    const store = new MemoryObjectStore({
      faults: () => {
        if (counting) requests++
        return undefined
      },
    })
    await tableOf(store, 37)
    counting = true
    const table = (await DeltaTable.open(store))!
    assert.equal(table.state.version, 37)
    assert(requests <= 4, `${requests} requests`)
  })

  test('agrees with and without checksums and checkpoints', async () => {
    const store = new MemoryObjectStore()
    await tableOf(store, 23)
    const full = (await DeltaTable.open(store))!.state
    await store.delete(await keysOf(store, /\.crc$/))
    const withoutChecksums = (await DeltaTable.open(store))!.state
    await store.delete([...(await keysOf(store, /checkpoint/)), '_delta_log/_last_checkpoint'])
    const fromCommits = (await DeltaTable.open(store))!.state
    for (const state of [withoutChecksums, fromCommits]) {
      assert.deepEqual([state.version, state.txns, state.metadata], [full.version, full.txns, full.metadata])
    }
  })
})
