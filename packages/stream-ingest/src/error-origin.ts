/**
 * Where something thrown comes from, and what that means for whoever called: as data, from which `error.ts` makes an
 * error.
 *
 * @module
 */
import { AssertionError } from 'node:assert'
import { type DeltaErrorCode, DeltaLakeError } from '@stream-ingest/delta/error'
import { judgeS3Error } from '@stream-ingest/delta/s3-error'
import type { ErrorCode } from './error-code.ts'

export interface ErrorOrigin {
  readonly kind: 'kafka' | 'delta' | 's3' | 'io' | 'generic'
  readonly code: ErrorCode | DeltaErrorCode
  readonly message: string
  /** Overrides what the code's registry says. */
  readonly retryable?: boolean
  readonly hint?: string
  readonly context?: Readonly<Record<string, string | number | bigint | boolean | null | undefined>>
}

/** Causes may loop. */
const CAUSES_MAX = 10

/**
 * Judges by what the thrown thing is; one that says nothing by its cause, or the first of an aggregate that says
 * something. What nobody throws on purpose is a bug.
 */
export function originOf(thrown: unknown): ErrorOrigin {
  for (const cause of causesOf(thrown)) {
    const origin = judge(cause)
    if (origin !== null) return cause === thrown ? origin : withOuterMessage(thrown, origin)
  }
  return bug(thrown)
}

/**
 * The error, its causes and the members of aggregates, outermost first. A bug ends the walk: what caused it does not
 * excuse it.
 */
export function* causesOf(thrown: unknown): Generator<unknown> {
  const waiting = [thrown]
  for (let seen = 0; seen < CAUSES_MAX && waiting.length > 0; seen++) {
    const next = waiting.shift()
    yield next
    if (!(next instanceof Error) || isBug(next)) return
    if (next instanceof AggregateError) waiting.push(...next.errors.slice(0, CAUSES_MAX))
    if (next.cause !== undefined) waiting.push(next.cause)
  }
}

/** Null where the error by itself says nothing. */
function judge(error: unknown): ErrorOrigin | null {
  if (error instanceof DeltaLakeError) return ofDeltaCore(error)
  if (!(error instanceof Error)) return null
  if (error.name === 'AbortError' || codeOf(error) === 'ABORT_ERR') {
    return { kind: 'generic', code: 'ABORTED', message: error.message }
  }
  if (isBug(error)) return bug(error)
  return ofAwsSdk(error) ?? ofKafkaClient(error) ?? ofSystem(error)
}

function ofDeltaCore({ code, message, retryable, hint, context }: DeltaLakeError): ErrorOrigin {
  return { kind: code.startsWith('STORE_') ? 's3' : 'delta', code, message, retryable, hint, context }
}

/** Names of the SDK's errors that come from before any request, and so without its mark. */
const AWS_PROVIDER = /^(CredentialsProviderError|TokenProviderError|ProviderError)$/

function ofAwsSdk(error: Error): ErrorOrigin | null {
  if (!('$metadata' in error || '$fault' in error || AWS_PROVIDER.test(error.name))) return null
  const said = error.message === '' ? error.name : `${error.name}: ${error.message}`
  return { kind: 's3', message: said, ...judgeS3Error(error) }
}

/** Errors of brokers that have a code of their own here; all others are `KAFKA_PROTOCOL`. */
const KAFKA_BY_NAME: Readonly<Record<string, ErrorCode>> = {
  SASL_AUTHENTICATION_FAILED: 'KAFKA_AUTHENTICATION',
  UNSUPPORTED_SASL_MECHANISM: 'KAFKA_AUTHENTICATION',
  ILLEGAL_SASL_STATE: 'KAFKA_AUTHENTICATION',
  TOPIC_AUTHORIZATION_FAILED: 'KAFKA_AUTHORIZATION',
  GROUP_AUTHORIZATION_FAILED: 'KAFKA_AUTHORIZATION',
  CLUSTER_AUTHORIZATION_FAILED: 'KAFKA_AUTHORIZATION',
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: 'KAFKA_AUTHORIZATION',
  OFFSET_OUT_OF_RANGE: 'KAFKA_OFFSET_OUT_OF_RANGE',
  UNKNOWN_TOPIC_OR_PARTITION: 'KAFKA_TOPIC_NOT_FOUND',
  UNKNOWN_TOPIC_ID: 'KAFKA_TOPIC_NOT_FOUND',
  INVALID_TOPIC_EXCEPTION: 'KAFKA_TOPIC_NOT_FOUND',
  CORRUPT_MESSAGE: 'KAFKA_CORRUPT_BATCH',
  MESSAGE_TOO_LARGE: 'KAFKA_BATCH_TOO_LARGE',
  RECORD_LIST_TOO_LARGE: 'KAFKA_BATCH_TOO_LARGE',
  UNSUPPORTED_FOR_MESSAGE_FORMAT: 'KAFKA_BATCH_UNSUPPORTED',
  UNSUPPORTED_COMPRESSION_TYPE: 'KAFKA_BATCH_UNSUPPORTED',
}

