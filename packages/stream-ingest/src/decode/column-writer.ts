/**
 * Columns that are not decoded from the payload: from the key or a header, derived, or checked for the partition.
 *
 * @module
 */
import assert from 'node:assert/strict'
import {
  type BinaryBuilder,
  type ColumnBuilder,
  Int64Builder,
  NumberBuilder,
} from '@stream-ingest/delta/column'
import type { DecodeField, DecodeSource } from '../config/decode-field.ts'
import type { BadRecordReason } from './decoder.ts'
import { secondAt, type UnitOfInstant } from './derived-value.ts'
import { pathSegment } from './found-value.ts'
import { SECOND_MAX, SECOND_MIN } from './instant.ts'
import { HeaderCursor, type RecordOrigin, type RecordView } from './record-view.ts'
import { TextValue } from './text-value.ts'
import { isUtf8 } from './utf8.ts'

/** Appends what is not in the payload to its column. Runs after the payload was decoded. */
export abstract class ColumnWriter {
  /** The value of a record, or why there is none. */
  abstract append(view: RecordView, index: number, origin: RecordOrigin): BadRecordReason | null

  /**
   * The values of records `[from, to)`, whose payloads are the last rows of their columns.
   *
   * @returns the first record that does not fit, `to` where all do; unless all do, the rows have to be rolled back
   */
  appendRun(view: RecordView, from: number, to: number, origin: RecordOrigin): number {
    for (let i = from; i < to; i++) if (this.append(view, i, origin) !== null) return i
    return to
  }
}

const MS_PER_SECOND = 1_000

/** A column read from the record's key or a header. */
export class TextColumnWriter extends ColumnWriter {
  private readonly column: string
  private readonly value: TextValue
  /** Null for the key. */
  private readonly headerName: Uint8Array | null
  private readonly path: string
  private readonly cursor = new HeaderCursor()

  constructor(field: DecodeField, builder: ColumnBuilder, depthMax: number) {
    super()
    this.column = field.name
    this.value = new TextValue(field, builder, depthMax)
    this.headerName = field.source.kind === 'header' ? new TextEncoder().encode(field.source.name) : null
    this.path = sourcePath(field.source)
  }

  append(view: RecordView, index: number): BadRecordReason | null {
    let start = view.keyStart[index]!
    let end = view.keyEnd[index]!
    if (this.headerName !== null) {
      start = -1
      const { cursor } = this
      cursor.reset(view, index)
      while (cursor.next()) {
        if (!isEqual(view.bytes, cursor.keyStart, cursor.keyEnd, this.headerName)) continue
        start = cursor.valueStart
        end = cursor.valueEnd
      }
    }
    const message = this.cursor.isDamaged
      ? 'the headers are damaged'
      : this.value.append(view.bytes, start, end)
    return message === null ? null : invalid(this.path, this.column, message)
  }
}

/** A unit of a timestamp or date; null where that is null. */
export class DerivedWriter extends ColumnWriter {
  private readonly builder: ColumnBuilder
  private readonly unit: UnitOfInstant
  private readonly input: ColumnBuilder

  constructor(builder: ColumnBuilder, unit: UnitOfInstant, input: ColumnBuilder) {
    super()
    this.builder = builder
    this.unit = unit
    this.input = input
  }

  append(): null {
    this.derive(this.input.length - 1)
    return null
  }

  override appendRun(_view: RecordView, from: number, to: number): number {
    const first = this.input.length - (to - from)
    for (let row = first; row < this.input.length; row++) this.derive(row)
    return to
  }

  private derive(row: number): void {
    const second = secondAt(this.input, row)
    if (second === null) this.builder.appendNull()
    else appendInteger(this.builder, this.unit.ofSecond(second))
  }
}

/** A unit of the record's timestamp. */
export class KafkaDerivedWriter extends ColumnWriter {
  protected readonly builder: ColumnBuilder
  private readonly column: string
  private readonly unit: UnitOfInstant

  constructor(column: string, builder: ColumnBuilder, unit: UnitOfInstant) {
    super()
    this.column = column
    this.builder = builder
    this.unit = unit
  }

