import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  BinaryBuilder,
  BooleanBuilder,
  columnValue,
  DecimalBuilder,
  Int64Builder,
  NumberBuilder,
} from '../../src/column/index.ts'
import { decimal, primitive } from '../../src/schema.ts'

test('a decimal appended as number, words or bigint is the same 128 bits', () => {
  const values = [
    0n,
    1n,
    -1n,
    2n ** 53n - 1n,
    -(2n ** 53n) + 1n,
    2n ** 64n,
    -(10n ** 38n) + 1n,
    10n ** 38n - 1n,
  ]
  const builder = new DecimalBuilder(decimal(38, 0))
  for (const value of values) {
    const word = (shift: bigint) => Number(BigInt.asIntN(32, value >> shift))
    builder.append(value)
    builder.appendWords(word(0n), word(32n), word(64n), word(96n))
    const small = Number(value)
    if (Number.isSafeInteger(small)) builder.appendNumber(small)
    else builder.append(value)
  }
  values.forEach((value, i) => {
    for (let copy = 0; copy < 3; copy++) assert.equal(builder.at(i * 3 + copy), value)
  })
  const column = builder.finish()
  assert.equal(columnValue(column, 23), 10n ** 38n - 1n)
})

test('rows can be read back while the builder fills, across its growth', () => {
  const type = primitive('boolean')
  const booleans = new BooleanBuilder(type)
  const decimals = new DecimalBuilder(decimal(20, 0))
  for (let i = 0; i < 3000; i++) {
    if (i % 7 === 0) {
      booleans.appendNull()
      decimals.appendNull()
    } else {
      booleans.append(i % 3 === 0)
      decimals.appendNumber(-i)
    }
    const row = i - (i % 5)
    assert.equal(booleans.isNullAt(row), row % 7 === 0)
    assert.equal(decimals.isNullAt(row), row % 7 === 0)
    if (row % 7 !== 0) {
      assert.equal(booleans.at(row), row % 3 === 0)
      assert.equal(decimals.at(row), BigInt(-row))
    }
  }
})

test('rows written in one go are those written one by one, nulls around them or not', () => {
  const runs = fc.array(
    fc.record({ count: fc.nat(3_000), isNullAfter: fc.boolean(), base: fc.maxSafeNat(), text: fc.string() }),
    { maxLength: 5 },
  )
  fc.assert(
    fc.property(runs, given => {
      const pairs = [
        [new NumberBuilder(primitive('integer')), new NumberBuilder(primitive('integer'))],
        [new Int64Builder(primitive('long')), new Int64Builder(primitive('long'))],
        [new BinaryBuilder(primitive('string')), new BinaryBuilder(primitive('string'))],
      ] as const
      const [[number, numberByOne], [long, longByOne], [text, textByOne]] = pairs
      for (const { count, isNullAfter, base: any, text: value } of given) {
        const base = Math.min(any, Number.MAX_SAFE_INTEGER - 2 ** 31)
        const deltas = Int32Array.from({ length: count + 2 }, (_, i) => i * 7)
        const bytes = new TextEncoder().encode(value)
        number.appendRepeated(count, count)
        long.appendSums(base, deltas, 1, count + 1)
        text.appendRepeated(bytes, count)
        for (let i = 0; i < count; i++) {
          numberByOne.append(count)
          longByOne.append(BigInt(base) + BigInt(deltas[i + 1]!))
          textByOne.append(bytes)
        }
        if (isNullAfter) for (const builder of pairs.flat()) builder.appendNull()
      }
      for (const [together, byOne] of pairs) assert.deepEqual(together.finish(), byOne.finish())
    }),
    { numRuns: 100 },
  )
})
