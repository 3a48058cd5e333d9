import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { FakeS3Server } from '../fake-s3-server.ts'
import { answering, body, connect, withServer } from '../s3-setting.ts'

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
      hint: 'grant s3:GetObject on arn:aws:s3:::lake/events/* to this identity, and s3:ListBucket on arn:aws:s3:::lake',
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
