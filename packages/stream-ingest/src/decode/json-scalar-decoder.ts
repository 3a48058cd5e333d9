/**
 * JSON scalars from bytes into builders.
 *
 * Every value has a short path for how producers write it; whatever else it may be goes through `value-text.ts`, and
 * what does not fit is described there where it costs nothing to the others.
 *
 * @module
 */
import type { BinaryBuilder, BooleanBuilder, Int64Builder, NumberBuilder } from '@stream-ingest/delta/column'
import { EXACT_DIGITS_MAX, POWERS_OF_TEN } from './float-text.ts'
import { describeJsonValue } from './found-value.ts'
import type { ValuePlan } from './json-plan.ts'
import { JsonScanner, PLAIN } from './json-scanner.ts'
import {
  appendBase64,
  appendDayNumber,
  appendDayText,
  appendDecimal,
  appendFloat,
  appendInstantInteger,
  appendInstantText,
  appendInteger,
  appendNanos,
  appendUnits,
  type Misfit,
} from './value-text.ts'

/** The value is JSON, but not what the column takes: `misfit` fields say why. The builder may be half written. */
export const MISFIT = -2

const NANOS_PER_SECOND = 1_000_000_000

type AppendText = (plan: ValuePlan, b: Uint8Array, start: number, end: number) => Misfit

export class JsonScalarDecoder extends JsonScanner {
  protected misfitColumn = ''
  protected misfitMessage = ''
  /** The path from the object or list at work down to the value; each level puts its own part in front. */
  protected misfitPath = ''

  protected decodeInt64(plan: ValuePlan, from: number, depth: number): number {
    const b = this.bytes
    const negative = b[from] === 0x2d
    const first = negative ? from + 1 : from
    let p = first
    let value = 0
    for (let digit = b[p]! ^ 0x30; digit <= 9; digit = b[++p]! ^ 0x30) value = value * 10 + digit
    if (negative) value = -value
    if (isWhole(b, first, p) && isExact(value) && value >= plan.min && value <= plan.max) {
      ;(plan.builder as Int64Builder).appendNumber(value)
      return p
    }
    return this.decodeNumber(plan, from, depth, appendInteger)
  }

  protected decodeSmallInt(plan: ValuePlan, from: number, depth: number): number {
    const b = this.bytes
    const negative = b[from] === 0x2d
    const first = negative ? from + 1 : from
    let p = first
    let value = 0
    for (let digit = b[p]! ^ 0x30; digit <= 9; digit = b[++p]! ^ 0x30) value = value * 10 + digit
    if (negative) value = -value
    if (isWhole(b, first, p) && value >= plan.min && value <= plan.max) {
      ;(plan.builder as NumberBuilder).append(value)
      return p
    }
    return this.decodeNumber(plan, from, depth, appendInteger)
  }

  protected decodeFloat(plan: ValuePlan, from: number, depth: number): number {
    const b = this.bytes
    const builder = plan.builder as NumberBuilder
    const negative = b[from] === 0x2d
    const first = negative ? from + 1 : from
    let p = first
    let value = 0
    for (let digit = b[p]! ^ 0x30; digit <= 9; digit = b[++p]! ^ 0x30) value = value * 10 + digit
    let isSound = p > first && (b[first] !== 0x30 || p === first + 1)
    let digits = p - first
    if (b[p] === 0x2e) {
      const point = p++
      for (let digit = b[p]! ^ 0x30; digit <= 9; digit = b[++p]! ^ 0x30) value = value * 10 + digit
      const fraction = p - point - 1
      digits += fraction
      if (fraction === 0) isSound = false
      else if (digits <= EXACT_DIGITS_MAX) value /= POWERS_OF_TEN[fraction]!
    }
    if (isSound && digits <= EXACT_DIGITS_MAX && (b[p]! | 0x20) !== 0x65 && builder.kind === 'float64') {
      builder.append(negative ? -value : value)
      return p
    }
    return this.decodeNumber(plan, from, depth, appendFloat)
  }

  protected decodeDecimal(plan: ValuePlan, from: number, depth: number): number {
    if (this.bytes[from] === 0x22) return this.decodeText(plan, from, depth, appendDecimal)
    return this.decodeNumber(plan, from, depth, appendDecimal)
  }

  protected decodeUint64(plan: ValuePlan, from: number, depth: number): number {
    return this.decodeNumber(plan, from, depth, appendInteger)
  }

  protected decodeTimestamp(plan: ValuePlan, from: number, depth: number): number {
    const b = this.bytes
    if (b[from] === 0x22) return this.decodeText(plan, from, depth, appendInstantText)
    const negative = b[from] === 0x2d
    const first = negative ? from + 1 : from
    let p = first
    let value = 0
    for (let digit = b[p]! ^ 0x30; digit <= 9; digit = b[++p]! ^ 0x30) value = value * 10 + digit
    if (isWhole(b, first, p)) {
      if (isExact(value)) {
        if (appendUnits(plan, negative ? -value : value)) return p
      } else if (plan.unitsPerSecond === NANOS_PER_SECOND && appendNanos(plan, b, first, p, negative)) {
        return p
      }
    }
    return this.decodeNumber(plan, from, depth, appendInstantInteger)
  }

