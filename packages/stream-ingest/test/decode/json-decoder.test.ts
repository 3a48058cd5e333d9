import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { DecodeField } from '../../src/config/decode-field.ts'
import {
  at,
  DecodeHarness,
  decimalOf,
  decodeOne,
  decodeValue,
  listOf,
  mapOf,
  scalar,
  structOf,
} from './decode-harness.ts'

const BAD = Symbol('bad')

/** Each case: the JSON text of the value, and what the column holds then. */
function cases(title: string, v: DecodeField, table: readonly (readonly [json: string, value: unknown])[]) {
  for (const [json, value] of table) {
    test(`${title} ${value === BAD ? 'refuses' : 'takes'} ${json}`, () => {
      const decoded = decodeValue(v, json)
      if (value === BAD) assert.ok('bad' in decoded, `decoded to ${String(Object.values(decoded)[0])}`)
      else assert.deepEqual(decoded, { value })
    })
  }
}

describe('integers', () => {
  cases('int64', scalar('v', 'long'), [
    ['0', 0n],
    ['-0', 0n],
    ['9007199254740991', 9007199254740991n],
    ['9007199254740993', 9007199254740993n],
    ['-9007199254740993', -9007199254740993n],
    ['9223372036854775807', 9223372036854775807n],
    ['9223372036854775808', BAD],
    ['-9223372036854775808', -9223372036854775808n],
    ['-9223372036854775809', BAD],
    ['123456789012345678', 123456789012345678n],
    ['-4294967296', -4294967296n],
    ['1.0', 1n],
    ['1e3', 1000n],
    ['1.5E1', 15n],
    ['1000e-3', 1n],
    ['9.223372036854775807e18', 9223372036854775807n],
    ['922337203685477580.70e1', 9223372036854775807n],
    ['9.223372036854775808e18', BAD],
    ['0e999999999999', 0n],
    ['1.5', BAD],
    ['1e-1', BAD],
    ['1e19', BAD],
    ['1e999999999999', BAD],
    ['99999999999999999999999999', BAD],
    ['"1"', BAD],
    ['true', BAD],
    ['[1]', BAD],
    ['{}', BAD],
    ['null', null],
  ])
  cases('int32', scalar('v', 'integer'), [
    ['2147483647', 2147483647],
    ['2147483648', BAD],
    ['-2147483648', -2147483648],
    ['-2147483649', BAD],
    ['2.147483647e9', 2147483647],
  ])
  cases('int16', scalar('v', 'short'), [
    ['32767', 32767],
    ['32768', BAD],
    ['-32768', -32768],
    ['-32769', BAD],
  ])
  cases('int8', scalar('v', 'byte'), [
    ['127', 127],
    ['128', BAD],
    ['-128', -128],
    ['-129', BAD],
    ['1e2', 100],
    ['1e3', BAD],
  ])
  cases('uint8', scalar('v', 'short', { unsignedBits: 8 }), [
    ['255', 255],
    ['256', BAD],
    ['-1', BAD],
    ['-0', 0],
    ['256.0', BAD],
  ])
  cases('uint16', scalar('v', 'integer', { unsignedBits: 16 }), [
    ['65535', 65535],
    ['65536', BAD],
  ])
  cases('uint32', scalar('v', 'long', { unsignedBits: 32 }), [
    ['4294967295', 4294967295n],
    ['4294967296', BAD],
    ['4294967296.0', BAD],
    ['-1', BAD],
    ['18446744073709551615', BAD],
  ])
  cases('uint64', decimalOf('v', 20, 0, { unsignedBits: 64 }), [
    ['0', 0n],
    ['18446744073709551615', 18446744073709551615n],
    ['18446744073709551616', BAD],
    ['1.8446744073709551615e19', 18446744073709551615n],
    ['-1', BAD],
    ['"1"', BAD],
    ['1.5', BAD],
  ])
})

