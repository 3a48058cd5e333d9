import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { CreateBucketCommand, DeleteBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { testObjectStore } from '../contract/object-store.ts'
import { type FakeS3Fault, FakeS3Server } from '../fake-s3-server.ts'
import { answering, body, connect, failing, keysOf, MIB, withServer } from '../s3-setting.ts'

let contractServer: FakeS3Server | undefined
testObjectStore('s3 (in-process server)', {
  open: async () => {
    contractServer = await FakeS3Server.start({ pageSize: 1000 })
    return connect(contractServer.endpoint)
  },
  close: async () => contractServer?.close(),
  bigBodyBytes: 12 * MIB,
})

const realEndpoint = process.env.SI_TEST_S3_ENDPOINT
const realCredentials = {
  accessKeyId: process.env.SI_TEST_S3_ACCESS_KEY ?? '',
  secretAccessKey: process.env.SI_TEST_S3_SECRET_KEY ?? '',
}
const realBucket = `contract-${randomUUID()}`

async function onRealServer(run: (client: S3Client) => Promise<unknown>): Promise<void> {
  const client = new S3Client({
    region: 'us-east-1',
    endpoint: realEndpoint!,
    forcePathStyle: true,
    credentials: realCredentials,
  })
  await run(client)
  client.destroy()
}

testObjectStore('s3 (real server)', {
  skip: realEndpoint === undefined ? 'SI_TEST_S3_ENDPOINT is not set: no S3 server to test with' : undefined,
  open: async () => {
    await onRealServer(client => client.send(new CreateBucketCommand({ Bucket: realBucket })))
    return connect(realEndpoint!, { bucket: realBucket, credentials: realCredentials })
  },
  close: async () => {
    const store = connect(realEndpoint!, { bucket: realBucket, credentials: realCredentials })
    await store.delete(await keysOf(store))
    await store.close()
    await onRealServer(client => client.send(new DeleteBucketCommand({ Bucket: realBucket })))
  },
  bigBodyBytes: 12 * MIB,
  // Servers in Java order by UTF-16. The store refuses such a listing rather than believe it; see below.
  hasSupplementaryKeys: false,
})

test('a lost 200 is repeated by the SDK, and its own object is reported as one that exists', () =>
  withServer({ faults: failing('PutObject', { kind: 'lost' }, 1) }, async ({ store, fake }) => {
    assert.deepEqual(await store.putIfAbsent('key', body), { status: 'exists' })
    assert.deepEqual(fake.actions, ['PutObject', 'PutObject'])
    assert.ok(fake.requests.every(({ ifNoneMatch }) => ifNoneMatch))
  }))

test('a conditional put without a definite answer is unknown, and says why', async () => {
  const faults: [FakeS3Fault, RegExp][] = [
    [{ kind: 'answer', status: 409, code: 'ConditionalRequestConflict' }, /ConditionalRequestConflict/],
    [{ kind: 'answer', status: 409, code: 'SomeOtherConflict' }, /SomeOtherConflict/],
    [{ kind: 'answer', status: 500, code: 'InternalError' }, /InternalError/],
    [{ kind: 'answer', status: 503, code: 'SlowDown' }, /SlowDown/],
    [{ kind: 'reset' }, /ECONNRESET/],
    [{ kind: 'lost' }, /ECONNRESET/],
  ]
  for (const [fault, expected] of faults) {
    const attemptsMax = fault.kind === 'lost' ? 1 : 2
    await withServer({ faults: failing('PutObject', fault), store: { attemptsMax } }, async ({ store }) => {
      const result = await store.putIfAbsent('key', body)
      assert.equal(result.status, 'unknown')
      assert.match(String(result.status === 'unknown' && result.cause), expected)
    })
  }
})

test('a conditional put to a server that hangs is unknown after the time-out', () =>
  withServer(
    { faults: failing('PutObject', { kind: 'hang' }), store: { attemptsMax: 1, requestTimeoutMs: 50 } },
    async ({ store }) => {
      const result = await store.putIfAbsent('key', body)
      assert.match(String(result.status === 'unknown' && result.cause), /TimeoutError|ETIMEDOUT/)
    },
  ))

test('304 of an old server means that the object exists', () =>
  withServer({ faults: answering('PutObject', 304, 'NotModified') }, async ({ store }) => {
    assert.deepEqual(await store.putIfAbsent('key', body), { status: 'exists' })
  }))

test('a download that breaks off half way is repeated', () =>
  withServer({ faults: failing('GetObject', { kind: 'cut-body' }, 1) }, async ({ store, fake }) => {
    const large = Buffer.alloc(300_000, 7)
    await store.put('key', large)
    assert.ok(Buffer.compare((await store.get('key'))!, large) === 0)
    assert.deepEqual(fake.actions, ['PutObject', 'GetObject', 'GetObject'])
  }))

test('an upload in parts that fails is given up, and nothing is visible', () =>
  withServer({ faults: answering('UploadPart', 403, 'AccessDenied') }, async ({ store, fake }) => {
    await assert.rejects(store.put('key', Buffer.alloc(12 * MIB)), {
      code: 'STORE_ACCESS_DENIED',
      message: /`UploadPart` on `s3:\/\/lake\/key`/,
    })
    assert.equal(fake.actions.at(-1), 'AbortMultipartUpload')
    assert.equal(fake.uploads.size, 0)
    assert.equal(await store.get('key'), null)
  }))

test('an upload in parts whose completion is answered to nobody has happened', () =>
  withServer({ faults: failing('CompleteMultipartUpload', { kind: 'lost' }, 1) }, async ({ store, fake }) => {
    const large = Buffer.alloc(12 * MIB, 3)
    await store.put('key', large)
    assert.ok(Buffer.compare(fake.object('key')!, large) === 0)
  }))

async function* pieces(): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < 12; i++) yield Buffer.alloc(MIB, i)
}

