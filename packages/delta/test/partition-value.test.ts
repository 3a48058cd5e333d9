import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  formatJavaNumber,
  formatPartitionValue,
  normalizePartitionValue,
  type PartitionValue,
  parsePartitionValue,
} from '../src/partition-value.ts'
import { type DataType, decimal, primitive } from '../src/schema.ts'
import { arbitraryValue } from './column/arbitrary-batch.ts'

const types: DataType[] = [
  ...(
    [
      'string',
      'long',
      'integer',
      'short',
      'byte',
      'float',
      'double',
      'boolean',
      'date',
      'timestamp',
      'timestamp_ntz',
    ] as const
  ).map(primitive),
  decimal(10, 2),
  decimal(38, 38),
  decimal(38, 0),
]

test('any value of any type survives formatting and parsing', () => {
  const typed = fc
    .constantFrom(...types)
    .chain(type => arbitraryValue(type, true).map(value => ({ type, value: value as PartitionValue | null })))
  fc.assert(
    fc.property(typed, ({ type, value }) => {
      const text = formatPartitionValue(type, value)
      const parsed = parsePartitionValue(type, text)
      assert.deepEqual(parsed, value === '' ? null : value)
      assert.equal(normalizePartitionValue(type, text), text)
    }),
    { numRuns: 1000 },
  )
})

test('values have the text that other engines write', () => {
  const cases: [DataType, PartitionValue, string][] = [
    [primitive('double'), 1, '1.0'],
    [primitive('double'), 0.001, '0.001'],
    [primitive('double'), 0.0001, '1.0E-4'],
    [primitive('double'), 1e10, '1.0E10'],
    [primitive('double'), 1234567.5, '1234567.5'],
    [primitive('double'), 1.25e21, '1.25E21'],
    [primitive('double'), -0, '-0.0'],
    [primitive('double'), Number.NaN, 'NaN'],
    [primitive('double'), Number.NEGATIVE_INFINITY, '-Infinity'],
    [primitive('float'), Math.fround(0.1), '0.1'],
    [decimal(10, 2), -5n, '-0.05'],
    [primitive('date'), -719162, '0001-01-01'],
    [primitive('date'), 19675, '2023-11-14'],
    [primitive('timestamp'), 1_700_000_000_123_456n, '2023-11-14T22:13:20.123456Z'],
    [primitive('timestamp'), -1n, '1969-12-31T23:59:59.999999Z'],
    [primitive('timestamp_ntz'), 1_700_000_000_000_000n, '2023-11-14 22:13:20'],
    [primitive('timestamp_ntz'), 1_700_000_000_000_001n, '2023-11-14 22:13:20.000001'],
    [primitive('binary'), new Uint8Array([1, 2]), '\u0001\u0002'],
    [primitive('boolean'), true, 'true'],
  ]
  for (const [type, value, text] of cases) assert.equal(formatPartitionValue(type, value), text)
})

test('null and the empty string are null for every type', () => {
  for (const type of types) {
    assert.equal(formatPartitionValue(type, null), null)
    assert.equal(parsePartitionValue(type, ''), null)
    assert.equal(parsePartitionValue(type, null), null)
  }
  assert.equal(formatPartitionValue(primitive('string'), ''), null)
})

test('two spellings of one value are one partition', () => {
  const same: [DataType, string, string][] = [
    [primitive('double'), '1', '1.0'],
    [primitive('timestamp'), '2023-11-14 22:13:20', '2023-11-14T22:13:20.000000Z'],
    [primitive('timestamp'), '2023-11-14T14:13:20-08:00', '2023-11-14T22:13:20.000000Z'],
    [primitive('timestamp_ntz'), '2023-11-14T22:13:20.5', '2023-11-14 22:13:20.500000'],
    [decimal(10, 2), '1.5', '1.50'],
    [primitive('integer'), '+7', '7'],
    [primitive('boolean'), 'TRUE', 'true'],
  ]
  for (const [type, text, normal] of same) assert.equal(normalizePartitionValue(type, text), normal)
})

test('text that does not fit the type is refused with both', () => {
  const wrong: [DataType, string][] = [
    [primitive('byte'), '128'],
    [primitive('integer'), '1.5'],
    [primitive('integer'), '2147483648'],
    [primitive('long'), '9223372036854775808'],
    [primitive('date'), '2023-02-30'],
    [primitive('timestamp'), 'yesterday'],
    [primitive('boolean'), 'yes'],
    [decimal(3, 1), '123.4'],
    [decimal(3, 1), '1.23'],
    [primitive('double'), 'one'],
  ]
  for (const [type, text] of wrong) {
    assert.throws(() => parsePartitionValue(type, text), {
      code: 'DELTA_LOG_CORRUPT',
      message: new RegExp(text.replace('.', '\\.')),
    })
  }
})

test('a binary value that is no text has no partition value', () => {
  assert.throws(() => formatPartitionValue(primitive('binary'), new Uint8Array([0xff])), {
    code: 'DELTA_SCHEMA_INVALID',
  })
})

test('any double and any float has a text that reads back the same', () => {
  fc.assert(fc.property(fc.double(), value => Object.is(Number(formatJavaNumber(value, false)), value)))
  fc.assert(
    fc.property(fc.float(), value => Object.is(Math.fround(Number(formatJavaNumber(value, true))), value)),
  )
})
