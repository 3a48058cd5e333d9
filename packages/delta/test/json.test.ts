import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatJson, JsonNumber, parseJson, parseJsonLossless } from '../src/json.ts'

test('integers beyond 2^53 become bigint and others stay numbers', () => {
  const parsed = parseJson(
    '{"a":9223372036854775807,"b":9007199254740991,"c":-9007199254740992,"d":1.5,"e":"9223372036854775807"}',
  )
  assert.deepEqual(parsed, {
    a: 9223372036854775807n,
    b: 9007199254740991,
    c: -9007199254740992n,
    d: 1.5,
    e: '9223372036854775807',
  })
})

test('a number with a fraction is a double even where it is long', () => {
  assert.equal(parseJson('12345678901234567.5'), Number('12345678901234567.5'))
})

test('lossless parsing gives back every number as it was written', () => {
  const text = '{"a":1.50,"b":-0.0,"c":1e3,"d":9223372036854775807,"e":12,"f":[0.1,100.00],"g":1.0}'
  assert.equal(formatJson(parseJsonLossless(text)), text)
})

test('bigints and exact numbers are bare in the text', () => {
  assert.equal(
    formatJson({ a: -(2n ** 63n), b: new JsonNumber('123.4500'), c: undefined }),
    '{"a":-9223372036854775808,"b":123.4500}',
  )
})

test('a value that JSON cannot hold is a bug', () => {
  assert.throws(() => formatJson({ a: Number.NaN }), assert.AssertionError)
  assert.throws(() => new JsonNumber('NaN'), assert.AssertionError)
})

test('any 64-bit integer survives formatting and parsing', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), value => {
      assert.equal(BigInt(parseJson(formatJson([value]))![0 as never] as bigint), value)
    }),
  )
})

test('any JSON survives formatting and parsing', () => {
  fc.assert(
    fc.property(fc.jsonValue(), value => {
      // Doubles beyond 2^53 come back as bigint, so the text is compared. JSON.stringify writes −0 as 0, this as −0.0.
      const text = formatJson(parseJson(formatJson(value)))
      assert.equal(JSON.stringify(JSON.parse(text)), JSON.stringify(value))
    }),
    { examples: [[[{ '': [2 ** 53] }]], [-0]] },
  )
})
