import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  CONDITIONAL_PUT_MARKER_KEY,
  ensureConditionalPut,
  proveConditionalPut,
} from '../../src/store/atomicity-probe.ts'
import { LocalObjectStore } from '../../src/store/local.ts'
import { MemoryObjectStore } from '../../src/store/memory.ts'
import type { ObjectStore } from '../../src/store/object-store.ts'
import { S3ObjectStore } from '../../src/store/s3.ts'
import { FaultQueue } from '../../src/store/store-fault.ts'
import { type FakeS3Condition, FakeS3Server } from '../fake-s3-server.ts'

const NOW_MS = Date.UTC(2026, 10, 22)
const DAY_MS = 24 * 60 * 60 * 1000
const proof = { random: randomUUID }
const known = { ...proof, now: () => NOW_MS }

async function keysOf(store: ObjectStore): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of store.list('')) keys.push(key)
  return keys
}

function connect(endpoint: string): S3ObjectStore {
  return new S3ObjectStore({
    bucket: 'lake',
    prefix: 'events',
    region: 'us-east-1',
    endpoint,
    forcePathStyle: true,
    credentials: { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' },
    attemptsMax: 2,
  })
}

async function withFake(
  condition: FakeS3Condition,
  run: (fake: FakeS3Server, store: S3ObjectStore) => Promise<void>,
) {
  const fake = await FakeS3Server.start({ condition })
  const store = connect(fake.endpoint)
  try {
    await run(fake, store)
  } finally {
    await store.close()
    await fake.close()
  }
}

test('stores that create once pass, and nothing is left', async () => {
  const memory = new MemoryObjectStore({ now: () => NOW_MS })
  await proveConditionalPut(memory, proof)
  assert.deepEqual(await keysOf(memory), [])
  const directory = await mkdtemp(join(tmpdir(), 'probe-'))
  try {
    const local = new LocalObjectStore(directory)
    await proveConditionalPut(local, proof)
    assert.deepEqual(await keysOf(local), [])
  } finally {
    await rm(directory, { recursive: true })
  }
  await withFake('honour', async (fake, store) => {
    await proveConditionalPut(store, proof)
    assert.deepEqual([...fake.buckets.get('lake')!.keys()], [])
  })
})

test('a server that ignores the condition is refused by the sequence', () =>
  withFake('ignore', async (fake, store) => {
    await assert.rejects(proveConditionalPut(store, proof), {
      code: 'STORE_NOT_ATOMIC',
      retryable: false,
      message: `\`s3://lake/events\` at \`${fake.endpoint}\` does not create an object once when asked by \`If-None-Match: *\`: a second put on the same key was told \`created\``,
    })
    assert.deepEqual([...fake.buckets.get('lake')!.keys()], [])
  }))

test('a server whose races have several winners is refused, although its sequence is right', () =>
  withFake('race', async (_fake, store) => {
    await assert.rejects(proveConditionalPut(store, proof), {
      code: 'STORE_NOT_ATOMIC',
      message: /\d+ of 16 concurrent puts on one key were told `created`/,
    })
    await assert.rejects(ensureConditionalPut(store, known), { code: 'STORE_NOT_ATOMIC' })
    assert.equal(await store.get(CONDITIONAL_PUT_MARKER_KEY), null)
  }))

test('a store that tells one winner and keeps the bytes of another is refused', async () => {
  const memory = new MemoryObjectStore()
  const lying: ObjectStore = Object.assign(Object.create(memory), {
    at: (prefix: string) => {
      const scratch = memory.at(prefix)
      return Object.assign(Object.create(scratch), {
        get: (key: string) => scratch.get(key),
        delete: (keys: string[]) => scratch.delete(keys),
        putIfAbsent: async (key: string, body: Uint8Array) => {
          const result = await scratch.putIfAbsent(key, body)
          if (key.startsWith('race')) await scratch.put(key, body)
          return result
        },
      })
    },
  })
  await assert.rejects(proveConditionalPut(lying, proof), {
    code: 'STORE_NOT_ATOMIC',
    message: /other bytes than the winner's \(`conditional put probe: writer 15/,
  })
})

test('lost answers, conflicts and late writes do not make a good store look broken', async () => {
  const faults = new FaultQueue()
    .add('putIfAbsent', { kind: 'lost-answer' })
    .add('putIfAbsent', { kind: 'own-earlier-write' }, key => key.includes('race-0'))
    .add('putIfAbsent', { kind: 'conflict' }, key => key.includes('race-1'))
    .add('putIfAbsent', { kind: 'lost-answer' }, key => key.includes('race-2'))
    .add('putIfAbsent', { kind: 'throttled' }, key => key.includes('race-3'))
  const store = new MemoryObjectStore({ faults: faults.hook })
  await proveConditionalPut(store, proof)
  assert.equal(faults.pendingCount, 0)
  assert.deepEqual(await keysOf(store), [])
})

test('a store that never answers is unavailable, not broken', async () => {
  const store = new MemoryObjectStore({
    faults: ({ operation }) => (operation === 'putIfAbsent' ? { kind: 'timeout' } : undefined),
  })
  await assert.rejects(proveConditionalPut(store, proof), { code: 'STORE_UNAVAILABLE', retryable: true })
  const losing = new MemoryObjectStore({
    faults: ({ operation }) => (operation === 'putIfAbsent' ? { kind: 'own-earlier-write' } : undefined),
  })
  await assert.rejects(proveConditionalPut(losing, proof), {
    code: 'STORE_UNAVAILABLE',
    message: /no winner in 32 of 32 rounds/,
  })
})

test('a proof is kept, and costs one GET from then on', async () => {
  const store = new MemoryObjectStore({ now: () => NOW_MS })
  assert.equal(await ensureConditionalPut(store, known), 'proved')
  assert.deepEqual(await keysOf(store), [CONDITIONAL_PUT_MARKER_KEY])
  const before = store.callCount
  assert.equal(await ensureConditionalPut(store, known), 'known')
  assert.equal(store.callCount - before, 1)
})

test('a proof that is old, from the future, unreadable, or of another place is made again', async () => {
  const store = new MemoryObjectStore({ now: () => NOW_MS })
  assert.equal(await ensureConditionalPut(store, known), 'proved')
  const later = { ...proof, now: () => NOW_MS + 31 * DAY_MS }
  assert.equal(await ensureConditionalPut(store, later), 'proved')
  assert.equal(await ensureConditionalPut(store, known), 'proved')
  const marker = await store.get(CONDITIONAL_PUT_MARKER_KEY)
  await store.at('copy').put(CONDITIONAL_PUT_MARKER_KEY, marker!)
  assert.equal(await ensureConditionalPut(store.at('copy'), known), 'proved')
  for (const text of ['', '{', 'null', '{"format":2}']) {
    await store.put(CONDITIONAL_PUT_MARKER_KEY, Buffer.from(text))
    assert.equal(await ensureConditionalPut(store, known), 'proved', text)
  }
})

test('a proof of one server does not count for another with the same bucket', () =>
  withFake('honour', async (_fake, store) => {
    assert.equal(await ensureConditionalPut(store, known), 'proved')
    const marker = await store.get(CONDITIONAL_PUT_MARKER_KEY)
    await withFake('ignore', async (_other, copy) => {
      await copy.put(CONDITIONAL_PUT_MARKER_KEY, marker!)
      await assert.rejects(ensureConditionalPut(copy, known), { code: 'STORE_NOT_ATOMIC' })
    })
  }))

test('scratch of a process that died is removed by a later proof', async () => {
  let nowMs = NOW_MS - DAY_MS
  const store = new MemoryObjectStore({ now: () => nowMs })
  await store.put('_stream_ingest/probe-dead/race-0', Buffer.from('x'))
  nowMs = NOW_MS
  await store.put('_stream_ingest/probe-alive/race-0', Buffer.from('x'))
  await ensureConditionalPut(store, known)
  assert.deepEqual(await keysOf(store), [CONDITIONAL_PUT_MARKER_KEY, '_stream_ingest/probe-alive/race-0'])
})

test('an identity that may not delete can still prove', () =>
  withFake('honour', async (fake, store) => {
    fake.faults = ({ action }) =>
      action === 'DeleteObjects' ? { kind: 'answer', status: 403, code: 'AccessDenied' } : undefined
    assert.equal(await ensureConditionalPut(store, known), 'proved')
  }))

test('s3rver, a server that knows no conditions, is refused', async () => {
  const directory = await mkdtemp(join(tmpdir(), 's3rver-'))
  // It has no types, and is CommonJS.
  const S3rver: new (
    options: object,
  ) => {
    run(): Promise<{ port: number }>
    close(): Promise<void>
  } = createRequire(import.meta.url)('s3rver')
  const server = new S3rver({
    address: '127.0.0.1',
    port: 0,
    silent: true,
    directory,
    configureBuckets: [{ name: 'lake', configs: [] }],
  })
  const { port } = await server.run()
  const store = connect(`http://127.0.0.1:${port}`)
  try {
    await assert.rejects(proveConditionalPut(store, proof), { code: 'STORE_NOT_ATOMIC' })
  } finally {
    await store.close()
    await server.close()
    await rm(directory, { recursive: true })
  }
})
