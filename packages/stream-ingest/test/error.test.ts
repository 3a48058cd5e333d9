import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { suite, test } from 'node:test'
import {
  AuthenticationError,
  MultipleErrors,
  NetworkError,
  ProtocolError,
  TimeoutError,
  UnsupportedCompressionError,
  UserError,
} from '@platformatic/kafka'
import { DELTA_ERRORS, DeltaLakeError } from '@stream-ingest/delta'
import {
  ConfigError,
  DELTA_EXIT_CODES,
  DeltaError,
  ERROR_KINDS,
  ERRORS,
  EXIT_CODES,
  GenericError,
  IoError,
  KafkaError,
  LambdaError,
  RETRY_MAX_DELAY_MS,
  S3Error,
  SerializationError,
  StreamIngestError,
} from '../src/error.ts'

const CLASSES = {
  config: ConfigError,
  kafka: KafkaError,
  delta: DeltaError,
  s3: S3Error,
  lambda: LambdaError,
  serialization: SerializationError,
  io: IoError,
  generic: GenericError,
} as const

type Expected = readonly [kind: keyof typeof CLASSES, code: string, retryable: boolean]

/** As the SDK throws it. */
function awsError(name: string, httpStatusCode?: number): Error {
  const metadata = httpStatusCode === undefined ? { attempts: 3 } : { httpStatusCode }
  return Object.assign(new Error('said the service'), { name, $fault: 'server', $metadata: metadata })
}

/** As Node throws it. */
function systemError(code: string, syscall = 'open'): Error {
  return Object.assign(new Error(`${code}: said the system, ${syscall}`), { code, errno: -1, syscall })
}

function caught(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  return assert.fail('it throws')
}

const fetchFailed = new TypeError('fetch failed', { cause: systemError('ECONNREFUSED', 'connect') })

