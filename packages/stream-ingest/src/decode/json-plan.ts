/**
 * The columns of a table arranged by where their values are in the payload.
 *
 * @module
 */
import assert from 'node:assert/strict'
import {
  type ColumnBuilder,
  ListBuilder,
  MapBuilder,
  NumberBuilder,
  StructBuilder,
} from '@stream-ingest/delta/column'
import type { DecodeField, TimestampUnit } from '../config/decode-field.ts'
import { hashOf } from './hash.ts'
import { KeySet } from './key-set.ts'

/**
 * How a value is read. `small_int` goes to a NumberBuilder and is bounded by `min` and `max`; `int64` is bounded by them
 * where they are tighter than 64 bits; `fan_out` is one payload value that several columns, or columns below it, read.
 */
export type ValueKind =
  | 'int64'
  | 'utf8'
  | 'timestamp'
  | 'float'
  | 'boolean'
  | 'small_int'
  | 'date'
  | 'decimal'
  | 'uint64'
  | 'binary'
  | 'struct'
  | 'list'
  | 'map'
  | 'fan_out'

/** Units of a timestamp's integer in a second. */
const UNITS_PER_SECOND: Readonly<Record<TimestampUnit, number>> = {
  second: 1,
  millisecond: 1_000,
  microsecond: 1_000_000,
  nanosecond: 1_000_000_000,
}

const BITS: Readonly<Record<string, number>> = { byte: 8, short: 16, integer: 32 }

/** One value of the payload and the builder it goes to. One shape for all kinds, so that the hot path sees one shape. */
export class ValuePlan {
  readonly kind: ValueKind
  readonly builder: ColumnBuilder
  readonly nullable: boolean
  /** The table column it belongs to, however deep it is. */
  readonly column: string
  /** The type in messages. */
  readonly expected: string
  /** Bounds of integers, both included. */
  readonly min: number
  readonly max: number
  /** Decimals. */
  readonly scale: number
  readonly precision: number
  /** Timestamps. */
  readonly unitsPerSecond: number
  /** Of a struct; of a fan-out the columns below, null where none. */
  readonly members: ObjectPlan | null
  /** Of a list. */
  readonly element: ValuePlan | null
  /** Of a map. */
  readonly mapValue: ValuePlan | null
  /** Of a map: the keys of the row under way. */
  readonly keySet: KeySet | null
  /** Of a fan-out: the columns that read the value itself. */
  readonly targets: readonly ValuePlan[]

