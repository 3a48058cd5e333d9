import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { field, primitive, struct } from '@stream-ingest/delta'
import { BatchBuilder } from '@stream-ingest/delta/column'
import { resolveTableLayout } from '../../src/config/table-layout.ts'
import { createJsonDecoder } from '../../src/decode/json-decoder.ts'
import { MERGED_DEPTH_MAX, MERGED_FIELDS_MAX, MERGED_NAME_MAX } from '../../src/decode/schema-inference.ts'
import { encodeRecordBatch } from '../../src/kafka/record-batch-encoder.ts'
import { Epoch } from '../../src/pipeline/epoch.ts'
import { RecordQueue } from '../../src/pipeline/record-queue.ts'
import { at, decimalOf, listOf, mapOf, scalar, structOf } from './decode-harness.ts'
import { MergeHarness, PLAIN_RULES } from './merge-harness.ts'

/** JSON of one new field, the columns that it makes, and what is in the row. */
const NEW_FIELDS: readonly [json: string, columns: string, row: Record<string, unknown>][] = [
  ['1', 'v: long', { v: 1n }],
  ['-9223372036854775808', 'v: long', { v: -(2n ** 63n) }],
  ['9223372036854775808', 'v: decimal(38,0)', { v: 2n ** 63n }],
  ['99999999999999999999999999999999999999', 'v: decimal(38,0)', { v: 10n ** 38n - 1n }],
  ['100000000000000000000000000000000000000', 'v: string', { v: '100000000000000000000000000000000000000' }],
  ['1.0', 'v: double', { v: 1 }],
  ['1e3', 'v: double', { v: 1000 }],
  ['1e21', 'v: double', { v: 1e21 }],
  ['1e999', 'v: string', { v: '1e999' }],
  ['true', 'v: boolean', { v: true }],
  ['"x"', 'v: string', { v: 'x' }],
  ['"2026-01-01T00:00:00Z"', 'v: string', { v: '2026-01-01T00:00:00Z' }],
  ['null', '', {}],
  ['[]', '', {}],
  ['{}', '', {}],
  ['{"a":null,"b":[[],{"c":null}]}', '', {}],
  ['{"a":1,"b":null}', 'v: struct<a: long>', { v: { a: 1n } }],
  ['[1,null,2.5]', 'v: array<double>', { v: [1, null, 2.5] }],
  ['[9007199254740993,2.5]', 'v: array<string>', { v: ['9007199254740993', '2.5'] }],
  ['[1,9223372036854775808]', 'v: array<decimal(38,0)>', { v: [1n, 2n ** 63n] }],
  ['[1,"a",{"b":[2]}]', 'v: array<string>', { v: ['1', 'a', '{"b":[2]}'] }],
  [
    '[{"a":1},{"b":"x"},null]',
    'v: array<struct<a: long, b: string>>',
    { v: [{ a: 1n, b: null }, { a: null, b: 'x' }, null] },
  ],
  ['[{"a":1},{"a":"x"}]', 'v: array<struct<a: string>>', { v: [{ a: '1' }, { a: 'x' }] }],
  ['[[1],[]]', 'v: array<array<long>>', { v: [[1n], []] }],
]

