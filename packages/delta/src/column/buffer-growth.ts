/**
 * Buffers of columns that grow: how large they begin, and larger copies of them.
 *
 * @module
 */
import type { ArenaArray } from './arena.ts'

/** Capacity of a builder that is empty. */
export const INITIAL_ROWS = 1024

/**
 * Capacity after a batch of this many rows was handed out: the next one is likely to be of the same size, and growing to
 * it by doubling would copy every value once more. Untouched pages of a fresh buffer take no memory.
 */
export function nextCapacity(rows: number): number {
  return Math.max(INITIAL_ROWS, rows + (rows >> 3))
}

/** The values with room for as many as `capacity`. */
export function grown<T extends ArenaArray>(values: T, capacity: number): T {
  const larger = new (values.constructor as new (length: number) => T)(capacity)
  larger.set(values as never)
  return larger
}

/** Offsets with room for twice as many rows. */
export function grownOffsets(offsets: Int32Array): Int32Array {
  return reservedOffsets(offsets, (offsets.length - 1) * 2)
}

/** Offsets with room for so many rows at least. */
export function reservedOffsets(offsets: Int32Array, rows: number): Int32Array {
  return rows < offsets.length ? offsets : grown(offsets, rows + 1)
}

/** What `rows` rows have where `length` rows have `count`, and an eighth more. */
export function inProportion(count: number, length: number, rows: number): number {
  return length === 0 ? 0 : Math.ceil((count / length) * rows * 1.125)
}

/**
 * Appends the ranges of the rows `[from, to)` of `added` behind row `length` of `offsets`, or of a larger copy of it.
 * Their content follows the last one's: it begins at `offsets[length]`.
 */
export function withRanges(
  offsets: Int32Array,
  length: number,
  added: Int32Array,
  from: number,
  to: number,
): Int32Array {
  let target = offsets
  while (length + to - from >= target.length) target = grownOffsets(target)
  const shift = target[length]! - added[from]!
  for (let i = from, at = length; i < to; i++) target[++at] = added[i + 1]! + shift
  return target
}
