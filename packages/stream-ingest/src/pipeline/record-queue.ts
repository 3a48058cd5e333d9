/**
 * Chunks that were fetched and not yet decoded, record by record.
 *
 * A commit may have to end in the middle of a batch (`batch_size`), so the queue remembers where it stands: chunk,
 * batch, record. One slab is reused for all batches.
 *
 * @module
 */
import type { ProcessingConfig } from '../config/ingest-config.ts'
import { BlockDecoder } from '../kafka/block-decoder.ts'
import type { SourceChunk, TopicPartition } from '../kafka/message-source.ts'
import { readRecords } from '../kafka/record-batch.ts'
import { RecordSlab } from '../kafka/record-slab.ts'
import { ChunkQueue } from './chunk-queue.ts'

/** Of one batch, decompressed, however large the memory limit. */
const RECORD_BATCH_MAX_BYTES = 512 * 1024 ** 2

/** The bound of one decompressed batch. */
export function recordBatchMaxBytes({
  memoryLimitBytes,
}: Pick<ProcessingConfig, 'memoryLimitBytes'>): number {
  return Math.min(memoryLimitBytes, RECORD_BATCH_MAX_BYTES)
}

export class RecordQueue extends ChunkQueue {
  /** The records of the batch that is being worked on; `index` is the next one. */
  readonly slab: RecordSlab = new RecordSlab(new BlockDecoder())
  index = 0
  private readonly batchMaxBytes: number

  /** @param batchMaxBytes bound of one decompressed batch */
  constructor(batchMaxBytes: number) {
    super()
    this.batchMaxBytes = batchMaxBytes
  }

  get topicPartition(): TopicPartition {
    return this.chunk.topicPartition
  }

  /**
   * Moves to the next record of the head chunk: afterwards `slab` and `index` point at it.
   *
   * @returns false where the chunk has no further record; then `endChunk` must be called
   * @throws KafkaError for a batch that is damaged or larger than allowed
   */
  advanceBatch(): boolean {
    const { batches, topicPartition, fromOffset } = this.chunk
    while (this.index >= this.slab.count) {
      const batch = batches[this.batchIndex]
      if (batch === undefined) return false
      this.batchIndex++
      readRecords(batch, this.slab, topicPartition.topic, topicPartition.partition, {
        maxBytes: this.batchMaxBytes,
      })
      this.index = 0
      // A batch is the unit of fetching: it may begin before the offset that was asked for.
      while (this.index < this.slab.count && this.slab.offsetAt(this.index) < fromOffset) this.index++
    }
    return true
  }

  override get isChunkSpent(): boolean {
    return this.index >= this.slab.count && super.isChunkSpent
  }

  /** What was not passed yet; the queue is empty afterwards. */
  takeRest(): SourceChunk[] {
    const [first, ...others] = this.waiting()
    if (first === undefined) return []
    const batchIndex = this.index < this.slab.count ? this.batchIndex - 1 : this.batchIndex
    const rest = { ...first, fromOffset: this.position, batches: first.batches.slice(batchIndex) }
    this.clear()
    return [rest, ...others]
  }

  protected override beginChunk(): void {
    super.beginChunk()
    this.index = 0
    this.slab.clear()
  }
}
