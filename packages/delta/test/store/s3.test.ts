import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { CreateBucketCommand, DeleteBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { S3ObjectStore, type S3StoreOptions } from '../../src/store/s3.ts'
import { testObjectStore } from '../contract/object-store.ts'
import { type FakeS3Fault, type FakeS3Options, type FakeS3Request, FakeS3Server } from '../fake-s3-server.ts'

const MIB = 1024 * 1024
const credentials = { accessKeyId: 'access', secretAccessKey: 'secret' }

function connect(endpoint: string, options: Partial<S3StoreOptions> = {}): S3ObjectStore {
  return new S3ObjectStore({
    bucket: 'lake',
    region: 'us-east-1',
    endpoint,
    forcePathStyle: true,
    credentials,
    attemptsMax: 2,
    multipartThresholdBytes: 6 * MIB,
    partBytes: 5 * MIB,
    ...options,
  })
}

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

const body = Buffer.from('body')

interface Setting {
  readonly fake: FakeS3Server
  readonly store: S3ObjectStore
}

async function withServer(
  options: FakeS3Options & { store?: Partial<S3StoreOptions> },
  run: (setting: Setting) => Promise<void>,
): Promise<void> {
  const fake = await FakeS3Server.start(options)
  const store = connect(fake.endpoint, options.store)
  try {
    await run({ fake, store })
  } finally {
    await store.close()
    await fake.close()
  }
}

async function keysOf(store: S3ObjectStore): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of store.list('')) keys.push(key)
  return keys
}

/** The fault meets the first `times` requests of an action. */
function failing(action: string, fault: FakeS3Fault, times = Number.POSITIVE_INFINITY) {
  let left = times
  return (request: FakeS3Request) => (request.action === action && left-- > 0 ? fault : undefined)
}

function answering(action: string, status: number, code: string, more: object = {}) {
  return failing(action, { kind: 'answer', status, code, ...more })
}

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

test('a conditional put that can never work throws, with the code and the place', async () => {
  const cases: [number, string, object][] = [
    [
      403,
      'AccessDenied',
      { code: 'STORE_ACCESS_DENIED', hint: /s3:PutObject on arn:aws:s3:::lake\/log\/\*/ },
    ],
    [403, 'InvalidAccessKeyId', { code: 'STORE_CREDENTIALS' }],
    [403, 'SignatureDoesNotMatch', { code: 'STORE_CREDENTIALS' }],
    [403, 'RequestTimeTooSkewed', { code: 'STORE_CREDENTIALS', hint: /clock/ }],
    [400, 'ExpiredToken', { code: 'STORE_CREDENTIALS' }],
    [404, 'NoSuchBucket', { code: 'STORE_BUCKET_NOT_FOUND' }],
    [501, 'NotImplemented', { code: 'STORE_NOT_ATOMIC', message: /s3:\/\/lake/ }],
    [400, 'InvalidArgument', { code: 'STORE_REQUEST_FAILED' }],
  ]
  for (const [status, code, expected] of cases) {
    await withServer({ faults: answering('PutObject', status, code) }, async ({ store }) => {
      await assert.rejects(store.putIfAbsent('log/0.json', body), { ...expected, retryable: false }, code)
      await assert.rejects(
        store.putIfAbsent('log/0.json', body),
        /`PutObject`|does not implement `PutObject`/,
      )
      await assert.rejects(store.putIfAbsent('log/0.json', body), /log\/0\.json/)
    })
  }
})

test('a refused request names action, bucket, key, endpoint, permission and request id', () =>
  withServer({ faults: answering('GetObject', 403, 'AccessDenied') }, async ({ store, fake }) => {
    await assert.rejects(store.at('events').get('_delta_log/0.json'), {
      code: 'STORE_ACCESS_DENIED',
      message: `\`GetObject\` on \`s3://lake/events/_delta_log/0.json\` at \`${fake.endpoint}\` failed: AccessDenied (HTTP 403): said the fake server`,
      hint: 'grant s3:GetObject on arn:aws:s3:::lake/events/_delta_log/* to this identity, and s3:ListBucket on arn:aws:s3:::lake',
      context: {
        action: 'GetObject',
        bucket: 'lake',
        key: 'events/_delta_log/0.json',
        endpoint: fake.endpoint,
        httpStatus: 403,
        s3Code: 'AccessDenied',
        requestId: 'fake',
      },
    })
  }))

test('a HEAD and a listing that are refused name their permission', async () => {
  await withServer({ faults: answering('HeadObject', 403, 'AccessDenied') }, async ({ store }) => {
    await assert.rejects(store.head('key'), { code: 'STORE_ACCESS_DENIED', hint: /s3:GetObject/ })
  })
  await withServer({ faults: answering('ListObjectsV2', 403, 'AccessDenied') }, async ({ store }) => {
    await assert.rejects(store.list('key').next(), {
      code: 'STORE_ACCESS_DENIED',
      hint: /s3:ListBucket on arn:aws:s3:::lake to/,
    })
  })
})

test('a missing bucket is told from a missing object by every verb', () =>
  withServer({ store: { bucket: 'missing' } }, async ({ store }) => {
    const expected = { code: 'STORE_BUCKET_NOT_FOUND', message: /missing/ }
    await assert.rejects(store.get('key'), expected)
    await assert.rejects(store.head('key'), expected)
    await assert.rejects(store.put('key', body), expected)
    await assert.rejects(store.putIfAbsent('key', body), expected)
    await assert.rejects(store.list('').next(), expected)
    await assert.rejects(store.delete(['key']), expected)
  }))

