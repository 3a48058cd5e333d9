/**
 * Lays a plan of the payload out in the kernel's memory, with room for the columns of one window of records.
 *
 * @module
 */
import assert from 'node:assert/strict'
import {
  type BinaryBuilder,
  type BooleanBuilder,
  type Int64Builder,
  type ListBuilder,
  type MapBuilder,
  NUMBER_ARRAYS,
  NumberBuilder,
  type StructBuilder,
} from '@stream-ingest/delta/column'
import { MATCHES_NOTHING, type ObjectPlan, type ValuePlan } from './json-plan.ts'
import type { Kernel } from './kernel.ts'
import * as layout from './kernel-layout.ts'
import {
  type StagedColumn,
  StagedList,
  StagedMap,
  StagedStruct,
  StagedTexts,
  StagedValues,
} from './staged-column.ts'

/** Of the records of one window, everything between them included. */
const WINDOW_MAX_BYTES = 256 * 1024
const WINDOW_MIN_BYTES = 16 * 1024
/** More records than this are not staged at once. */
const WINDOW_BYTES_A_ROW = 64
/** What all of it may take; wide tables have smaller windows. */
export const KERNEL_MAX_BYTES: number = 32 * 1024 * 1024
/** `1,` is an element. */
const ELEMENT_MIN_BYTES = 2
const HARD_FLOATS_MAX = 4096
const ALIGNMENT_BYTES = 16

/** A column whose values the kernel only finds. */
export interface PlaceColumn {
  readonly member: ValuePlan
  /** Of each row, in the window; −1 where there is none. */
  readonly places: Int32Array
}

/** The memory of a kernel, as it is laid out. Views stay valid. */
export interface KernelPlan {
  readonly object: number
  readonly windowBytes: number
  readonly windowRows: number
  readonly columns: readonly StagedColumn[]
  readonly places: readonly PlaceColumn[]
  /** Where the window begins; behind it there are zeros. */
  readonly origin: number
  readonly window: Uint8Array
  readonly startsAt: number
  readonly starts: Int32Array
  readonly endsAt: number
  readonly ends: Int32Array
  readonly rowsAt: number
  readonly rows: Int32Array
  readonly hardFloatsAt: number
  readonly hardFloatsMax: number
  readonly hardFloats: Int32Array
  /** The values of a node of 64-bit floats. */
  readonly floats: ReadonlyMap<number, Float64Array>
}

/** A node before its memory is there. */
interface Node {
  readonly address: number
  readonly kind: number
  readonly plan: ValuePlan | null
  readonly nullable: boolean
  readonly capacity: number
  readonly validity: number
  readonly values: number
  readonly data: number
  readonly object: ObjectNode | null
  readonly child: Node | null
  readonly secondChild: Node | null
}

interface ObjectNode {
  readonly address: number
  readonly plan: ObjectPlan
  readonly keysAt: readonly number[]
  readonly members: readonly Node[]
}

/**
 * Null where the kernel is of no use: keys that JSON must escape, or too many columns. Members of the payload whose types it
 * does not know are places.
 */
export function planKernel(kernel: Kernel, payload: ObjectPlan): KernelPlan | null {
  if (!hasPlainKeys(payload)) return null
  for (let windowBytes = WINDOW_MAX_BYTES; windowBytes >= WINDOW_MIN_BYTES; windowBytes /= 2) {
    const plan = new Planner(kernel.heapBase, windowBytes).plan(payload)
    if (plan.end <= KERNEL_MAX_BYTES) return plan.write(kernel)
  }
  return null
}

class Planner {
  private end: number
  private readonly windowBytes: number
  private readonly windowRows: number
  private readonly nodes: Node[] = []
  private readonly objects: ObjectNode[] = []

  constructor(heapBase: number, windowBytes: number) {
    this.end = heapBase
    this.windowBytes = windowBytes
    this.windowRows = windowBytes / WINDOW_BYTES_A_ROW
  }

