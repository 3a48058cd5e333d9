import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import type { Action, Add, Protocol, Remove } from '../src/action.ts'
import { type WriteCheckpointOptions, writeCheckpoint } from '../src/checkpoint.ts'
import { readCheckpointState } from '../src/checkpoint-reader.ts'
import { readLastCheckpoint } from '../src/last-checkpoint.ts'
import { formatCheckpointPath, formatChecksumPath, formatCommitPath } from '../src/log-path.ts'
import { createParquetEncoder } from '../src/parquet/file-encoder.ts'
import { openParquet, type ParquetFile } from '../src/parquet/parquet-reader.ts'
import { array, decimal, field, primitive, type StructType, struct } from '../src/schema.ts'
import { formatSchemaString } from '../src/schema-codec.ts'
import { loadSnapshot, type Snapshot } from '../src/snapshot.ts'
import { parseStatistics } from '../src/statistics.ts'
import type { ObjectStore } from '../src/store/object-store.ts'
import { columnPaths, plainRows } from './parquet/plain-file.ts'
import { testRuntime } from './table-fixture.ts'
import { createTestLog, metadataOf, PROTOCOL, type TestLog } from './table-log.ts'

const NOW_MS = 1_800_000_000_000
const DAY_MS = 86_400_000
const V2_PROTOCOL: Protocol = {
  minReaderVersion: 3,
  minWriterVersion: 7,
  readerFeatures: ['v2Checkpoint'],
  writerFeatures: ['v2Checkpoint'],
}
const V2_POLICY = { 'delta.checkpointPolicy': 'v2' }

const add = (path: string, fields: Partial<Add> = {}): Add => ({
  path,
  partitionValues: {},
  size: 10,
  modificationTime: 1,
  dataChange: false,
  ...fields,
})

interface LogSpec {
  readonly schema?: StructType
  readonly partitionColumns?: readonly string[]
  readonly configuration?: Record<string, string>
  readonly protocol?: Protocol
}

/** One commit with all of it. */
async function logOf(actions: readonly Action[], spec: LogSpec = {}): Promise<TestLog> {
  const log = createTestLog()
  const metadata = metadataOf(spec.configuration)
  const metaData = {
    ...metadata,
    partitionColumns: spec.partitionColumns ?? [],
    schemaString: spec.schema === undefined ? metadata.schemaString : formatSchemaString(spec.schema),
  }
  await log.commit(0, [{ protocol: spec.protocol ?? PROTOCOL }, { metaData }])
  await log.commit(1, actions)
  return log
}

/** Checkpoints version 1 and takes the commits away, so that what is read comes from the checkpoint. */
async function checkpointed(log: TestLog, options?: WriteCheckpointOptions): Promise<Snapshot> {
  const before = (await loadSnapshot(log.store))!
  const outcome = await writeCheckpoint(log.store, 1, createParquetEncoder(), testRuntime(NOW_MS), options)
  assert.deepEqual(outcome, { status: 'written', version: 1 })
  await log.store.delete([formatCommitPath(0), formatCommitPath(1)])
  const after = (await loadSnapshot(log.store, { nowMs: NOW_MS }))!
  assert.deepEqual(
    { ...after.state, checkpointVersion: null, fileTotals: null },
    { ...before.state, checkpointVersion: null, fileTotals: null },
  )
  return after
}

async function fileOf(log: TestLog, key = formatCheckpointPath(1)): Promise<ParquetFile> {
  return openParquet(log.store, key)
}

/** The rows of the checkpoint, as another library reads them. */
// biome-ignore lint/suspicious/noExplicitAny: the columns are those of the protocol, and tests name them
async function rowsOf(log: TestLog): Promise<Record<string, any>[]> {
  return plainRows(log.store, formatCheckpointPath(1))
}

async function sidecarKeys(log: TestLog): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of log.store.list('_delta_log/_sidecars/')) keys.push(key)
  return keys
}

