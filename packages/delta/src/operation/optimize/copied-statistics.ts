/**
 * The statistics of a file whose rows are copied without being looked at: those that its `add` has.
 *
 * PROTOCOL.md › Per-file Statistics.
 *
 * @module
 */
import type { StructType } from '../../schema.ts'
import { canonicalBound } from '../../statistics-bound.ts'
import {
  type NullCounts,
  parseStatistics,
  type Statistics,
  type StatisticsOptions,
  type StatisticValue,
  type StatisticValues,
  statisticsKey,
} from '../../statistics-codec.ts'

type Group = Readonly<Record<string, unknown>>

interface Copied {
  readonly minValues: Record<string, StatisticValue | StatisticValues>
  readonly maxValues: Record<string, StatisticValue | StatisticValues>
  readonly nullCount: Record<string, number | NullCounts>
}

/**
 * Bounds as they would be written here; one that the file lacks, or that means nothing, is left out.
 *
 * @param stats of the `add`
 * @param schema of the file's data columns
 * @param rowCount by its footer
 * @returns null where only the rows could tell: counts are missing, contradict the file or are no longer tight
 */
export function copiedStatistics(
  stats: string | undefined,
  schema: StructType,
  rowCount: number,
  options: StatisticsOptions,
): Statistics | null {
  const found = stats === undefined ? null : parseStatistics(stats)
  if (found === null || found.numRecords !== rowCount || found.tightBounds === false) return null
  const { minValues = {}, maxValues = {}, nullCount = {} } = found
  const copied = newCopied()
  if (!copyFields(schema, minValues, maxValues, nullCount, rowCount, [], options, copied)) return null
  return { numRecords: rowCount, ...copied, ...(options.tightBounds ? { tightBounds: true } : {}) }
}

/** Objects without a prototype: a column may be called `__proto__`. */
function newCopied(): Copied {
  return { minValues: Object.create(null), maxValues: Object.create(null), nullCount: Object.create(null) }
}

/** @returns false where a count is missing or cannot be */
function copyFields(
  { fields }: StructType,
  min: Group,
  max: Group,
  nulls: Group,
  rowCount: number,
  parents: readonly string[],
  options: StatisticsOptions,
  into: Copied,
): boolean {
  for (const { name, type } of fields) {
    const path = [...parents, name]
    if (type.kind === 'struct') {
      const nested = newCopied()
      const [nestedMin, nestedMax, nestedNulls] = [min, max, nulls].map(group => groupOf(group, name))
      if (!copyFields(type, nestedMin!, nestedMax!, nestedNulls!, rowCount, path, options, nested))
        return false
      for (const key of ['minValues', 'maxValues', 'nullCount'] as const) {
        if (Object.keys(nested[key]).length > 0) into[key][name] = nested[key] as never
      }
      continue
    }
    if (options.columns !== null && !options.columns.has(statisticsKey(path))) continue
    const count = Object.hasOwn(nulls, name) ? nulls[name] : undefined
    if (!Number.isSafeInteger(count) || (count as number) < 0 || (count as number) > rowCount) return false
    into.nullCount[name] = count as number
    if (count === rowCount || type.kind === 'array' || type.kind === 'map') continue
    const lower = canonicalBound(type, Object.hasOwn(min, name) ? min[name] : null, 'min')
    const upper = canonicalBound(type, Object.hasOwn(max, name) ? max[name] : null, 'max')
    if (lower !== null) into.minValues[name] = lower
    if (upper !== null) into.maxValues[name] = upper
  }
  return true
}

function groupOf(group: Group, name: string): Group {
  const nested = Object.hasOwn(group, name) ? group[name] : undefined
  return typeof nested === 'object' && nested !== null ? (nested as Group) : {}
}
