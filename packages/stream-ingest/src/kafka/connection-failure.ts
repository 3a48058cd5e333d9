/**
 * Connections that could not be made, or were lost: what the system, TLS or SASL says, as errors of ours, each with what
 * to do about it and whether the same attempt may succeed later.
 *
 * @module
 */
import { KafkaError, StreamIngestError } from '../error.ts'

/** Node's and OpenSSL's codes of a handshake that failed for good. */
const TLS_CODE =
  /^(ERR_TLS_|ERR_SSL_|ERR_OSSL|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO$)/

/** What to do by the code of a failed handshake; the first pattern that fits counts. */
const TLS_HINTS: readonly (readonly [pattern: RegExp, hint: string])[] = [
  [
    /^CERT_HAS_EXPIRED$/,
    'renew the broker’s certificate; where it is still valid, the clock of this machine is wrong',
  ],
  [/^CERT_NOT_YET_VALID$/, 'check the clock of this machine, and from when on the certificate is valid'],
  [
    /ALTNAME|HOSTNAME_MISMATCH/,
    'use a name in `kafka.bootstrap_servers` that the certificate is for, or set it as `kafka.ssl.server_name`',
  ],
  [
    /^(SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_)/,
    'put the certificate of the authority that signed the broker’s (PEM, or its file) into `kafka.ssl.ca`',
  ],
  [
    /ALERT_(CERTIFICATE_REQUIRED|BAD_CERTIFICATE|HANDSHAKE_FAILURE|UNKNOWN_CA|CERTIFICATE_)/,
    'the listener wants a certificate of this client that it trusts: set `kafka.ssl.cert` and `kafka.ssl.key`',
  ],
  [/WRONG_VERSION_NUMBER|PACKET_LENGTH/, 'this port does not speak TLS: check `kafka.security_protocol`'],
]

/** What the transport library says of a server that answers a request with a record of TLS. */
const REQUIRES_TLS = /Broker requires TLS/
/** What Node says of a server that hangs up in the middle of a handshake. */
const HANDSHAKE_CUT = /before secure TLS connection was established/

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
  if (causes.some(cause => REQUIRES_TLS.test(messageOf(cause)))) {
    const hint = 'set `kafka.security_protocol` to `ssl` or `sasl_ssl`'
    return otherProtocol(`\`${server}\` speaks TLS, and was not spoken to so`, server, hint, thrown)
  }
  const refusal = authenticationError(causes, server, mechanism)
  if (refusal !== null) return refusal
  const inner = causes.at(-1)
  const reason = inner === undefined ? 'unknown' : describe(inner)
  // A broker that goes down does the same as one that does not speak TLS: another attempt may do better.
  if (causes.some(cause => HANDSHAKE_CUT.test(messageOf(cause)))) {
    return unreachable(server, 'it ended the TLS handshake', thrown, {
      hint: 'check that `kafka.security_protocol` is the one of this listener: one without TLS does that, and a broker that is starting',
    })
  }
  const tls = causes.find(cause => TLS_CODE.test(codeOf(cause)))
  if (tls !== undefined) {
    const hint = TLS_HINTS.find(([pattern]) => pattern.test(codeOf(tls)))?.[1]
    return new KafkaError('KAFKA_TLS', `TLS with broker \`${server}\` failed: ${describe(tls)}`, {
      ...(hint === undefined ? {} : { hint }),
      context: { server, tlsCode: codeOf(tls) },
      cause: thrown,
    })
  }
  return unreachable(server, reason, thrown, hintOfSystem(causes))
}

/** Does OpenSSL or Node say of this that a handshake failed for good? */
export function isTlsFailure(error: unknown): boolean {
  return [...causeChain(error)].some(cause => TLS_CODE.test(codeOf(cause)))
}

