/**
 * What every object store does: one suite, run on each implementation.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { DeltaLakeError } from '../../src/error.ts'
import type { ObjectInfo, ObjectStore } from '../../src/store/object-store.ts'

export interface ObjectStoreContract {
  /** An empty store; called once. */
  readonly open: () => Promise<ObjectStore>
  /** Gives up what `open` took, after the store was closed. */
  readonly close?: () => Promise<void>
  /** Why the store cannot be tested here; undefined if it can. */
  readonly skip?: string | undefined
  /** Size of the body that is to go up in parts, where the store has such. */
  readonly bigBodyBytes: number
  /** False for a server that may order supplementary characters otherwise (by UTF-16). Default true. */
  readonly hasSupplementaryKeys?: boolean
}

const WRITERS = 16
const RACES = 4

/** More than one page of a listing. */
const MANY_KEYS = 1005

/** In byte order. U+FF5E is below U+1F600, whose surrogates sort before it in UTF-16. */
const ALL_ODD_KEYS = [
  'a b.txt',
  'a%20b.txt',
  'a+b.txt',
  'a-b/deep/x',
  'a.b',
  "a/'quoted'&<x>=1",
  'a/_hidden',
  'a/date=2026-01-02/part-0.parquet',
  'a0',
  'ä',
  '日本/語',
  '～',
  '😀',
]

const SUPPLEMENTARY = /[\u{10000}-\u{10ffff}]/u

export function testObjectStore(name: string, contract: ObjectStoreContract): void {
  describe(`object store contract: ${name}`, { skip: contract.skip ?? false }, () => {
    let root: ObjectStore
    let caseCount = 0
    const freshStore = (): ObjectStore => root.at(`case-${caseCount++}`)
    before(async () => {
      root = await contract.open()
    })
    after(async () => {
      await root?.close()
      await contract.close?.()
    })
    testReadsAndWrites(freshStore, contract)
    testConditionalPut(freshStore)
    testPieces(freshStore, contract.bigBodyBytes)
    const isOrdered = contract.hasSupplementaryKeys ?? true
    testListings(
      freshStore,
      ALL_ODD_KEYS.filter(key => isOrdered || !SUPPLEMENTARY.test(key)),
    )
    testDeletesAndRoots(freshStore)
  })
}

