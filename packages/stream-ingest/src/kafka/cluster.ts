/**
 * The brokers of one cluster: who leads what, connections to them, and the requests that are not Fetch.
 *
 * @module
 */
import { metadataV12 } from '@platformatic/kafka'
import type { KafkaConfig } from '../config/ingest-config.ts'
import { KafkaError } from '../error.ts'
import {
  type BrokerAddress,
  BrokerConnection,
  createConnectionOptions,
  formatAddress,
  LIST_OFFSETS_VERSIONS,
  parseAddress,
} from './connection.ts'
import { isConnectionFailure, noneAnswers, unreachableAsAdvertised } from './connection-failure.ts'
import { mayPass, noLeader, protocolError, topicError } from './kafka-failure.ts'
import type { TopicPartition } from './message-source.ts'
import { backoffMs, type KafkaRuntime, type RetryPolicy } from './retry.ts'
import type { Fetch } from './sasl.ts'

export interface PartitionMetadata {
  readonly partition: number
  /** −1 where none is elected. */
  readonly leaderId: number
  readonly leaderEpoch: number
  readonly replicaIds: readonly number[]
  readonly inSyncReplicaIds: readonly number[]
}

export interface TopicMetadata {
  readonly name: string
  readonly topicId: string
  readonly partitions: readonly PartitionMetadata[]
}

/** What ListOffsets says of one partition. */
export interface ListedOffset {
  readonly offset: bigint
  /** Of the record at the offset, where one was looked for; −1 where there is none. */
  readonly timestamp: bigint
}

/** Timestamps of ListOffsets that mean a position. */
export const LATEST_TIMESTAMP = -1n
export const EARLIEST_TIMESTAMP = -2n
/** The record with the newest timestamp (KIP-734). */
export const NEWEST_TIMESTAMP = -3n

const NO_TOPIC_ID = '00000000-0000-0000-0000-000000000000'
/** Somebody waits for the answer: not as long as for data. About five seconds by default. */
const REQUEST_ATTEMPTS_MAX = 8
type Purpose = 'control' | 'fetch'

export interface ClusterOptions {
  readonly runtime: KafkaRuntime
  readonly retry: RetryPolicy
  readonly fetchUrl: Fetch
  readonly observer?: KafkaObserver
}

/** Who is told of requests. Its functions must not throw. */
export interface KafkaObserver {
  /** A Fetch was answered; the time includes the broker's wait for messages. */
  fetched?(fetch: { readonly durationMs: number; readonly sizeBytes: number }): void
  /** A request failed for a reason that may pass, and is repeated. */
  retried?(error: unknown): void
}

export class KafkaCluster {
  private readonly config: KafkaConfig
  private readonly options: ClusterOptions
  private readonly connectionOptions: ReturnType<typeof createConnectionOptions>
  private readonly closing = new AbortController()
  /** Connections by purpose and server: a Fetch that waits at the broker holds up all that follows on its connection. */
  private readonly connections = new Map<string, Promise<BrokerConnection>>()
  private brokers = new Map<number, BrokerAddress>()
  private topics = new Map<string, TopicMetadata>()
  private refreshing: Promise<void> | null = null

  /** @throws ConfigError where the security settings are incomplete */
  constructor(config: KafkaConfig, options: ClusterOptions) {
    this.config = config
    this.options = options
    this.connectionOptions = createConnectionOptions(config, options.fetchUrl)
  }

  /** Aborts when the cluster closes. */
  get signal(): AbortSignal {
    return this.closing.signal
  }

  /** The configured topics as of the last refresh. */
  topic(name: string): TopicMetadata | undefined {
    return this.topics.get(name)
  }

  leaderOf(target: TopicPartition): PartitionMetadata | undefined {
    return this.topics.get(target.topic)?.partitions.find(({ partition }) => partition === target.partition)
  }

  isKnownBroker(nodeId: number): boolean {
    return this.brokers.has(nodeId)
  }

  /** Where a broker says that it is. */
  brokerAddress(nodeId: number): BrokerAddress | undefined {
    return this.brokers.get(nodeId)
  }

  /**
   * Asks who leads what; calls at the same time share one request.
   * @throws KafkaError `KAFKA_UNREACHABLE`, `KAFKA_TOPIC_NOT_FOUND`, `KAFKA_AUTHORIZATION`, …
   */
  async refresh(): Promise<void> {
    this.refreshing ??= this.loadMetadata().finally(() => {
      this.refreshing = null
    })
    await this.refreshing
  }

