import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { replaceFile } from '../../src/cli/replace-file.ts'

async function fileWith(t: TestContext, text: string): Promise<{ folder: string; path: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'replace-file-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'a.yaml')
  await writeFile(path, text)
  return { folder, path }
}

describe('a file that is replaced', () => {
  test('holds the new text, and nothing is left beside it', async t => {
    const { folder, path } = await fileWith(t, 'before')
    await replaceFile(path, 'before', 'after')
    assert.equal(await readFile(path, 'utf8'), 'after')
    assert.deepEqual(await readdir(folder), ['a.yaml'])
  })

  test('stays as it is where somebody has changed it meanwhile', async t => {
    const { folder, path } = await fileWith(t, 'of somebody else')
    await assert.rejects(replaceFile(path, 'before', 'after'), { code: 'IO_FAILED', message: /was changed/ })
    assert.equal(await readFile(path, 'utf8'), 'of somebody else')
    assert.deepEqual(await readdir(folder), ['a.yaml'])
  })
})