const THROWN: readonly (readonly [what: string, thrown: unknown, ...Expected])[] = [
  // The Delta core.
  [
    'a store that refuses',
    new DeltaLakeError('STORE_ACCESS_DENIED', 'no'),
    's3',
    'STORE_ACCESS_DENIED',
    false,
  ],
  ['a store that is away', new DeltaLakeError('STORE_UNAVAILABLE', 'no'), 's3', 'STORE_UNAVAILABLE', true],
  [
    'a store that is away for good',
    new DeltaLakeError('STORE_UNAVAILABLE', 'no', { retryable: false }),
    's3',
    'STORE_UNAVAILABLE',
    false,
  ],
  ['a damaged log', new DeltaLakeError('DELTA_LOG_CORRUPT', 'no'), 'delta', 'DELTA_LOG_CORRUPT', false],
  [
    'lost races',
    new DeltaLakeError('DELTA_COMMIT_CONTENTION', 'no'),
    'delta',
    'DELTA_COMMIT_CONTENTION',
    true,
  ],
  // The AWS SDK.
  ['S3: NoSuchBucket', awsError('NoSuchBucket', 404), 's3', 'STORE_BUCKET_NOT_FOUND', false],
  ['S3: AccessDenied', awsError('AccessDenied', 403), 's3', 'STORE_ACCESS_DENIED', false],
  ['S3: SlowDown', awsError('SlowDown', 503), 's3', 'STORE_THROTTLED', true],
  ['S3: InternalError', awsError('InternalError', 500), 's3', 'STORE_UNAVAILABLE', true],
  ['S3: 502 without a code', awsError('UnknownError', 502), 's3', 'STORE_UNAVAILABLE', true],
  ['S3: PermanentRedirect', awsError('PermanentRedirect', 301), 's3', 'STORE_REGION', false],
  ['S3: ExpiredToken', awsError('ExpiredToken', 400), 's3', 'STORE_CREDENTIALS', false],
  ['SDK: no answer in time', awsError('TimeoutError'), 's3', 'STORE_UNAVAILABLE', true],
  [
    'SDK: connection refused',
    Object.assign(systemError('ECONNREFUSED', 'connect'), { $metadata: { attempts: 1 } }),
    's3',
    'STORE_UNAVAILABLE',
    true,
  ],
  [
    'SDK: no credentials',
    Object.assign(new Error('no provider'), { name: 'CredentialsProviderError' }),
    's3',
    'STORE_CREDENTIALS',
    false,
  ],
  ['S3: something else', awsError('MethodNotAllowed', 405), 's3', 'STORE_REQUEST_FAILED', false],
  [
    'SDK: a type error in its parser of answers',
    Object.assign(new TypeError('not XML'), { $metadata: { httpStatusCode: 500 } }),
    's3',
    'STORE_UNAVAILABLE',
    true,
  ],
  // Kafka: codes of the protocol.
  ['NOT_LEADER_OR_FOLLOWER', new ProtocolError('NOT_LEADER_OR_FOLLOWER'), 'kafka', 'KAFKA_PROTOCOL', true],
  ['code 3', new ProtocolError(3), 'kafka', 'KAFKA_TOPIC_NOT_FOUND', true],
  ['code 1', new ProtocolError(1), 'kafka', 'KAFKA_OFFSET_OUT_OF_RANGE', false],
  [
    'TOPIC_AUTHORIZATION_FAILED',
    new ProtocolError('TOPIC_AUTHORIZATION_FAILED'),
    'kafka',
    'KAFKA_AUTHORIZATION',
    false,
  ],
  [
    'SASL_AUTHENTICATION_FAILED',
    new ProtocolError('SASL_AUTHENTICATION_FAILED'),
    'kafka',
    'KAFKA_AUTHENTICATION',
    false,
  ],
  ['CORRUPT_MESSAGE', new ProtocolError('CORRUPT_MESSAGE'), 'kafka', 'KAFKA_CORRUPT_BATCH', true],
  ['UNSUPPORTED_VERSION', new ProtocolError('UNSUPPORTED_VERSION'), 'kafka', 'KAFKA_PROTOCOL', false],
  // Kafka: the transport library.
  ['a lost connection', new NetworkError('closed'), 'kafka', 'KAFKA_UNREACHABLE', true],
  ['no answer in time', new TimeoutError('late'), 'kafka', 'KAFKA_UNREACHABLE', true],
  ['refused credentials', new AuthenticationError('no'), 'kafka', 'KAFKA_AUTHENTICATION', false],
  [
    'refused credentials in a lost connection',
    new NetworkError('closed', { cause: new AuthenticationError('no') }),
    'kafka',
    'KAFKA_AUTHENTICATION',
    false,
  ],
  [
    'several failures',
    new MultipleErrors('connecting failed', [new NetworkError('closed')]),
    'kafka',
    'KAFKA_UNREACHABLE',
    true,
  ],
  ['an unknown codec', new UnsupportedCompressionError('x'), 'kafka', 'KAFKA_BATCH_UNSUPPORTED', false],
  ['our misuse of the library', new UserError('wrong'), 'generic', 'INTERNAL', false],
  // The operating system.
  ['ECONNREFUSED', systemError('ECONNREFUSED', 'connect'), 'io', 'IO_UNREACHABLE', true],
  ['ENOTFOUND', systemError('ENOTFOUND', 'getaddrinfo'), 'io', 'IO_UNREACHABLE', true],
  ['EAI_AGAIN', systemError('EAI_AGAIN', 'getaddrinfo'), 'io', 'IO_UNREACHABLE', true],
  ['ENOSPC', systemError('ENOSPC', 'write'), 'io', 'IO_NO_SPACE', true],
  ['EACCES', systemError('EACCES'), 'io', 'IO_DENIED', false],
  ['ENOENT', systemError('ENOENT'), 'io', 'IO_NOT_FOUND', false],
  ['EMFILE', systemError('EMFILE'), 'io', 'IO_FAILED', true],
  ['EIO', systemError('EIO', 'read'), 'io', 'IO_FAILED', false],
  [
    'a certificate that is not trusted',
    Object.assign(new Error('self-signed certificate'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }),
    'io',
    'IO_UNREACHABLE',
    false,
  ],
  ['fetch without a network', fetchFailed, 'io', 'IO_UNREACHABLE', true],
  [
    'a timeout of a signal',
    new DOMException('The operation was aborted due to timeout', 'TimeoutError'),
    'io',
    'IO_UNREACHABLE',
    true,
  ],
  [
    'both addresses of a name refused',
    new AggregateError([systemError('ECONNREFUSED'), systemError('ECONNREFUSED')]),
    'io',
    'IO_UNREACHABLE',
    true,
  ],
  // Aborts.
  ['an abort', AbortSignal.abort().reason, 'generic', 'ABORTED', false],
  [
    'an abort of Node',
    Object.assign(new Error('aborted'), { code: 'ABORT_ERR' }),
    'generic',
    'ABORTED',
    false,
  ],
  // Bugs.
  ['TypeError', caught(() => (undefined as unknown as string).length), 'generic', 'INTERNAL', false],
  ['RangeError', caught(() => new Uint8Array(-1)), 'generic', 'INTERNAL', false],
  ['ReferenceError', new ReferenceError('x is not defined'), 'generic', 'INTERNAL', false],
  ['AssertionError', caught(() => assert.equal(1, 2)), 'generic', 'INTERNAL', false],
  [
    'a bug that claims to be worth a retry',
    Object.assign(new TypeError('x'), { canRetry: true, retryable: true, code: 'ECONNRESET' }),
    'generic',
    'INTERNAL',
    false,
  ],
  [
    'a bug while handling a failure of the network',
    new TypeError('x', { cause: systemError('ECONNRESET') }),
    'generic',
    'INTERNAL',
    false,
  ],
  // Nobody's.
  ['an error that says nothing', new Error('oops'), 'generic', 'INTERNAL', false],
  ['a text', 'oops', 'generic', 'INTERNAL', false],
  ['nothing', undefined, 'generic', 'INTERNAL', false],
]

