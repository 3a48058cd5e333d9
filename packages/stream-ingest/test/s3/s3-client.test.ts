import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import {
  createTable,
  DeltaTable,
  field,
  MemoryObjectStore,
  openStore,
  primitive,
  struct,
  systemRuntime,
} from '@stream-ingest/delta'
import { type FakeS3Options, FakeS3Server } from '../../../delta/test/fake-s3-server.ts'
import { type S3Config, Secret } from '../../src/config/ingest-config.ts'
import { DeltaError, S3Error } from '../../src/error.ts'
import { S3Client, type S3ClientOptions } from '../../src/s3/s3-client.ts'

const SCHEMA = struct([field('id', primitive('long'), false), field('day', primitive('date'))])
const SPEC = {
  schema: SCHEMA,
  partitionColumns: ['day'],
  properties: { 'delta.appendOnly': 'true' },
  name: 'events',
}
const DAY_MS = 86_400_000

interface Setting {
  readonly fake: FakeS3Server
  readonly client: S3Client
}

async function withBucket(
  t: TestContext,
  options: FakeS3Options & { createBucket?: boolean; client?: S3ClientOptions } = {},
): Promise<Setting> {
  const fake = await FakeS3Server.start(options)
  const config: S3Config = {
    kind: 's3',
    bucket: 'lake',
    region: 'us-east-1',
    prefix: 'tables',
    endpoint: fake.endpoint,
    forcePathStyle: true,
    credentials: { accessKeyId: 'access', secretAccessKey: new Secret('hunter2') },
    createBucket: options.createBucket ?? false,
  }
  const noWait = { ...systemRuntime, delay: async () => {} }
  const client = new S3Client(config, { runtime: noWait, processing: { maxRetries: 0 }, ...options.client })
  t.after(async () => {
    await client.close()
    await fake.close()
  })
  return { fake, client }
}

async function withDirectory(t: TestContext): Promise<{ client: S3Client; path: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'lake-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'deep/lake')
  return { client: new S3Client({ kind: 'local', path }), path }
}

async function createEvents(client: S3Client, name: string): Promise<void> {
  await createTable(client.tableStore(name), SPEC, systemRuntime)
}

