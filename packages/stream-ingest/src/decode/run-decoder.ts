/**
 * Payloads of many records into columns: staged by the kernel a window of records at a time, one by one where the kernel
 * leaves a record to the decoder that knows all of the rules.
 *
 * Staged rows get into the builders many at once, so that columns which somebody looks at row by row are not staged: the
 * kernel finds their values, and the decoder decodes them when it is their row's turn.
 *
 * @module
 */
import type { ColumnBuilder } from '@stream-ingest/delta/column'
import type { DecodeField } from '../config/decode-field.ts'
import type { BadRecordReason } from './decoder.ts'
import { parseFloat64 } from './float-text.ts'
import { JsonDecoder, type JsonDecoderOptions } from './json-decoder.ts'
import { type ObjectPlan, planPayload, type ValuePlan } from './json-plan.ts'
import { JSON_DEPTH_MAX } from './json-scanner.ts'
import { appendMissing } from './json-value-decoder.ts'
import { Kernel } from './kernel.ts'
import {
  HARD_FLOAT_BYTES,
  HARD_FLOAT_END,
  HARD_FLOAT_NODE,
  HARD_FLOAT_ROW,
  HARD_FLOAT_START,
  SLACK_BYTES,
} from './kernel-layout.ts'
import { type KernelPlan, type PlaceColumn, planKernel } from './kernel-plan.ts'
import type { RecordView } from './record-view.ts'

/** For fewer records the kernel does not pay. */
const WINDOW_RECORDS_MIN = 8
/** After a window of which more than half was left to the decoder, so many windows go there whole. */
const PAUSE_WINDOWS = 16

export interface RunDecoderOptions extends JsonDecoderOptions {
  /** Builders that are looked at while the row under way is their last: by those who derive from them, or route by them. */
  readonly immediate: ReadonlySet<ColumnBuilder>
}

export class RunDecoder {
  private readonly payload: ObjectPlan
  private readonly decoder: JsonDecoder
  private readonly immediate: ReadonlySet<ColumnBuilder>
  private readonly depthMax: number
  private kernel: Kernel | null = null
  /** Null where the kernel is of no use; undefined before it is known. */
  private plan: KernelPlan | null | undefined = undefined
  private places: readonly Place[] = []
  /** Records `[from, to)` of this view are one window. */
  private view: RecordView | null = null
  private generation = -1
  private from = 0
  private to = 0
  /** Is the window staged? Its records go to the decoder otherwise. */
  private isStaged = false
  /** Where the window begins in the view's bytes. */
  private base = 0
  /** The staged row of the record under way; −1 where it is in the builders. */
  private row = -1
  /** Staged rows `[pendingFrom, pendingTo)` are accepted, and not yet in the builders. */
  private pendingFrom = 0
  private pendingTo = 0
  private windowsToPass = 0

  /** @param builders one for each field, which nobody else appends to */
  constructor(
    fields: readonly DecodeField[],
    builders: readonly ColumnBuilder[],
    options: RunDecoderOptions,
  ) {
    this.depthMax = options.depthMax ?? JSON_DEPTH_MAX
    this.immediate = options.immediate
    this.payload = planPayload(fields, builders, options.leftOut ?? null)
    this.decoder = new JsonDecoder(this.payload, this.depthMax)
  }

  /** Has the payload that was last decoded a field that no column takes? */
  get metUnknownField(): boolean {
    return this.decoder.metUnknownField
  }

  /**
   * Decodes record `index`, whose row is the next one once it is accepted. Where it is bad, or not accepted, the row has to be
   * rolled back, after {@link flush}.
   */
  decode(view: RecordView, index: number): BadRecordReason | null {
    const start = view.valueStart[index]!
    const end = view.valueEnd[index]!
    this.row = -1
    if (start >= 0) {
      if (!this.isInWindow(view, index)) this.enterWindow(view, index)
      const row = this.isStaged ? this.plan!.rows[index - this.from]! : -1
      if (row >= 0) {
        this.decoder.enter(view.bytes, start, end)
        if (this.decodePlaces(row)) {
          this.row = row
          return null
        }
      }
    }
    this.flush()
    return start < 0 ? this.decoder.decodeNull() : this.decoder.decode(view.bytes, start, end)
  }

  /** The row that was just decoded stays. */
  accept(): void {
    const { row } = this
    if (row < 0) return
    if (row !== this.pendingTo) {
      this.flush()
      this.pendingFrom = row
    }
    this.pendingTo = row + 1
  }

  /** Completes the rows that were accepted: before anybody reads them. */
  flush(): void {
    const { pendingFrom, pendingTo, plan } = this
    if (pendingFrom === pendingTo) return
    this.pendingFrom = pendingTo
    for (const column of plan!.columns) column.appendRows(pendingFrom, pendingTo)
  }