test('a conditional upload in parts is given up where the object is there by then', () =>
  withServer({}, async ({ store, fake }) => {
    await store.put('key', body)
    assert.deepEqual(await store.putIfAbsent('key', pieces()), { status: 'exists' })
    assert.equal(fake.uploads.size, 0)
    assert.ok(Buffer.compare(fake.object('key')!, body) === 0)
  }))

test('a conditional upload in parts whose completion has no definite answer is unknown', async () => {
  for (const fault of [
    { kind: 'answer', status: 409, code: 'ConditionalRequestConflict' },
    { kind: 'answer', status: 503, code: 'SlowDown' },
    { kind: 'lost' },
  ] as const) {
    await withServer(
      { faults: failing('CompleteMultipartUpload', fault), store: { attemptsMax: 1 } },
      async ({ store }) => {
        const result = await store.putIfAbsent('key', pieces())
        assert.equal(result.status, 'unknown', fault.kind)
      },
    )
  }
})

test('a conditional upload in parts whose lost completion was repeated finds the object', () =>
  withServer({ faults: failing('CompleteMultipartUpload', { kind: 'lost' }, 1) }, async ({ store, fake }) => {
    assert.deepEqual(await store.putIfAbsent('key', pieces()), { status: 'exists' })
    assert.equal(fake.object('key')!.length, 12 * MIB)
  }))

test('a conditional upload in parts that fails is given up, and its source is told', async () => {
  let isClosed = false
  const source = async function* (): AsyncGenerator<Uint8Array> {
    try {
      for (;;) yield Buffer.alloc(MIB)
    } finally {
      isClosed = true
    }
  }
  await withServer({ faults: answering('UploadPart', 403, 'AccessDenied') }, async ({ store, fake }) => {
    await assert.rejects(store.putIfAbsent('key', source()), { code: 'STORE_ACCESS_DENIED' })
    assert.deepEqual([fake.uploads.size, fake.object('key'), isClosed], [0, undefined, true])
  })
})