describe('floats', () => {
  cases('float64', scalar('v', 'double'), [
    ['0', 0],
    ['-0', -0],
    ['-0.0', -0],
    ['1', 1],
    ['1.5', 1.5],
    ['-2.25e2', -225],
    ['0.1', 0.1],
    ['123456789012345678', 123456789012345680],
    ['0.30000000000000004', 0.30000000000000004],
    ['1e22', 1e22],
    ['1e23', 1e23],
    ['2.2250738585072014e-308', 2.2250738585072014e-308],
    ['5e-324', 5e-324],
    ['1e-400', 0],
    ['1e400', Number.POSITIVE_INFINITY],
    ['-1e400', Number.NEGATIVE_INFINITY],
    ['"1.5"', BAD],
    ['true', BAD],
  ])
  cases('float32', scalar('v', 'float'), [
    ['0.1', Math.fround(0.1)],
    ['16777217', 16777216],
    // One above a midpoint: by way of a double it would round down.
    ['16777217.00000000001', 16777218],
    ['16777216.99999999999', 16777216],
    ['16777219', 16777220],
    ['16777218.99999999999', 16777218],
    ['-16777217.00000000001', -16777218],
    // Half of the smallest float is 7.0064923216240853546186479…e-46.
    ['7.0064923216240853546186e-46', 0],
    ['7.0064923216240853546187e-46', 2 ** -149],
  ])
})

describe('decimals', () => {
  cases('decimal(10,2)', decimalOf('v', 10, 2), [
    ['1', 100n],
    ['1.5', 150n],
    ['-1.55', -155n],
    ['1.550', 155n],
    ['1.555', BAD],
    ['0.01', 1n],
    ['1e2', 10000n],
    ['155e-2', 155n],
    ['155e-3', BAD],
    ['99999999.99', 9999999999n],
    ['100000000', BAD],
    ['"12.34"', 1234n],
    ['"-12.34"', -1234n],
    ['"1.2e1"', 1200n],
    ['"+7"', 700n],
    ['".5"', 50n],
    ['"1\\u0032"', 1200n],
    ['""', BAD],
    ['" 1"', BAD],
    ['"1,5"', BAD],
    ['"abc"', BAD],
    ['"."', BAD],
    ['"1e"', BAD],
    ['true', BAD],
    ['0.000', 0n],
    ['0e-999999999', 0n],
    ['1e-999999999', BAD],
    ['1e999999999', BAD],
  ])
  cases('decimal(38,10)', decimalOf('v', 38, 10), [
    ['1234567890123456789012345678.0123456789', 12345678901234567890123456780123456789n],
    ['-9999999999999999999999999999.9999999999', -99999999999999999999999999999999999999n],
    ['10000000000000000000000000000', BAD],
    ['4503599627370497.5', 45035996273704975000000000n],
    ['"0.1e-9"', 1n],
  ])
})

describe('text', () => {
  cases('utf8', scalar('v', 'string'), [
    ['""', ''],
    ['"abc"', 'abc'],
    ['"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\\/\b\f\n\r\t'],
    ['"a\\u00e9\\u20ac\\u0000b"', 'aé€\0b'],
    ['"\\ud83d\\ude00"', '😀'],
    ['"\\uD83D\\uDE00x"', '😀x'],
    ['"grüße 你好 😀"', 'grüße 你好 😀'],
    ['"\\ud83d"', BAD],
    ['"\\ude00"', BAD],
    ['"\\ud83dx"', BAD],
    ['"\\ud83d\\u0041"', BAD],
    ['"\\ude00\\ud83d"', BAD],
    ['12.50', '12.50'],
    ['-1e+05', '-1e+05'],
    ['true', 'true'],
    ['false', 'false'],
    ['{ "b" : [1, 2] , "a":null}', '{ "b" : [1, 2] , "a":null}'],
    ['[]', '[]'],
    ['[1, {"x": "\\u0041"} ]', '[1, {"x": "\\u0041"} ]'],
    ['null', null],
  ])
})

