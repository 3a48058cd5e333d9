import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deletionVectorId, logicalFileKey } from '../src/deletion-vector-id.ts'

const vector = {
  storageType: 'u',
  pathOrInlineDv: 'ab^-aqEH.-t@S}K{vb[*k^',
  sizeInBytes: 40,
  cardinality: 6,
} as const

test('vectors of one file at two offsets are two', () => {
  assert.equal(deletionVectorId(vector), 'uab^-aqEH.-t@S}K{vb[*k^')
  assert.equal(deletionVectorId({ ...vector, offset: 0 }), 'uab^-aqEH.-t@S}K{vb[*k^@0')
  assert.notEqual(deletionVectorId({ ...vector, offset: 1 }), deletionVectorId({ ...vector, offset: 2 }))
})

test('a file with a vector and the same file without are two', () => {
  assert.equal(logicalFileKey({ path: 'a' }), 'a')
  assert.notEqual(logicalFileKey({ path: 'a', deletionVector: vector }), logicalFileKey({ path: 'a' }))
})
