/**
 * When does a batch become a commit? A pure function, so that users can be told why their files are small.
 *
 * @module
 */
import type { PipelineConfig } from '../config/ingest-config.ts'
import type { FlushReason } from '../observe/event.ts'

/** Table partitions open in one epoch; one file is written for each. */
export const TABLE_PARTITIONS_MAX = 4_096
/** Share of the memory limit for the epoch being filled; the one being written has as much. */
const EPOCH_MEMORY_SHARE = 0.3
/** However large the limit: a column has 32-bit offsets, and one batch more may come before the cut. */
const EPOCH_MAX_BYTES = 1024 ** 3

export interface FlushLimits {
  /** Most messages in one commit. */
  readonly messages: number
  /** Encoded bytes at which a file is large enough. */
  readonly fileSizeBytes: number
  /** Bytes that the columns of one epoch may take. */
  readonly memoryBytes: number
  /** Table partitions that one epoch may have open. */
  readonly tablePartitions: number
  /** Age of the oldest buffered message, or of the first offset passed without one. */
  readonly ageMs: number
}

/** The limits that a configuration sets. */
export function flushLimits({
  processing,
  delta,
}: Pick<PipelineConfig, 'processing' | 'delta'>): FlushLimits {
  return {
    messages: processing.batchSize,
    fileSizeBytes: delta.targetFileSizeBytes,
    memoryBytes: Math.min(processing.memoryLimitBytes * EPOCH_MEMORY_SHARE, EPOCH_MAX_BYTES),
    tablePartitions: TABLE_PARTITIONS_MAX,
    ageMs: processing.batchTimeoutMs,
  }
}

/** What is buffered. */
export interface EpochFacts {
  /** Messages passed since the last cut, whatever became of them. */
  readonly messageCount: number
  /** Offsets were passed, with or without a message at them. */
  readonly hasProgress: boolean
  /** Encoded size expected of the largest file. */
  readonly estimatedFileSizeBytes: number
  readonly memoryBytes: number
  readonly tablePartitionCount: number
  /** Since the first progress; zero where there is none. */
  readonly ageMs: number
}

/** What decoding fills an epoch with. */
export interface EpochLoad {
  readonly messageCount: number
  readonly tablePartitionCount: number
  /** Of its columns. */
  readonly sizeBytes: number
}

/** Must an epoch be cut before more is decoded into it? */
export function isFull(
  { messageCount, tablePartitionCount, sizeBytes }: EpochLoad,
  limits: FlushLimits,
): boolean {
  return (
    messageCount >= limits.messages ||
    tablePartitionCount >= limits.tablePartitions ||
    sizeBytes >= limits.memoryBytes
  )
}

/** The messages that an epoch has when it is full, if they go on as they are. */
export function expectedMessages({ messageCount, sizeBytes }: EpochLoad, limits: FlushLimits): number {
  return Math.min(limits.messages, Math.ceil((limits.memoryBytes / Math.max(1, sizeBytes)) * messageCount))
}

/** What is buffered, and what presses from outside. */
export interface FlushFacts extends EpochFacts {
  readonly stopRequested: boolean
  readonly deadlineReached: boolean
  readonly endReached: boolean
}

/**
 * @returns the reason to cut, or null to keep buffering. Where several hold, the one that a user would act on first:
 *   what ends the run, then memory, then the configured sizes, then age.
 */
export function flushReason(facts: FlushFacts, limits: FlushLimits): FlushReason | null {
  if (!facts.hasProgress) return null
  if (facts.stopRequested) return 'stop'
  if (facts.deadlineReached) return 'deadline'
  if (facts.endReached) return 'end'
  if (facts.memoryBytes >= limits.memoryBytes) return 'memory'
  if (facts.tablePartitionCount >= limits.tablePartitions) return 'partitions'
  if (facts.estimatedFileSizeBytes >= limits.fileSizeBytes) return 'size'
  if (facts.messageCount >= limits.messages) return 'rows'
  if (facts.ageMs >= limits.ageMs) return 'age'
  return null
}
