/**
 * From messages, an object each, back to the record batches that the pipeline works on.
 *
 * @module
 */
import type { KafkaMessage } from './message-batch.ts'
import type { SourceChunk, TopicPartition } from './message-source.ts'
import { readBatchHeader, readRecords } from './record-batch.ts'
import { type EncodableRecord, encodeRecordBatch } from './record-batch-encoder.ts'
import { RecordSlab } from './record-slab.ts'

/** Messages in one record batch: decompressed it stays small, and offsets fit its 32-bit deltas. */
const BATCH_MESSAGES_MAX = 10_000
const OFFSET_DELTA_MAX = 0x7fff_ffffn

/** Messages as chunks, and how many were left out because their offset came twice. */
export interface MessageChunks {
  readonly chunks: readonly SourceChunk[]
  readonly repeatedCount: number
}

/**
 * One chunk for each topic partition, from its first message to its last, in the order of the offsets. Offsets between
 * without a message are taken for passed: compaction and transactions leave such gaps.
 *
 * @param topicPartitionOf gives the same object for the same topic partition every time
 */
export function chunksOfMessages(
  messages: Iterable<KafkaMessage>,
  topicPartitionOf: (topic: string, partition: number) => TopicPartition,
): MessageChunks {
  const groups = Map.groupBy(messages, ({ topic, partition }) => topicPartitionOf(topic, partition))
  let repeatedCount = 0
  const chunks = Array.from(groups, ([topicPartition, group]): SourceChunk => {
    const sorted = group.toSorted((a, b) => (a.offset < b.offset ? -1 : a.offset > b.offset ? 1 : 0))
    const distinct = sorted.filter((message, i) => message.offset !== sorted[i - 1]?.offset)
    repeatedCount += sorted.length - distinct.length
    const batches = encodeMessages(distinct)
    const nextOffset = distinct.at(-1)!.offset + 1n
    return {
      topicPartition,
      fromOffset: distinct[0]!.offset,
      nextOffset,
      batches,
      sizeBytes: batches.reduce((total, batch) => total + batch.length, 0),
      abortedRecordCount: 0,
      endOffset: nextOffset,
    }
  })
  return { chunks, repeatedCount }
}

/** @param messages of one topic partition, ascending, none twice */
function encodeMessages(messages: readonly KafkaMessage[]): Uint8Array[] {
  const batches: Uint8Array[] = []
  for (let start = 0; start < messages.length; ) {
    const baseOffset = messages[start]!.offset
    let end = start
    while (
      end < messages.length &&
      end - start < BATCH_MESSAGES_MAX &&
      messages[end]!.offset - baseOffset <= OFFSET_DELTA_MAX
    ) {
      end++
    }
    const records = messages.slice(start, end).map(message => recordOf(message, baseOffset))
    batches.push(encodeRecordBatch(records, { baseOffset }))
    start = end
  }
  return batches
}

function recordOf(message: KafkaMessage, baseOffset: bigint): EncodableRecord {
  return {
    key: message.keyBytes,
    value: message.payloadBytes,
    // Kafka's own mark of a record without a timestamp.
    timestampMs: message.timestamp ?? -1,
    offsetDelta: Number(message.offset - baseOffset),
    headers: message.headerList,
  }
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
