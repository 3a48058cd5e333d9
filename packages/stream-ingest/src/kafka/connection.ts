/**
 * One connection to one broker. The only place that touches the transport library's sockets; everything it throws has
 * become an error of ours.
 *
 * @module
 */
import {
  type API,
  apiVersionsV3,
  Connection,
  type ConnectionOptions,
  fetchV13,
  fetchV14,
  fetchV15,
  fetchV16,
  fetchV17,
  listOffsetsV7,
  listOffsetsV8,
  listOffsetsV9,
  metadataV12,
} from '@platformatic/kafka'
import { freeBytes } from '@stream-ingest/delta/column'
import type { KafkaConfig } from '../config/ingest-config.ts'
import { ConfigError, KafkaError } from '../error.ts'
import { connectionError, handshakeError, isTlsFailure } from './connection-failure.ts'
import { type FetchResponse, parseFetchResponse } from './fetch-response.ts'
import { Leases } from './leases.ts'
import { createSaslOptions, type Fetch } from './sasl.ts'

export interface BrokerAddress {
  readonly host: string
  readonly port: number
}

export function formatAddress(address: BrokerAddress): string {
  return `${address.host}:${address.port}`
}

/** `host:port`, `[::1]:9092`; the port is 9092 where it is missing. */
export function parseAddress(server: string): BrokerAddress {
  const match = /^\[?(?<host>[^\]]*?)\]?(?::(?<port>\d+))?$/.exec(server)
  return { host: match?.groups?.host ?? server, port: Number(match?.groups?.port ?? 9092) }
}

/** Connecting, TLS, authentication and the first answer together take no longer, whatever the request timeout. */
const CONNECT_TIMEOUT_MAX_MS = 10_000

const CLIENT_SOFTWARE = 'stream-ingest'
const CLIENT_SOFTWARE_VERSION = '1'

/** One topic partition of a Fetch request. */
export interface FetchTarget {
  readonly topicId: string
  readonly partition: number
  readonly leaderEpoch: number
  readonly fetchOffset: bigint
  readonly maxBytes: number
}

export interface FetchRequest {
  readonly maxWaitMs: number
  readonly minBytes: number
  readonly maxBytes: number
  readonly isReadCommitted: boolean
  /** The broker fills the response in this order. */
  readonly targets: readonly FetchTarget[]
}

/** A response, and who reads the memory that its records are views of. */
export interface LeasedFetchResponse extends FetchResponse {
  readonly memory: Leases
}

/** Newest first. 13 is the first that names topics by id (Kafka 3.1). */
const FETCH_VERSIONS = [fetchV17, fetchV16, fetchV15, fetchV14, fetchV13] as const
export const LIST_OFFSETS_VERSIONS = [listOffsetsV9, listOffsetsV8, listOffsetsV7] as const

/**
 * The library's options for a configuration.
 * @throws ConfigError `CONFIG_INVALID` where security settings contradict each other
 */
export function createConnectionOptions(config: KafkaConfig, fetchUrl: Fetch): ConnectionOptions {
  const options: ConnectionOptions = {
    connectTimeout: connectTimeoutMs(config),
    requestTimeout: config.requestTimeoutMs,
  }
  const { securityProtocol, sasl, ssl } = config
  if (securityProtocol === 'sasl_plaintext' || securityProtocol === 'sasl_ssl') {
    if (sasl === undefined) {
      throw new ConfigError(
        'CONFIG_INVALID',
        `\`kafka.security_protocol: ${securityProtocol}\` needs \`kafka.sasl\``,
        {
          hint: 'add `kafka.sasl`',
        },
      )
    }
    options.sasl = createSaslOptions(sasl, fetchUrl)
  }
  if (securityProtocol === 'ssl' || securityProtocol === 'sasl_ssl') {
    options.tls = {
      rejectUnauthorized: ssl?.rejectUnauthorized ?? true,
      ...(ssl?.ca === undefined ? {} : { ca: ssl.ca }),
      ...(ssl?.cert === undefined ? {} : { cert: ssl.cert }),
      ...(ssl?.key === undefined ? {} : { key: ssl.key.reveal() }),
      ...(ssl?.keyPassphrase === undefined ? {} : { passphrase: ssl.keyPassphrase.reveal() }),
    }
    if (ssl?.serverName !== undefined) options.tlsServerName = ssl.serverName
  }
  return options
}