  append(view: RecordView, index: number): BadRecordReason | null {
    const timestampMs = view.timestamp[index]!
    const value = this.unitAt(timestampMs)
    if (Number.isNaN(value)) {
      const found = timestampMs === -1 ? 'a record without timestamp' : `the timestamp ${timestampMs}`
      const message = `expected a Kafka timestamp of the years 0001 to 9999 to derive the column from, found ${found}`
      return invalid('kafka.timestamp', this.column, message)
    }
    appendInteger(this.builder, value)
    return null
  }

  override appendRun({ timestamp }: RecordView, from: number, to: number): number {
    for (let i = from; i < to; i++) {
      const value = this.unitAt(timestamp[i]!)
      if (Number.isNaN(value)) return i
      appendInteger(this.builder, value)
    }
    return to
  }

  /** NaN where the record has no timestamp, or none of the years 0001 to 9999. */
  protected unitAt(timestampMs: number): number {
    const second = Math.floor(timestampMs / MS_PER_SECOND)
    if (timestampMs === -1 || second < SECOND_MIN || second > SECOND_MAX) return Number.NaN
    return this.unit.ofSecond(second)
  }
}

/** Puts a unit of the record's timestamp where the payload had nothing. */
export class FallbackWriter extends KafkaDerivedWriter {
  override append(view: RecordView, index: number): BadRecordReason | null {
    const row = this.builder.length - 1
    if (!this.builder.isNullAt(row)) return null
    this.builder.truncate(row)
    return super.append(view, index)
  }

  override appendRun({ timestamp }: RecordView, from: number, to: number): number {
    const { builder } = this
    assert(builder instanceof NumberBuilder || builder instanceof Int64Builder)
    if (builder.nullCount === 0) return to
    for (let i = from, row = builder.length - (to - from); i < to; i++, row++) {
      if (!builder.isNullAt(row)) continue
      const value = this.unitAt(timestamp[i]!)
      if (Number.isNaN(value)) return i
      builder.fill(row, value)
    }
    return to
  }
}

/**
 * A partition value is text in the log, and empty text is null there (PROTOCOL.md › Partition Value Serialization): what
 * has no such form must not get into the table.
 */
export class PartitionTextCheck extends ColumnWriter {
  private readonly path: string
  private readonly column: string
  private readonly nullable: boolean
  private readonly builder: BinaryBuilder

  constructor(path: string, column: string, nullable: boolean, builder: BinaryBuilder) {
    super()
    this.path = path
    this.column = column
    this.nullable = nullable
    this.builder = builder
  }

  append(): BadRecordReason | null {
    return this.check(this.builder.length - 1)
  }

  override appendRun(_view: RecordView, from: number, to: number): number {
    const first = this.builder.length - (to - from)
    for (let i = from; i < to; i++) if (this.check(first + i - from) !== null) return i
    return to
  }

  private check(row: number): BadRecordReason | null {
    const { builder } = this
    if (builder.isNullAt(row)) return null
    const start = builder.startOf(row)
    const end = builder.endOf(row)
    if (start === end && !this.nullable) {
      const message = 'expected a value, found the empty one, which is null in a partition column'
      return invalid(this.path, this.column, message)
    }
    if (builder.type.name === 'string' || isUtf8(builder.data, start, end)) return null
    return invalid(
      this.path,
      this.column,
      'expected bytes that are UTF-8 in a partition column, found others',
    )
  }
}

/** Where a value comes from, as in a {@link BadRecordReason}. */
export function sourcePath(source: DecodeSource): string {
  switch (source.kind) {
    case 'payload':
      return `$${source.path.map(pathSegment).join('')}`
    case 'key':
      return 'kafka.key'
    case 'header':
      return `kafka.headers${pathSegment(source.name)}`
  }
}

function appendInteger(builder: ColumnBuilder, value: number): void {
  if (builder instanceof NumberBuilder) builder.append(value)
  else {
    assert(builder instanceof Int64Builder, 'a derived column holds integers or dates')
    builder.appendNumber(value)
  }
}

function invalid(path: string, column: string, message: string): BadRecordReason {
  return { code: 'RECORD_INVALID', path, column, message }
}

function isEqual(b: Uint8Array, start: number, end: number, other: Uint8Array): boolean {
  if (end - start !== other.length) return false
  for (let i = 0; i < other.length; i++) if (b[start + i] !== other[i]) return false
  return true
}
