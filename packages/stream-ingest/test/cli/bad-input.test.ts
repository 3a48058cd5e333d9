/** Records that do not fit: each a clear error, nothing lost, nothing twice. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { EmbeddedBroker, type EncodableRecord } from '../../src/testing/index.ts'
import {
  assertFailure,
  type ConfigParts,
  documentOf,
  logOf,
  range,
  run,
  SECRET,
  sound,
  Workplace,
} from './command-harness.ts'

const MIB = 1024 * 1024

const utf8 = (text: string): Buffer => Buffer.from(text)

/** A record that is bad, how it is said, and what is to change so that it is good. */
interface BadCase {
  readonly value: string | Uint8Array | null
  readonly code: 'RECORD_INVALID' | 'RECORD_NOT_JSON'
  readonly message: RegExp
  readonly parts?: ConfigParts
}

const BAD_RECORDS: Readonly<Record<string, BadCase>> = {
  'malformed JSON': {
    value: '{"id": 3, "name": oops}',
    code: 'RECORD_NOT_JSON',
    message: /^events\[0\]@3 \$: expected a value at byte 18, found `oops}`$/,
  },
  'JSON that ends too early': {
    value: '{"id": 3, "name": "ada',
    code: 'RECORD_NOT_JSON',
    message: /^events\[0\]@3 \$.*end/,
  },
  'bytes after the end': {
    value: '{"id": 3} x',
    code: 'RECORD_NOT_JSON',
    message: /^events\[0\]@3 \$.*byte 10/,
  },
  'no object': {
    value: '[1, 2]',
    code: 'RECORD_INVALID',
    message: /^events\[0\]@3 \$: expected .*object.*array/,
  },
  'an empty value': { value: '', code: 'RECORD_NOT_JSON', message: /^events\[0\]@3 \$: / },
  'a wrong type': {
    value: '{"id": "three"}',
    code: 'RECORD_INVALID',
    message: /^events\[0\]@3 \$\.id: expected int64, found the string "three"$/,
  },
  'null in a column that must not be null': {
    value: '{"id": null, "name": "x"}',
    code: 'RECORD_INVALID',
    message: /^events\[0\]@3 \$\.id: expected int64 that is not null, found null$/,
  },
  'a missing field of a column that must not be null': {
    value: '{"name": "x"}',
    code: 'RECORD_INVALID',
    message: /^events\[0\]@3 \$\.id: expected int64 that is not null, found nothing$/,
  },
  'bytes that are not UTF-8': {
    value: Buffer.concat([utf8('{"id":3,"name":"a'), Uint8Array.of(0xff), utf8('"}')]),
    code: 'RECORD_NOT_JSON',
    message: /^events\[0\]@3 \$: invalid UTF-8 at byte 17: 0xff$/,
  },
  'UTF-8 cut in a character': {
    value: Buffer.concat([utf8('{"id":3,"name":"a'), Uint8Array.of(0xe2, 0x82), utf8('"}')]),
    code: 'RECORD_NOT_JSON',
    message: /^events\[0\]@3 \$: invalid UTF-8 at byte 17/,
  },
  'nesting without end': {
    value: `{"id":3,"other":${'['.repeat(100_000)}`,
    code: 'RECORD_NOT_JSON',
    message: /^events\[0\]@3 \$: nested deeper than 128$/,
  },
  'objects nested without end': {
    value: `{"id":3,"other":${'{"a":'.repeat(100_000)}`,
    code: 'RECORD_NOT_JSON',
    message: /^events\[0\]@3 \$: nested deeper than 128$/,
  },
  'a value that is long': {
    value: `{"id": "${'long '.repeat(MIB)}"}`,
    code: 'RECORD_INVALID',
    message: /^events\[0\]@3 \$\.id: expected int64, found the string "long long .{0,200}$/,
  },
  'a tombstone where it counts as bad': {
    value: null,
    code: 'RECORD_INVALID',
    message: /^events\[0\]@3 \$: the value is null \(a tombstone\), and `processing.on_null_value` is `bad`$/,
    parts: { processing: { on_null_value: 'bad' } },
  },
  'a value for a partition column that is no such value': {
    value: '{"id": 3, "day": "soon"}',
    code: 'RECORD_INVALID',
    message: /^events\[0\]@3 \$\.day: expected date32, found the string "soon"/,
    parts: {
      delta: {
        partition_columns: ['day'],
        schema: [
          { name: 'id', data_type: 'int64', nullable: false },
          { name: 'day', data_type: 'date32' },
        ],
      },
    },
  },
}

