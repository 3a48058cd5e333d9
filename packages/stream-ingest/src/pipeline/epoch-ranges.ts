/**
 * How far each topic partition has come in an epoch.
 *
 * @module
 */
import type { TopicPartition } from '../kafka/message-source.ts'

/** `[fromOffset, nextOffset)` of one topic partition is in the epoch. */
export interface EpochRange {
  readonly topicPartition: TopicPartition
  readonly fromOffset: bigint
  nextOffset: bigint
}

export class EpochRanges {
  private readonly ranges = new Map<TopicPartition, EpochRange>()
  #startedAtMs: number | null = null

  get isEmpty(): boolean {
    return this.ranges.size === 0
  }

  /** When the first offset was passed, epoch milliseconds; null before. */
  get startedAtMs(): number | null {
    return this.#startedAtMs
  }

  /** Since then; zero before. */
  ageMs(nowMs: number): number {
    return this.#startedAtMs === null ? 0 : nowMs - this.#startedAtMs
  }

  /** How far this partition has come; null where it has not moved. */
  nextOffset(topicPartition: TopicPartition): bigint | null {
    return this.ranges.get(topicPartition)?.nextOffset ?? null
  }

  /** `[fromOffset, nextOffset)` was passed; it may be empty. */
  advance(topicPartition: TopicPartition, fromOffset: bigint, nextOffset: bigint, nowMs: number): void {
    if (nextOffset <= fromOffset) return
    this.#startedAtMs ??= nowMs
    const range = this.ranges.get(topicPartition)
    if (range === undefined) this.ranges.set(topicPartition, { topicPartition, fromOffset, nextOffset })
    else if (nextOffset > range.nextOffset) range.nextOffset = nextOffset
  }

  /** Takes back what this partition has passed from this offset on. It must have moved. */
  retreat(topicPartition: TopicPartition, nextOffset: bigint): void {
    const range = this.ranges.get(topicPartition)!
    range.nextOffset = nextOffset
    if (nextOffset <= range.fromOffset) this.ranges.delete(topicPartition)
  }

  list(): EpochRange[] {
    return [...this.ranges.values()]
  }
}
