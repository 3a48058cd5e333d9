/**
 * The columns of a record's metadata: topic, partition, offset, timestamp, key and headers.
 *
 * @module
 */
import assert from 'node:assert/strict'
import {
  BinaryBuilder,
  type ColumnBuilder,
  Int64Builder,
  ListBuilder,
  NumberBuilder,
  StructBuilder,
} from '@stream-ingest/delta/column'
import type { KafkaMetadataField } from '../config/ingest-config.ts'
import { ColumnWriter } from './column-writer.ts'
import type { BadRecordReason } from './decoder.ts'
import { SECOND_MAX, SECOND_MIN } from './instant.ts'
import { HeaderCursor, type RecordOrigin, type RecordView } from './record-view.ts'
import { isUtf8 } from './utf8.ts'

const MS_PER_SECOND = 1_000
const MICROS_PER_MS = 1_000

/** Kafka's offset deltas within a batch are 32 bits, so a base below this leaves the sum exact. */
const EXACT_BASE_MAX = Number.MAX_SAFE_INTEGER - 0x8000_0000

export function createMetadataWriter(
  metadata: KafkaMetadataField,
  column: string,
  builder: ColumnBuilder,
): ColumnWriter {
  switch (metadata) {
    case 'topic':
      assert(builder instanceof BinaryBuilder)
      return new TopicWriter(builder)
    case 'partition':
      assert(builder instanceof NumberBuilder)
      return new PartitionWriter(builder)
    case 'offset':
      assert(builder instanceof Int64Builder)
      return new OffsetWriter(builder)
    case 'timestamp':
      assert(builder instanceof Int64Builder)
      return new TimestampWriter(column, builder)
    case 'key':
      assert(builder instanceof BinaryBuilder)
      return new KeyWriter(builder)
    case 'headers':
      assert(builder instanceof ListBuilder)
      return new HeadersWriter(column, builder)
  }
}

class TopicWriter extends ColumnWriter {
  private readonly builder: BinaryBuilder
  private topic = ''
  private topicBytes: Uint8Array = new Uint8Array(0)

  constructor(builder: BinaryBuilder) {
    super()
    this.builder = builder
  }

  append(_view: RecordView, _index: number, { topic }: RecordOrigin): null {
    this.appendTopic(topic, 1)
    return null
  }

  override appendRun(_view: RecordView, from: number, to: number, { topic }: RecordOrigin): number {
    this.appendTopic(topic, to - from)
    return to
  }

  private appendTopic(topic: string, count: number): void {
    if (topic !== this.topic) {
      this.topic = topic
      this.topicBytes = new TextEncoder().encode(topic)
    }
    this.builder.appendRepeated(this.topicBytes, count)
  }
}

class PartitionWriter extends ColumnWriter {
  private readonly builder: NumberBuilder

  constructor(builder: NumberBuilder) {
    super()
    this.builder = builder
  }

  append(_view: RecordView, _index: number, { partition }: RecordOrigin): null {
    this.builder.append(partition)
    return null
  }

  override appendRun(_view: RecordView, from: number, to: number, { partition }: RecordOrigin): number {
    this.builder.appendRepeated(partition, to - from)
    return to
  }
}

class OffsetWriter extends ColumnWriter {
  private readonly builder: Int64Builder

  constructor(builder: Int64Builder) {
    super()
    this.builder = builder
  }

  append(view: RecordView, index: number): null {
    this.appendRun(view, index, index + 1)
    return null
  }

  override appendRun({ baseOffset, offsetDelta }: RecordView, from: number, to: number): number {
    if (baseOffset <= EXACT_BASE_MAX) this.builder.appendSums(Number(baseOffset), offsetDelta, from, to)
    else for (let i = from; i < to; i++) this.builder.append(baseOffset + BigInt(offsetDelta[i]!))
    return to
  }
}

class TimestampWriter extends ColumnWriter {
  private readonly column: string
  private readonly builder: Int64Builder

  constructor(column: string, builder: Int64Builder) {
    super()
    this.column = column
    this.builder = builder
  }

  append(view: RecordView, index: number): BadRecordReason | null {
    const timestampMs = view.timestamp[index]!
    return this.appendInstant(timestampMs) ? null : outOfRange(this.column, timestampMs)
  }

  override appendRun({ timestamp }: RecordView, from: number, to: number): number {
    for (let i = from; i < to; i++) if (!this.appendInstant(timestamp[i]!)) return i
    return to
  }

  private appendInstant(timestampMs: number): boolean {
    const micros = timestampMs * MICROS_PER_MS
    if (timestampMs === -1) {
      this.builder.appendNull()
    } else if (Number.isSafeInteger(micros)) {
      this.builder.appendNumber(micros)
    } else {
      const second = Math.floor(timestampMs / MS_PER_SECOND)
      if (second < SECOND_MIN || second > SECOND_MAX) return false
      this.builder.append(BigInt(timestampMs) * BigInt(MICROS_PER_MS))
    }
    return true
  }
}

function outOfRange(column: string, timestampMs: number): BadRecordReason {
  const message = `expected a Kafka timestamp of the years 0001 to 9999 in milliseconds, found ${timestampMs}`
  return { code: 'RECORD_INVALID', path: 'kafka.timestamp', column, message }
}

class KeyWriter extends ColumnWriter {
  private readonly builder: BinaryBuilder

  constructor(builder: BinaryBuilder) {
    super()
    this.builder = builder
  }

  append(view: RecordView, index: number): null {
    const start = view.keyStart[index]!
    if (start < 0) this.builder.appendNull()
    else this.builder.appendRange(view.bytes, start, view.keyEnd[index]!)
    return null
  }
}

class HeadersWriter extends ColumnWriter {
  private readonly column: string
  private readonly builder: ListBuilder
  private readonly header: StructBuilder
  private readonly key: BinaryBuilder
  private readonly value: BinaryBuilder
  private readonly cursor = new HeaderCursor()

  constructor(column: string, builder: ListBuilder) {
    super()
    this.column = column
    this.builder = builder
    assert(builder.element instanceof StructBuilder)
    this.header = builder.element
    const [key, value] = builder.element.fields
    assert(key instanceof BinaryBuilder && value instanceof BinaryBuilder)
    this.key = key
    this.value = value
  }

  append(view: RecordView, index: number): BadRecordReason | null {
    const { cursor } = this
    cursor.reset(view, index)
    while (cursor.next()) {
      if (!isUtf8(view.bytes, cursor.keyStart, cursor.keyEnd)) return this.bad('a header’s name is not UTF-8')
      this.key.appendRange(view.bytes, cursor.keyStart, cursor.keyEnd)
      if (cursor.valueStart < 0) this.value.appendNull()
      else this.value.appendRange(view.bytes, cursor.valueStart, cursor.valueEnd)
      this.header.appendPresent()
    }
    if (cursor.isDamaged) return this.bad('the headers are damaged')
    this.builder.appendEnd()
    return null
  }

  private bad(message: string): BadRecordReason {
    return { code: 'RECORD_INVALID', path: 'kafka.headers', column: this.column, message }
  }
}
