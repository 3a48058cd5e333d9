/**
 * The seam between record bytes and columns.
 *
 * @module
 */

import type { ColumnBuilder } from '@stream-ingest/delta/column'
import type { DecodeField } from '../config/decode-field.ts'

/**
 * Why a record does not fit. `path` is the payload path (`$.user.id`), `$` for the whole value, or what of the record
 * is at fault (`kafka.key`, `kafka.headers.NAME`, `kafka.timestamp`).
 */
export interface BadRecordReason {
  readonly code: 'RECORD_NOT_JSON' | 'RECORD_INVALID'
  readonly path: string
  /** The table column concerned; null where the whole value is at fault. */
  readonly column: string | null
  /** `expected int64, found the string "abc"`; the found value is cut to a printable 80 characters. */
  readonly message: string
}

/** Another schema might hold more of the record: it has fields that no column takes. */
export const UNKNOWN_FIELD = 'unknown-field'

/** What became of a record; null where its row was appended. In any other case nothing of it was. */
export type RecordOutcome = BadRecordReason | typeof UNKNOWN_FIELD | null

/** Appends one value to each builder of its columns, or says why it cannot; the caller then rolls the row back. */
export interface Decoder {
  /** Payload bytes `[start, end)` of `buffer`. Returns null where the row was appended. */
  decode(buffer: Uint8Array, start: number, end: number): BadRecordReason | null
  /** Appends nulls (a tombstone kept as a row), or says which column forbids it. */
  decodeNull(): BadRecordReason | null
  /** Had the last payload a field with a value that no column takes? Always false where nobody wants to know. */
  readonly metUnknownField: boolean
}

/**
 * `builders[i]` belongs to `fields[i]`. Fields whose source is not the payload (the record's key, a header) are left to
 * the caller.
 */
export type DecoderFactory = (fields: readonly DecodeField[], builders: readonly ColumnBuilder[]) => Decoder