suite('a checkpoint holds', () => {
  test('every part of a file but what the commit changed', async () => {
    const files = [
      add('a', { partitionValues: { p: 'x' }, stats: '{"numRecords":1}', tags: { t: null, u: 'v' } }),
      add('b', {
        partitionValues: { p: null },
        baseRowId: 2n ** 60n,
        defaultRowCommitVersion: 1,
        clusteringProvider: 'liquid',
        deletionVector: { storageType: 'i', pathOrInlineDv: 'x', sizeInBytes: 1, cardinality: 1 },
      }),
    ]
    const log = await logOf(
      files.map(one => ({ add: { ...one, dataChange: true } })),
      {
        schema: struct([field('id', primitive('long')), field('p', primitive('string'))]),
        partitionColumns: ['p'],
      },
    )
    assert.deepEqual(await (await checkpointed(log)).allFiles(), files)
  })

  test('tombstones for as long as the table keeps them, without statistics and tags', async () => {
    const remove = (path: string, deletionTimestamp?: number): Remove => ({
      path,
      dataChange: true,
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
    })
    const kept = { ...remove('kept', NOW_MS - 3 * DAY_MS + 1), size: 1, extendedFileMetadata: true }
    const log = await logOf(
      [
        { remove: { ...kept, stats: '{"numRecords":1}', tags: { a: 'b' } } },
        { remove: remove('expired', NOW_MS - 3 * DAY_MS) },
        { remove: remove('undated') },
      ],
      { configuration: { 'delta.deletedFileRetentionDuration': 'interval 3 days' } },
    )
    assert.deepEqual((await checkpointed(log)).tombstones, [{ ...kept, dataChange: false }])
  })

  test('no feature lists where the protocol has none', async () => {
    const log = await logOf([{ add: add('a') }])
    await checkpointed(log)
    const protocols = (await rowsOf(log)).flatMap(({ protocol }) => protocol ?? [])
    assert.deepEqual(protocols, [{ ...PROTOCOL, readerFeatures: undefined, writerFeatures: undefined }])
  })

  test('what is no file in a row group to itself, and tombstones apart from files', async () => {
    const log = await logOf([
      { txn: { appId: 'app', version: 1n } },
      { add: add('a') },
      { add: add('b') },
      { add: add('c') },
      { remove: { path: 'd', dataChange: false, deletionTimestamp: NOW_MS } },
    ])
    await checkpointed(log, { fileActionsMax: 2 })
    const file = await fileOf(log)
    const groups = Array.from({ length: file.rowGroupCount }, (_, group) =>
      ['txn', 'protocol', 'remove', 'add'].filter(column => !file.isAllNull(group, column)),
    )
    assert.deepEqual(groups, [['txn', 'protocol'], ['remove'], ['add'], ['add']])
    assert.equal((await readLastCheckpoint(log.store))?.size, file.rowCount)
  })

  test('nothing that a feature which is not known may need: it is refused', async () => {
    const protocol = { minReaderVersion: 1, minWriterVersion: 7, writerFeatures: ['strangeFeature'] }
    const log = await logOf([{ add: add('a') }], { protocol })
    await assert.rejects(writeCheckpoint(log.store, 1, createParquetEncoder(), testRuntime()), {
      code: 'DELTA_PROTOCOL_UNSUPPORTED',
      message: /`strangeFeature`/,
    })
  })
})

test('a checkpoint tells how many files have gone into it, in whichever form', async () => {
  const files = Array.from({ length: 10 }, (_, i) => ({ add: add(`f${i}`) }))
  for (const [spec, form] of [
    [{}, 'inline'],
    [{ protocol: V2_PROTOCOL, configuration: V2_POLICY }, 'sidecars'],
  ] as const) {
    const done: number[] = []
    await checkpointed(await logOf(files, spec), { fileActionsMax: 3, progressed: count => done.push(count) })
    assert.equal(done.at(-1), 10, form)
  }
})

