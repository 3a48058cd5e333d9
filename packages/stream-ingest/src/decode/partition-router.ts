/**
 * Which table partition a row belongs to, as a small integer.
 *
 * Rows of all table partitions share one set of builders. The router compares the row just appended with the last one,
 * then looks its values up by hash; the values themselves are taken out of the builders once for each partition.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { type DataType, formatPartitionValue, type PartitionValue } from '@stream-ingest/delta'
import {
  type BatchBuilder,
  BinaryBuilder,
  BooleanBuilder,
  type ColumnBuilder,
  DecimalBuilder,
  Int64Builder,
  NumberBuilder,
} from '@stream-ingest/delta/column'
import type { TableLayout } from '../config/table-layout.ts'
import { HASH_SEED, hashOf } from './hash.ts'

export interface TablePartition {
  /** In the order of the layout's partition columns. */
  readonly values: readonly (PartitionValue | null)[]
  /** As they stand in an `add` action. */
  readonly partitionValues: Readonly<Record<string, string | null>>
}

interface PartitionColumn {
  readonly name: string
  readonly type: DataType
  readonly builder: ColumnBuilder
}

const SLOTS_MIN = 64

export class PartitionRouter {
  private readonly columns: readonly PartitionColumn[]
  private readonly partitionsMax: number
  private partitions: TablePartition[] = []
  /** Per partition, its first row and how many it has. */
  private firstRows: number[] = []
  private rowCounts: number[] = []
  private lastRow = -1
  private lastId = 0
  #largestRowCount = 0
  /** Open-addressed: partition id + 1, at most half full. */
  private slots = new Int32Array(SLOTS_MIN)

  /**
   * @param partitionsMax from how many on the router is full: the caller then cuts
   */
  constructor(layout: TableLayout, batch: BatchBuilder, partitionsMax: number) {
    this.partitionsMax = partitionsMax
    this.columns = layout.partitionColumns.map(name => {
      const index = layout.schema.fields.findIndex(f => f.name === name)
      assert(index >= 0, `the partition column ${name} is not in the layout`)
      return { name, type: layout.schema.fields[index]!.type, builder: batch.columns[index]! }
    })
  }

  get partitionCount(): number {
    return this.partitions.length
  }

  /** How many partitions more there may be: none where the router is full. */
  get room(): number {
    return Math.max(0, this.partitionsMax - this.partitions.length)
  }

  get largestRowCount(): number {
    return this.#largestRowCount
  }

  /** The id of a row that was appended whole. Rows are routed in their order, each once. */
  route(row: number): number {
    if (this.lastRow < 0 || !this.isSame(this.lastRow, row)) this.lastId = this.find(row)
    this.lastRow = row
    const count = ++this.rowCounts[this.lastId]!
    if (count > this.#largestRowCount) this.#largestRowCount = count
    return this.lastId
  }

  /** The partitions by id; the router is empty afterwards. */
  finish(): TablePartition[] {
    const taken = this.partitions
    this.partitions = []
    this.firstRows = []
    this.rowCounts = []
    this.lastRow = -1
    this.lastId = 0
    this.#largestRowCount = 0
    this.slots = new Int32Array(SLOTS_MIN)
    return taken
  }

  private find(row: number): number {
    const { slots } = this
    const mask = slots.length - 1
    let slot = this.hashAt(row) & mask
    for (; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const id = slots[slot]! - 1
      if (this.isSame(this.firstRows[id]!, row)) return id
    }
    slots[slot] = this.partitions.length + 1
    return this.open(row)
  }

  private open(row: number): number {
    const id = this.partitions.length
    const values = this.columns.map(({ builder }) => valueAt(builder, row))
    const partitionValues = Object.fromEntries(
      this.columns.map(({ name, type }, i) => [name, formatPartitionValue(type, values[i]!)]),
    )
    this.partitions.push({ values, partitionValues })
    this.firstRows.push(row)
    this.rowCounts.push(0)
    if (this.partitions.length * 2 > this.slots.length) this.enlarge()
    return id
  }

  private enlarge(): void {
    const slots = new Int32Array(this.slots.length * 2)
    const mask = slots.length - 1
    for (const [id, row] of this.firstRows.entries()) {
      let slot = this.hashAt(row) & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = id + 1
    }
    this.slots = slots
  }

  private hashAt(row: number): number {
    let hash = HASH_SEED
    for (const { builder } of this.columns) hash = Math.imul(hash, 31) + hashOfValue(builder, row)
    return hash ^ (hash >>> 15)
  }

  private isSame(a: number, b: number): boolean {
    for (let i = 0; i < this.columns.length; i++) {
      if (!isSameValue(this.columns[i]!.builder, a, b)) return false
    }
    return true
  }
}

function isSameValue(builder: ColumnBuilder, a: number, b: number): boolean {
  const isNull = isNullPartition(builder, a)
  if (isNull || isNullPartition(builder, b)) return isNull && isNullPartition(builder, b)
  if (builder instanceof BinaryBuilder) return isSameBytes(builder, a, b)
  if (builder instanceof NumberBuilder) return builder.at(a) === builder.at(b)
  if (builder instanceof Int64Builder) {
    const value = builder.numberAt(a)
    return value === builder.numberAt(b) && (Number.isSafeInteger(value) || builder.at(a) === builder.at(b))
  }
  if (builder instanceof BooleanBuilder) return builder.at(a) === builder.at(b)
  assert(builder instanceof DecimalBuilder)
  return builder.at(a) === builder.at(b)
}

function isSameBytes(builder: BinaryBuilder, a: number, b: number): boolean {
  const { data } = builder
  let p = builder.startOf(a)
  let q = builder.startOf(b)
  const end = builder.endOf(a)
  if (end - p !== builder.endOf(b) - q) return false
  while (p < end && data[p] === data[q]) {
    p++
    q++
  }
  return p === end
}

/** Empty text is null in a partition column. */
function isNullPartition(builder: ColumnBuilder, row: number): boolean {
  if (builder.isNullAt(row)) return true
  return builder instanceof BinaryBuilder && builder.startOf(row) === builder.endOf(row)
}

function hashOfValue(builder: ColumnBuilder, row: number): number {
  if (isNullPartition(builder, row)) return 0
  if (builder instanceof BinaryBuilder) {
    return hashOf(builder.data, builder.startOf(row), builder.endOf(row))
  }
  if (builder instanceof NumberBuilder) return hashOfNumber(builder.at(row))
  if (builder instanceof Int64Builder) return hashOfNumber(builder.numberAt(row))
  if (builder instanceof BooleanBuilder) return builder.at(row) ? 1 : 2
  assert(builder instanceof DecimalBuilder)
  return hashOfNumber(Number(builder.at(row)))
}

/** Mixes low and high bits and the fraction; 0 and −0, which are one value, alike. */
function hashOfNumber(value: number): number {
  return Math.imul(value | 0, 0x9e3779b1) ^ Math.imul((value * 1e-6) | 0, 0x85ebca6b) ^ ((value * 1e6) | 0)
}

function valueAt(builder: ColumnBuilder, row: number): PartitionValue | null {
  if (isNullPartition(builder, row)) return null
  if (builder instanceof BinaryBuilder) {
    const bytes = builder.data.slice(builder.startOf(row), builder.endOf(row))
    return builder.type.name === 'string'
      ? new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
      : bytes
  }
  if (
    builder instanceof NumberBuilder ||
    builder instanceof Int64Builder ||
    builder instanceof BooleanBuilder ||
    builder instanceof DecimalBuilder
  ) {
    return builder.at(row)
  }
  assert.fail('a partition column has a simple type')
}
