/**
 * Where a bounded run stops: the end offsets that are seen at its start.
 *
 * @module
 */
import type { MessageSource, TopicPartition } from '../kafka/message-source.ts'

type Position = (topicPartition: TopicPartition) => bigint

export class RunEnds {
  private readonly source: MessageSource
  private readonly position: Position
  private ends: ReadonlyMap<TopicPartition, bigint> = new Map()
  /**
   * Partitions whose position is beyond their end, as after a truncation of the log: only reading tells what became of
   * them, and a run that ended before would have said nothing.
   */
  private readonly beyond = new Set<TopicPartition>()

  private constructor(source: MessageSource, position: Position) {
    this.source = source
    this.position = position
  }

  /** Asks Kafka for the end offsets. */
  static async ask(source: MessageSource, position: Position): Promise<RunEnds> {
    const found = new RunEnds(source, position)
    found.ends = await endsNow(source)
    for (const [tp, end] of found.ends) if (position(tp) > end) found.beyond.add(tp)
    return found
  }

  get isReached(): boolean {
    if (this.beyond.size > 0) return false
    for (const [tp, end] of this.ends) if (this.position(tp) < end) return false
    return true
  }

  /** Reading has shown where a partition stands. */
  settle(topicPartition: TopicPartition): void {
    this.beyond.delete(topicPartition)
  }

  /** After a read that brought nothing: an end that lagged behind for a moment, after a restart, has caught up. */
  async recheck(): Promise<void> {
    if (this.beyond.size === 0) return
    const ends = await endsNow(this.source)
    for (const tp of this.beyond) if (this.position(tp) <= (ends.get(tp) ?? 0n)) this.beyond.delete(tp)
  }
}

async function endsNow(source: MessageSource): Promise<Map<TopicPartition, bigint>> {
  const ends = new Map<TopicPartition, bigint>()
  for (const [tp, { endOffset }] of await source.endOffsets()) ends.set(tp, endOffset)
  return ends
}
