/**
 * One value from its text into its builder: what the fast paths of the JSON decoder leave over, and the whole of values
 * that come from a Kafka key or header.
 *
 * Each function appends and returns null, or appends nothing and returns why the text does not fit: a remark in
 * parentheses, empty where the expected type says it all.
 *
 * @module
 */
import {
  type BinaryBuilder,
  type DecimalBuilder,
  Int64Builder,
  NumberBuilder,
} from '@stream-ingest/delta/column'
import { decodeBase64 } from './base64.ts'
import { ExactNumber } from './exact-number.ts'
import { parseFloat32, parseFloat64 } from './float-text.ts'
import { DAY_MAX, DAY_MIN, InstantReader, parseDay, SECOND_MAX, SECOND_MIN } from './instant.ts'
import type { ValuePlan } from './json-plan.ts'

/** Why a text does not fit; null where it was appended. */
export type Misfit = string | null

export const OUT_OF_RANGE = 'out of range'
export const NOT_INTEGRAL = 'not integral'

/** uint64 has up to 20 digits. */
const INTEGER_PRECISION = 20
const MICROS_PER_SECOND = 1_000_000
const NANOS_PER_MICRO = 1_000
/** Instants from 1684 on have microseconds that fit into a double. */
const SECOND_MIN_NEAR = -9_000_000_000

const exact = new ExactNumber()
const instant = new InstantReader()

/** The JSON number in `[start, end)`. */
export function appendInteger(plan: ValuePlan, b: Uint8Array, start: number, end: number): Misfit {
  const outcome = exact.read(b, start, end, 0, INTEGER_PRECISION)
  if (outcome === 'not_a_number') return ''
  if (outcome === 'inexact') return NOT_INTEGRAL
  if (outcome === 'too_large') return OUT_OF_RANGE
  const { builder } = plan
  if (exact.isSmall && plan.kind !== 'uint64' && (exact.small < plan.min || exact.small > plan.max)) {
    return OUT_OF_RANGE
  }
  exact.spread()
  const [w0, w1, w2, w3] = exact.words as unknown as readonly [number, number, number, number]
  if (builder instanceof NumberBuilder) {
    if (!exact.isSmall) return OUT_OF_RANGE
    builder.append(exact.small)
  } else if (builder instanceof Int64Builder) {
    const sign = w1 < 0 ? -1 : 0
    // Bounds tighter than 64 bits are below 15 digits, and were checked above.
    if (w2 !== sign || w3 !== sign || (!exact.isSmall && !isWide(plan))) return OUT_OF_RANGE
    builder.appendHalves(w0, w1)
  } else {
    if (w2 !== 0 || w3 !== 0) return OUT_OF_RANGE
    ;(builder as DecimalBuilder).appendWords(w0, w1, 0, 0)
  }
  return null
}

function isWide(plan: ValuePlan): boolean {
  return plan.max >= 2 ** 62
}

/** The number in `[start, end)`; rounded correctly, to infinity where it is too large. */
export function appendFloat(plan: ValuePlan, b: Uint8Array, start: number, end: number): Misfit {
  const builder = plan.builder as NumberBuilder
  builder.append(builder.kind === 'float32' ? parseFloat32(b, start, end) : parseFloat64(b, start, end))
  return null
}

/** A number's text, from JSON or from inside a string. */
export function appendDecimal(plan: ValuePlan, b: Uint8Array, start: number, end: number): Misfit {
  switch (exact.read(b, start, end, plan.scale, plan.precision)) {
    case 'not_a_number':
      return ''
    case 'inexact':
      return `more than ${plan.scale} digits after the point`
    case 'too_large':
      return OUT_OF_RANGE
  }
  const builder = plan.builder as DecimalBuilder
  if (exact.isSmall) builder.appendNumber(exact.small)
  else builder.appendWords(exact.words[0]!, exact.words[1]!, exact.words[2]!, exact.words[3]!)
  return null
}

/** The JSON number in `[start, end)` in the plan's unit. */
export function appendInstantInteger(plan: ValuePlan, b: Uint8Array, start: number, end: number): Misfit {
  const outcome = exact.read(b, start, end, 0, INTEGER_PRECISION)
  if (outcome === 'not_a_number') return ''
  if (outcome === 'inexact') return NOT_INTEGRAL
  if (outcome === 'too_large') return OUT_OF_RANGE
  if (exact.isSmall) return appendUnits(plan, exact.small) ? null : OUT_OF_RANGE
  // More than 53 bits, and not how anybody writes the instants of our time: rare enough for a BigInt.
  const sign = exact.words[1]! < 0 ? -1 : 0
  if (exact.words[2] !== sign || exact.words[3] !== sign) return OUT_OF_RANGE
  const units = (BigInt(exact.words[1]!) << 32n) | BigInt(exact.words[0]! >>> 0)
  const perSecond = BigInt(plan.unitsPerSecond)
  let second = units / perSecond
  if (units % perSecond < 0n) second--
  const rest = units - second * perSecond
  if (second < SECOND_MIN || second > SECOND_MAX) return OUT_OF_RANGE
  const micros = (rest * BigInt(MICROS_PER_SECOND)) / perSecond
  ;(plan.builder as Int64Builder).append(second * BigInt(MICROS_PER_SECOND) + micros)
  return null
}

