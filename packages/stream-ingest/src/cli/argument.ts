/**
 * Arguments of the command line: times, durations, sizes, positions in a topic. What is none of them is told in the words of
 * the parser's own errors.
 *
 * @module
 */
import { InvalidArgumentError } from 'commander'
import type { OffsetTarget } from '../pipeline/offset-move.ts'

/** With a zone, or in UTC. */
export function parseTime(text: string): number {
  const isTime = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:?\d\d)?)?$/.test(text)
  const hasZone = /(?:Z|[+-]\d\d:?\d\d)$/.test(text.slice(10))
  const ms = isTime ? Date.parse(text.length > 10 && !hasZone ? `${text}Z` : text) : Number.NaN
  if (Number.isNaN(ms)) throw new InvalidArgumentError('expected a time: 2026-11-22T14:00:00Z.')
  return ms
}

export function parsePosition(text: string): OffsetTarget {
  if (text === 'earliest' || text === 'latest') return text
  if (/^\d{1,18}$/.test(text)) return { offset: BigInt(text) }
  if (/^\d{4}-/.test(text)) return { timestampMs: parseTime(text) }
  throw new InvalidArgumentError('expected earliest, latest, an offset, or a time: 2026-11-22T14:00:00Z.')
}

export function parseStart(text: string): OffsetTarget {
  const position = parsePosition(text)
  if (typeof position !== 'string' && 'offset' in position) {
    throw new InvalidArgumentError('expected earliest, latest, or a time; an offset is for `offsets set`.')
  }
  return position
}

export function parseCounts(text: string, before: readonly number[] | undefined): number[] {
  return [...(before ?? []), parseCount(text)]
}

const SIZE_UNITS: Readonly<Record<string, number>> = { b: 1, kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30 }

export function parseSize(text: string): number {
  const match = /^(\d{1,9}(?:\.\d+)?)(b|kib|mib|gib)$/i.exec(text)
  const sizeBytes = match === null ? 0 : Math.round(Number(match[1]) * SIZE_UNITS[match[2]!.toLowerCase()]!)
  if (sizeBytes < 1) throw new InvalidArgumentError('expected a size with its unit: 64MiB, 1GiB.')
  return sizeBytes
}

export function parseCount(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('expected a whole number.')
  return Number(text)
}

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

export function parseDuration(text: string): number {
  const match = /^(\d{1,9}(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text)
  if (match === null) throw new InvalidArgumentError('expected a duration with its unit: 30s, 10m, 2h.')
  return Math.round(Number(match[1]) * DURATION_UNITS[match[2]!]!)
}

const DOCTOR_GROUPS = ['kafka', 'store', 'table', 'clock'] as const

/** Of checks, comma-separated. */
export function parseGroups(text: string): (typeof DOCTOR_GROUPS)[number][] {
  return text.split(',').map(word => {
    const group = DOCTOR_GROUPS.find(known => known === word.trim())
    if (group === undefined) throw new InvalidArgumentError(`expected some of ${DOCTOR_GROUPS.join(', ')}.`)
    return group
  })
}
