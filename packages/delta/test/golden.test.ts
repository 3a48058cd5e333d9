/**
 * Tables written by Spark and delta-rs, and crafted damage, against what independent readers made of them.
 *
 * `golden/manifest.jsonl` has one line a table: `read` with version, files, `txn` and rows, or `reject` with why.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Add } from '../src/action.ts'
import { DeltaLakeError } from '../src/error.ts'
import { loadTableState } from '../src/load-table-state.ts'
import { loadSnapshot } from '../src/snapshot.ts'
import { parseStatistics } from '../src/statistics.ts'
import { LocalObjectStore } from '../src/store/local.ts'

interface Expectation {
  readonly name: string
  readonly verdict: 'read' | 'reject'
  readonly why?: string
  readonly version: number
  readonly files: number
  readonly rows: number
  /** Versions as text: they use all 64 bits. */
  readonly txn: Readonly<Record<string, string>>
  readonly versions?: Readonly<Record<string, { readonly rows: number }>>
}

const GOLDEN = new URL('./golden/', import.meta.url)
const expectations = readFileSync(new URL('manifest.jsonl', GOLDEN), 'utf8')
  .trim()
  .split('\n')
  .map(line => JSON.parse(line) as Expectation)

/** Rows by the statistics and deletion vectors of the files; null where a file has no statistics. */
function rowsOf(files: readonly Add[]): number | null {
  let rows = 0
  for (const { stats, deletionVector } of files) {
    const parsed = stats === undefined ? null : parseStatistics(stats)
    if (parsed === null) return null
    rows += parsed.numRecords - (deletionVector?.cardinality ?? 0)
  }
  return rows
}

for (const expected of expectations) {
  const store = new LocalObjectStore(fileURLToPath(new URL(expected.name, GOLDEN)))
  if (expected.verdict === 'reject') {
    test(`${expected.name} is refused`, async () => {
      await assert.rejects(loadSnapshot(store), DeltaLakeError)
    })
    continue
  }
  test(`${expected.name} is read as other readers read it`, async () => {
    const snapshot = await loadSnapshot(store)
    assert(snapshot !== null)
    assert.equal(snapshot.version, expected.version)
    const files = await snapshot.allFiles()
    assert.equal(files.length, expected.files)
    const txns = Object.fromEntries(
      [...snapshot.state.txns].map(([appId, txn]) => [appId, String(txn.version)]),
    )
    assert.deepEqual(txns, expected.txn)
    const rows = rowsOf(files)
    if (rows !== null) assert.equal(rows, expected.rows)

    const state = await loadTableState(store)
    const sizeBytes = files.reduce((sum, add) => sum + add.size, 0)
    if (state?.fileTotals) assert.deepEqual(state.fileTotals, { numFiles: files.length, sizeBytes })
    assert.deepEqual({ ...state, fileTotals: null }, { ...snapshot.state, fileTotals: null })
    assert.deepEqual(await snapshot.fileTotals(), { numFiles: files.length, sizeBytes })
  })
  for (const [version, { rows }] of Object.entries(expected.versions ?? {})) {
    test(`${expected.name} at version ${version} is read as other readers read it`, async () => {
      const snapshot = await loadSnapshot(store, { version: Number(version) })
      assert.equal(snapshot?.version, Number(version))
      const counted = rowsOf(await snapshot!.allFiles())
      if (counted !== null) assert.equal(counted, rows)
    })
  }
}
