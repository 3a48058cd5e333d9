/**
 * Few messages of which a table's figures tell exactly which ones it holds.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { EncodableRecord } from '../../src/kafka/record-batch-encoder.ts'
import { readBoth } from './lake-table.ts'

/** More would not fit into one int64. */
const MARKS_MAX = 62

/** Of the message of mark 0; each further one is a second younger. */
const FIRST_MARK_MS = Date.UTC(2026, 0, 1)

/** A message of the example's schema whose user id is a power of two of its own. */
export function markedEvent(mark: number): string {
  assert(mark >= 0 && mark < MARKS_MAX)
  return `{"user_id":${1n << BigInt(mark)},"event_type":"mark ${mark}","timestamp":${markedAtMs(mark)}}`
}

export function markedAtMs(mark: number): number {
  return FIRST_MARK_MS + mark * 1000
}

export function markedEvents(from: number, to: number): string[] {
  return range(from, to).map(markedEvent)
}

/** The same as records of that time. */
export function markedRecords(from: number, to: number): EncodableRecord[] {
  return range(from, to).map(mark => ({ value: markedEvent(mark), timestampMs: markedAtMs(mark) }))
}

/** Expects both readers to see exactly these messages, each once: no other set of as many has the same sum. */
export async function assertMarks(table: string, marks: readonly number[]): Promise<void> {
  const sum = marks.reduce((total, mark) => total + (1n << BigInt(mark)), 0n)
  for (const { engine, rowCount, columns } of await readBoth(table)) {
    assert.deepEqual([engine, rowCount, columns.user_id?.sum], [engine, marks.length, String(sum)])
  }
}

/** `[from, to)`. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index)
}
