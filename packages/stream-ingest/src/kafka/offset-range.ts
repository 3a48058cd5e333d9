/**
 * What to do when an offset is not in the log.
 *
 * @module
 */
import type { KafkaConfig } from '../config/ingest-config.ts'
import { KafkaError } from '../error.ts'
import { EARLIEST_TIMESTAMP, type KafkaCluster, LATEST_TIMESTAMP } from './cluster.ts'
import type { OffsetLoss, SourceChunk, TopicPartition } from './message-source.ts'

/** The offsets of a log: `[startOffset, endOffset)`; `endOffset` itself may be fetched too. */
export interface OffsetRange {
  readonly startOffset: bigint
  readonly endOffset: bigint
}

export type OutOfRangeOutcome =
  /** The range moved meanwhile, as after a leader change: asking again may do. */
  | { readonly status: 'inside'; readonly error: KafkaError }
  | { readonly status: 'lost'; readonly resumedOffset: bigint; readonly endOffset: bigint }

/**
 * Decides by policy where a partition goes on.
 * @throws KafkaError `KAFKA_OFFSET_OUT_OF_RANGE` under `fail`
 */
export async function resolveOutOfRange(
  cluster: KafkaCluster,
  target: TopicPartition,
  wanted: bigint,
  policy: KafkaConfig['onOffsetOutOfRange'],
): Promise<OutOfRangeOutcome> {
  const [starts, ends] = await Promise.all([
    cluster.listOffsets([target], EARLIEST_TIMESTAMP, false),
    cluster.listOffsets([target], LATEST_TIMESTAMP, false),
  ])
  const range = { startOffset: starts.get(target)!, endOffset: ends.get(target)! }
  const error = outOfRange(target, wanted, range)
  if (wanted >= range.startOffset && wanted <= range.endOffset) return { status: 'inside', error }
  switch (policy) {
    case 'fail':
      throw error
    case 'earliest':
      return { status: 'lost', resumedOffset: range.startOffset, endOffset: range.endOffset }
    case 'latest':
      return { status: 'lost', resumedOffset: range.endOffset, endOffset: range.endOffset }
  }
}

/**
 * The lost offsets as a run without records: whoever reads passes them in their order, as those of compacted records.
 * Null where reading goes on below what was wanted: there is nothing to pass.
 */
export function passLostOffsets(loss: OffsetLoss, endOffset: bigint): SourceChunk | null {
  const { topicPartition, wantedOffset, resumedOffset } = loss
  if (resumedOffset <= wantedOffset) return null
  return {
    topicPartition,
    fromOffset: wantedOffset,
    nextOffset: resumedOffset,
    batches: [],
    sizeBytes: 0,
    abortedRecordCount: 0,
    endOffset,
  }
}

/** The error that names what was wanted, what is there, and how much is lost. */
export function outOfRange(target: TopicPartition, wanted: bigint, range: OffsetRange): KafkaError {
  const { topic, partition } = target
  const { startOffset, endOffset } = range
  const lostCount = wanted < startOffset ? startOffset - wanted : 0n
  const detail =
    lostCount > 0n
      ? `${lostCount} offsets are lost to retention`
      : `the log ends ${wanted - endOffset} offsets earlier, as after a truncation`
  return new KafkaError(
    'KAFKA_OFFSET_OUT_OF_RANGE',
    `offset ${wanted} of \`${topic}-${partition}\` is wanted, ${startOffset} to ${endOffset} are there: ${detail}`,
    { context: { topic, partition, wantedOffset: wanted, startOffset, endOffset, lostCount } },
  )
}
