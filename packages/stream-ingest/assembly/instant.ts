// Days and instants of the proleptic Gregorian calendar, years 0001 to 9999, as src/decode/instant.ts has them.

const SECONDS_PER_DAY: i64 = 86_400
const SECOND_MIN: i64 = -719_162 * SECONDS_PER_DAY
const SECOND_MAX: i64 = 2_932_896 * SECONDS_PER_DAY + SECONDS_PER_DAY - 1
const FRACTION_DIGITS_MAX: usize = 9

export const NO_DAY: i32 = i32.MIN_VALUE

/** Microseconds since the epoch, where `readInstant` found an instant. */
export let instantMicros: i64 = 0

/** Two digits; negative where one is none. */
// @ts-ignore: decorator
@inline
function twoDigits(p: usize): i32 {
  const tens: i32 = load<u8>(p) ^ 0x30
  const ones: i32 = load<u8>(p + 1) ^ 0x30
  return tens <= 9 && ones <= 9 ? tens * 10 + ones : -1
}

/** Days since 1970-01-01 of a day that exists: Howard Hinnant, "chrono-compatible low-level date algorithms". */
function daysFromCivil(year: i32, month: i32, day: i32): i32 {
  const y = month <= 2 ? year - 1 : year
  const era = y / 400
  const yearOfEra = y - era * 400
  const dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
  return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
}

function daysOfMonth(year: i32, month: i32): i32 {
  if (month == 2) return (year & 3) == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31
}

/** The ten bytes `yyyy-MM-dd`; `NO_DAY` where they are no day. */
export function dayAt(p: usize): i32 {
  if (load<u8>(p + 4) != 0x2d || load<u8>(p + 7) != 0x2d) return NO_DAY
  const century = twoDigits(p)
  const yearOfCentury = twoDigits(p + 2)
  const month = twoDigits(p + 5)
  const day = twoDigits(p + 8)
  if (century < 0 || yearOfCentury < 0 || month < 1 || month > 12 || day < 1) return NO_DAY
  const year = century * 100 + yearOfCentury
  if (year < 1 || day > daysOfMonth(year, month)) return NO_DAY
  return daysFromCivil(year, month, day)
}

/**
 * From behind the opening quote of a text without escapes that is an ISO-8601 instant to behind its closing quote; 0 where it
 * is none.
 */
export function readInstant(from: usize): usize {
  const day = dayAt(from)
  if (day == NO_DAY) return 0
  let seconds: i64 = <i64>day * SECONDS_PER_DAY
  let micros: i64 = 0
  let p = from + 10
  let c = load<u8>(p)
  if (c != 0x22) {
    if (c != 0x54 && c != 0x20 && c != 0x74) return 0
    const hour = twoDigits(p + 1)
    const minute = twoDigits(p + 4)
    if (hour < 0 || hour > 23 || load<u8>(p + 3) != 0x3a || minute < 0 || minute > 59) return 0
    seconds += hour * 3600 + minute * 60
    p += 6
    if (load<u8>(p) == 0x3a) {
      const second = twoDigits(p + 1)
      if (second < 0 || second > 59) return 0
      seconds += second
      p += 3
      c = load<u8>(p)
      if (c == 0x2e || c == 0x2c) {
        const digits = ++p
        for (; (load<u8>(p) ^ 0x30) <= 9; p++) {
          if (p - digits < 6) micros = micros * 10 + (load<u8>(p) ^ 0x30)
        }
        if (p == digits || p - digits > FRACTION_DIGITS_MAX) return 0
        for (let i = p - digits; i < 6; i++) micros *= 10
      }
    }
    c = load<u8>(p)
    if (c == 0x5a || c == 0x7a) p++
    else if (c == 0x2b || c == 0x2d) {
      const hours = twoDigits(p + 1)
      let minutes = 0
      p += 3
      if (load<u8>(p) != 0x22) {
        if (load<u8>(p) == 0x3a) p++
        minutes = twoDigits(p)
        p += 2
      }
      if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return 0
      const offset = hours * 3600 + minutes * 60
      seconds += c == 0x2d ? offset : -offset
    }
    if (load<u8>(p) != 0x22) return 0
  }
  if (seconds < SECOND_MIN || seconds > SECOND_MAX) return 0
  instantMicros = seconds * 1_000_000 + micros
  return p + 1
}
