/**
 * Builders of Arrow-layout columns: append, roll back to a row, hand out.
 *
 * A decoder appends a row column by column; where the row turns out bad it calls `truncate` with the length at the
 * row's start, in whatever state the columns are. Buffers double when full. `finish` hands the buffers out as views
 * without copying and leaves the builder empty with fresh ones.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { ArrayType, DataType, DecimalType, MapType, PrimitiveType, StructType } from '../schema.ts'
import { BinaryBuilder } from './binary-builder.ts'
import {
  grownOffsets,
  INITIAL_ROWS,
  inProportion,
  nextCapacity,
  reservedOffsets,
  withRanges,
} from './buffer-growth.ts'
import { type Column, type ColumnBatch, columnKindOf } from './column.ts'
import {
  BooleanBuilder,
  ColumnBuilder,
  DecimalBuilder,
  Int64Builder,
  NumberBuilder,
  type RowValidity,
} from './primitive-builder.ts'
import { SpareBuffer } from './spare-buffer.ts'

export { BinaryBuilder, COLUMN_DATA_MAX_BYTES } from './binary-builder.ts'
export {
  BooleanBuilder,
  ColumnBuilder,
  DecimalBuilder,
  Int64Builder,
  NUMBER_ARRAYS,
  NumberBuilder,
  type Numbers,
  type RowValidity,
} from './primitive-builder.ts'

/** Append the elements to `element`, then `appendEnd` closes the row around them. */
export class ListBuilder extends ColumnBuilder {
  readonly type: ArrayType
  readonly element: ColumnBuilder
  private offsets: Int32Array = new Int32Array(INITIAL_ROWS + 1)
  private readonly spareOffsets = new SpareBuffer<Int32Array>(Int32Array)

  /** @param element of the type's element; a new one by default */
  constructor(type: ArrayType, element: ColumnBuilder = createColumnBuilder(type.element)) {
    super()
    this.type = type
    this.element = element
  }

  /** The rows `[from, to)` of these offsets; empty under a null. Their elements are yet to be appended. */
  appendRows(offsets: Int32Array, validity: RowValidity, from: number, to: number): void {
    this.offsets = withRanges(this.offsets, this.length, offsets, from, to)
    this.pushRows(validity, from, to)
  }

  /** A builder with these rows, whose elements are in `element`: as many as in this one's. */
  withElement(type: ArrayType, element: ColumnBuilder): ListBuilder {
    const same = new ListBuilder(type, element)
    same.copyValidity(this)
    same.offsets = this.offsets.slice()
    return same
  }

  get sizeBytes(): number {
    return this.element.sizeBytes + (this.length + 1) * 4 + this.validitySizeBytes
  }

  appendEnd(): void {
    this.closeRow()
    this.pushValid()
  }

  appendNull(): void {
    assert(this.element.length === this.offsets[this.length]!, 'a null list has elements')
    this.closeRow()
    this.pushNull()
  }

  truncate(length: number): void {
    this.truncateValidity(length)
    this.element.truncate(this.offsets[length]!)
  }

  reserve(rows: number): void {
    this.offsets = reservedOffsets(this.offsets, rows)
    this.element.reserve(inProportion(this.element.length, this.length, rows))
  }

  finish(): Column {
    assert(this.element.length === this.offsets[this.length]!, 'a list was not ended')
    const offsets = this.offsets.subarray(0, this.length + 1)
    this.offsets = this.spareOffsets.take(nextCapacity(this.length) + 1)
    return { kind: 'list', type: this.type, offsets, element: this.element.finish(), ...this.takeValidity() }
  }

  recycle(column: Column): void {
    if (column.kind !== 'list') return
    this.spareOffsets.give(column.offsets)
    this.element.recycle(column.element)
  }

  private closeRow(): void {
    if (this.length + 1 === this.offsets.length) this.offsets = grownOffsets(this.offsets)
    this.offsets[this.length + 1] = this.element.length
  }
}