test('an upload in parts that somebody ended is an error', () =>
  withServer(
    { faults: answering('CompleteMultipartUpload', 404, 'NoSuchUpload') },
    async ({ store, fake }) => {
      fake.buckets.get('lake')!.set('key', { body: Buffer.alloc(12 * MIB, 4), modified: new Date() })
      await assert.rejects(store.put('key', Buffer.alloc(12 * MIB, 3)), {
        code: 'STORE_REQUEST_FAILED',
        retryable: true,
      })
    },
  ))

test('deletes go in batches of 1000, and a key that cannot be deleted is named', () =>
  withServer({}, async ({ store, fake }) => {
    await store.delete(Array.from({ length: 2001 }, (_, index) => `key-${index}`))
    assert.deepEqual(fake.actions, ['DeleteObjects', 'DeleteObjects', 'DeleteObjects'])
    await assert.rejects(store.delete(['a', 'undeletable', 'undeletable-too']), {
      code: 'STORE_ACCESS_DENIED',
      message: /s3:\/\/lake\/undeletable`.*2 keys of 3/,
      hint: /s3:DeleteObject/,
    })
  }))

test('encryption and storage class go with single puts, conditional ones and uploads in parts', () =>
  withServer(
    { store: { serverSideEncryption: 'aws:kms', kmsKeyId: 'key-id', storageClass: 'STANDARD_IA' } },
    async ({ store, fake }) => {
      await store.put('a', body)
      await store.putIfAbsent('b', body)
      await store.put('c', Buffer.alloc(7 * MIB))
      const creating = fake.requests.filter(
        ({ action }) => action === 'PutObject' || action.startsWith('Create'),
      )
      assert.equal(creating.length, 3)
      for (const { headers } of creating) {
        assert.equal(headers['x-amz-server-side-encryption'], 'aws:kms')
        assert.equal(headers['x-amz-server-side-encryption-aws-kms-key-id'], 'key-id')
        assert.equal(headers['x-amz-storage-class'], 'STANDARD_IA')
      }
    },
  ))

test('bodies go up whole with a checksum, never chunked', () =>
  withServer({}, async ({ store, fake }) => {
    await store.put('a', Buffer.alloc(3 * MIB))
    const { headers } = fake.requests[0]!
    assert.equal(headers['content-length'], String(3 * MIB))
    assert.equal(headers['content-encoding'], undefined)
    assert.equal(headers.expect, undefined)
    assert.ok(headers['x-amz-checksum-crc32'])
  }))

test('a server that lists out of order is refused rather than believed', () =>
  withServer({}, async ({ store, fake }) => {
    for (const key of ['a', 'b', 'c']) await store.put(key, body)
    fake.faults = request =>
      request.action === 'ListObjectsV2'
        ? {
            kind: 'answer',
            status: 200,
            code: '',
            body: '<ListBucketResult><Contents><Key>b</Key></Contents><Contents><Key>a</Key></Contents></ListBucketResult>',
          }
        : undefined
    await assert.rejects(keysOf(store), {
      code: 'STORE_REQUEST_FAILED',
      message: /`a` after `b`/,
    })
  }))

test('folders that a console made are not listed', () =>
  withServer({}, async ({ store, fake }) => {
    await store.put('folder/a', body)
    fake.buckets.get('lake')!.set('folder/', { body: Buffer.alloc(0), modified: new Date() })
    assert.deepEqual(await keysOf(store), ['folder/a'])
  }))

test('an abort ends a request under way with the reason', () =>
  withServer({ faults: failing('GetObject', { kind: 'hang' }) }, async ({ store, fake }) => {
    const controller = new AbortController()
    const reason = new Error('stopped by the test')
    const faults = fake.faults
    fake.faults = request => {
      controller.abort(reason)
      return faults(request)
    }
    await assert.rejects(store.get('key', { signal: controller.signal }), error => error === reason)
  }))

test('closing gives up the connections', () =>
  withServer({}, async ({ store, fake }) => {
    await store.at('lake').put('a', body)
    assert.ok(fake.openConnectionCount > 0)
    const closed = new Promise<void>(resolve => fake.onIdle(resolve))
    await store.close()
    await closed
  }))
