import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  createTable,
  DeltaTable,
  FaultQueue,
  field,
  MemoryObjectStore,
  primitive,
  readCommit,
  struct,
} from '@stream-ingest/delta'
import { EVENTS, testRuntime } from './table-fixture.ts'

const SPEC = { schema: EVENTS, partitionColumns: ['day'], properties: {} }

suite('creating a table', () => {
  test('takes the lowest protocol', async () => {
    const { state } = await createTable(new MemoryObjectStore(), SPEC, testRuntime())
    assert.deepEqual(state.protocol, { minReaderVersion: 1, minWriterVersion: 2 })
    assert.deepEqual(state.metadata.partitionColumns, ['day'])
  })

  test('names the feature that a timestamp without zone needs, in both lists', async () => {
    const schema = struct([field('at', primitive('timestamp_ntz'))])
    const { state } = await createTable(
      new MemoryObjectStore(),
      { ...SPEC, schema, partitionColumns: [] },
      testRuntime(),
    )
    assert.deepEqual(state.protocol, {
      minReaderVersion: 3,
      minWriterVersion: 7,
      readerFeatures: ['timestampNtz'],
      writerFeatures: ['appendOnly', 'invariants', 'timestampNtz'],
    })
  })

  test('of many creators one wins and the others take its table', async () => {
    const store = new MemoryObjectStore()
    const results = await Promise.all(
      Array.from({ length: 8 }, (_, i) => createTable(store, SPEC, testRuntime(undefined, i + 1))),
    )
    assert.equal(results.filter(r => r.status === 'created').length, 1)
    assert.equal(new Set(results.map(r => r.state.metadata.id)).size, 1)
    assert.equal(await readCommit(store, 1), null, 'a loser writes no second metadata')
  })

  for (const kind of ['lost-answer', 'timeout', 'own-earlier-write'] as const) {
    test(`knows its own table after a ${kind}`, async () => {
      const faults = new FaultQueue().add('putIfAbsent', { kind })
      const result = await createTable(new MemoryObjectStore({ faults: faults.hook }), SPEC, testRuntime())
      assert.equal(result.status, 'created')
    })
  }

  test('does not create over a log that lost its commits', async () => {
    const store = new MemoryObjectStore()
    const runtime = testRuntime()
    await createTable(store, SPEC, runtime)
    await store.delete(['_delta_log/00000000000000000000.json'])
    await store.put('_delta_log/00000000000000000003.json', new TextEncoder().encode('{"commitInfo":{}}\n'))
    await assert.rejects(createTable(store, SPEC, runtime), { code: 'DELTA_LOG_GAP' })
  })

  test('refuses a property that would change how files must look', async () => {
    const properties = { 'delta.enableIcebergCompatV2': 'true' }
    await assert.rejects(createTable(new MemoryObjectStore(), { ...SPEC, properties }, testRuntime()), {
      code: 'DELTA_PROTOCOL_UNSUPPORTED',
    })
  })

  test('lists the features that properties need, with what they need in turn', async () => {
    const properties = {
      'delta.enableDeletionVectors': 'true',
      'delta.enableRowTracking': 'true',
      'delta.enableTypeWidening': 'true',
    }
    const { state } = await createTable(new MemoryObjectStore(), { ...SPEC, properties }, testRuntime())
    assert.deepEqual(state.protocol, {
      minReaderVersion: 3,
      minWriterVersion: 7,
      readerFeatures: ['deletionVectors', 'typeWidening'],
      writerFeatures: [
        'appendOnly',
        'invariants',
        'deletionVectors',
        'rowTracking',
        'domainMetadata',
        'typeWidening',
      ],
    })
    const { configuration } = state.metadata
    const columns = ['RowId', 'RowCommitVersion'].map(
      what => configuration[`delta.rowTracking.materialized${what}ColumnName`],
    )
    assert(
      columns.every(name => name?.startsWith('_row-')),
      String(columns),
    )
    assert.equal(new Set(columns).size, 2)
  })

  test('refuses columns that the change data feed needs for itself', async () => {
    const spec = {
      ...SPEC,
      schema: struct([...SPEC.schema.fields, field('_Change_Type', primitive('string'))]),
      properties: { 'delta.enableChangeDataFeed': 'true' },
    }
    await assert.rejects(createTable(new MemoryObjectStore(), spec, testRuntime()), {
      code: 'DELTA_SCHEMA_INVALID',
    })
    await createTable(new MemoryObjectStore(), { ...spec, properties: {} }, testRuntime())
  })

  test('opens what is there, and nothing where nothing is', async () => {
    const store = new MemoryObjectStore()
    assert.equal(await DeltaTable.open(store), null)
    const { table, created } = await DeltaTable.openOrCreate(store, SPEC)
    const again = await DeltaTable.openOrCreate(store, SPEC)
    assert.deepEqual([created, again.created], [true, false])
    assert.equal(again.table.state.metadata.id, table.state.metadata.id)
  })
})
