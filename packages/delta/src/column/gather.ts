/**
 * Columns made of rows of other columns: a range of them, or any of them in any order.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { Arena, type ArenaArray, type ArenaArrayType } from './arena.ts'
import { COLUMN_DATA_MAX_BYTES } from './binary-builder.ts'
import { countUnsetBits, isBitSet, sliceBits } from './bitmap.ts'
import type { BinaryColumn, Column, ColumnBatch, ListColumn, MapColumn } from './column.ts'
import { copyBytes } from './copy-bytes.ts'

/** Row numbers of a column; each may occur any number of times. */
export type RowIndices = Int32Array | Uint32Array

/** Rows that follow one another are copied at once where so many do on average. */
const RUN_ROWS_MIN = 16

/** Rows that are asked for. */
interface Selection {
  readonly indices: RowIndices
  /**
   * The same as runs of rows that follow one another: the first row and the number of rows of each; null where they are
   * short. A topic is in the order of time, and so are the rows of a table partition by date, mostly.
   */
  readonly runs: Int32Array | null
}

function select(indices: RowIndices, arena: Arena): Selection {
  const runsMax = Math.floor(indices.length / RUN_ROWS_MIN)
  const runs = arena.take(Int32Array, runsMax * 2)
  let used = 0
  for (let i = 0; i < indices.length; ) {
    if (used === runs.length) return { indices, runs: null }
    const first = indices[i]!
    const start = i
    do i++
    while (i < indices.length && indices[i] === first + i - start)
    runs[used++] = first
    runs[used++] = i - start
  }
  return { indices, runs: runs.subarray(0, used) }
}

/**
 * A column whose row `i` is row `indices[i]` of `column`. Shares no buffer with it.
 * @param arena where its buffers are taken from
 */
export function gather(column: Column, indices: RowIndices, arena: Arena = new Arena()): Column {
  return gatherSelected(column, select(indices, arena), arena)
}

function gatherSelected(column: Column, selection: Selection, arena: Arena): Column {
  const { indices } = selection
  const base = { length: indices.length, ...gatherValidity(column, indices, arena) }
  switch (column.kind) {
    case 'boolean':
      return {
        ...base,
        kind: column.kind,
        type: column.type,
        values: gatherBits(column.values, indices, arena),
      }
    case 'int8':
    case 'int16':
    case 'int32':
    case 'float32':
    case 'float64':
      return {
        ...base,
        kind: column.kind,
        type: column.type,
        values: gatherNumbers(column.values, selection, arena),
      } as Column
    case 'int64':
      return {
        ...base,
        kind: column.kind,
        type: column.type,
        values: gatherWords(column.values, selection, 1, arena),
      }
    case 'decimal128':
      return {
        ...base,
        kind: column.kind,
        type: column.type,
        values: gatherWords(column.values, selection, 2, arena),
      }
    case 'binary':
      return { ...base, kind: column.kind, type: column.type, ...gatherBytes(column, selection, arena) }
    case 'list': {
      const { offsets, children } = gatherRanges(column, indices, arena)
      return {
        ...base,
        kind: column.kind,
        type: column.type,
        offsets,
        element: gather(column.element, children, arena),
      }
    }
    case 'map': {
      const { offsets, children } = gatherRanges(column, indices, arena)
      const key = gather(column.key, children, arena)
      return {
        ...base,
        kind: column.kind,
        type: column.type,
        offsets,
        key,
        value: gather(column.value, children, arena),
      }
    }
    case 'struct': {
      const fields = column.fields.map(child => gatherSelected(child, selection, arena))
      return { ...base, kind: column.kind, type: column.type, fields }
    }
  }
}

/** {@link gather} for every column of a batch. */
export function gatherBatch(
  batch: ColumnBatch,
  indices: RowIndices,
  arena: Arena = new Arena(),
): ColumnBatch {
  const selection = select(indices, arena)
  const columns = batch.columns.map(column => gatherSelected(column, selection, arena))
  return { schema: batch.schema, rowCount: indices.length, columns }
}

/** The rows `[from, to)`. Values are views of `column`'s buffers; offsets need not start at 0. */
export function sliceColumn(column: Column, from: number, to: number): Column {
  assert(0 <= from && from <= to && to <= column.length, 'a slice reaches outside its column')
  const nullCount = column.validity === null ? 0 : countUnsetBits(column.validity, from, to)
  const validity = nullCount === 0 ? null : sliceBits(column.validity!, from, to)
  const base = { length: to - from, nullCount, validity }
  switch (column.kind) {
    case 'boolean':
      return { ...column, ...base, values: sliceBits(column.values, from, to) }
    case 'decimal128':
      return { ...column, ...base, values: column.values.subarray(from * 2, to * 2) }
    case 'binary':
    case 'list':
    case 'map':
      return { ...column, ...base, offsets: column.offsets.subarray(from, to + 1) }
    case 'struct':
      return { ...column, ...base, fields: column.fields.map(child => sliceColumn(child, from, to)) }
    default:
      return { ...column, ...base, values: column.values.subarray(from, to) } as Column
  }
}

