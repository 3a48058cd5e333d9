import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

test('localMain without arguments ingests by INGEST_CONFIG, and returns the exit code', () => {
  const folder = mkdtempSync(join(tmpdir(), 'stream-ingest-'))
  const index = fileURLToPath(new URL('../../src/index.ts', import.meta.url))
  const program = `import { localMain } from ${JSON.stringify(index)}; console.log('exit', await localMain())`
  try {
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--conditions=source', '--input-type=module', '--eval', program],
      { cwd: folder, encoding: 'utf8', env: { ...process.env, INGEST_CONFIG: '{"kafka": {}}' } },
    )
    assert.match(stdout, /^exit 78$/m)
    assert.match(stderr, /CONFIG_MISSING_KEY/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
