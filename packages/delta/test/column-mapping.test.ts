import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  array,
  checkTable,
  createParquetEncoder,
  DeltaTable,
  encodeDataFile,
  field,
  loadSnapshot,
  MemoryObjectStore,
  map,
  openParquet,
  parseStatistics,
  primitive,
  scanTable,
  struct,
  uploadDataFile,
} from '@stream-ingest/delta'
import { appendFields, BatchBuilder } from '@stream-ingest/delta/column'
import { assignColumnMapping, fieldId, physicalName } from '../src/column-mapping.ts'
import { schemaFields } from '../src/schema-codec.ts'
import { testRuntime } from './table-fixture.ts'

const SCHEMA = struct([
  field('id', primitive('long'), false),
  field('place', struct([field('x', primitive('double')), field('label', primitive('string'))])),
  field('items', array(struct([field('sku', primitive('string'))]))),
  field('counts', map(primitive('string'), struct([field('n', primitive('integer'))]))),
  field('part', primitive('string')),
])

const ROW = {
  id: 7n,
  place: { x: 1.5, label: 'here' },
  items: [{ sku: 'a' }, null],
  counts: [['k', { n: 3 }]],
}

async function tableWithRow(mode: string) {
  const runtime = testRuntime()
  const store = new MemoryObjectStore({ now: runtime.now })
  const { table } = await DeltaTable.openOrCreate(
    store,
    { schema: SCHEMA, partitionColumns: ['part'], properties: { 'delta.columnMapping.mode': mode } },
    { runtime },
  )
  const data = struct(SCHEMA.fields.slice(0, -1))
  const builder = new BatchBuilder(data)
  appendFields(data.fields, builder.columns, ROW)
  builder.endRow()
  const encoder = createParquetEncoder()
  const file = encodeDataFile(
    table.state,
    encoder,
    builder.finish(),
    { part: 'p1' },
    { codec: 'snappy' },
    runtime,
  )
  const add = await uploadDataFile(store, file, runtime)
  assert.equal((await table.append({ adds: [add], rowCounts: [1], txns: [] })).status, 'committed')
  return { store, table, add }
}

suite('column mapping', () => {
  test('gives every field at any depth an id and a name of its own, and keeps those that are there', () => {
    let names = 0
    const first = assignColumnMapping(SCHEMA, 0, () => `col-${++names}`)
    const ids = [...schemaFields(first.schema)].map(({ field: f }) => fieldId(f))
    assert.deepEqual(ids, [1, 2, 3, 4, 5, 6, 7, 8, 9])
    assert.equal(first.maxColumnId, 9)
    const more = struct([...first.schema.fields, field('later', primitive('date'))])
    const second = assignColumnMapping(more, 12, () => 'col-new')
    assert.equal(second.maxColumnId, 13, 'an id that was given once is not given again')
    assert.deepEqual(second.schema.fields.slice(0, -1), first.schema.fields)
    assert.equal(physicalName(second.schema.fields.at(-1)!, 'name'), 'col-new')
  })

  for (const mode of ['name', 'id']) {
    test(`of mode ${mode}: files, statistics and partition values have physical names and ids`, async () => {
      const { store, table, add } = await tableWithRow(mode)
      const { schema, metadata, protocol } = table.state
      assert.deepEqual(protocol, {
        minReaderVersion: 3,
        minWriterVersion: 7,
        readerFeatures: ['columnMapping'],
        writerFeatures: ['appendOnly', 'invariants', 'columnMapping'],
      })
      assert.equal(metadata.configuration['delta.columnMapping.maxColumnId'], '9')
      assert.deepEqual(metadata.partitionColumns, ['part'], 'the name that people see')
      const physical = (path: string): string =>
        physicalName([...schemaFields(schema)].find(f => f.path === path)!.field, 'name')
      assert.deepEqual(add.partitionValues, { [physical('part')]: 'p1' })
      const { minValues, nullCount } = parseStatistics(add.stats!)!
      assert.deepEqual(minValues, {
        [physical('id')]: 7,
        [physical('place')]: { [physical('place.x')]: 1.5, [physical('place.label')]: 'here' },
      })
      assert.deepEqual(Object.keys(nullCount!), ['id', 'place', 'items', 'counts'].map(physical))
      const file = await openParquet(store, add.path)
      const inFile = file.metadata.schema.filter(e => e.field_id !== undefined).map(e => [e.name, e.field_id])
      assert.deepEqual(
        inFile,
        [...schemaFields(struct(schema.fields.slice(0, -1)))].map(({ field: f }) => [
          physicalName(f, 'name'),
          fieldId(f),
        ]),
      )
      const rows = []
      for await (const batch of scanTable((await loadSnapshot(store))!)) rows.push(...batch)
      assert.deepEqual(rows, [{ ...ROW, part: 'p1' }])
      assert.deepEqual((await checkTable(store, { deep: true })).findings, [])
    })
  }
})