describe('booleans', () => {
  cases('boolean', scalar('v', 'boolean'), [
    ['true', true],
    ['false', false],
    ['null', null],
    ['1', BAD],
    ['"true"', BAD],
    ['[]', BAD],
  ])
})

const micros = (iso: string) => BigInt(Date.parse(iso)) * 1000n

describe('timestamps', () => {
  cases('timestamp_millisecond', scalar('v', 'timestamp', { unit: 'millisecond' }), [
    ['1700000000123', 1700000000123000n],
    ['-1', -1000n],
    ['0', 0n],
    ['1700000000123.0', 1700000000123000n],
    ['1.7e12', 1700000000000000n],
    ['1700000000123.5', BAD],
    ['253402300799999', 253402300799999000n],
    ['253402300800000', BAD],
    ['-62135596800000', -62135596800000000n],
    ['-62135596800001', BAD],
    ['1700000000123456789', BAD],
    ['"2026-11-22T10:00:00Z"', micros('2026-11-22T10:00:00Z')],
    ['"2026-11-22T10:00:00"', micros('2026-11-22T10:00:00Z')],
    ['"2026-11-22 10:00:00.5"', micros('2026-11-22T10:00:00.500Z')],
    ['"2026-11-22T10:00:00.123456789Z"', micros('2026-11-22T10:00:00.123Z') + 456n],
    ['"1969-12-31T23:59:59.999999999Z"', -1n],
    ['"2026-11-22T10:00:00.1234567890Z"', BAD],
    ['"2026-11-22T10:00:00+02:00"', micros('2026-11-22T08:00:00Z')],
    ['"2026-11-22T10:00:00-0530"', micros('2026-11-22T15:30:00Z')],
    ['"2026-11-22T10:00:00+02"', micros('2026-11-22T08:00:00Z')],
    ['"2026-11-22T10:00Z"', micros('2026-11-22T10:00:00Z')],
    ['"2026-11-22"', micros('2026-11-22T00:00:00Z')],
    ['"2024-02-29T00:00:00Z"', micros('2024-02-29T00:00:00Z')],
    ['"2023-02-29T00:00:00Z"', BAD],
    ['"1900-02-29"', BAD],
    ['"2000-02-29"', micros('2000-02-29T00:00:00Z')],
    ['"2026-13-01T00:00:00Z"', BAD],
    ['"2026-11-31T00:00:00Z"', BAD],
    ['"2026-11-22T24:00:00Z"', BAD],
    ['"2026-11-22T10:60:00Z"', BAD],
    ['"2026-11-22T10:00:60Z"', BAD],
    ['"2026-11-22T10:00:00+24:00"', BAD],
    ['"2026-11-22T10:00:00.Z"', BAD],
    ['"2026-11-22T10:00:00Zx"', BAD],
    ['"2026-11-22T"', BAD],
    ['"0000-01-01T00:00:00Z"', BAD],
    ['"0001-01-01T00:00:00Z"', -62135596800000000n],
    ['"0001-01-01T00:00:00+01:00"', BAD],
    ['"9999-12-31T23:59:59.999999Z"', 253402300799999999n],
    ['"9999-12-31T23:59:59-01:00"', BAD],
    ['"2026\\u002d11-22T10:00:00Z"', micros('2026-11-22T10:00:00Z')],
    ['"yesterday"', BAD],
    ['true', BAD],
  ])
  cases('timestamp_second', scalar('v', 'timestamp', { unit: 'second' }), [
    ['1700000000', 1700000000000000n],
    ['253402300799', 253402300799000000n],
    ['253402300800', BAD],
    ['-62135596800', -62135596800000000n],
    ['-62135596801', BAD],
  ])
  cases('timestamp_microsecond', scalar('v', 'timestamp', { unit: 'microsecond' }), [
    ['1700000000123456', 1700000000123456n],
    ['253402300799999999', 253402300799999999n],
    ['253402300800000000', BAD],
    ['-62135596800000000', -62135596800000000n],
    ['-62135596800000001', BAD],
  ])
  cases('timestamp_nanosecond', scalar('v', 'timestamp', { unit: 'nanosecond' }), [
    ['1700000000123456789', 1700000000123456n],
    ['-1', -1n],
    ['-1000', -1n],
    ['-1001', -2n],
    ['-1700000000123456789', -1700000000123457n],
    ['999', 0n],
    ['-1700000000123456000', -1700000000123456n],
    ['1700000000123456789.0', 1700000000123456n],
    ['-9223372036854775808', -9223372036854776n],
    ['10000000000000000000000', BAD],
    ['9223372036854775807', 9223372036854775n],
    ['9223372036854775808', BAD],
  ])
  cases('timestamp_ntz', scalar('v', 'timestamp_ntz'), [
    ['"2026-11-22T10:00:00"', micros('2026-11-22T10:00:00Z')],
    ['1700000000123456', 1700000000123456n],
  ])
})