suite('ensureBucketExists', () => {
  test('is content with a bucket that can be listed', async t => {
    const { fake, client } = await withBucket(t)
    await client.ensureBucketExists()
    assert.deepEqual(fake.actions, ['ListObjectsV2'])
  })

  test('says that a bucket is missing, and does not create it unasked', async t => {
    const { fake, client } = await withBucket(t, { buckets: [] })
    await assert.rejects(client.ensureBucketExists(), error => {
      assert.ok(error instanceof S3Error)
      assert.equal(error.code, 'STORE_BUCKET_NOT_FOUND')
      assert.match(error.message, /lake/)
      assert.doesNotMatch(error.message, /hunter2/)
      return true
    })
    assert.ok(!fake.actions.includes('CreateBucket'))
  })

  test('creates a missing bucket with `create_bucket: true`', async t => {
    const { fake, client } = await withBucket(t, { buckets: [], createBucket: true })
    await client.ensureBucketExists()
    assert.ok(fake.buckets.has('lake'))
    assert.deepEqual(fake.actions, ['ListObjectsV2', 'CreateBucket', 'ListObjectsV2'])
  })

  test('rides out another creation of the same bucket, and a bucket that is slow to appear', async t => {
    let looks = 0
    const { fake, client } = await withBucket(t, {
      createBucket: true,
      faults: ({ action }) => {
        if (action === 'CreateBucket') return { kind: 'answer', status: 409, code: 'OperationAborted' }
        return ++looks < 4 ? { kind: 'answer', status: 404, code: 'NoSuchBucket' } : undefined
      },
    })
    await client.ensureBucketExists()
    assert.equal(fake.actions.filter(action => action === 'ListObjectsV2').length, 4)
  })

  test('gives up on a bucket that never appears', async t => {
    const { client } = await withBucket(t, {
      createBucket: true,
      faults: ({ action }) =>
        action === 'ListObjectsV2' ? { kind: 'answer', status: 404, code: 'NoSuchBucket' } : undefined,
    })
    await assert.rejects(client.ensureBucketExists(), { code: 'STORE_BUCKET_NOT_FOUND' })
  })

  test('names the permission that creating needs', async t => {
    const { client } = await withBucket(t, {
      buckets: [],
      createBucket: true,
      faults: ({ action }) =>
        action === 'CreateBucket' ? { kind: 'answer', status: 403, code: 'AccessDenied' } : undefined,
    })
    await assert.rejects(client.ensureBucketExists(), {
      code: 'STORE_ACCESS_DENIED',
      hint: /s3:CreateBucket/,
    })
  })

  for (const [what, status, code, headers, expected, hint] of [
    ['forbidden', 403, 'AccessDenied', {}, 'STORE_ACCESS_DENIED', /s3:ListBucket/],
    [
      'elsewhere',
      301,
      'PermanentRedirect',
      { 'x-amz-bucket-region': 'eu-west-1' },
      'STORE_REGION',
      /eu-west-1/,
    ],
    ['closed to this key', 403, 'InvalidAccessKeyId', {}, 'STORE_CREDENTIALS', /access key/],
  ] as const) {
    test(`says that a bucket is ${what}`, async t => {
      const { client } = await withBucket(t, {
        createBucket: true,
        faults: () => ({ kind: 'answer', status, code, headers }),
      })
      await assert.rejects(client.ensureBucketExists(), { code: expected, hint, kind: 's3' })
    })
  }

  test('says that the server cannot be reached', async t => {
    const { fake, client } = await withBucket(t)
    await fake.close()
    await assert.rejects(client.ensureBucketExists(), { code: 'STORE_UNAVAILABLE' })
    const health = await client.healthCheck()
    assert.equal(health.ok, false)
    assert.equal(health.error?.code, 'STORE_UNAVAILABLE')
  })

  test('creates a directory, with those above it', async t => {
    const { client, path } = await withDirectory(t)
    await client.ensureBucketExists()
    assert.deepEqual(await readdir(path), [])
    assert.equal((await client.healthCheck()).ok, true)
  })

  test('refuses a file in place of the directory', async t => {
    const { client, path } = await withDirectory(t)
    await new S3Client({ kind: 'local', path: join(path, '..') }).ensureBucketExists()
    await writeFile(path, '')
    await assert.rejects(client.ensureBucketExists(), { code: 'STORE_KEY_INVALID' })
  })

  test('takes a store that it was given as it is', async () => {
    const path = join(tmpdir(), 'never-created-by-anyone')
    await new S3Client({ kind: 'local', path }, { store: new MemoryObjectStore() }).ensureBucketExists()
    await assert.rejects(readdir(path), { code: 'ENOENT' })
  })
})

for (const place of ['s3', 'local'] as const) {
  suite(`tables in ${place}`, () => {
    const open = async (t: TestContext): Promise<S3Client> =>
      place === 's3' ? (await withBucket(t)).client : (await withDirectory(t)).client

    test('are listed by name, and nothing else is', async t => {
      const client = await open(t)
      assert.deepEqual(await client.listDeltaTables(), [])
      for (const name of ['events', 'events-2', 'events0', 'Z', 'a.b', '_x']) await createEvents(client, name)
      await client.store.put('events.txt', new Uint8Array(1))
      await client.store.put('folder/file', new Uint8Array(1))
      await client.store.put('half/_delta_log/_last_checkpoint', new Uint8Array(1))
      const expected = ['Z', '_x', 'a.b', 'events', 'events-2', 'events0']
      assert.deepEqual((await client.listDeltaTables()).sort(), expected)
      assert.equal(await client.checkDeltaTableExists('events'), true)
      assert.equal(await client.checkDeltaTableExists('folder'), false)
      assert.equal(await client.checkDeltaTableExists('half'), false)
      assert.equal(await client.checkDeltaTableExists('nothing'), false)
    })

    test('tell what they are, as text', async t => {
      const client = await open(t)
      await createEvents(client, 'events')
      const { id, createdAt, schema, uri, ...rest } = await client.getTableMetadata('events')
      assert.match(id!, /^[0-9a-f-]{36}$/)
      assert.ok(Date.parse(createdAt!) > 0)
      assert.equal(JSON.parse(schema!).fields.length, 2)
      assert.equal(uri, client.getTableUri('events'))
      assert.deepEqual(rest, {
        name: 'events',
        version: '0',
        format: 'parquet',
        partitionColumns: '["day"]',
        minReaderVersion: '1',
        minWriterVersion: '2',
        numFiles: '0',
        sizeBytes: '0',
        'property.delta.appendOnly': 'true',
      })
      await assert.rejects(client.getTableMetadata('nothing'), error => {
        assert.ok(error instanceof DeltaError)
        assert.equal(error.code, 'DELTA_TABLE_NOT_FOUND')
        assert.match(error.message, /nothing/)
        return true
      })
    })

    test('are counted with everything below the prefix', async t => {
      const client = await open(t)
      await createEvents(client, 'a')
      await createEvents(client, 'b')
      await client.store.put('b/data.parquet', new Uint8Array(1000))
      await client.store.put('stray', new Uint8Array(10))
      const { lastModifiedAt, sizeBytes, uri, ...rest } = await client.getBucketMetrics()
      assert.ok(Date.parse(lastModifiedAt!) > 0)
      assert.ok(Number(sizeBytes) > 1010)
      assert.equal(uri, client.store.uri)
      const bucket = place === 's3' ? { bucket: 'lake', region: 'us-east-1' } : {}
      assert.deepEqual(rest, { ...bucket, tableCount: '2', objectCount: '4', complete: 'true' })
    })

    test('have names that stay in their place', async t => {
      const client = await open(t)
      for (const name of ['', '/', '../other', 'a/../../b']) {
        await assert.rejects(client.checkDeltaTableExists(name), { code: 'STORE_KEY_INVALID' }, name)
      }
    })
  })
}