  /** Runs `attempt` until it succeeds, fails for good, or the policy's patience ends; metadata is refreshed in between. */
  async retrying<Result>(
    attempt: () => Promise<Result>,
    attemptsMax = REQUEST_ATTEMPTS_MAX,
    elapsedMaxMs = Number.POSITIVE_INFINITY,
  ): Promise<Result> {
    const { runtime } = this.options
    const startedMs = runtime.now()
    const patience = Math.min(attemptsMax, this.options.retry.attemptsMax)
    for (let failures = 1; ; failures++) {
      try {
        if (failures > 1) await this.refresh()
        return await attempt()
      } catch (error) {
        this.signal.throwIfAborted()
        if (!mayPass(error) || failures >= patience) throw error
        if (runtime.now() - startedMs >= elapsedMaxMs) throw error
        this.options.observer?.retried?.(error)
        await this.backoff(failures)
      }
    }
  }

  async backoff(failures: number): Promise<void> {
    const { runtime, retry } = this.options
    await runtime.delay(backoffMs(retry, failures, runtime.random), this.signal)
  }

  /**
   * The connection to a broker, opened where there is none.
   * @throws KafkaError `KAFKA_UNREACHABLE` …
   */
  async connectionTo(nodeId: number, purpose: Purpose): Promise<BrokerConnection> {
    const address = this.brokers.get(nodeId)
    if (address === undefined) {
      throw new KafkaError('KAFKA_UNREACHABLE', `broker ${nodeId} is not in the cluster's metadata`)
    }
    try {
      return await this.connect(address, purpose)
    } catch (error) {
      // The address is the broker's own word, and in no configuration of ours.
      throw isConnectionFailure(error)
        ? unreachableAsAdvertised(error, nodeId, formatAddress(address))
        : error
    }
  }

  /** Names of all topics that this principal may see. */
  async listTopics(): Promise<string[]> {
    const connection = await this.anyConnection()
    const response = await connection.request(metadataV12.api, null, false, false)
    return response.topics.filter(topic => !topic.isInternal).map(topic => topic.name ?? '')
  }

  /**
   * ListOffsets: the offset of each partition for a timestamp or position; −1 where no record is that young.
   * @throws KafkaError
   */
  async listOffsets(
    targets: readonly TopicPartition[],
    timestamp: bigint,
    isReadCommitted: boolean,
  ): Promise<Map<TopicPartition, bigint>> {
    const listed = await this.listTimestampedOffsets(targets, timestamp, isReadCommitted)
    return new Map([...listed].map(([target, { offset }]) => [target, offset]))
  }

  /** As {@link listOffsets}, with the timestamp of the record that was found. */
  async listTimestampedOffsets(
    targets: readonly TopicPartition[],
    timestamp: bigint,
    isReadCommitted: boolean,
  ): Promise<Map<TopicPartition, ListedOffset>> {
    return this.retrying(async () => {
      const offsets = new Map<TopicPartition, ListedOffset>()
      const byLeader = Map.groupBy(targets, target => this.leaderOf(target)?.leaderId ?? -1)
      const ask = async ([leaderId, group]: [number, TopicPartition[]]): Promise<void> => {
        if (leaderId < 0) throw noLeader(group[0]!.topic, group[0]!.partition)
        const connection = await this.connectionTo(leaderId, 'control')
        const found = await this.askOffsets(connection, group, timestamp, isReadCommitted)
        for (const [target, listed] of found) offsets.set(target, listed)
      }
      await Promise.all([...byLeader].map(ask))
      return offsets
    })
  }

  /** Ends all connections and waits; afterwards nothing of this cluster runs. */
  async close(): Promise<void> {
    this.closing.abort(
      new KafkaError('KAFKA_UNREACHABLE', 'the Kafka client is closed', { retryable: false }),
    )
    const connections = [...this.connections.values()]
    this.connections.clear()
    await Promise.all(
      connections.map(opening =>
        opening.then(
          connection => connection.close(),
          () => {},
        ),
      ),
    )
    await this.refreshing?.catch(() => {})
  }

  private async askOffsets(
    connection: BrokerConnection,
    targets: readonly TopicPartition[],
    timestamp: bigint,
    isReadCommitted: boolean,
  ): Promise<Map<TopicPartition, ListedOffset>> {
    const topics = [...Map.groupBy(targets, target => target.topic)].map(([name, group]) => ({
      name,
      partitions: group.map(target => ({
        partitionIndex: target.partition,
        currentLeaderEpoch: this.leaderOf(target)?.leaderEpoch ?? -1,
        timestamp,
      })),
    }))
    const api = connection.newest(LIST_OFFSETS_VERSIONS.map(version => version.api))
    const response = await connection.request(api, -1, isReadCommitted ? 1 : 0, topics)
    const offsets = new Map<TopicPartition, ListedOffset>()
    for (const target of targets) {
      const topic = response.topics.find(({ name }) => name === target.topic)
      const found = topic?.partitions.find(({ partitionIndex }) => partitionIndex === target.partition)
      const errorCode = found?.errorCode ?? -1
      if (found === undefined || errorCode !== 0) {
        const right = { operation: 'Describe', resource: 'topic', name: target.topic } as const
        throw protocolError(errorCode, `\`${target.topic}-${target.partition}\``, right)
      }
      offsets.set(target, { offset: found.offset, timestamp: found.timestamp })
    }
    return offsets
  }

