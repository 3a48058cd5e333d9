import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import {
  LocalObjectStore,
  type ObjectStore,
  openStore,
  type VacuumOptions,
  type VacuumProgress,
  vacuumTable,
} from '@stream-ingest/delta'
import type { Action, DeletionVectorDescriptor, Protocol, Remove } from '../../src/action.ts'
import { formatCommit } from '../../src/action-codec.ts'
import { formatCommitPath } from '../../src/log-path.ts'
import { testRuntime } from '../table-fixture.ts'
import { addOf, createTestLog, metadataOf, PROTOCOL, type TestLog } from '../table-log.ts'

const HOUR_MS = 3_600_000
const WEEK_MS = 7 * 24 * HOUR_MS
const NOW_MS = 1_800_000_000_000
/** Of the protocol's example: a folder, then a UUID in Z85. */
const STORED_VECTOR: DeletionVectorDescriptor = {
  storageType: 'u',
  pathOrInlineDv: 'ab^-aqEH.-t@S}K{vb[*k^',
  offset: 4,
  sizeInBytes: 40,
  cardinality: 6,
}
const STORED_VECTOR_KEY = 'ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin'

interface Lake {
  readonly log: TestLog
  /** Objects written from here on have this age. */
  setAge(ageMs: number): void
  put(...keys: string[]): Promise<void>
  dataKeys(): Promise<string[]>
}

/** A table whose version 0 has no files; everything is written eight days before `NOW_MS` unless told otherwise. */
async function createLake(
  options: {
    configuration?: Record<string, string>
    protocol?: Protocol
    partitionColumns?: readonly string[]
  } = {},
): Promise<Lake> {
  let ageMs = 8 * 24 * HOUR_MS
  const log = createTestLog(() => NOW_MS - ageMs)
  const metadata = {
    ...metadataOf(options.configuration),
    partitionColumns: [...(options.partitionColumns ?? [])],
  }
  await log.commit(0, [
    { commitInfo: { operation: 'CREATE TABLE' } },
    { protocol: options.protocol ?? PROTOCOL },
    { metaData: metadata },
  ])
  return {
    log,
    setAge: age => {
      ageMs = age
    },
    put: async (...keys) => {
      for (const key of keys) await log.put(key, key)
    },
    dataKeys: async () => {
      const keys: string[] = []
      for await (const { key } of log.store.list('')) if (!key.startsWith('_delta_log/')) keys.push(key)
      return keys
    },
  }
}

function removeOf(path: string, ageMs: number | undefined, more: Partial<Remove> = {}): Action {
  return {
    remove: {
      path,
      dataChange: true,
      ...(ageMs === undefined ? {} : { deletionTimestamp: NOW_MS - ageMs }),
      ...more,
    },
  }
}

async function vacuum(lake: Lake, options: VacuumOptions = {}) {
  const result = await vacuumTable(lake.log.store, { runtime: testRuntime(NOW_MS), ...options })
  return { ...result, deleted: result.files.map(({ key }) => key) }
}