suite('typed statistics', () => {
  const schema = struct([
    field('id', primitive('long')),
    field('amount', decimal(20, 3)),
    field('ratio', primitive('float')),
    field('at', primitive('timestamp')),
    field('name', primitive('string')),
    field('tags', array(primitive('string'))),
    field('p', primitive('date')),
    field(
      'nested',
      struct([field('constructor', primitive('integer')), field('flag', primitive('boolean'))]),
    ),
  ])
  const options = { schema, partitionColumns: ['p'] }
  const typedOnly = { ...options, configuration: { 'delta.checkpoint.writeStatsAsJson': 'false' } }

  const statsAfter = async (stats: string | undefined, spec: LogSpec): Promise<string | undefined> => {
    const one = add('a', { partitionValues: { p: '2026-01-01' }, ...(stats === undefined ? {} : { stats }) })
    const log = await logOf([{ add: one }], spec)
    return (await (await checkpointed(log)).allFiles())[0]!.stats
  }

  test('carry all of the text', async () => {
    const stats =
      '{"numRecords":3,"minValues":{"id":-9223372036854775808,"amount":-0.001,"ratio":0.5,' +
      '"at":"1969-12-31T23:59:59.999Z","name":"","nested":{"constructor":1}},' +
      '"maxValues":{"id":9007199254740993,"amount":12345678901234567.890,"ratio":3,' +
      '"at":"2026-01-01T00:00:00.000Z","name":"z\\u0000","nested":{"constructor":-2}},' +
      '"nullCount":{"id":0,"amount":1,"tags":2,"nested":{"constructor":3,"flag":0}},"tightBounds":true}'
    assert.equal(await statsAfter(stats, typedOnly), stats)
    assert.equal(await statsAfter(stats, options), stats)
    assert.equal(await statsAfter(undefined, typedOnly), undefined)
  })

  test('that a text does not give are left out one by one, and never stop a checkpoint', async () => {
    const stats =
      '{"numRecords":7,"minValues":{"id":1.5,"amount":"x","ratio":"NaN","at":{},"name":5,"nested":[1]},' +
      '"maxValues":{"id":99999999999999999999,"amount":1.2345,"at":"soon","name":"ok","ratio":1e999},' +
      '"nullCount":{"id":-1.5,"name":2},"tightBounds":"yes"}'
    assert.equal(
      await statsAfter(stats, typedOnly),
      '{"numRecords":7,"maxValues":{"name":"ok"},"nullCount":{"name":2}}',
    )
    for (const text of ['', 'no json', '[]', '7', '{"numRecords":"many"}'])
      assert.equal(await statsAfter(text, typedOnly), undefined)
    assert.equal(await statsAfter('no json', options), 'no json')
  })

  test('are of the columns that the table indexes, as long as the text is there too', async () => {
    const indexed = { 'delta.dataSkippingNumIndexedCols': '1' }
    const log = await logOf([{ add: add('a', { partitionValues: { p: null } }) }], {
      ...options,
      configuration: indexed,
    })
    await checkpointed(log)
    const paths = await columnPaths(log.store, formatCheckpointPath(1))
    assert(paths.has('add.stats_parsed.minValues.id'))
    assert(!paths.has('add.stats_parsed.minValues.amount'))
    const stats = '{"numRecords":1,"maxValues":{"amount":1.000}}'
    assert.equal(
      await statsAfter(stats, { ...options, configuration: { ...indexed, ...typedOnly.configuration } }),
      stats,
    )
  })

  test('and typed partition values have the names of the files', async () => {
    const named = (name: string, physical: string, id: number) => ({
      ...field(name, primitive('long')),
      metadata: { 'delta.columnMapping.physicalName': physical, 'delta.columnMapping.id': id },
    })
    const log = await logOf(
      [
        {
          add: add('a', {
            partitionValues: { 'col-2': '7' },
            stats: '{"numRecords":1,"minValues":{"col-1":5}}',
          }),
        },
      ],
      {
        schema: struct([named('a', 'col-1', 1), named('b', 'col-2', 2)]),
        partitionColumns: ['b'],
        configuration: { 'delta.columnMapping.mode': 'name', 'delta.columnMapping.maxColumnId': '2' },
        protocol: { minReaderVersion: 2, minWriterVersion: 5 },
      },
    )
    await checkpointed(log)
    const [row] = (await rowsOf(log)).flatMap(each => each.add ?? [])
    assert.deepEqual({ ...row.partitionValues_parsed }, { 'col-2': 7n })
    assert.deepEqual({ ...row.stats_parsed.minValues }, { 'col-1': 5n })
  })

  test('partition values that cannot be understood are left out together', async () => {
    const log = await logOf(
      [
        { add: add('a', { partitionValues: { p: 'never' } }) },
        { add: add('b', { partitionValues: { p: null } }) },
      ],
      options,
    )
    const files = await (await checkpointed(log)).allFiles()
    assert.deepEqual(
      files.map(f => f.partitionValues),
      [{ p: 'never' }, { p: null }],
    )
    const rows = (await rowsOf(log)).flatMap(each => each.add ?? [])
    assert.deepEqual(
      rows.map(row => row.partitionValues_parsed === undefined || row.partitionValues_parsed === null),
      [true, false],
    )
  })
})

