/**
 * Days and microseconds since 1970-01-01 to and from ISO-8601 text, proleptic Gregorian, without time zones.
 *
 * JavaScript's `Date` stops at milliseconds and at the years ±271821; dates and timestamps of a table do not.
 *
 * @module
 */

const MICROS_PER_SECOND = 1_000_000n
const MICROS_PER_DAY = 86_400n * MICROS_PER_SECOND
const SECONDS_PER_DAY = 86_400

/** Days since 1970-01-01 of a civil date; `month` and `day` from 1. */
export function daysFromCivil(year: number, month: number, day: number): number {
  // Years start in March, so that the leap day is the last of the year; eras of 400 years repeat.
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}

/** The civil date of a day since 1970-01-01. */
export function civilFromDays(days: number): { year: number; month: number; day: number } {
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1_460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day }
}

/** `yyyy-MM-dd`; years beyond 9999 with a plus, before 0 with a minus, as Java writes them. */
export function formatDate(days: number): string {
  const { year, month, day } = civilFromDays(days)
  return `${formatYear(year)}-${pad(month, 2)}-${pad(day, 2)}`
}

/** Parses `yyyy-MM-dd` to days since 1970-01-01; null where it is no date. */
export function parseDate(text: string): number | null {
  const match = /^([+-]?\d{4,7})-(\d\d)-(\d\d)$/.exec(text)
  if (match === null) return null
  return daysOf(Number(match[1]), Number(match[2]), Number(match[3]))
}

/** The parts of a timestamp: `date` and `time` (`HH:mm:ss`) as text, and the microseconds of the second. */
export function splitTimestamp(micros: bigint): { date: string; time: string; microsOfSecond: number } {
  const days = floorDiv(micros, MICROS_PER_DAY)
  const microsOfDay = micros - days * MICROS_PER_DAY
  const secondOfDay = Number(microsOfDay / MICROS_PER_SECOND)
  const hour = Math.floor(secondOfDay / 3600)
  const minute = Math.floor((secondOfDay % 3600) / 60)
  return {
    date: formatDate(Number(days)),
    time: `${pad(hour, 2)}:${pad(minute, 2)}:${pad(secondOfDay % 60, 2)}`,
    microsOfSecond: Number(microsOfDay % MICROS_PER_SECOND),
  }
}

/** `2026-11-22T10:00:00.123456Z`, always with six digits. */
export function formatInstant(micros: bigint): string {
  const { date, time, microsOfSecond } = splitTimestamp(micros)
  return `${date}T${time}.${pad(microsOfSecond, 6)}Z`
}

/** `2026-11-22 10:00:00` or, where the second is not whole, `2026-11-22 10:00:00.123456`. */
export function formatLocalTimestamp(micros: bigint): string {
  const { date, time, microsOfSecond } = splitTimestamp(micros)
  return microsOfSecond === 0 ? `${date} ${time}` : `${date} ${time}.${pad(microsOfSecond, 6)}`
}

/**
 * Parses `yyyy-MM-dd[(T| )HH:mm[:ss[.f…]][zone]]` to microseconds. The zone is `Z`, `±HH`, `±HHmm` or `±HH:mm`; without
 * one the text is taken as UTC. Digits behind the microseconds are dropped.
 *
 * @returns null where it is no timestamp
 */
export function parseTimestamp(text: string): bigint | null {
  const match =
    /^([+-]?\d{4,7})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?\s?(Z|UTC|[+-]\d\d(?::?\d\d)?)?)?$/.exec(
      text,
    )
  if (match === null) return null
  const days = daysOf(Number(match[1]), Number(match[2]), Number(match[3]))
  const hour = Number(match[4] ?? 0)
  const minute = Number(match[5] ?? 0)
  const second = Number(match[6] ?? 0)
  if (days === null || hour > 23 || minute > 59 || second > 59) return null
  const fraction = Number((match[7] ?? '').slice(0, 6).padEnd(6, '0'))
  const offset = offsetSeconds(match[8])
  if (offset === null) return null
  const seconds = days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second - offset
  return BigInt(seconds) * MICROS_PER_SECOND + BigInt(fraction)
}

/** Division that rounds down, also below zero. */
export function floorDiv(a: bigint, b: bigint): bigint {
  const quotient = a / b
  return a % b !== 0n && a < 0n !== b < 0n ? quotient - 1n : quotient
}

/** Digits with zeros in front. */
export function pad(value: number, width: number): string {
  return String(value).padStart(width, '0')
}

function formatYear(year: number): string {
  if (year > 9999) return `+${year}`
  return year < 0 ? `-${pad(-year, 4)}` : pad(year, 4)
}

function daysOf(year: number, month: number, day: number): number | null {
  if (month < 1 || month > 12 || day < 1 || day > 31) return null
  const days = daysFromCivil(year, month, day)
  // The 31st of a month that has 30 days comes back as another day.
  return civilFromDays(days).day === day ? days : null
}

function offsetSeconds(zone: string | undefined): number | null {
  if (zone === undefined || zone === 'Z' || zone === 'UTC') return 0
  const hours = Number(zone.slice(1, 3))
  const minutes = Number(zone.slice(3).replace(':', '') || 0)
  if (hours > 18 || minutes > 59) return null
  return (zone.startsWith('-') ? -1 : 1) * (hours * 3600 + minutes * 60)
}
