/**
 * Builders of columns without children, each value as wide as the other: validity, and the values of one type.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { DataType, DecimalType, PrimitiveType } from '../schema.ts'
import { grown, INITIAL_ROWS, nextCapacity } from './buffer-growth.ts'
import { type Column, columnKindOf } from './column.ts'
import { SpareBuffer } from './spare-buffer.ts'

/** Of rows that are appended together: a byte each, 0 for null; null where none of them is. */
export type RowValidity = Uint8Array | null

export abstract class ColumnBuilder {
  abstract readonly type: DataType
  length = 0
  nullCount = 0
  protected validity: Uint8Array | null = null

  /** Bytes in use, without spare capacity. */
  abstract get sizeBytes(): number
  /** Drops every row from `length` on, complete or half appended. */
  abstract truncate(length: number): void
  abstract appendNull(): void
  /** The rows as a column; the builder is empty afterwards and owns none of the column's buffers. */
  abstract finish(): Column
  /** Takes the buffers of a column that {@link finish} gave out, and that nobody reads any more, for a later one. */
  abstract recycle(column: Column): void
  /**
   * Makes room for so many rows in all, as large as those so far: growing to them by doubling copies every value once more.
   * Untouched pages of a fresh buffer take no memory.
   */
  abstract reserve(rows: number): void

  isNullAt(index: number): boolean {
    return this.validity !== null && ((this.validity[index >> 3]! >> (index & 7)) & 1) === 0
  }

  /** Takes over the length and the nulls of another builder, as a copy. */
  protected copyValidity(from: ColumnBuilder): void {
    this.length = from.length
    this.nullCount = from.nullCount
    this.validity = from.validity?.slice() ?? null
  }

  protected get validitySizeBytes(): number {
    return this.validity === null ? 0 : (this.length + 7) >> 3
  }

  /** Counts one more row and notes that it has a value. */
  protected pushValid(): void {
    if (this.validity !== null) this.setValidityBit(this.length)
    this.length++
  }

  protected pushValidRun(count: number): void {
    if (this.validity === null) this.length += count
    else for (let i = 0; i < count; i++) this.pushValid()
  }

  /** A row that is null has a value now. */
  protected setValid(index: number): void {
    assert(this.isNullAt(index))
    this.validity![index >> 3]! |= 1 << (index & 7)
    this.nullCount--
  }

  /** Counts the rows `[from, to)` of somebody else; see {@link RowValidity}. */
  protected pushRows(validity: RowValidity, from: number, to: number): void {
    if (validity === null) this.pushValidRun(to - from)
    else for (let i = from; i < to; i++) validity[i] === 0 ? this.pushNull() : this.pushValid()
  }

  protected pushNull(): void {
    if (this.validity === null) {
      this.validity = new Uint8Array(Math.max(INITIAL_ROWS, this.length * 2) >> 3)
      this.validity.fill(0xff, 0, this.length >> 3)
      if ((this.length & 7) !== 0) this.validity[this.length >> 3] = (1 << (this.length & 7)) - 1
    }
    this.ensureValidity(this.length)
    this.validity[this.length >> 3]! &= ~(1 << (this.length & 7))
    this.nullCount++
    this.length++
  }

  protected truncateValidity(length: number): void {
    if (this.validity !== null && this.nullCount > 0) {
      for (let i = length; i < this.length; i++) {
        if (((this.validity[i >> 3]! >> (i & 7)) & 1) === 0) this.nullCount--
      }
    }
    this.length = length
  }

  /** The validity bitmap of the rows so far, and a clean slate. */
  protected takeValidity(): { length: number; nullCount: number; validity: Uint8Array | null } {
    const taken = {
      length: this.length,
      nullCount: this.nullCount,
      validity: this.nullCount === 0 ? null : this.validity!.subarray(0, (this.length + 7) >> 3),
    }
    this.length = 0
    this.nullCount = 0
    this.validity = null
    return taken
  }

