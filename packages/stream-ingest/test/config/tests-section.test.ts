import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { checkConfigText, IngestConfig } from '../../src/config/config.ts'
import { type ConfigTest, jsonOf } from '../../src/config/config-test.ts'
import { TEST_RECORDS_MAX, TESTS_MAX } from '../../src/config/tests-section.ts'

const ORDERS = `kafka: { bootstrap_servers: "localhost:9092", topics: [orders, refunds], consumer_group: g }
local: { path: ./lake }
delta:
  table_name: orders
  metadata_columns: [offset]
  schema:
    - { name: id, data_type: int64 }
    - { name: customer, data_type: "struct<name: utf8, tags: list<struct<key: utf8>>>" }
`

const SEVERAL = `kafka: { bootstrap_servers: "localhost:9092", topic: orders, consumer_group: g }
local: { path: ./lake }
pipelines:
  orders: { delta: { table_name: orders, schema: [{ name: id, data_type: int64 }] } }
  clicks: { delta: { table_name: clicks, schema: [{ name: url, data_type: utf8 }] } }
`

function check(tests: string, config = ORDERS) {
  return checkConfigText(`${config}tests:\n${tests}`, { environment: { EMPTY: '', ID: '7' } })
}

/** Line and column below `tests:`, code, message, and what is suggested or helps, of each finding. */
function findings(tests: string, config = ORDERS): string[] {
  const before = config.split('\n').length
  return check(tests, config).diagnostics.map(
    ({ line, column, code, message, suggestion, help }) =>
      `${line - before}:${column} ${code} ${message} → ${suggestion ?? help}`,
  )
}

function only(tests: string, config = ORDERS): ConfigTest {
  const { tests: found, diagnostics } = check(tests, config)
  assert.deepEqual(diagnostics, [])
  assert.equal(found.length, 1)
  return found[0]!
}

function payloadOf(written: string): string | null {
  const { value } = only(`  - { name: a, input: { payload: ${written} }, rows: [] }`).records[0]!
  return value === null ? null : Buffer.from(value).toString()
}

describe('the records of a test', () => {
  test('have defaults for all that Kafka gives', () => {
    const { records, pipeline, line } = only('  # a test\n  - { name: a, input: { payload: {} }, rows: [] }')
    assert.deepEqual(records, [
      {
        topic: 'orders',
        partition: 0,
        offset: 0n,
        timestampMs: 0,
        key: null,
        headers: [],
        value: Buffer.from('{}'),
      },
    ])
    assert.deepEqual([pipeline, line], ['orders', 11])
  })

  test('may say all of it', () => {
    const { records } = only(`  - name: a
    input:
      payload_text: "{"
      key: 1.10
      headers: { trace-id: abc, none: null, twice: [a, b], empty: "" }
      timestamp: 2026-11-22T10:00:00Z
      topic: refunds
      partition: 3
      offset: 9223372036854775806
    rows: []`)
    assert.deepEqual(records, [
      {
        topic: 'refunds',
        partition: 3,
        offset: 9223372036854775806n,
        timestampMs: Date.UTC(2026, 10, 22, 10),
        key: Buffer.from('1.10'),
        headers: [
          ['trace-id', Buffer.from('abc')],
          ['none', null],
          ['twice', Buffer.from('a')],
          ['twice', Buffer.from('b')],
          ['empty', Buffer.from('')],
        ],
        value: Buffer.from('{'),
      },
    ])
  })

  test('take bytes as base64, and may have no timestamp', () => {
    const { records } = only(
      '  - { name: a, input: { payload_base64: "/wA=", key_base64: AAE=, timestamp: none }, rows: [] }',
    )
    const [{ value, key, timestampMs }] = records as [(typeof records)[0]]
    assert.deepEqual([value, key, timestampMs], [Buffer.from([255, 0]), Buffer.from([0, 1]), null])
  })

  test('have offsets that go on in each topic partition', () => {
    const { records } = only(`  - name: a
    input:
      - { payload: {} }
      - { payload: {}, offset: 40 }
      - { payload: {}, partition: 1 }
      - { payload: {} }
      - { payload: {}, topic: refunds }
    rows: []`)
    assert.deepEqual(
      records.map(({ offset }) => offset),
      [0n, 40n, 0n, 41n, 0n],
    )
  })

  for (const [written, json] of [
    ['{ a: 9007199254740993, b: 1.10, c: 1e3, d: -0.0 }', '{"a":9007199254740993,"b":1.10,"c":1e3,"d":-0.0}'],
    ['[+5, .5, 5., 007, 0x1F, 0o17]', '[5,0.5,5,7,31,15]'],
    [
      '{ a: null, b: null, c: ~, d: "null", e: true, f: "7", g: 2026-01-01 }',
      '{"a":null,"b":null,"c":null,"d":"null","e":true,"f":"7","g":"2026-01-01"}',
    ],
    [`[{ a: "\${ID}" }, "$\${ID}", "\${EMPTY}", "é\\n"]`, `[{"a":"7"},"\${ID}",null,"é\\n"]`],
    ['{ "__proto__": 1, "a b": [] }', '{"__proto__":1,"a b":[]}'],
    ['"text"', '"text"'],
    ['null', null],
    ['', null],
  ] as const) {
    test(`are the JSON of what is written: ${written}`, () => assert.equal(payloadOf(written), json))
  }

  test('are taken from JSON as from YAML', () => {
    const text = JSON.stringify({
      kafka: { bootstrap_servers: 'localhost:9092', topic: 't', consumer_group: 'g' },
      local: { path: './lake' },
      delta: { table_name: 't', schema: [{ name: 'id', data_type: 'int64' }] },
      tests: [{ name: 'a', input: { payload: { id: 1 } }, rows: [{ id: 1 }] }],
    })
    const { tests, diagnostics } = checkConfigText(text, { environment: {} })
    assert.deepEqual(diagnostics, [])
    assert.equal(tests[0]!.expected.rows!.value.map(jsonOf).join(), '{"id":1}')
  })
})

