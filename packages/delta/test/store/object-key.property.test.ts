import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { checkKey, checkPrefix, compareKeys } from '../../src/store/object-key.ts'

const text = fc.string({ unit: 'binary', maxLength: 12 })

test('keys are ordered as their UTF-8 bytes', () => {
  fc.assert(
    fc.property(text, text, (left, right) => {
      const expected = Buffer.compare(Buffer.from(left), Buffer.from(right))
      assert.equal(Math.sign(compareKeys(left, right)), expected)
    }),
  )
})

test('every start of an accepted key is an accepted prefix', () => {
  const key = fc
    .array(fc.constantFrom('a', '.', '..', 'ü', '.x', '..y'), { minLength: 1, maxLength: 5 })
    .map(segments => segments.join('/'))
  fc.assert(
    fc.property(key, fc.nat(20), (whole, length) => {
      try {
        checkKey(whole)
      } catch {
        return
      }
      checkPrefix(whole.slice(0, length))
    }),
  )
})