/** One bad value per data type, and how it is named. */
const BAD_VALUES: readonly (readonly [type: string, value: string, found: RegExp])[] = [
  ['boolean', '"true"', /expected boolean, found the string "true"/],
  ['boolean', '1', /expected boolean, found the number 1/],
  ['int8', '128', /expected int8, found the number 128 \(out of range\)/],
  ['int16', '40000', /expected int16, found the number 40000 \(out of range\)/],
  ['int32', '2147483648', /expected int32, found the number 2147483648 \(out of range\)/],
  ['int32', '1.5', /expected int32, found the number 1.5 \(not integral\)/],
  ['int64', '9223372036854775808', /expected int64, found the number 9223372036854775808 \(out of range\)/],
  ['int64', '"7"', /expected int64, found the string "7"/],
  ['uint8', '-1', /expected uint8, found the number -1 \(out of range\)/],
  ['uint16', '65536', /expected uint16, found the number 65536 \(out of range\)/],
  ['uint32', '4294967296', /expected uint32, found the number 4294967296 \(out of range\)/],
  [
    'uint64',
    '18446744073709551616',
    /expected uint64, found the number 18446744073709551616 \(out of range\)/,
  ],
  ['float32', '"1.5"', /expected float32, found the string "1.5"/],
  ['float64', 'true', /expected float64, found the boolean true/],
  ['utf8', '"\\ud800"', /expected utf8, found the string "\\ud800" \(half of a surrogate pair\)/],
  ['binary', '"not base64!"', /expected binary, found the string "not base64!" \(not base64\)/],
  ['date32', '"2026-13-01"', /expected date32, found the string "2026-13-01" \(not a date/],
  ['timestamp_second', '99999999999999', /expected timestamp_second, found the number \d+ \(out of range\)/],
  ['timestamp_millisecond', '"soon"', /expected timestamp_millisecond, found the string "soon" \(not an ISO/],
  ['timestamp_microsecond', 'true', /expected timestamp_microsecond, found the boolean true/],
  ['timestamp_nanosecond', '{}', /expected timestamp_nanosecond, found the object {}/],
  ['timestamp_ntz', '"soon"', /expected timestamp_ntz, found the string "soon"/],
  ['decimal128(5,2)', '12345.67', /expected decimal\(5,2\), found the number 12345.67 \(out of range\)/],
  ['decimal128(5,2)', '1.234', /expected decimal\(5,2\), found the number 1.234 \(more than 2 digits/],
  ['list<int32>', '[1,"x"]', /\[1\]: expected int32, found the string "x"/],
  ['struct<a: int32>', '{"a":"x"}', /\.a: expected int32, found the string "x"/],
  ['struct<a: int32>', '[]', /expected struct<a: int32>, found the array \[\]/],
  ['map<utf8, int64>', '{"k":"v"}', /\.k: expected int64, found the string "v"/],
]

let broker: EmbeddedBroker
before(async () => {
  broker = await EmbeddedBroker.start()
})
after(() => broker.close())

/** The topic of one test, anew. */
function fill(...batches: readonly (readonly EncodableRecord[])[]): void {
  try {
    broker.deleteTopic('events')
  } catch {
    // The first test.
  }
  broker.createTopic('events')
  for (const batch of batches) broker.produce('events', 0, batch)
}

describe('a record that does not fit stops the run', () => {
  for (const [name, { value, code, message, parts }] of Object.entries(BAD_RECORDS)) {
    test(`${name}: what comes before is in the table once, and skipping it goes on behind it`, async t => {
      fill([...sound(0, 3), { value }, ...sound(4, 6)])
      const workplace = await Workplace.open(t, broker.bootstrapServers)
      const expected = { exitCode: 65, kind: 'serialization', code, message, retryable: false }
      const hint = /^nothing from events\[0\]@3 on is in the table.*`processing\.on_bad_record: skip`$/
      const outcome = await workplace.ingest(parts)
      const error = assertFailure(outcome, { ...expected, hint })
      assert.deepEqual(
        [error.context.pipeline, error.context.topic, error.context.partition, error.context.offset],
        ['events', 'events', 0, 3],
      )
      assert.match(outcome.stderr, /note: a restart resumes at events\[0\]@3/)
      assert.deepEqual(await workplace.offsets(), [0, 1, 2])
      assert.equal(broker.committedOffset('lake', 'events', 0)?.offset, 3n)

      assertFailure(await workplace.ingest(parts), { ...expected, hint })
      assert.deepEqual(await workplace.offsets(), [0, 1, 2])

      const processing = { ...parts?.processing, on_bad_record: 'skip' }
      const document = await workplace.ingestAll({ ...parts, processing })
      assert.deepEqual(await workplace.offsets(), [0, 1, 2, 4, 5])
      const metrics = document.metrics as Record<string, number>
      assert.deepEqual([metrics.messages, metrics.rows, metrics.badRecords], [3, 2, 1])
    })
  }

  test('and with the schema corrected, the next run takes it and goes on', async t => {
    fill([...sound(0, 3), { value: '{"name":"no id"}' }, ...sound(4, 6)])
    const workplace = await Workplace.open(t, broker.bootstrapServers)
    // The column may be null in the table; it is the configuration that is too strict.
    const nullable = {
      schema: [
        { name: 'id', data_type: 'int64' },
        { name: 'name', data_type: 'utf8' },
      ],
    }
    const strict = { schema: [{ name: 'id', data_type: 'int64', nullable: false }, nullable.schema[1]] }
    broker.createTopic('none')
    await workplace.ingestAll({ kafka: { topic: 'none' }, delta: nullable })
    assertFailure(await workplace.ingest({ delta: strict }), {
      exitCode: 65,
      code: 'RECORD_INVALID',
      message: /@3 \$\.id/,
      hint: /restart resumes/,
    })
    assert.deepEqual(await workplace.offsets(), [0, 1, 2])
    await workplace.ingestAll({ delta: nullable })
    assert.deepEqual(await workplace.offsets(), range(0, 6))
  })

  test('in one partition: the others’ rows of before are in the table, and nothing is there twice', async t => {
    fill()
    broker.addPartitions('events', 3)
    for (const partition of [0, 2]) broker.produce('events', partition, sound(0, 50))
    broker.produce('events', 1, [...sound(0, 10), { value: 'no' }, ...sound(11, 20)])
    const workplace = await Workplace.open(t, broker.bootstrapServers)
    const document = documentOf(await workplace.ingest())
    assert.match((document.error as { message: string }).message, /^events\[1\]@10 /)
    assert.deepEqual(await workplace.offsets(1), range(0, 10))
    await workplace.ingestAll({ processing: { on_bad_record: 'skip' } })
    for (const partition of [0, 2]) assert.deepEqual(await workplace.offsets(partition), range(0, 50))
    assert.deepEqual(await workplace.offsets(1), [...range(0, 10), ...range(11, 20)])
  })

  test('as the very first record: there is no row, and no commit for nothing', async t => {
    fill([{ value: 'no' }])
    const workplace = await Workplace.open(t, broker.bootstrapServers)
    const outcome = await workplace.ingest()
    assertFailure(outcome, { exitCode: 65, code: 'RECORD_NOT_JSON', message: /@0 /, hint: /restart/ })
    assert.deepEqual(documentOf(outcome).batchesProcessed, 0)
    assert.deepEqual(await workplace.offsets(), [])
  })
})

describe('a record that does not fit is skipped where the configuration says so', () => {
  test('whatever the type: each is counted and logged with its offset, and what is sound is in the table', async t => {
    const columns = BAD_VALUES.map(([type], i) => ({ name: `c${i}`, data_type: type }))
    const records = BAD_VALUES.flatMap(([, value], i) => [{ value: `{"c${i}":${value}}` }, { value: '{}' }])
    fill(records)
    const workplace = await Workplace.open(t, broker.bootstrapServers)
    const outcome = await workplace.ingest({
      delta: { schema: columns },
      processing: { on_bad_record: 'skip' },
    })
    assert.equal(outcome.exitCode, 0, outcome.stderr)
    const { metrics, pipelines } = documentOf(outcome) as {
      metrics: Record<string, number>
      pipelines: { badRecords: number; rows: number }[]
    }
    assert.equal(metrics.messages, records.length)
    assert.deepEqual([metrics.badRecords, metrics.rows], [BAD_VALUES.length, BAD_VALUES.length])
    assert.deepEqual([pipelines[0]!.badRecords, pipelines[0]!.rows], [BAD_VALUES.length, BAD_VALUES.length])
    const rejected = logOf(outcome).filter(line => line.event === 'rejected')
    assert.equal(rejected.length, BAD_VALUES.length)
    for (const [i, line] of rejected.entries()) {
      const [type, , found] = BAD_VALUES[i]!
      assert.deepEqual([line.offset, line.level, line.action], [2 * i, 'warn', 'skip'], type)
      assert.equal(line.column, `c${i}`)
      assert.match(String(line.message), found, type)
      assert.match(String(line.message), new RegExp(`events\\[0\\]@${2 * i}  \\$\\.c${i}`))
    }
    assert.deepEqual(
      await workplace.offsets(),
      range(0, BAD_VALUES.length).map(i => 2 * i + 1),
    )
  })

  test('in any number: counted to the last, logged up to a bound', async t => {
    const bad = range(0, 5_000).map(i => ({ value: i % 5 === 0 ? `{"id":${i}}` : '{"id":' }))
    fill(bad)
    const workplace = await Workplace.open(t, broker.bootstrapServers)
    const outcome = await workplace.ingest({ processing: { on_bad_record: 'skip' } })
    assert.equal((documentOf(outcome).metrics as Record<string, number>).badRecords, 4_000)
    const rejected = logOf(outcome).filter(line => line.event === 'rejected')
    assert.equal(rejected.length, 100)
    assert.match(String(rejected.at(-1)!.message), /further ones are counted, not logged/)
    assert.deepEqual(
      await workplace.offsets(),
      range(0, 1_000).map(i => 5 * i),
    )
  })
})

describe('a large message', () => {
  test('of ten megabytes is a row like any other', async t => {
    const name = 'x'.repeat(10 * MIB)
    fill(sound(0, 2), [{ value: `{"id":2,"name":"${name}"}` }], sound(3, 5))
    const workplace = await Workplace.open(t, broker.bootstrapServers)
    await workplace.ingestAll()
    assert.deepEqual(await workplace.offsets(), range(0, 5))
    const rows = await workplace.rows(['id', 'name'])
    assert.equal(rows.find(row => row.id === 2n)?.name, name)
  })

  test('over the bound is refused by name; what comes before stays, and a larger bound takes it', async t => {
    fill(sound(0, 2), [{ value: `{"id":2,"name":"${'x'.repeat(10 * MIB)}"}` }], sound(3, 5))
    const workplace = await Workplace.open(t, broker.bootstrapServers)
    const error = assertFailure(await workplace.ingest({ processing: { memory_limit: '8MiB' } }), {
      exitCode: 65,
      kind: 'kafka',
      code: 'KAFKA_BATCH_TOO_LARGE',
      message: /^record batch `events-0@2` holds 104\d+ bytes decompressed, over the bound of \d+ bytes$/,
      hint: /raise `processing\.memory_limit`/,
    })
    assert.equal(error.context.baseOffset, 2)
    assert.deepEqual(await workplace.offsets(), [0, 1])
    await workplace.ingestAll()
    assert.deepEqual(await workplace.offsets(), range(0, 5))
  })
})

test('what a failing run prints holds no secret, in whatever form', async t => {
  fill([{ value: 'no' }])
  const workplace = await Workplace.open(t, broker.bootstrapServers)
  const config = await workplace.configure({
    kafka: {
      security_protocol: 'sasl_plaintext',
      sasl: { mechanism: 'plain', username: 'alice', password: { from_env: 'PASSWORD' } },
    },
  })
  for (const flags of [['--json'], ['--verbose'], ['--log', 'pretty']]) {
    // The harness looks through all that comes out.
    const outcome = await run(['run', config, '--until-latest', ...flags], {
      cwd: workplace.folder,
      env: { PASSWORD: SECRET },
    })
    assert.equal(outcome.exitCode, 69)
  }
})
