/**
 * The rows of tables that Spark and delta-rs wrote, by the content hash on which independent readers agree.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { scanTable } from '../../src/operation/scan.ts'
import { loadSnapshot } from '../../src/snapshot.ts'
import { LocalObjectStore } from '../../src/store/local.ts'
import { ContentHash } from '../content-hash.ts'

interface VersionRows {
  readonly rows: number
  readonly hash: string
}

interface Expectation extends VersionRows {
  readonly name: string
  readonly verdict: 'read' | 'reject'
  readonly versions?: Readonly<Record<string, Partial<VersionRows>>>
}

const GOLDEN = new URL('../golden/', import.meta.url)
const expectations = readFileSync(new URL('manifest.jsonl', GOLDEN), 'utf8')
  .trim()
  .split('\n')
  .map(line => JSON.parse(line) as Expectation)
  .filter(({ verdict }) => verdict === 'read')

for (const expected of expectations) {
  test(`the rows of ${expected.name} are those that other readers see, at every version`, async () => {
    const store = new LocalObjectStore(fileURLToPath(new URL(expected.name, GOLDEN)))
    assert.deepEqual(await rowsAt(store), { rows: expected.rows, hash: expected.hash })
    for (const [version, earlier] of Object.entries(expected.versions ?? {})) {
      // Where the files of an earlier version are gone, there is nothing to compare.
      if (earlier.hash === undefined) continue
      const { rows, hash } = await rowsAt(store, Number(version))
      assert.deepEqual({ rows, hash }, { rows: earlier.rows, hash: earlier.hash }, `version ${version}`)
    }
  })
}

async function rowsAt(store: LocalObjectStore, version?: number): Promise<VersionRows> {
  const snapshot = await loadSnapshot(store, version === undefined ? {} : { version })
  assert(snapshot !== null)
  const content = new ContentHash(snapshot.state.schema)
  for await (const rows of scanTable(snapshot)) for (const row of rows) content.add(row)
  return { rows: content.rowCount, hash: content.hex() }
}
