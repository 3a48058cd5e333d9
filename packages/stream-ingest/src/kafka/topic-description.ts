/**
 * What a cluster says of topics: who leads their partitions, what these hold, and the settings that matter to somebody who
 * reads them.
 *
 * @module
 */
import { describeConfigsV4 } from '@platformatic/kafka'
import type { KafkaConfig } from '../config/ingest-config.ts'
import { EARLIEST_TIMESTAMP, KafkaCluster, LATEST_TIMESTAMP, NEWEST_TIMESTAMP } from './cluster.ts'
import { formatAddress } from './connection.ts'
import type { TopicPartition } from './message-source.ts'
import {
  DEFAULT_RETRY,
  type KafkaRuntime,
  OPEN_ATTEMPTS_MAX,
  OPEN_ELAPSED_MAX_MS,
  type RetryPolicy,
} from './retry.ts'
import type { Fetch } from './sasl.ts'

export interface PartitionDescription {
  readonly partition: number
  /** Null where none is elected. */
  readonly leader: { readonly nodeId: number; readonly address: string | null } | null
  readonly replicas: readonly number[]
  readonly inSyncReplicas: readonly number[]
  /** First offset that is there; null where nobody leads. */
  readonly startOffset: bigint | null
  /** Behind the last message (of a committed transaction, where only those are read). */
  readonly endOffset: bigint | null
  /** Epoch milliseconds; null where there is no message, or the broker does not tell. */
  readonly newestRecordMs: number | null
}

export interface TopicDescription {
  readonly name: string
  readonly topicId: string
  readonly partitions: readonly PartitionDescription[]
  /** By name, those of {@link TOPIC_SETTINGS}; null where the broker does not tell, or not to this principal. */
  readonly settings: Readonly<Record<string, string>> | null
}

/** What decides how long messages stay, how large they are, and in which form they come. */
export const TOPIC_SETTINGS = [
  'cleanup.policy',
  'retention.ms',
  'retention.bytes',
  'max.message.bytes',
  'compression.type',
  'message.timestamp.type',
  'min.insync.replicas',
] as const

/** DescribeConfigs' number for topics. */
const RESOURCE_TOPIC = 2

export interface DescribeTopicsOptions {
  readonly runtime: KafkaRuntime
  readonly retry?: RetryPolicy
  readonly fetchUrl?: Fetch
}

/**
 * Describes the configured topics. Connects, asks and disconnects; joins no group.
 *
 * @throws KafkaError `KAFKA_UNREACHABLE`, `KAFKA_TOPIC_NOT_FOUND`, `KAFKA_AUTHORIZATION`, …; ConfigError
 */
export async function describeTopics(
  config: KafkaConfig,
  { runtime, retry = DEFAULT_RETRY, fetchUrl = fetch }: DescribeTopicsOptions,
): Promise<TopicDescription[]> {
  const cluster = new KafkaCluster(config, { runtime, retry, fetchUrl })
  try {
    await cluster.retrying(() => cluster.refresh(), OPEN_ATTEMPTS_MAX, OPEN_ELAPSED_MAX_MS)
    const settings = await describeSettings(cluster, config.topics)
    const descriptions: TopicDescription[] = []
    for (const name of [...config.topics].sort()) {
      descriptions.push(await describeTopic(cluster, name, config.isolationLevel, settings.get(name) ?? null))
    }
    return descriptions
  } finally {
    await cluster.close()
  }
}

async function describeTopic(
  cluster: KafkaCluster,
  name: string,
  isolation: KafkaConfig['isolationLevel'],
  settings: TopicDescription['settings'],
): Promise<TopicDescription> {
  // `refresh` has thrown where a topic is missing.
  const { topicId, partitions } = cluster.topic(name)!
  const targets = new Map<number, TopicPartition>()
  for (const { partition, leaderId } of partitions) {
    // Nobody can be asked of a partition without a leader: the others are told all the same.
    if (leaderId >= 0) targets.set(partition, { topic: name, topicId, partition })
  }
  const led = [...targets.values()]
  const [starts, ends, newest] = await Promise.all([
    cluster.listOffsets(led, EARLIEST_TIMESTAMP, false),
    cluster.listOffsets(led, LATEST_TIMESTAMP, isolation === 'read_committed'),
    // Nice to know: brokers before 3.0 do not answer it.
    cluster.listTimestampedOffsets(led, NEWEST_TIMESTAMP, false).catch(() => null),
  ])
  return {
    name,
    topicId,
    settings,
    partitions: partitions.map(({ partition, leaderId, replicaIds, inSyncReplicaIds }) => {
      const target = targets.get(partition)
      const timestamp = target === undefined ? -1n : (newest?.get(target)?.timestamp ?? -1n)
      return {
        partition,
        leader: leaderId < 0 ? null : { nodeId: leaderId, address: addressOf(cluster, leaderId) },
        replicas: replicaIds,
        inSyncReplicas: inSyncReplicaIds,
        startOffset: target === undefined ? null : starts.get(target)!,
        endOffset: target === undefined ? null : ends.get(target)!,
        newestRecordMs: timestamp < 0n ? null : Number(timestamp),
      }
    }),
  }
}

function addressOf(cluster: KafkaCluster, nodeId: number): string | null {
  const address = cluster.brokerAddress(nodeId)
  return address === undefined ? null : formatAddress(address)
}

/** Settings are nice to know, and no right that a pipeline needs: whatever fails, there are none. */
async function describeSettings(
  cluster: KafkaCluster,
  topics: readonly string[],
): Promise<Map<string, Readonly<Record<string, string>>>> {
  const settings = new Map<string, Readonly<Record<string, string>>>()
  try {
    const connection = await cluster.anyConnection()
    const api = connection.newest([describeConfigsV4.api])
    const resources = topics.map(resourceName => ({
      resourceType: RESOURCE_TOPIC,
      resourceName,
      configurationKeys: [...TOPIC_SETTINGS],
    })) as Parameters<typeof describeConfigsV4.createRequest>[0]
    const { results } = await connection.request(api, resources, false, false)
    for (const { errorCode, resourceName, configs } of results) {
      if (errorCode !== 0) continue
      const known = configs.flatMap(({ name, value }) =>
        typeof value === 'string' ? [[name, value] as const] : [],
      )
      settings.set(resourceName, Object.fromEntries(known))
    }
  } catch {
    // As if the broker had told nothing.
  }
  return settings
}
