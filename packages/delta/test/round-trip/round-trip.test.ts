import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readManifest } from '../conformance/manifest.ts'
import { makeRoundTrip } from './round-trip.ts'

const GOLDEN = fileURLToPath(new URL('../golden/manifest.jsonl', import.meta.url))

/** Tables of the collection that are read and must not be written, by what they use. */
const MUST_NOT_BE_WRITTEN: ReadonlyMap<string, RegExp> = new Map([
  ['crafted-ok_writer_only_unknown_feature', /the writer feature/],
  ['deltars-check_constraint', /`checkConstraints`/],
  ['spark-iceberg_compat_v2', /`icebergCompatV2`/],
  ['spark-identity_columns', /`identityColumns`/],
])

suite('a table of another engine is appended to, evolved, compacted, checkpointed and vacuumed', async () => {
  for await (const { path, folder, verdict } of readManifest(GOLDEN)) {
    if (verdict !== 'read') continue
    test(path, async t => {
      const parent = await mkdtemp(join(tmpdir(), 'round-trip-'))
      t.after(() => rm(parent, { recursive: true }))
      const trip = await makeRoundTrip(folder, join(parent, 'table'), null)
      assert.deepEqual(trip.problems, [])
      const refused = MUST_NOT_BE_WRITTEN.get(path)
      if (refused === undefined) assert.equal(trip.refusal, null)
      else assert.match(trip.refusal ?? 'was written', refused)
    })
  }
})
