import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { FaultQueue, MemoryObjectStore } from '@stream-ingest/delta'
import { type IngestEvents, subscribe } from '../../src/observe/event.ts'
import { ObservedStore } from '../../src/pipeline/observed-store.ts'
import { fixedRuntime } from './table-fixture.ts'

type Requested = IngestEvents['store:requested']

/** Each call takes as many milliseconds as calls were made before, by the clock of the test. */
function openScene(t: TestContext, faults = new FaultQueue()) {
  const runtime = fixedRuntime()
  const slow = new MemoryObjectStore({
    faults: call => {
      runtime.nowMs += 10
      return faults.hook(call)
    },
  })
  const told: Requested[] = []
  t.after(subscribe('store:requested', event => told.push(event)))
  return { runtime, told, store: new ObservedStore(slow, 'orders', runtime) }
}

suite('a store that is watched', () => {
  test('tells each call with its time, and gives what the store gives', async t => {
    const { store, told } = openScene(t)
    const body = new Uint8Array([1, 2])
    await store.put('a/1', body)
    assert.deepEqual(await store.putIfAbsent('a/1', body), { status: 'exists' })
    assert.deepEqual(await store.at('a').get('1'), body)
    assert.equal((await store.head('a/1'))?.sizeBytes, 2)
    await store.delete(['a/1'])
    assert.deepEqual(
      told.map(({ operation, durationMs, error }) => [operation, durationMs, error]),
      ['put', 'putIfAbsent', 'get', 'head', 'delete'].map(operation => [operation, 10, null]),
    )
    assert(told.every(({ pipeline }) => pipeline === 'orders'))
  })

  test('tells a listing once, without the time between its objects, also where the caller stops early', async t => {
    const { store, told, runtime } = openScene(t)
    for (const key of ['1', '2', '3']) await store.put(key, new Uint8Array())
    told.length = 0
    for await (const { key } of store.list('')) {
      runtime.nowMs += 1_000
      if (key === '2') break
    }
    assert.deepEqual(
      told.map(({ operation, durationMs }) => [operation, durationMs]),
      [['list', 10]],
    )
  })

  test('tells failures, those that are an answer too', async t => {
    const faults = new FaultQueue()
      .add('get', { kind: 'throttled' })
      .add('list', { kind: 'throttled' })
      .add('putIfAbsent', { kind: 'timeout' })
    const { store, told } = openScene(t, faults)
    await assert.rejects(store.get('a'))
    await assert.rejects(async () => {
      for await (const _ of store.list(''));
    })
    assert.equal((await store.putIfAbsent('a', new Uint8Array())).status, 'unknown')
    assert.deepEqual(
      told.map(({ operation, error }) => [operation, error instanceof Error]),
      [
        ['get', true],
        ['list', true],
        ['putIfAbsent', true],
      ],
    )
  })
})
