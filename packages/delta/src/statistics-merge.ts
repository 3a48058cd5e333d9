/**
 * The statistics of several batches of rows as those of the file that holds them all.
 *
 * PROTOCOL.md › Per-file Statistics. A bound that one part lacks, although it has values, is lacking in the whole.
 *
 * @module
 */
import { JsonNumber } from './json.ts'
import type { StructField, StructType } from './schema.ts'
import type { NullCounts, Statistics, StatisticValue, StatisticValues } from './statistics-codec.ts'
import { compareKeys } from './store/object-key.ts'

type Values = Record<string, StatisticValue | StatisticValues>
type Counts = Record<string, number | NullCounts>

/**
 * Merges two.
 *
 * @param schema of the file, by the names that the statistics have
 */
export function mergeStatistics(schema: StructType, a: Statistics, b: Statistics): Statistics {
  const minValues: Values = Object.create(null)
  const maxValues: Values = Object.create(null)
  const nullCount: Counts = Object.create(null)
  for (const field of schema.fields)
    mergeField(field, partOf(a), partOf(b), { minValues, maxValues, nullCount })
  return {
    numRecords: a.numRecords + b.numRecords,
    minValues,
    maxValues,
    nullCount,
    ...(a.tightBounds === undefined ? {} : { tightBounds: a.tightBounds && b.tightBounds !== false }),
  }
}

/** Statistics of the fields of one struct. */
interface Part {
  readonly rowCount: number
  readonly min: StatisticValues | undefined
  readonly max: StatisticValues | undefined
  readonly nulls: NullCounts | undefined
}

interface Merged {
  readonly minValues: Values
  readonly maxValues: Values
  readonly nullCount: Counts
}

function partOf({ numRecords, minValues, maxValues, nullCount }: Statistics): Part {
  return { rowCount: numRecords, min: minValues, max: maxValues, nulls: nullCount }
}

function mergeField({ name, type }: StructField, a: Part, b: Part, into: Merged): void {
  if (type.kind === 'struct') {
    const nested: Merged = {
      minValues: Object.create(null),
      maxValues: Object.create(null),
      nullCount: Object.create(null),
    }
    for (const inner of type.fields) mergeField(inner, below(a, name), below(b, name), nested)
    for (const key of ['minValues', 'maxValues', 'nullCount'] as const) {
      if (Object.keys(nested[key]).length > 0) into[key][name] = nested[key] as never
    }
    return
  }
  const nullsOfA = a.nulls?.[name]
  const nullsOfB = b.nulls?.[name]
  if (typeof nullsOfA === 'number' && typeof nullsOfB === 'number') into.nullCount[name] = nullsOfA + nullsOfB
  const min = mergeBound(boundOf(a, a.min, name), boundOf(b, b.min, name), -1)
  if (min !== undefined) into.minValues[name] = min
  const max = mergeBound(boundOf(a, a.max, name), boundOf(b, b.max, name), 1)
  if (max !== undefined) into.maxValues[name] = max
}

function below({ rowCount, min, max, nulls }: Part, name: string): Part {
  return {
    rowCount,
    min: min?.[name] as StatisticValues | undefined,
    max: max?.[name] as StatisticValues | undefined,
    nulls: nulls?.[name] as NullCounts | undefined,
  }
}

/** Every row is null, so that the part has nothing to say. */
const NO_VALUES: unique symbol = Symbol('no values')
/** Undefined: there are values, and no bound. */
type BoundOf = StatisticValue | typeof NO_VALUES | undefined

function boundOf(part: Part, values: StatisticValues | undefined, name: string): BoundOf {
  const value = values?.[name] as StatisticValue | undefined
  if (value !== undefined) return value
  return part.nulls?.[name] === part.rowCount ? NO_VALUES : undefined
}

function mergeBound(a: BoundOf, b: BoundOf, direction: 1 | -1): StatisticValue | undefined {
  if (a === undefined || b === undefined) return undefined
  if (a === NO_VALUES) return b === NO_VALUES ? undefined : b
  if (b === NO_VALUES) return a
  return compareBounds(a, b) * direction >= 0 ? a : b
}

/** Texts of dates and timestamps have one width, so that they sort as what they mean. */
function compareBounds(a: StatisticValue, b: StatisticValue): number {
  if (typeof a === 'string' || typeof b === 'string') return compareKeys(String(a), String(b))
  // Decimals of one column have one scale.
  if (a instanceof JsonNumber && b instanceof JsonNumber) return compareNumbers(unscaled(a), unscaled(b))
  return compareNumbers(a as number | bigint, b as number | bigint)
}

function compareNumbers(a: number | bigint, b: number | bigint): number {
  if (a < b) return -1
  if (a > b) return 1
  // Minus zero is the lesser of the two.
  return Object.is(a, -0) ? (Object.is(b, -0) ? 0 : -1) : Object.is(b, -0) ? 1 : 0
}

function unscaled({ text }: JsonNumber): bigint {
  return BigInt(text.replace('.', ''))
}
