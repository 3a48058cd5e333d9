/**
 * What the embedded broker knows: topics, committed group offsets, and the bytes it keeps. No sockets here.
 *
 * @module
 */
import { KafkaError } from '../error.ts'
import { PartitionLog } from './partition-log.ts'
import { formatUuid } from './wire.ts'

/** The one broker's id. */
export const NODE_ID = 1
export const CLUSTER_ID = 'embedded-broker'

export const TOPICS_MAX = 1_000
export const PARTITIONS_PER_TOPIC_MAX = 1_000
export const GROUPS_MAX = 10_000
/** As Apache Kafka allows: letters, digits, dot, underscore, dash; 249 characters at most. */
const TOPIC_NAME = /^[a-zA-Z0-9._-]{1,249}$/

export interface Topic {
  readonly name: string
  /** UUID of KIP-516; a topic that is deleted and created again has another one. */
  readonly topicId: string
  readonly partitions: PartitionLog[]
}

export interface CommittedOffset {
  readonly offset: bigint
  readonly leaderEpoch: number
  readonly metadata: string | null
}

export interface ClusterLimits {
  /** Sum over all partitions; producing beyond it is refused. */
  readonly storedBytesMax: number
  /** Of one record batch. */
  readonly batchBytesMax: number
}

export type TopicProblem =
  | 'invalid-name'
  | 'exists'
  | 'missing'
  | 'invalid-partition-count'
  | 'too-many-topics'

export class Cluster {
  readonly limits: ClusterLimits
  readonly nowMs: () => number
  readonly #random: () => number
  readonly #topics = new Map<string, Topic>()
  readonly #topicNames = new Map<string, string>()
  /** Group → `topic-partition` key → offset. */
  readonly #groups = new Map<string, Map<string, CommittedOffset>>()
  readonly #changeListeners = new Set<() => void>()

  constructor(limits: ClusterLimits, nowMs: () => number, random: () => number) {
    this.limits = limits
    this.nowMs = nowMs
    this.#random = random
  }

