import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  checkTable,
  collectStatistics,
  createParquetEncoder,
  loadSnapshot,
  parseStatistics,
  writeCheckpoint,
} from '@stream-ingest/delta'
import { dataFileFormatOf } from '../../src/data-file-format.ts'
import { array, type DataType, decimal, field, map, primitive, struct } from '../../src/schema.ts'
import { formatStatistics, type StatisticsOptions, statisticsOptionsOf } from '../../src/statistics.ts'
import { batchOf, type Row } from '../column/arbitrary-batch.ts'
import { readAll } from '../operation/scan-fixture.ts'
import { createTable, row } from './mistake-table.ts'

const ALL: StatisticsOptions = { columns: null, stringPrefixLength: 32, tightBounds: false }

/** As the log has them. */
function statsOf(type: DataType, ...values: unknown[]): Record<string, unknown> {
  const schema = struct([field('c', type)])
  const rows: Row[] = values.map(c => ({ c }))
  return JSON.parse(formatStatistics(collectStatistics(batchOf(schema, rows), ALL)))
}

test('12: bounds of timestamps are rounded down to milliseconds, before 1970 too (delta-rs #3288, #3133; kernel-rs #3073)', () => {
  const { minValues, maxValues } = statsOf(primitive('timestamp'), -1n, 1_999n)
  assert.deepEqual(
    [minValues, maxValues],
    [{ c: '1969-12-31T23:59:59.999Z' }, { c: '1970-01-01T00:00:00.001Z' }],
  )
})

test('13: a greatest timestamp counts up to the next millisecond (kernel-rs #1002, #1003, #2249)', async () => {
  const schema = struct([field('at', primitive('timestamp'))])
  const table = await createTable({ schema })
  const stats =
    '{"numRecords":1,"minValues":{"at":"1970-01-01T00:00:00.001Z"},"maxValues":{"at":"1970-01-01T00:00:00.001Z"}}'
  await table.commit({ add: await table.file('a.parquet', [{ at: 1_999n }], { stats }, schema) })
  assert.deepEqual((await checkTable(table.store, { deep: true })).findings, [])
})

test('14: bounds of timestamps are read with the offset that some engines write (delta #5568, #5512)', async () => {
  const schema = struct([field('at', primitive('timestamp'))])
  const table = await createTable({ schema })
  const bound = (text: string): string =>
    `{"numRecords":1,"minValues":{"at":"${text}"},"maxValues":{"at":"${text}"}}`
  const right = await table.file(
    'a.parquet',
    [{ at: 28_800_000_000n }],
    { stats: bound('1970-01-01T00:00:00.000-08:00') },
    schema,
  )
  await table.commit({ add: right })
  assert.deepEqual((await checkTable(table.store, { deep: true })).findings, [])
  const wrong = await table.file(
    'b.parquet',
    [{ at: 0n }],
    { stats: bound('1970-01-01T00:00:00.000-08:00') },
    schema,
  )
  await table.commit({ add: wrong })
  assert.equal((await checkTable(table.store, { deep: true })).findings.length, 1)
})

test('15: decimals keep every digit and their scale (delta-rs #4757, #1208, #2193, #2221, #3909)', () => {
  const text = formatStatistics(
    collectStatistics(
      batchOf(struct([field('c', decimal(38, 2))]), [
        { c: 12_345_678_901_234_567_890_123_456_789_012_345_670n },
      ]),
      ALL,
    ),
  )
  assert.match(text, /"c":123456789012345678901234567890123456\.70[,}]/)
})

test('16: NaN and infinities make no bound, and no invalid JSON (delta-rs #1411, #1784; delta #7101)', () => {
  const withNaN = statsOf(primitive('double'), 1, Number.NaN)
  assert.deepEqual([withNaN.minValues, withNaN.maxValues], [{}, {}])
  const infinite = statsOf(primitive('double'), 1, Number.POSITIVE_INFINITY)
  assert.deepEqual([infinite.minValues, infinite.maxValues], [{ c: 1 }, {}])
})

