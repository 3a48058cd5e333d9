import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { array, type DataType, decimal, field, map, primitive, struct } from '@stream-ingest/delta'
import { checkConfigText } from '../../src/config/config.ts'
import { type DeclaredType, parseDataType } from '../../src/config/data-type.ts'
import type { DecodeField } from '../../src/config/decode-field.ts'

function parse(text: string): DeclaredType {
  const parsed = parseDataType(text)
  assert(parsed.ok, text)
  return parsed.declared
}

function problem(text: string): string {
  const parsed = parseDataType(text)
  assert(!parsed.ok, text)
  const { message, help, start, end } = parsed.problem
  return `${start}-${end} ${message}${help === undefined ? '' : ` (${help})`}`
}

/** The schema of a table whose one field has this YAML as its data type. */
function fromYaml(dataType: string): DecodeField {
  const text = `kafka: { bootstrap_servers: "a:1", topic: t, consumer_group: g }
local: { path: x }
delta:
  table_name: t
  schema:
    - name: f
      data_type: ${dataType}
`
  const { pipelines, diagnostics } = checkConfigText(text, { environment: {} })
  assert.deepEqual(diagnostics, [])
  const decode = pipelines?.[0]?.delta.fields[0]
  assert(decode !== undefined)
  assert.deepEqual(pipelines?.[0]?.delta.schema?.fields[0]?.type, decode.type)
  return decode
}

describe('simple types', () => {
  const expected: Record<string, [DataType, Partial<DecodeField>?]> = {
    boolean: [primitive('boolean')],
    bool: [primitive('boolean')],
    int8: [primitive('byte')],
    byte: [primitive('byte')],
    int16: [primitive('short')],
    short: [primitive('short')],
    int32: [primitive('integer')],
    int: [primitive('integer')],
    int64: [primitive('long')],
    long: [primitive('long')],
    uint8: [primitive('short'), { unsignedBits: 8 }],
    uint16: [primitive('integer'), { unsignedBits: 16 }],
    uint32: [primitive('long'), { unsignedBits: 32 }],
    uint64: [decimal(20, 0), { unsignedBits: 64 }],
    float32: [primitive('float')],
    float: [primitive('float')],
    float64: [primitive('double')],
    double: [primitive('double')],
    utf8: [primitive('string')],
    large_utf8: [primitive('string')],
    string: [primitive('string')],
    binary: [primitive('binary')],
    date32: [primitive('date')],
    date: [primitive('date')],
    timestamp_second: [primitive('timestamp'), { unit: 'second' }],
    timestamp_millisecond: [primitive('timestamp'), { unit: 'millisecond' }],
    timestamp_microsecond: [primitive('timestamp'), { unit: 'microsecond' }],
    timestamp_nanosecond: [primitive('timestamp'), { unit: 'nanosecond' }],
    timestamp: [primitive('timestamp'), { unit: 'microsecond' }],
    timestamp_ntz: [primitive('timestamp_ntz'), { unit: 'microsecond' }],
    'decimal128(10,2)': [decimal(10, 2)],
    'decimal( 38 , 0 )': [decimal(38, 0)],
  }
  for (const [text, [type, rest = {}]] of Object.entries(expected)) {
    test(`\`${text}\` is ${JSON.stringify(type)}${rest.unit === undefined ? '' : ` of ${rest.unit}s`}`, () => {
      const { declaredType, ...declared } = parse(text)
      assert.deepEqual(declared, { type, ...rest })
      assert.deepEqual(parse(declaredType), { ...declared, declaredType })
    })
  }
})

describe('nested types', () => {
  const source = { kind: 'payload', path: [] }

  test('remember what decoding needs at every level', () => {
    const list = parse('list<uint8>')
    assert.deepEqual(list.type, array(primitive('short')))
    assert.deepEqual(list.element, {
      name: 'element',
      type: primitive('short'),
      declaredType: 'uint8',
      unsignedBits: 8,
      nullable: true,
      source,
    })
    const entries = parse('map<utf8, timestamp_second>')
    assert.deepEqual(entries.type, map(primitive('string'), primitive('timestamp')))
    assert.equal(entries.key?.nullable, false)
    assert.equal(entries.value?.unit, 'second')
    const fields = parse('struct<a: int64 not null, b: list<struct<c: date>>>')
    assert.deepEqual(
      fields.type,
      struct([
        field('a', primitive('long'), false),
        field('b', array(struct([field('c', primitive('date'))]))),
      ]),
    )
    assert.deepEqual(fields.fields?.[0]?.source, { kind: 'payload', path: ['a'] })
    assert.deepEqual(fields.fields?.[1]?.element?.fields?.[0]?.source, { kind: 'payload', path: ['c'] })
  })

  test('are the same as text and as YAML', () => {
    for (const [text, yaml] of [
      ['list<utf8>', '{ list: utf8 }'],
      ['struct<a: int64, b: utf8>', '{ struct: { a: int64, b: utf8 } }'],
      ['struct<a: int64 not null>', '{ struct: [{ name: a, data_type: int64, nullable: false }] }'],
      ['map<utf8, list<decimal(10,2)>>', '{ map: { key: utf8, value: { list: "decimal(10,2)" } } }'],
      ['list<struct<a: map<utf8, int32>>>', '{ list: { struct: { a: "map<utf8, int32>" } } }'],
    ] as const) {
      const { name, nullable, source: from, ...declared } = fromYaml(yaml)
      assert.deepEqual(declared, parse(text))
      assert.deepEqual([name, nullable, from], ['f', true, { kind: 'payload', path: ['f'] }])
    }
  })
})

