import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { freeBytes } from '../../src/column/free-bytes.ts'

describe('freed bytes', () => {
  test('are gone for every view of them', () => {
    const bytes = new Uint8Array(100).fill(1)
    const view = bytes.subarray(10, 20)
    freeBytes(bytes)
    assert.deepEqual([bytes.length, view.length, bytes.buffer.byteLength], [0, 0, 0])
  })

  test('are all of their memory: a part of one that others may read stays', () => {
    const bytes = new Uint8Array(100).fill(1)
    freeBytes(bytes.subarray(1))
    freeBytes(bytes.subarray(0, 99))
    assert.ok(bytes.every(byte => byte === 1))
    const shared = new Uint8Array(new SharedArrayBuffer(8))
    freeBytes(shared)
    assert.equal(shared.length, 8)
  })

  test('may be freed again', () => {
    const bytes = new Uint8Array(8)
    freeBytes(bytes)
    freeBytes(bytes)
    assert.equal(bytes.length, 0)
  })
})