test('a missing object costs one request more at most once', () =>
  withServer({}, async ({ store, fake }) => {
    assert.equal(await store.head('a'), null)
    assert.equal(await store.head('b'), null)
    assert.equal(await store.at('c').head('d'), null)
    assert.deepEqual(fake.actions, ['HeadObject', 'HeadBucket', 'HeadObject', 'HeadObject'])
  }))

test('a bucket of another region is named with that region', async () => {
  const redirect = answering('HeadObject', 301, 'PermanentRedirect', {
    headers: { 'x-amz-bucket-region': 'eu-central-1' },
  })
  await withServer({ faults: redirect }, async ({ store }) => {
    await assert.rejects(store.head('key'), {
      code: 'STORE_REGION',
      hint: /lives in `eu-central-1`, `us-east-1` is set/,
    })
  })
  const malformed = answering('PutObject', 400, 'AuthorizationHeaderMalformed', {
    extra: '<Region>eu-central-1</Region>',
  })
  await withServer({ faults: malformed }, async ({ store }) => {
    await assert.rejects(store.put('key', body), { code: 'STORE_REGION', hint: /eu-central-1/ })
  })
})

test('a server that throttles or fails is repeated as often as is set, then said to be so', async () => {
  const cases: [number, string, string][] = [
    [503, 'SlowDown', 'STORE_THROTTLED'],
    [503, 'ServiceUnavailable', 'STORE_THROTTLED'],
    [500, 'InternalError', 'STORE_UNAVAILABLE'],
  ]
  for (const [status, code, expected] of cases) {
    await withServer({ faults: answering('PutObject', status, code) }, async ({ store, fake }) => {
      await assert.rejects(store.put('key', body), { code: expected, retryable: true })
      assert.equal(fake.requests.length, 2)
    })
  }
})

test('a server that is not there is said to be unavailable', async () => {
  const fake = await FakeS3Server.start()
  const { endpoint } = fake
  await fake.close()
  const store = connect(endpoint, { attemptsMax: 1 })
  await assert.rejects(store.get('key'), { code: 'STORE_UNAVAILABLE', message: /ECONNREFUSED/ })
  const result = await store.putIfAbsent('key', body)
  assert.equal(result.status, 'unknown')
  await store.close()
})

test('a server that speaks no TLS is not asked again', () =>
  withServer({}, async ({ fake }) => {
    const store = connect(fake.endpoint.replace('http:', 'https:'), { attemptsMax: 1 })
    await assert.rejects(store.get('key'), {
      code: 'STORE_UNAVAILABLE',
      retryable: false,
      hint: /`http` or `https`/,
    })
    await store.close()
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

test('a role is assumed with the given credentials, and a refusal names the role', async () => {
  const requests: string[] = []
  let status = 200
  const expiration = '2999-01-01T00:00:00Z'
  const keys =
    '<AccessKeyId>ROLE-KEY</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>role-token</SessionToken>'
  const granted = `<AssumeRoleResponse><AssumeRoleResult><Credentials>${keys}<Expiration>${expiration}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`
  const refused =
    '<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>'
  const sts = createServer((request, response) => {
    requests.push(request.headers.authorization ?? '')
    request.resume()
    response.writeHead(status).end(status === 200 ? granted : refused)
  })
  await new Promise<void>(resolve => sts.listen(0, '127.0.0.1', resolve))
  // The SDK's own way to name another server for it.
  process.env.AWS_ENDPOINT_URL_STS = `http://127.0.0.1:${(sts.address() as AddressInfo).port}`
  const roleArn = 'arn:aws:iam::123456789012:role/writer'
  try {
    await withServer({ store: { roleArn } }, async ({ store, fake }) => {
      await store.put('key', body)
      assert.match(requests[0]!, /Credential=access\//)
      assert.equal(fake.requests[0]!.headers['x-amz-security-token'], 'role-token')
    })
    status = 403
    await withServer({ store: { roleArn } }, async ({ store, fake }) => {
      await assert.rejects(store.put('key', body), {
        code: 'STORE_CREDENTIALS',
        message: /cannot assume the role `arn:aws:iam::123456789012:role\/writer`.*sts:AssumeRole/,
      })
      assert.equal(fake.requests.length, 0)
    })
  } finally {
    delete process.env.AWS_ENDPOINT_URL_STS
    sts.closeAllConnections()
    await new Promise(resolve => sts.close(resolve))
  }
})

test('secrets are in no message', () =>
  withServer({ faults: answering('GetObject', 403, 'SignatureDoesNotMatch') }, async ({ fake }) => {
    const store = connect(fake.endpoint, {
      credentials: {
        accessKeyId: 'ACCESS-KEY',
        secretAccessKey: 'SECRET-KEY',
        sessionToken: 'SESSION-TOKEN',
      },
    })
    await assert.rejects(store.get('key'), (error: Error) => {
      assert.doesNotMatch(JSON.stringify(error) + error.message, /SECRET-KEY|SESSION-TOKEN/)
      return true
    })
    await store.close()
  }))
