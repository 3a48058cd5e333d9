import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mergeSchemas, projectSchema } from '@stream-ingest/delta'
import fc from 'fast-check'
import { array, field, map, primitive, struct } from '../src/schema.ts'
import { arbitrarySchema } from './column/arbitrary-batch.ts'

const mapped = { 'delta.columnMapping.physicalName': 'col-1', 'delta.columnMapping.id': 1 }

test('a projection has the rows’ fields in their order, with the table’s names, types and metadata', () => {
  const inner = struct([field('x', primitive('long'), true, mapped), field('y', primitive('string'))])
  const table = struct([
    field('a', primitive('string')),
    field('B', map(primitive('string'), array(inner)), true, mapped),
    field('c', primitive('double')),
  ])
  const rows = struct([
    field('c', primitive('float')),
    field('b', map(primitive('string'), array(struct([field('X', primitive('integer'))])))),
  ])
  assert.deepEqual(
    projectSchema(table, rows),
    struct([
      field('c', primitive('double')),
      field(
        'B',
        map(primitive('string'), array(struct([field('x', primitive('long'), true, mapped)]))),
        true,
        mapped,
      ),
    ]),
  )
})

test('rows that may be null stay so in their file, whatever the table says', () => {
  const table = struct([field('a', array(primitive('long'), false), false)])
  const rows = struct([field('a', array(primitive('long')))])
  assert.deepEqual(projectSchema(table, rows), rows)
})

test('whatever is merged can be projected, to what the rows themselves project to', () => {
  fc.assert(
    fc.property(arbitrarySchema(2), arbitrarySchema(2), (table, rows) => {
      const merge = mergeSchemas(table, rows, { typeWidening: true })
      if (merge.status !== 'evolved') return
      const projected = projectSchema(merge.schema, rows)
      assert.deepEqual(
        projected.fields.map(f => f.name),
        rows.fields.map(f => f.name),
      )
      assert.equal(mergeSchemas(projected, rows, { typeWidening: false }).status, 'unchanged')
    }),
  )
})

test('a field that the table does not have is a bug of the caller', () => {
  const schema = struct([field('a', primitive('long'))])
  assert.throws(() => projectSchema(struct([]), schema), { code: 'ERR_ASSERTION' })
})
