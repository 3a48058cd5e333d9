import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readManifest } from './manifest.ts'

const RUNNER = fileURLToPath(new URL('run.ts', import.meta.url))
const GOLDEN = fileURLToPath(new URL('../golden/', import.meta.url))

/** A line of the manifest of this repository, to change and use from another folder. */
async function lineOf(path: string, folder: string): Promise<Record<string, unknown>> {
  for await (const entry of readManifest(join(GOLDEN, 'manifest.jsonl'))) {
    if (entry.path !== path) continue
    const { verdict, expect, versions, readerFeatures } = entry
    return { path: relative(folder, entry.folder), verdict, expect, versions, protocol: { readerFeatures } }
  }
  throw new Error(`no line of ${path}`)
}

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'conformance-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

function runManifest(folder: string, lines: readonly unknown[]): { status: number | null; output: string[] } {
  const manifest = join(folder, 'manifest.jsonl')
  // Versions of txns are bigint where they are large; the lines here hold none.
  writeFileSync(
    manifest,
    lines.map(line => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'),
  )
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--conditions=source', RUNNER, manifest], {
    encoding: 'utf8',
  })
  return { status, output: (stdout + stderr).trim().split('\n') }
}

test('a run names every disagreement, goes on after it, and fails', async t => {
  const folder = temporaryFolder(t)
  const good = await lineOf('deltars-partitioned', folder)
  const expect = good.expect as Record<string, unknown>
  const wrong = { ...good, expect: { ...expect, rows: 1, files: 99, hash: 'f'.repeat(32), txn: { app: 1 } } }
  const damaged = await lineOf('crafted-bad_version_gap', folder)
  const { status, output } = runManifest(folder, [
    { ...good, path: 'nowhere' },
    wrong,
    { ...damaged, verdict: 'read', expect },
    { ...good, verdict: 'reject', expect: { reject: 'not at all' } },
    { ...good, verdict: 'log-only', expect: { ...expect, rows: undefined, reject: 'rows' } },
    { ...damaged, protocol: { readerFeatures: ['notKnown'] } },
    damaged,
    good,
  ])
  assert.equal(status, 1)
  const text = output.join('\n')
  assert.match(text, /✗ nowhere {2}the folder does not exist/)
  for (const what of ['rows', 'files', 'hash', 'txn `app`', 'txns']) {
    assert.match(text, new RegExp(`✗ .*deltars-partitioned {2}${what}: expected .*, read`))
  }
  assert.match(text, /✗ .*crafted-bad_version_gap {2}DELTA_LOG_GAP: /)
  assert.match(text, /✗ .*deltars-partitioned {2}must be refused, and was read \(not at all\)/)
  assert.match(text, /✗ .*deltars-partitioned {2}reading rows must fail, and did not/)
  assert.match(text, /✗ .*crafted-bad_version_gap {2}the refusal does not name `notKnown`: /)
  assert.equal(output.at(-2), '2 passed, 6 failed')
})

test('what engines say differently is reported and does not fail the run', async t => {
  const folder = temporaryFolder(t)
  const good = await lineOf('deltars-partitioned', folder)
  const expect = { ...(good.expect as object), rows: 1 }
  const { status, output } = runManifest(folder, [good, { ...good, verdict: 'disputed', expect }])
  assert.equal(status, 0)
  assert.match(output[0]!, /^\? .*deltars-partitioned {2}disputed; rows: expected 1, read \d+$/)
  assert.equal(output.at(-2), '1 passed, 0 failed')
})

test('a manifest that is not there or cannot be understood is told from tables that differ', async t => {
  const folder = temporaryFolder(t)
  const broken = runManifest(folder, ['{"path":"a","verdict":"maybe","expect":{}}'])
  assert.equal(broken.status, 64)
  assert.match(broken.output.join('\n'), /manifest\.jsonl:1: has the verdict `maybe`/)
})