  private isInWindow(view: RecordView, index: number): boolean {
    return index >= this.from && index < this.to && this.view === view && this.generation === view.generation
  }

  private enterWindow(view: RecordView, index: number): void {
    this.flush()
    this.pendingFrom = 0
    this.pendingTo = 0
    this.view = view
    this.generation = view.generation
    this.from = index
    this.to = view.count
    this.isStaged = false
    if (view.count - index < WINDOW_RECORDS_MIN) return
    const plan = this.kernelPlan()
    if (plan === null) return
    const { count, valueCount, end } = this.measure(plan, view, index)
    this.to = index + Math.max(1, count)
    if (valueCount < WINDOW_RECORDS_MIN) return
    if (this.windowsToPass > 0) this.windowsToPass--
    else {
      const rowCount = this.scan(plan, view.bytes, count, end)
      this.isStaged = true
      if (rowCount * 2 < valueCount) this.windowsToPass = PAUSE_WINDOWS
    }
  }

  private kernelPlan(): KernelPlan | null {
    if (this.plan === undefined) {
      this.kernel = new Kernel()
      this.plan = planKernel(this.kernel, this.payload, member =>
        buildersOf(member).some(builder => this.immediate.has(builder)),
      )
      this.places = (this.plan?.places ?? []).map(({ member, places }) => {
        const builders = buildersOf(member)
        return { member, places, builders, lengths: builders.map(() => 0) }
      })
    }
    return this.plan
  }

  /** Notes where the records from `index` on are, as many as fit into a window. */
  private measure(
    plan: KernelPlan,
    view: RecordView,
    index: number,
  ): { readonly count: number; readonly valueCount: number; readonly end: number } {
    const { starts, ends, windowBytes, windowRows } = plan
    const { valueStart, valueEnd } = view
    const countMax = Math.min(windowRows, view.count - index)
    const base = valueStart[index]!
    let end = base
    let count = 0
    let valueCount = 0
    for (; count < countMax; count++) {
      const start = valueStart[index + count]!
      const valueEndAt = valueEnd[index + count]!
      if (start >= 0) {
        // The kernel has the bytes of a window once, from the first to the last.
        if (start < end || valueEndAt - base > windowBytes) break
        end = valueEndAt
        valueCount++
      }
      starts[count] = start < 0 ? -1 : start - base
      ends[count] = valueEndAt - base
    }
    this.base = base
    return { count, valueCount, end }
  }

  /** Returns how many rows there are. */
  private scan(plan: KernelPlan, bytes: Uint8Array, count: number, end: number): number {
    const { window, origin, hardFloats, floats } = plan
    const { base } = this
    const kernel = this.kernel!
    window.set(bytes.subarray(base, end))
    window.fill(0, end - base, end - base + SLACK_BYTES)
    const rowCount = kernel.scan(
      plan.object,
      count,
      plan.startsAt,
      plan.endsAt,
      origin,
      plan.rowsAt,
      this.depthMax,
      plan.hardFloatsAt,
      plan.hardFloatsMax,
    )
    for (let i = 0; i < kernel.hardFloatCount; i++) {
      const at = (i * HARD_FLOAT_BYTES) / 4
      const values = floats.get(hardFloats[at + HARD_FLOAT_NODE / 4]!)!
      const from = base + hardFloats[at + HARD_FLOAT_START / 4]!
      const to = base + hardFloats[at + HARD_FLOAT_END / 4]!
      values[hardFloats[at + HARD_FLOAT_ROW / 4]!] = parseFloat64(bytes, from, to)
    }
    return rowCount
  }

  /** False where one does not fit; nothing is appended then. */
  private decodePlaces(row: number): boolean {
    const { places, decoder, base } = this
    for (let i = 0; i < places.length; i++) {
      const { member, places: at, builders, lengths } = places[i]!
      for (let b = 0; b < builders.length; b++) lengths[b] = builders[b]!.length
      if (at[row]! < 0) appendMissing(member)
      else if (!decoder.decodeMember(member, base + at[row]!)) {
        for (let j = 0; j <= i; j++) takeBack(places[j]!)
        return false
      }
    }
    return true
  }
}

/** A column that the kernel only finds, and how long its builders were before the row under way. */
interface Place extends PlaceColumn {
  readonly builders: readonly ColumnBuilder[]
  readonly lengths: number[]
}

function takeBack({ builders, lengths }: Place): void {
  for (let i = 0; i < builders.length; i++) builders[i]!.truncate(lengths[i]!)
}

/** All that a member of the payload appends to. */
function buildersOf(member: ValuePlan): readonly ColumnBuilder[] {
  if (member.kind !== 'fan_out') return [member.builder]
  return [...member.targets, ...(member.members?.members ?? [])].flatMap(buildersOf)
}
