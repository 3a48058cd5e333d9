import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ARENA_KEPT_MAX_BYTES, Arena } from '../../src/column/arena.ts'

describe('an arena', () => {
  test('hands out arrays of every type that share nothing', () => {
    const arena = new Arena()
    const bytes = arena.take(Uint8Array, 3).fill(1)
    const words = arena.take(BigInt64Array, 2).fill(2n)
    const numbers = arena.take(Float64Array, 1).fill(3)
    const none = arena.take(Int32Array, 0)
    assert.deepEqual([...bytes], [1, 1, 1])
    assert.deepEqual([...words], [2n, 2n])
    assert.deepEqual([...numbers], [3])
    assert.equal(none.length, 0)
  })

  test('grows by what does not fit, and has all of it in one piece the next time', () => {
    const arena = new Arena()
    const first = arena.take(Uint8Array, 1 << 20)
    const second = arena.take(Uint8Array, 3 << 20)
    assert.notEqual(first.buffer, second.buffer)
    arena.reset()
    assert.equal(arena.sizeBytes, 4 << 20)
    assert.equal(arena.take(Uint8Array, 1 << 20).buffer, arena.take(Uint8Array, 3 << 20).buffer)
    arena.reset()
    assert.equal(arena.sizeBytes, 4 << 20, 'used again, it does not grow')
  })

  test('gives back what is more than it may keep', () => {
    const arena = new Arena()
    arena.take(Uint8Array, ARENA_KEPT_MAX_BYTES + 1)
    arena.reset()
    assert.equal(arena.sizeBytes, 0)
    for (let i = 0; i < 3; i++) arena.take(Uint8Array, ARENA_KEPT_MAX_BYTES / 2)
    arena.reset()
    assert.equal(arena.sizeBytes, 0)
  })
})
