/**
 * The offsets of a consumer group, read and written without being a member of it.
 *
 * @module
 */
import { describeGroupsV5, findCoordinatorV4, offsetCommitV8, offsetFetchV8 } from '@platformatic/kafka'
import type { KafkaCluster } from './cluster.ts'
import type { BrokerConnection } from './connection.ts'
import { protocolError, protocolErrorName } from './kafka-failure.ts'
import type { TopicPartition } from './message-source.ts'

/** Advisory: the caller is not to wait for it long. */
const COMMIT_ATTEMPTS_MAX = 6
/** The key type of FindCoordinator. */
const GROUP_COORDINATOR = 0
/** A commit by no member: accepted while the group has none. */
const NO_GENERATION = -1

/** The group's committed offsets; partitions without one are missing from the answer. */
export async function fetchGroupOffsets(
  cluster: KafkaCluster,
  groupId: string,
  targets: readonly TopicPartition[],
): Promise<Map<TopicPartition, bigint>> {
  return cluster.retrying(async () => {
    const connection = await findCoordinator(cluster, groupId)
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
      if (found === undefined) continue
      if (found.errorCode !== 0) throw protocolError(found.errorCode, `group \`${groupId}\``, right)
      if (found.committedOffset >= 0n) offsets.set(target, found.committedOffset)
    }
    return offsets
  })
}

/**
 * Commits for a group without being a member of it.
 * @throws KafkaError
 */
export async function commitGroupOffsets(
  cluster: KafkaCluster,
  groupId: string,
  offsets: ReadonlyMap<TopicPartition, bigint>,
): Promise<void> {
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
  await cluster.retrying(async () => {
    const connection = await findCoordinator(cluster, groupId)
    const response = await connection.request(offsetCommitV8.api, groupId, NO_GENERATION, '', null, topics)
    for (const { errorCode } of response.topics.flatMap(topic => topic.partitions)) {
      if (errorCode === 0) continue
      throw protocolError(errorCode, `group \`${groupId}\``, {
        operation: 'Read',
        resource: 'group',
        name: groupId,
      })
    }
  }, COMMIT_ATTEMPTS_MAX)
}

/** No topic has it: a commit for it is held against the rights, and goes nowhere. */
const NO_PARTITION = 2 ** 31 - 1
const NO_SUCH_PARTITION = 'UNKNOWN_TOPIC_OR_PARTITION'

/**
 * May this principal commit offsets of this topic for the group? Changes nothing.
 * @throws KafkaError `KAFKA_AUTHORIZATION` naming the right that is missing
 */
export async function assertMayCommit(cluster: KafkaCluster, groupId: string, topic: string): Promise<void> {
  const connection = await findCoordinator(cluster, groupId)
  const partition = { partitionIndex: NO_PARTITION, committedOffset: 0n, committedLeaderEpoch: -1 }
  const topics = [{ name: topic, partitions: [{ ...partition, committedMetadata: null }] }]
  const response = await connection.request(offsetCommitV8.api, groupId, NO_GENERATION, '', null, topics)
  const errorCode = response.topics[0]?.partitions[0]?.errorCode ?? 0
  const name = protocolErrorName(errorCode)
  if (errorCode === 0 || name === NO_SUCH_PARTITION) return
  const resource = name.startsWith('TOPIC') ? 'topic' : 'group'
  throw protocolError(errorCode, `group \`${groupId}\``, {
    operation: 'Read',
    resource,
    name: resource === 'topic' ? topic : groupId,
  })
}

/**
 * Consumers that are members of the group: while there are any, the broker takes nobody else's offsets for it.
 *
 * @returns null where the broker does not say
 */
export async function countGroupMembers(cluster: KafkaCluster, groupId: string): Promise<number | null> {
  const connection = await findCoordinator(cluster, groupId)
  if (!connection.knows(describeGroupsV5.api)) return null
  const response = await connection.request(describeGroupsV5.api, [groupId], false)
  const group = response.groups[0]
  return group === undefined || group.errorCode !== 0 ? null : group.members.length
}

async function findCoordinator(cluster: KafkaCluster, groupId: string): Promise<BrokerConnection> {
  const asked = await cluster.anyConnection()
  const response = await asked.request(findCoordinatorV4.api, GROUP_COORDINATOR, [groupId])
  const found = response.coordinators[0]
  if (found === undefined || found.errorCode !== 0) {
    const right = { operation: 'Describe', resource: 'group', name: groupId } as const
    throw protocolError(found?.errorCode ?? -1, `the coordinator of group \`${groupId}\``, right)
  }
  return cluster.connect(found, 'control')
}