/** {@link sliceColumn} for every column of a batch. */
export function sliceBatch(batch: ColumnBatch, from: number, to: number): ColumnBatch {
  const columns = batch.columns.map(column => sliceColumn(column, from, to))
  return { schema: batch.schema, rowCount: to - from, columns }
}

function gatherValidity(
  column: Column,
  indices: RowIndices,
  arena: Arena,
): { nullCount: number; validity: Uint8Array | null } {
  if (column.nullCount === 0 || column.validity === null) return { nullCount: 0, validity: null }
  const validity = gatherBits(column.validity, indices, arena)
  const nullCount = countUnsetBits(validity, 0, indices.length)
  return { nullCount, validity: nullCount === 0 ? null : validity }
}

function gatherBits(bits: Uint8Array, indices: RowIndices, arena: Arena): Uint8Array {
  const gathered = arena.take(Uint8Array, (indices.length + 7) >> 3).fill(0)
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i]!
    gathered[i >> 3]! |= ((bits[index >> 3]! >> (index & 7)) & 1) << (i & 7)
  }
  return gathered
}

function gatherNumbers<T extends Int8Array | Int16Array | Int32Array | Float32Array | Float64Array>(
  values: T,
  { indices, runs }: Selection,
  arena: Arena,
): T {
  const gathered = arena.take(values.constructor as unknown as ArenaArrayType<T & ArenaArray>, indices.length)
  if (runs !== null) copyRuns(values, gathered, runs, 1)
  else for (let i = 0; i < indices.length; i++) gathered[i] = values[indices[i]!]!
  return gathered
}

/** Of rows that have `width` elements each. */
function copyRuns<T extends ArenaArray>(values: T, gathered: T, runs: Int32Array, width: number): void {
  let to = 0
  for (let run = 0; run < runs.length; run += 2) {
    const from = runs[run]! * width
    const size = runs[run + 1]! * width
    gathered.set(values.subarray(from, from + size) as never, to)
    to += size
  }
}

/** Rows of `words` 64-bit words each, copied as halves so that no BigInt is made. */
function gatherWords(
  values: BigInt64Array,
  { indices, runs }: Selection,
  words: 1 | 2,
  arena: Arena,
): BigInt64Array {
  const gathered = arena.take(BigInt64Array, indices.length * words)
  if (runs !== null) {
    copyRuns(values, gathered, runs, words)
    return gathered
  }
  const source = new Int32Array(values.buffer, values.byteOffset, values.length * 2)
  const target = new Int32Array(gathered.buffer, gathered.byteOffset, gathered.length * 2)
  const halves = words * 2
  for (let i = 0, to = 0; i < indices.length; i++) {
    const from = indices[i]! * halves
    for (let half = 0; half < halves; half++) target[to++] = source[from + half]!
  }
  return gathered
}

function gatherBytes(
  column: BinaryColumn,
  { indices, runs }: Selection,
  arena: Arena,
): { offsets: Int32Array; data: Uint8Array } {
  const offsets = gatherOffsets(column, indices, arena)
  const data = arena.take(Uint8Array, offsets[indices.length]!)
  if (runs !== null && copyByteRuns(column, runs, data)) return { offsets, data }
  for (let i = 0; i < indices.length; i++) {
    const to = offsets[i]!
    const from = column.offsets[indices[i]!]!
    copyBytes(column.data, from, from + offsets[i + 1]! - to, data, to)
  }
  return { offsets, data }
}

/** False where rows under nulls hold bytes, which do not come along: nothing of `data` counts then. */
function copyByteRuns(column: BinaryColumn, runs: Int32Array, data: Uint8Array): boolean {
  let to = 0
  for (let run = 0; run < runs.length; run += 2) {
    const first = runs[run]!
    const from = column.offsets[first]!
    const end = column.offsets[first + runs[run + 1]!]!
    if (to + end - from > data.length) return false
    data.set(column.data.subarray(from, end), to)
    to += end - from
  }
  return to === data.length
}

/** The offsets of the gathered rows, and the rows of the children that lie between them. */
function gatherRanges(
  column: ListColumn | MapColumn,
  indices: RowIndices,
  arena: Arena,
): { offsets: Int32Array; children: Int32Array } {
  const offsets = gatherOffsets(column, indices, arena)
  const children = arena.take(Int32Array, offsets[indices.length]!)
  for (let i = 0; i < indices.length; i++) {
    let child = column.offsets[indices[i]!]!
    for (let to = offsets[i]!; to < offsets[i + 1]!; to++) children[to] = child++
  }
  return { offsets, children }
}

/** Under a null the range becomes empty, whatever it was. */
function gatherOffsets(
  column: BinaryColumn | ListColumn | MapColumn,
  indices: RowIndices,
  arena: Arena,
): Int32Array {
  const offsets = arena.take(Int32Array, indices.length + 1)
  offsets[0] = 0
  const { validity } = column
  let end = 0
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i]!
    if (validity === null || isBitSet(validity, index)) {
      end += column.offsets[index + 1]! - column.offsets[index]!
    }
    offsets[i + 1] = end
  }
  assert(end <= COLUMN_DATA_MAX_BYTES, 'a gathered column outgrew its 32-bit offsets: gather fewer rows')
  return offsets
}