/** How long a server may take until it has answered for the first time. */
export function connectTimeoutMs({ requestTimeoutMs }: Pick<KafkaConfig, 'requestTimeoutMs'>): number {
  return Math.min(requestTimeoutMs, CONNECT_TIMEOUT_MAX_MS)
}

/** An open connection; once broken it stays broken. */
export class BrokerConnection {
  readonly address: BrokerAddress
  private readonly connection: Connection
  private readonly versions = new Map<number, { readonly min: number; readonly max: number }>()

  private constructor(address: BrokerAddress, connection: Connection) {
    this.address = address
    this.connection = connection
  }

  /**
   * Connects, authenticates and asks which API versions the broker knows.
   * @throws KafkaError `KAFKA_UNREACHABLE`, `KAFKA_TLS`, `KAFKA_AUTHENTICATION`, `KAFKA_SECURITY_PROTOCOL`
   */
  static async open(
    address: BrokerAddress,
    clientId: string,
    options: ConnectionOptions,
    signal: AbortSignal,
  ): Promise<BrokerConnection> {
    signal.throwIfAborted()
    const connection = new Connection(clientId, options)
    const broker = new BrokerConnection(address, connection)
    // Without a listener a late socket error would end the process; requests learn of it through their own callback.
    let broken: unknown
    connection.on('error', error => {
      broken ??= error
    })
    const onAbort = (): void => {
      void broker.close()
    }
    // A server that speaks another protocol may accept the connection and then say nothing, or nothing of use.
    const timeoutMs = options.connectTimeout ?? CONNECT_TIMEOUT_MAX_MS
    const timeout = AbortSignal.timeout(timeoutMs)
    const ended = AbortSignal.any([signal, timeout])
    ended.addEventListener('abort', onAbort, { once: true })
    try {
      await connection.connect(address.host, address.port)
      const response = await broker.request(apiVersionsV3.api, CLIENT_SOFTWARE, CLIENT_SOFTWARE_VERSION)
      for (const api of response.apiKeys) {
        broker.versions.set(api.apiKey, { min: api.minVersion, max: api.maxVersion })
      }
      return broker
    } catch (error) {
      await broker.close()
      const reason = timeout.aborted ? `no answer within ${timeoutMs} ms` : null
      // A server that does not like the certificate of this client says so after its own part of the handshake.
      const thrown = isTlsFailure(broken) ? broken : error
      throw handshakeError(thrown, formatAddress(address), reason, options.sasl?.mechanism)
    } finally {
      ended.removeEventListener('abort', onAbort)
    }
  }

  get isOpen(): boolean {
    const { status } = this.connection
    return status === 'connected' || status === 'reauthenticating'
  }

  /**
   * Sends one request. Error codes inside the response are left to the caller.
   * @throws KafkaError `KAFKA_UNREACHABLE` where the connection breaks or the answer does not come in time
   */
  async request<Arguments extends unknown[], Response>(
    api: API<Arguments, Response>,
    ...args: Arguments
  ): Promise<Response> {
    try {
      return await api.async(this.connection, ...args)
    } catch (error) {
      const response = responseOf<Response>(error)
      if (response !== undefined) return response
      throw connectionError(error, formatAddress(this.address))
    }
  }

