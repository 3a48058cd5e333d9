import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { SchemaElement } from 'hyparquet'
import { createParquetEncoder } from '../../src/index.ts'
import { decimalSizeBytes } from '../../src/parquet/schema-element.ts'
import {
  array,
  type DataType,
  decimal,
  field,
  map,
  type PrimitiveName,
  primitive,
  type StructType,
  struct,
} from '../../src/schema.ts'
import { batchOf, type Row } from '../column/arbitrary-batch.ts'
import { fileMetadata } from './read-back.ts'

const encoder = createParquetEncoder()

function schemaOf(schema: StructType, row: Row, fieldIds?: ReadonlyMap<string, number>) {
  const options = { codec: 'none', ...(fieldIds === undefined ? {} : { fieldIds }) } as const
  const { bytes } = encoder.encode(batchOf(schema, [row]), options)
  return fileMetadata(bytes).schema.map(
    element =>
      Object.fromEntries(Object.entries(element).filter(([, value]) => value !== undefined)) as SchemaElement,
  )
}

describe('the Parquet schema of a Delta schema', () => {
  const utc = (isAdjustedToUTC: boolean) => ({ type: 'TIMESTAMP', isAdjustedToUTC, unit: 'MICROS' })
  const leaves: [DataType, Record<string, unknown>][] = [
    [primitive('boolean'), { type: 'BOOLEAN' }],
    [
      primitive('byte'),
      {
        type: 'INT32',
        converted_type: 'INT_8',
        logical_type: { type: 'INTEGER', bitWidth: 8, isSigned: true },
      },
    ],
    [
      primitive('short'),
      {
        type: 'INT32',
        converted_type: 'INT_16',
        logical_type: { type: 'INTEGER', bitWidth: 16, isSigned: true },
      },
    ],
    [primitive('integer'), { type: 'INT32' }],
    [primitive('long'), { type: 'INT64' }],
    [primitive('float'), { type: 'FLOAT' }],
    [primitive('double'), { type: 'DOUBLE' }],
    [primitive('date'), { type: 'INT32', converted_type: 'DATE', logical_type: { type: 'DATE' } }],
    [primitive('timestamp'), { type: 'INT64', converted_type: 'TIMESTAMP_MICROS', logical_type: utc(true) }],
    [primitive('timestamp_ntz'), { type: 'INT64', logical_type: utc(false) }],
    [primitive('string'), { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } }],
    [primitive('binary'), { type: 'BYTE_ARRAY' }],
    ...(
      [
        [9, 'INT32'],
        [10, 'INT64'],
        [18, 'INT64'],
      ] as const
    ).map(([precision, type]): [DataType, Record<string, unknown>] => [
      decimal(precision, 2),
      { type, ...decimalAnnotation(precision) },
    ]),
    ...(
      [
        [19, 9],
        [20, 9],
        [38, 16],
      ] as const
    ).map(([precision, typeLength]): [DataType, Record<string, unknown>] => [
      decimal(precision, 2),
      { type: 'FIXED_LEN_BYTE_ARRAY', type_length: typeLength, ...decimalAnnotation(precision) },
    ]),
  ]
  for (const [type, expected] of leaves) {
    test(`annotates ${JSON.stringify(type)}`, () => {
      const [root, element] = schemaOf(struct([field('v', type)]), { v: null })
      assert.deepEqual(root, { name: 'schema', num_children: 1 })
      assert.deepEqual(element, { name: 'v', repetition_type: 'OPTIONAL', ...expected })
    })
  }

  test('gives lists three levels, maps a key_value group, and the field ids asked for', () => {
    const schema = struct([
      field('id', primitive('long'), false),
      field('tags', array(primitive('string'), false)),
      field('counts', map(primitive('string'), struct([field('n', primitive('integer'), false)])), false),
    ])
    const fieldIds = new Map([
      ['id', 1],
      ['tags', 2],
      ['tags\0element', 3],
      ['counts', 4],
      ['counts\0key', 5],
      ['counts\0value', 6],
      ['counts\0value\0n', 7],
    ])
    const elements = schemaOf(schema, { id: 1n, tags: [], counts: [] }, fieldIds)
    assert.deepEqual(
      elements.map(e => [e.name, e.repetition_type, e.num_children, e.converted_type, e.field_id]),
      [
        ['schema', undefined, 3, undefined, undefined],
        ['id', 'REQUIRED', undefined, undefined, 1],
        ['tags', 'OPTIONAL', 1, 'LIST', 2],
        ['list', 'REPEATED', 1, undefined, undefined],
        ['element', 'REQUIRED', undefined, 'UTF8', 3],
        ['counts', 'REQUIRED', 1, 'MAP', 4],
        ['key_value', 'REPEATED', 2, undefined, undefined],
        ['key', 'REQUIRED', undefined, 'UTF8', 5],
        ['value', 'OPTIONAL', 1, undefined, 6],
        ['n', 'REQUIRED', undefined, undefined, 7],
      ],
    )
    assert.deepEqual(elements[2]!.logical_type, { type: 'LIST' })
    assert.deepEqual(elements[5]!.logical_type, { type: 'MAP' })
  })

  test('takes the fewest bytes that hold a decimal', () => {
    for (let precision = 1; precision <= 38; precision++) {
      const largest = 10n ** BigInt(precision) - 1n
      const sizeBytes = decimalSizeBytes(precision)
      assert.equal(BigInt.asIntN(sizeBytes * 8, largest), largest)
      if (sizeBytes > 1) assert.notEqual(BigInt.asIntN(sizeBytes * 8 - 8, largest), largest)
    }
  })
})

