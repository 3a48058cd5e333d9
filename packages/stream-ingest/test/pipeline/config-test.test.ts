import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { checkConfigText } from '../../src/config/config.ts'
import { type ConfigTestResult, ConfigTestRunner, type Difference } from '../../src/pipeline/config-test.ts'

const CLOCK = { now: () => 0 }

const BASE = `kafka: { bootstrap_servers: "localhost:9092", topics: [orders, refunds], consumer_group: g }
local: { path: ./lake }
`

/** The first test of a configuration that is this section of the table, this processing, and this test. */
function resultOf(delta: string, testText: string, processing = '{}'): ConfigTestResult {
  const text = `${BASE}delta: { table_name: orders, ${delta} }\nprocessing: ${processing}\ntests: [{ name: a, ${testText} }]`
  const { pipelines, tests, diagnostics } = checkConfigText(text, { environment: {} })
  assert.deepEqual(diagnostics, [])
  return new ConfigTestRunner(pipelines!, CLOCK).run(tests[0]!)
}

/** What differs: `column expected≠actual`, or the kind. */
function shown(differences: readonly Difference[]): string[] {
  return differences.map(difference => {
    if (difference.kind === 'missing_row' || difference.kind === 'extra_row')
      return `${difference.kind} ${difference.row}`
    const { expected, actual } = difference
    const place =
      difference.kind === 'value'
        ? `${difference.row}.${difference.column}`
        : difference.kind === 'bad'
          ? `bad[${difference.index}].${difference.key}`
          : 'skipped'
    return `${place} ${String(expected)}≠${String(actual)}${difference.kind === 'value' && difference.problem !== null ? ` (${difference.problem})` : ''}`
  })
}

/** A column of this type with this payload, beside what is expected. */
function compared(type: string, payload: string, expected: string): string[] {
  const schema = `schema: [{ name: c, data_type: "${type}" }], metadata_columns: false`
  const { differences } = resultOf(
    schema,
    `input: { payload: { c: ${payload} } }, rows: [{ c: ${expected} }]`,
  )
  return shown(differences)
}

describe('a value is the expected one', () => {
  for (const [type, payload, expected] of [
    ['int64', '9007199254740993', '9007199254740993'],
    ['int64', '1e3', '1000'],
    ['uint64', '18446744073709551615', '18446744073709551615'],
    ['int64', 'null', 'null'],
    ['decimal(38,2)', '123456789012345678901234567890.10', '123456789012345678901234567890.1'],
    ['decimal(10,2)', '"12.5"', '12.50'],
    ['float64', '0.1', '0.1'],
    ['float32', '0.1', '0.1'],
    ['float64', '1e400', '.inf'],
    ['utf8', 'a', 'a'],
    ['utf8', '1.10', '"1.10"'],
    ['boolean', 'true', 'true'],
    ['date', '2026-11-22', '20779'],
    ['timestamp_millisecond', '1795341600000', '2026-11-22T11:00:00+01:00'],
    ['timestamp_second', '"2026-11-22T10:00:00Z"', '1795341600'],
    ['timestamp_ntz', '"2026-11-22T10:00:00.123456"', '"2026-11-22T10:00:00.123456"'],
    ['binary', '/wA=', '_wA'],
    ['list<int64>', '[1, null]', '[1, null]'],
    ['list<int64>', '[]', '[]'],
    ['map<utf8, int64>', '{ a: 1, b: 2 }', '{ b: 2, a: 1 }'],
    ['struct<a: int64, b: utf8>', '{ a: 1, b: x }', '{ b: x }'],
    ['list<struct<a: int64, b: utf8>>', '[{ a: 1, b: x }]', '[{ a: 1 }]'],
    ['struct<a: int64>', 'null', 'null'],
  ] as const) {
    test(`${type}: ${payload} is ${expected}`, () => assert.deepEqual(compared(type, payload, expected), []))
  }
})

