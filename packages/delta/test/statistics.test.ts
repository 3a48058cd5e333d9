import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseDate, parseTimestamp } from '../src/calendar.ts'
import { parseDecimal } from '../src/decimal-text.ts'
import { JsonNumber } from '../src/json.ts'
import { createParquetEncoder } from '../src/parquet/file-encoder.ts'
import { array, type DataType, decimal, field, primitive, type StructType, struct } from '../src/schema.ts'
import {
  collectStatistics,
  formatStatistics,
  parseStatistics,
  type StatisticsOptions,
  statisticsOptionsOf,
  truncateMax,
  truncateMin,
} from '../src/statistics.ts'
import { arbitraryBatchCase, batchOf, type Row } from './column/arbitrary-batch.ts'

const ALL: StatisticsOptions = { columns: null, stringPrefixLength: 32, tightBounds: false }
const utf8 = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

function statsOf(type: DataType, values: readonly unknown[], options = ALL): string {
  const schema = struct([field('x', type)])
  return formatStatistics(
    collectStatistics(
      batchOf(
        schema,
        values.map(x => ({ x })),
      ),
      options,
    ),
  )
}

/** Does the bound, as a reader would read it, hold for the value? */
function assertBounded(type: DataType, min: unknown, max: unknown, value: unknown): void {
  const text = (bound: unknown): string => (bound instanceof JsonNumber ? bound.text : String(bound))
  if (type.kind === 'decimal') {
    if (min !== undefined) assert(parseDecimal(text(min), 38, type.scale)! <= (value as bigint))
    if (max !== undefined) assert(parseDecimal(text(max), 38, type.scale)! >= (value as bigint))
    return
  }
  assert(type.kind === 'primitive')
  switch (type.name) {
    case 'string':
      if (min !== undefined) assert(utf8(min as string, value as string) <= 0)
      if (max !== undefined) assert(utf8(max as string, value as string) >= 0)
      return
    case 'long':
      assert(BigInt(text(min)) <= (value as bigint) && BigInt(text(max)) >= (value as bigint))
      return
    case 'timestamp':
    case 'timestamp_ntz':
      if (min !== undefined) assert(parseTimestamp(min as string)! <= (value as bigint))
      if (max !== undefined) assert(parseTimestamp(max as string)! + 999n >= (value as bigint))
      return
    case 'date':
      if (min !== undefined) assert(parseDate(min as string)! <= (value as number))
      if (max !== undefined) assert(parseDate(max as string)! >= (value as number))
      return
    default:
      if (min !== undefined) assert(Number(text(min)) <= (value as number))
      if (max !== undefined) assert(Number(text(max)) >= (value as number))
  }
}

function assertStruct(
  schema: StructType,
  rows: readonly (Row | null)[],
  stats: { min: Row; max: Row; nulls: Row },
): void {
  for (const { name, type } of schema.fields) {
    const values = rows.map(row => row?.[name] ?? null)
    if (type.kind === 'struct') {
      const nested = { min: stats.min[name] ?? {}, max: stats.max[name] ?? {}, nulls: stats.nulls[name] }
      assertStruct(type, values as (Row | null)[], nested as { min: Row; max: Row; nulls: Row })
      continue
    }
    assert.equal(stats.nulls[name], values.filter(v => v === null).length)
    if (stats.min[name] === undefined && stats.max[name] === undefined) continue
    for (const value of values)
      if (value !== null) assertBounded(type, stats.min[name], stats.max[name], value)
  }
}

test('statistics bound every row of any batch and count every null', () => {
  fc.assert(
    fc.property(
      arbitraryBatchCase({ depth: 2, rowsMin: 1 }),
      fc.integer({ min: 1, max: 8 }),
      ({ schema, rows }, length) => {
        const options = { ...ALL, stringPrefixLength: length }
        const stats = parseStatistics(formatStatistics(collectStatistics(batchOf(schema, rows), options)))!
        assert.equal(stats.numRecords, rows.length)
        assertStruct(schema, rows, { min: stats.minValues!, max: stats.maxValues!, nulls: stats.nullCount! })
      },
    ),
    { numRuns: 500 },
  )
})

test('truncated bounds hold in the order of UTF-8 bytes, and never split a pair', () => {
  const units = fc.constantFrom(
    'a',
    '\u007e',
    '\u007f',
    '\u0080',
    'é',
    '\ue000',
    '\uffff',
    '\u{10000}',
    '\u{10ffff}',
  )
  fc.assert(
    fc.property(fc.array(units, { maxLength: 12 }), fc.integer({ min: 1, max: 4 }), (chars, length) => {
      const value = chars.join('')
      const min = truncateMin(value, length)!
      const max = truncateMax(value, length)
      assert(utf8(min, value) <= 0 && min.isWellFormed())
      if (max !== null) assert(utf8(max, value) >= 0 && max.isWellFormed())
    }),
    { numRuns: 2000 },
  )
})