describe('what no Parquet file holds', () => {
  test('a batch without rows, a file without columns, a struct without fields', () => {
    assert.throws(() => encoder.encode(batchOf(struct([]), [{}]), { codec: 'none' }), /at least one column/)
    const schema = struct([field('s', struct([]))])
    assert.throws(() => encoder.encode(batchOf(schema, []), { codec: 'none' }), /without rows/)
    assert.throws(
      () => encoder.encode(batchOf(schema, [{ s: {} }]), { codec: 'none' }),
      /struct `s` has no fields/,
    )
  })

  for (const name of ['void', 'variant'] as const satisfies PrimitiveName[]) {
    test(`a ${name} column`, () => {
      const { columns, rowCount } = batchOf(struct([field('v', primitive('string'))]), [{ v: '' }])
      const schema = struct([field('v', primitive(name))])
      assert.throws(() => encoder.encode({ schema, columns, rowCount }, { codec: 'none' }), new RegExp(name))
    })
  }

  test('a null where the schema allows none, at every level', () => {
    const required = struct([field('x', primitive('long'), false)])
    const cases: [StructType, Row, RegExp][] = [
      [required, { x: null }, /a null in `x`/],
      [struct([field('s', required)]), { s: { x: null } }, /a null in `s\.x`/],
      [struct([field('s', required, false)]), { s: null }, /a null in `s`/],
      [struct([field('a', array(primitive('long'), false))]), { a: [1n, null] }, /a null in `a\.element`/],
      [struct([field('m', map(primitive('string'), primitive('long')))]), { m: [[null, 1n]] }, /`m\.key`/],
      [
        struct([field('m', map(primitive('string'), primitive('long'), false))]),
        { m: [['k', null]] },
        /`m\.value`/,
      ],
    ]
    for (const [schema, row, message] of cases) {
      assert.throws(() => encoder.encode(batchOf(schema, [row]), { codec: 'none' }), message)
    }
  })

  test('a null under a null struct is none: a NOT NULL field of it is not violated', () => {
    const schema = struct([field('s', struct([field('x', primitive('long'), false)]))])
    const { bytes } = encoder.encode(batchOf(schema, [{ s: null }, { s: { x: 1n } }]), { codec: 'none' })
    assert.equal(fileMetadata(bytes).num_rows, 2n)
  })

  test('a column that is not of its type', () => {
    const { columns, rowCount } = batchOf(struct([field('v', primitive('string'))]), [{ v: '' }])
    const schema = struct([field('v', primitive('long'))])
    assert.throws(
      () => encoder.encode({ schema, columns, rowCount }, { codec: 'none' }),
      /`v` is of kind binary, its type of int64/,
    )
  })
})

function decimalAnnotation(precision: number): Record<string, unknown> {
  return {
    converted_type: 'DECIMAL',
    logical_type: { type: 'DECIMAL', precision, scale: 2 },
    precision,
    scale: 2,
  }
}
