/**
 * Where each topic partition starts: at the table's offset, and only where it holds none by the configured policy.
 *
 * @module
 */
import type { KafkaConfig } from '../config/ingest-config.ts'
import { DeltaError, KafkaError } from '../error.ts'
import type { MessageSource, TopicPartition } from '../kafka/message-source.ts'

/** The app id of a topic partition's `txn`: by topic id, so that a re-created topic is not taken for the old one. */
export function appIdOf(pipelineId: string, { topicId, partition }: TopicPartition): string {
  return `${pipelineId}:${topicId}:${partition}`
}

/** The parts of an app id of this pipeline; null for anybody else's. */
export function parseAppId(pipelineId: string, appId: string): { topicId: string; partition: number } | null {
  if (!appId.startsWith(`${pipelineId}:`)) return null
  const match = /^([^:]+):(\d+)$/.exec(appId.slice(pipelineId.length + 1))
  return match === null ? null : { topicId: match[1]!, partition: Number(match[2]) }
}

/** What a table holds of a topic partition. */
export interface HeldOffset {
  readonly appId: string
  readonly nextOffset: bigint
}

/**
 * What the table holds of a topic partition, for those who look: under the topic's id, or under its name, as messages leave
 * it that were handed in (a Lambda trigger); null where it holds nothing.
 *
 * @param txns next offset by app id
 */
export function findHeldOffset(
  pipelineId: string,
  tp: TopicPartition,
  txns: ReadonlyMap<string, bigint>,
): HeldOffset | null {
  for (const topicId of [tp.topicId, tp.topic]) {
    const appId = appIdOf(pipelineId, { ...tp, topicId })
    const nextOffset = txns.get(appId)
    if (nextOffset !== undefined) return { appId, nextOffset }
  }
  return null
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/**
 * A topic partition without an offset in the table starts afresh. It must not where its offset is there in the other form:
 * under the topic's id, as Kafka gives it, or under its name, which is all that messages know that are handed in.
 *
 * @param appIds of the table
 * @throws DeltaError `TABLE_OFFSETS_MIXED`
 */
export function assertFresh(pipelineId: string, tp: TopicPartition, appIds: Iterable<string>): void {
  const isNamed = tp.topicId === tp.topic
  for (const appId of appIds) {
    const parsed = parseAppId(pipelineId, appId)
    if (parsed === null) continue
    // An id does not tell of which topic it is: any of this pipeline shows that Kafka was read.
    if (isNamed ? !UUID.test(parsed.topicId) : parsed.topicId !== tp.topic || UUID.test(tp.topic)) continue
    const [there, wanted] = isNamed ? ['ids', 'name'] : ['name', 'id']
    throw new DeltaError(
      'TABLE_OFFSETS_MIXED',
      `the table holds offsets of \`${pipelineId}\` under the ${there} of topics; to read ${tp.topic}[${tp.partition}] under its ${wanted} would repeat messages`,
      { context: { pipeline: pipelineId, topic: tp.topic, partition: tp.partition } },
    )
  }
}

/** Where to read on, and whether the table knows it already. */
export interface StartOffset {
  readonly nextOffset: bigint
  readonly fromTable: boolean
}

export interface StartPlan {
  readonly offsets: ReadonlyMap<TopicPartition, StartOffset>
  /** Topic ids of this pipeline in the table that are not read any more. */
  readonly unknownTopicIds: readonly string[]
}

/**
 * @param txns next offset by app id, as the table holds them
 * @throws DeltaError `TABLE_OFFSETS_MIXED`
 * @throws KafkaError `KAFKA_NO_OFFSET` under `auto_offset_reset: none`
 * @throws DeltaError `TABLE_OFFSETS_MISSING` where the table holds offsets of higher partitions of a topic but not of
 *   this one: they were there, since a first commit records them all, and starting over would repeat or lose messages
 */
export async function planStart(
  config: KafkaConfig,
  pipelineId: string,
  source: MessageSource,
  partitions: readonly TopicPartition[],
  txns: ReadonlyMap<string, bigint>,
): Promise<StartPlan> {
  const known = knownPartitions(pipelineId, txns.keys())
  const offsets = new Map<TopicPartition, StartOffset>()
  const fresh: TopicPartition[] = []
  const grown: TopicPartition[] = []
  for (const tp of partitions) {
    const nextOffset = txns.get(appIdOf(pipelineId, tp))
    if (nextOffset !== undefined) {
      offsets.set(tp, { nextOffset, fromTable: true })
      continue
    }
    assertFresh(pipelineId, tp, txns.keys())
    const highest = known.get(tp.topicId)
    if (highest === undefined || config.assignment !== 'all') fresh.push(tp)
    else if (tp.partition > highest) grown.push(tp)
    else {
      throw new DeltaError(
        'TABLE_OFFSETS_MISSING',
        `the table holds offsets of ${tp.topic} up to partition ${highest}, but none of partition ${tp.partition}`,
        {
          hint: 'check `delta.setTransactionRetentionDuration` and whether the table was replaced; to start this partition afresh, run once with `kafka.assignment` listing it',
          context: { topic: tp.topic, partition: tp.partition },
        },
      )
    }
  }
  if (fresh.length > 0) {
    const { autoOffsetReset } = config
    if (autoOffsetReset === 'none') {
      const { topic, partition } = fresh[0]!
      throw new KafkaError(
        'KAFKA_NO_OFFSET',
        `the table holds no offset of ${topic}[${partition}], and \`kafka.auto_offset_reset\` is \`none\``,
        { context: { topic, partition } },
      )
    }
    for (const [tp, nextOffset] of await source.resolveStart(fresh, autoOffsetReset)) {
      offsets.set(tp, { nextOffset, fromTable: false })
    }
  }
  // A partition that came later holds nothing from before: only its beginning loses no message.
  if (grown.length > 0) {
    for (const [tp, nextOffset] of await source.resolveStart(grown, 'earliest')) {
      offsets.set(tp, { nextOffset, fromTable: false })
    }
  }
  const read = new Set(partitions.map(tp => tp.topicId))
  return { offsets, unknownTopicIds: [...known.keys()].filter(id => !read.has(id)) }
}

/** Highest partition of each topic id for which the table holds an offset of this pipeline. */
function knownPartitions(pipelineId: string, appIds: Iterable<string>): Map<string, number> {
  const highest = new Map<string, number>()
  for (const appId of appIds) {
    const parsed = parseAppId(pipelineId, appId)
    if (parsed !== null) {
      highest.set(parsed.topicId, Math.max(parsed.partition, highest.get(parsed.topicId) ?? -1))
    }
  }
  return highest
}
