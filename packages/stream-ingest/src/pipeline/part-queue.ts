/**
 * Chunks that were fetched and not yet handed out, in parts of a size that a thread takes.
 *
 * @module
 */
import { KafkaError } from '../error.ts'
import { Leases } from '../kafka/leases.ts'
import type { SourceChunk, TopicPartition } from '../kafka/message-source.ts'
import { readBatchHeader } from '../kafka/record-batch.ts'
import { ChunkQueue } from './chunk-queue.ts'

/** Bytes of a part, as Kafka has them; a larger batch is a part of its own. */
export const PART_MAX_BYTES = 256 * 1024

/** Whole batches of a chunk, one behind the other, or the beginning of one. */
export interface ChunkPart {
  readonly topicPartition: TopicPartition
  /** Records below it are passed over. */
  readonly fromOffset: bigint
  readonly nextOffset: bigint
  /** To stop after so many messages, in its one batch; null without a bound. */
  readonly messagesMax: number | null
  readonly batches: readonly Uint8Array[]
  readonly sizeBytes: number
  /** Of the batches, `messagesMax` at most: not each need be a message of the part. */
  readonly recordCount: number
  /** Nobody reads its batches any more. */
  readonly release: () => void
}

/** Who reads a chunk: the queue, and each of its parts that was handed out. */
interface Readers {
  readonly leases: Leases
  readonly leave: () => void
}

export class PartQueue extends ChunkQueue {
  private readonly readers = new Map<SourceChunk, Readers>()

  override push(chunks: readonly SourceChunk[]): void {
    super.push(chunks)
    for (const chunk of chunks) {
      const leases = new Leases(() => chunk.release?.())
      this.readers.set(chunk, { leases, leave: leases.lease() })
    }
  }

  /**
   * What comes next of the chunk at the head; null where no batch is left of it. The queue must not be empty.
   *
   * @param messagesMax at least one
   * @returns `damaged` where a batch's header cannot be read
   */
  next(messagesMax: number): ChunkPart | 'damaged' | null {
    const { topicPartition, batches, nextOffset } = this.chunk
    const { topic, partition } = topicPartition
    const taken: Uint8Array[] = []
    let sizeBytes = 0
    let recordCount = 0
    let behind = this.position
    try {
      for (let index = this.batchIndex; index < batches.length; index++) {
        const batch = batches[index]!
        const header = readBatchHeader(batch, 0, topic, partition)
        if (header === null) return 'damaged'
        const isTooMany = recordCount + header.recordCount > messagesMax
        if (taken.length > 0 && (isTooMany || sizeBytes + batch.length > PART_MAX_BYTES)) break
        taken.push(batch)
        sizeBytes += batch.length
        recordCount += header.recordCount
        behind = index === batches.length - 1 ? nextOffset : header.lastOffset + 1n
        if (isTooMany) break
      }
    } catch (error) {
      if (error instanceof KafkaError) return 'damaged'
      throw error
    }
    if (taken.length === 0) return null
    return {
      topicPartition,
      fromOffset: this.position,
      nextOffset: behind,
      messagesMax: recordCount > messagesMax ? messagesMax : null,
      batches: taken,
      sizeBytes,
      recordCount: Math.min(recordCount, messagesMax),
      release: this.readers.get(this.chunk)!.leases.lease(),
    }
  }

  /** The part was handed out, and passed up to here: its end, or where its bound came first. */
  pass(part: ChunkPart, nextOffset: bigint): void {
    this.position = nextOffset
    if (nextOffset >= part.nextOffset) this.batchIndex += part.batches.length
  }

  /** Leaves the head chunk behind, which is released when its parts are. */
  override endChunk(): SourceChunk {
    const { leave } = this.readers.get(this.chunk)!
    const chunk = super.endChunk()
    this.readers.delete(chunk)
    leave()
    return chunk
  }

  override clear(): void {
    this.readers.clear()
    super.clear()
  }
}
