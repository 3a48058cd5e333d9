/**
 * From rows of the quarantine back to record batches, as Kafka gave them.
 *
 * @module
 */
import type { TableRow } from '@stream-ingest/delta'
import { chunkOfRecords, inOffsetOrder, type RecordContent } from '../kafka/message-chunk.ts'
import type { SourceChunk } from '../kafka/message-source.ts'

/** What a record is told from others by, in one quarantine of one pipeline. */
export function recordKey(topicId: string, partition: number, offset: bigint): string {
  return `${topicId}:${partition}:${offset}`
}

export function recordKeyOf(row: TableRow): string {
  return recordKey(row.topic_id as string, row.partition as number, row.offset as bigint)
}

/** One chunk for each topic partition, each record once. */
export function chunksOfRows(rows: readonly TableRow[]): SourceChunk[] {
  const groups = Map.groupBy(rows as readonly QuarantineRow[], row => `${row.topic_id}:${row.partition}`)
  return Array.from(groups.values(), group => {
    const { topic, topic_id: topicId, partition } = group[0]!
    return chunkOfRecords({ topic, topicId, partition }, inOffsetOrder(group), contentOf)
  })
}

/** Bytes that a row's record takes, about. */
export function rowSizeBytes(row: TableRow): number {
  let size = ROW_OVERHEAD_BYTES
  for (const bytes of [row.key, row.value, row.raw_headers]) size += (bytes as Uint8Array | null)?.length ?? 0
  for (const { key, value } of (row.headers as HeaderRow[] | null) ?? []) {
    size += key.length + (value?.length ?? 0) + HEADER_OVERHEAD_BYTES
  }
  return size
}

const ROW_OVERHEAD_BYTES = 1_000
const HEADER_OVERHEAD_BYTES = 100

interface HeaderRow {
  readonly key: string
  readonly value: Uint8Array | null
}

interface QuarantineRow extends TableRow {
  readonly topic: string
  readonly topic_id: string
  readonly partition: number
  readonly offset: bigint
  readonly timestamp_ms: bigint | null
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly HeaderRow[] | null
  readonly raw_headers: Uint8Array | null
}

function contentOf(row: QuarantineRow): RecordContent {
  return {
    key: row.key,
    value: row.value,
    timestampMs: row.timestamp_ms === null ? null : Number(row.timestamp_ms),
    headers: (row.headers ?? []).map(({ key, value }) => [key, value]),
    ...(row.raw_headers === null ? {} : { rawHeaders: row.raw_headers }),
  }
}
