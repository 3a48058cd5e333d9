import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  assertReadable,
  assertWritable,
  createParquetEncoder,
  DeltaTable,
  evolveTable,
  loadSnapshot,
  loadTableState,
  writeCheckpoint,
} from '@stream-ingest/delta'
import { parseCommit } from '../../src/action-codec.ts'
import { field, primitive, struct } from '../../src/schema.ts'
import { readAll } from '../operation/scan-fixture.ts'
import { metadataOf, SCHEMA } from '../table-log.ts'
import { createTable, DATA, type MistakeTable, row } from './mistake-table.ts'

const WIDER = struct([...DATA.fields, field('extra', primitive('string'))])
const uuid = (): string => '123e4567-e89b-42d3-a456-426614174000'

/** Adds `extra` with a file that has it. */
async function evolve(table: MistakeTable): Promise<void> {
  const open = (await DeltaTable.open(table.store, { runtime: table.runtime }))!
  const change = evolveTable(open.state, WIDER, uuid)
  assert(change.status === 'evolved')
  const stats =
    '{"numRecords":1,"minValues":{"id":2,"extra":"x"},"maxValues":{"id":2,"extra":"x"},"nullCount":{"id":0,"extra":0}}'
  const add = await table.file('evolved.parquet', [{ id: 2n, extra: 'x' }], { stats }, WIDER)
  const outcome = await open.append({ adds: [add], rowCounts: [1], txns: [], change })
  assert.equal(outcome.status, 'committed')
  table.version = open.state.version
}

test('48: the id of a table outlives its schemas (delta-rs #3274)', async () => {
  const table = await createTable()
  const before = (await loadTableState(table.store))!.metadata
  await evolve(table)
  const after = (await loadTableState(table.store))!.metadata
  assert.deepEqual({ ...after, schemaString: '' }, { ...before, schemaString: '' })
})

test('49: evolution keeps nullability and all that fields carry (delta-rs #2468, #3744, #4186, #4237)', async () => {
  const carried = {
    'delta.generationExpression': 'year(at)',
    'delta.identity.start': 1,
    comment: 'kept',
    'other.engine': { nested: [1, 2] },
  }
  const schema = struct([field('id', primitive('long'), false, carried)])
  const table = await createTable({ schema })
  const state = (await loadTableState(table.store))!
  const evolution = evolveTable(state, WIDER, uuid)
  assert(evolution.status === 'evolved')
  assert.deepEqual(evolution.schema.fields[0], schema.fields[0])
})

test('50: a column that came after a checkpoint is null in its files, there and in the next one (polars #20238, #27072, #19854)', async () => {
  const table = await createTable()
  const stats = '{"numRecords":1,"minValues":{"id":1},"maxValues":{"id":1},"nullCount":{"id":0}}'
  await table.commit({ add: await table.file('old.parquet', [row(1)], { stats }) })
  const checkpoint = () => writeCheckpoint(table.store, table.version, createParquetEncoder(), table.runtime)
  await checkpoint()
  await evolve(table)
  const expected = [
    { id: 1n, extra: null },
    { id: 2n, extra: 'x' },
  ]
  const sorted = async () =>
    (await readAll(table.store)).toSorted((a, b) => Number((a.id as bigint) - (b.id as bigint)))
  assert.deepEqual(await sorted(), expected)
  await checkpoint()
  await table.store.delete([0, 1].map(v => `_delta_log/0000000000000000000${v}.json`))
  assert.deepEqual(await sorted(), expected)
  const files = await (await loadSnapshot(table.store))!.allFiles()
  assert.equal(files.find(f => f.path === 'old.parquet')?.stats, stats)
})

test('51: a remove that promises more fields than it has is read (kernel-rs #3006)', () => {
  const line = '{"remove":{"path":"x","dataChange":true,"extendedFileMetadata":true}}'
  const [action] = parseCommit(new TextEncoder().encode(line), 'x.json')
  assert(action !== undefined && 'remove' in action)
  assert.equal(action.remove.size, undefined)
})

test('52: a feature is known by the name that it had once, too (kernel-rs #2557)', () => {
  const features = ['timestampWithoutTimezone']
  const protocol = {
    minReaderVersion: 3,
    minWriterVersion: 7,
    readerFeatures: features,
    writerFeatures: features,
  }
  assertReadable(protocol)
  assertWritable(protocol, metadataOf(), SCHEMA)
})