  get topics(): readonly Topic[] {
    return [...this.#topics.values()]
  }

  get storedBytes(): number {
    let sum = 0
    for (const topic of this.#topics.values()) for (const log of topic.partitions) sum += log.sizeBytes
    return sum
  }

  topic(name: string): Topic | undefined {
    return this.#topics.get(name)
  }

  topicById(topicId: string): Topic | undefined {
    const name = this.#topicNames.get(topicId)
    return name === undefined ? undefined : this.#topics.get(name)
  }

  partition(name: string, partition: number): PartitionLog | undefined {
    return this.#topics.get(name)?.partitions[partition]
  }

  /** Null where the topic could be created; else why not. */
  checkNewTopic(name: string, partitionCount: number): TopicProblem | null {
    if (!TOPIC_NAME.test(name) || name === '.' || name === '..') return 'invalid-name'
    if (this.#topics.has(name)) return 'exists'
    if (!isPartitionCount(partitionCount)) return 'invalid-partition-count'
    return this.#topics.size >= TOPICS_MAX ? 'too-many-topics' : null
  }

  /** The caller has asked {@link checkNewTopic}. */
  createTopic(name: string, partitionCount: number): Topic {
    const topicId = this.#randomUuid()
    const partitions = Array.from({ length: partitionCount }, (_, index) => new PartitionLog(name, index))
    const topic = { name, topicId, partitions }
    this.#topics.set(name, topic)
    this.#topicNames.set(topicId, name)
    return topic
  }

  /** Returns false where there is no such topic. Group offsets of the topic go with it. */
  deleteTopic(name: string): boolean {
    const topic = this.#topics.get(name)
    if (topic === undefined) return false
    this.#topics.delete(name)
    this.#topicNames.delete(topic.topicId)
    for (const offsets of this.#groups.values()) {
      for (const { partition } of topic.partitions) offsets.delete(offsetKey(name, partition))
    }
    this.notifyChange()
    return true
  }

  /** Null where `partitionCount` could become the topic's; else why not. */
  checkPartitionCount(name: string, partitionCount: number): TopicProblem | null {
    const topic = this.#topics.get(name)
    if (topic === undefined) return 'missing'
    const isGrowth = isPartitionCount(partitionCount) && partitionCount > topic.partitions.length
    return isGrowth ? null : 'invalid-partition-count'
  }

  /** The caller has asked {@link checkPartitionCount}. */
  growTopic(name: string, partitionCount: number): void {
    const partitions = this.#topics.get(name)?.partitions ?? []
    while (partitions.length < partitionCount) partitions.push(new PartitionLog(name, partitions.length))
  }

  /** Commits one offset of a group. @returns false where the bound on groups is reached */
  commitOffset(group: string, topic: string, partition: number, committed: CommittedOffset): boolean {
    let offsets = this.#groups.get(group)
    if (offsets === undefined) {
      if (this.#groups.size >= GROUPS_MAX) return false
      offsets = new Map()
      this.#groups.set(group, offsets)
    }
    offsets.set(offsetKey(topic, partition), committed)
    return true
  }

  committedOffset(group: string, topic: string, partition: number): CommittedOffset | undefined {
    return this.#groups.get(group)?.get(offsetKey(topic, partition))
  }

  /** Every partition for which the group has committed, by topic. */
  committedPartitions(group: string): { readonly topic: Topic; readonly partitions: readonly number[] }[] {
    const offsets = this.#groups.get(group)
    if (offsets === undefined) return []
    const committed: { topic: Topic; partitions: number[] }[] = []
    for (const topic of this.#topics.values()) {
      const partitions = topic.partitions
        .map(log => log.partition)
        .filter(partition => offsets.has(offsetKey(topic.name, partition)))
      if (partitions.length > 0) committed.push({ topic, partitions })
    }
    return committed
  }

  /** Calls back at every change a waiting Fetch may care for; returns the way to stop. */
  onChange(listener: () => void): () => void {
    this.#changeListeners.add(listener)
    return () => this.#changeListeners.delete(listener)
  }

  notifyChange(): void {
    for (const listener of [...this.#changeListeners]) listener()
  }

  #randomUuid(): string {
    const bytes = Uint8Array.from({ length: 16 }, () => Math.floor(this.#random() * 256))
    // Version 4, variant 1: clients read it as any UUID, but a zero or one id is reserved.
    bytes[6] = (bytes[6]! & 0x0f) | 0x40
    bytes[8] = (bytes[8]! & 0x3f) | 0x80
    const uuid = formatUuid(bytes)
    return this.#topicNames.has(uuid) ? this.#randomUuid() : uuid
  }
}

/** For callers in the same process: what the wire answers with a code becomes an error with a hint. */
export function topicError(problem: TopicProblem, topic: string): KafkaError {
  const messages: Record<TopicProblem, string> = {
    'invalid-name': `\`${topic}\` is no topic name: use letters, digits, \`.\`, \`_\` and \`-\`, 249 at most`,
    exists: `topic \`${topic}\` exists already`,
    missing: `topic \`${topic}\` does not exist in the embedded broker`,
    'invalid-partition-count': `the partition count of \`${topic}\` must grow and be 1 to ${PARTITIONS_PER_TOPIC_MAX}`,
    'too-many-topics': `the embedded broker holds its limit of ${TOPICS_MAX} topics`,
  }
  const code = problem === 'missing' ? 'KAFKA_TOPIC_NOT_FOUND' : 'KAFKA_PROTOCOL'
  return new KafkaError(code, messages[problem], {
    retryable: false,
    hint: problem === 'missing' ? 'create the topic first' : 'correct the call',
    context: { topic },
  })
}

function isPartitionCount(count: number): boolean {
  return Number.isInteger(count) && count >= 1 && count <= PARTITIONS_PER_TOPIC_MAX
}

function offsetKey(topic: string, partition: number): string {
  return `${topic}-${partition}`
}