  /** Fetches; the batches in the response are views of one buffer, which holds nothing else. */
  async fetch(request: FetchRequest): Promise<LeasedFetchResponse> {
    const fetch = this.newest(FETCH_VERSIONS.map(version => version.api))
    const { createRequest } = FETCH_VERSIONS.find(version => version.api === fetch)!
    const topics = groupTargets(request)
    const isolation = request.isReadCommitted ? 1 : 0
    // Without a session (id 0, epoch −1): each request says everything, and nothing is left to go stale.
    const body = () =>
      createRequest(request.maxWaitMs, request.minBytes, request.maxBytes, isolation, 0, -1, topics, [], '')
    let received: readonly Buffer[] = []
    return new Promise((resolve, reject) => {
      this.connection.send<LeasedFetchResponse>(
        fetch.key,
        fetch.version,
        body,
        (_correlationId, _key, _version, reader) => {
          received = reader.buffer.buffers
          const bytes = joinBytes(received, reader.buffer.length)
          const response = parseFetchResponse(bytes.subarray(reader.position))
          return { ...response, memory: new Leases(() => freeBytes(bytes)) }
        },
        true,
        true,
        (error, response) => {
          // Not while it is parsed: until then the library measures by them how far it is.
          for (const bytes of received) freeBytes(bytes)
          if (error) reject(connectionError(error, formatAddress(this.address)))
          else resolve(response!)
        },
      )
    })
  }

  /** Does the broker know this version of the API? */
  knows({ key, version }: { readonly key: number; readonly version: number }): boolean {
    const known = this.versions.get(key)
    return known !== undefined && version >= known.min && version <= known.max
  }

  /**
   * The newest of these versions of one API that the broker knows.
   * @throws KafkaError `KAFKA_BROKER_UNSUPPORTED` where it knows none
   */
  newest<Candidate extends { readonly key: number; readonly version: number }>(
    candidates: readonly [Candidate, ...Candidate[]] | readonly Candidate[],
  ): Candidate {
    const found = candidates.find(candidate => this.knows(candidate))
    if (found !== undefined) return found
    const known = this.versions.get(candidates[0]!.key)
    const wanted = candidates.map(({ version }) => version).join(', ')
    const offered = known === undefined ? 'not at all' : `in versions ${known.min} to ${known.max}`
    throw new KafkaError(
      'KAFKA_BROKER_UNSUPPORTED',
      `broker \`${formatAddress(this.address)}\` speaks API ${candidates[0]!.key} ${offered}; needed is one of ${wanted}`,
    )
  }

  /**
   * Does the broker know all that reading a topic needs?
   * @throws KafkaError `KAFKA_BROKER_UNSUPPORTED`
   */
  assertReadable(): void {
    this.newest(FETCH_VERSIONS.map(version => version.api))
    this.newest(LIST_OFFSETS_VERSIONS.map(version => version.api))
    this.newest([metadataV12.api])
  }

  /** Ends the connection; whatever waits on it is rejected. Leaves neither socket nor timer. */
  async close(): Promise<void> {
    const { connection } = this
    const closed = connection.close().catch(() => {})
    connection.socket?.destroy()
    await closed
  }
}

/** A copy in memory of its own. */
function joinBytes(parts: readonly Buffer[], sizeBytes: number): Buffer {
  const joined = Buffer.allocUnsafeSlow(sizeBytes)
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}

/** The library throws where any code in a response is not zero, and attaches the response. */
function responseOf<Response>(error: unknown): Response | undefined {
  const { code, response } = error as { code?: unknown; response?: Response }
  return code === 'PLT_KFK_RESPONSE' ? response : undefined
}

interface FetchTopic {
  readonly topicId: string
  readonly partitions: {
    partition: number
    currentLeaderEpoch: number
    fetchOffset: bigint
    lastFetchedEpoch: number
    partitionMaxBytes: number
  }[]
}

function groupTargets(request: FetchRequest): FetchTopic[] {
  const topics = new Map<string, FetchTopic>()
  for (const target of request.targets) {
    let topic = topics.get(target.topicId)
    if (topic === undefined) {
      topic = { topicId: target.topicId, partitions: [] }
      topics.set(target.topicId, topic)
    }
    topic.partitions.push({
      partition: target.partition,
      currentLeaderEpoch: target.leaderEpoch,
      fetchOffset: target.fetchOffset,
      lastFetchedEpoch: -1,
      partitionMaxBytes: target.maxBytes,
    })
  }
  return [...topics.values()]
}