suite('a new field', () => {
  for (const [json, columns, row] of NEW_FIELDS) {
    test(`of the JSON ${json} becomes ${columns === '' ? 'no column' : columns}`, () => {
      const harness = new MergeHarness()
      assert.equal(harness.append(`{"v":${json}}`), null)
      assert.equal(harness.columns, columns)
      assert.deepEqual(harness.take(), [row])
    })
  }

  test('is found in structs, elements of lists and values of maps that the schema knows, each by itself', () => {
    const fields = [
      structOf('s', [scalar('x', 'long')]),
      listOf('l', structOf('element', [scalar('x', 'long')])),
      mapOf('m', structOf('value', [scalar('x', 'long')])),
    ]
    const harness = new MergeHarness({ fields })
    const expected = ['struct<x: long>', 'array<struct<x: long>>', 'map<string, struct<x: long>>']
    const payloads = ['{"s":{"x":1,"y":2}}', '{"l":[{"x":1},{"y":2}]}', '{"m":{"k":{"x":1},"j":{"y":2}}}']
    for (const [i, payload] of payloads.entries()) {
      assert.equal(harness.append(payload), null)
      expected[i] = expected[i]!.replace('x: long', 'x: long, y: long')
      assert.equal(harness.columns, `s: ${expected[0]}, l: ${expected[1]}, m: ${expected[2]}`)
    }
    assert.deepEqual(harness.take(), [
      { s: { x: 1n, y: 2n }, l: null, m: null },
      {
        s: null,
        l: [
          { x: 1n, y: null },
          { x: null, y: 2n },
        ],
        m: null,
      },
      {
        s: null,
        l: null,
        m: [
          ['k', { x: 1n, y: null }],
          ['j', { x: null, y: 2n }],
        ],
      },
    ])
  })

  test('gives the rows before it null, and later ones their values', () => {
    const harness = new MergeHarness()
    for (const payload of ['{"a":1}', '{"b":{"c":"x"}}', '{"a":2,"b":{"d":true}}', '{}']) {
      assert.equal(harness.append(payload), null)
    }
    assert.equal(harness.columns, 'a: long, b: struct<c: string, d: boolean>')
    assert.deepEqual(harness.take(), [
      { a: 1n, b: null },
      { a: null, b: { c: 'x', d: null } },
      { a: 2n, b: { c: null, d: true } },
      { a: null, b: null },
    ])
  })

  test('counts by its last value, where its key stands twice', () => {
    const harness = new MergeHarness()
    assert.equal(harness.append('{"a":"x","a":1,"b":2,"b":null}'), null)
    assert.equal(harness.columns, 'a: long')
  })

  test('adds nothing in a tombstone', () => {
    const harness = new MergeHarness()
    assert.equal(harness.append(null), null)
    assert.deepEqual(harness.take(), [{}])
  })

  test('is left out where a column of its name is filled from elsewhere', () => {
    const fields = [
      scalar('user_id', 'long', { source: at('user', 'id') }),
      scalar('key', 'string', { source: { kind: 'key' } }),
    ]
    const harness = new MergeHarness({
      fields,
      derive: [{ name: 'date', from: 'kafka.timestamp', as: 'date' }],
    })
    const before = harness.columns
    assert.equal(
      harness.append('{"_offset":1,"Date":"x","user_id":"y","key":"z","user":{"id":7,"name":"n"}}'),
      null,
    )
    assert.equal(harness.columns, before)
    assert.equal(harness.take()[0]!.user_id, 7n)
  })

  test('is left out where the table has a column of its name that JSON cannot fill', () => {
    const harness = new MergeHarness({}, { ...PLAIN_RULES, unfilled: new Set(['by_number']) })
    assert.equal(harness.append('{"by_number":{"1":"a"},"v":1}'), null)
    assert.equal(harness.append('{"By_Number":{"1":"a"},"v":2}'), null)
    assert.equal(harness.columns, 'v: long')
    assert.deepEqual(harness.take(), [{ v: 1n }, { v: 2n }])
  })

  test('is taken up although a derived column reads it, which goes on reading the payload', () => {
    const harness = new MergeHarness({ derive: [{ name: 'date', from: 'ts', as: 'date' }] })
    assert.equal(harness.append('{"ts":"2026-01-02T03:04:05Z"}'), null)
    assert.equal(harness.append('{"ts":"2026-01-03T03:04:05Z"}'), null)
    assert.equal(harness.columns, 'date: date, ts: string')
    assert.deepEqual(
      harness.take().map(row => row.date),
      [20455, 20456],
    )
  })

  test('is taken up with all that is around what a derived column reads', () => {
    const harness = new MergeHarness({ derive: [{ name: 'date', from: 'payload.order.at', as: 'date' }] })
    assert.equal(harness.append('{"order":{"at":"2026-01-02T03:04:05Z","total":1}}'), null)
    assert.equal(harness.append('{"order":{"at":1767484800000}}')?.code, undefined)
    assert.equal(harness.columns, 'date: date, order: struct<at: string, total: long>')
    assert.deepEqual(harness.take(), [
      { date: 20455, order: { at: '2026-01-02T03:04:05Z', total: 1n } },
      { date: 20457, order: { at: '1767484800000', total: null } },
    ])
  })
})