function testReadsAndWrites(freshStore: () => ObjectStore, contract: ObjectStoreContract): void {
  test('answers null for what is not there', async () => {
    const store = freshStore()
    assert.equal(await store.get('missing'), null)
    assert.equal(await store.get('missing/below'), null)
    assert.equal(await store.get('missing', { range: { startByte: 0, endByte: 4 } }), null)
    assert.equal(await store.get('missing', { range: { startByte: 4, endByte: 4 } }), null)
    assert.equal(await store.head('missing'), null)
  })

  test('creates and replaces, and keeps its own copy of the bytes', async () => {
    const store = freshStore()
    const body = bytes('first')
    await store.put('folder/object', body)
    body.fill(0)
    assert.equal(text(await store.get('folder/object')), 'first')
    await store.put('folder/object', bytes('the second'))
    assert.equal(text(await store.get('folder/object')), 'the second')
    const info = await store.head('folder/object')
    assert.equal(info?.key, 'folder/object')
    assert.equal(info.sizeBytes, 10)
    assert.ok(info.lastModifiedMs > 0)
    assert.equal(await store.get('folder'), null)
    assert.equal(await store.head('folder'), null)
  })

  test('holds empty objects', async () => {
    const store = freshStore()
    await store.put('empty', new Uint8Array(0))
    assert.equal((await store.get('empty'))?.byteLength, 0)
    assert.equal((await store.get('empty', { range: { startByte: 0, endByte: 9 } }))?.byteLength, 0)
    assert.equal((await store.head('empty'))?.sizeBytes, 0)
  })

  test('reads ranges, cut to what is there', async () => {
    const store = freshStore()
    await store.put('digits', bytes('0123456789'))
    const read = async (startByte: number, endByte: number) =>
      text(await store.get('digits', { range: { startByte, endByte } }))
    assert.equal(await read(0, 4), '0123')
    assert.equal(await read(4, 5), '4')
    assert.equal(await read(8, 100), '89')
    assert.equal(await read(2, Number.POSITIVE_INFINITY), '23456789')
    assert.equal(await read(3, 3), '')
    assert.equal(await read(10, 12), '')
    assert.equal(await read(50, 60), '')
  })

  test('takes large objects whole', async () => {
    const store = freshStore()
    const body = Buffer.alloc(contract.bigBodyBytes)
    for (let i = 0; i < body.length; i += 4096) body.writeUInt32LE(i, i)
    await store.put('big', body)
    assert.equal((await store.head('big'))?.sizeBytes, body.length)
    assert.ok(Buffer.compare(body, (await store.get('big'))!) === 0)
    const tail = await store.get('big', { range: { startByte: body.length - 4096, endByte: body.length } })
    assert.ok(Buffer.compare(body.subarray(-4096), tail!) === 0)
  })

  test('refuses keys that lead out of the root or that some store cannot hold', async () => {
    const store = freshStore()
    for (const key of [
      '',
      '/a',
      'a/',
      '../a',
      'a/../../b',
      './a',
      'a/.',
      'a\0b',
      'a\nb',
      'a\ud800',
      'k'.repeat(1025),
    ]) {
      const refused = (error: unknown) =>
        error instanceof DeltaLakeError && error.code === 'STORE_KEY_INVALID'
      await assert.rejects(store.get(key), refused, JSON.stringify(key))
      await assert.rejects(store.head(key), refused)
      await assert.rejects(store.put(key, bytes('x')), refused)
      await assert.rejects(store.putIfAbsent(key, bytes('x')), refused)
      await assert.rejects(store.delete([key]), refused)
    }
    await assert.rejects(collect(store, '../'), { code: 'STORE_KEY_INVALID' })
    assert.throws(() => store.at('../elsewhere'), { code: 'STORE_KEY_INVALID' })
  })

  test('does nothing once the signal is aborted', async () => {
    const store = freshStore()
    const reason = new Error('stopped by the test')
    const signal = AbortSignal.abort(reason)
    const isReason = (error: unknown) => error === reason
    await assert.rejects(store.get('key', { signal }), isReason)
    await assert.rejects(store.head('key', { signal }), isReason)
    await assert.rejects(store.put('key', bytes('x'), { signal }), isReason)
    await assert.rejects(store.putIfAbsent('key', bytes('x'), { signal }), isReason)
    await assert.rejects(store.delete(['key'], { signal }), isReason)
    await assert.rejects(collect(store, '', { signal }), isReason)
    assert.equal(await store.get('key'), null)
  })
}

function testConditionalPut(freshStore: () => ObjectStore): void {
  test('creates only where nothing is, and leaves what is there', async () => {
    const store = freshStore()
    assert.deepEqual(await store.putIfAbsent('log/0.json', bytes('first')), { status: 'created' })
    assert.deepEqual(await store.putIfAbsent('log/0.json', bytes('second')), { status: 'exists' })
    assert.equal(text(await store.get('log/0.json')), 'first')
    await store.delete(['log/0.json'])
    assert.deepEqual(await store.putIfAbsent('log/0.json', bytes('third')), { status: 'created' })
    await store.put('log/1.json', bytes('plain'))
    assert.deepEqual(await store.putIfAbsent('log/1.json', bytes('late')), { status: 'exists' })
  })

  test('has one winner among writers at once', async () => {
    const store = freshStore()
    for (let race = 0; race < RACES; race++) {
      // Small bodies and some that take several packets.
      const bodies = Array.from({ length: WRITERS }, (_, index) =>
        bytes(`${index};`.repeat(race % 2 ? 50_000 : 1)),
      )
      const results = await Promise.all(bodies.map(body => store.putIfAbsent(`race-${race}`, body)))
      const winners = bodies.filter((_, index) => results[index]!.status === 'created')
      assert.equal(winners.length, 1)
      assert.equal(results.filter(({ status }) => status === 'exists').length, WRITERS - 1)
      assert.ok(Buffer.compare(winners[0]!, (await store.get(`race-${race}`))!) === 0)
    }
  })
}

