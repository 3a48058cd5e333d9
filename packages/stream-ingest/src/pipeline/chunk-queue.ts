/**
 * Chunks that were fetched, worked off in their order: the one at the head, and how far it was passed.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { SourceChunk, TopicPartition } from '../kafka/message-source.ts'

export class ChunkQueue {
  /** In the chunk at the head: the first batch that nobody has taken yet. */
  protected batchIndex = 0
  private chunks: SourceChunk[] = []
  private head = 0
  #position: bigint | null = null

  get isEmpty(): boolean {
    return this.head === this.chunks.length
  }

  push(chunks: readonly SourceChunk[]): void {
    for (const chunk of chunks) this.chunks.push(chunk)
  }

  /** Does a chunk of this partition wait that ends here? */
  endsAt(topicPartition: TopicPartition, nextOffset: bigint): boolean {
    return this.waiting().some(
      each => each.topicPartition === topicPartition && each.nextOffset === nextOffset,
    )
  }

  /** The chunk at the head; the queue must not be empty. */
  get chunk(): SourceChunk {
    const chunk = this.chunks[this.head]
    assert(chunk !== undefined)
    return chunk
  }

  /** The next offset of the head chunk that was not passed yet. */
  get position(): bigint {
    return this.#position ?? this.chunk.fromOffset
  }

  set position(nextOffset: bigint) {
    this.#position = nextOffset
  }

  /** Is nothing left of the head chunk? Then `endChunk` must be called. */
  get isChunkSpent(): boolean {
    return this.batchIndex === this.chunk.batches.length
  }

  /** Leaves the head chunk behind. */
  endChunk(): SourceChunk {
    const { chunk } = this
    this.head++
    if (this.isEmpty) this.clear()
    else this.beginChunk()
    return chunk
  }

  /** Forgets everything: the source was moved elsewhere. */
  clear(): void {
    this.chunks = []
    this.head = 0
    this.beginChunk()
  }

  /** The head chunk is another one, of which nothing was passed. */
  protected beginChunk(): void {
    this.batchIndex = 0
    this.#position = null
  }

  /** The head chunk and those behind it. */
  protected waiting(): SourceChunk[] {
    return this.chunks.slice(this.head)
  }
}