test('a long upper bound ends in the smallest character that is sure to be greater', () => {
  assert.equal(truncateMax('abcdef', 3), 'abc\u007f')
  assert.equal(truncateMax('abc\u007fef', 3), 'abc\u{10ffff}')
  assert.equal(truncateMax('abcé', 3), 'abc\u{10ffff}')
  assert.equal(truncateMax(`abc${'\u{10ffff}'}d`, 3), `abc${'\u{10ffff}'}\u007f`)
  assert.equal(truncateMax('\u{10ffff}'.repeat(9), 3), null)
  assert.equal(truncateMin('ab\u{10000}c', 3), 'ab\u{10000}')
  assert.equal(truncateMin('abc', 0), null)
})

test('longs that share their upper half are told apart', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: -20n, max: 20n }),
      fc.array(fc.bigInt({ min: -9n, max: 9n }), { minLength: 1 }),
      (high, lows) => {
        const values = lows.map(low => BigInt.asIntN(64, (high << 32n) + low))
        const sorted = values.toSorted((a, b) => (a < b ? -1 : 1))
        assert.match(
          statsOf(primitive('long'), values),
          new RegExp(`"x":${sorted[0]}\\}.*"x":${sorted.at(-1)}\\}`),
        )
      },
    ),
  )
})

test('numbers are exact', () => {
  assert.equal(
    statsOf(primitive('long'), [9223372036854775807n, -9223372036854775808n]),
    '{"numRecords":2,"minValues":{"x":-9223372036854775808},"maxValues":{"x":9223372036854775807},"nullCount":{"x":0}}',
  )
  assert.equal(
    statsOf(decimal(38, 2), [12345678901234567890123456789012345678n, -5n, null]),
    '{"numRecords":3,"minValues":{"x":-0.05},"maxValues":{"x":123456789012345678901234567890123456.78},"nullCount":{"x":1}}',
  )
})

test('timestamps are rounded down to milliseconds, before 1970 too', () => {
  assert.equal(
    statsOf(primitive('timestamp'), [-1n, 1999n]),
    '{"numRecords":2,"minValues":{"x":"1969-12-31T23:59:59.999Z"},"maxValues":{"x":"1970-01-01T00:00:00.001Z"},"nullCount":{"x":0}}',
  )
  assert.match(statsOf(primitive('timestamp_ntz'), [0n]), /"1970-01-01T00:00:00\.000"/)
})

test('NaN omits both bounds, an infinity its own, and zero has a sign for each side', () => {
  assert.equal(
    statsOf(primitive('double'), [1, Number.NaN]),
    '{"numRecords":2,"minValues":{},"maxValues":{},"nullCount":{"x":0}}',
  )
  assert.equal(
    statsOf(primitive('double'), [1, Number.POSITIVE_INFINITY]),
    '{"numRecords":2,"minValues":{"x":1},"maxValues":{},"nullCount":{"x":0}}',
  )
  assert.equal(
    statsOf(primitive('float'), [0]),
    '{"numRecords":1,"minValues":{"x":-0.0},"maxValues":{"x":0},"nullCount":{"x":0}}',
  )
})

test('dates and timestamps outside the years 1 to 9999 omit the bound', () => {
  assert.equal(
    statsOf(primitive('date'), [-800_000, 0]),
    '{"numRecords":2,"minValues":{},"maxValues":{"x":"1970-01-01"},"nullCount":{"x":0}}',
  )
  assert.equal(
    statsOf(primitive('timestamp'), [0n, 2n ** 62n]),
    '{"numRecords":2,"minValues":{"x":"1970-01-01T00:00:00.000Z"},"maxValues":{},"nullCount":{"x":0}}',
  )
})

test('a column of nulls, booleans and arrays have null counts only', () => {
  assert.equal(
    statsOf(primitive('long'), [null, null]),
    '{"numRecords":2,"minValues":{},"maxValues":{},"nullCount":{"x":2}}',
  )
  assert.equal(
    statsOf(primitive('boolean'), [true, null]),
    '{"numRecords":2,"minValues":{},"maxValues":{},"nullCount":{"x":1}}',
  )
  assert.equal(
    statsOf(array(primitive('long')), [[1n], null]),
    '{"numRecords":2,"minValues":{},"maxValues":{},"nullCount":{"x":1}}',
  )
})

