import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { parseJson } from '@stream-ingest/delta'
import { show, showAll, temporaryFolder } from './table-fixture.ts'

/** The writers are processes of their own and need a world to live in. */
const env = { PATH: process.env.PATH ?? '' }

describe('demo', () => {
  test('crashes a writer, finishes with another, proves it, and can be repeated in the same folder', async t => {
    const cwd = await temporaryFolder(t)
    const args = ['demo', '--rows', '600', '--dir', 'lake']
    const text = await showAll(args, { cwd, env })
    assert.match(text, /✓ 12 commits {3}600 rows {3}12 files/)
    assert.match(
      text,
      /✓ crashed the writer once \(SIGKILL\) between upload and commit: 1 uploaded file in no commit\n/,
    )
    assert.match(text, /✓ restarted it, read the table, found 0 duplicates and 0 gaps\n/)
    assert.match(text, /✓ count, sum, smallest and largest value of every column/)
    assert.match(text, /npx stream-ingest read lake\/user_events --limit 5/)
    const document = parseJson(await showAll([...args, '--json'], { cwd, env })) as Record<string, unknown>
    const { elapsedMs, sizeBytes, ...rest } = document
    assert(typeof elapsedMs === 'number' && typeof sizeBytes === 'number')
    assert.deepEqual(rest, {
      ok: true,
      table: join(cwd, 'lake/user_events'),
      commits: 12,
      rows: 600,
      files: 12,
      orphans: 1,
      duplicates: 0,
      gaps: 0,
      sumsMatch: true,
    })
  })

  test('deletes no folder that it did not make', async t => {
    const cwd = await temporaryFolder(t)
    await mkdir(join(cwd, 'lake/user_events'), { recursive: true })
    await writeFile(join(cwd, 'lake/user_events/precious'), 'data')
    const { exitCode, stderr } = await show(['demo', '--dir', 'lake'], { cwd, env })
    assert.equal(exitCode, 73)
    assert.match(stderr, /error\[DEMO_FOLDER_TAKEN\]: `.*lake\/user_events` is there already/)
    assert.equal(await readFile(join(cwd, 'lake/user_events/precious'), 'utf8'), 'data')
    assert(!existsSync(join(cwd, 'lake/stream-ingest-demo.yaml')))
  })

  test('ends at a signal to stop, before it has begun to write', async t => {
    const cwd = await temporaryFolder(t)
    const stopAfter = Promise.resolve()
    const { exitCode, stdout } = await show(['demo', '--rows', '50000', '--dir', 'lake'], {
      cwd,
      env,
      stopAfter,
    })
    assert.equal(exitCode, 130)
    assert.equal(stdout, '')
    assert(!existsSync(join(cwd, 'lake/user_events')))
  })

  test('has something to prove', async t => {
    const { exitCode, stderr } = await show(['demo', '--rows', '0'], { cwd: await temporaryFolder(t), env })
    assert.equal(exitCode, 64)
    assert.match(stderr, /nothing to prove/)
  })
})