suite('vacuum', () => {
  test('deletes old files that no version refers to, and says which', async () => {
    const lake = await createLake()
    await lake.put('live.parquet', 'orphan.parquet', 'deep/er/orphan.parquet')
    await lake.log.commit(1, [{ add: addOf('live.parquet') }])
    const result = await vacuum(lake)
    assert.deepEqual(await lake.dataKeys(), ['live.parquet'])
    assert.deepEqual(result.deleted, ['deep/er/orphan.parquet', 'orphan.parquet'])
    assert.equal(result.filesDeleted, 2)
    assert.equal(result.bytesDeleted, 'deep/er/orphan.parquet'.length + 'orphan.parquet'.length)
    assert.equal(result.version, 1)
    assert.equal(result.objectsListed, 5)
    assert.equal(result.cutoffMs, NOW_MS - WEEK_MS)
    assert.equal((await vacuum(lake)).filesDeleted, 0)
  })

  test('tells how far it is: now and then while it lists, and after each deletion', async () => {
    const lake = await createLake()
    const keys = Array.from({ length: 2_500 }, (_, i) => `orphan-${String(i).padStart(4, '0')}.parquet`)
    await lake.put(...keys)
    const done: VacuumProgress[] = []
    await vacuum(lake, { progressed: d => done.push(d) })
    assert.deepEqual(
      done.map(({ objectsListed, filesDeleted }) => [objectsListed, filesDeleted]),
      [
        [1_000, 0],
        [2_000, 0],
        [2_501, 1_000],
        [2_501, 2_000],
        [2_501, 2_500],
      ],
    )
  })

  test('a dry run finds the same and deletes nothing', async () => {
    const lake = await createLake()
    await lake.put('orphan.parquet')
    const result = await vacuum(lake, { dryRun: true })
    assert.deepEqual(result.deleted, ['orphan.parquet'])
    assert.equal(result.dryRun, true)
    assert.deepEqual(await lake.dataKeys(), ['orphan.parquet'])
    assert.ok(lake.log.calls.every(({ operation }) => operation !== 'delete'))
  })

  test('keeps files of uploads that may still be committed', async () => {
    const lake = await createLake()
    lake.setAge(WEEK_MS)
    await lake.put('just-within.parquet')
    lake.setAge(WEEK_MS + 1)
    await lake.put('just-outside.parquet')
    assert.deepEqual((await vacuum(lake)).deleted, ['just-outside.parquet'])
  })

  test('keeps what has no time at all', async () => {
    const lake = await createLake()
    lake.setAge(NOW_MS)
    await lake.put('timeless.parquet')
    assert.equal((await vacuum(lake)).filesDeleted, 0)
  })

  test('keeps files removed within the retention, and deletes those removed before it', async () => {
    const lake = await createLake()
    await lake.put('recent.parquet', 'expired.parquet', 'undated.parquet')
    await lake.log.commit(1, [
      removeOf('recent.parquet', WEEK_MS),
      removeOf('expired.parquet', WEEK_MS + 1),
      removeOf('undated.parquet', undefined),
    ])
    assert.deepEqual((await vacuum(lake)).deleted, ['expired.parquet', 'undated.parquet'])
  })

  test('a file that was removed long ago and added again is live', async () => {
    const lake = await createLake()
    await lake.put('back.parquet')
    await lake.log.commit(1, [removeOf('back.parquet', 2 * WEEK_MS)])
    await lake.log.commit(2, [{ add: addOf('back.parquet') }])
    assert.equal((await vacuum(lake)).filesDeleted, 0)
  })

  test('knows live files by their decoded and by their literal path', async () => {
    const lake = await createLake()
    const keys = [
      'ts=2026-01-01 10%3A00/a.parquet',
      'v=a%20b/literal.parquet',
      'v=a b/decoded.parquet',
      'broken%.parquet',
      'dir/same.parquet',
    ]
    await lake.put(...keys)
    await lake.log.commit(1, [
      { add: addOf('ts=2026-01-01%2010%253A00/a.parquet') },
      { add: addOf('v=a%20b/literal.parquet') },
      { add: addOf('v=a%20b/decoded.parquet') },
      { add: addOf('broken%.parquet') },
      { add: addOf('./dir/./same.parquet') },
    ])
    assert.equal((await vacuum(lake)).filesDeleted, 0)
    assert.deepEqual(await lake.dataKeys(), [...keys].sort())
  })

  test('knows live files that are named by their full address', async t => {
    const folder = await mkdtemp(join(tmpdir(), 'vacuum-'))
    t.after(() => rm(folder, { recursive: true, force: true }))
    const store = new LocalObjectStore(folder)
    for (const key of ['by-uri.parquet', 'by-path.parquet', 'orphan.parquet'])
      await store.put(key, new Uint8Array(1))
    const actions: Action[] = [
      { commitInfo: {} },
      { protocol: PROTOCOL },
      { metaData: metadataOf() },
      { add: addOf(`${pathToFileURL(folder).href}/by-uri.parquet`) },
      { add: addOf(`${folder}/by-path.parquet`) },
      { add: addOf('file:///elsewhere/orphan.parquet') },
    ]
    await store.put(formatCommitPath(0), formatCommit(actions))
    const inAWeek = testRuntime(Date.now() + 2 * WEEK_MS)
    const { files } = await vacuumTable(store, { runtime: inAWeek })
    assert.deepEqual(
      files.map(({ key }) => key),
      ['orphan.parquet'],
    )
  })

  test('keeps the deletion vectors of live files and of files removed within the retention', async () => {
    const lake = await createLake()
    const inline = { ...STORED_VECTOR, storageType: 'i', pathOrInlineDv: 'x' } as const
    const byAddress = {
      ...STORED_VECTOR,
      storageType: 'p',
      pathOrInlineDv: 'memory:test/removed%20dv.bin',
    } as const
    await lake.put('a.parquet', 'b.parquet', 'c.parquet', STORED_VECTOR_KEY, 'removed dv.bin', 'orphan.bin')
    await lake.log.commit(1, [
      { add: { ...addOf('a.parquet'), deletionVector: STORED_VECTOR } },
      { add: { ...addOf('b.parquet'), deletionVector: inline } },
      removeOf('c.parquet', HOUR_MS, { deletionVector: byAddress }),
    ])
    assert.deepEqual((await vacuum(lake)).deleted, ['orphan.bin'])
  })

  test('leaves hidden files alone, at every level', async () => {
    const lake = await createLake()
    const hidden = [
      '.tmp/x.parquet',
      '_delta_log/_commits/stray.json',
      '_delta_log/stray.parquet',
      '_stream_ingest/conditional-put.json',
      'day=1/.part.crc',
      'day=1/_started',
    ]
    await lake.put(...hidden)
    assert.equal((await vacuum(lake)).filesDeleted, 0)
  })

  test('change files and folders of partition columns are not hidden by their underscore', async () => {
    const lake = await createLake({ partitionColumns: ['_day'] })
    await lake.put(
      '_change_data/cdc-old.parquet',
      '_day=1/orphan.parquet',
      '_other=1/hidden.parquet',
      'x/_change_data/hidden.parquet',
    )
    assert.deepEqual((await vacuum(lake)).deleted, ['_change_data/cdc-old.parquet', '_day=1/orphan.parquet'])
  })

  test('leaves the metadata of a table that is also an Iceberg table alone', async () => {
    const lake = await createLake({
      configuration: { 'delta.universalFormat.enabledFormats': 'iceberg' },
    })
    await lake.put('metadata/v1.metadata.json', 'data.parquet')
    assert.deepEqual((await vacuum(lake)).deleted, ['data.parquet'])
  })

  test('leaves a table inside of the table alone', async () => {
    const lake = await createLake()
    await lake.put('inner/_delta_log/00000000000000000000.json', 'inner/day=1/a.parquet', 'outer/a.parquet')
    assert.deepEqual((await vacuum(lake)).deleted, ['outer/a.parquet'])
  })

  test('keeps what is committed while the objects are listed', async () => {
    const lake = await createLake()
    await lake.put('a-restored.parquet', 'b-orphan.parquet')
    const { store } = lake.log
    const racing: ObjectStore = {
      uri: store.uri,
      get: (key, options) => store.get(key, options),
      head: (key, options) => store.head(key, options),
      put: (key, body, options) => store.put(key, body, options),
      putIfAbsent: (key, body, options) => store.putIfAbsent(key, body, options),
      delete: (keys, options) => store.delete(keys, options),
      at: prefix => store.at(prefix),
      close: () => store.close(),
      list: async function* (prefix, options) {
        yield* store.list(prefix, options)
        // Another engine restores an old version, and with it a file that nothing protected before.
        if (prefix === '') await lake.log.commit(1, [{ add: addOf('a-restored.parquet') }])
      },
    }
    const { files, version } = await vacuumTable(racing, { runtime: testRuntime(NOW_MS) })
    assert.deepEqual(
      files.map(({ key }) => key),
      ['b-orphan.parquet'],
    )
    assert.equal(version, 1)
  })

  test('deletes in batches', async () => {
    const lake = await createLake()
    const keys = Array.from({ length: 1_500 }, (_, i) => `f${String(i).padStart(4, '0')}`)
    await lake.put(...keys)
    const result = await vacuum(lake)
    assert.equal(result.filesDeleted, 1_500)
    assert.equal(lake.log.calls.filter(({ operation }) => operation === 'delete').length, 2)
  })

  test('ends between two requests when it is aborted', async () => {
    const lake = await createLake()
    await lake.put('orphan.parquet')
    const signal = AbortSignal.abort(new Error('enough'))
    await assert.rejects(vacuum(lake, { signal }), { message: 'enough' })
    assert.deepEqual(await lake.dataKeys(), ['orphan.parquet'])
  })
})