test('a null struct is a null in each of its leaves', () => {
  const type = struct([field('a', primitive('long'), false), field('b', primitive('string'))])
  assert.equal(
    statsOf(type, [{ a: 7n, b: null }, null]),
    '{"numRecords":2,"minValues":{"x":{"a":7}},"maxValues":{"x":{"a":7}},"nullCount":{"x":{"a":1,"b":2}}}',
  )
})

test('a long string is not decoded beyond what its bound needs', () => {
  const long = `b${'é'.repeat(3_000_000)}`
  assert.match(statsOf(primitive('string'), ['a', long]), /"maxValues":\{"x":"bé{31}\u{10ffff}"\}/u)
})

test('a string that is not UTF-8 has no bound', () => {
  assert.equal(
    statsOf(primitive('string'), [new Uint8Array([0xff, 0x41])]),
    '{"numRecords":1,"minValues":{},"maxValues":{},"nullCount":{"x":0}}',
  )
})

test('the table says which columns get statistics', () => {
  const schema = struct([
    field('p', primitive('date')),
    field('a', primitive('long')),
    field('s', struct([field('b', primitive('long')), field('c.d', primitive('long'))])),
    field('e', primitive('long')),
  ])
  const columnsFor = (configuration: Record<string, string>, clustering?: string): string[] | null => {
    const metadata = {
      id: '',
      format: { provider: 'parquet', options: {} },
      schemaString: '',
      partitionColumns: ['p'],
      configuration,
    }
    const protocol = { minReaderVersion: 1, minWriterVersion: 2 }
    const domain = { domain: 'delta.clustering', configuration: clustering ?? '', removed: false }
    const domainMetadata = new Map(clustering === undefined ? [] : [[domain.domain, domain]])
    const { columns } = statisticsOptionsOf({ schema, metadata, protocol, domainMetadata })
    return columns === null ? null : [...columns].map(key => key.replaceAll('\0', '/'))
  }
  assert.deepEqual(columnsFor({}), ['a', 's/b', 's/c.d', 'e'])
  assert.deepEqual(columnsFor({ 'delta.dataSkippingNumIndexedCols': '2' }), ['a', 's/b'])
  assert.deepEqual(columnsFor({ 'delta.dataSkippingNumIndexedCols': '0' }), [])
  assert.equal(columnsFor({ 'delta.dataSkippingNumIndexedCols': '-1' }), null)
  assert.deepEqual(columnsFor({ 'delta.dataSkippingStatsColumns': 'E, s.`c.d`, p' }), ['s/c.d', 'e'])
  assert.deepEqual(columnsFor({ 'delta.dataSkippingStatsColumns': 's' }), ['s/b', 's/c.d'])
  const few = { 'delta.dataSkippingNumIndexedCols': '1' }
  assert.deepEqual(columnsFor(few, '{"clusteringColumns":[["s","c.d"],["e"]]}'), ['a', 's/c.d', 'e'])
  assert.deepEqual(columnsFor(few, '{"clusteringColumns":["e"]}'), ['a', 'e'], 'the form of the protocol')
  assert.deepEqual(columnsFor(few, 'no JSON'), ['a'])
  assert.equal(
    columnsFor({ 'delta.dataSkippingNumIndexedCols': '-1' }, '{"clusteringColumns":[["e"]]}'),
    null,
  )
  assert.throws(() => columnsFor({ 'delta.dataSkippingStatsColumns': 'a,`b' }), {
    code: 'DELTA_PROPERTY_INVALID',
  })
})

test('a table with deletion vectors gets tight bounds', () => {
  const schema = struct([field('x', primitive('long'))])
  const batch = batchOf(schema, [{ x: 1n }])
  assert.match(
    formatStatistics(collectStatistics(batch, { ...ALL, tightBounds: true })),
    /"tightBounds":true\}$/,
  )
})

test('statistics from the bounds that the encoder has found are those of the columns', () => {
  const encoder = createParquetEncoder()
  fc.assert(
    fc.property(
      arbitraryBatchCase({ depth: 2, rowsMin: 1, rowsMax: 40 }),
      fc.integer({ min: 1, max: 40 }),
      ({ schema, rows }, rowGroupRows) => {
        const batch = batchOf(schema, rows)
        const { bounds } = encoder.encode(batch, { codec: 'none', rowGroupRows, pageRows: 7 })
        assert(bounds !== undefined)
        assert.equal(
          formatStatistics(collectStatistics(batch, ALL, bounds)),
          formatStatistics(collectStatistics(batch, ALL)),
        )
      },
    ),
    { numRuns: 500 },
  )
})