/** Null where the broker did not judge who this is: a connection that breaks meanwhile is no judgement. */
function authenticationError(
  causes: readonly unknown[],
  server: string,
  mechanism: string | undefined,
): KafkaError | null {
  const names = causes.map(cause => (cause as { apiId?: string }).apiId)
  const isJudged = names.some(name => name !== undefined && SASL_ERRORS.has(name))
  const isFailed = causes.some(cause => codeOf(cause) === 'PLT_KFK_AUTHENTICATION')
  const isCut = ['PLT_KFK_NETWORK', 'PLT_KFK_TIMEOUT'].includes(codeOf(causes.at(-1)))
  const isSystem = causes.some(cause => /^E[A-Z]+$/.test(codeOf(cause)))
  if (!isJudged && (!isFailed || isCut || isSystem)) return null
  const reason = describe(causes.at(-1))
  if (names.includes('ILLEGAL_SASL_STATE')) {
    return otherProtocol(
      `broker \`${server}\` has no SASL on this listener: ${reason}`,
      server,
      'set `kafka.security_protocol` to `plaintext`, with TLS to `ssl`, or name a listener with SASL in `kafka.bootstrap_servers`',
      causes[0],
    )
  }
  const by = mechanism === undefined ? '' : ` (${mechanism})`
  const offered = mechanismsOffered(causes)
  const isUnsupported = names.includes('UNSUPPORTED_SASL_MECHANISM')
  const hint = isUnsupported
    ? `set \`kafka.sasl.mechanism\` to one that the listener offers${offered === null ? '' : `: ${offered}`}`
    : names.includes('SASL_AUTHENTICATION_FAILED')
      ? 'check the name and the secret in `kafka.sasl`, and that this user exists for the mechanism'
      : 'check `kafka.security_protocol` and `kafka.sasl`'
  return new KafkaError(
    'KAFKA_AUTHENTICATION',
    `broker \`${server}\` refused the credentials${by}: ${reason}`,
    { hint, context: { server, mechanism }, cause: causes[0] },
  )
}

const SASL_ERRORS: ReadonlySet<string> = new Set([
  'SASL_AUTHENTICATION_FAILED',
  'UNSUPPORTED_SASL_MECHANISM',
  'ILLEGAL_SASL_STATE',
])

/** A broker that refuses a mechanism lists those that it takes. */
function mechanismsOffered(causes: readonly unknown[]): string | null {
  for (const cause of causes) {
    const { response } = cause as { response?: { mechanisms?: unknown } | null }
    const mechanisms = response?.mechanisms
    if (Array.isArray(mechanisms) && mechanisms.length > 0) {
      return mechanisms.map(name => `\`${String(name).toLowerCase()}\``).join(', ')
    }
  }
  return null
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

/** What to do by the system's code, where it is more than the usual. */
const SYSTEM_HINTS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'the name has no address: correct it in `kafka.bootstrap_servers`, or check the name server',
  EAI_AGAIN: 'the name server does not answer: check it, and the name in `kafka.bootstrap_servers`',
  EHOSTUNREACH: 'no route leads there: check the network and `kafka.bootstrap_servers`',
  ENETUNREACH: 'no route leads there: check the network and `kafka.bootstrap_servers`',
}

function hintOfSystem(causes: readonly unknown[]): { hint?: string } {
  for (const cause of causes) {
    const hint = SYSTEM_HINTS[codeOf(cause)]
    if (hint !== undefined) return { hint }
  }
  return {}
}

/** Is there not even a connection, so that nothing more can be asked there? */
export function isNoConnection(error: unknown): boolean {
  return [...causeChain(error)].some(cause => NO_CONNECTION.has(codeOf(cause)))
}

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
  if (!isConnectionFailure(error) || isNoConnection(error)) return error
  if ([...causeChain(error)].some(cause => HANDSHAKE_CUT.test(messageOf(cause)))) return error
  const said = reason ?? 'it closed the connection before it answered'
  return new KafkaError('KAFKA_UNREACHABLE', `\`${server}\` does not answer as a Kafka broker: ${said}`, {
    hint: 'check that the port is one of Kafka, and that `kafka.security_protocol` is the one of this listener',
    context: { servers: server },
    cause: thrown,
  })
}

function unreachable(
  server: string,
  reason: string,
  cause: unknown,
  options: { hint?: string } = {},
): KafkaError {
  return new KafkaError('KAFKA_UNREACHABLE', `no answer from \`${server}\`: ${reason}`, {
    ...options,
    context: { servers: server },
    cause,
  })
}

/** What to do about an address that a broker names, and that leads nowhere. */
export const ADVERTISED_HINT =
  'set `advertised.listeners` of the broker to an address that clients on this machine can resolve and reach; where it is right, start the broker or open the network'

/** A broker that was found in the metadata, and is not where it says it is. */
export function unreachableAsAdvertised(error: KafkaError, nodeId: number, address: string): KafkaError {
  return new KafkaError('KAFKA_UNREACHABLE', `broker ${nodeId}: ${error.message}`, {
    hint: ADVERTISED_HINT,
    context: { ...error.context, nodeId, address },
    cause: error.cause,
  })
}

/** The listener speaks another security protocol than the configuration. */
export function otherProtocol(message: string, server: string, hint: string, cause: unknown): KafkaError {
  return new KafkaError('KAFKA_SECURITY_PROTOCOL', message, { hint, context: { server }, cause })
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

/** Is this a failure of the network, so that another connection may do better? */
export function isConnectionFailure(error: unknown): error is KafkaError {
  return error instanceof KafkaError && error.code === 'KAFKA_UNREACHABLE'
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
  return String((error as { code?: unknown } | undefined)?.code ?? '')
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