test('17: longs beyond 2^53 are exact on the way out and in (delta-rs #2646)', () => {
  const batch = batchOf(struct([field('c', primitive('long'))]), [{ c: 9_007_199_254_740_993n }])
  const text = formatStatistics(collectStatistics(batch, ALL))
  assert.match(text, /9007199254740993/)
  assert.equal(formatStatistics(parseStatistics(text)!), text)
})

test('18: columns beyond those with statistics, and columns that must not be null, fit into a checkpoint (delta-rs #2745, #2675)', async () => {
  const schema = struct(Array.from({ length: 40 }, (_, i) => field(`c${i}`, primitive('long'), i !== 39)))
  const table = await createTable({ schema })
  const one = Object.fromEntries(schema.fields.map(({ name }, i) => [name, BigInt(i)]))
  const { state } = (await loadSnapshot(table.store))!
  const statistics = collectStatistics(batchOf(schema, [one]), dataFileFormatOf(state).statistics)
  assert.equal(Object.keys(statistics.minValues!).length, 32)
  await table.commit({
    add: await table.file('a.parquet', [one], { stats: formatStatistics(statistics) }, schema),
  })
  await writeCheckpoint(table.store, 1, createParquetEncoder(), table.runtime)
  await table.store.delete(['_delta_log/00000000000000000000.json'])
  assert.deepEqual(await readAll(table.store), [one])
})

test('19: the columns with statistics may be named in back-ticks (delta-rs #2849)', async () => {
  const schema = struct([field('a', primitive('long')), field('odd.name,', primitive('long'))])
  const table = await createTable({
    schema,
    configuration: { 'delta.dataSkippingStatsColumns': '`odd.name,`' },
  })
  const { state } = (await loadSnapshot(table.store))!
  assert.deepEqual([...statisticsOptionsOf(state).columns!], ['odd.name,'])
})

test('20: partition columns have no statistics (delta-rs #4408, duckdb-delta #96)', async () => {
  const schema = struct([field('p', primitive('string')), field('id', primitive('long'))])
  const table = await createTable({ schema, partitionColumns: ['p'] })
  const { state } = (await loadSnapshot(table.store))!
  assert.deepEqual([...statisticsOptionsOf(state).columns!], ['id'])
})

test('21: a column of nulls has no bounds and all its nulls, and wide bounds are no fault (kernel-rs #2187, #1914)', async () => {
  assert.deepEqual(statsOf(primitive('long'), null, null), {
    numRecords: 2,
    minValues: {},
    maxValues: {},
    nullCount: { c: 2 },
  })
  const table = await createTable()
  const wide =
    '{"numRecords":2,"minValues":{"id":0},"maxValues":{"id":9},"nullCount":{"id":0},"tightBounds":false}'
  await table.commit({ add: await table.file('a.parquet', [row(4), row(5)], { stats: wide }) })
  assert.deepEqual((await checkTable(table.store, { deep: true })).findings, [])
})

test('22: dates that readers cannot parse make no bound (feldera #5722)', () => {
  const { minValues, maxValues } = statsOf(primitive('date'), 0, 10_000_000)
  assert.deepEqual([minValues, maxValues], [{ c: '1970-01-01' }, {}])
})

test('23: maps and lists have null counts alone (duckdb-delta #358)', () => {
  const mapped = statsOf(map(primitive('string'), primitive('long')), [['k', 1n]], null)
  assert.deepEqual(mapped, { numRecords: 2, minValues: {}, maxValues: {}, nullCount: { c: 1 } })
  const listed = statsOf(array(primitive('long')), [1n], null)
  assert.deepEqual(listed.nullCount, { c: 1 })
})

test('24: a bound of another type is left out of the typed statistics, and nothing else (delta-rs #2312)', async () => {
  const table = await createTable()
  const stats = '{"numRecords":1,"minValues":{"id":"abc"},"maxValues":{"id":7},"nullCount":{"id":0}}'
  await table.commit({ add: await table.file('a.parquet', [row(7)], { stats }) })
  await writeCheckpoint(table.store, 1, createParquetEncoder(), table.runtime)
  await table.store.delete(['_delta_log/00000000000000000000.json'])
  const [file] = await (await loadSnapshot(table.store))!.allFiles()
  assert.equal(file?.stats, stats)
  assert.deepEqual(await readAll(table.store), [row(7)])
})