suite('a number that its column does not hold', () => {
  const append = (first: string, second: string, isSettled = false, rules = PLAIN_RULES) => {
    const harness = new MergeHarness({}, rules)
    assert.equal(harness.append(`{"v":${first}}`), null)
    if (isSettled) harness.take()
    const bad = harness.append(`{"v":${second}}`)
    return { bad, columns: harness.columns, rows: harness.take().map(row => row.v) }
  }

  test('makes a double of a long that is new since the last commit', () => {
    const { bad, columns, rows } = append('1', '1.5')
    assert.deepEqual([bad, columns, rows], [null, 'v: double', [1, 1.5]])
  })

  test('makes a decimal of such a long where it has more than 64 bits', () => {
    const { columns, rows } = append('1', '9223372036854775808')
    assert.deepEqual([columns, rows], ['v: decimal(38,0)', [1n, 2n ** 63n]])
  })

  test('is bad where the long has values that a double does not hold', () => {
    const { bad, columns, rows } = append('9007199254740993', '1.5')
    assert.match(bad!.message, /expected long, found a number that needs double/)
    assert.deepEqual([columns, rows], ['v: long', [2n ** 53n + 1n]])
  })

  test('is bad once the long is in the table', () => {
    const { bad, columns } = append('1', '1.5', true)
    assert.deepEqual(bad, {
      code: 'RECORD_INVALID',
      path: '$.v',
      column: 'v',
      message: 'expected long, found the number 1.5 (not integral)',
    })
    assert.equal(columns, 'v: long')
  })

  test('is bad for other types too, also in this epoch', () => {
    assert.match(append('1', '"x"').bad!.message, /expected long, found the string "x"/)
    assert.match(append('true', '1').bad!.message, /expected boolean, found the number 1/)
    assert.match(append('{"a":1}', '[1]').bad!.message, /expected struct, found the array/)
  })

  test('makes integers wider as the table allows', () => {
    const widen = (value: string, typeWidening: boolean) => {
      const harness = new MergeHarness({ fields: [scalar('v', 'byte')] }, { ...PLAIN_RULES, typeWidening })
      const bad = harness.append(`{"v":${value}}`)
      return bad === null ? harness.schema.fields[0]!.type : bad.message
    }
    assert.deepEqual(widen('128', false), { kind: 'primitive', name: 'short' })
    assert.deepEqual(widen('-40000', false), { kind: 'primitive', name: 'integer' })
    assert.equal(widen('3000000000', false), 'expected byte, found the number 3000000000 (out of range)')
    assert.deepEqual(widen('3000000000', true), { kind: 'primitive', name: 'long' })
    assert.match(String(widen('1.5', true)), /not integral/)
  })

  test('makes decimals wider where the table has type widening', () => {
    const harness = new MergeHarness(
      { fields: [decimalOf('v', 4, 2)] },
      { ...PLAIN_RULES, typeWidening: true },
    )
    assert.equal(harness.append('{"v":12.5}'), null)
    assert.equal(harness.append('{"v":12345.678}'), null)
    assert.deepEqual(harness.schema.fields[0]!.type, { kind: 'decimal', precision: 8, scale: 3 })
    assert.deepEqual(
      harness.take().map(row => row.v),
      [12500n, 12345678n],
    )
    assert.match(harness.append('{"v":1e40}')!.message, /out of range/)
  })

  test('leaves unsigned and partition columns as they are', () => {
    const fields = [scalar('u', 'short', { unsignedBits: 8 }), scalar('p', 'short')]
    const harness = new MergeHarness({ fields, partitionColumns: ['p'] })
    assert.match(harness.append('{"u":300}')!.message, /out of range/)
    assert.match(harness.append('{"p":70000}')!.message, /out of range/)
  })
})

