/**
 * What a listener speaks, and what a broker says of its cluster: questions of those who look for a fault.
 *
 * @module
 */
import { describeConfigsV4, metadataV12 } from '@platformatic/kafka'
import type { KafkaConfig } from '../config/ingest-config.ts'
import type { KafkaError, StreamIngestError } from '../error.ts'
import { type BrokerAddress, BrokerConnection, createConnectionOptions, parseAddress } from './connection.ts'
import { isConnectionFailure, isNoConnection, otherProtocol } from './connection-failure.ts'
import { noLeader, topicError } from './kafka-failure.ts'
import type { Fetch } from './sasl.ts'

type SecurityProtocol = KafkaConfig['securityProtocol']

/** DescribeConfigs' number for topics. */
const RESOURCE_TOPIC = 2

export interface ListenerProbeOptions {
  readonly fetchUrl: Fetch
  readonly signal: AbortSignal
}

/**
 * Connects to a bootstrap server as the configuration says, and asks for what a client asks first. Where that fails, the
 * listener is asked in the other protocols, so that the error names the one that it speaks.
 *
 * @param config `requestTimeoutMs` bounds each step
 * @throws KafkaError `KAFKA_UNREACHABLE`, `KAFKA_TLS`, `KAFKA_AUTHENTICATION`, `KAFKA_SECURITY_PROTOCOL`,
 *   `KAFKA_BROKER_UNSUPPORTED`; ConfigError where the security settings are incomplete
 */
export async function probeListener(
  server: string,
  config: KafkaConfig,
  { fetchUrl, signal }: ListenerProbeOptions,
): Promise<BrokerConnection> {
  const address = parseAddress(server)
  const options = createConnectionOptions(config, fetchUrl)
  try {
    const connection = await BrokerConnection.open(address, config.clientId, options, signal)
    try {
      connection.assertReadable()
      // A listener that wants SASL lets the question for versions pass, and no other.
      await connection.request(metadataV12.api, [], false, false)
      return connection
    } catch (error) {
      await connection.close()
      throw error
    }
  } catch (error) {
    signal.throwIfAborted()
    if (isNoConnection(error) || !mayBeAnotherProtocol(error)) throw error
    const spoken = await detectProtocol(address, config, signal)
    if (spoken === null || spoken === config.securityProtocol) throw error
    throw otherProtocol(
      `\`${server}\` speaks \`${spoken}\`, and \`kafka.security_protocol\` is \`${config.securityProtocol}\``,
      server,
      `set \`kafka.security_protocol: ${spoken}\`${needs(spoken, config)}, or name the port of another listener`,
      error,
    )
  }
}

function mayBeAnotherProtocol(error: unknown): boolean {
  const { code } = error as StreamIngestError
  return code === 'KAFKA_UNREACHABLE' || code === 'KAFKA_SECURITY_PROTOCOL' || code === 'KAFKA_AUTHENTICATION'
}

function needs(spoken: SecurityProtocol, config: KafkaConfig): string {
  return spoken.startsWith('sasl') && config.sasl === undefined ? ' with `kafka.sasl`' : ''
}

/** Null where it answers in none as a broker does. Tells who is there nothing that is secret. */
async function detectProtocol(
  address: BrokerAddress,
  config: KafkaConfig,
  signal: AbortSignal,
): Promise<SecurityProtocol | null> {
  const timeouts = { connectTimeout: config.requestTimeoutMs, requestTimeout: config.requestTimeoutMs }
  const ask = async (tls: boolean): Promise<SecurityProtocol | null> => {
    // Nothing is said that would need to be kept from anybody, so that any certificate will do.
    const options = { ...timeouts, ...(tls ? { tls: { rejectUnauthorized: false } } : {}) }
    const connection = await BrokerConnection.open(address, config.clientId, options, signal)
    try {
      await connection.request(metadataV12.api, [], false, false)
      return tls ? 'ssl' : 'plaintext'
    } catch (error) {
      if (!isConnectionFailure(error)) throw error
      return tls ? 'sasl_ssl' : 'sasl_plaintext'
    } finally {
      await connection.close()
    }
  }
  const answers = await Promise.allSettled([ask(false), ask(true)])
  const found = answers.find(answer => answer.status === 'fulfilled' && answer.value !== null)
  return found?.status === 'fulfilled' ? found.value : null
}

export interface DescribedTopic {
  readonly name: string
  readonly topicId: string
  readonly partitionCount: number
  /** Partitions that nobody leads. */
  readonly leaderless: readonly number[]
}

export interface ClusterDescription {
  readonly brokers: readonly (BrokerAddress & { readonly nodeId: number })[]
  /** One for each topic that was asked for: what it is, or why that is not known. */
  readonly topics: ReadonlyMap<string, DescribedTopic | KafkaError>
}

/** What one broker says of the cluster and of these topics. */
export async function describeCluster(
  connection: BrokerConnection,
  names: readonly string[],
): Promise<ClusterDescription> {
  const response = await connection.request(metadataV12.api, [...names], false, false)
  const existing = async (): Promise<string[]> => {
    const all = await connection.request(metadataV12.api, null, false, false)
    return all.topics.filter(topic => !topic.isInternal).map(topic => topic.name ?? '')
  }
  const topics = new Map<string, DescribedTopic | KafkaError>()
  for (const { errorCode, name: answered, topicId, partitions } of response.topics) {
    const name = answered ?? ''
    topics.set(
      name,
      errorCode === 0
        ? {
            name,
            topicId,
            partitionCount: partitions.length,
            leaderless: partitions.filter(p => p.leaderId < 0).map(p => p.partitionIndex),
          }
        : await topicError(errorCode, name, existing),
    )
  }
  return { brokers: response.brokers.map(({ nodeId, host, port }) => ({ nodeId, host, port })), topics }
}

/** @throws KafkaError `KAFKA_NO_LEADER` naming the first partition without one */
export function assertLed({ name, leaderless }: DescribedTopic): void {
  const [first] = leaderless
  if (first !== undefined) throw noLeader(name, first)
}

/** `retention.ms` of a topic; null where it keeps everything, undefined where this principal may not ask. */
export async function topicRetentionMs(
  connection: BrokerConnection,
  topic: string,
): Promise<number | null | undefined> {
  // A broker may close the connection at a request that it does not know.
  if (!connection.knows(describeConfigsV4.api)) return undefined
  try {
    const resources = [
      {
        resourceType: RESOURCE_TOPIC,
        resourceName: topic,
        configurationKeys: ['retention.ms', 'cleanup.policy'],
      },
    ] as const
    const response = await connection.request(
      describeConfigsV4.api,
      resources.map(resource => ({ ...resource, configurationKeys: [...resource.configurationKeys] })),
      false,
      false,
    )
    const configs = new Map(response.results[0]?.configs.map(({ name, value }) => [name, value]))
    if (configs.size === 0) return undefined
    const isDeleted = (configs.get('cleanup.policy') ?? 'delete').includes('delete')
    const retentionMs = Number(configs.get('retention.ms') ?? Number.NaN)
    return !isDeleted || retentionMs < 0 ? null : retentionMs
  } catch {
    // Nice to know, and no right that a pipeline needs.
    return undefined
  }
}

/** Connects to a broker where the metadata says that it is. */
export async function probeBroker(
  address: BrokerAddress,
  config: KafkaConfig,
  { fetchUrl, signal }: ListenerProbeOptions,
): Promise<void> {
  const options = createConnectionOptions(config, fetchUrl)
  const connection = await BrokerConnection.open(address, config.clientId, options, signal)
  await connection.close()
}
