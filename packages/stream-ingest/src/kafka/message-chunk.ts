/**
 * From messages and records, an object each, back to the record batches that the pipeline works on.
 *
 * @module
 */
import type { KafkaMessage } from './message-batch.ts'
import type { SourceChunk, TopicPartition } from './message-source.ts'
import type { NamedPartitions } from './named-partitions.ts'
import { readBatchHeader, readRecords } from './record-batch.ts'
import { type EncodableRecord, encodeRecordBatch } from './record-batch-encoder.ts'
import { RecordSlab } from './record-slab.ts'

/** Records in one batch: decompressed it stays small, and offsets fit its 32-bit deltas. */
const BATCH_RECORDS_MAX = 10_000
const OFFSET_DELTA_MAX = 0x7fff_ffffn
/** Kafka's own mark of a record without a timestamp. */
const NO_TIMESTAMP = -1

/** What a record holds, wherever it stands. */
export interface RecordContent extends Omit<EncodableRecord, 'offsetDelta' | 'timestampMs'> {
  /** Epoch milliseconds; null where there is none. */
  readonly timestampMs: number | null
}

interface Placed {
  readonly offset: bigint
}

/** Messages as chunks, and how many were left out because their offset came twice. */
export interface MessageChunks {
  readonly chunks: readonly SourceChunk[]
  readonly repeatedCount: number
}

/** One chunk for each topic partition, from its first message to its last, in the order of the offsets. */
export function chunksOfMessages(
  messages: Iterable<KafkaMessage>,
  partitions: NamedPartitions,
): MessageChunks {
  const groups = Map.groupBy(messages, ({ topic, partition }) => partitions.of(topic, partition))
  let repeatedCount = 0
  const chunks = Array.from(groups, ([topicPartition, group]) => {
    const distinct = inOffsetOrder(group)
    repeatedCount += group.length - distinct.length
    return chunkOfRecords(topicPartition, distinct, contentOf)
  })
  return { chunks, repeatedCount }
}

/** By their offsets, each offset once: the first that came. */
export function inOffsetOrder<T extends Placed>(records: readonly T[]): T[] {
  const sorted = records.toSorted((a, b) => (a.offset < b.offset ? -1 : a.offset > b.offset ? 1 : 0))
  return sorted.filter(({ offset }, i) => offset !== sorted[i - 1]?.offset)
}

/**
 * The chunk from the first of these records to the last. Offsets between without a record are taken for passed:
 * compaction and transactions leave such gaps.
 *
 * @param records of this topic partition, ascending, none twice, at least one
 * @param contentOf asked for the records of one batch at a time
 */
export function chunkOfRecords<T extends Placed>(
  topicPartition: TopicPartition,
  records: readonly T[],
  contentOf: (record: T) => RecordContent,
): SourceChunk {
  const batches: Uint8Array[] = []
  for (let start = 0; start < records.length; ) {
    const baseOffset = records[start]!.offset
    let end = start
    while (
      end < records.length &&
      end - start < BATCH_RECORDS_MAX &&
      records[end]!.offset - baseOffset <= OFFSET_DELTA_MAX
    ) {
      end++
    }
    const encodable = records.slice(start, end).map((record): EncodableRecord => {
      const { timestampMs, ...content } = contentOf(record)
      const offsetDelta = Number(record.offset - baseOffset)
      return { ...content, timestampMs: timestampMs ?? NO_TIMESTAMP, offsetDelta }
    })
    batches.push(encodeRecordBatch(encodable, { baseOffset }))
    start = end
  }
  const nextOffset = records.at(-1)!.offset + 1n
  return {
    topicPartition,
    fromOffset: records[0]!.offset,
    nextOffset,
    batches,
    sizeBytes: batches.reduce((total, batch) => total + batch.length, 0),
    abortedRecordCount: 0,
    endOffset: nextOffset,
  }
}

function contentOf({ keyBytes, payloadBytes, timestamp, headerList }: KafkaMessage): RecordContent {
  return { key: keyBytes, value: payloadBytes, timestampMs: timestamp, headers: headerList }
}

/** Records of a chunk with offsets in `[fromOffset, nextOffset)`: decodes the batches that may hold such. */
export function countRecords(
  { batches, topicPartition }: SourceChunk,
  fromOffset: bigint,
  nextOffset: bigint,
  batchMaxBytes: number,
): number {
  const { topic, partition } = topicPartition
  const slab = new RecordSlab()
  let count = 0
  for (const batch of batches) {
    const header = readBatchHeader(batch, 0, topic, partition)
    if (header === null || header.lastOffset < fromOffset || header.baseOffset >= nextOffset) continue
    readRecords(batch, slab, topic, partition, { maxBytes: batchMaxBytes })
    for (let i = 0; i < slab.count; i++) {
      const offset = slab.offsetAt(i)
      if (offset >= fromOffset && offset < nextOffset) count++
    }
  }
  return count
}