describe('a value is another one', () => {
  for (const [type, payload, expected, difference] of [
    ['int64', '9007199254740993', '9007199254740992', '0.c 9007199254740992≠9007199254740993'],
    ['int64', 'null', '0', '0.c 0≠null'],
    ['int64', '0', 'null', '0.c null≠0'],
    ['decimal(10,2)', '12.50', '-12.50', '0.c -1250≠1250'],
    ['float64', '0.30000000000000004', '0.3', '0.c 0.3≠0.30000000000000004'],
    ['float64', '-0.0', '0.0', '0.c 0≠0'],
    ['utf8', '"null"', 'null', '0.c null≠null'],
    ['timestamp_millisecond', '1795341600000', '1795341600', '0.c 1795341600000≠1795341600000000'],
    ['binary', 'AAE=', 'AAI=', '0.c 0,2≠0,1'],
    ['list<int64>', '[1, 2]', '[1, 3]', '0.c[1] 3≠2'],
    ['list<int64>', '[1, 2]', '[1]', '0.c 1≠1,2'],
    ['map<utf8, int64>', '{ a: 1 }', '{ a: 2 }', '0.c.a 2≠1'],
    ['map<utf8, int64>', '{ a: 1, b: 2 }', '{ a: 1 }', '0.c a,1≠a,1,b,2'],
    ['map<utf8, int64>', '{ a: 1 }', '{ b: 1 }', '0.c b,1≠a,1'],
    ['struct<a: int64, b: utf8>', '{ a: 1, b: x }', '{ a: 1, b: y }', '0.c.b y≠x'],
    ['struct<a: int64, b: utf8>', '{ a: 1 }', '{ b: null, a: 2 }', '0.c.a 2≠1'],
    ['list<struct<a: list<int64>>>', '[{ a: [1] }]', '[{ a: [2] }]', '0.c[0].a[0] 2≠1'],
    ['int64', '1', 'x', '0.c null≠1 (expected int64, found the string "x")'],
    ['uint8', '1', '256', '0.c null≠1 (expected uint8, found the number 256 (out of range))'],
  ] as const) {
    test(`${type}: ${payload} is not ${expected}`, () =>
      assert.deepEqual(compared(type, payload, expected), [difference]))
  }
})

const SCHEMA = `schema: [{ name: id, data_type: int64, nullable: false }, { name: at, data_type: timestamp_second }]`