describe('what is wrong with a test', () => {
  for (const [tests, ...expected] of [
    [
      '  - { nam: a, inptu: { paylod: {} }, row: [] }',
      '1:7 CONFIG_UNKNOWN_KEY unknown key `nam` in a test → name',
      '1:15 CONFIG_UNKNOWN_KEY unknown key `inptu` in a test → input',
      '1:24 CONFIG_UNKNOWN_KEY unknown key `paylod` in a record of a test → payload',
      '1:38 CONFIG_UNKNOWN_KEY unknown key `row` in a test → rows',
    ],
    [
      '  - { name: a, input: { payload: {} }, bad: { colum: id, code: RECORD_INVALD } }',
      '1:47 CONFIG_UNKNOWN_KEY unknown key `colum` in `bad` of a test → column',
      '1:64 CONFIG_INVALID_VALUE expected `RECORD_NOT_JSON` or `RECORD_INVALID`, found the text `RECORD_INVALD` → RECORD_INVALID',
    ],
    [
      '  - { name: a, input: { payload: {} } }',
      '1:13 CONFIG_MISSING_KEY the test expects nothing → add `rows:`, `bad:` or `skipped: true`',
    ],
    ['  - { name: a, rows: [] }', '1:7 CONFIG_MISSING_KEY missing key `input` in a test → add `input:`'],
    [
      '  - { name: a, input: { key: k }, rows: [] }',
      '1:25 CONFIG_MISSING_KEY missing key `payload` in a record of a test → add `payload:`, `payload_text:` or `payload_base64:`; `payload: null` is a tombstone',
    ],
    [
      '  - { name: a, input: { payload: {}, payload_text: x }, rows: [] }',
      '1:38 CONFIG_CONFLICT `payload` and `payload_text` and `payload_base64` exclude each other → keep one of them',
    ],
    [
      '  - { name: a, input: { payload: null, payload_text: x }, rows: [] }',
      '1:54 CONFIG_CONFLICT `payload` is a tombstone, and `payload_text` a value → keep one of them',
    ],
    [
      '  - { name: a, input: { payload: .nan }, rows: [] }',
      '1:34 CONFIG_INVALID_VALUE expected a value that JSON has, found the number .nan → JSON has no `.nan`, and a payload no `.inf`',
    ],
    [
      '  - { name: a, input: { payload_base64: "a*" }, rows: [] }',
      '1:41 CONFIG_INVALID_VALUE expected base64, found the text `a*` → null',
    ],
    [
      '  - { name: a, input: { payload: {}, timestamp: yesterday, offset: -1 }, rows: [] }',
      '1:49 CONFIG_INVALID_VALUE expected an ISO-8601 time, epoch milliseconds or `none`, found the text `yesterday` → write `2026-11-22T10:00:00Z`; Kafka’s timestamps start in 1970',
      '1:68 CONFIG_INVALID_VALUE expected an offset, from 0 to 9223372036854775806, found the number -1 → null',
    ],
    [
      '  - { name: a, input: [], rows: { id: 1 } }',
      '1:23 CONFIG_INVALID_VALUE expected a record or a list of records, at least 1; found 0 → null',
      '1:33 CONFIG_INVALID_VALUE expected a list of rows, each a map of columns, found a map → write `- ` before each row',
    ],
    [
      '  - { name: a, input: { payload: {}, topic: order }, rows: [] }',
      '1:45 CONFIG_INVALID_VALUE the pipeline `orders` does not read the topic `order` → orders',
    ],
    [
      '  - { name: a, pipeline: ordres, input: { payload: {} }, rows: [] }',
      '1:26 CONFIG_INVALID_VALUE there is no pipeline `ordres` → orders',
    ],
    [
      '  - { name: a, input: { payload: {} }, rows: [{ idd: 1, customer: { nam: x, tags: [{ ky: 1 }] } }] }',
      '1:49 CONFIG_UNKNOWN_KEY there is no column `idd` in `orders` → id',
      '1:69 CONFIG_UNKNOWN_KEY there is no field `nam` in `customer` → name',
      '1:86 CONFIG_UNKNOWN_KEY there is no field `ky` in `tags` → key',
    ],
    [
      '  - { name: a, input: { payload: {} }, bad: { column: amount } }',
      '1:55 CONFIG_UNKNOWN_KEY there is no column `amount` in `orders` → there are `id`, `customer` or `_kafka_offset`',
    ],
    [
      '  - { name: a, input: { payload: {} }, rows: [] }\n  - { name: a, input: { payload: {} }, rows: [] }',
      '2:13 CONFIG_CONFLICT the test `a` is given twice → give each its own name',
    ],
    [
      '  a: 1',
      '1:3 CONFIG_INVALID_VALUE expected a list of tests, found a map → each is `- name: …` with `input` and `rows`, `bad` or `skipped`',
    ],
    [
      '  - a',
      '1:5 CONFIG_INVALID_VALUE expected a test, found the text `a` → write `- name: …` with `input` and `rows`, `bad` or `skipped`',
    ],
  ] as const) {
    test(`is located: ${tests.trim()}`, () => assert.deepEqual(findings(tests), expected))
  }

  test('is, of several pipelines, that it names none', () => {
    assert.deepEqual(findings('  - { name: a, input: { payload: {} }, rows: [] }', SEVERAL), [
      '1:13 CONFIG_MISSING_KEY missing key `pipeline` in a test: there are several → name one: `orders` or `clicks`',
    ])
    const ofBoth = ['orders', 'clicks']
      .map(name => `  - { name: a, pipeline: ${name}, input: { payload: {} }, rows: [] }`)
      .join('\n')
    assert.deepEqual(findings(ofBoth, SEVERAL), [])
  })

  test('is that the columns are those of a table', () => {
    const config = ORDERS.slice(0, ORDERS.indexOf('  schema:'))
    const input = '  - { name: a, input: { payload: {} }, rows: [{ whatever: 1 }] }'
    assert.match(
      findings(input, config).join(),
      /^1:13 CONFIG_CONFLICT the pipeline `orders` declares no `delta.schema`/,
    )
    assert.deepEqual(findings(input, `${config}  merge_schema: true\n`), [])
  })

  test('is said beside what is wrong with the rest, once', () => {
    const broken = ORDERS.replace('consumer_group: g', 'consumer_grop: g')
    assert.deepEqual(
      check('  - { name: a, inptu: { payload: {} }, rows: [{ idd: 1 }] }', broken).diagnostics.map(
        ({ suggestion }) => suggestion,
      ),
      ['consumer_group', 'input'],
    )
  })

  test('is that there are too many tests, records or rows', () => {
    const list = (count: number, item: string): string => `[${Array(count).fill(item).join(', ')}]`
    const tests = (count: number): string =>
      Array.from({ length: count }, (_, i) => `  - { name: t${i}, input: { payload: {} }, rows: [] }`).join(
        '\n',
      )
    assert.equal(check(tests(TESTS_MAX)).tests.length, TESTS_MAX)
    assert.match(findings(tests(TESTS_MAX + 1)).join(), /a list of tests, at most 1000; found 1001/)
    const one = (records: number, rows: number): string =>
      `  - { name: a, input: ${list(records, '{ payload: {} }')}, rows: ${list(rows, '{}')} }`
    assert.equal(only(one(TEST_RECORDS_MAX, TEST_RECORDS_MAX)).records.length, TEST_RECORDS_MAX)
    assert.match(findings(one(TEST_RECORDS_MAX + 1, 1)).join(), /list of records, at most 1000; found 1001/)
    assert.match(
      findings(one(1, TEST_RECORDS_MAX + 1)).join(),
      /each a map of columns, at most 1000; found 1001/,
    )
  })
})

describe('tests of a configuration', () => {
  test('change nothing of what runs, and are valid or the whole is not', () => {
    const tested = `${ORDERS}tests:\n  - { name: a, input: { payload: {} }, rows: [{ id: 1 }] }\n`
    const options = { environment: {} }
    assert.deepEqual(IngestConfig.parse(tested, options), IngestConfig.parse(ORDERS, options))
    assert.throws(() => IngestConfig.parse(tested.replace('id: 1', 'idd: 1'), options), {
      code: 'CONFIG_INVALID',
    })
  })
})
