/**
 * Per-file statistics: their JSON form, and which columns get them.
 *
 * PROTOCOL.md › Per-file Statistics. `{"numRecords":N,"minValues":{…},"maxValues":{…},"nullCount":{…},
 * "tightBounds":true}`, structs nested in the same way. Readers skip files by these bounds, so a bound that is wrong
 * loses rows; a bound that is missing only costs a read.
 *
 * @module
 */
import { clusteringColumns } from './clustering.ts'
import { columnMappingMode, physicalSchema } from './column-mapping.ts'
import { formatJson, isJsonObject, type JsonNumber, parseJsonLossless } from './json.ts'
import { schemaLeaves } from './schema-codec.ts'
import { tableProperty } from './table-property.ts'
import type { TableState } from './table-state.ts'

/** A bound: text for strings, dates and timestamps, a number, or a number whose exact text matters. */
export type StatisticValue = string | number | bigint | boolean | JsonNumber

/** By column name; a struct column holds its fields. */
export interface StatisticValues {
  readonly [column: string]: StatisticValue | StatisticValues
}

export interface NullCounts {
  readonly [column: string]: number | NullCounts
}

export interface Statistics {
  /** Physical rows of the file, deleted ones included. */
  readonly numRecords: number
  readonly minValues?: StatisticValues
  readonly maxValues?: StatisticValues
  readonly nullCount?: NullCounts
  /** False where rows were deleted without recomputing; absent means true. */
  readonly tightBounds?: boolean
}

export interface StatisticsOptions {
  /** Keys (see {@link statisticsKey}) of the leaf columns that get statistics; null for all. */
  readonly columns: ReadonlySet<string> | null
  /** UTF-16 code units kept of a string bound. */
  readonly stringPrefixLength: number
  /** Write `tightBounds`: tables with deletion vectors need it. */
  readonly tightBounds: boolean
}

/** The key of a leaf column in {@link StatisticsOptions.columns}. */
export function statisticsKey(path: readonly string[]): string {
  return path.join('\0')
}

/**
 * What the table's properties say: `delta.dataSkippingStatsColumns`, else the first
 * `delta.dataSkippingNumIndexedCols` leaf columns in schema order; clustering columns in any case. Partition columns have
 * none and do not count.
 */
export function statisticsOptionsOf(
  state: Pick<TableState, 'schema' | 'metadata' | 'protocol' | 'domainMetadata'>,
): StatisticsOptions {
  const { configuration, partitionColumns } = state.metadata
  const features = state.protocol.writerFeatures ?? []
  return {
    columns: withClustering(state, selectColumns(state, new Set(partitionColumns))),
    stringPrefixLength: tableProperty(configuration, 'delta.dataSkippingStringPrefixLength'),
    tightBounds: features.includes('deletionVectors'),
  }
}

function selectColumns(
  { schema, metadata }: Pick<TableState, 'schema' | 'metadata'>,
  partitionColumns: ReadonlySet<string>,
): ReadonlySet<string> | null {
  const leaves = [...schemaLeaves(schema)].filter(leaf => !partitionColumns.has(leaf.path[0]!))
  const named = tableProperty(metadata.configuration, 'delta.dataSkippingStatsColumns')
  if (named !== null) {
    const wanted = named.map(path => statisticsKey(path).toLowerCase())
    return new Set(
      leaves
        .map(leaf => statisticsKey(leaf.path))
        // A struct's name stands for all its fields.
        .filter(key => wanted.some(w => key.toLowerCase() === w || key.toLowerCase().startsWith(`${w}\0`))),
    )
  }
  const count = tableProperty(metadata.configuration, 'delta.dataSkippingNumIndexedCols')
  if (count === -1) return null
  return new Set(leaves.slice(0, count).map(leaf => statisticsKey(leaf.path)))
}

/** Readers that cluster rely on the bounds of the columns they cluster by. */
function withClustering(
  { schema, metadata, domainMetadata }: Pick<TableState, 'schema' | 'metadata' | 'domainMetadata'>,
  columns: ReadonlySet<string> | null,
): ReadonlySet<string> | null {
  const clustering = clusteringColumns(domainMetadata)
  if (columns === null || clustering.length === 0) return columns
  const physical = [...schemaLeaves(physicalSchema(schema, columnMappingMode(metadata)))]
  const wanted = new Set(clustering.map(statisticsKey))
  const keys = [...schemaLeaves(schema)].flatMap(({ path }, i) =>
    wanted.has(statisticsKey(physical[i]!.path)) ? [statisticsKey(path)] : [],
  )
  return new Set([...columns, ...keys])
}

/** Formats statistics as the text of `add.stats`. */
export function formatStatistics(statistics: Statistics): string {
  const { numRecords, minValues, maxValues, nullCount, tightBounds } = statistics
  return formatJson({ numRecords, minValues, maxValues, nullCount, tightBounds })
}

/**
 * Parses `add.stats`. Numbers whose text a double does not reproduce come as `JsonNumber`.
 *
 * @returns null where the text is not statistics: they are an optimisation, a reader can do without
 */
export function parseStatistics(text: string): Statistics | null {
  let json: unknown
  try {
    json = parseJsonLossless(text)
  } catch {
    return null
  }
  if (!isJsonObject(json)) return null
  const { numRecords, minValues, maxValues, nullCount, tightBounds } = json
  if (!Number.isSafeInteger(numRecords)) return null
  return {
    numRecords: numRecords as number,
    ...(isJsonObject(minValues) ? { minValues: minValues as StatisticValues } : {}),
    ...(isJsonObject(maxValues) ? { maxValues: maxValues as StatisticValues } : {}),
    ...(isJsonObject(nullCount) ? { nullCount: nullCount as NullCounts } : {}),
    ...(typeof tightBounds === 'boolean' ? { tightBounds } : {}),
  }
}

const MAX_CODE_POINT = '\u{10ffff}'
const DELETE_CHARACTER = '\u007f'

/**
 * Shortens a lower bound to at most `length` code units (one more where that would split a surrogate pair). A prefix
 * never sorts after the value.
 *
 * @returns null where nothing may be written
 */
export function truncateMin(value: string, length: number): string | null {
  if (length <= 0) return null
  return value.slice(0, prefixLength(value, length))
}

/**
 * Shortens an upper bound: a prefix of the value and one character that is greater than what follows in it, in code
 * point order. The tie-breaker is U+007F where the character is below it (one byte in UTF-8), else U+10FFFF; a
 * U+10FFFF in the value cannot be beaten, so the prefix grows over it.
 *
 * @returns null where no bound of at most twice the length exists
 */
export function truncateMax(value: string, length: number): string | null {
  if (length <= 0) return null
  if (value.length <= length) return value
  for (let n = prefixLength(value, length); n <= 2 * length; n += 2) {
    if (n >= value.length) return value
    if (value.startsWith(MAX_CODE_POINT, n)) continue
    const tieBreaker = value.charCodeAt(n) < 0x7f ? DELETE_CHARACTER : MAX_CODE_POINT
    return value.slice(0, n) + tieBreaker
  }
  return null
}

function prefixLength(value: string, length: number): number {
  if (value.length <= length) return value.length
  return isHighSurrogate(value.charCodeAt(length - 1)) && isLowSurrogate(value.charCodeAt(length))
    ? length + 1
    : length
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff
}
