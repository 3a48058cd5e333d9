/**
 * What of a batch is not in the table yet.
 *
 * @module
 */
import { countRecords } from '../kafka/message-chunk.ts'
import type { SourceChunk, TopicPartition } from '../kafka/message-source.ts'

/** Offsets between what the table held and what came, of which nothing was seen. */
export interface OffsetGap {
  readonly topic: string
  readonly partition: number
  /** The table's next offset. */
  readonly expectedOffset: bigint
  /** Where the batch begins. */
  readonly fromOffset: bigint
}

export interface TrimmedBatch {
  readonly chunks: readonly SourceChunk[]
  /** Messages that were left out, being in the table or in the batch already. */
  readonly duplicates: number
  readonly gaps: readonly OffsetGap[]
}

/**
 * Cuts off what the table holds, and what the batch itself holds twice.
 *
 * @param nextOffsetOf the table's next offset; null where it holds none
 */
export function trimBatch(
  chunks: readonly SourceChunk[],
  nextOffsetOf: (topicPartition: TopicPartition) => bigint | null,
  batchMaxBytes: number,
): TrimmedBatch {
  const positions = new Map<TopicPartition, bigint | null>()
  const rest: SourceChunk[] = []
  const gaps: OffsetGap[] = []
  let duplicates = 0
  for (const chunk of inOrder(chunks)) {
    const { topicPartition, fromOffset, nextOffset } = chunk
    if (!positions.has(topicPartition)) positions.set(topicPartition, nextOffsetOf(topicPartition))
    const position = positions.get(topicPartition)!
    const start = position === null || position < fromOffset ? fromOffset : position
    if (start > fromOffset) {
      duplicates += countRecords(chunk, fromOffset, start < nextOffset ? start : nextOffset, batchMaxBytes)
    }
    if (start >= nextOffset) continue
    if (position !== null && position < fromOffset) {
      const { topic, partition } = topicPartition
      gaps.push({ topic, partition, expectedOffset: position, fromOffset })
    }
    positions.set(topicPartition, nextOffset)
    rest.push(start === fromOffset ? chunk : { ...chunk, fromOffset: start })
  }
  return { chunks: rest, duplicates, gaps }
}

/** The chunks of each topic partition, one partition after the other. */
function inOrder(chunks: readonly SourceChunk[]): SourceChunk[] {
  const groups = Map.groupBy(chunks, ({ topicPartition }) => topicPartition)
  return [...groups.values()].flatMap(group =>
    group.sort((a, b) => (a.fromOffset < b.fromOffset ? -1 : a.fromOffset > b.fromOffset ? 1 : 0)),
  )
}
