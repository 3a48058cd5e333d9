/**
 * From rows of the quarantine back to record batches, as Kafka gave them.
 *
 * @module
 */
import type { TableRow } from '@stream-ingest/delta'
import type { SourceChunk } from '../kafka/message-source.ts'
import { type EncodableRecord, encodeRecordBatch } from '../kafka/record-batch-encoder.ts'

/** Kafka's own mark of a record without one. */
const NO_TIMESTAMP = -1
const OFFSET_DELTA_MAX = 0x7fff_ffffn

/** What a record is told from others by, in one quarantine of one pipeline. */
export function recordKey(topicId: string, partition: number, offset: bigint): string {
  return `${topicId}:${partition}:${offset}`
}

export function recordKeyOf(row: TableRow): string {
  return recordKey(row.topic_id as string, row.partition as number, row.offset as bigint)
}

/** One chunk for each topic partition, each record once. */
export function chunksOfRows(rows: readonly TableRow[]): SourceChunk[] {
  const groups = Map.groupBy(rows, row => `${String(row.topic_id)}:${String(row.partition)}`)
  return Array.from(groups.values(), group => {
    const sorted = group.toSorted((a, b) => compare(a.offset as bigint, b.offset as bigint))
    const distinct = sorted.filter((row, i) => row.offset !== sorted[i - 1]?.offset)
    const [first] = distinct
    const batches = encodeRows(distinct)
    const nextOffset = (distinct.at(-1)!.offset as bigint) + 1n
    return {
      topicPartition: {
        topic: first!.topic as string,
        topicId: first!.topic_id as string,
        partition: first!.partition as number,
      },
      fromOffset: first!.offset as bigint,
      nextOffset,
      batches,
      sizeBytes: batches.reduce((total, batch) => total + batch.length, 0),
      abortedRecordCount: 0,
      endOffset: nextOffset,
    }
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

function encodeRows(rows: readonly TableRow[]): Uint8Array[] {
  const batches: Uint8Array[] = []
  for (let start = 0; start < rows.length; ) {
    const baseOffset = rows[start]!.offset as bigint
    let end = start
    while (end < rows.length && (rows[end]!.offset as bigint) - baseOffset <= OFFSET_DELTA_MAX) end++
    const records = rows.slice(start, end).map(row => recordOf(row, baseOffset))
    batches.push(encodeRecordBatch(records, { baseOffset }))
    start = end
  }
  return batches
}

function recordOf(row: TableRow, baseOffset: bigint): EncodableRecord {
  const headers = (row.headers as HeaderRow[] | null) ?? []
  const raw = row.raw_headers as Uint8Array | null
  return {
    key: row.key as Uint8Array | null,
    value: row.value as Uint8Array | null,
    timestampMs: row.timestamp_ms === null ? NO_TIMESTAMP : Number(row.timestamp_ms),
    offsetDelta: Number((row.offset as bigint) - baseOffset),
    headers: headers.map(({ key, value }) => [key, value]),
    ...(raw === null ? {} : { rawHeaders: raw }),
  }
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
}