  private setValidityBit(index: number): void {
    this.ensureValidity(index)
    this.validity![index >> 3]! |= 1 << (index & 7)
  }

  private ensureValidity(index: number): void {
    if (index >> 3 >= this.validity!.length) {
      const grown = new Uint8Array(this.validity!.length * 2)
      grown.set(this.validity!)
      this.validity = grown
    }
  }
}

export class BooleanBuilder extends ColumnBuilder {
  readonly type: PrimitiveType
  private values: Uint8Array = new Uint8Array(INITIAL_ROWS >> 3)
  private readonly spare = new SpareBuffer<Uint8Array>(Uint8Array)

  constructor(type: PrimitiveType) {
    super()
    this.type = type
  }

  get sizeBytes(): number {
    return ((this.length + 7) >> 3) + this.validitySizeBytes
  }

  append(value: boolean): void {
    const index = this.length
    if (index >> 3 >= this.values.length) this.values = grown(this.values, this.values.length * 2)
    if (value) this.values[index >> 3]! |= 1 << (index & 7)
    else this.values[index >> 3]! &= ~(1 << (index & 7))
    this.pushValid()
  }

  /** The rows `[from, to)` of these: a byte each. */
  appendRows(values: Uint8Array, validity: RowValidity, from: number, to: number): void {
    for (let i = from; i < to; i++) {
      if (validity !== null && validity[i] === 0) this.appendNull()
      else this.append(values[i] !== 0)
    }
  }

  /** The value of a row that is not null. */
  at(index: number): boolean {
    return ((this.values[index >> 3]! >> (index & 7)) & 1) === 1
  }

  appendNull(): void {
    if (this.length >> 3 >= this.values.length) this.values = grown(this.values, this.values.length * 2)
    this.pushNull()
  }

  truncate(length: number): void {
    this.truncateValidity(length)
  }

  reserve(rows: number): void {
    const capacity = (rows + 7) >> 3
    if (capacity > this.values.length) this.values = grown(this.values, capacity)
  }

  finish(): Column {
    const values = this.values.subarray(0, (this.length + 7) >> 3)
    this.values = this.spare.take((nextCapacity(this.length) + 7) >> 3)
    return { kind: 'boolean', type: this.type, values, ...this.takeValidity() }
  }

  recycle(column: Column): void {
    if (column.kind === 'boolean') this.spare.give(column.values)
  }
}

/** `byte`, `short`, `integer`, `date`, `float`, `double`: one number a row. The caller has checked the range. */
export class NumberBuilder extends ColumnBuilder {
  readonly type: PrimitiveType
  readonly kind: 'int8' | 'int16' | 'int32' | 'float32' | 'float64'
  private values: Numbers
  private readonly spare: SpareBuffer<Numbers>

  constructor(type: PrimitiveType) {
    super()
    const kind = columnKindOf(type)
    assert(
      kind === 'int8' || kind === 'int16' || kind === 'int32' || kind === 'float32' || kind === 'float64',
    )
    this.type = type
    this.kind = kind
    this.spare = new SpareBuffer<Numbers>(NUMBER_ARRAYS[kind])
    this.values = this.spare.take(INITIAL_ROWS)
  }

  get sizeBytes(): number {
    return this.length * this.values.BYTES_PER_ELEMENT + this.validitySizeBytes
  }

  append(value: number): void {
    if (this.length === this.values.length) this.grow()
    this.values[this.length] = value
    this.pushValid()
  }

  /** The same value for `count` rows. */
  appendRepeated(value: number, count: number): void {
    const end = this.length + count
    while (end > this.values.length) this.grow()
    this.values.fill(value, this.length, end)
    this.pushValidRun(count)
  }

  /** The rows `[from, to)` of these; 0 under a null. */
  appendRows(values: Numbers, validity: RowValidity, from: number, to: number): void {
    const end = this.length + to - from
    while (end > this.values.length) this.grow()
    this.values.set(values.subarray(from, to), this.length)
    this.pushRows(validity, from, to)
  }