suite('a field that cannot become a column makes its record bad', () => {
  const refused = (payload: string, rules = PLAIN_RULES) => {
    const harness = new MergeHarness(
      { fields: [scalar('id', 'long'), structOf('s', [scalar('x', 'long')])] },
      rules,
    )
    const before = harness.columns
    const bad = harness.append(payload)
    assert(bad !== null)
    assert.equal(harness.columns, before)
    assert.equal(harness.append('{"id":1,"ok":true}'), null)
    return `${bad.path}: ${bad.message}`
  }

  test('by an illegal, empty, long or broken name, at any depth', () => {
    for (const character of ' ,;{}()\n\t=') {
      const key = JSON.stringify(`a${character}b`)
      assert.match(
        refused(`{${key}:1}`),
        /the field is new and cannot become a column: its name has the character/,
      )
      assert.match(refused(`{"s":{${key}:1}}`), /^\$\.s\[.*its name has the character/s)
      assert.match(refused(`{"n":[{"m":{${key}:1}}]}`), /^\$\.n\[\]\.m\[/)
    }
    assert.match(refused('{"":1}'), /its name is empty/)
    assert.match(refused(`{"${'x'.repeat(MERGED_NAME_MAX + 1)}":1}`), /its name has more than 255 characters/)
    assert.match(refused('{"\\ud83d":1}'), /half of a surrogate pair/)
    assert.match(refused('{"a\\u0001":1}'), /control character/)
  })

  test('by a name that is reserved, or that differs from another only in case', () => {
    assert.match(refused('{"_commit_version":1}'), /reserved/)
    assert.match(refused('{"ID":1}'), /its name differs from `id` only in case.*metadata: \{ source: … \}/)
    assert.match(refused('{"a":1,"A":2}'), /its name differs from `a` only in case/)
    assert.match(refused('{"s":{"X":1}}'), /^\$\.s\.X: .*its name differs from `x` only in case/)
    assert.match(refused('{"n":{"b":1,"B":2}}'), /differs from `b` only in case/)
  })

  test('unless the name is free, as under column mapping', () => {
    const harness = new MergeHarness({}, { ...PLAIN_RULES, columnMapping: true })
    assert.equal(harness.append('{"a b":1}'), null)
    assert.equal(harness.columns, 'a b: long')
  })

  test('by its depth', () => {
    const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
    assert.equal(new MergeHarness().append(nested(MERGED_DEPTH_MAX)), null)
    assert.match(refused(nested(MERGED_DEPTH_MAX + 1)), /nested deeper than 32 levels/)
  })

  test('by the number of fields that the table has', () => {
    const harness = new MergeHarness()
    const keys = Array.from({ length: MERGED_FIELDS_MAX - 1 }, (_, i) => `"k${i}":${i}`)
    assert.equal(harness.append(`{${keys.join(',')}}`), null)
    assert.equal(harness.schema.fields.length, MERGED_FIELDS_MAX)
    const bad = harness.append('{"one_more":1}')
    assert.match(bad!.message, /the table has 1000 fields, and messages add no more/)
    assert.match(harness.append('{"k1":1,"s":{"a":1}}')!.message, /messages add no more/)
    assert.equal(harness.append('{"k1":1,"one_more":null}'), null)
  })

  test('and so does anything else that is wrong with it, without a column', () => {
    const harness = new MergeHarness({ fields: [scalar('id', 'long', { nullable: false })] })
    const before = harness.columns
    assert.match(harness.append('{"x":1}')!.message, /found nothing/)
    assert.match(harness.append('{"id":1,"x":"\\ud800"}')!.message, /surrogate/)
    assert.equal(harness.append('{"id":1,"x":')!.code, 'RECORD_NOT_JSON')
    assert.equal(harness.columns, before)
    assert.equal(harness.append('{"id":1}'), null)
    assert.deepEqual(harness.take(), [{ id: 1n }])
  })
})

suite('the decoder', () => {
  const fields = [
    scalar('id', 'long'),
    structOf('s', [scalar('x', 'long')]),
    scalar('picked', 'long', { source: at('p', 'id') }),
  ]
  const meets = (payload: string, leftOut?: ReadonlySet<string>): boolean => {
    const batch = new BatchBuilder(struct(fields.map(f => field(f.name, f.type))))
    const decoder = createJsonDecoder(fields, batch.columns, leftOut === undefined ? {} : { leftOut })
    const bytes = Buffer.from(`${payload}"after"`)
    assert.equal(decoder.decode(bytes, 0, bytes.length - 7), null, payload)
    return decoder.metUnknownField
  }

  test('meets an unknown field where it holds a value, and only where it was asked to', () => {
    const leftOut = new Set(['known', 'é'])
    const unknown = [
      '{"u":0}',
      '{"u":""}',
      '{"u":[null,[{"a":[false]}]]}',
      '{"s":{"y":-1}}',
      '{"id":1,"\\u0075":"x"}',
      '{"u":[{},"a"]}',
      '{ "u" : { "a" : true } }',
    ]
    for (const payload of unknown) {
      assert.equal(meets(payload, leftOut), true, payload)
      assert.equal(meets(payload), false, payload)
    }
    const known = [
      '{}',
      '{"id":1,"s":{"x":2}}',
      '{"u":null}',
      '{"u":[[],{}]}',
      '{"u":{"null":null,"t":[ null , null ]}}',
      '{"s":{"y":{ "z" : null }}}',
      '{"known":1}',
      '{"KNOWN":1,"É":2}',
      '{"\\u00e9":1}',
      '{"p":{"id":1,"name":"n"}}',
    ]
    for (const payload of known) assert.equal(meets(payload, leftOut), false, payload)
  })
})

test('an epoch stops behind the record that changes its columns, so that its size is looked at', () => {
  const layout = resolveTableLayout({
    schema: struct([field('id', primitive('long'))]),
    fields: [scalar('id', 'long')],
    partitionColumns: [],
    derive: [],
    metadataColumns: new Map(),
  })
  const epoch = new Epoch(layout, 'skip', 10, () => PLAIN_RULES)
  const queue = new RecordQueue(1 << 20)
  const records = ['{"id":1}', '{"id":2,"a":1}', '{"id":3}', '{"b":1}'].map(value => ({
    value,
    timestampMs: 0,
  }))
  const topicPartition = { topic: 't', topicId: 't', partition: 0 }
  const batches = [encodeRecordBatch(records, { baseOffset: 0n })]
  queue.push([
    {
      topicPartition,
      batches,
      fromOffset: 0n,
      nextOffset: 4n,
      endOffset: 4n,
      sizeBytes: 0,
      abortedRecordCount: 0,
    },
  ])
  const counts: number[] = []
  while (queue.advanceBatch()) {
    assert.equal(epoch.appendRecords(queue, 100, 0), null)
    counts.push(epoch.messageCount)
  }
  assert.deepEqual(counts, [2, 4])
  const cut = epoch.cut()
  assert.deepEqual(
    cut.schemaChanges.map(change => change.path),
    ['a', 'b'],
  )
})