/** What the transport library says by itself. Its misuse (`…_USER`) is a bug of ours, and not in here. */
const KAFKA_BY_CODE: Readonly<Record<string, { readonly code: ErrorCode; readonly retryable: boolean }>> = {
  PLT_KFK_AUTHENTICATION: { code: 'KAFKA_AUTHENTICATION', retryable: false },
  PLT_KFK_NETWORK: { code: 'KAFKA_UNREACHABLE', retryable: true },
  PLT_KFK_TIMEOUT: { code: 'KAFKA_UNREACHABLE', retryable: true },
  PLT_KFK_UNEXPECTED_CORRELATION_ID: { code: 'KAFKA_PROTOCOL', retryable: true },
  PLT_KFK_UNFINISHED_WRITE_BUFFER: { code: 'KAFKA_PROTOCOL', retryable: true },
  PLT_KFK_OUT_OF_BOUNDS: { code: 'KAFKA_PROTOCOL', retryable: true },
  PLT_KFK_UNSUPPORTED_API: { code: 'KAFKA_PROTOCOL', retryable: false },
  PLT_KFK_UNSUPPORTED: { code: 'KAFKA_PROTOCOL', retryable: false },
  PLT_KFK_UNSUPPORTED_COMPRESSION: { code: 'KAFKA_BATCH_UNSUPPORTED', retryable: false },
  PLT_KFK_UNSUPPORTED_FORMAT: { code: 'KAFKA_BATCH_UNSUPPORTED', retryable: false },
}

function ofKafkaClient(error: Error): ErrorOrigin | null {
  const { apiId, apiCode, canRetry } = error as { apiId?: unknown; apiCode?: unknown; canRetry?: unknown }
  if (typeof apiId === 'string') {
    return {
      kind: 'kafka',
      code: KAFKA_BY_NAME[apiId] ?? 'KAFKA_PROTOCOL',
      message: `the broker answered ${apiId}: ${error.message}`,
      retryable: canRetry === true,
      context: { errorName: apiId, ...(typeof apiCode === 'number' ? { errorCode: apiCode } : {}) },
    }
  }
  const known = KAFKA_BY_CODE[codeOf(error)]
  if (known === undefined) return null
  const inner = error.cause === undefined ? null : ofKafkaClient(error.cause as Error)
  // A handshake that failed is packed into a failure of the network.
  if (inner?.code === 'KAFKA_AUTHENTICATION') return inner
  // One that broke off says nothing of the credentials.
  if (known.code === 'KAFKA_AUTHENTICATION' && inner?.code === 'KAFKA_UNREACHABLE') return inner
  return { kind: 'kafka', message: error.message, ...known }
}

const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETRESET',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
])
const BY_ERRNO: ReadonlyMap<string, ErrorCode> = new Map([
  ['ENOENT', 'IO_NOT_FOUND'],
  ['ENOTDIR', 'IO_NOT_FOUND'],
  ['EACCES', 'IO_DENIED'],
  ['EPERM', 'IO_DENIED'],
  ['EROFS', 'IO_DENIED'],
  ['ENOSPC', 'IO_NO_SPACE'],
  ['EDQUOT', 'IO_NO_SPACE'],
])
/** Too many open files, or memory that is short for a moment: others may give some back. */
const PASSING = new Set(['EMFILE', 'ENFILE', 'EAGAIN', 'EBUSY', 'EINTR', 'ENOBUFS', 'ENOMEM'])
const TLS_CODE = /^(ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH$|EPROTO$)/

function ofSystem(error: Error): ErrorOrigin | null {
  const { message } = error
  const errno = codeOf(error)
  const context = { errno }
  if (UNREACHABLE.has(errno) || /^UND_ERR_/.test(errno)) {
    return { kind: 'io', code: 'IO_UNREACHABLE', message, context }
  }
  // `AbortSignal.timeout`, which names no errno.
  if (error.name === 'TimeoutError') return { kind: 'io', code: 'IO_UNREACHABLE', message }
  if (TLS_CODE.test(errno)) {
    const hint = 'check the certificate, the address, and whether the port speaks TLS'
    return { kind: 'io', code: 'IO_UNREACHABLE', message, retryable: false, hint, context }
  }
  const known = BY_ERRNO.get(errno)
  if (known !== undefined) return { kind: 'io', code: known, message, context }
  if (!('syscall' in error) && !('errno' in error)) return null
  return { kind: 'io', code: 'IO_FAILED', message, retryable: PASSING.has(errno), context }
}

/** An error of the program, ours or a library's. */
function isBug(error: Error): boolean {
  // The SDK marks what it throws for an answer; `fetch` throws a TypeError for a network that failed.
  if ('$metadata' in error || '$response' in error) return false
  if (error instanceof TypeError && /^(fetch failed|terminated)$/.test(error.message)) {
    return error.cause === undefined
  }
  return (
    error instanceof TypeError ||
    error instanceof RangeError ||
    error instanceof ReferenceError ||
    error instanceof SyntaxError ||
    error instanceof AssertionError
  )
}

function bug(thrown: unknown): ErrorOrigin {
  // Whatever its fields claim, a bug is never worth a retry.
  return { kind: 'generic', code: 'INTERNAL', message: messageOf(thrown), retryable: false }
}

/** Says what the caller was doing, then what went wrong below. */
function withOuterMessage(thrown: unknown, origin: ErrorOrigin): ErrorOrigin {
  const outer = messageOf(thrown)
  if (outer === '' || origin.message.includes(outer)) return origin
  return {
    ...origin,
    message: outer.includes(origin.message) ? outer : `${outer}: ${origin.message}`,
  }
}

function codeOf(error: Error): string {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : ''
}

function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message === '' ? thrown.name : thrown.message
  return String(thrown)
}