  constructor(kind: ValueKind, builder: ColumnBuilder, field: FieldFacts, parts: ValueParts = {}) {
    this.kind = kind
    this.builder = builder
    this.nullable = field.nullable
    this.column = field.column
    this.expected = field.expected
    this.min = parts.min ?? 0
    this.max = parts.max ?? 0
    this.scale = parts.scale ?? 0
    this.precision = parts.precision ?? 0
    this.unitsPerSecond = parts.unitsPerSecond ?? 1
    this.members = parts.members ?? null
    this.element = parts.element ?? null
    this.mapValue = parts.mapValue ?? null
    this.keySet = kind === 'map' ? new KeySet() : null
    this.targets = parts.targets ?? []
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: RFC 8259 §7 wants these escaped.
const MUST_ESCAPE = /["\\\u0000-\u001f]/
/** The key of a name that JSON must escape: no byte is negative. */
export const MATCHES_NOTHING: Int16Array = Int16Array.of(-1)

interface FieldFacts {
  readonly nullable: boolean
  readonly column: string
  readonly expected: string
}

interface ValueParts {
  readonly min?: number
  readonly max?: number
  readonly scale?: number
  readonly precision?: number
  readonly unitsPerSecond?: number
  readonly members?: ObjectPlan | null
  readonly element?: ValuePlan
  readonly mapValue?: ValuePlan
  readonly targets?: readonly ValuePlan[]
}

/** The members of an object that columns read, and how to find one by its key. */
export class ObjectPlan {
  readonly names: readonly string[]
  readonly members: readonly ValuePlan[]
  /** How each name looks in JSON: UTF-8 with the closing quote. Empty of meaning where JSON must escape the name. */
  readonly keys: readonly (Uint8Array | Int16Array)[]
  private readonly nameBytes: readonly Uint8Array[]
  /** Per member, the number of the object in which it was last seen. */
  readonly seenIn: Float64Array
  /**
   * The member that followed each one the last time; the first of an object at index `members.length`. Producers write
   * their keys in the same order again and again, whatever the order of the schema.
   */
  readonly followers: Int32Array
  /** The only member that the last object lacked: where the others are there, it is likely to be this one again. */
  lastAbsent = -1
  /**
   * Keys, in lower case, that no member reads and that nobody misses; null where that is so of all of them. Any other
   * key of the object is an unknown field.
   */
  readonly leftOut: ReadonlySet<string> | null
  /** Open-addressed hash table of member index + 1. */
  private readonly slots: Int32Array

  constructor(entries: ReadonlyMap<string, ValuePlan>, leftOut: ReadonlySet<string> | null = null) {
    this.leftOut = leftOut
    this.names = [...entries.keys()]
    this.members = [...entries.values()]
    const encoder = new TextEncoder()
    this.nameBytes = this.names.map(name => encoder.encode(name))
    this.keys = this.names.map(name =>
      MUST_ESCAPE.test(name) ? MATCHES_NOTHING : encoder.encode(`${name}"`),
    )
    const count = this.names.length
    this.seenIn = new Float64Array(count)
    this.followers = Int32Array.from({ length: count + 1 }, (_, i) => (i === count ? 0 : (i + 1) % count))
    this.slots = new Int32Array(tableSize(count))
    for (const [index, name] of this.nameBytes.entries()) {
      let slot = hashOf(name, 0, name.length) & (this.slots.length - 1)
      while (this.slots[slot] !== 0) slot = (slot + 1) & (this.slots.length - 1)
      this.slots[slot] = index + 1
    }
  }

  /** The member named by the unescaped key `[start, end)` with its {@link hashOf}; −1 where no column reads it. */
  find(b: Uint8Array, start: number, end: number, hash: number): number {
    const slots = this.slots
    const mask = slots.length - 1
    for (let slot = hash & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const index = slots[slot]! - 1
      const name = this.nameBytes[index]!
      if (name.length !== end - start) continue
      let i = 0
      while (start + i < end && name[i] === b[start + i]) i++
      if (start + i === end) return index
    }
    return -1
  }
}

/** A power of two, at most half full. */
function tableSize(count: number): number {
  let size = 4
  while (size < count * 2) size *= 2
  return size
}

/**
 * Plans the fields whose source is the payload; `builders[i]` belongs to `fields[i]`.
 *
 * @param leftOut keys of the payload, in lower case, that are known although no column reads them; null where unknown
 *   fields are of no interest, at any depth
 */
export function planPayload(
  fields: readonly DecodeField[],
  builders: readonly ColumnBuilder[],
  leftOut: ReadonlySet<string> | null = null,
): ObjectPlan {
  assert(fields.length === builders.length, 'fields and builders are parallel')
  return planObject(fields, builders, null, leftOut)
}

const NONE: ReadonlySet<string> = new Set()

/** Plans one value. `column` is the table column it is in; null at the top, where the field is the column. */
export function planValue(
  field: DecodeField,
  builder: ColumnBuilder,
  column: string | null = null,
  notesUnknown = false,
): ValuePlan {
  const top = column ?? field.name
  const facts = { nullable: field.nullable, column: top, expected: field.declaredType }
  const plan = (kind: ValueKind, parts?: ValueParts) => new ValuePlan(kind, builder, facts, parts)
  const { type } = field
  switch (type.kind) {
    case 'decimal':
      if (field.unsignedBits === 64) return plan('uint64')
      return plan('decimal', { scale: type.scale, precision: type.precision })
    case 'array':
      assert(builder instanceof ListBuilder && field.element !== undefined)
      return plan('list', { element: planValue(field.element, builder.element, top, notesUnknown) })
    case 'map':
      assert(builder instanceof MapBuilder && field.value !== undefined)
      assert(type.key.kind === 'primitive' && type.key.name === 'string', 'the keys of a map are text')
      return plan('map', { mapValue: planValue(field.value, builder.value, top, notesUnknown) })
    case 'struct':
      assert(builder instanceof StructBuilder && field.fields !== undefined)
      return plan('struct', {
        members: planObject(field.fields, builder.fields, top, notesUnknown ? NONE : null),
      })
    case 'primitive':
      switch (type.name) {
        case 'string':
          return plan('utf8')
        case 'binary':
          return plan('binary')
        case 'boolean':
          return plan('boolean')
        case 'float':
        case 'double':
          return plan('float')
        case 'date':
          return plan('date')
        case 'timestamp':
        case 'timestamp_ntz':
          return plan('timestamp', { unitsPerSecond: UNITS_PER_SECOND[field.unit ?? 'microsecond'] })
        case 'byte':
        case 'short':
        case 'integer':
        case 'long': {
          const bits = field.unsignedBits ?? BITS[type.name] ?? 64
          const isUnsigned = field.unsignedBits !== undefined
          const min = isUnsigned ? 0 : -(2 ** (bits - 1))
          const max = isUnsigned ? 2 ** bits - 1 : 2 ** (bits - 1) - 1
          return plan(builder instanceof NumberBuilder ? 'small_int' : 'int64', { min, max })
        }
        case 'void':
        case 'variant':
          assert.fail(`no column holds the type ${type.name}`)
      }
  }
}

interface PathNode {
  readonly targets: ValuePlan[]
  readonly below: Map<string, PathNode>
}

/** Merges the paths of the fields into a tree, so that each payload value is visited once however many columns read it. */
function planObject(
  fields: readonly DecodeField[],
  builders: readonly ColumnBuilder[],
  column: string | null,
  leftOut: ReadonlySet<string> | null,
): ObjectPlan {
  const root: PathNode = { targets: [], below: new Map() }
  for (const [index, field] of fields.entries()) {
    if (field.source.kind !== 'payload') continue
    assert(field.source.path.length > 0, `the field ${field.name} has an empty path`)
    let node = root
    for (const key of field.source.path) {
      let next = node.below.get(key)
      if (next === undefined) {
        next = { targets: [], below: new Map() }
        node.below.set(key, next)
      }
      node = next
    }
    node.targets.push(planValue(field, builders[index]!, column, leftOut !== null))
  }
  return planBelow(root, leftOut)
}

/** An object that columns pick fields out of has no place for others: `leftOut` is null there. */
function planBelow(node: PathNode, leftOut: ReadonlySet<string> | null = null): ObjectPlan {
  const entries = new Map<string, ValuePlan>()
  for (const [key, child] of node.below) {
    const [only] = child.targets
    if (only !== undefined && child.targets.length === 1 && child.below.size === 0) {
      entries.set(key, only)
      continue
    }
    const members = child.below.size === 0 ? null : planBelow(child)
    const leaves = [...child.targets, ...(members?.members ?? [])]
    const required = leaves.find(leaf => !leaf.nullable)
    const named = required ?? leaves[0]!
    const facts = { nullable: required === undefined, column: named.column, expected: named.expected }
    entries.set(key, new ValuePlan('fan_out', named.builder, facts, { targets: child.targets, members }))
  }
  return new ObjectPlan(entries, leftOut)
}