suite('a checkpoint of version 2', () => {
  const spec: LogSpec = { protocol: V2_PROTOCOL, configuration: V2_POLICY }
  const files = Array.from({ length: 5 }, (_, i) => add(`f${i}`))
  const actions: Action[] = [
    { txn: { appId: 'app', version: 5n } },
    ...files.map(one => ({ add: one })),
    { remove: { path: 'gone', dataChange: false, deletionTimestamp: NOW_MS } },
  ]

  test('holds the files itself where they are few', async () => {
    const log = await logOf(actions, spec)
    const snapshot = await checkpointed(log, { fileActionsMax: 6 })
    assert.deepEqual(await snapshot.allFiles(), files)
    assert.deepEqual(await sidecarKeys(log), [])
    const rows = (await rowsOf(log)).flatMap(each => each.checkpointMetadata ?? [])
    assert.deepEqual(
      rows.map(row => row.version),
      [1n],
    )
  })

  test('holds none of them where they are many: all are in sidecars', async () => {
    const log = await logOf(actions, spec)
    const snapshot = await checkpointed(log, { fileActionsMax: 2 })
    assert.deepEqual(await snapshot.allFiles(), files)
    assert.deepEqual(
      snapshot.tombstones.map(r => r.path),
      ['gone'],
    )
    const keys = await sidecarKeys(log)
    assert.equal(keys.length, 4)
    const file = await fileOf(log)
    const paths = await columnPaths(log.store, formatCheckpointPath(1))
    assert(!paths.has('add') && !paths.has('remove'))
    const rowCounts = await Promise.all(keys.map(async key => (await fileOf(log, key)).rowCount))
    assert.deepEqual(rowCounts, [1, 2, 2, 1])
    const checkpoint = {
      version: 1,
      format: 'parquet' as const,
      files: [(await log.store.head(formatCheckpointPath(1)))!],
    }
    const { sidecars } = await readCheckpointState(log.store, checkpoint)
    const sizes = await Promise.all(keys.map(async key => (await log.store.head(key))!.sizeBytes))
    assert.deepEqual(
      sidecars.map(s => [`_delta_log/_sidecars/${s.path}`, s.sizeInBytes]),
      keys.map((key, i) => [key, sizes[i]]),
    )
    const { size, numOfAddFiles, sizeInBytes } = (await readLastCheckpoint(log.store))!
    assert.deepEqual([size, numOfAddFiles], [file.rowCount + 6, 5])
    assert.equal(
      sizeInBytes,
      sizes.reduce((a, b) => a + b, file.sizeBytes),
    )
  })

  test('is written neither without the feature nor without the policy', async () => {
    for (const other of [
      { protocol: V2_PROTOCOL },
      { configuration: V2_POLICY },
      { protocol: { ...V2_PROTOCOL, readerFeatures: [] }, configuration: V2_POLICY },
    ]) {
      const log = await logOf(actions, other)
      assert.deepEqual(await (await checkpointed(log, { fileActionsMax: 2 })).allFiles(), files)
      assert.deepEqual(await sidecarKeys(log), [])
      assert(!(await columnPaths(log.store, formatCheckpointPath(1))).has('checkpointMetadata'))
    }
  })

  test('that is not completed leaves nothing that a reader sees', async () => {
    const log = await logOf(actions, spec)
    const failing = storeWith(log.store, {
      putIfAbsent: async (_key, body) => {
        assert(!(body instanceof Uint8Array))
        for await (const _ of body);
        return { status: 'unknown', cause: new Error('reset') }
      },
    })
    const encoder = createParquetEncoder()
    await assert.rejects(writeCheckpoint(failing, 1, encoder, testRuntime(NOW_MS), { fileActionsMax: 2 }))
    assert.equal((await sidecarKeys(log)).length, 4)
    assert.equal(await readLastCheckpoint(log.store), null)
    assert.deepEqual(await (await loadSnapshot(log.store))!.allFiles(), files)
    await checkpointed(log, { fileActionsMax: 2 })
  })
})

