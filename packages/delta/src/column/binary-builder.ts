/**
 * The builder of strings and binaries: offsets, and the bytes of all rows one behind the other.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { PrimitiveType } from '../schema.ts'
import {
  grown,
  grownOffsets,
  INITIAL_ROWS,
  inProportion,
  nextCapacity,
  reservedOffsets,
  withRanges,
} from './buffer-growth.ts'
import { type Column, columnKindOf } from './column.ts'
import { copyBytes } from './copy-bytes.ts'
import { ColumnBuilder, type RowValidity } from './primitive-builder.ts'
import { SpareBuffer } from './spare-buffer.ts'

/** 32-bit offsets: a string or binary column holds at most this much before the batch must be cut. */
export const COLUMN_DATA_MAX_BYTES: number = 2 ** 31 - 1

/** `string` (the caller has checked the UTF-8) and `binary`. */
export class BinaryBuilder extends ColumnBuilder {
  readonly type: PrimitiveType
  private offsets: Int32Array = new Int32Array(INITIAL_ROWS + 1)
  /** The bytes of all rows; a scanner may write behind `dataEnd` itself after `ensure`, then call `appendWritten`. */
  data: Uint8Array = new Uint8Array(INITIAL_ROWS * 16)
  dataEnd = 0
  private readonly spareOffsets = new SpareBuffer<Int32Array>(Int32Array)
  private readonly spareData = new SpareBuffer<Uint8Array>(Uint8Array)

  constructor(type: PrimitiveType) {
    super()
    assert(columnKindOf(type) === 'binary')
    this.type = type
  }

  get sizeBytes(): number {
    return this.dataEnd + (this.length + 1) * 4 + this.validitySizeBytes
  }

  /** Room for `sizeBytes` more in `data`. */
  ensure(sizeBytes: number): void {
    const needed = this.dataEnd + sizeBytes
    if (needed <= this.data.length) return
    assert(
      needed <= COLUMN_DATA_MAX_BYTES,
      'a column outgrew its 32-bit offsets: the batch must be cut earlier',
    )
    let capacity = this.data.length * 2
    while (capacity < needed) capacity *= 2
    this.data = grown(this.data, Math.min(capacity, COLUMN_DATA_MAX_BYTES))
  }

  /** Ends the row with what was written to `data` from `dataEnd` up to `end`. */
  appendWritten(end: number): void {
    this.dataEnd = end
    this.closeRow()
    this.pushValid()
  }

  append(bytes: Uint8Array): void {
    this.appendRange(bytes, 0, bytes.length)
  }

  appendRange(source: Uint8Array, start: number, end: number): void {
    const size = end - start
    this.ensure(size)
    copyBytes(source, start, end, this.data, this.dataEnd)
    this.appendWritten(this.dataEnd + size)
  }

  /** The rows `[from, to)` of these offsets into `bytes`; empty under a null. */
  appendRows(offsets: Int32Array, bytes: Uint8Array, validity: RowValidity, from: number, to: number): void {
    const start = offsets[from]!
    const end = offsets[to]!
    this.ensure(end - start)
    this.data.set(bytes.subarray(start, end), this.dataEnd)
    this.offsets = withRanges(this.offsets, this.length, offsets, from, to)
    this.dataEnd += end - start
    this.pushRows(validity, from, to)
  }

  /** The same value for `count` rows. */
  appendRepeated(bytes: Uint8Array, count: number): void {
    const size = bytes.length
    this.ensure(size * count)
    while (this.length + count + 1 > this.offsets.length) this.offsets = grownOffsets(this.offsets)
    const { data, offsets, length } = this
    const start = this.dataEnd
    const end = start + size * count
    if (count > 0) data.set(bytes, start)
    // Twice as much each time: few calls, however many rows.
    for (let filled = start + size; filled < end; filled += Math.min(filled - start, end - filled)) {
      data.copyWithin(filled, start, start + Math.min(filled - start, end - filled))
    }
    for (let i = 1; i <= count; i++) offsets[length + i] = start + size * i
    this.dataEnd = end
    this.pushValidRun(count)
  }

  appendString(text: string): void {
    this.ensure(text.length * 3)
    const { written } = utf8Encoder.encodeInto(text, this.data.subarray(this.dataEnd))
    this.appendWritten(this.dataEnd + written)
  }

  startOf(index: number): number {
    return this.offsets[index]!
  }

  endOf(index: number): number {
    return this.offsets[index + 1]!
  }

  appendNull(): void {
    this.closeRow()
    this.pushNull()
  }

  truncate(length: number): void {
    this.truncateValidity(length)
    this.dataEnd = this.offsets[length]!
  }

  reserve(rows: number): void {
    this.offsets = reservedOffsets(this.offsets, rows)
    const capacity = Math.min(COLUMN_DATA_MAX_BYTES, inProportion(this.dataEnd, this.length, rows))
    if (capacity > this.data.length) this.data = grown(this.data, capacity)
  }

  finish(): Column {
    const offsets = this.offsets.subarray(0, this.length + 1)
    const data = this.data.subarray(0, this.dataEnd)
    this.offsets = this.spareOffsets.take(nextCapacity(this.length) + 1)
    this.data = this.spareData.take(Math.min(COLUMN_DATA_MAX_BYTES, nextCapacity(this.dataEnd)))
    this.dataEnd = 0
    return { kind: 'binary', type: this.type, offsets, data, ...this.takeValidity() }
  }

  recycle(column: Column): void {
    if (column.kind !== 'binary') return
    this.spareOffsets.give(column.offsets)
    this.spareData.give(column.data)
  }

  private closeRow(): void {
    if (this.length + 1 === this.offsets.length) this.offsets = grownOffsets(this.offsets)
    this.offsets[this.length + 1] = this.dataEnd
  }
}

const utf8Encoder = new TextEncoder()