describe('a test', () => {
  test('may name partition, derived and metadata columns', () => {
    const delta = `${SCHEMA}, partition_columns: [day, country], derive: { day: { from: at, as: date }, hour: { from: kafka.timestamp, as: hour } }, metadata_columns: true`
    const { differences } = resultOf(
      delta,
      `input: { payload: { id: 1, at: 86400, country: de }, key: k, headers: { h: [x, null] }, timestamp: 2026-11-22T10:00:00Z, topic: refunds, partition: 2, offset: 40 },
      rows: [{ day: 1970-01-02, country: de, hour: 10, _kafka_topic: refunds, _kafka_partition: 2, _kafka_offset: 40,
        _kafka_timestamp: 1795341600000, _kafka_key: aw==, _kafka_headers: [{ key: h, value: eA== }, { key: h, value: null }] }]`,
    )
    assert.deepEqual(shown(differences), [])
  })

  test('holds every row to its place, over topic partitions and gaps of offsets', () => {
    const input = `[{ payload: { id: 1 }, offset: 7 }, { payload: { id: 2 }, partition: 1 }, { payload: { id: 3 }, offset: 99999999999 }, { payload: { id: 4 }, offset: 3 }]`
    const rows =
      '[{ id: 1, _kafka_offset: 7 }, { id: 2, _kafka_offset: 0 }, { id: 3 }, { id: 5, _kafka_offset: 3 }]'
    assert.deepEqual(shown(resultOf(SCHEMA, `input: ${input}, rows: ${rows}`).differences), ['3.id 5≠4'])
  })

  test('fails for more rows than expected, for fewer, and for what is not named at all', () => {
    const input = '[{ payload: { id: 1 } }, { payload: { id: 2 } }]'
    assert.deepEqual(shown(resultOf(SCHEMA, `input: ${input}, rows: [{ id: 1 }]`).differences), [
      'extra_row 1',
    ])
    assert.deepEqual(shown(resultOf(SCHEMA, `input: ${input}, rows: [{}, {}, {}]`).differences), [
      'missing_row 2',
    ])
    assert.deepEqual(shown(resultOf(SCHEMA, `input: ${input}, skipped: false`).differences), [
      'extra_row 0',
      'extra_row 1',
    ])
  })

  test('says what is wrong with a record, under any policy for bad records', () => {
    for (const policy of ['stop', 'skip', 'quarantine']) {
      const result = (expectation: string) =>
        shown(
          resultOf(
            SCHEMA,
            `input: [{ payload: { id: x } }, { payload: { id: 1 } }], ${expectation}`,
            `{ on_bad_record: ${policy} }`,
          ).differences,
        )
      assert.deepEqual(result('rows: [{ id: 1 }], bad: {}'), [])
      assert.deepEqual(
        result('rows: [{}], bad: { code: RECORD_INVALID, column: id, message: expected int64 }'),
        [],
      )
      assert.deepEqual(result('rows: [{}], bad: { code: RECORD_NOT_JSON, column: at, message: int32 }'), [
        'bad[0].code RECORD_NOT_JSON≠RECORD_INVALID',
        'bad[0].column at≠id',
        'bad[0].message int32≠expected int64, found the string "x"',
      ])
      assert.deepEqual(result('rows: [{}], bad: [{}, { column: at }]'), ['bad[1].null at≠null'])
      assert.deepEqual(result('rows: [{}]'), [
        'bad[0].null null≠RECORD_INVALID: id: expected int64, found the string "x"',
      ])
    }
  })

  test('counts tombstones by the policy for them', () => {
    const tombstones = '[{ payload: null }, { payload: null }]'
    assert.deepEqual(shown(resultOf(SCHEMA, `input: ${tombstones}, skipped: 2`).differences), [])
    assert.deepEqual(shown(resultOf(SCHEMA, `input: ${tombstones}, skipped: true`).differences), [
      'skipped 1≠2',
    ])
    assert.deepEqual(
      shown(resultOf(SCHEMA, `input: ${tombstones}, bad: [{}, {}]`, '{ on_null_value: bad }').differences),
      [],
    )
    const row = resultOf(
      'schema: [{ name: id, data_type: int64 }]',
      'input: { payload: null, key: k }, rows: [{ id: null }]',
      '{ on_null_value: row }',
    )
    assert.deepEqual(row.differences, [])
  })

  test('sees the columns that messages bring', () => {
    const merge = `${SCHEMA}, merge_schema: true`
    const input =
      'input: [{ payload: { id: 1, price: 1, more: { a: x } } }, { payload: { id: 2, price: 1.5 } }]'
    const result = resultOf(
      merge,
      `${input}, rows: [{ price: 1, more: { a: x } }, { price: 1.5, more: null }]`,
    )
    assert.deepEqual(shown(result.differences), [])
    assert.deepEqual(
      shown(resultOf(merge, `${input}, rows: [{ other: 1 }, { more: { b: 1 } }]`).differences),
      ['0.other null≠null (the table has no such column)', '1.more [object Object]≠null'],
    )
  })

  test('meets nothing of the test before it: no row, no column', () => {
    for (const merge of [false, true]) {
      const text = `${BASE}delta: { table_name: orders, ${SCHEMA}, merge_schema: ${merge} }
tests:
  - { name: a, input: [{ payload: { id: 1, price: 1 } }, { payload: { id: x } }, { payload: null }], rows: [{}], bad: {}, skipped: true }
  - { name: b, input: { payload: { id: 2 } }, rows: [{ id: 2, _kafka_offset: 0 }] }
`
      const { tests, pipelines } = checkConfigText(text, { environment: {} })
      const runner = new ConfigTestRunner(pipelines!, CLOCK)
      const [, second] = tests.map(each => runner.run(each))
      assert.deepEqual(second!.differences, [])
      const names = second!.outcome!.rows[0]!.schema!.fields.map(({ name }) => name)
      assert(!names.includes('price'))
    }
  })

  test('has the error of a pipeline that cannot decode', () => {
    const result = resultOf('merge_schema: true, metadata_columns: false', 'input: { payload: {} }, rows: []')
    assert.deepEqual([result.ok, result.outcome, result.error?.code], [false, null, 'CONFIG_CONFLICT'])
  })
})
