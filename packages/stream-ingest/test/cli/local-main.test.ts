import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
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

test('localMain without arguments, a configuration in the environment or one in the folder says how to begin', () => {
  const folder = mkdtempSync(join(tmpdir(), 'stream-ingest-'))
  const index = fileURLToPath(new URL('../../src/index.ts', import.meta.url))
  const program = `import { localMain } from ${JSON.stringify(index)}; console.log('exit', await localMain())`
  const run = (): { stdout: string; stderr: string } =>
    spawnSync(process.execPath, ['--conditions=source', '--input-type=module', '--eval', program], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, INGEST_CONFIG: '' },
    })
  try {
    const nothing = run()
    assert.match(nothing.stdout, /^exit 78$/m)
    assert.match(
      nothing.stderr,
      /^error\[CONFIG_NOT_FOUND\]: no configuration: there is no `stream-ingest.yaml` here\n {2}= help: begin with `stream-ingest init`, .*INGEST_CONFIG.*\n {2}= more: stream-ingest explain CONFIG_NOT_FOUND\n$/,
    )
    writeFileSync(join(folder, 'stream-ingest.yaml'), 'kafka: {}\n')
    assert.match(run().stderr, /CONFIG_MISSING_KEY[\s\S]*--> stream-ingest.yaml:1:/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