  plan(payload: ObjectPlan): { readonly end: number; write(kernel: Kernel): KernelPlan } {
    const root = this.object(payload, this.windowRows)
    const startsAt = this.take(this.windowRows * 4)
    const endsAt = this.take(this.windowRows * 4)
    const rowsAt = this.take(this.windowRows * 4)
    const hardFloatsAt = this.take(HARD_FLOATS_MAX * layout.HARD_FLOAT_BYTES)
    const origin = this.take(this.windowBytes)
    const { end, windowBytes, windowRows } = this
    const write = (kernel: Kernel): KernelPlan => {
      const memory = kernel.reserve(end)
      this.write(memory)
      const top = root.members.filter(({ kind }) => kind !== layout.KIND_PLACE)
      const words = (at: number) => new Int32Array(memory, at, windowRows)
      return {
        object: root.address,
        windowBytes,
        windowRows,
        columns: top.map(node => stagedColumn(memory, node)),
        places: root.members.flatMap(({ kind, plan, values }) =>
          kind === layout.KIND_PLACE ? [{ member: plan!, places: words(values) }] : [],
        ),
        origin,
        window: new Uint8Array(memory, origin, windowBytes + layout.SLACK_BYTES),
        startsAt,
        starts: words(startsAt),
        endsAt,
        ends: words(endsAt),
        rowsAt,
        rows: words(rowsAt),
        hardFloatsAt,
        hardFloatsMax: HARD_FLOATS_MAX,
        hardFloats: new Int32Array(memory, hardFloatsAt, (HARD_FLOATS_MAX * layout.HARD_FLOAT_BYTES) / 4),
        floats: new Map(
          this.nodes
            .filter(({ kind }) => kind === layout.KIND_FLOAT64)
            .map(({ address, values, capacity }) => [address, new Float64Array(memory, values, capacity)]),
        ),
      }
    }
    return { end, write }
  }

  /** Takes memory, aligned, with slack behind it. */
  private take(sizeBytes: number): number {
    const at = this.end
    const end = at + sizeBytes + layout.SLACK_BYTES
    this.end = Math.ceil(end / ALIGNMENT_BYTES) * ALIGNMENT_BYTES
    return at
  }

  private object(plan: ObjectPlan, capacity: number): ObjectNode {
    const address = this.take(layout.OBJECT_BYTES + plan.members.length * layout.MEMBER_BYTES)
    const keysAt = plan.keys.map(key => this.take(key.length))
    const members = plan.members.map(member =>
      this.node(kindOf(member) ?? layout.KIND_PLACE, member, member.nullable, capacity),
    )
    const object = { address, plan, keysAt, members }
    this.objects.push(object)
    return object
  }

  private node(kind: number, plan: ValuePlan | null, nullable: boolean, capacity: number): Node {
    const address = this.take(layout.NODE_BYTES)
    const below = Math.ceil(this.windowBytes / ELEMENT_MIN_BYTES) + 1
    const isRange = kind === layout.KIND_UTF8 || kind === layout.KIND_LIST || kind === layout.KIND_MAP
    const node: Node = {
      address,
      kind,
      plan,
      nullable,
      capacity,
      validity: this.take(capacity),
      values: this.take(isRange ? (capacity + 1) * 4 : capacity * (WIDTHS[kind] ?? 0)),
      data: kind === layout.KIND_UTF8 ? this.take(this.windowBytes) : 0,
      object: kind === layout.KIND_STRUCT ? this.object(plan!.members!, capacity) : null,
      child:
        kind === layout.KIND_LIST
          ? this.value(plan!.element!, below)
          : kind === layout.KIND_MAP
            ? this.node(layout.KIND_UTF8, null, false, below)
            : null,
      secondChild: kind === layout.KIND_MAP ? this.value(plan!.mapValue!, below) : null,
    }
    this.nodes.push(node)
    return node
  }

  private value(plan: ValuePlan, capacity: number): Node {
    return this.node(kindOf(plan)!, plan, plan.nullable, capacity)
  }

  private write(memory: ArrayBuffer): void {
    const view = new DataView(memory)
    const set = (at: number, value: number) => view.setInt32(at, value, true)
    for (const node of this.nodes) {
      const { address, plan } = node
      set(address + layout.NODE_KIND, node.kind)
      set(address + layout.NODE_NULLABLE, node.nullable ? 1 : 0)
      set(address + layout.NODE_VALIDITY, node.validity)
      set(address + layout.NODE_VALUES, node.values)
      set(address + layout.NODE_DATA, node.data)
      set(address + layout.NODE_CHILD, node.object?.address ?? node.child?.address ?? 0)
      set(address + layout.NODE_SECOND_CHILD, node.secondChild?.address ?? 0)
      if (plan === null) continue
      set(address + layout.NODE_UNITS_PER_SECOND, plan.unitsPerSecond)
      view.setBigInt64(address + layout.NODE_MIN, toInt64(plan.min), true)
      view.setBigInt64(address + layout.NODE_MAX, toInt64(plan.max), true)
    }
    for (const { address, plan, keysAt, members } of this.objects) {
      set(address + layout.OBJECT_COUNT, members.length)
      set(address + layout.OBJECT_NOTES_UNKNOWN, plan.leftOut === null ? 0 : 1)
      for (const [i, node] of members.entries()) {
        const key = plan.keys[i]!
        const at = address + layout.OBJECT_BYTES + i * layout.MEMBER_BYTES
        set(at + layout.MEMBER_NODE, node.address)
        set(at + layout.MEMBER_KEY, keysAt[i]!)
        set(at + layout.MEMBER_KEY_BYTES, key.length)
        set(at + layout.MEMBER_FOLLOWER, (i + 1) % members.length)
        new Uint8Array(memory, keysAt[i]!, key.length).set(key)
      }
    }
  }
}