  /** Gives a row that is null a value. */
  fill(index: number, value: number): void {
    this.setValid(index)
    this.values[index] = value
  }

  /** The value of a row that is not null. */
  at(index: number): number {
    return this.values[index]!
  }

  appendNull(): void {
    if (this.length === this.values.length) this.grow()
    this.values[this.length] = 0
    this.pushNull()
  }

  truncate(length: number): void {
    this.truncateValidity(length)
  }

  reserve(rows: number): void {
    if (rows > this.values.length) this.values = grown(this.values, rows)
  }

  finish(): Column {
    const values = this.values.subarray(0, this.length)
    this.values = this.spare.take(nextCapacity(this.length))
    return { kind: this.kind, type: this.type, values, ...this.takeValidity() } as Column
  }

  recycle(column: Column): void {
    if (column.kind === this.kind) this.spare.give(column.values as Numbers)
  }

  private grow(): void {
    this.values = grown(this.values, this.values.length * 2)
  }
}

/** `long`, `timestamp`, `timestamp_ntz`: 64 bits a row, written as two halves so that no BigInt is made. */
export class Int64Builder extends ColumnBuilder {
  readonly type: PrimitiveType
  private values: BigInt64Array = new BigInt64Array(INITIAL_ROWS)
  private halves: Int32Array = new Int32Array(this.values.buffer)
  private readonly spare = new SpareBuffer<BigInt64Array>(BigInt64Array)

  constructor(type: PrimitiveType) {
    super()
    assert(columnKindOf(type) === 'int64')
    this.type = type
  }

  get sizeBytes(): number {
    return this.length * 8 + this.validitySizeBytes
  }

  /** @param value an integer between ±(2^53 − 1) */
  appendNumber(value: number): void {
    this.appendHalves(value | 0, Math.floor(value / 0x1_0000_0000))
  }

  /**
   * `base` and each of `deltas[from … to)` together, a row each.
   *
   * @param base an integer between 0 and 2^53 − 2^31, so that the sums are exact
   */
  appendSums(base: number, deltas: Int32Array, from: number, to: number): void {
    while (this.length + to - from > this.values.length) this.grow()
    const { halves } = this
    let at = this.length * 2
    for (let i = from; i < to; i++) {
      const value = base + deltas[i]!
      halves[at++] = value | 0
      halves[at++] = Math.floor(value / 0x1_0000_0000)
    }
    this.pushValidRun(to - from)
  }

  /** @param low bits 0–31 as an int32; @param high bits 32–63 as an int32 */
  appendHalves(low: number, high: number): void {
    if (this.length === this.values.length) this.grow()
    this.halves[this.length * 2] = low
    this.halves[this.length * 2 + 1] = high
    this.pushValid()
  }

  append(value: bigint): void {
    if (this.length === this.values.length) this.grow()
    this.values[this.length] = value
    this.pushValid()
  }

  /** The rows `[from, to)` of these; 0 under a null. */
  appendRows(values: BigInt64Array, validity: RowValidity, from: number, to: number): void {
    const end = this.length + to - from
    while (end > this.values.length) this.grow()
    this.values.set(values.subarray(from, to), this.length)
    this.pushRows(validity, from, to)
  }

  /**
   * Gives a row that is null a value.
   * @param value an integer between ±(2^53 − 1)
   */
  fill(index: number, value: number): void {
    this.setValid(index)
    this.values[index] = BigInt(value)
  }

  /** The value of a row that is not null. */
  at(index: number): bigint {
    return this.values[index]!
  }

  /** The value as a number: exact between ±(2^53 − 1). */
  numberAt(index: number): number {
    return this.halves[index * 2 + 1]! * 0x1_0000_0000 + (this.halves[index * 2]! >>> 0)
  }