  protected decodeDate(plan: ValuePlan, from: number, depth: number): number {
    if (this.bytes[from] === 0x22) return this.decodeText(plan, from, depth, appendDayText)
    return this.decodeNumber(plan, from, depth, appendDayNumber)
  }

  protected decodeBoolean(plan: ValuePlan, from: number, depth: number): number {
    const builder = plan.builder as BooleanBuilder
    if (this.isLiteralTrue(from)) {
      builder.append(true)
      return from + 4
    }
    if (this.isLiteralFalse(from)) {
      builder.append(false)
      return from + 5
    }
    return this.decodeOther(plan, from, depth, '')
  }

  protected decodeBinary(plan: ValuePlan, from: number, depth: number): number {
    if (this.bytes[from] === 0x22) return this.decodeText(plan, from, depth, appendBase64)
    return this.decodeOther(plan, from, depth, '')
  }

  protected decodeUtf8(plan: ValuePlan, from: number, depth: number): number {
    const b = this.bytes
    if (b[from] !== 0x22) return this.decodeSourceText(plan, from, depth)
    const end = this.end
    const builder = plan.builder as BinaryBuilder
    // The text is never longer than its JSON, so that one check of the room is enough.
    builder.ensure(end - from)
    const data = builder.data
    let p = from + 1
    let w = builder.dataEnd
    let c = b[p]!
    while (p < end && PLAIN[c] === 1) {
      data[w++] = c
      c = b[++p]!
    }
    if (c === 0x22 && p < end) {
      builder.appendWritten(w)
      return p + 1
    }
    this.hasLoneSurrogate = false
    p = this.unescape(p, data, w)
    if (p < 0) return p
    if (this.hasLoneSurrogate) return this.misfit(plan, from, depth, 'half of a surrogate pair')
    builder.appendWritten(this.writtenEnd)
    return p
  }

  /** A number, boolean, object or array in a text column: its JSON as it stands. */
  private decodeSourceText(plan: ValuePlan, from: number, depth: number): number {
    if (this.bytes[from] === 0x6e) return this.decodeOther(plan, from, depth, '')
    const to = this.skipValue(from, depth)
    // Beyond the payload the text is not its own: the members' loop notices that the payload was cut off.
    if (to < 0 || to > this.end) return to
    ;(plan.builder as BinaryBuilder).appendRange(this.bytes, from, to)
    return to
  }

  private decodeNumber(plan: ValuePlan, from: number, depth: number, append: AppendText): number {
    const c = this.bytes[from]!
    if (c !== 0x2d && (c ^ 0x30) > 9) return this.decodeOther(plan, from, depth, '')
    const to = this.skipNumber(from)
    if (to < 0) return to
    const misfit = append(plan, this.bytes, from, to)
    return misfit === null ? to : this.misfit(plan, from, depth, misfit)
  }

  private decodeText(plan: ValuePlan, from: number, depth: number, append: AppendText): number {
    const to = this.readString(from)
    if (to < 0) return to
    const misfit = append(plan, this.textBytes, this.textStart, this.textEnd)
    return misfit === null ? to : this.misfit(plan, from, depth, misfit)
  }

  /** `null`, or what no column of this kind takes. */
  protected decodeOther(plan: ValuePlan, from: number, depth: number, remark: string): number {
    if (!this.isLiteralNull(from) || !plan.nullable) return this.misfit(plan, from, depth, remark)
    plan.builder.appendNull()
    return from + 4
  }

  /** Notes why the value at `from` is not what the column takes, provided that it is JSON at all. */
  protected misfit(plan: ValuePlan, from: number, depth: number, remark: string): number {
    const to = this.skipValue(from, depth)
    if (to < 0) return to
    const found = describeJsonValue(this.bytes, from, Math.min(to, this.end))
    const what = found === 'null' ? `${plan.expected} that is not null` : plan.expected
    this.misfitColumn = plan.column
    this.misfitPath = ''
    this.misfitMessage = `expected ${what}, found ${found}${remark === '' ? '' : ` (${remark})`}`
    return MISFIT
  }
}

/** Is `[first, p)` the whole of an integer without sign: digits, no zero in front, no fraction or exponent behind? */
function isWhole(b: Uint8Array, first: number, p: number): boolean {
  const next = b[p]!
  return (
    p > first && (b[first] !== 0x30 || p === first + 1) && next !== 0x2e && next !== 0x65 && next !== 0x45
  )
}

/** Did no digit get lost while it was summed up in a double? */
function isExact(value: number): boolean {
  return value <= Number.MAX_SAFE_INTEGER && value >= -Number.MAX_SAFE_INTEGER
}
