import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryObjectStore } from '../../src/store/memory.ts'
import { FaultQueue, InjectedCrash, type StoreFault } from '../../src/store/store-fault.ts'
import { testObjectStore } from '../contract/object-store.ts'

testObjectStore('memory', {
  open: async () => new MemoryObjectStore({ name: 'test' }),
  bigBodyBytes: 1 << 20,
})

const body = Buffer.from('body')

function storeWith(operation: 'get' | 'put' | 'putIfAbsent' | 'delete', fault: StoreFault) {
  const faults = new FaultQueue().add(operation, fault)
  return { faults, store: new MemoryObjectStore({ faults: faults.hook }) }
}

test('a lost answer leaves the object behind, and the next put finds it', async () => {
  const { store, faults } = storeWith('putIfAbsent', { kind: 'lost-answer' })
  assert.equal((await store.putIfAbsent('key', body)).status, 'unknown')
  assert.deepEqual(await store.putIfAbsent('key', body), { status: 'exists' })
  assert.equal(faults.pendingCount, 0)
  const plain = storeWith('put', { kind: 'lost-answer' })
  await assert.rejects(plain.store.put('key', body), { code: 'STORE_UNAVAILABLE', retryable: true })
  assert.notEqual(await plain.store.get('key'), null)
})

test('an own earlier write is reported as an object that exists', async () => {
  const { store } = storeWith('putIfAbsent', { kind: 'own-earlier-write' })
  assert.deepEqual(await store.putIfAbsent('key', body), { status: 'exists' })
  assert.deepEqual(Buffer.from((await store.get('key'))!), body)
})

test('a conflict, a timeout, throttling and a broken upload do nothing and stay unknown', async () => {
  for (const kind of ['conflict', 'timeout', 'throttled', 'partial-upload'] as const) {
    const { store } = storeWith('putIfAbsent', { kind })
    assert.equal((await store.putIfAbsent('key', body)).status, 'unknown', kind)
    assert.equal(await store.get('key'), null, kind)
    assert.deepEqual(await store.putIfAbsent('key', body), { status: 'created' }, kind)
  }
  const throttled = storeWith('get', { kind: 'throttled' })
  await assert.rejects(throttled.store.get('key'), { code: 'STORE_THROTTLED' })
})

test('a late write happens when it is delivered, a conditional one only where nothing is', async () => {
  const { store } = storeWith('putIfAbsent', { kind: 'late-write' })
  assert.equal((await store.putIfAbsent('key', Buffer.from('late'))).status, 'unknown')
  assert.equal(await store.get('key'), null)
  await store.put('key', Buffer.from('other'))
  assert.equal(store.deliverLateWrites(), 1)
  assert.equal(String(Buffer.from((await store.get('key'))!)), 'other')
  const free = storeWith('putIfAbsent', { kind: 'late-write' })
  await free.store.putIfAbsent('key', body)
  free.store.deliverLateWrites()
  assert.deepEqual(await free.store.putIfAbsent('key', body), { status: 'exists' })
})

test('a crash is no operational error, and happens before or after the work', async () => {
  for (const moment of ['before', 'after'] as const) {
    const { store } = storeWith('putIfAbsent', { kind: 'crash', moment })
    await assert.rejects(store.putIfAbsent('key', body), InjectedCrash)
    assert.equal((await store.get('key')) !== null, moment === 'after')
  }
})

test('a slow call waits by the given clock, then does what is asked', async () => {
  const waits: number[] = []
  const faults = new FaultQueue()
    .add('put', { kind: 'slow', delayMs: 70 })
    .add('put', { kind: 'slow', delayMs: 80, outcome: { kind: 'timeout' } })
  const store = new MemoryObjectStore({
    now: () => 1234,
    faults: faults.hook,
    wait: async delayMs => void waits.push(delayMs),
  })
  await store.put('key', body)
  assert.equal((await store.head('key'))?.lastModifiedMs, 1234)
  await assert.rejects(store.put('other', body), { code: 'STORE_UNAVAILABLE' })
  assert.deepEqual(waits, [70, 80])
})

test('faults are asked for per call with the key below the outermost root', async () => {
  const calls: string[] = []
  const store = new MemoryObjectStore({
    faults: ({ operation, key, ordinal }) => {
      calls.push(`${ordinal} ${operation} ${key}`)
      return undefined
    },
  })
  const table = store.at('lake').at('events')
  await table.put('a', body)
  await table.get('a')
  for await (const _ of table.list('a')) break
  await table.delete(['a', 'b'])
  assert.deepEqual(calls, [
    '0 put lake/events/a',
    '1 get lake/events/a',
    '2 list lake/events/a',
    '3 delete lake/events/a',
  ])
  assert.equal(store.callCount, 4)
})
