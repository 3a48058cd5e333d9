/**
 * A shape: messages of one kind, and the columns that they become. The types are declared once; our configuration and
 * the schemas of the peers are made from them.
 *
 * @module
 */
import type { EncodableRecord } from '../../packages/stream-ingest/src/kafka/record-batch-encoder.ts'

export type ScalarType = 'boolean' | 'int32' | 'int64' | 'float64' | 'utf8' | 'timestamp_millisecond'

export type ColumnType =
  | ScalarType
  | { readonly list: ColumnType }
  | { readonly struct: Readonly<Record<string, ColumnType>> }
  /** `keys` are all that occur: an engine without maps takes a struct of them. */
  | { readonly map: ColumnType; readonly keys: readonly string[] }

/** Instants stand at the top level alone: the peers convert them there. */
export interface Column {
  readonly name: string
  readonly type: ColumnType
  readonly required?: boolean
}

/** A message has its bytes at hand: they go into a file as well. */
export interface ShapeMessage extends EncodableRecord {
  readonly key: Uint8Array | null
  readonly value: Uint8Array
  readonly timestampMs: number
}

export interface Shape {
  readonly name: string
  /** What the messages are, in a few words. */
  readonly title: string
  readonly columns: readonly Column[]
  /** Messages of a whole run and of a quick one. */
  readonly count: number
  readonly quickCount: number
  /** Generates lazily; deterministic by seed. */
  messages(seed: number, count: number): Iterable<ShapeMessage>
}

/** 2026-01-01T00:00:00Z: the first message's time. */
export const START_TIMESTAMP_MS = 1_767_225_600_000

/** The type as `delta.schema` spells it. */
export function declaredType(type: ColumnType): string {
  if (typeof type === 'string') return type
  if ('list' in type) return `list<${declaredType(type.list)}>`
  if ('map' in type) return `map<utf8, ${declaredType(type.map)}>`
  const fields = Object.entries(type.struct).map(([name, field]) => `${name}: ${declaredType(field)}`)
  return `struct<${fields.join(', ')}>`
}
