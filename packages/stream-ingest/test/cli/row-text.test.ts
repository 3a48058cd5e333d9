import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  array,
  type DataType,
  decimal,
  field,
  formatJson,
  map,
  primitive,
  struct,
  type TableRow,
} from '@stream-ingest/delta'
import { cellText, formatCsvHeader, formatCsvRow, formatNdjsonRow } from '../../src/cli/row-text.ts'

function json(type: DataType, value: unknown): string {
  const line = formatNdjsonRow(struct([field('v', type)]), { v: value })
  assert.match(line, /^\{"v":.*\}\n$/s)
  return line.slice(5, -2)
}

describe('JSON of a value', () => {
  test('is exact for integers, decimals and instants', () => {
    assert.equal(json(primitive('long'), 9007199254740993n), '9007199254740993')
    assert.equal(json(primitive('long'), -(2n ** 63n)), '-9223372036854775808')
    assert.equal(json(primitive('integer'), -5), '-5')
    assert.equal(json(decimal(38, 3), -5n), '"-0.005"')
    assert.equal(json(decimal(5, 0), 12n), '"12"')
    const micros = 1_795_341_600_123_456n
    assert.equal(json(primitive('timestamp'), micros), '"2026-11-22T10:00:00.123456Z"')
    assert.equal(json(primitive('timestamp_ntz'), micros), '"2026-11-22T10:00:00.123456"')
    assert.equal(json(primitive('timestamp'), -1n), '"1969-12-31T23:59:59.999999Z"')
    assert.equal(json(primitive('date'), 20_779), '"2026-11-22"')
  })

  test('has every float, those that JSON lacks as strings', () => {
    assert.equal(json(primitive('double'), 0.1), '0.1')
    assert.equal(json(primitive('double'), -0), '-0.0')
    assert.equal(json(primitive('double'), Number.NaN), '"NaN"')
    assert.equal(json(primitive('double'), Number.POSITIVE_INFINITY), '"Infinity"')
    assert.equal(json(primitive('float'), Number.NEGATIVE_INFINITY), '"-Infinity"')
    assert.equal(json(primitive('float'), Math.fround(0.1)), '0.1')
    assert.equal(json(primitive('float'), Math.fround(16_777_217)), '16777216')
  })

  test('has binary as base64, text as it is, and null', () => {
    assert.equal(json(primitive('binary'), Uint8Array.of(0, 255, 62)), '"AP8+"')
    assert.equal(json(primitive('string'), 'a"\n\u2028é'), JSON.stringify('a"\n\u2028é'))
    assert.equal(json(primitive('boolean'), false), 'false')
    assert.equal(json(primitive('boolean'), null), 'null')
  })

  test('has maps with string keys as objects and other maps as entries, at any depth', () => {
    const pairs: [unknown, unknown][] = [
      ['b', 1n],
      ['__proto__', 2n],
    ]
    assert.equal(json(map(primitive('string'), primitive('long')), pairs), '{"b":1,"__proto__":2}')
    const nested = array(map(decimal(3, 1), struct([field('d', primitive('date'))])))
    const value = [
      [
        [15n, { d: 0 }],
        [-1n, null],
      ],
      null,
      [],
    ]
    assert.equal(
      json(nested, value),
      '[[{"key":"1.5","value":{"d":"1970-01-01"}},{"key":"-0.1","value":null}],null,[]]',
    )
  })
})

describe('CSV of a row', () => {
  const schema = struct([
    field('id', primitive('long')),
    field('say "it"', primitive('string')),
    field('l', array(primitive('long'))),
  ])
  const line = (row: TableRow): string => formatCsvRow(schema, row)

  test('is RFC 4180: quotes where they are needed, doubled quotes, CRLF', () => {
    assert.equal(formatCsvHeader(schema), 'id,"say ""it""",l\r\n')
    assert.equal(
      line({ id: 9007199254740993n, 'say "it"': 'plain', l: [1n] }),
      '9007199254740993,plain,[1]\r\n',
    )
    assert.equal(line({ id: 1n, 'say "it"': 'a,b', l: [1n, 2n] }), '1,"a,b","[1,2]"\r\n')
    assert.equal(line({ id: 1n, 'say "it"': 'a"b\nc\r', l: [] }), '1,"a""b\nc\r",[]\r\n')
  })

  test('tells null from empty text', () => {
    assert.equal(line({ id: null, 'say "it"': '', l: null }), ',"",\r\n')
  })
})

describe('a cell', () => {
  test('is one line without control characters that a terminal would obey', () => {
    const text = primitive('string')
    assert.equal(cellText(text, 'a\nb\tc\u001b[31m\u202e'), 'a\\nb\\tc\\u001b[31m\\u202e')
    assert.equal(cellText(text, null), '')
    assert.equal(cellText(primitive('long'), 5n), '5')
    assert.equal(cellText(array(text), ['a']), formatJson(['a']))
  })
})