  appendNull(): void {
    if (this.length === this.values.length) this.grow()
    this.values[this.length] = 0n
    this.pushNull()
  }

  truncate(length: number): void {
    this.truncateValidity(length)
  }

  reserve(rows: number): void {
    if (rows > this.values.length) this.resize(rows)
  }

  finish(): Column {
    const values = this.values.subarray(0, this.length)
    this.values = this.spare.take(nextCapacity(this.length))
    this.halves = new Int32Array(this.values.buffer)
    return { kind: 'int64', type: this.type, values, ...this.takeValidity() }
  }

  recycle(column: Column): void {
    if (column.kind === 'int64') this.spare.give(column.values)
  }

  private grow(): void {
    this.resize(this.values.length * 2)
  }

  private resize(rows: number): void {
    this.values = grown(this.values, rows)
    this.halves = new Int32Array(this.values.buffer)
  }
}

export class DecimalBuilder extends ColumnBuilder {
  readonly type: DecimalType
  private values: BigInt64Array = new BigInt64Array(INITIAL_ROWS * 2)
  private words: Int32Array = new Int32Array(this.values.buffer)
  private readonly spare = new SpareBuffer<BigInt64Array>(BigInt64Array)

  constructor(type: DecimalType) {
    super()
    this.type = type
  }

  get sizeBytes(): number {
    return this.length * 16 + this.validitySizeBytes
  }

  /** @param unscaled the value times 10^scale; the caller has checked that it fits the precision */
  append(unscaled: bigint): void {
    if (this.length * 2 === this.values.length) this.grow()
    this.values[this.length * 2] = unscaled
    this.values[this.length * 2 + 1] = unscaled >> 64n
    this.pushValid()
  }

  /** @param unscaled an integer between ±(2^53 − 1), within the precision */
  appendNumber(unscaled: number): void {
    const sign = unscaled < 0 ? -1 : 0
    this.appendWords(unscaled | 0, Math.floor(unscaled / 0x1_0000_0000), sign, sign)
  }

  /** Bits 0–31, 32–63, 64–95 and 96–127 of the unscaled value in two's complement, each as an int32. */
  appendWords(w0: number, w1: number, w2: number, w3: number): void {
    if (this.length * 2 === this.values.length) this.grow()
    const at = this.length * 4
    this.words[at] = w0
    this.words[at + 1] = w1
    this.words[at + 2] = w2
    this.words[at + 3] = w3
    this.pushValid()
  }

  /** The unscaled value of a row that is not null. */
  at(index: number): bigint {
    return (this.values[index * 2 + 1]! << 64n) | BigInt.asUintN(64, this.values[index * 2]!)
  }

  appendNull(): void {
    if (this.length * 2 === this.values.length) this.grow()
    this.values[this.length * 2] = 0n
    this.values[this.length * 2 + 1] = 0n
    this.pushNull()
  }

  truncate(length: number): void {
    this.truncateValidity(length)
  }

  reserve(rows: number): void {
    if (rows * 2 > this.values.length) this.resize(rows * 2)
  }

  finish(): Column {
    const values = this.values.subarray(0, this.length * 2)
    this.values = this.spare.take(nextCapacity(this.length) * 2)
    this.words = new Int32Array(this.values.buffer)
    return { kind: 'decimal128', type: this.type, values, ...this.takeValidity() }
  }

  recycle(column: Column): void {
    if (column.kind === 'decimal128') this.spare.give(column.values)
  }

  private grow(): void {
    this.resize(this.values.length * 2)
  }

  private resize(words: number): void {
    this.values = grown(this.values, words)
    this.words = new Int32Array(this.values.buffer)
  }
}

/** Values of a {@link NumberBuilder}. */
export type Numbers = Int8Array | Int16Array | Int32Array | Float32Array | Float64Array

/** The array that holds numbers of a kind. */
export const NUMBER_ARRAYS = {
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  float32: Float32Array,
  float64: Float64Array,
} as const
