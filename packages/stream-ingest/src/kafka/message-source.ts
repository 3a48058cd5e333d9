/**
 * The seam between Kafka (or what stands in for it) and the pipeline.
 *
 * The pipeline pulls: it decides when to read, seek and stop. A source hands out record batches as they came over the
 * wire, still compressed, with aborted transactions and control batches already left out.
 *
 * @module
 */

/** One topic partition that this source reads. `topicId` is the UUID of KIP-516, which survives no re-creation. */
export interface TopicPartition {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
}

/**
 * A run of consecutive offsets `[fromOffset, nextOffset)` of one topic partition.
 *
 * `batches` are whole v2 record batches (61-byte header included), CRC not yet checked, in offset order. They may hold
 * records below `fromOffset` (a batch is the unit of fetching): the decoder skips those. Offsets without a record
 * (compaction, control batches, aborted transactions) are part of the run; `batches` may be empty while offsets advance.
 */
export interface SourceChunk {
  readonly topicPartition: TopicPartition
  readonly fromOffset: bigint
  readonly nextOffset: bigint
  readonly batches: readonly Uint8Array[]
  /** Sum of the batches' bytes, as they came. */
  readonly sizeBytes: number
  /** Records left out because their transaction was aborted. Control records are counted nowhere. */
  readonly abortedRecordCount: number
  /** First offset that is not readable yet (the last stable offset under read_committed). */
  readonly endOffset: bigint
  /**
   * Gives back the memory of the batches, which nobody may read afterwards. For a last reader who knows that he is;
   * without it they are the garbage collector's.
   */
  readonly release?: () => void
}

/** Offsets that are gone: the topic's retention, or a re-created topic. Reported, never silent. */
export interface OffsetLoss {
  readonly topicPartition: TopicPartition
  /** What was asked for. */
  readonly wantedOffset: bigint
  /** Where reading goes on. */
  readonly resumedOffset: bigint
}

export interface ReadBudget {
  /** Return about this much at most. Zero reads nothing. */
  readonly maxBytes: number
  /** Return an empty list after this long without data. */
  readonly maxWaitMs: number
  /** When it aborts, `read` returns an empty list at once. */
  readonly signal?: AbortSignal
}

/** Where to start a topic partition for which the caller knows no offset. */
export type StartPosition = 'earliest' | 'latest' | { readonly timestampMs: number }

export interface MessageSource {
  /** The partitions to read, in (topic, partition) order. Changes only through `refreshAssignment`. */
  readonly assignment: readonly TopicPartition[]
  /** Connects and looks the topics up. Must be called first. */
  open(): Promise<void>
  /** Looks the topics up again and returns partitions that are new; they are read once `seek` gave them an offset. */
  refreshAssignment(): Promise<readonly TopicPartition[]>
  /** The offset that `start` means for each, without moving there. */
  resolveStart(
    partitions: readonly TopicPartition[],
    start: StartPosition,
  ): Promise<Map<TopicPartition, bigint>>
  /** From now on read this partition from here; chunks read ahead from elsewhere are dropped. */
  seek(partition: TopicPartition, nextOffset: bigint): void
  /** What has arrived, at least one chunk if any comes within the budget's time. Order is kept in each partition. */
  read(budget: ReadBudget): Promise<readonly SourceChunk[]>
  /** The partition's end (last stable offset under read_committed) as last heard of while reading; null before that. */
  heardEndOffset(partition: TopicPartition): bigint | null
  /** Log end (last stable offset under read_committed) and log start of each assigned partition, asked now. */
  endOffsets(): Promise<Map<TopicPartition, { readonly startOffset: bigint; readonly endOffset: bigint }>>
  /**
   * Advisory: tells Kafka's group how far the table is, for lag tools. Rejects where that fails, which is no error of
   * the pipeline.
   */
  commitGroupOffsets(offsets: ReadonlyMap<TopicPartition, bigint>): Promise<void>
  /**
   * Losses since the last call (only where the policy allows going on). `read` hands lost offsets out as a chunk
   * without batches, so that they are passed in their order.
   */
  takeLosses(): readonly OffsetLoss[]
  close(): Promise<void>
}