suite('cleanupOldFiles', () => {
  async function tableWithFiles(): Promise<{ client: S3Client; store: MemoryObjectStore; live: string }> {
    let nowMs = systemRuntime.now()
    const runtime = { ...systemRuntime, now: () => nowMs }
    const store = new MemoryObjectStore({ now: runtime.now })
    const client = new S3Client({ kind: 'local', path: './lake' }, { store, runtime })
    const { table } = await DeltaTable.openOrCreate(client.tableStore('events'), SPEC, { runtime })
    const live = 'day=2026-01-01/live.parquet'
    for (const key of [live, 'orphan.parquet']) await table.store.put(key, new Uint8Array(8))
    const add = {
      path: live,
      partitionValues: { day: '2026-01-01' },
      size: 8,
      modificationTime: nowMs,
      dataChange: true,
    }
    const outcome = await table.append({ adds: [add], rowCounts: [1], txns: [] })
    assert.equal(outcome.status, 'committed')
    nowMs += 8 * DAY_MS
    return { client, store, live }
  }

  test('deletes what is no part of the table, and says how many', async () => {
    const { client, store, live } = await tableWithFiles()
    assert.equal(await client.cleanupOldFiles('events', 7, { dryRun: true }), 1)
    assert.equal(await client.cleanupOldFiles('events', 7), 1)
    assert.equal(await client.cleanupOldFiles('events', 7), 0)
    assert.notEqual(await store.head(`events/${live}`), null)
    assert.equal(await store.head('events/orphan.parquet'), null)
  })

  for (const days of [0, -7, 0.5, Number.NaN]) {
    test(`refuses a retention of ${days} days, also where short ones are allowed`, async () => {
      const { client, store, live } = await tableWithFiles()
      await assert.rejects(client.cleanupOldFiles('events', days, { allowShortRetention: true }), {
        code: 'DELTA_RETENTION_TOO_SHORT',
      })
      assert.notEqual(await store.head(`events/${live}`), null)
    })
  }

  test('goes below the retention of the table only where that is allowed', async () => {
    const { client } = await tableWithFiles()
    await assert.rejects(client.cleanupOldFiles('events', 2), { code: 'DELTA_RETENTION_TOO_SHORT' })
    assert.equal(await client.cleanupOldFiles('events', 2, { allowShortRetention: true }), 1)
  })

  test('refuses a name without a table', async () => {
    const { client } = await tableWithFiles()
    await assert.rejects(client.cleanupOldFiles('nothing', 7), { code: 'DELTA_TABLE_NOT_FOUND' })
  })
})

test('a table’s address is that of the configuration', () => {
  const local = new S3Client({ kind: 'local', path: './lake/' })
  assert.equal(local.getTableUri('events'), './lake/events')
  const store = openStore('memory:x')
  const s3 = { kind: 's3', bucket: 'b', region: 'r', forcePathStyle: false, createBucket: false } as const
  assert.equal(new S3Client({ ...s3, prefix: 'p/q' }, { store }).getTableUri('events'), 's3://b/p/q/events')
  assert.equal(new S3Client({ ...s3, prefix: '' }, { store }).getTableUri('events'), 's3://b/events')
})