describe('a type that is none', () => {
  for (const [text, expected] of [
    ['int46', '0-5 unknown data type `int46` (did you mean `int64`?)'],
    ['list<int46>', '5-10 unknown data type `int46` (did you mean `int64`?)'],
    ['varchar', '0-7 unknown data type `varchar` (did you mean `utf8`?)'],
    ['array<int64>', '0-5 unknown data type `array` (did you mean `list<T>`?)'],
    ['constructor', /^0-11 unknown data type `constructor` \(known are/],
    ['', '0-1 expected a data type'],
    ['list', '4-5 expected `<` in the data type (write `list<T>`)'],
    ['list<int64', '10-11 expected `>` in the data type (write `list<T>`)'],
    ['list<int64>>', '11-12 unexpected `>` after the data type'],
    ['map<int64, utf8>', '4-9 the keys of a map are `utf8`, not `int64` (write `map<utf8, T>`)'],
    ['struct<a: int64, A: utf8>', '17-18 the field `A` is given twice'],
    ['struct<a int64>', '9-10 expected `:` in the data type (write `struct<a: T, b: U>`)'],
    ['decimal(39,0)', '0-13 `decimal(39,0)` is out of range: 1 ≤ p ≤ 38 and 0 ≤ s ≤ p'],
    ['decimal(5,6)', '0-12 `decimal(5,6)` is out of range: 1 ≤ p ≤ 38 and 0 ≤ s ≤ p'],
    [
      'decimal',
      '7-8 expected `(` in the data type (write `decimal(p,s)`: p digits, s of them after the point)',
    ],
    ['list<'.repeat(40), /nested deeper than 32/],
  ] as const) {
    test(`\`${text.slice(0, 30)}\` is explained at its place`, () => {
      if (typeof expected === 'string') assert.equal(problem(text), expected)
      else assert.match(problem(text), expected)
    })
  }

  test('is marked inside the text of the file', () => {
    const text = 'delta:\n  schema:\n    - { name: a, data_type: "list<int46>" }\n'
    const finding = checkConfigText(text, { environment: {} }).diagnostics.find(each => each.line === 3)
    assert.deepEqual([finding?.column, finding?.endColumn, finding?.suggestion], [35, 40, 'list<int64>'])
  })
})

describe('sources of columns', () => {
  const sourceOf = (source: string, extra = '') => {
    const text = `kafka: { bootstrap_servers: "a:1", topic: t, consumer_group: g }
local: { path: x }
delta:
  table_name: t
  schema:
    - { name: f, data_type: utf8, metadata: { source: "${source}" } }${extra}
`
    const { pipelines, diagnostics } = checkConfigText(text, { environment: {} })
    return pipelines === null ? diagnostics.map(each => each.message) : pipelines[0]?.delta.fields[0]?.source
  }

  test('are paths of the payload, the key and headers', () => {
    assert.deepEqual(sourceOf('payload.user.id'), { kind: 'payload', path: ['user', 'id'] })
    assert.deepEqual(sourceOf('user.id'), { kind: 'payload', path: ['user', 'id'] })
    assert.deepEqual(sourceOf('payload.kafka.key'), { kind: 'payload', path: ['kafka', 'key'] })
    assert.deepEqual(sourceOf('kafka.key'), { kind: 'key' })
    assert.deepEqual(sourceOf('kafka.headers.trace.id'), { kind: 'header', name: 'trace.id' })
  })

  test('that name nothing are findings', () => {
    for (const source of ['kafka.offset', 'kafka', 'payload', 'a..b', '']) {
      assert.deepEqual(sourceOf(source), [`\`${source}\` names no source`])
    }
    const nested =
      '\n    - { name: g, data_type: { struct: [{ name: x, data_type: utf8, metadata: { source: a } }] } }'
    assert.deepEqual(sourceOf('a', nested), ['only a column names its source, not a field inside another'])
  })
})
