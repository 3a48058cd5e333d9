/**
 * Tests of a configuration (`tests:`), as they are run: records as Kafka would give them, and what is to become of them.
 *
 * @module
 */
import type { Span } from './diagnostic.ts'

/** A value as it is written: numbers with every digit, and where it stands in the file. */
export type WrittenValue = WrittenScalar | WrittenList | WrittenMap

export interface WrittenScalar {
  readonly kind: 'scalar'
  /** The value as JSON. A number has the digits that it was written with. */
  readonly json: string
  readonly span: Span
}

export interface WrittenList {
  readonly kind: 'list'
  readonly items: readonly WrittenValue[]
  readonly span: Span
}

export interface WrittenMap {
  readonly kind: 'map'
  readonly entries: readonly WrittenEntry[]
  readonly span: Span
}

export interface WrittenEntry {
  readonly key: string
  readonly keySpan: Span
  /** Has the span of the key where nothing is written. */
  readonly value: WrittenValue
}

/** JSON text of the whole value. */
export function jsonOf(value: WrittenValue): string {
  switch (value.kind) {
    case 'scalar':
      return value.json
    case 'list':
      return `[${value.items.map(jsonOf).join(',')}]`
    case 'map':
      return `{${value.entries.map(entry => `${JSON.stringify(entry.key)}:${jsonOf(entry.value)}`).join(',')}}`
  }
}

/** A record as Kafka would give it. */
export interface TestRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
  /** Epoch milliseconds; null where the producer set none. */
  readonly timestampMs: number | null
  readonly key: Uint8Array | null
  /** Null is a tombstone. */
  readonly value: Uint8Array | null
  readonly headers: readonly (readonly [name: string, value: Uint8Array | null])[]
}

/** What is said of a record that does not fit; what is left out may be anything. */
export interface ExpectedBad {
  readonly code?: string | undefined
  readonly column?: string | undefined
  /** A part of the message. */
  readonly message?: string | undefined
  /** Of the values above. */
  readonly spans: Readonly<Record<'code' | 'column' | 'message', Span>>
  readonly span: Span
}

/** A key of a test and the place of its value. */
export interface Written<T> {
  readonly value: T
  readonly keySpan: Span
  readonly span: Span
}

/** What becomes of the records of a test. Null: the key is not given, and there is nothing of the kind. */
export interface Expectation {
  /** In the order of the records, with the columns that matter. */
  readonly rows: Written<readonly WrittenMap[]> | null
  readonly bad: Written<readonly ExpectedBad[]> | null
  /** How many tombstones are left out. */
  readonly skipped: Written<number> | null
}

/** One entry of `tests:`. */
export interface ConfigTest {
  readonly name: string
  /** The name of the pipeline that takes the records. */
  readonly pipeline: string
  /** Where the entry stands: its line, from 1, and its place in the text. */
  readonly line: number
  readonly span: Span
  readonly records: readonly TestRecord[]
  readonly expected: Expectation
}
