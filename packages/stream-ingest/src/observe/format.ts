/**
 * Numbers for people.
 *
 * @module
 */

/** `61,204` */
export function formatCount(count: number | bigint): string {
  return count.toLocaleString('en-US')
}

/** `1 file`, `2 files` */
export function formatNumberOf(count: number | bigint, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 || count === 1n ? '' : 's'}`
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** `7.9 MiB`: two digits that count. */
export function formatBytes(sizeBytes: number): string {
  let size = sizeBytes
  let unit = 0
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024
    unit++
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${UNITS[unit]}`
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** `412 ms`, `1.9 s`, `3 m 20 s`, `5 h 3 m`, `12 d 4 h` */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < MINUTE_MS) return `${(ms / 1000).toFixed(1)} s`
  if (ms < HOUR_MS) return `${Math.floor(ms / MINUTE_MS)} m ${Math.floor((ms % MINUTE_MS) / 1000)} s`
  if (ms < 2 * DAY_MS) return `${Math.floor(ms / HOUR_MS)} h ${Math.floor((ms % HOUR_MS) / MINUTE_MS)} m`
  return `${Math.floor(ms / DAY_MS)} d ${Math.floor((ms % DAY_MS) / HOUR_MS)} h`
}

/** `7 d`, `36 h`, `0.5 h`: how long something is kept. */
export function formatHours(ms: number): string {
  const hours = ms / HOUR_MS
  return hours >= 48 ? `${Number((hours / 24).toFixed(1))} d` : `${Number(hours.toFixed(2))} h`
}

/** `48 s`, `3 m`, `5 h`, `12 d`: whole, so that it does not jump about while it is watched. */
export function formatAge(ms: number): string {
  if (ms < MINUTE_MS) return `${Math.max(0, Math.floor(ms / 1000))} s`
  if (ms < HOUR_MS) return `${Math.floor(ms / MINUTE_MS)} m`
  if (ms < 2 * DAY_MS) return `${Math.floor(ms / HOUR_MS)} h`
  return `${Math.floor(ms / DAY_MS)} d`
}

const THOUSANDS = ['k', 'M', 'G', 'T'] as const

/** `3,412`, `18 k`, `1.2 M`: short, where the last digits say nothing. */
export function formatShortCount(count: number | bigint): string {
  let short = Number(count)
  if (short < 10_000) return formatCount(Math.round(short))
  let unit = -1
  while (short >= 1_000 && unit < THOUSANDS.length - 1) {
    short /= 1_000
    unit++
  }
  return `${short >= 10 ? Math.floor(short) : (Math.floor(short * 10) / 10).toFixed(1)} ${THOUSANDS[unit]}`
}

/** `2026-11-22 14:02:10 UTC` */
export function formatTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}
