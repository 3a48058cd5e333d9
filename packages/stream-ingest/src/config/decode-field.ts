/**
 * What decoding needs to know of a column beyond its Delta type: where the value is, in which unit, how it is bounded.
 *
 * These facts never reach the table: its schema holds Delta types alone. `fields` of a configuration runs parallel to
 * `schema.fields`, down through structs, lists and maps.
 *
 * @module
 */
import type { DataType } from '@stream-ingest/delta'

/** The unit of a timestamp that comes as an integer. ISO-8601 strings are accepted whatever the unit. */
export const TIMESTAMP_UNITS = ['second', 'millisecond', 'microsecond', 'nanosecond'] as const
export type TimestampUnit = (typeof TIMESTAMP_UNITS)[number]

/** Where a value comes from. */
export type DecodeSource =
  /**
   * A path of object keys in the payload: from the payload's root for a top-level field, from the enclosing object for a
   * field of a struct. Empty for the element of a list and the key and value of a map.
   */
  | { readonly kind: 'payload'; readonly path: readonly string[] }
  /** The record's key, as text or bytes by the field's type. */
  | { readonly kind: 'key' }
  /** The record's last header of this name, as text or bytes by the field's type. */
  | { readonly kind: 'header'; readonly name: string }

export interface DecodeField {
  /** The column's name, or the struct field's; `element`, `key` and `value` inside lists and maps. */
  readonly name: string
  /** The type in the table. */
  readonly type: DataType
  /** The type in the words of the configuration (`uint32`, `timestamp_millisecond`), for messages. */
  readonly declaredType: string
  /** May the value be missing or null? Otherwise such a record is bad. */
  readonly nullable: boolean
  readonly source: DecodeSource
  /** For `timestamp` and `timestamp_ntz` only: the unit of integers. Stored in microseconds in any case. */
  readonly unit?: TimestampUnit
  /** For `uint…` only: values are in [0, 2^bits), although the table's type is wider. */
  readonly unsignedBits?: 8 | 16 | 32 | 64
  /** For a struct: one for each field of the type, in its order. */
  readonly fields?: readonly DecodeField[]
  /** For a list. */
  readonly element?: DecodeField
  /** For a map: its keys, which are object keys in JSON, hence text. */
  readonly key?: DecodeField
  /** For a map. */
  readonly value?: DecodeField
}
