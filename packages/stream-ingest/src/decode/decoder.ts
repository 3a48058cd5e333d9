/**
 * The seam between record bytes and columns.
 *
 * @module
 */

import type { StructType } from '@stream-ingest/delta'
import type { ColumnBuilder } from '@stream-ingest/delta/column'

/** Why a record does not fit. `path` is the payload path (`$.user.id`), or `$` for the whole value. */
export interface BadRecordReason {
  readonly code: 'RECORD_NOT_JSON' | 'RECORD_INVALID'
  readonly path: string
  /** The table column concerned; null where the whole value is at fault. */
  readonly column: string | null
  /** `expected int64, found the string "abc"`; the found value is cut to a printable 80 characters. */
  readonly message: string
}

/** Appends one value to each builder of its columns, or says why it cannot; the caller then rolls the row back. */
export interface Decoder {
  /** Payload bytes `[start, end)` of `buffer`. Returns null where the row was appended. */
  decode(buffer: Uint8Array, start: number, end: number): BadRecordReason | null
  /** Appends nulls (a tombstone kept as a row), or says which column forbids it. */
  decodeNull(): BadRecordReason | null
}

/** `builders[i]` belongs to `schema.fields[i]`. */
export type DecoderFactory = (schema: StructType, builders: readonly ColumnBuilder[]) => Decoder