const WIDTHS: Readonly<Record<number, number>> = {
  [layout.KIND_INT64]: 8,
  [layout.KIND_INT32]: 4,
  [layout.KIND_INT16]: 2,
  [layout.KIND_INT8]: 1,
  [layout.KIND_FLOAT64]: 8,
  [layout.KIND_BOOLEAN]: 1,
  [layout.KIND_TIMESTAMP]: 8,
  [layout.KIND_DATE]: 4,
  [layout.KIND_PLACE]: 4,
}

const INTEGER_KINDS = {
  int8: layout.KIND_INT8,
  int16: layout.KIND_INT16,
  int32: layout.KIND_INT32,
} as const

/** Null where the kernel does not decode such values. */
export function kindOf(plan: ValuePlan): number | null {
  const { builder } = plan
  switch (plan.kind) {
    case 'utf8':
      return layout.KIND_UTF8
    case 'int64':
      return layout.KIND_INT64
    case 'small_int': {
      const { kind } = builder as NumberBuilder
      return kind === 'float32' || kind === 'float64' ? null : INTEGER_KINDS[kind]
    }
    case 'float':
      return builder instanceof NumberBuilder && builder.kind === 'float64' ? layout.KIND_FLOAT64 : null
    case 'boolean':
      return layout.KIND_BOOLEAN
    case 'timestamp':
      return layout.KIND_TIMESTAMP
    case 'date':
      return layout.KIND_DATE
    case 'struct': {
      const object = plan.members!
      const isKnown = hasPlainKeys(object) && object.members.every(member => kindOf(member) !== null)
      return isKnown ? layout.KIND_STRUCT : null
    }
    case 'list':
      return kindOf(plan.element!) === null ? null : layout.KIND_LIST
    case 'map':
      return kindOf(plan.mapValue!) === null ? null : layout.KIND_MAP
    case 'decimal':
    case 'uint64':
    case 'binary':
    case 'fan_out':
      return null
  }
}

/** Is every name written as it is, between quotes? */
function hasPlainKeys(object: ObjectPlan): boolean {
  return !object.keys.includes(MATCHES_NOTHING)
}

/** 64-bit bounds are beyond what a double has exactly. */
function toInt64(bound: number): bigint {
  if (bound >= 2 ** 63) return 2n ** 63n - 1n
  return BigInt(bound)
}

function stagedColumn(memory: ArrayBuffer, node: Node): StagedColumn {
  const { kind, plan, capacity, values } = node
  const nulls = new Int32Array(memory, node.address + layout.NODE_NULLS, 1)
  const rows = { nulls, validity: new Uint8Array(memory, node.validity, capacity) }
  const builder = plan!.builder
  const offsets = () => new Int32Array(memory, values, capacity + 1)
  switch (kind) {
    case layout.KIND_UTF8:
      return new StagedTexts(rows, builder as BinaryBuilder, offsets(), dataOf(memory, node))
    case layout.KIND_INT64:
    case layout.KIND_TIMESTAMP:
      return new StagedValues(rows, builder as Int64Builder, new BigInt64Array(memory, values, capacity))
    case layout.KIND_BOOLEAN:
      return new StagedValues(rows, builder as BooleanBuilder, new Uint8Array(memory, values, capacity))
    case layout.KIND_STRUCT: {
      const fields = node.object!.members.map(member => stagedColumn(memory, member))
      return new StagedStruct(rows, builder as StructBuilder, fields)
    }
    case layout.KIND_LIST:
      return new StagedList(rows, builder as ListBuilder, offsets(), stagedColumn(memory, node.child!))
    case layout.KIND_MAP: {
      const map = builder as MapBuilder
      const key = node.child!
      const keyRows = { nulls: NO_NULLS, validity: rows.validity }
      const keyOffsets = new Int32Array(memory, key.values, key.capacity + 1)
      const keys = new StagedTexts(keyRows, map.key as BinaryBuilder, keyOffsets, dataOf(memory, key))
      return new StagedMap(rows, map, offsets(), keys, stagedColumn(memory, node.secondChild!))
    }
    default: {
      assert(builder instanceof NumberBuilder)
      const { kind: number } = builder
      const array = new NUMBER_ARRAYS[number](memory, values, capacity)
      return new StagedValues(rows, builder, array)
    }
  }
}

/** Keys of a map are never null. */
const NO_NULLS: Int32Array = Int32Array.of(0)

function dataOf(memory: ArrayBuffer, { data }: Node): Uint8Array {
  return new Uint8Array(memory, data)
}
