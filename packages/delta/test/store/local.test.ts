import assert from 'node:assert/strict'
import { link, mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { DeltaLakeError } from '../../src/error.ts'
import { LocalObjectStore } from '../../src/store/local.ts'
import { explainLinkError, explainLocalError } from '../../src/store/local-error.ts'
import { testObjectStore } from '../contract/object-store.ts'

let root: string | undefined

testObjectStore('local', {
  open: async () => {
    root = await mkdtemp(join(tmpdir(), 'object-store-'))
    return new LocalObjectStore(join(root, 'made', 'at first write'))
  },
  close: async () => rm(root!, { recursive: true }),
  bigBodyBytes: 1 << 20,
})

const body = Buffer.from('body')

async function inDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'object-store-'))
  try {
    await run(directory)
  } finally {
    await rm(directory, { recursive: true })
  }
}

test('writes leave no temporary files, whether they win or lose', () =>
  inDirectory(async directory => {
    const store = new LocalObjectStore(directory)
    await store.put('log/0', body)
    await store.putIfAbsent('log/0', body)
    await store.putIfAbsent('log/1', body)
    await Promise.all(Array.from({ length: 16 }, () => store.putIfAbsent('log/2', body)))
    assert.deepEqual((await readdir(join(directory, 'log'))).sort(), ['0', '1', '2'])
  }))

test('temporary files of others are not listed, and old ones are removed by a write beside them', () =>
  inDirectory(async directory => {
    await mkdir(join(directory, 'log'))
    const old = join(directory, 'log', '.tmp-old')
    const young = join(directory, 'log', '.tmp-young')
    await writeFile(old, 'x')
    await utimes(old, 1, 1)
    await writeFile(young, 'x')
    // What a crash between link and unlink leaves: the object, and a second name of it.
    await writeFile(join(directory, 'log', '0.json'), 'x')
    await link(join(directory, 'log', '0.json'), join(directory, 'log', '.tmp-linked'))
    const store = new LocalObjectStore(directory)
    const listed: string[] = []
    for await (const { key } of store.list('')) listed.push(key)
    assert.deepEqual(listed, ['log/0.json'])
    await store.put('log/1.json', body)
    assert.deepEqual((await readdir(join(directory, 'log'))).sort(), [
      '.tmp-linked',
      '.tmp-young',
      '0.json',
      '1.json',
    ])
    await assert.rejects(store.get('log/.tmp-young'), { code: 'STORE_KEY_INVALID' })
    await assert.rejects(store.put('log//2.json', body), { code: 'STORE_KEY_INVALID' })
  }))

test('says that a file and a folder cannot have one name', () =>
  inDirectory(async directory => {
    const store = new LocalObjectStore(directory)
    await store.put('x', body)
    await assert.rejects(store.put('x/y', body), { code: 'STORE_KEY_INVALID' })
    await store.put('folder/y', body)
    await assert.rejects(store.put('folder', body), { code: 'STORE_KEY_INVALID', message: /folder/ })
    assert.deepEqual((await readdir(directory)).sort(), ['folder', 'x'])
    await store.delete(['folder'])
    assert.notEqual(await store.get('folder/y'), null)
  }))

test('lists links to files and does not follow links to folders', () =>
  inDirectory(async directory => {
    const store = new LocalObjectStore(directory)
    await store.put('a/file', body)
    await symlink(join(directory, 'a', 'file'), join(directory, 'a', 'link'))
    await symlink(directory, join(directory, 'a', 'loop'))
    await symlink('nowhere', join(directory, 'a', 'dangling'))
    const listed: string[] = []
    for await (const { key } of store.list('')) listed.push(key)
    assert.deepEqual(listed, ['a/file', 'a/link'])
  }))

test('the uri is the directory as a file URI', () => {
  assert.equal(new LocalObjectStore('/lake/user events/').uri, 'file:///lake/user%20events')
  assert.equal(new LocalObjectStore('/lake').at('events/2026').uri, 'file:///lake/events/2026')
})

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: said the system`), { code, syscall: 'write', errno: -1 })
}

test('errors of the system become codes with a hint', () => {
  const codes = {
    EACCES: 'STORE_ACCESS_DENIED',
    EROFS: 'STORE_ACCESS_DENIED',
    ENOSPC: 'STORE_NO_SPACE',
    EDQUOT: 'STORE_NO_SPACE',
    EMFILE: 'STORE_UNAVAILABLE',
    ENAMETOOLONG: 'STORE_KEY_INVALID',
    EIO: 'STORE_REQUEST_FAILED',
  }
  for (const [errno, code] of Object.entries(codes)) {
    const explained = explainLocalError(systemError(errno), 'write', '/lake/x')
    assert.ok(explained instanceof DeltaLakeError)
    assert.equal(explained.code, code)
    assert.match(explained.message, /cannot write `\/lake\/x`/)
    assert.equal(explained.context.errno, errno)
  }
  assert.match((explainLocalError(systemError('EROFS'), 'write', '/x') as DeltaLakeError).hint, /read-only/)
})

test('a file system without hard links is refused, and a bug stays a bug', () => {
  const explained = explainLinkError(systemError('ENOTSUP'), '/lake/x')
  assert.equal(explained instanceof DeltaLakeError && explained.code, 'STORE_NOT_ATOMIC')
  const full = explainLinkError(systemError('ENOSPC'), '/lake/x')
  assert.equal(full instanceof DeltaLakeError && full.code, 'STORE_NO_SPACE')
  const bug = new TypeError('bug')
  assert.equal(explainLocalError(bug, 'write', '/x'), bug)
})
