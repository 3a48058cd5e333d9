/**
 * Where one topic partition stands between the broker and the caller.
 *
 * @module
 */
import type { SourceChunk, TopicPartition } from './message-source.ts'

/** Mutable state of one partition; the fetcher alone changes it. */
export class PartitionReader {
  readonly target: TopicPartition
  /** Where the next Fetch starts; null until `seek` said. */
  position: bigint | null = null
  /** Grows with each seek: what was fetched for an earlier one is stale. */
  generation = 0
  /** Memory that the chunks in the queue hold on to. */
  queuedBytes = 0
  /** When it last received data, as a sequence number: who waited longest comes first in the next Fetch. */
  servedAt = 0
  /** End of the partition, as the last answer said; null before the first one. */
  endOffset: bigint | null = null
  /** Failures in a row. */
  failures = 0
  lastError: unknown = null
  /** Its leader has to be looked up again before it is fetched. */
  needsLeader = false
  /** Its position is being decided after an out-of-range answer. */
  isResolving = false

  constructor(target: TopicPartition) {
    this.target = target
  }

  get name(): string {
    return `${this.target.topic}-${this.target.partition}`
  }

  get isWanted(): boolean {
    return this.position !== null && !this.isResolving
  }

  seek(nextOffset: bigint): void {
    this.position = nextOffset
    this.generation++
    this.queuedBytes = 0
    this.failures = 0
  }

  succeed(): void {
    this.failures = 0
    this.lastError = null
  }

  fail(error: unknown): void {
    this.failures++
    this.lastError = error
    this.needsLeader = true
  }
}

/** A chunk read ahead. `heldBytes` is what it keeps in memory, which may be more than its batches. */
export interface QueuedChunk {
  readonly reader: PartitionReader
  readonly chunk: SourceChunk
  readonly heldBytes: number
}