describe('dates', () => {
  cases('date32', scalar('v', 'date'), [
    ['"1970-01-01"', 0],
    ['"2026-11-22"', Date.parse('2026-11-22') / 86_400_000],
    ['"0001-01-01"', -719162],
    ['"9999-12-31"', 2932896],
    ['"2026-1-1"', BAD],
    ['"2026-11-22T00:00:00Z"', BAD],
    ['"2026-02-30"', BAD],
    ['20000', 20000],
    ['-1', -1],
    ['1e2', 100],
    ['2932897', BAD],
    ['-719163', BAD],
    ['1.5', BAD],
    ['false', BAD],
  ])
})

describe('binary', () => {
  const bytes = (...values: number[]) => Uint8Array.from(values)
  cases('binary', scalar('v', 'binary'), [
    ['""', bytes()],
    ['"AQID"', bytes(1, 2, 3)],
    ['"AQI="', bytes(1, 2)],
    ['"AQ=="', bytes(1)],
    ['"AQ"', bytes(1)],
    ['"+/8="', bytes(0xfb, 0xff)],
    ['"-_8="', bytes(0xfb, 0xff)],
    ['"\\/w=="', bytes(0xff)],
    ['"A"', BAD],
    ['"AQID="', BAD],
    ['"AR=="', BAD],
    ['"A Q="', BAD],
    ['"===="', BAD],
    ['"é"', BAD],
    ['[1]', BAD],
    ['1', BAD],
  ])
})

describe('nested values', () => {
  cases('list<int64>', listOf('v', scalar('element', 'long')), [
    ['[]', []],
    ['[1, 2 ,3]', [1n, 2n, 3n]],
    ['[1,null]', [1n, null]],
    ['[1,"x"]', BAD],
    ['1', BAD],
    ['{}', BAD],
  ])
  cases('list<int64 not null>', listOf('v', scalar('element', 'long', { nullable: false })), [
    ['[1,null]', BAD],
  ])
  cases('list<list<utf8>>', listOf('v', listOf('element', scalar('element', 'string'))), [
    ['[["a"],[],null,["b","c"]]', [['a'], [], null, ['b', 'c']]],
  ])
  cases('map<utf8, int64>', mapOf('v', scalar('value', 'long')), [
    ['{}', []],
    [
      '{"b":1, "a" : 2}',
      [
        ['b', 1n],
        ['a', 2n],
      ],
    ],
    ['{"a":1,"a":2}', [['a', 2n]]],
    ['{"a":"x","a":2}', [['a', 2n]]],
    ['{"a":2,"\\u0061":"x"}', BAD],
    ['{"é":1}', [['é', 1n]]],
    ['{"\\ud83d":1}', BAD],
    ['{"a":null}', [['a', null]]],
    ['[]', BAD],
  ])
  cases('map<utf8, map<utf8, int64>>', mapOf('v', mapOf('value', scalar('value', 'long'))), [
    [
      '{"a":{"x":1},"b":{"x":2},"a":{"y":3}}',
      [
        ['a', [['y', 3n]]],
        ['b', [['x', 2n]]],
      ],
    ],
    [
      '{"a":{"a":1},"b":{"a":2}}',
      [
        ['a', [['a', 1n]]],
        ['b', [['a', 2n]]],
      ],
    ],
  ])
  cases('struct', structOf('v', [scalar('a', 'long', { nullable: false }), scalar('b', 'string')]), [
    ['{"a":1}', { a: 1n, b: null }],
    ['{"b":"x","a":1,"c":[{}]}', { a: 1n, b: 'x' }],
    ['{"a":"x","a":1}', { a: 1n, b: null }],
    ['{"a":1,"a":null}', BAD],
    ['{"b":"x"}', BAD],
    ['{}', BAD],
    ['null', null],
    ['"x"', BAD],
  ])

  test('a map with many keys keeps the last value of each', () => {
    const parts = Array.from({ length: 3000 }, (_, i) => `"k${i % 1000}":${i}`)
    const decoded = decodeValue(mapOf('v', scalar('value', 'long')), `{${parts.join(',')}}`)
    assert.ok('value' in decoded)
    const value = decoded.value as [string, bigint][]
    assert.equal(value.length, 1000)
    for (const [key, number] of value) assert.equal(number, 2000n + BigInt(key.slice(1)))
  })
})