/** Append as many to `key` as to `value`, then `appendEnd` closes the row around them. */
export class MapBuilder extends ColumnBuilder {
  readonly type: MapType
  readonly key: ColumnBuilder
  readonly value: ColumnBuilder
  private offsets: Int32Array = new Int32Array(INITIAL_ROWS + 1)
  private readonly spareOffsets = new SpareBuffer<Int32Array>(Int32Array)

  /** @param key of the type's key, as `value` is of its value; new ones by default */
  constructor(
    type: MapType,
    key: ColumnBuilder = createColumnBuilder(type.key),
    value: ColumnBuilder = createColumnBuilder(type.value),
  ) {
    super()
    this.type = type
    this.key = key
    this.value = value
  }

  /** The rows `[from, to)` of these offsets; empty under a null. Their entries are yet to be appended. */
  appendRows(offsets: Int32Array, validity: RowValidity, from: number, to: number): void {
    this.offsets = withRanges(this.offsets, this.length, offsets, from, to)
    this.pushRows(validity, from, to)
  }

  /** A builder with these rows, whose entries are in `key` and `value`: as many as in this one's. */
  withEntries(type: MapType, key: ColumnBuilder, value: ColumnBuilder): MapBuilder {
    const same = new MapBuilder(type, key, value)
    same.copyValidity(this)
    same.offsets = this.offsets.slice()
    return same
  }

  get sizeBytes(): number {
    return this.key.sizeBytes + this.value.sizeBytes + (this.length + 1) * 4 + this.validitySizeBytes
  }

  appendEnd(): void {
    assert(this.key.length === this.value.length, 'a map has more keys than values, or fewer')
    this.closeRow()
    this.pushValid()
  }

  appendNull(): void {
    assert(this.key.length === this.offsets[this.length]!, 'a null map has entries')
    this.closeRow()
    this.pushNull()
  }

  truncate(length: number): void {
    this.truncateValidity(length)
    this.key.truncate(this.offsets[length]!)
    this.value.truncate(this.offsets[length]!)
  }

  reserve(rows: number): void {
    this.offsets = reservedOffsets(this.offsets, rows)
    const entries = inProportion(this.key.length, this.length, rows)
    this.key.reserve(entries)
    this.value.reserve(entries)
  }

  finish(): Column {
    const offsets = this.offsets.subarray(0, this.length + 1)
    this.offsets = this.spareOffsets.take(nextCapacity(this.length) + 1)
    assert(
      this.key.length === offsets.at(-1)! && this.value.length === offsets.at(-1)!,
      'a map was not ended',
    )
    const key = this.key.finish()
    const value = this.value.finish()
    return { kind: 'map', type: this.type, offsets, key, value, ...this.takeValidity() }
  }

  recycle(column: Column): void {
    if (column.kind !== 'map') return
    this.spareOffsets.give(column.offsets)
    this.key.recycle(column.key)
    this.value.recycle(column.value)
  }

  private closeRow(): void {
    if (this.length + 1 === this.offsets.length) this.offsets = grownOffsets(this.offsets)
    this.offsets[this.length + 1] = this.key.length
  }
}

/** Append one value to each of `fields`, then `appendPresent` closes the row. */
export class StructBuilder extends ColumnBuilder {
  readonly type: StructType
  readonly fields: readonly ColumnBuilder[]

  /** @param fields one for each of the type's, of equal length; new ones by default */
  constructor(
    type: StructType,
    fields: readonly ColumnBuilder[] = type.fields.map(f => createColumnBuilder(f.type)),
  ) {
    super()
    this.type = type
    this.fields = fields
  }

  /** The rows `[from, to)`, whose values are yet to be appended; nulls in each field under a null. */
  appendRows(validity: RowValidity, from: number, to: number): void {
    this.pushRows(validity, from, to)
  }

  /** A builder with these rows, whose values are in `fields`, each as long as this one. */
  withFields(type: StructType, fields: readonly ColumnBuilder[]): StructBuilder {
    const same = new StructBuilder(type, fields)
    same.copyValidity(this)
    return same
  }

