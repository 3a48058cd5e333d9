/**
 * Days and instants of the proleptic Gregorian calendar from text, without `Date`.
 *
 * Years 0001 to 9999 only: the range that every reader of a Delta table shares. An integer in the wrong unit falls
 * outside of it and is noticed.
 *
 * @module
 */
import { daysFromCivil } from '@stream-ingest/delta'

/** 0001-01-01 and 9999-12-31 in days since 1970-01-01. */
export const DAY_MIN = -719_162
export const DAY_MAX = 2_932_896

export const SECONDS_PER_DAY = 86_400

/** 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z in seconds since the epoch. */
export const SECOND_MIN: number = DAY_MIN * SECONDS_PER_DAY
export const SECOND_MAX: number = DAY_MAX * SECONDS_PER_DAY + SECONDS_PER_DAY - 1

const FRACTION_DIGITS_MAX = 9
const DAYS_OF_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const

/** `yyyy-MM-dd` in exactly `[start, end)` as days since 1970-01-01; NaN where it is no date. */
export function parseDay(bytes: Uint8Array, start: number, end: number): number {
  return end - start === 10 ? dayAt(bytes, start) : Number.NaN
}

/**
 * Reads ISO-8601 instants: `yyyy-MM-dd`, then optionally `T` (or a space) `HH:mm[:ss[.fraction]]`, then optionally `Z`
 * or an offset `±HH[[:]mm]`. Without a zone it is UTC. A fraction has up to 9 digits; those below the microsecond are cut.
 * The result is in the fields, so that nothing is allocated.
 */
export class InstantReader {
  /** Whole seconds since the epoch, rounded down. */
  seconds = 0
  /** Microseconds on top, 0 to 999999. */
  micros = 0

  /** Returns false where `[start, end)` is no such text, or the instant is outside of the years 0001 to 9999. */
  read(b: Uint8Array, start: number, end: number): boolean {
    this.micros = 0
    if (end - start < 10) return false
    const day = dayAt(b, start)
    if (Number.isNaN(day)) return false
    this.seconds = day * SECONDS_PER_DAY
    let p = start + 10
    if (p === end) return true
    const separator = b[p]!
    if (separator !== 0x54 && separator !== 0x20 && separator !== 0x74) return false
    p++
    if (p + 5 > end || b[p + 2] !== 0x3a) return false
    const hour = twoDigits(b, p)
    const minute = twoDigits(b, p + 3)
    if (!(hour <= 23 && minute <= 59)) return false
    p += 5
    let second = 0
    if (p < end && b[p] === 0x3a) {
      if (p + 3 > end) return false
      second = twoDigits(b, p + 1)
      if (!(second <= 59)) return false
      p += 3
      if (p < end && (b[p] === 0x2e || b[p] === 0x2c)) {
        p = this.readFraction(b, p + 1, end)
        if (p < 0) return false
      }
    }
    const offset = p === end ? 0 : zoneOffset(b, p, end)
    if (Number.isNaN(offset)) return false
    this.seconds += hour * 3600 + minute * 60 + second - offset
    return this.seconds >= SECOND_MIN && this.seconds <= SECOND_MAX
  }

  private readFraction(b: Uint8Array, start: number, end: number): number {
    let p = start
    let micros = 0
    for (; p < end && (b[p]! ^ 0x30) <= 9; p++) {
      if (p - start < 6) micros = micros * 10 + (b[p]! ^ 0x30)
    }
    const digits = p - start
    if (digits === 0 || digits > FRACTION_DIGITS_MAX) return -1
    for (let i = digits; i < 6; i++) micros *= 10
    this.micros = micros
    return p
  }
}

/** Seconds east of UTC of `Z` or `±HH[[:]mm]` filling `[p, end)`; NaN where it is neither. */
function zoneOffset(b: Uint8Array, p: number, end: number): number {
  const sign = b[p]!
  const length = end - p
  if (sign === 0x5a || sign === 0x7a) return length === 1 ? 0 : Number.NaN
  if ((sign !== 0x2b && sign !== 0x2d) || length < 3) return Number.NaN
  const hours = twoDigits(b, p + 1)
  let minutes = 0
  if (length === 5) minutes = twoDigits(b, p + 3)
  else if (length === 6 && b[p + 3] === 0x3a) minutes = twoDigits(b, p + 4)
  else if (length !== 3) return Number.NaN
  if (!(hours <= 23 && minutes <= 59)) return Number.NaN
  const seconds = hours * 3600 + minutes * 60
  return sign === 0x2d ? -seconds : seconds
}

/** `yyyy-MM-dd` at `p`, which has ten bytes; NaN where no such day exists. */
function dayAt(b: Uint8Array, p: number): number {
  if (b[p + 4] !== 0x2d || b[p + 7] !== 0x2d) return Number.NaN
  const year = twoDigits(b, p) * 100 + twoDigits(b, p + 2)
  const month = twoDigits(b, p + 5)
  const day = twoDigits(b, p + 8)
  // NaN fails every comparison, so the tests are written for what is right.
  if (!(year >= 1 && month >= 1 && month <= 12 && day >= 1)) return Number.NaN
  const leap = month === 2 && (year & 3) === 0 && (year % 100 !== 0 || year % 400 === 0)
  if (day > DAYS_OF_MONTH[month - 1]! + (leap ? 1 : 0)) return Number.NaN
  return daysFromCivil(year, month, day)
}

/** NaN where one of the two bytes is no digit. */
function twoDigits(b: Uint8Array, p: number): number {
  const tens = b[p]! ^ 0x30
  const ones = b[p + 1]! ^ 0x30
  return tens <= 9 && ones <= 9 ? tens * 10 + ones : Number.NaN
}