suite('the retention of a vacuum', () => {
  test('is the property of the table unless told otherwise', async () => {
    const lake = await createLake({
      configuration: { 'delta.deletedFileRetentionDuration': 'interval 30 days' },
    })
    await lake.put('orphan.parquet')
    const result = await vacuum(lake)
    assert.equal(result.retentionMs, 30 * 24 * HOUR_MS)
    assert.equal(result.filesDeleted, 0)
  })

  test('is not below the property without an explicit permission', async () => {
    const lake = await createLake()
    await lake.put('orphan.parquet')
    await assert.rejects(vacuum(lake, { retentionMs: WEEK_MS - 1 }), { code: 'DELTA_RETENTION_TOO_SHORT' })
    assert.deepEqual(await lake.dataKeys(), ['orphan.parquet'])
    const allowed = await vacuum(lake, { retentionMs: 48 * HOUR_MS, allowShortRetention: true })
    assert.equal(allowed.filesDeleted, 1)
  })

  for (const retentionMs of [0, -1, Number.NaN, 24 * HOUR_MS - 1]) {
    test(`is never ${retentionMs} ms, whatever is permitted`, async () => {
      const lake = await createLake()
      await lake.put('orphan.parquet')
      await assert.rejects(vacuum(lake, { retentionMs, allowShortRetention: true }), {
        code: 'DELTA_RETENTION_TOO_SHORT',
        message: /24 hours/,
      })
      assert.deepEqual(await lake.dataKeys(), ['orphan.parquet'])
    })
  }

  test('is a day where the property is shorter', async () => {
    const lake = await createLake({ configuration: { 'delta.deletedFileRetentionDuration': '0 hours' } })
    lake.setAge(HOUR_MS)
    await lake.put('in-flight.parquet')
    const result = await vacuum(lake)
    assert.equal(result.retentionMs, 24 * HOUR_MS)
    assert.equal(result.filesDeleted, 0)
  })
})