function testPieces(freshStore: () => ObjectStore, bigBodyBytes: number): void {
  const big = Buffer.alloc(bigBodyBytes)
  for (let i = 0; i < big.length; i += 4096) big.writeUInt32LE(i, i)

  async function* piecesOf(body: Uint8Array, sizeBytes: number): AsyncGenerator<Uint8Array> {
    // Each piece is written over by the next one.
    const piece = new Uint8Array(sizeBytes)
    for (let at = 0; at < body.length; at += sizeBytes) {
      const part = body.subarray(at, at + sizeBytes)
      piece.set(part)
      await Promise.resolve()
      yield piece.subarray(0, part.length)
    }
  }

  test('creates an object that comes in pieces, only where nothing is', async () => {
    const store = freshStore()
    for (const [key, body, sizeBytes] of [
      ['none', bytes(''), 1],
      ['one', bytes('a'), 1],
      ['small', bytes('0123456789'), 3],
      ['big', big, 1_000_003],
    ] as const) {
      assert.deepEqual(await store.putIfAbsent(key, piecesOf(body, sizeBytes)), { status: 'created' })
      assert.ok(Buffer.compare(body, (await store.get(key))!) === 0, key)
      const other = Buffer.alloc(body.length, 1)
      assert.deepEqual(await store.putIfAbsent(key, piecesOf(other, sizeBytes)), { status: 'exists' })
      assert.ok(Buffer.compare(body, (await store.get(key))!) === 0, key)
    }
  })

  test('makes nothing of pieces that end in an error, which it throws', async () => {
    const store = freshStore()
    const failure = new Error('the source is broken')
    const broken = async function* (body: Uint8Array): AsyncGenerator<Uint8Array> {
      yield* piecesOf(body, 1_000_003)
      throw failure
    }
    for (const body of [bytes('a'), big]) {
      await assert.rejects(store.putIfAbsent('key', broken(body)), error => {
        assert(error instanceof Error)
        return error === failure || error.cause === failure
      })
      assert.equal(await store.get('key'), null)
    }
  })
}