/** Appends an instant given in the plan's unit, an integer between ±(2^53 − 1); false where it is out of range. */
export function appendUnits(plan: ValuePlan, units: number): boolean {
  const builder = plan.builder as Int64Builder
  const { unitsPerSecond } = plan
  if (unitsPerSecond <= MICROS_PER_SECOND) {
    // The usual case: the microseconds fit into a double, which is long before the year 9999.
    const total = units * (MICROS_PER_SECOND / unitsPerSecond)
    if (total <= Number.MAX_SAFE_INTEGER && total >= SECOND_MIN_NEAR * MICROS_PER_SECOND) {
      builder.appendNumber(total)
      return true
    }
  }
  const rest = ((units % unitsPerSecond) + unitsPerSecond) % unitsPerSecond
  const second = (units - rest) / unitsPerSecond
  if (second < SECOND_MIN || second > SECOND_MAX) return false
  const micros =
    unitsPerSecond <= MICROS_PER_SECOND
      ? rest * (MICROS_PER_SECOND / unitsPerSecond)
      : (rest - (rest % NANOS_PER_MICRO)) / NANOS_PER_MICRO
  appendMicros(builder, second, micros)
  return true
}

/**
 * Appends the nanoseconds whose digits are `[first, end)`: of today they have more bits than a double, but not without
 * the three digits that are cut. False where they are out of range.
 */
export function appendNanos(
  plan: ValuePlan,
  b: Uint8Array,
  first: number,
  end: number,
  isNegative: boolean,
): boolean {
  let micros = 0
  for (let p = first; p < end - 3; p++) micros = micros * 10 + (b[p]! ^ 0x30)
  const isCut = b[end - 1] !== 0x30 || b[end - 2] !== 0x30 || b[end - 3] !== 0x30
  if (isNegative) micros = isCut ? -micros - 1 : -micros
  if (!Number.isSafeInteger(micros) || micros < SECOND_MIN_NEAR * MICROS_PER_SECOND) return false
  ;(plan.builder as Int64Builder).appendNumber(micros)
  return true
}

/** ISO-8601 text. */
export function appendInstantText(plan: ValuePlan, b: Uint8Array, start: number, end: number): Misfit {
  if (!instant.read(b, start, end)) return 'not an ISO-8601 instant of the years 0001 to 9999'
  appendMicros(plan.builder as Int64Builder, instant.seconds, instant.micros)
  return null
}

/** `second × 10^6 + micros`, which needs up to 59 bits, as two halves. */
function appendMicros(builder: Int64Builder, second: number, micros: number): void {
  const total = second * MICROS_PER_SECOND + micros
  if (Math.abs(total) <= Number.MAX_SAFE_INTEGER) {
    builder.appendNumber(total)
    return
  }
  // The product in parts: 20 low bits of the seconds, and the rest above them.
  const above = Math.floor(second / 0x10_0000)
  const low = (second - above * 0x10_0000) * MICROS_PER_SECOND + micros
  const high = above * MICROS_PER_SECOND
  const highRest = high - Math.floor(high / 0x1000) * 0x1000
  const lowSum = highRest * 0x10_0000 + low
  builder.appendHalves(lowSum | 0, Math.floor(high / 0x1000) + Math.floor(lowSum / 0x1_0000_0000))
}

/** The JSON number in `[start, end)` as days since 1970-01-01. */
export function appendDayNumber(plan: ValuePlan, b: Uint8Array, start: number, end: number): Misfit {
  const outcome = exact.read(b, start, end, 0, INTEGER_PRECISION)
  if (outcome === 'not_a_number') return ''
  if (outcome === 'inexact') return NOT_INTEGRAL
  if (outcome === 'too_large' || !exact.isSmall || exact.small < DAY_MIN || exact.small > DAY_MAX) {
    return OUT_OF_RANGE
  }
  ;(plan.builder as NumberBuilder).append(exact.small)
  return null
}

/** `yyyy-MM-dd`. */
export function appendDayText(plan: ValuePlan, b: Uint8Array, start: number, end: number): Misfit {
  const day = parseDay(b, start, end)
  if (Number.isNaN(day)) return 'not a date `yyyy-MM-dd` of the years 0001 to 9999'
  ;(plan.builder as NumberBuilder).append(day)
  return null
}

/** Base64 text. */
export function appendBase64(plan: ValuePlan, b: Uint8Array, start: number, end: number): Misfit {
  const builder = plan.builder as BinaryBuilder
  builder.ensure(end - start)
  const written = decodeBase64(b, start, end, builder.data, builder.dataEnd)
  if (written < 0) return 'not base64'
  builder.appendWritten(written)
  return null
}
