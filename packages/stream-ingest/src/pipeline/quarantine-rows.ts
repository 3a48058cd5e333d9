/**
 * The bad records of an epoch, as Kafka gave them, in the columns of the quarantine.
 *
 * Nothing is done here for a record that fits.
 *
 * @module
 */
import assert from 'node:assert/strict'
import {
  BatchBuilder,
  BinaryBuilder,
  type ColumnBatch,
  Int64Builder,
  ListBuilder,
  NumberBuilder,
  StructBuilder,
} from '@stream-ingest/delta/column'
import { SECOND_MAX, SECOND_MIN } from '../decode/instant.ts'
import { HeaderCursor, type RecordView } from '../decode/record-view.ts'
import { isUtf8 } from '../decode/utf8.ts'
import { QUARANTINED_RECORD } from '../delta/quarantine-schema.ts'
import type { TopicPartition } from '../kafka/message-source.ts'
import { VarintWriter } from '../kafka/varint.ts'
import type { BadRecord } from './epoch.ts'

/** A path may hold keys of the payload, however long they are. */
const TEXT_MAX = 1_000
const MICROS_PER_MS = 1_000n
const MS_PER_SECOND = 1_000

/** What a cut hands to the quarantine. */
export interface QuarantinedRecords {
  /** Columns of `QUARANTINED_RECORD`. */
  readonly batch: ColumnBatch
  readonly topicPartitions: readonly TopicPartition[]
  /** Index into `topicPartitions` for each row. */
  readonly partitionOfRow: Int32Array
}

export class QuarantineRows {
  private readonly pipelineId: string
  private readonly builder = new BatchBuilder(QUARANTINED_RECORD)
  private readonly topicPartitions: TopicPartition[] = []
  private readonly partitionOfRow: number[] = []
  private readonly cursor = new HeaderCursor()

  constructor(pipelineId: string) {
    this.pipelineId = pipelineId
  }

  get sizeBytes(): number {
    return this.builder.sizeBytes + this.builder.rowCount * 8
  }

  /** Copies record `index`. */
  append(
    view: RecordView,
    index: number,
    { topicPartition, offset, reason }: BadRecord,
    nowMs: number,
  ): void {
    this.partitionOfRow.push(this.indexOf(topicPartition))
    const timestampMs = view.timestamp[index]!
    const second = Math.floor(timestampMs / MS_PER_SECOND)
    const hasTimestamp = timestampMs !== -1
    const isReadable = hasTimestamp && second >= SECOND_MIN && second <= SECOND_MAX
    this.appendText('pipeline', this.pipelineId)
    this.appendText('topic', topicPartition.topic)
    this.appendText('topic_id', topicPartition.topicId)
    const partition = this.column('partition')
    assert(partition instanceof NumberBuilder)
    partition.append(topicPartition.partition)
    this.appendLong('offset', offset)
    this.appendLong('timestamp', isReadable ? BigInt(timestampMs) * MICROS_PER_MS : null)
    this.appendLong('timestamp_ms', hasTimestamp ? BigInt(timestampMs) : null)
    this.appendBytes('key', view.bytes, view.keyStart[index]!, view.keyEnd[index]!)
    this.appendBytes('value', view.bytes, view.valueStart[index]!, view.valueEnd[index]!)
    this.appendHeaders(view, index)
    this.appendText('error_code', reason.code)
    this.appendText('error_message', shortened(reason.message))
    this.appendText('column_path', shortened(reason.path))
    this.appendText('column_name', reason.column)
    this.appendLong('quarantined_at', BigInt(nowMs) * MICROS_PER_MS)
    this.builder.endRow()
  }

  finish(): QuarantinedRecords {
    return {
      batch: this.builder.finish(),
      topicPartitions: this.topicPartitions,
      partitionOfRow: Int32Array.from(this.partitionOfRow),
    }
  }

  private appendHeaders(view: RecordView, index: number): void {
    const headers = this.column('headers')
    assert(headers instanceof ListBuilder && headers.element instanceof StructBuilder)
    const raw = this.column('raw_headers')
    assert(raw instanceof BinaryBuilder)
    const [key, value] = headers.element.fields
    assert(key instanceof BinaryBuilder && value instanceof BinaryBuilder)
    if (!this.areReadable(view, index)) {
      headers.appendNull()
      raw.append(rawHeaders(view, index))
      return
    }
    raw.appendNull()
    const { cursor } = this
    cursor.reset(view, index)
    while (cursor.next()) {
      key.appendRange(view.bytes, cursor.keyStart, cursor.keyEnd)
      if (cursor.valueStart < 0) value.appendNull()
      else value.appendRange(view.bytes, cursor.valueStart, cursor.valueEnd)
      headers.element.appendPresent()
    }
    headers.appendEnd()
  }

  private areReadable(view: RecordView, index: number): boolean {
    const { cursor } = this
    cursor.reset(view, index)
    while (cursor.next()) if (!isUtf8(view.bytes, cursor.keyStart, cursor.keyEnd)) return false
    return !cursor.isDamaged
  }

  private indexOf(topicPartition: TopicPartition): number {
    // The last one first: records come partition by partition.
    const found = this.topicPartitions.lastIndexOf(topicPartition)
    if (found >= 0) return found
    this.topicPartitions.push(topicPartition)
    return this.topicPartitions.length - 1
  }

  private appendText(name: string, text: string | null): void {
    const builder = this.column(name)
    assert(builder instanceof BinaryBuilder)
    if (text === null) builder.appendNull()
    else builder.appendString(text)
  }

  private appendLong(name: string, value: bigint | null): void {
    const builder = this.column(name)
    assert(builder instanceof Int64Builder)
    if (value === null) builder.appendNull()
    else builder.append(value)
  }

  private appendBytes(name: string, bytes: Uint8Array, start: number, end: number): void {
    const builder = this.column(name)
    assert(builder instanceof BinaryBuilder)
    if (start < 0) builder.appendNull()
    else builder.appendRange(bytes, start, end)
  }

  private column(name: string): BatchBuilder['columns'][number] {
    return this.builder.columns[COLUMN_INDEX.get(name)!]!
  }
}

const COLUMN_INDEX: ReadonlyMap<string, number> = new Map(
  QUARANTINED_RECORD.fields.map((f, i) => [f.name, i]),
)

function shortened(text: string): string {
  return text.length <= TEXT_MAX ? text : `${text.slice(0, TEXT_MAX - 1)}…`
}

/** The record's end as it stands: the number of headers as a varint, and the headers. */
function rawHeaders(view: RecordView, index: number): Uint8Array {
  const writer = new VarintWriter()
  writer.writeVarint(view.headerCount[index]!)
  writer.writeBytes(view.bytes.subarray(view.headersStart[index]!, view.recordEnd[index]!))
  return writer.bytes()
}
