/**
 * Errors as their libraries throw them: the AWS SDK at a server that answers so, every error of Kafka's protocol, and what
 * Node says of files, sockets and names.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { link, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { GetObjectCommand, HeadBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { fromIni } from '@aws-sdk/credential-providers'
import { ProtocolError, protocolErrors } from '@platformatic/kafka'
import { StreamIngestError } from '../src/error.ts'

interface Answer {
  readonly status: number
  readonly code: string
  readonly headers?: Readonly<Record<string, string>>
}

/** A client of the SDK, with one attempt, at a server that always answers so. */
async function clientAt(t: TestContext, answer: Answer | 'cut' | 'no XML'): Promise<S3Client> {
  const server = createServer((request, response) => {
    if (answer === 'cut') {
      request.socket.destroy()
      return
    }
    if (answer === 'no XML') {
      response.writeHead(502, { 'content-type': 'text/html' }).end('<html>Bad Gateway')
      return
    }
    const body = `<?xml version="1.0"?><Error><Code>${answer.code}</Code><Message>as the server says</Message></Error>`
    response.writeHead(answer.status, { 'content-type': 'application/xml', ...answer.headers })
    response.end(request.method === 'HEAD' ? undefined : body)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return client(t, (server.address() as AddressInfo).port)
}

function client(t: TestContext, port: number): S3Client {
  const made = new S3Client({
    endpoint: `http://127.0.0.1:${port}`,
    region: 'us-east-1',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
  })
  t.after(() => made.destroy())
  return made
}

async function failureOf(promise: Promise<unknown>): Promise<StreamIngestError> {
  const thrown = await promise.then(
    () => assert.fail('it fails'),
    (error: unknown) => error,
  )
  return StreamIngestError.from(thrown)
}

const REGION_HEADER = { 'x-amz-bucket-region': 'eu-central-1' }

const S3_ANSWERS: readonly (readonly [status: number, s3Code: string, code: string, retryable: boolean])[] = [
  [301, 'PermanentRedirect', 'STORE_REGION', false],
  [400, 'AuthorizationHeaderMalformed', 'STORE_CREDENTIALS', false],
  [400, 'ExpiredToken', 'STORE_CREDENTIALS', false],
  [400, 'InvalidToken', 'STORE_CREDENTIALS', false],
  [400, 'RequestTimeout', 'STORE_UNAVAILABLE', true],
  [400, 'InvalidRequest', 'STORE_REQUEST_FAILED', false],
  [403, 'AccessDenied', 'STORE_ACCESS_DENIED', false],
  [403, 'AllAccessDisabled', 'STORE_ACCESS_DENIED', false],
  [403, 'InvalidAccessKeyId', 'STORE_CREDENTIALS', false],
  [403, 'SignatureDoesNotMatch', 'STORE_CREDENTIALS', false],
  [403, 'RequestTimeTooSkewed', 'STORE_CREDENTIALS', false],
  [403, 'InvalidObjectState', 'STORE_REQUEST_FAILED', false],
  [404, 'NoSuchBucket', 'STORE_BUCKET_NOT_FOUND', false],
  [405, 'MethodNotAllowed', 'STORE_REQUEST_FAILED', false],
  [409, 'OperationAborted', 'STORE_UNAVAILABLE', true],
  [409, 'ConditionalRequestConflict', 'STORE_UNAVAILABLE', true],
  [429, 'TooManyRequests', 'STORE_THROTTLED', true],
  [500, 'InternalError', 'STORE_UNAVAILABLE', true],
  [501, 'NotImplemented', 'STORE_REQUEST_FAILED', false],
  [503, 'SlowDown', 'STORE_THROTTLED', true],
  [503, 'ServiceUnavailable', 'STORE_THROTTLED', true],
  [504, 'GatewayTimeout', 'STORE_UNAVAILABLE', true],
]

suite('what the AWS SDK throws', () => {
  for (const [status, s3Code, code, retryable] of S3_ANSWERS) {
    test(`for ${status} ${s3Code}: ${code}`, async t => {
      const sdk = await clientAt(t, { status, code: s3Code })
      const error = await failureOf(sdk.send(new GetObjectCommand({ Bucket: 'b', Key: 'k' })))
      assert.deepEqual([error.kind, error.code, error.isRetryable()], ['s3', code, retryable])
      assert.notEqual(error.hint, '')
    })
  }

  for (const [status, headers, code, retryable] of [
    [301, REGION_HEADER, 'STORE_REGION', false],
    [400, REGION_HEADER, 'STORE_REGION', false],
    [403, {}, 'STORE_ACCESS_DENIED', false],
    [503, {}, 'STORE_THROTTLED', true],
  ] as const) {
    test(`for a HEAD, whose answer has no body, with ${status}: ${code}`, async t => {
      const sdk = await clientAt(t, { status, code: '', headers })
      const error = await failureOf(sdk.send(new HeadBucketCommand({ Bucket: 'b' })))
      assert.deepEqual([error.kind, error.code, error.isRetryable()], ['s3', code, retryable])
    })
  }

  test('for an answer of something between, which is no XML: STORE_UNAVAILABLE', async t => {
    const sdk = await clientAt(t, 'no XML')
    const error = await failureOf(sdk.send(new GetObjectCommand({ Bucket: 'b', Key: 'k' })))
    assert.deepEqual([error.kind, error.code, error.isRetryable()], ['s3', 'STORE_UNAVAILABLE', true])
  })

  test('for a connection that is cut: STORE_UNAVAILABLE', async t => {
    const sdk = await clientAt(t, 'cut')
    const error = await failureOf(sdk.send(new GetObjectCommand({ Bucket: 'b', Key: 'k' })))
    assert.deepEqual([error.kind, error.code, error.isRetryable()], ['s3', 'STORE_UNAVAILABLE', true])
  })

  test('where nobody listens: STORE_UNAVAILABLE', async t => {
    // Port 1 is nobody's.
    const error = await failureOf(client(t, 1).send(new GetObjectCommand({ Bucket: 'b', Key: 'k' })))
    assert.deepEqual([error.kind, error.code, error.isRetryable()], ['s3', 'STORE_UNAVAILABLE', true])
  })

  test('where there are no credentials: STORE_CREDENTIALS', async t => {
    const sdk = new S3Client({
      region: 'us-east-1',
      credentials: fromIni({ filepath: '/nowhere', configFilepath: '/nowhere' }),
    })
    t.after(() => sdk.destroy())
    const error = await failureOf(sdk.send(new GetObjectCommand({ Bucket: 'b', Key: 'k' })))
    assert.deepEqual([error.kind, error.code, error.isRetryable()], ['s3', 'STORE_CREDENTIALS', false])
  })
})

/** Of Kafka's own list (`Errors.java`): what a client may simply try again. */
const KAFKA_RETRIABLE = [
  'UNKNOWN_TOPIC_OR_PARTITION',
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_OR_FOLLOWER',
  'REQUEST_TIMED_OUT',
  'REPLICA_NOT_AVAILABLE',
  'NETWORK_EXCEPTION',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'NOT_CONTROLLER',
  'KAFKA_STORAGE_ERROR',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'OFFSET_NOT_AVAILABLE',
  'UNSTABLE_OFFSET_COMMIT',
  'UNKNOWN_TOPIC_ID',
] as const

const KAFKA_FINAL = [
  'OFFSET_OUT_OF_RANGE',
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'SASL_AUTHENTICATION_FAILED',
  'UNSUPPORTED_SASL_MECHANISM',
  'ILLEGAL_SASL_STATE',
  'UNSUPPORTED_VERSION',
  'INVALID_REQUEST',
  'MESSAGE_TOO_LARGE',
  'INVALID_TOPIC_EXCEPTION',
  'UNSUPPORTED_COMPRESSION_TYPE',
] as const

suite('what a broker answers', () => {
  test('is a failure of Kafka with a code, a hint and the broker’s own name, whatever it is', () => {
    const names = Object.keys(protocolErrors).filter(name => name !== 'NONE')
    assert.ok(names.length > 100, 'the library knows the protocol')
    for (const name of names) {
      const error = StreamIngestError.from(new ProtocolError(name))
      assert.equal(error.kind, 'kafka', name)
      assert.match(error.code, /^KAFKA_/, name)
      assert.equal(error.context.errorName, name)
      assert.notEqual(error.hint, '', name)
    }
  })

  for (const name of KAFKA_RETRIABLE) {
    test(`${name} may pass`, () => {
      assert.equal(StreamIngestError.from(new ProtocolError(name)).isRetryable(), true)
    })
  }

  for (const name of KAFKA_FINAL) {
    test(`${name} stays`, () => {
      assert.equal(StreamIngestError.from(new ProtocolError(name)).isRetryable(), false)
    })
  }
})

suite('what the system says', () => {
  async function folder(t: TestContext): Promise<string> {
    const path = await mkdtemp(join(tmpdir(), 'error-origin-'))
    t.after(() => rm(path, { recursive: true, force: true }))
    return path
  }

  async function assertIo(promise: Promise<unknown>, code: string, retryable = false): Promise<void> {
    const error = await failureOf(promise)
    assert.deepEqual([error.kind, error.code, error.isRetryable()], ['io', code, retryable])
  }

  test('of a file that is not there, or below one that is no folder: IO_NOT_FOUND', async t => {
    const path = await folder(t)
    await assertIo(readFile(join(path, 'missing')), 'IO_NOT_FOUND')
    await writeFile(join(path, 'file'), '')
    await assertIo(readFile(join(path, 'file', 'below')), 'IO_NOT_FOUND')
  })

  test('of a folder where a file is wanted: IO_FAILED, for good', async t => {
    await assertIo(readFile(await folder(t)), 'IO_FAILED')
  })

  test('of a device that is full: IO_NO_SPACE, which may pass', {
    skip: process.platform !== 'linux' && '/dev/full is Linux’s',
  }, async () => {
    const full = await open('/dev/full', 'w')
    try {
      await assertIo(full.writeFile('x'), 'IO_NO_SPACE', true)
    } finally {
      await full.close().catch(() => {})
    }
  })

  test('of what is not allowed to anybody: IO_DENIED', async t => {
    const path = await folder(t)
    await assertIo(link(path, join(path, 'a-folder-cannot-be-linked')), 'IO_DENIED')
  })

  test('of a port at which nobody listens, and of a name that nobody has: IO_UNREACHABLE', async () => {
    const refused = once(connect({ port: 1, host: '127.0.0.1' }), 'connect')
    await assertIo(refused, 'IO_UNREACHABLE', true)
    await assertIo(
      once(connect({ port: 1, host: 'no-such-host.invalid' }), 'connect'),
      'IO_UNREACHABLE',
      true,
    )
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, 'close')
    await assertIo(fetch(`http://127.0.0.1:${port}/`), 'IO_UNREACHABLE', true)
    await assertIo(fetch('http://no-such-host.invalid/'), 'IO_UNREACHABLE', true)
  })

  test('of a server that does not speak TLS: IO_UNREACHABLE, for good', async t => {
    const server = createTcpServer(socket => {
      socket.on('error', () => {})
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    const { port } = server.address() as AddressInfo
    await assertIo(once(connectTls({ port, host: '127.0.0.1' }), 'secureConnect'), 'IO_UNREACHABLE')
  })

  test('of a time that is over: IO_UNREACHABLE, which may pass', async t => {
    const server = createServer(() => {}).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => {
      server.closeAllConnections()
      server.close()
    })
    const { port } = server.address() as AddressInfo
    const late = fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(1) })
    await assertIo(late, 'IO_UNREACHABLE', true)
  })
})
