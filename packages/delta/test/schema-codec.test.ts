import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { array, decimal, field, map, primitive, struct } from '../src/schema.ts'
import {
  formatDataType,
  formatSchemaString,
  parseSchemaString,
  schemaLeaves,
  validateTableSchema,
} from '../src/schema-codec.ts'
import { arbitrarySchema } from './column/arbitrary-batch.ts'

const oneField = (type: string): string =>
  `{"type":"struct","fields":[{"name":"x","type":${type},"nullable":true,"metadata":{}}]}`

test('any schema survives formatting and parsing', () => {
  fc.assert(
    fc.property(arbitrarySchema(3), schema => {
      assert.deepEqual(parseSchemaString(formatSchemaString(schema)), schema)
    }),
  )
})

test('field metadata comes back verbatim, numbers with their text', () => {
  const text =
    '{"type":"struct","fields":[{"name":"x","type":"long","nullable":false,"metadata":{"delta.columnMapping.id":1,"a":[1.50,{"b":null}],"c":9223372036854775807,"d":"é"}}]}'
  assert.equal(formatSchemaString(parseSchemaString(text)), text)
})

test('decimals with spaces, bare decimals and the legacy null are read', () => {
  assert.deepEqual(parseSchemaString(oneField('"decimal(10, 2)"')).fields[0]!.type, decimal(10, 2))
  assert.deepEqual(parseSchemaString(oneField('"decimal"')).fields[0]!.type, decimal(10, 0))
  assert.deepEqual(parseSchemaString(oneField('"null"')).fields[0]!.type, primitive('void'))
})

test('a type that is not known is refused by its name', () => {
  for (const type of ['geometry(OGC:CRS84)', 'interval', 'decimal(39,0)', 'decimal(2,3)']) {
    assert.throws(() => parseSchemaString(oneField(JSON.stringify(type))), {
      code: 'DELTA_PROTOCOL_UNSUPPORTED',
      message: `the type \`${type}\` of the column \`x\` is not known`,
    })
  }
})

test('text that is no schema is damage', () => {
  for (const text of ['', '{', '[]', '"long"', '{"type":"struct"}', oneField('5')]) {
    assert.throws(() => parseSchemaString(text), { code: 'DELTA_LOG_CORRUPT' }, text)
  }
})

test('a schema nested without end is refused before it is recursed into', () => {
  let type = '"long"'
  for (let i = 0; i < 200; i++) type = `{"type":"array","elementType":${type},"containsNull":true}`
  assert.throws(() => parseSchemaString(oneField(type)), { code: 'DELTA_SCHEMA_INVALID' })
})

test('names that differ only in case are refused at every level', () => {
  const inner = struct([field('a', primitive('long')), field('A', primitive('long'))])
  assert.throws(() => validateTableSchema(struct([field('s', array(inner))]), []), {
    code: 'DELTA_SCHEMA_INVALID',
    message: 'the columns `a` and `A` of `s.element` differ only in case',
  })
})

test('names with characters that Parquet engines refuse are named with the character', () => {
  assert.throws(() => validateTableSchema(struct([field('a b', primitive('long'))]), []), {
    message: /the column name `a b` has the character " "/,
  })
})

test('partition columns must be simple, known, named once, and not all there is', () => {
  const schema = struct([
    field('d', primitive('date')),
    field('v', primitive('long')),
    field('tags', map(primitive('string'), primitive('string'))),
  ])
  validateTableSchema(schema, ['d'])
  assert.throws(() => validateTableSchema(schema, ['day']), { message: /`day` is not a column/ })
  assert.throws(() => validateTableSchema(schema, ['tags']), { message: /map<string, string>/ })
  assert.throws(() => validateTableSchema(schema, ['d', 'd']), { message: /named twice/ })
  assert.throws(() => validateTableSchema(struct([field('d', primitive('date'))]), ['d']), {
    message: /only partition columns/,
  })
})

test('leaves come in schema order with structs entered and arrays not', () => {
  const schema = struct([
    field('a', struct([field('b', primitive('long')), field('c', array(primitive('long')))])),
    field('d', primitive('string')),
  ])
  assert.deepEqual(
    [...schemaLeaves(schema)].map(leaf => leaf.path.join('.')),
    ['a.b', 'a.c', 'd'],
  )
  assert.equal(formatDataType(schema), 'struct<a: struct<b: long, c: array<long>>, d: string>')
})
