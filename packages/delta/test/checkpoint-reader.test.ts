import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Action } from '../src/action.ts'
import { readCheckpointFiles, readCheckpointState } from '../src/checkpoint-reader.ts'
import { fileActionFields, stateActionFields } from '../src/checkpoint-schema.ts'
import { appendFields } from '../src/column/append-value.ts'
import { BatchBuilder } from '../src/column/column-builder.ts'
import { formatCheckpointPath } from '../src/log-path.ts'
import { createParquetEncoder } from '../src/parquet/file-encoder.ts'
import { decimal, field, primitive, type StructType, struct } from '../src/schema.ts'
import { MemoryObjectStore } from '../src/store/memory.ts'

const OPTIONS = {
  tableSchema: struct([
    field('id', primitive('long')),
    field('amount', decimal(20, 3)),
    field('ratio', primitive('double')),
    field('day', primitive('date')),
    field('at', primitive('timestamp')),
    field('local', primitive('timestamp_ntz')),
    field('flag', primitive('boolean')),
    field(
      'nested',
      struct([
        field('__proto__', primitive('string')),
        field('deep', struct([field('n', primitive('short'))])),
      ]),
    ),
    field('p', primitive('string')),
  ]),
  partitionColumns: ['p'],
  columnMapping: 'none',
  statsAsJson: true,
  statsAsStruct: true,
  statsColumns: null,
} as const

const SCHEMA = struct([...stateActionFields('v1'), ...fileActionFields(OPTIONS)])

/** A checkpoint of these rows, whatever they hold. */
async function checkpointOf(
  rows: readonly Record<string, unknown>[],
  schema: StructType = SCHEMA,
  rowGroupRows = 1000,
): Promise<(column: 'add' | 'remove') => Promise<Action[]>> {
  const builder = new BatchBuilder(schema)
  for (const row of rows) {
    appendFields(schema.fields, builder.columns, row)
    builder.endRow()
  }
  const store = new MemoryObjectStore()
  const key = formatCheckpointPath(7)
  const { bytes } = createParquetEncoder().encode(builder.finish(), { codec: 'snappy', rowGroupRows })
  await store.put(key, bytes)
  const checkpoint = {
    version: 7,
    format: 'parquet',
    files: [{ key, sizeBytes: bytes.length, lastModifiedMs: 0 }],
  } as const
  return async column => {
    const actions: Action[] = []
    for await (const batch of readCheckpointFiles(store, checkpoint, [], column)) actions.push(...batch)
    const state = await readCheckpointState(store, checkpoint)
    assert.equal(actions.length + state.actions.length <= rows.length, true)
    return actions
  }
}

const add = (path: string, fields: Record<string, unknown> = {}) => ({
  path,
  partitionValues: {},
  size: 1,
  modificationTime: 2,
  dataChange: true,
  ...fields,
})

