/**
 * Tables that Spark and delta-rs wrote for this project, and crafted damage, against what independent readers made of
 * them: the manifest beside the tables. `npm run test:conformance` runs others.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { compareTable } from './compare-table.ts'
import { readManifest } from './manifest.ts'

const MANIFEST = fileURLToPath(new URL('../golden/manifest.jsonl', import.meta.url))

for await (const entry of readManifest(MANIFEST)) {
  const does = entry.expect.rows === undefined ? 'is refused' : 'is read'
  test(`${entry.path} ${does} as by other readers, at every version`, async () => {
    assert.deepEqual(await compareTable(entry), { disagreements: [], refusal: null })
  })
}