function testListings(freshStore: () => ObjectStore, oddKeys: readonly string[]): void {
  test('lists keys in the order of their UTF-8 bytes', async () => {
    const store = freshStore()
    for (const key of oddKeys.toReversed()) await store.put(key, bytes(key))
    const listed = await collect(store, '')
    assert.deepEqual(keysOf(listed), oddKeys)
    assert.deepEqual(
      listed.map(({ sizeBytes }) => sizeBytes),
      oddKeys.map(key => Buffer.byteLength(key)),
    )
    assert.ok(listed.every(({ lastModifiedMs }) => lastModifiedMs > 0))
    for (const key of oddKeys) assert.equal(text(await store.get(key)), key)
  })

  test('lists by a prefix that ends within a name, after a key, and without deeper keys', async () => {
    const store = freshStore()
    for (const key of oddKeys) await store.put(key, bytes('x'))
    const list = async (prefix: string, options = {}) => keysOf(await collect(store, prefix, options))
    assert.deepEqual(await list('a'), oddKeys.slice(0, 9))
    assert.deepEqual(await list('a/'), oddKeys.slice(5, 8))
    assert.deepEqual(await list('a/d'), ['a/date=2026-01-02/part-0.parquet'])
    assert.deepEqual(await list('none'), [])
    assert.deepEqual(await list('none/below'), [])
    for (let index = 0; index < oddKeys.length; index++) {
      assert.deepEqual(await list('', { startAfter: oddKeys[index] }), oddKeys.slice(index + 1))
    }
    assert.deepEqual(await list('a/', { startAfter: 'a/c' }), ['a/date=2026-01-02/part-0.parquet'])
    assert.deepEqual(await list('a/', { startAfter: 'b' }), [])
    assert.deepEqual(await list('a/', { startAfter: 'A' }), oddKeys.slice(5, 8))
    assert.deepEqual(
      await list('', { shallow: true }),
      oddKeys.filter(key => !key.includes('/')),
    )
    assert.deepEqual(await list('a/', { shallow: true }), ["a/'quoted'&<x>=1", 'a/_hidden'])
    assert.deepEqual(await list('a-b/d', { shallow: true }), [])
    assert.deepEqual(await list('a-b/deep/', { shallow: true, startAfter: 'a-b/deep/w' }), ['a-b/deep/x'])
  })

  test('lists more than a page, and stops when the caller does', async () => {
    const store = freshStore()
    const keys = Array.from(
      { length: MANY_KEYS },
      (_, index) => `log/${String(index).padStart(20, '0')}.json`,
    )
    for (let start = 0; start < keys.length; start += WRITERS) {
      await Promise.all(keys.slice(start, start + WRITERS).map(key => store.put(key, bytes('x'))))
    }
    assert.deepEqual(keysOf(await collect(store, 'log/')), keys)
    assert.deepEqual(keysOf(await collect(store, 'log/', { startAfter: keys[999]! })), keys.slice(1000))
    const first: string[] = []
    for await (const { key } of store.list('log/')) {
      first.push(key)
      if (first.length === 3) break
    }
    assert.deepEqual(first, keys.slice(0, 3))
    await store.delete(keys)
    assert.deepEqual(await collect(store, ''), [])
  })
}

function testDeletesAndRoots(freshStore: () => ObjectStore): void {
  test('deletes what is there and passes over what is not', async () => {
    const store = freshStore()
    await store.put('a/1', bytes('x'))
    await store.put('a/2', bytes('x'))
    await store.put("a/3 & '<odd>' ü", bytes('x'))
    await store.delete(['a/1', 'a/missing', 'missing/below', "a/3 & '<odd>' ü"])
    await store.delete(['a/1'])
    await store.delete([])
    assert.deepEqual(keysOf(await collect(store, '')), ['a/2'])
  })

  test('gives a store rooted below itself', async () => {
    const store = freshStore()
    const table = store.at('lake/events')
    await table.put('_delta_log/0.json', bytes('x'))
    assert.equal(table.uri, `${store.uri}/lake/events`)
    assert.equal(table.endpoint, store.endpoint)
    assert.deepEqual(keysOf(await collect(store, '')), ['lake/events/_delta_log/0.json'])
    await store.put('lake/events-2/other', bytes('x'))
    assert.deepEqual(keysOf(await collect(table, '')), ['_delta_log/0.json'])
    assert.deepEqual(keysOf(await collect(table, '', { startAfter: '_delta_log/' })), ['_delta_log/0.json'])
    assert.deepEqual(await collect(table, '', { startAfter: '_delta_log/0.json' }), [])
    const log = table.at('_delta_log/')
    assert.equal(text(await log.get('0.json')), 'x')
    assert.equal((await log.head('0.json'))?.key, '0.json')
    await log.delete(['0.json'])
    assert.equal(await table.get('_delta_log/0.json'), null)
    assert.equal(store.at('').uri, store.uri)
  })
}

async function collect(store: ObjectStore, prefix: string, options = {}): Promise<ObjectInfo[]> {
  const found: ObjectInfo[] = []
  for await (const info of store.list(prefix, options)) found.push(info)
  return found
}

function keysOf(infos: readonly ObjectInfo[]): string[] {
  return infos.map(({ key }) => key)
}

function bytes(content: string): Uint8Array {
  return new TextEncoder().encode(content)
}

function text(content: Uint8Array | null): string | null {
  return content === null ? null : new TextDecoder().decode(content)
}