describe('keys and columns', () => {
  const id = scalar('id', 'long', { nullable: false })
  const name = scalar('name', 'string')

  test('keys come in any order, with unknown ones between', () => {
    const harness = new DecodeHarness([id, name])
    assert.equal(harness.append('{"name":"a","x":{"id":7},"id":1}'), null)
    assert.equal(harness.append(' \n{ "id" : 2 , "y" : [ 1 , "\\ud800" ] ,\t"name" : "b" } \r\n'), null)
    assert.equal(harness.append('{"id":3}'), null)
    assert.deepEqual(harness.rows(), [
      { id: 1n, name: 'a' },
      { id: 2n, name: 'b' },
      { id: 3n, name: null },
    ])
  })

  test('names match exactly, whether escaped or not', () => {
    assert.deepEqual(decodeOne([name], '{"Name":"x","nam":"y","names":"z","\\u006eame":"a"}').row, {
      name: 'a',
    })
    for (const odd of ['a"b', 'a\\b', 'tab\t', 'ключ', '😀', 'a.b', '']) {
      const column = scalar('c', 'long', { source: at(odd) })
      assert.deepEqual(decodeOne([column], `{${JSON.stringify(odd)}:1}`).row, { c: 1n }, odd)
    }
    assert.equal(
      decodeOne([scalar('c', 'long', { source: at('a"b') })], '{"a"b":1}').bad?.code,
      'RECORD_NOT_JSON',
    )
    const notUtf8 = Uint8Array.of(0x7b, 0x22, 0xff, 0x3a, 0x31, 0x7d)
    assert.equal(
      decodeOne([scalar('c', 'long', { source: at('a"b') })], notUtf8).bad?.code,
      'RECORD_NOT_JSON',
    )
  })

  test('the last of equal keys wins, also over one that does not fit', () => {
    assert.deepEqual(decodeOne([id], '{"id":1,"id":2}').row, { id: 2n })
    assert.deepEqual(decodeOne([id], '{"id":"x","id":2}').row, { id: 2n })
    assert.equal(decodeOne([id], '{"id":2,"id":"x"}').bad?.path, '$.id')
    assert.deepEqual(decodeOne([name], '{"name":"a","name":null}').row, { name: null })
    const list = listOf('l', scalar('element', 'long'))
    assert.deepEqual(decodeOne([list], '{"l":[1,2,"x"],"l":[3]}').row, { l: [3n] })
    assert.deepEqual(decodeOne([list], '{"l":[1,2],"l":[3,4],"l":[]}').row, { l: [] })
    const shared = [scalar('a', 'string', { source: at('x') }), scalar('b', 'long', { source: at('x') })]
    assert.deepEqual(decodeOne(shared, '{"x":"s","x":5}').row, { a: '5', b: 5n })
  })

  test('columns read nested paths, and several may share one', () => {
    const columns = [
      scalar('user_id', 'long', { source: at('user', 'id'), nullable: false }),
      scalar('city', 'string', { source: at('user', 'address', 'city') }),
      scalar('user', 'string'),
      scalar('id_text', 'string', { source: at('user', 'id') }),
    ]
    const harness = new DecodeHarness(columns)
    assert.equal(harness.append('{"user":{"id":1,"address":{"city":"Bern"}}}'), null)
    assert.equal(harness.append('{"user":{"address":null,"id":2}}'), null)
    assert.equal(harness.append('{"user":{"id":9,"address":{"city":"X"}},"user":{"id":3}}'), null)
    assert.equal(harness.append('{"user":{"id":"x"},"user":{"id":4}}'), null)
    assert.equal(harness.append('{"user":{}}')?.path, '$.user.id')
    assert.equal(harness.append('{"user":{"id":true}}')?.path, '$.user.id')
    assert.match(
      harness.append('{"user":5}')?.message ?? '',
      /an object with the key `id`, found the number 5/,
    )
    assert.deepEqual([harness.append('{}')?.path, harness.append('{}')?.column], ['$.user.id', 'user_id'])
    assert.deepEqual(harness.rows(), [
      { user_id: 1n, city: 'Bern', user: '{"id":1,"address":{"city":"Bern"}}', id_text: '1' },
      { user_id: 2n, city: null, user: '{"address":null,"id":2}', id_text: '2' },
      { user_id: 3n, city: null, user: '{"id":3}', id_text: '3' },
      { user_id: 4n, city: null, user: '{"id":4}', id_text: '4' },
    ])
  })

  test('a tombstone becomes a row of nulls where every column may be null', () => {
    const harness = new DecodeHarness([name, structOf('s', [id])])
    assert.equal(harness.appendNull(), null)
    assert.deepEqual(harness.rows(), [{ name: null, s: null }])
    const bad = new DecodeHarness([name, id]).appendNull()
    assert.deepEqual([bad?.path, bad?.column], ['$.id', 'id'])
  })
})

