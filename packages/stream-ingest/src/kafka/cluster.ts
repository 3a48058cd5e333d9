/**
 * The brokers of one cluster: who leads what, connections to them, and the requests that are not Fetch.
 *
 * @module
 */
import {
  findCoordinatorV4,
  listOffsetsV7,
  listOffsetsV8,
  listOffsetsV9,
  metadataV12,
  offsetCommitV8,
  offsetFetchV8,
} from '@platformatic/kafka'
import type { KafkaConfig } from '../config/ingest-config.ts'
import { KafkaError } from '../error.ts'
import {
  type BrokerAddress,
  BrokerConnection,
  createConnectionOptions,
  formatAddress,
  parseAddress,
} from './connection.ts'
import { isConnectionFailure, mayPass, protocolError, unreachable } from './kafka-failure.ts'
import type { TopicPartition } from './message-source.ts'
import { backoffMs, type KafkaRuntime, type RetryPolicy } from './retry.ts'
import type { Fetch } from './sasl.ts'
import { suggestTopic } from './topic-suggestion.ts'

export interface PartitionMetadata {
  readonly partition: number
  /** −1 where none is elected. */
  readonly leaderId: number
  readonly leaderEpoch: number
}

export interface TopicMetadata {
  readonly name: string
  readonly topicId: string
  readonly partitions: readonly PartitionMetadata[]
}

/** Timestamps of ListOffsets that mean a position. */
export const LATEST_TIMESTAMP = -1n
export const EARLIEST_TIMESTAMP = -2n

const NO_TOPIC_ID = '00000000-0000-0000-0000-000000000000'
const GROUP_COORDINATOR = 0
/** Advisory: the caller is not to wait for it long. */
const GROUP_COMMIT_ATTEMPTS_MAX = 6
/** A commit by no member: accepted while the group has none. */
const NO_GENERATION = -1

type Purpose = 'control' | 'fetch'

