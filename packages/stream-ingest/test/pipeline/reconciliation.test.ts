import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DeltaTable, field, type MemoryObjectStore, primitive, struct } from '@stream-ingest/delta'
import { reconcile } from '../../src/pipeline/reconciliation.ts'
import { fixedRuntime, memoryStore } from './table-fixture.ts'

type Metrics = Readonly<Record<string, number>>

/** A table whose log tells what the test makes it tell. */
class Ledger {
  readonly store: MemoryObjectStore
  private readonly table: DeltaTable

  private constructor(store: MemoryObjectStore, table: DeltaTable) {
    this.store = store
    this.table = table
  }

  static async open(): Promise<Ledger> {
    const runtime = fixedRuntime()
    const store = memoryStore(runtime)
    const spec = { schema: struct([field('id', primitive('long'))]), partitionColumns: [], properties: {} }
    const { table } = await DeltaTable.openOrCreate(store, spec, { runtime })
    return new Ledger(store, table)
  }

  get version(): number {
    return this.table.state.version
  }

  /** @param rowsInFile by the statistics of one file; null for a file without; undefined for no file */
  async commit(metrics: Metrics, rowsInFile?: number | null, pipelineId = 'g'): Promise<void> {
    const stats = rowsInFile === null ? {} : { stats: `{"numRecords":${rowsInFile}}` }
    const add = {
      path: `${this.version}.parquet`,
      partitionValues: {},
      size: 1,
      modificationTime: 0,
      dataChange: true,
      ...stats,
    }
    const outcome = await this.table.append({
      adds: rowsInFile === undefined ? [] : [add],
      rowCounts: rowsInFile === undefined ? [] : [rowsInFile ?? 0],
      txns: [{ appId: `${pipelineId}:topic-id:0`, version: BigInt(this.version) }],
      operationMetrics: Object.fromEntries(Object.entries(metrics).map(([k, v]) => [k, String(v)])),
    })
    assert.equal(outcome.status, 'committed')
  }

  reconcile(commitsMax?: number): ReturnType<typeof reconcile> {
    return reconcile('g', this.store, this.version, commitsMax)
  }
}

/** Two rows of four messages: one bad, one left out. */
const FOUR: Metrics = {
  numConsumedRecords: 4,
  numOutputRows: 2,
  numBadRecords: 1,
  numSkippedRecords: 1,
  numFilteredRecords: 0,
}

describe('reconciliation', () => {
  test('adds up every commit of the pipeline, and holds the counts against the rows of the files', async () => {
    const ledger = await Ledger.open()
    await ledger.commit(FOUR, 2)
    await ledger.commit({ numConsumedRecords: 900, numOutputRows: 1 }, 5, 'another')
    for (let i = 0; i < 40; i++) await ledger.commit(FOUR, 2)
    const { commits, consumed, rows, badRecords, skipped, rowsInFiles, isWhole, isBalanced, ...range } =
      await ledger.reconcile()
    assert.deepEqual([commits, consumed, rows, badRecords, skipped], [41, 164n, 82n, 41n, 41n])
    assert.deepEqual([rowsInFiles, isWhole, isBalanced], [82n, true, true])
    assert.deepEqual([range.fromVersion, range.toVersion], [0, 42])
  })

  test('does not balance where a message is missing, and where the files hold other rows than were counted', async () => {
    const missing = await Ledger.open()
    await missing.commit({ ...FOUR, numConsumedRecords: 5 }, 2)
    assert.equal((await missing.reconcile()).isBalanced, false)
    const other = await Ledger.open()
    await other.commit(FOUR, 3)
    const { isBalanced, rows, rowsInFiles } = await other.reconcile()
    assert.deepEqual([isBalanced, rows, rowsInFiles], [false, 2n, 3n])
  })

  test('stays balanced where quarantined records are put back: they are bad no more', async () => {
    const ledger = await Ledger.open()
    await ledger.commit({ ...FOUR, numQuarantinedRecords: 1 }, 2)
    await ledger.commit(
      {
        numConsumedRecords: 0,
        numOutputRows: 1,
        numBadRecords: -1,
        numQuarantinedRecords: -1,
        numSkippedRecords: 0,
        numFilteredRecords: 0,
      },
      1,
    )
    const { isBalanced, consumed, rows, badRecords, quarantined } = await ledger.reconcile()
    assert.deepEqual([isBalanced, consumed, rows, badRecords, quarantined], [true, 4n, 3n, 0n, 0n])
  })

  test('starts where the log does, after a cleanup, and says so', async () => {
    const ledger = await Ledger.open()
    for (let i = 0; i < 6; i++) await ledger.commit(FOUR, 2)
    for (const version of [0, 1, 2]) {
      await ledger.store.delete([`_delta_log/${String(version).padStart(20, '0')}.json`])
    }
    const { fromVersion, commits, consumed, isWhole, isBalanced } = await ledger.reconcile()
    assert.deepEqual([fromVersion, commits, consumed, isWhole, isBalanced], [3, 4, 16n, false, true])
  })

  test('reads no more commits than it may', async () => {
    const ledger = await Ledger.open()
    for (let i = 0; i < 30; i++) await ledger.commit(FOUR, 2)
    const { fromVersion, commits, isWhole } = await ledger.reconcile(20)
    assert.deepEqual([fromVersion, commits, isWhole], [11, 20, false])
  })

  test('leaves out, and counts, commits that do not tell what stands behind their files', async () => {
    const ledger = await Ledger.open()
    await ledger.commit(FOUR, 2)
    await ledger.commit({ numOutputRows: 7 }, 7)
    const { commits, uncounted, consumed, isBalanced } = await ledger.reconcile()
    assert.deepEqual([commits, uncounted, consumed, isBalanced], [2, 1, 4n, true])
  })

  test('goes by the counts alone where a file has no statistics', async () => {
    const ledger = await Ledger.open()
    await ledger.commit(FOUR, 2)
    await ledger.commit(FOUR, null)
    const { rowsInFiles, isBalanced } = await ledger.reconcile()
    assert.deepEqual([rowsInFiles, isBalanced], [null, true])
  })
})
