/**
 * How far the table is with each topic partition, as one run knows it.
 *
 * @module
 */
import type { MessageSource, TopicPartition } from '../kafka/message-source.ts'
import type { OffsetRange } from '../observe/event.ts'
import type { EpochCut } from './epoch.ts'
import type { StartOffset } from './start-position.ts'

export interface PartitionProgress {
  readonly topic: string
  readonly partition: number
  /** Where this run started. */
  readonly fromOffset: bigint
  /** The first offset that is not in the table. */
  readonly nextOffset: bigint
  /** End of the topic partition when the run ended; null where Kafka could not be asked. */
  readonly endOffset: bigint | null
  readonly lag: bigint | null
}

/** As `MessageSource.endOffsets` gives them. */
export type EndOffsets = Awaited<ReturnType<MessageSource['endOffsets']>>

export class TableProgress {
  /** Next offset of each topic partition in the table; null where the table holds none. */
  private readonly committed = new Map<TopicPartition, bigint | null>()
  /** Positions that the table does not hold yet: the next commit records them. */
  private readonly unrecorded = new Map<TopicPartition, bigint>()
  private readonly startedFrom = new Map<TopicPartition, bigint>()

  /** Reading (re)starts here. */
  start(tp: TopicPartition, { nextOffset, fromTable }: StartOffset): void {
    this.committed.set(tp, fromTable ? nextOffset : null)
    if (fromTable) this.unrecorded.delete(tp)
    else this.unrecorded.set(tp, nextOffset)
    if (!this.startedFrom.has(tp)) this.startedFrom.set(tp, nextOffset)
  }

  /** Reading goes on elsewhere than the table says: the next commit tells the table. */
  moveUnrecorded(tp: TopicPartition, nextOffset: bigint): void {
    this.unrecorded.set(tp, nextOffset)
  }

  /** As {@link moveUnrecorded} where nothing is ever written. */
  moveUnwritten(tp: TopicPartition, nextOffset: bigint): void {
    this.committed.set(tp, nextOffset)
  }

  get hasUnrecorded(): boolean {
    return this.unrecorded.size > 0
  }

  /** A copy: what a commit that starts now is to record besides its own ranges. */
  takeUnrecorded(): readonly (readonly [TopicPartition, bigint])[] {
    return [...this.unrecorded]
  }

  /** @param recorded what {@link takeUnrecorded} gave for this commit */
  commit({ ranges }: EpochCut, recorded: readonly (readonly [TopicPartition, bigint])[] = []): void {
    for (const [tp, nextOffset] of recorded) {
      this.committed.set(tp, nextOffset)
      this.unrecorded.delete(tp)
    }
    for (const { topicPartition, nextOffset } of ranges) this.committed.set(topicPartition, nextOffset)
  }

  /** What the table holds; null where nothing. */
  committedOffset(tp: TopicPartition): bigint | null {
    return this.committed.get(tp) ?? null
  }

  /** What the table holds, of every partition of which it holds anything. */
  committedOffsets(): Map<TopicPartition, bigint> {
    const offsets = new Map<TopicPartition, bigint>()
    for (const [tp, nextOffset] of this.committed) if (nextOffset !== null) offsets.set(tp, nextOffset)
    return offsets
  }

  /** Where reading stands, of every partition that was started. */
  positions(): Map<TopicPartition, bigint> {
    return new Map([...this.startedFrom.keys()].map(tp => [tp, this.nextOffset(tp)]))
  }

  /** What this run has passed, of every partition that was started. */
  ranges(): OffsetRange[] {
    return [...this.startedFrom].map(([tp, fromOffset]) => ({
      topic: tp.topic,
      partition: tp.partition,
      fromOffset,
      nextOffset: this.nextOffset(tp),
    }))
  }

  /** Nothing of this run got into the table. */
  forgetCommits(): void {
    this.committed.clear()
  }

  /** The first offset that is not in the table. */
  nextOffset(tp: TopicPartition): bigint {
    return this.committed.get(tp) ?? this.startedFrom.get(tp) ?? 0n
  }

  /** Partitions that were never started are missing. */
  describe(assignment: readonly TopicPartition[], ends: EndOffsets | null): PartitionProgress[] {
    return assignment.flatMap(tp => {
      const fromOffset = this.startedFrom.get(tp)
      if (fromOffset === undefined) return []
      const nextOffset = this.nextOffset(tp)
      const endOffset = ends?.get(tp)?.endOffset ?? null
      const lag = endOffset === null ? null : endOffset > nextOffset ? endOffset - nextOffset : 0n
      return [{ topic: tp.topic, partition: tp.partition, fromOffset, nextOffset, endOffset, lag }]
    })
  }
}