  private async loadMetadata(): Promise<void> {
    const connection = await this.anyConnection()
    const wanted = [...this.config.topics]
    const response = await connection
      .request(metadataV12.api, wanted, false, false)
      .catch((error: unknown) => {
        throw this.brokers.size === 0 ? refusedAtOnce(connection, error) : error
      })
    const brokers = new Map(response.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]))
    const topics = new Map<string, TopicMetadata>()
    for (const { errorCode, name, topicId, partitions } of response.topics) {
      if (errorCode !== 0) throw await topicError(errorCode, name ?? '', () => this.listTopics())
      if (topicId === NO_TOPIC_ID) {
        throw new KafkaError('KAFKA_BROKER_UNSUPPORTED', `the broker gives topic \`${name}\` no id`)
      }
      const byNumber = partitions
        .map(({ partitionIndex, leaderId, leaderEpoch, replicaNodes, isrNodes }) => ({
          partition: partitionIndex,
          leaderId,
          leaderEpoch,
          replicaIds: replicaNodes,
          inSyncReplicaIds: isrNodes,
        }))
        .sort((left, right) => left.partition - right.partition)
      topics.set(name!, { name: name!, topicId, partitions: byNumber })
    }
    // A broker that answers and names no other is one that starts: what was known is better than nothing.
    if (brokers.size > 0) this.brokers = brokers
    this.topics = topics
  }

  /** Any broker that answers: open connections first, then the known brokers, then the bootstrap servers. */
  async anyConnection(): Promise<BrokerConnection> {
    const candidates = new Map<string, BrokerAddress>()
    for (const address of this.brokers.values()) candidates.set(formatAddress(address), address)
    for (const server of this.config.bootstrapServers) candidates.set(server, parseAddress(server))
    const isConnected = (server: string) => Number(this.connections.has(`control ${server}`))
    const ordered = [...candidates].sort(([left], [right]) => isConnected(right) - isConnected(left))
    const failures: KafkaError[] = []
    for (const [, address] of ordered) {
      try {
        return await this.connect(address, 'control')
      } catch (error) {
        this.signal.throwIfAborted()
        if (!isConnectionFailure(error)) throw error
        failures.push(error)
      }
    }
    const servers = ordered.map(([server]) => server)
    throw servers.length === 1 ? failures[0] : noneAnswers(servers, failures)
  }

  /** The connection for a purpose, opened where there is none. */
  connect(address: BrokerAddress, purpose: Purpose): Promise<BrokerConnection> {
    const key = `${purpose} ${formatAddress(address)}`
    const existing = this.connections.get(key)
    if (existing !== undefined) return this.usable(key, existing, address, purpose)
    return this.openConnection(key, address, purpose)
  }

  private async usable(
    key: string,
    opening: Promise<BrokerConnection>,
    address: BrokerAddress,
    purpose: Purpose,
  ): Promise<BrokerConnection> {
    const connection = await opening
    if (connection.isOpen) return connection
    if (this.connections.get(key) === opening) this.connections.delete(key)
    await connection.close()
    return this.connections.get(key) ?? this.openConnection(key, address, purpose)
  }

  private openConnection(key: string, address: BrokerAddress, purpose: Purpose): Promise<BrokerConnection> {
    // A Fetch waits at the broker before its answer is due.
    const waitMs = purpose === 'fetch' ? this.config.fetchMaxWaitMs : 0
    const options = { ...this.connectionOptions, requestTimeout: this.config.requestTimeoutMs + waitMs }
    const opening = BrokerConnection.open(address, this.config.clientId, options, this.signal)
    this.connections.set(key, opening)
    opening.catch(() => {
      if (this.connections.get(key) === opening) this.connections.delete(key)
    })
    return opening
  }
}

/** A listener that wants SASL accepts the connection and closes it at the first request that needs more. */
function refusedAtOnce(connection: BrokerConnection, error: unknown): unknown {
  if (!isConnectionFailure(error)) return error
  const server = formatAddress(connection.address)
  return new KafkaError(
    'KAFKA_UNREACHABLE',
    `broker \`${server}\` closed the connection at the first request`,
    {
      hint: 'check `kafka.security_protocol`: this listener may want SASL',
      context: { servers: server },
      cause: error,
    },
  )
}