export interface ClusterOptions {
  readonly runtime: KafkaRuntime
  readonly retry: RetryPolicy
  readonly fetchUrl: Fetch
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
    attemptsMax = this.options.retry.attemptsMax,
  ): Promise<Result> {
    for (let failures = 1; ; failures++) {
      try {
        if (failures > 1) await this.refresh()
        return await attempt()
      } catch (error) {
        this.signal.throwIfAborted()
        if (!mayPass(error) || failures >= attemptsMax) throw error
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
    return this.connect(address, purpose)
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
    return this.retrying(async () => {
      const offsets = new Map<TopicPartition, bigint>()
      const byLeader = Map.groupBy(targets, target => this.leaderOf(target)?.leaderId ?? -1)
      const ask = async ([leaderId, group]: [number, TopicPartition[]]): Promise<void> => {
        const place = `\`${group[0]!.topic}-${group[0]!.partition}\``
        if (leaderId < 0) throw new KafkaError('KAFKA_PROTOCOL', `${place} has no leader`)
        const connection = await this.connectionTo(leaderId, 'control')
        const found = await this.askOffsets(connection, group, timestamp, isReadCommitted)
        for (const [target, offset] of found) offsets.set(target, offset)
      }
      await Promise.all([...byLeader].map(ask))
      return offsets
    })
  }

  /** The group's committed offsets; partitions without one are missing from the answer. */
  async fetchGroupOffsets(
    groupId: string,
    targets: readonly TopicPartition[],
  ): Promise<Map<TopicPartition, bigint>> {
    return this.retrying(async () => {
      const connection = await this.coordinator(groupId)
      const topics = [...Map.groupBy(targets, target => target.topic)].map(([name, group]) => ({
        name,
        partitionIndexes: group.map(target => target.partition),
      }))
      const response = await connection.request(
        offsetFetchV8.api,
        [{ groupId, memberEpoch: NO_GENERATION, topics }],
        true,
      )
      const group = response.groups[0]
      const right = { operation: 'Describe', resource: 'group', name: groupId } as const
      if (group === undefined || group.errorCode !== 0) {
        throw protocolError(group?.errorCode ?? -1, `group \`${groupId}\``, right)
      }
      const offsets = new Map<TopicPartition, bigint>()
      for (const target of targets) {
        const topic = group.topics.find(({ name }) => name === target.topic)
        const found = topic?.partitions.find(({ partitionIndex }) => partitionIndex === target.partition)
        if (found === undefined || found.committedOffset < 0n) continue
        if (found.errorCode !== 0) throw protocolError(found.errorCode, `group \`${groupId}\``, right)
        offsets.set(target, found.committedOffset)
      }
      return offsets
    })
  }

  /**
   * Commits for a group without being a member of it.
   * @throws KafkaError
   */
  async commitGroupOffsets(groupId: string, offsets: ReadonlyMap<TopicPartition, bigint>): Promise<void> {
    if (offsets.size === 0) return
    const topics = [...Map.groupBy(offsets, ([target]) => target.topic)].map(([name, group]) => ({
      name,
      partitions: group.map(([target, committedOffset]) => ({
        partitionIndex: target.partition,
        committedOffset,
        committedLeaderEpoch: -1,
        committedMetadata: null,
      })),
    }))
    await this.retrying(
      async () => {
        const connection = await this.coordinator(groupId)
        const response = await connection.request(
          offsetCommitV8.api,
          groupId,
          NO_GENERATION,
          '',
          null,
          topics,
        )
        for (const { errorCode } of response.topics.flatMap(topic => topic.partitions)) {
          if (errorCode === 0) continue
          throw protocolError(errorCode, `group \`${groupId}\``, {
            operation: 'Read',
            resource: 'group',
            name: groupId,
          })
        }
      },
      Math.min(this.options.retry.attemptsMax, GROUP_COMMIT_ATTEMPTS_MAX),
    )
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
  ): Promise<Map<TopicPartition, bigint>> {
    const topics = [...Map.groupBy(targets, target => target.topic)].map(([name, group]) => ({
      name,
      partitions: group.map(target => ({
        partitionIndex: target.partition,
        currentLeaderEpoch: this.leaderOf(target)?.leaderEpoch ?? -1,
        timestamp,
      })),
    }))
    const api = connection.newest([listOffsetsV9.api, listOffsetsV8.api, listOffsetsV7.api])
    const response = await connection.request(api, -1, isReadCommitted ? 1 : 0, topics)
    const offsets = new Map<TopicPartition, bigint>()
    for (const target of targets) {
      const topic = response.topics.find(({ name }) => name === target.topic)
      const found = topic?.partitions.find(({ partitionIndex }) => partitionIndex === target.partition)
      const errorCode = found?.errorCode ?? -1
      if (found === undefined || errorCode !== 0) {
        const right = { operation: 'Describe', resource: 'topic', name: target.topic } as const
        throw protocolError(errorCode, `\`${target.topic}-${target.partition}\``, right)
      }
      offsets.set(target, found.offset)
    }
    return offsets
  }

  private async coordinator(groupId: string): Promise<BrokerConnection> {
    const asked = await this.anyConnection()
    const response = await asked.request(findCoordinatorV4.api, GROUP_COORDINATOR, [groupId])
    const found = response.coordinators[0]
    if (found === undefined || found.errorCode !== 0) {
      const right = { operation: 'Describe', resource: 'group', name: groupId } as const
      throw protocolError(found?.errorCode ?? -1, `the coordinator of group \`${groupId}\``, right)
    }
    return this.connect(found, 'control')
  }

  private async loadMetadata(): Promise<void> {
    const connection = await this.anyConnection()
    const wanted = [...this.config.topics]
    const response = await connection.request(metadataV12.api, wanted, false, false)
    const brokers = new Map(response.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]))
    const topics = new Map<string, TopicMetadata>()
    for (const { errorCode, name, topicId, partitions } of response.topics) {
      if (errorCode !== 0) throw await this.topicError(errorCode, name ?? '')
      if (topicId === NO_TOPIC_ID) {
        throw new KafkaError('KAFKA_PROTOCOL', `the broker gives topic \`${name}\` no id`, {
          retryable: false,
          hint: 'use Apache Kafka 3.1 or newer',
        })
      }
      const byNumber = partitions
        .map(({ partitionIndex, leaderId, leaderEpoch }) => ({
          partition: partitionIndex,
          leaderId,
          leaderEpoch,
        }))
        .sort((left, right) => left.partition - right.partition)
      topics.set(name!, { name: name!, topicId, partitions: byNumber })
    }
    // A broker that answers and names no other is one that starts: what was known is better than nothing.
    if (brokers.size > 0) this.brokers = brokers
    this.topics = topics
  }

  private async topicError(errorCode: number, name: string): Promise<KafkaError> {
    const error = protocolError(errorCode, `topic \`${name}\``, {
      operation: 'Describe',
      resource: 'topic',
      name,
    })
    const isMissing =
      error.context.errorName === 'UNKNOWN_TOPIC_OR_PARTITION' ||
      error.context.errorName === 'INVALID_TOPIC_EXCEPTION'
    if (!isMissing) return error
    // A suggestion is worth one request; without the right to list, there is none.
    const suggestion = suggestTopic(name, await this.listTopics().catch(() => []))
    const hint = suggestion === null ? {} : { hint: `did you mean \`${suggestion}\`?` }
    return new KafkaError(
      'KAFKA_TOPIC_NOT_FOUND',
      `topic \`${name}\` does not exist, or may not be described`,
      {
        ...hint,
        context: { topic: name, suggestion },
      },
    )
  }

  /** Any broker that answers: open connections first, then the known brokers, then the bootstrap servers. */
  private async anyConnection(): Promise<BrokerConnection> {
    const candidates = new Map<string, BrokerAddress>()
    for (const address of this.brokers.values()) candidates.set(formatAddress(address), address)
    for (const server of this.config.bootstrapServers) candidates.set(server, parseAddress(server))
    const isConnected = (server: string) => Number(this.connections.has(`control ${server}`))
    const ordered = [...candidates].sort(([left], [right]) => isConnected(right) - isConnected(left))
    let last: unknown
    for (const [, address] of ordered) {
      try {
        return await this.connect(address, 'control')
      } catch (error) {
        this.signal.throwIfAborted()
        if (!isConnectionFailure(error)) throw error
        last = error
      }
    }
    const servers = ordered.map(([server]) => server)
    throw servers.length === 1 ? last : unreachable(servers, (last as Error).message, last)
  }

  private connect(address: BrokerAddress, purpose: Purpose): Promise<BrokerConnection> {
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