  get sizeBytes(): number {
    let total = this.validitySizeBytes
    for (const child of this.fields) total += child.sizeBytes
    return total
  }

  appendPresent(): void {
    for (let i = 0; i < this.fields.length; i++) {
      assert(this.fields[i]!.length === this.length + 1, 'a struct child has another length than its struct')
    }
    this.pushValid()
  }

  /** The children get a null each, so that lengths stay equal. */
  appendNull(): void {
    for (const child of this.fields) child.appendNull()
    this.pushNull()
  }

  truncate(length: number): void {
    this.truncateValidity(length)
    for (const child of this.fields) child.truncate(length)
  }

  reserve(rows: number): void {
    for (const child of this.fields) child.reserve(rows)
  }

  finish(): Column {
    const length = this.length
    const fields = this.fields.map(child => {
      assert(child.length === length, 'a struct child has another length than its struct')
      return child.finish()
    })
    return { kind: 'struct', type: this.type, fields, ...this.takeValidity() }
  }

  recycle(column: Column): void {
    if (column.kind !== 'struct') return
    for (const [i, child] of column.fields.entries()) this.fields[i]?.recycle(child)
  }
}

/** @throws AssertionError for `void` and `variant`, which have no columns: the caller leaves them out */
export function createColumnBuilder(type: DataType): ColumnBuilder {
  switch (columnKindOf(type)) {
    case 'boolean':
      return new BooleanBuilder(type as PrimitiveType)
    case 'int8':
    case 'int16':
    case 'int32':
    case 'float32':
    case 'float64':
      return new NumberBuilder(type as PrimitiveType)
    case 'int64':
      return new Int64Builder(type as PrimitiveType)
    case 'decimal128':
      return new DecimalBuilder(type as DecimalType)
    case 'binary':
      return new BinaryBuilder(type as PrimitiveType)
    case 'list':
      return new ListBuilder(type as ArrayType)
    case 'map':
      return new MapBuilder(type as MapType)
    case 'struct':
      return new StructBuilder(type as StructType)
    default:
      assert.fail(`no column holds the type ${JSON.stringify(type)}`)
  }
}

/** The builders of a table's columns. A row is complete when each column has one value more. */
export class BatchBuilder {
  readonly schema: StructType
  readonly columns: readonly ColumnBuilder[]
  rowCount = 0

  /** @param columns one for each field of the schema, of equal length; new ones by default */
  constructor(
    schema: StructType,
    columns: readonly ColumnBuilder[] = schema.fields.map(f => createColumnBuilder(f.type)),
  ) {
    this.schema = schema
    this.columns = columns
  }

  get sizeBytes(): number {
    let total = 0
    for (const column of this.columns) total += column.sizeBytes
    return total
  }

  /** Counts the row whose values have just been appended, one to each column. */
  endRow(): void {
    this.rowCount++
  }

  /** Counts so many rows whose values have just been appended. */
  endRows(count: number): void {
    this.rowCount += count
  }

  /** Makes room for so many rows in all, as large as those so far. */
  reserve(rows: number): void {
    for (const column of this.columns) column.reserve(rows)
  }

  /** Drops what was appended since the last `endRow`. */
  rollBackRow(): void {
    for (const column of this.columns) column.truncate(this.rowCount)
  }

  finish(): ColumnBatch {
    const rowCount = this.rowCount
    const columns = this.columns.map(column => {
      assert(column.length === rowCount, 'a column has another length than the batch')
      return column.finish()
    })
    this.rowCount = 0
    return { schema: this.schema, rowCount, columns }
  }

  /**
   * Takes the buffers of a batch that {@link finish} gave out, and that nobody reads any more, for a later one. Of a
   * batch under an earlier schema, those that still suit.
   */
  recycle(batch: ColumnBatch): void {
    for (const [i, column] of batch.columns.entries()) this.columns[i]?.recycle(column)
  }
}
