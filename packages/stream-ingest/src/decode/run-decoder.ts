/**
 * Payloads of many records into columns at once: staged by the kernel, a window of records at a time, and appended in runs
 * between those records that the kernel leaves to the decoder that knows all of the rules.
 *
 * @module
 */
import { parseFloat64 } from './float-text.ts'
import type { JsonDecoder } from './json-decoder.ts'
import type { ObjectPlan, ValuePlan } from './json-plan.ts'
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
import { type KernelPlan, planKernel } from './kernel-plan.ts'
import type { RecordView } from './record-view.ts'

/** For fewer records the kernel does not pay. */
const WINDOW_RECORDS_MIN = 8
/** After a window of which more than half was left to the decoder, so many windows go there whole. */
const PAUSE_WINDOWS = 16

export class RunDecoder {
  private readonly payload: ObjectPlan
  private readonly decoder: JsonDecoder
  private readonly depthMax: number
  private kernel: Kernel | null = null
  /** Null where the kernel is of no use; undefined before it is known. */
  private plan: KernelPlan | null | undefined = undefined
  /** Records `[from, to)` of this view are one window. */
  private view: RecordView | null = null
  private generation = -1
  private from = 0
  private to = 0
  /** Is the window staged? Its records go to the decoder otherwise. */
  private isStaged = false
  /** Where the window begins in the view's bytes. */
  private base = 0
  private windowsToPass = 0

  /** @param decoder of this payload's plan, for values that the kernel only finds */
  constructor(payload: ObjectPlan, decoder: JsonDecoder, depthMax: number) {
    this.payload = payload
    this.decoder = decoder
    this.depthMax = depthMax
  }

  /** The end of the run of records from `from` on, up to `to`, that are staged: `from` where the next one is not. */
  stagedUntil(view: RecordView, from: number, to: number): number {
    if (!this.isInWindow(view, from)) this.enterWindow(view, from)
    if (!this.isStaged) return from
    const { rows } = this.plan!
    const end = Math.min(to, this.to) - this.from
    let at = from - this.from
    while (at < end && rows[at]! >= 0) at++
    return at + this.from
  }

  /**
   * Appends the payloads of records `[from, to)`, which are staged.
   *
   * @returns the first that does not fit, `to` where all do; unless all do, the rows have to be rolled back
   */
  appendRun(view: RecordView, from: number, to: number): number {
    const { columns, places, rows } = this.plan!
    const first = rows[from - this.from]!
    for (const column of columns) column.appendRows(first, first + to - from)
    let end = to
    for (const place of places) end = this.decodePlaces(place.member, place.places, view, from, end)
    return end
  }

  private decodePlaces(
    member: ValuePlan,
    places: Int32Array,
    view: RecordView,
    from: number,
    to: number,
  ): number {
    const { decoder, base } = this
    const shift = this.plan!.rows[from - this.from]! - from
    for (let i = from; i < to; i++) {
      const at = places[i + shift]!
      if (at < 0) appendMissing(member)
      else {
        decoder.enter(view.bytes, view.valueStart[i]!, view.valueEnd[i]!)
        if (!decoder.decodeMember(member, base + at) || decoder.metUnknownField) return i
      }
    }
    return to
  }

  private isInWindow(view: RecordView, index: number): boolean {
    return index >= this.from && index < this.to && this.view === view && this.generation === view.generation
  }

  private enterWindow(view: RecordView, index: number): void {
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
    if (this.windowsToPass > 0) {
      this.windowsToPass--
      return
    }
    const rowCount = this.scan(plan, view.bytes, count, end)
    this.isStaged = true
    if (rowCount * 2 < valueCount) this.windowsToPass = PAUSE_WINDOWS
  }

  private kernelPlan(): KernelPlan | null {
    if (this.plan === undefined) {
      this.kernel = new Kernel()
      this.plan = planKernel(this.kernel, this.payload)
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
    const base = Math.max(0, valueStart[index]!)
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
}