suite('anything thrown is classified', () => {
  for (const [what, thrown, kind, code, retryable] of THROWN) {
    test(`${what}: ${code}`, () => {
      const error = StreamIngestError.from(thrown)
      assert.ok(error instanceof CLASSES[kind], error.constructor.name)
      assert.equal(error.kind, kind)
      assert.equal(error.code, code)
      assert.equal(error.isRetryable(), retryable)
      assert.equal(error.shouldSkipMessage(), false)
      assert.equal(error.cause, thrown)
      assert.notEqual(error.hint, '')
      assert.notEqual(error.message, '')
    })
  }

  test('ours comes back as it is, also from inside another error', () => {
    const ours = new KafkaError('KAFKA_NO_OFFSET', 'no offset')
    assert.equal(StreamIngestError.from(ours), ours)
    assert.equal(StreamIngestError.from(new Error('outer', { cause: ours })), ours)
  })

  test('what was being done stands before what went wrong', () => {
    const error = StreamIngestError.from(new Error('reading the token', { cause: systemError('EACCES') }))
    assert.equal(error.message, 'reading the token: EACCES: said the system, open')
    assert.equal(error.code, 'IO_DENIED')
  })

  test('what the broker said is in the context', () => {
    const error = StreamIngestError.from(new ProtocolError('COORDINATOR_NOT_AVAILABLE'))
    assert.deepEqual(error.context, { errorName: 'COORDINATOR_NOT_AVAILABLE', errorCode: 15 })
  })

  test('causes that loop come to an end', () => {
    const error = new Error('loop') as Error & { cause: unknown }
    error.cause = error
    assert.equal(StreamIngestError.from(error).code, 'INTERNAL')
  })

  test('real errors of the system are known', async () => {
    const missing = await readFile('/nowhere/at/all').catch((error: unknown) => error)
    assert.equal(StreamIngestError.from(missing).code, 'IO_NOT_FOUND')
    const refused = await new Promise(resolve => {
      // Port 1 is nobody's.
      createConnection({ port: 1, host: '127.0.0.1' }).once('error', resolve)
    })
    assert.equal(StreamIngestError.from(refused).code, 'IO_UNREACHABLE')
  })
})

suite('an error', () => {
  test('of a record is one message’s fault', () => {
    for (const code of ['RECORD_INVALID', 'RECORD_NOT_JSON'] as const) {
      const error = new SerializationError(code, 'bad')
      assert.equal(error.shouldSkipMessage(), true)
      assert.equal(error.isRetryable(), false)
    }
  })

  test('takes hint, exit code and retryability from its code', () => {
    const ours = new KafkaError('KAFKA_UNREACHABLE', 'no')
    assert.equal(ours.hint, ERRORS.KAFKA_UNREACHABLE.hint)
    assert.equal(ours.exitCode, EXIT_CODES.unavailable)
    assert.equal(ours.isRetryable(), true)
    const core = new DeltaError('DELTA_TABLE_NOT_FOUND', 'no')
    assert.equal(core.hint, DELTA_ERRORS.DELTA_TABLE_NOT_FOUND.hint)
    assert.equal(core.exitCode, EXIT_CODES.noInput)
  })

  test('has a class for each kind', () => {
    assert.deepEqual(Object.keys(CLASSES), ERROR_KINDS)
    for (const [kind, Kind] of Object.entries(CLASSES)) {
      const error = new Kind('INTERNAL', 'x')
      assert.equal(error.kind, kind)
      assert.equal(error.name, Kind.name)
      assert.ok(error instanceof StreamIngestError)
    }
  })

  test('has an exit code for every code of the Delta core', () => {
    assert.deepEqual(Object.keys(DELTA_EXIT_CODES).sort(), Object.keys(DELTA_ERRORS).sort())
  })
})

suite('the delay before a retry', () => {
  const error = new KafkaError('KAFKA_UNREACHABLE', 'no')
  const almostOne = (): number => 1 - Number.EPSILON

  test('doubles with each attempt up to the cap', () => {
    const longest = [1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 1e9].map(n => error.getRetryDelayMs(n, almostOne))
    const cap = RETRY_MAX_DELAY_MS - 1
    assert.deepEqual(longest, [199, 399, 799, 1599, 3199, 6399, 12_799, 25_599, cap, cap, cap])
  })

  test('is anything from nothing on: full jitter', () => {
    assert.equal(
      error.getRetryDelayMs(5, () => 0),
      0,
    )
    assert.equal(
      error.getRetryDelayMs(5, () => 0.5),
      1_600,
    )
  })

  test('takes an attempt below one for the first', () => {
    assert.equal(error.getRetryDelayMs(0, almostOne), 199)
    assert.equal(error.getRetryDelayMs(undefined, almostOne), 199)
  })
})