suite('the files of a checkpoint', () => {
  test('come as they were written, whatever stands in the rows between them', async () => {
    const adds = [
      add('plain'),
      add('null', { partitionValues: { p: null } }),
      add('proto', {
        partitionValues: JSON.parse('{"__proto__":"x","constructor":null}'),
        tags: JSON.parse('{"__proto__":"y","t":null}'),
      }),
      add('large', { size: 2 ** 53 - 1, baseRowId: 2n ** 62n, defaultRowCommitVersion: 3, stats: '{}' }),
      add('vector', {
        deletionVector: { storageType: 'u', pathOrInlineDv: 'x', offset: 1, sizeInBytes: 2, cardinality: 3 },
        clusteringProvider: 'liquid',
      }),
      add('inline', {
        deletionVector: { storageType: 'i', pathOrInlineDv: 'y', sizeInBytes: 2, cardinality: 3 },
      }),
    ]
    const remove = { path: 'gone', dataChange: false, deletionTimestamp: 5, partitionValues: { p: null } }
    const rows = adds.flatMap(body => [
      { add: { ...body, partitionValues: Object.entries(body.partitionValues) } },
      { txn: { appId: body.path, version: 2n ** 63n - 1n, lastUpdated: null } },
      { remove },
    ])
    for (const rowGroupRows of [1, 4, 1000]) {
      const read = await checkpointOf(rows, SCHEMA, rowGroupRows)
      assert.deepEqual(
        await read('add'),
        adds.map(body => ({ add: body })),
      )
      assert.deepEqual(
        await read('remove'),
        adds.map(() => ({ remove })),
      )
    }
  })

  test('more than one batch of them', async () => {
    const rows = Array.from({ length: 10_000 }, (_, i) => ({ add: add(`f${i}`, { size: i + 1 }) }))
    const read = await checkpointOf(rows, SCHEMA, 7_000)
    assert.deepEqual(await read('add'), rows)
  })

  test('that break the protocol are refused with the name of the checkpoint', async () => {
    const read = await checkpointOf([{ add: { path: 'x', partitionValues: {}, size: 1 } }])
    await assert.rejects(read('add'), {
      code: 'DELTA_LOG_CORRUPT',
      message: /00007\.checkpoint\.parquet` has no `add\.modificationTime`/,
    })
  })

  test('in another type than the protocol has are refused', async () => {
    const schema = struct([field('add', struct([field('path', primitive('long'))]))])
    const read = await checkpointOf([{ add: { path: 1n } }], schema)
    await assert.rejects(read('add'), { code: 'DELTA_LOG_CORRUPT', message: /`add\.path` as INT64/ })
  })
})

suite('statistics that are there as columns only', () => {
  const typed = {
    numRecords: 5n,
    minValues: {
      id: -(2n ** 63n),
      amount: -5000n,
      ratio: -0,
      day: 0,
      at: -1n,
      local: 1_792_320_000_123_456n,
      nested: { ['__proto__']: 'a"\u2028', deep: { n: 3 } },
    },
    maxValues: {
      id: 2n ** 63n - 1n,
      amount: 12_345_678_901_234_567_890n,
      ratio: 0.1,
      day: 2_932_896,
      at: 0n,
      local: null,
      nested: { deep: { n: null } },
    },
    nullCount: { id: 0n, flag: 2n, nested: { ['__proto__']: 1n, deep: { n: 4n } } },
    tightBounds: false,
  }
  const text =
    '{"numRecords":5,"minValues":{"id":-9223372036854775808,"amount":-5.000,"ratio":-0.0,"day":"1970-01-01",' +
    '"at":"1969-12-31T23:59:59.999Z","local":"2026-10-18T10:40:00.123",' +
    '"nested":{"__proto__":"a\\"\u2028","deep":{"n":3}}},' +
    '"maxValues":{"id":9223372036854775807,"amount":12345678901234567.890,"ratio":0.1,"day":"9999-12-31",' +
    '"at":"1970-01-01T00:00:00.000Z"},' +
    '"nullCount":{"id":0,"flag":2,"nested":{"__proto__":1,"deep":{"n":4}}},"tightBounds":false}'
  const statsOf = async (rows: readonly Record<string, unknown>[], schema?: StructType) =>
    (await (await checkpointOf(rows, schema))('add')).map(action => 'add' in action && action.add.stats)

  test('come as the text that they stand for: exact, nested, names as they are', async () => {
    assert.deepEqual(await statsOf([{ add: add('a', { stats_parsed: typed }) }]), [text])
    const withoutJson = struct(fileActionFields({ ...OPTIONS, statsAsJson: false }))
    assert.deepEqual(await statsOf([{ add: add('a', { stats_parsed: typed }) }], withoutJson), [text])
  })

  test('stand in for the text where a file has none, row by row', async () => {
    const rows = [
      { add: add('a', { stats: '{"numRecords":1}', stats_parsed: typed }) },
      { remove: { path: 'gone', dataChange: false } },
      { add: add('b', { stats_parsed: typed }) },
      { add: add('c') },
      { add: add('d', { stats_parsed: { numRecords: 9n } }) },
    ]
    assert.deepEqual(await statsOf(rows), ['{"numRecords":1}', text, undefined, '{"numRecords":9}'])
  })

  test('leave out bounds that have no text', async () => {
    const minValues = { ratio: Number.NaN, day: 2_932_897 }
    const maxValues = { ratio: Number.POSITIVE_INFINITY, id: 1n }
    assert.deepEqual(
      await statsOf([{ add: add('a', { stats_parsed: { numRecords: 1n, minValues, maxValues } }) }]),
      ['{"numRecords":1,"maxValues":{"id":1}}'],
    )
  })
})