test('opening for an append reads nothing of the files in a checkpoint', async () => {
  const files = Array.from({ length: 20_000 }, (_, i) => ({
    add: add(`part-${i}-${'x'.repeat(i % 60)}`, { stats: `{"numRecords":${i}}` }),
  }))
  const log = await logOf([{ txn: { appId: 'app', version: 1n } }, ...files])
  await checkpointed(log)
  await log.store.delete([formatChecksumPath(1)])
  log.calls.length = 0
  const size = (await log.store.head(formatCheckpointPath(1)))!.sizeBytes
  let readBytes = 0
  const counting = storeWith(log.store, {
    get: async (key, options) => {
      const bytes = await log.store.get(key, options)
      if (key.endsWith('.parquet')) readBytes += bytes?.length ?? 0
      return bytes
    },
  })
  const checkpoint = {
    version: 1,
    format: 'parquet' as const,
    files: [{ key: formatCheckpointPath(1), sizeBytes: size, lastModifiedMs: 0 }],
  }
  const { actions } = await readCheckpointState(counting, checkpoint)
  assert.equal(actions.length, 3)
  assert(readBytes < 100_000 && size > 300_000, `${readBytes} of ${size} bytes`)
})

test('random files come back from a checkpoint as they went in, however it is cut', async () => {
  const text = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 8 }),
    fc.constantFrom('__proto__', 'constructor', 'a'),
  )
  const values = fc
    .array(fc.tuple(text, fc.option(text)), { maxLength: 3 })
    .map(entries => Object.fromEntries(entries))
  const statistics = fc.record({
    numRecords: fc.nat(),
    minValues: fc.record(
      { id: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map(String) },
      { requiredKeys: [], noNullPrototype: true },
    ),
    nullCount: fc.record({ id: fc.nat() }, { requiredKeys: [], noNullPrototype: true }),
  })
  const fileFields = fc.record(
    {
      partitionValues: values,
      size: fc.maxSafeNat(),
      tags: values,
      baseRowId: fc.bigInt(0n, 2n ** 63n - 1n),
      defaultRowCommitVersion: fc.maxSafeNat(),
      clusteringProvider: text,
      stats: statistics.map(s => JSON.stringify(s).replace(/"(-?\d+)"/g, '$1')),
      deletionVector: fc.record(
        {
          storageType: fc.constantFrom('u' as const, 'p' as const),
          pathOrInlineDv: text,
          offset: fc.nat(),
          sizeInBytes: fc.nat(),
          cardinality: fc.maxSafeNat(),
        },
        { noNullPrototype: true },
      ),
    },
    { requiredKeys: ['partitionValues', 'size'], noNullPrototype: true },
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(fileFields, { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 1, max: 20 }),
      fc.boolean(),
      fc.boolean(),
      async (all, fileActionsMax, isV2, isTypedOnly) => {
        const files = all.map((fields, i) => add(`f${i}`, { ...fields, size: Math.max(1, fields.size) }))
        const configuration = {
          ...(isV2 ? V2_POLICY : {}),
          ...(isTypedOnly ? { 'delta.checkpoint.writeStatsAsJson': 'false' } : {}),
        }
        const log = await logOf(
          files.map(one => ({ add: one })),
          { configuration, protocol: V2_PROTOCOL },
        )
        const read = await (await checkpointed(log, { fileActionsMax })).allFiles()
        const comparable = (f: Add) => ({
          ...f,
          stats: f.stats === undefined ? undefined : withoutEmpty(parseStatistics(f.stats)),
        })
        assert.deepEqual(read.map(comparable), files.map(comparable))
      },
    ),
    { numRuns: 60 },
  )
})

/** The store with some methods of another making. */
function storeWith(store: ObjectStore, methods: Partial<ObjectStore>): ObjectStore {
  return new Proxy(store, {
    get(target, name) {
      const method = Reflect.get(methods, name) ?? Reflect.get(target, name)
      return typeof method === 'function' ? method.bind(target) : method
    },
  })
}

/** Objects without members have no columns. */
function withoutEmpty(statistics: object | null): object | null {
  if (statistics === null) return null
  return Object.fromEntries(
    Object.entries(statistics).filter(([, v]) => typeof v !== 'object' || Object.keys(v).length > 0),
  )
}
