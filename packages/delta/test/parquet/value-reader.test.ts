import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { SchemaElement } from 'hyparquet'
import { fileTree, findField, listParts, mapParts } from '../../src/parquet/file-schema.ts'
import { openParquet } from '../../src/parquet/parquet-reader.ts'
import { createReaders } from '../../src/parquet/value-reader.ts'
import { array, field, primitive, type StructType, struct } from '../../src/schema.ts'
import { MemoryObjectStore } from '../../src/store/memory.ts'
import type { Row } from '../column/arbitrary-batch.ts'
import { encodeRows } from '../operation/scan-fixture.ts'

const ROOT: SchemaElement = { name: 'root', num_children: 1 }
const INT: SchemaElement = { name: 'element', type: 'INT32', repetition_type: 'REQUIRED' }
const LIST: SchemaElement = {
  name: 'l',
  converted_type: 'LIST',
  num_children: 1,
  repetition_type: 'OPTIONAL',
}
const INTEGER = primitive('integer')

/** Reads rows whose file is made to look as if another writer had described the same levels differently. */
async function readAs(
  written: StructType,
  rows: readonly Row[],
  schema: StructType,
  elements: readonly SchemaElement[],
): Promise<unknown[]> {
  const store = new MemoryObjectStore({ name: 'file' })
  await store.put('a.parquet', encodeRows(written, rows))
  const file = await openParquet(store, 'a.parquet')
  const { columns, leaves } = createReaders(schema.fields, fileTree(elements), 'none')
  const chunks = await file.readChunks(
    0,
    leaves.map(leaf => leaf.leafIndex),
  )
  for (const [i, { reader }] of leaves.entries()) reader.open(chunks[i]!)
  return rows.map(() => columns[0]!.read())
}

describe('lists of older writers', () => {
  const written = struct([field('l', array(INTEGER, false))])
  const rows = [{ l: [1, 2] }, { l: [] }, { l: null }, { l: [3] }]
  const values = [[1, 2], [], null, [3]]

  test('repeat their element itself where it is no group', async () => {
    const repeated: SchemaElement = { ...INT, name: 'array', repetition_type: 'REPEATED' }
    assert.deepEqual(await readAs(written, rows, written, [ROOT, LIST, repeated]), values)
  })

  test('may call the two inner levels anything', async () => {
    const bag: SchemaElement = { name: 'bag', num_children: 1, repetition_type: 'REPEATED' }
    const inner: SchemaElement = { ...INT, name: 'array_element' }
    assert.deepEqual(await readAs(written, rows, written, [ROOT, LIST, bag, inner]), values)
  })

  test('have structs as elements where the repeated group is called `array` or `<list>_tuple`', async () => {
    const structs = struct([field('l', array(struct([field('x', INTEGER, false)]), false))])
    for (const name of ['array', 'l_tuple']) {
      const group: SchemaElement = { name, num_children: 1, repetition_type: 'REPEATED' }
      const read = await readAs(written, rows, structs, [ROOT, LIST, group, { ...INT, name: 'x' }])
      assert.deepEqual(read, [[{ x: 1 }, { x: 2 }], [], null, [{ x: 3 }]])
    }
  })

  test('without any annotation are never null', async () => {
    const required = struct([field('l', array(INTEGER, false), false)])
    const present = [{ l: [1, 2] }, { l: [] }, { l: [3] }]
    const bare: SchemaElement = { name: 'l', type: 'INT32', repetition_type: 'REPEATED' }
    assert.deepEqual(await readAs(required, present, required, [ROOT, bare]), [[1, 2], [], [3]])
  })
})

describe('a column of another form than the table says', () => {
  const refuse = (elements: readonly SchemaElement[], type: StructType, message: RegExp): void => {
    assert.throws(() => createReaders(type.fields, fileTree(elements), 'none'), message)
  }

  test('is refused with both forms', () => {
    const list = struct([field('l', array(INTEGER))])
    const leaf: SchemaElement = { name: 'l', type: 'INT32', repetition_type: 'OPTIONAL' }
    refuse([ROOT, leaf], list, /holds the column `l` as INT32, which cannot be read as array<integer>/)
    refuse(
      [ROOT, LIST, { ...INT, name: 'array', repetition_type: 'REPEATED' }],
      struct([field('l', INTEGER)]),
      /a group/,
    )
    refuse([ROOT, leaf], struct([field('l', struct([field('x', INTEGER)]))]), /`l` as INT32/)
  })

  test('of a footer that ends too early is refused', () => {
    assert.throws(() => fileTree([ROOT]), /cut off/)
  })
})

describe('columns of a file', () => {
  const tree = fileTree([
    { name: 'root', num_children: 2 },
    { name: 'Id', type: 'INT32', repetition_type: 'REQUIRED', field_id: 5 },
    { name: 'm', converted_type: 'MAP', num_children: 1, repetition_type: 'OPTIONAL' },
    { name: 'key_value', num_children: 2, repetition_type: 'REPEATED' },
    { name: 'key', type: 'INT32', repetition_type: 'REQUIRED' },
    { name: 'value', type: 'INT32', repetition_type: 'OPTIONAL' },
  ])

  test('are found by name, then without regard to case; under column mapping only as mapped', () => {
    const byName = (name: string) => findField(field(name, INTEGER), tree.children, 'none')?.leafIndex
    assert.equal(byName('Id'), 0)
    assert.equal(byName('id'), 0)
    assert.equal(byName('other'), undefined)
    const mapped = field('id', INTEGER, true, {
      'delta.columnMapping.id': 5,
      'delta.columnMapping.physicalName': 'id',
    })
    assert.equal(findField(mapped, tree.children, 'name'), null)
    assert.equal(findField(mapped, tree.children, 'id')?.leafIndex, 0)
  })

  test('have levels by what may be absent and what repeats above them', () => {
    const entries = mapParts(tree.children[1]!)
    assert(entries !== null)
    const levels = entries.parts.map(p => [p.leafIndex, p.definitionLevel, p.repetitionLevel])
    assert.deepEqual(levels, [
      [1, 2, 1],
      [2, 3, 1],
    ])
    assert.equal(listParts(tree.children[0]!, INTEGER), null)
    assert.equal(mapParts(tree.children[0]!), null)
  })
})
