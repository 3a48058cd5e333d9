import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  DeltaTable,
  loadSnapshot,
  MemoryObjectStore,
  parseStatistics,
  type RowUpdate,
  scanFile,
  scanTable,
  type TableRow,
  type UpdateOptions,
  updateRows,
} from '@stream-ingest/delta'
import { createParquetEncoder } from '../../src/parquet/file-encoder.ts'
import { inlineDeletionVector } from '../simulation/inline-deletion-vector.ts'
import { createEvents, testRuntime, uploadEvents } from '../table-fixture.ts'

const runtime = testRuntime()
const encoder = createParquetEncoder()

interface Setting {
  readonly store: MemoryObjectStore
  readonly table: DeltaTable
}

/** A file of each list of ids. */
async function tableOf(...files: (readonly number[])[]): Promise<Setting> {
  const store = new MemoryObjectStore({ now: runtime.now })
  const table = await createEvents(store, runtime)
  for (const ids of files) {
    const { adds, rowCounts } = await uploadEvents(table, ids)
    assert.equal((await table.append({ adds, rowCounts, txns: [] })).status, 'committed')
  }
  return { store, table }
}

async function update(
  { store }: Setting,
  change: UpdateOptions['change'],
  options: Partial<UpdateOptions> = {},
): Promise<RowUpdate> {
  const snapshot = (await loadSnapshot(store))!
  return updateRows(snapshot, encoder, runtime, { mayHold: () => true, change, codec: 'snappy', ...options })
}

async function commit({ table }: Setting, changed: RowUpdate): Promise<string> {
  const { adds, rowCounts, removes, filePaths } = changed
  const outcome = await table.commit({
    operation: 'UPDATE',
    operationParameters: {},
    operationMetrics: {},
    actions: { adds, removes, txns: [], domainMetadata: [], metadata: null, protocol: null },
    reads: { appIds: new Set(), filePaths, wholeTable: false },
    rowCounts,
    txnId: runtime.uuid(),
  })
  return outcome.status === 'conflict' ? outcome.reason.kind : outcome.status
}

async function rowsOf({ store }: Setting): Promise<TableRow[]> {
  const rows: TableRow[] = []
  for await (const batch of scanTable((await loadSnapshot(store))!)) rows.push(...batch)
  return rows.toSorted((a, b) => Number(a.id) - Number(b.id))
}

const idsOf = async (setting: Setting): Promise<number[]> =>
  (await rowsOf(setting)).map(row => Number(row.id))
const isId = (row: TableRow, id: number): boolean => Number(row.id) === id

suite('updating rows', () => {
  test('takes rows out and leaves all others as they are', async () => {
    const setting = await tableOf([1, 2, 3], [4, 5])
    const before = await rowsOf(setting)
    const changed = await update(setting, row => (isId(row, 2) ? null : row))
    assert.deepEqual([changed.rowsRemoved, changed.rowsChanged], [1, 0])
    assert.deepEqual([changed.removes.length, changed.adds.length, changed.rowCounts], [1, 1, [2]])
    assert.equal(await commit(setting, changed), 'committed')
    assert.deepEqual(
      await rowsOf(setting),
      before.filter(row => !isId(row, 2)),
    )
  })

  test('changes values, and keeps the columns that partition', async () => {
    const setting = await tableOf([1, 2, 3])
    const before = await rowsOf(setting)
    const changed = await update(setting, row => (isId(row, 2) ? { ...row, name: 'changed' } : row))
    assert.equal(changed.rowsChanged, 1)
    assert.deepEqual(changed.adds[0]!.partitionValues, changed.removes[0]!.partitionValues)
    await commit(setting, changed)
    assert.deepEqual(
      await rowsOf(setting),
      before.map(row => (isId(row, 2) ? { ...row, name: 'changed' } : row)),
    )
  })

  test('writes nothing where nothing changes', async () => {
    const setting = await tableOf([1, 2], [3])
    const objectCount = async (): Promise<number> => {
      let count = 0
      for await (const _object of setting.store.list('')) count++
      return count
    }
    const before = await objectCount()
    const changed = await update(setting, row => row)
    assert.deepEqual([changed.adds, changed.removes, changed.filePaths.size], [[], [], 2])
    assert.equal(await objectCount(), before)
  })

  test('removes a file whose rows all go', async () => {
    const setting = await tableOf([1, 2], [3])
    const changed = await update(setting, row => (isId(row, 3) ? null : row))
    assert.deepEqual([changed.adds.length, changed.removes.length], [0, 1])
    await commit(setting, changed)
    assert.deepEqual(await idsOf(setting), [1, 2])
  })

  test('reads no file that cannot hold such a row', async () => {
    const setting = await tableOf([1, 2], [3, 4])
    const changed = await update(setting, row => (isId(row, 3) ? null : row), {
      mayHold: (_add, statistics) => Number(statistics!.maxValues!.id) >= 3,
    })
    assert.equal(changed.filePaths.size, 1)
    assert.equal(changed.rowsRemoved, 1)
  })

  test('cuts what it writes into files of a bounded size', async () => {
    const setting = await tableOf(Array.from({ length: 100 }, (_, i) => i))
    const changed = await update(setting, row => (isId(row, 0) ? null : row), { fileMaxBytes: 500 })
    assert(changed.adds.length > 2, `${changed.adds.length} files`)
    assert.equal(
      changed.rowCounts.reduce((sum, count) => sum + count, 0),
      99,
    )
    await commit(setting, changed)
    assert.deepEqual(
      await idsOf(setting),
      Array.from({ length: 99 }, (_, i) => i + 1),
    )
  })

  test('applies deletion vectors, and takes the right version of the file out', async () => {
    const setting = await tableOf([1, 2, 3])
    const snapshot = (await loadSnapshot(setting.store))!
    const [add] = await snapshot.allFiles()
    const withVector = { ...add!, deletionVector: inlineDeletionVector([0]) }
    const rows: number[] = []
    for await (const batch of scanFile(snapshot, withVector)) rows.push(...batch.map(row => Number(row.id)))
    assert.deepEqual(rows, [2, 3])
  })

  test('is void where another writer has taken a file away that it looked into', async () => {
    const setting = await tableOf([1, 2], [3])
    const first = await update(setting, row => (isId(row, 1) ? null : row))
    const second = await update(setting, row => (isId(row, 2) ? null : row))
    const other = { ...setting, table: await reopened(setting) }
    assert.equal(await commit(other, first), 'committed')
    assert.equal(await commit(setting, second), 'file-removed')
    assert.deepEqual(await idsOf(setting), [2, 3])
  })

  test('gives the new files statistics of their rows', async () => {
    const setting = await tableOf([1, 2, 3])
    const { adds } = await update(setting, row => (isId(row, 3) ? null : row))
    const { numRecords, maxValues } = parseStatistics(adds[0]!.stats!)!
    assert.deepEqual([numRecords, maxValues!.id], [2, 2])
  })
})

async function reopened({ store }: Setting): Promise<DeltaTable> {
  return (await DeltaTable.open(store, { runtime }))!
}