suite('vacuum refuses', () => {
  test('a place without a table', async () => {
    const store = openStore('memory:empty')
    await store.put('precious.parquet', new Uint8Array(1))
    await assert.rejects(vacuumTable(store), { code: 'DELTA_TABLE_NOT_FOUND' })
    assert.notEqual(await store.head('precious.parquet'), null)
  })

  for (const feature of ['catalogManaged', 'somethingNew']) {
    test(`a table with the writer feature ${feature}`, async () => {
      const lake = await createLake({
        protocol: { minReaderVersion: 1, minWriterVersion: 7, writerFeatures: [feature] },
      })
      await lake.put('orphan.parquet')
      await assert.rejects(vacuum(lake), {
        code: 'DELTA_PROTOCOL_UNSUPPORTED',
        message: new RegExp(feature),
      })
      assert.deepEqual(await lake.dataKeys(), ['orphan.parquet'])
    })
  }

  test('a table with a path that leaves its folder', async () => {
    const lake = await createLake()
    await lake.put('b.parquet')
    await lake.log.commit(1, [{ add: addOf('a/%2E%2E/b.parquet') }])
    await assert.rejects(vacuum(lake), { code: 'DELTA_LOG_CORRUPT' })
    assert.deepEqual(await lake.dataKeys(), ['b.parquet'])
  })
})