describe('bad records', () => {
  const id = scalar('id', 'long', { nullable: false, declaredType: 'int64' })

  test('name path, column, expected type and found value', () => {
    assert.deepEqual(decodeOne([id], '{"id":"abc"}').bad, {
      code: 'RECORD_INVALID',
      path: '$.id',
      column: 'id',
      message: 'expected int64, found the string "abc"',
    })
    assert.equal(
      decodeOne([id], '{"id":1.5}').bad?.message,
      'expected int64, found the number 1.5 (not integral)',
    )
    assert.equal(decodeOne([id], '{"id":null}').bad?.message, 'expected int64 that is not null, found null')
    assert.equal(decodeOne([id], '{}').bad?.message, 'expected int64 that is not null, found nothing')
    const deep = structOf('user', [listOf('tags', mapOf('element', id))])
    assert.equal(
      decodeOne([deep], '{"user":{"tags":[{},{"a b":1,"c d":[]}]}}').bad?.path,
      '$.user.tags[1]["c d"]',
    )
    assert.equal(decodeOne([deep], '{"user":{"tags":[{},{"a b":1,"c d":[]}]}}').bad?.column, 'user')
  })

  test('show at most 80 printable characters', () => {
    const message = decodeOne([id], `{"id":"${'x\\n\u0085'.repeat(10_000)}"}`).bad!.message
    assert.ok(message.length < 150, message)
    assert.doesNotMatch(message, /\p{C}/u)
    const key = 'k'.repeat(100_000)
    const path = decodeOne([mapOf('m', id)], `{"m":{"${key}":true}}`).bad!.path
    assert.ok(path.length <= 200)
  })

  const notJson: readonly (readonly [string, string | Uint8Array, RegExp])[] = [
    ['an empty payload', '', /empty/],
    ['blanks', ' \n', /blank/],
    ['a byte order mark', '\ufeff{"id":1}', /byte order mark/],
    ['trailing bytes', '{"id":1} x', /expected the end of the payload at byte 9, found `x`/],
    ['a second document', '{"id":1}{"id":2}', /end of the payload/],
    ['a cut payload', '{"id":1', /ends where/],
    ['a cut number', '{"id":', /ends where/],
    ['a cut string', '{"id":1,"x":"ab', /ends where the end of a string/],
    ['NaN', '{"id":NaN}', /a value/],
    ['a trailing comma', '{"id":1,}', /a key/],
    ['a missing colon', '{"id" 1}', /`:`/],
    ['a leading zero', '{"id":01}', /leading zeros/],
    ['a control character', '{"id":1,"x":"a\nb"}', /control character 0x0a/],
    ['an unknown escape', '{"id":1,"x":"\\x"}', /escape/],
    ['a single quote', "{'id':1}", /a key/],
    [
      'invalid UTF-8',
      Buffer.from([...Buffer.from('{"id":1,"x":"'), 0xff, 0x22, 0x7d]),
      /invalid UTF-8 at byte 13/,
    ],
    ['an encoded surrogate', Buffer.from('{"id":1,"\xed\xa0\x80":2}', 'latin1'), /invalid UTF-8/],
    ['a misfit in what is not JSON', '{"id":"x"', /ends where/],
  ]
  for (const [title, payload, pattern] of notJson) {
    test(`${title} is not JSON`, () => {
      const { bad } = decodeOne([id], payload)
      assert.deepEqual([bad?.code, bad?.path, bad?.column], ['RECORD_NOT_JSON', '$', null])
      assert.match(bad!.message, pattern)
    })
  }

  for (const [payload, found] of [
    ['[1]', 'the array [1]'],
    ['"x"', 'the string "x"'],
    ['12', 'the number 12'],
    ['null', 'null'],
  ] as const) {
    test(`the document ${payload} is no object`, () => {
      const { bad } = decodeOne([id], payload)
      assert.deepEqual([bad?.code, bad?.path], ['RECORD_INVALID', '$'])
      assert.equal(bad?.message, `expected a JSON object, found ${found}`)
    })
  }

  test('nesting deeper than 128 is bad, in known and unknown fields; 128 is not', () => {
    const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`
    assert.equal(decodeOne([id], `{"id":1,"x":${nested(127)}}`).bad, null)
    assert.match(decodeOne([id], `{"id":1,"x":${nested(128)}}`).bad!.message, /nested deeper than 128/)
    assert.match(decodeOne([id], nested(129)).bad!.message, /nested deeper than 128/)
    const list = new DecodeHarness([listOf('l', listOf('element', scalar('element', 'long')))], 2)
    assert.match(list.append('{"l":[[1]]}')!.message, /nested deeper than 2/)
    assert.equal(list.append('{"l":[null]}'), null)
  })

  test('a rolled back row leaves nothing behind', () => {
    const columns = [
      scalar('s', 'string'),
      scalar('n', 'long'),
      scalar('b', 'boolean'),
      listOf('l', structOf('element', [scalar('x', 'string'), mapOf('m', scalar('value', 'double'))])),
      id,
    ]
    const good = '{"s":"a","n":null,"b":true,"l":[{"x":"y","m":{"k":1}}],"id":1}'
    const harness = new DecodeHarness(columns)
    const expected = new DecodeHarness(columns)
    for (let i = 0; i < 50; i++) {
      for (const target of [harness, expected]) assert.equal(target.append(good), null)
      assert.notEqual(harness.append(good.replace('"id":1', '"id":"x"')), null)
      assert.notEqual(harness.append(good.slice(0, 10 + (i % (good.length - 10)))), null)
      assert.notEqual(harness.append(good.replace('{"k":1}', '{"k":[]}')), null)
    }
    assert.equal(harness.batch.sizeBytes, expected.batch.sizeBytes)
    assert.deepEqual(harness.rows(), expected.rows())
  })
})
