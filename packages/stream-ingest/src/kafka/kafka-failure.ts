/**
 * What the transport library or a broker reports, as errors of ours.
 *
 * @module
 */
import { protocolErrors, protocolErrorsCodesById } from '@platformatic/kafka'
import { KafkaError, StreamIngestError } from '../error.ts'

/** The broker's code as the name that Kafka's documentation uses. */
export function protocolErrorName(errorCode: number): string {
  return protocolErrorsCodesById[errorCode] ?? `error ${errorCode}`
}

/** Errors that say "ask the metadata again": the leader moved, or is being elected. */
const STALE_METADATA: ReadonlySet<string> = new Set([
  'NOT_LEADER_OR_FOLLOWER',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'LEADER_NOT_AVAILABLE',
  'REPLICA_NOT_AVAILABLE',
  'KAFKA_STORAGE_ERROR',
  'OFFSET_NOT_AVAILABLE',
  'UNKNOWN_TOPIC_OR_PARTITION',
  'UNKNOWN_TOPIC_ID',
  'INCONSISTENT_TOPIC_ID',
])

export function isStaleMetadata(errorCode: number): boolean {
  return STALE_METADATA.has(protocolErrorName(errorCode))
}

/** May the same request succeed a little later? */
export function isRetryableProtocolError(errorCode: number): boolean {
  if (isStaleMetadata(errorCode)) return true
  return protocolErrors[protocolErrorName(errorCode)]?.canRetry ?? false
}

const AUTHORIZATION: ReadonlySet<string> = new Set([
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
])

/** The right that an operator would grant. */
export type KafkaRight =
  | { readonly operation: 'Read' | 'Describe'; readonly resource: 'topic'; readonly name: string }
  | { readonly operation: 'Read' | 'Describe'; readonly resource: 'group'; readonly name: string }

/**
 * An error code of a response.
 * @param place what it is about: `topic \`orders\``, `\`orders-3\``
 */
export function protocolError(errorCode: number, place: string, right: KafkaRight): KafkaError {
  const name = protocolErrorName(errorCode)
  const context = { errorCode, errorName: name, place }
  if (AUTHORIZATION.has(name)) {
    const wanted = `\`${right.operation}\` on ${right.resource} \`${right.name}\``
    return new KafkaError('KAFKA_AUTHORIZATION', `the broker denied ${wanted}: ${name}`, {
      hint: `grant ${wanted} to this principal`,
      context,
    })
  }
  return new KafkaError('KAFKA_PROTOCOL', `the broker answered ${name} for ${place}`, {
    retryable: isRetryableProtocolError(errorCode),
    context,
  })
}

/** Node's and OpenSSL's codes of a handshake that failed for good. */
const TLS_CODE =
  /^(ERR_TLS_|ERR_SSL_|ERR_OSSL|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO$)/

/**
 * A connection that could not be made, or was lost.
 * @param server `host:port`
 * @param mechanism of SASL, where it is in use
 */
export function connectionError(thrown: unknown, server: string, mechanism?: string): StreamIngestError {
  const causes = [...causeChain(thrown)]
  // A token that could not be had, a package that is missing: said already.
  const ours = causes.find(cause => cause instanceof StreamIngestError)
  if (ours !== undefined) return ours
  const inner = causes.at(-1)
  const reason = inner === undefined ? 'unknown' : describe(inner)
  const context = { server }
  if (causes.some(isAuthentication)) {
    const by = mechanism === undefined ? '' : ` (${mechanism})`
    const message = `broker \`${server}\` refused the credentials${by}: ${reason}`
    return new KafkaError('KAFKA_AUTHENTICATION', message, {
      context: { ...context, mechanism },
      cause: thrown,
    })
  }
  const tls = causes.find(cause => TLS_CODE.test(codeOf(cause)) || /TLS/.test(messageOf(cause)))
  if (tls !== undefined) {
    return new KafkaError('KAFKA_TLS', `TLS with broker \`${server}\` failed: ${describe(tls)}`, {
      context,
      cause: thrown,
    })
  }
  return unreachable(server, reason, thrown)
}

/** What the system says of a server to which there is no connection at all. */
const NO_CONNECTION: ReadonlySet<string> = new Set([
  'EADDRNOTAVAIL',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'ETIMEDOUT',
])

/**
 * A server that was reached but did not answer as a broker does: another protocol, or another listener of Kafka.
 * @param reason in place of what the transport says
 * @param mechanism of SASL, where it is in use
 */
export function handshakeError(
  thrown: unknown,
  server: string,
  reason: string | null,
  mechanism?: string,
): StreamIngestError {
  const error = connectionError(thrown, server, mechanism)
  if (!isConnectionFailure(error)) return error
  const causes = [...causeChain(error)]
  if (causes.some(cause => NO_CONNECTION.has(codeOf(cause)))) return error
  const said = reason ?? 'it closed the connection before it answered'
  return new KafkaError('KAFKA_UNREACHABLE', `\`${server}\` does not answer as a Kafka broker: ${said}`, {
    hint: 'check that the port is one of Kafka, and that `kafka.security_protocol` is the one of this listener',
    context: { servers: server },
    cause: thrown,
  })
}

function unreachable(server: string, reason: string, cause: unknown): KafkaError {
  return new KafkaError('KAFKA_UNREACHABLE', `no answer from \`${server}\`: ${reason}`, {
    context: { servers: server },
    cause,
  })
}

/** None of several servers answers; what each of them said is in the message. */
export function noneAnswers(servers: readonly string[], failures: readonly KafkaError[]): KafkaError {
  const said = failures.map(({ message }) => message).join('; ')
  const names = servers.map(server => `\`${server}\``).join(', ')
  return new KafkaError('KAFKA_UNREACHABLE', `none of ${names} answers: ${said}`, {
    context: { servers: servers.join(',') },
    cause: failures.at(-1),
  })
}

/**
 * May the same attempt succeed a little later? A topic that is not found may: brokers learn of a new topic, and after
 * a restart of all of them, one after the other.
 */
export function mayPass(error: unknown): boolean {
  if (!(error instanceof StreamIngestError)) return false
  return error.isRetryable() || error.code === 'KAFKA_TOPIC_NOT_FOUND'
}

/** Is this a failure of the network, so that another connection may do better? */
export function isConnectionFailure(error: unknown): error is KafkaError {
  return error instanceof KafkaError && error.code === 'KAFKA_UNREACHABLE'
}

function isAuthentication(error: unknown): boolean {
  if (codeOf(error) === 'PLT_KFK_AUTHENTICATION') return true
  const name = (error as { apiId?: string }).apiId
  return name === 'SASL_AUTHENTICATION_FAILED' || name === 'UNSUPPORTED_SASL_MECHANISM'
}

/** The error, its causes and, for an aggregate, its first member: outermost first. Bounded, as causes may loop. */
function* causeChain(thrown: unknown): Generator<unknown> {
  const CAUSES_MAX = 10
  let current = thrown
  for (let depth = 0; depth < CAUSES_MAX && current instanceof Error; depth++) {
    yield current
    current = current.cause ?? (current as Partial<AggregateError>).errors?.[0]
  }
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown }).code ?? '')
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function describe(error: unknown): string {
  const detail = (error as { serverErrorMessage?: string | null }).serverErrorMessage
  const code = codeOf(error)
  const text = detail || messageOf(error)
  return code === '' || code.startsWith('PLT_') || text.includes(code) ? text : `${text} (${code})`
}
