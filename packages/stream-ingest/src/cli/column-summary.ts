/**
 * What the statistics of a table's files say about its columns: nulls, smallest and largest value.
 *
 * Statistics are optional, per file and per column, so each figure is given only where every file that matters has it.
 * Bounds of long strings may be shortened by their writer; bounds of files with deleted rows may be wider than the rows.
 *
 * @module
 */
import {
  type Add,
  type DataType,
  parsePartitionValue,
  parseStatistics,
  type Statistics,
  type StructField,
  schemaLeaves,
  type TableState,
} from '@stream-ingest/delta'
import { cellText } from './row-text.ts'

export interface ColumnSummary {
  /** Names joined by dots; the fields of structs one by one, lists and maps whole. */
  readonly name: string
  readonly type: DataType
  /** In [0, 1]; null where it is not known, as for partition columns of files without a row count. */
  readonly nullShare: number | null
  /** As text; null where it is not known, or all is null. */
  readonly min: string | null
  readonly max: string | null
}

export interface FileSummary {
  readonly columns: readonly ColumnSummary[]
  /** Null where a file has no statistics. */
  readonly rows: number | null
  readonly fileCount: number
  readonly sizeBytes: number
  /** Of one file. Zero where there is none. */
  readonly minSizeBytes: number
  readonly medianSizeBytes: number
  /** Different combinations of partition values; null beyond {@link PARTITIONS_COUNTED_MAX}. */
  readonly partitionCount: number | null
}

/** Different table partitions that are counted; beyond them the number is not worth the memory. */
export const PARTITIONS_COUNTED_MAX = 1_000_000

/** Summarises file by file: memory does not grow with the table, but for one number per file. */
export class FileSummaryBuilder {
  readonly #columns: readonly ColumnAccumulator[]
  readonly #partitions = new Set<string>()
  readonly #sizes: number[] = []
  #rows: number | null = 0
  #sizeBytes = 0

  constructor(state: TableState) {
    const { partitionColumns, configuration } = state.metadata
    const isMapped = (configuration['delta.columnMapping.mode'] ?? 'none') !== 'none'
    this.#columns = [...schemaLeaves(state.schema)].map(
      ({ path, field }) =>
        new ColumnAccumulator(
          path,
          physicalPath(state.schema.fields, path, isMapped),
          field.type,
          path.length === 1 && partitionColumns.includes(path[0]!),
        ),
    )
  }

  add(file: Add): void {
    const statistics = file.stats === undefined ? null : parseStatistics(file.stats)
    const rows = statistics === null ? null : statistics.numRecords - (file.deletionVector?.cardinality ?? 0)
    this.#rows = this.#rows === null || rows === null ? null : this.#rows + rows
    this.#sizeBytes += file.size
    this.#sizes.push(file.size)
    if (this.#partitions.size <= PARTITIONS_COUNTED_MAX) {
      this.#partitions.add(JSON.stringify(Object.entries(file.partitionValues).toSorted(byName)))
    }
    for (const column of this.#columns) column.add(file, statistics)
  }

  summary(): FileSummary {
    const sizes = this.#sizes.toSorted((a, b) => a - b)
    return {
      columns: this.#columns.map(column => column.summary()),
      rows: this.#rows,
      fileCount: sizes.length,
      sizeBytes: this.#sizeBytes,
      minSizeBytes: sizes[0] ?? 0,
      medianSizeBytes: sizes[sizes.length >> 1] ?? 0,
      partitionCount: this.#partitions.size > PARTITIONS_COUNTED_MAX ? null : this.#partitions.size,
    }
  }
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1
}

/** Names as the files have them, which is how statistics and partition values name columns. */
function physicalPath(fields: readonly StructField[], path: readonly string[], isMapped: boolean): string[] {
  const physical: string[] = []
  let siblings = fields
  for (const name of path) {
    const field = siblings.find(f => f.name === name)!
    const mapped = field.metadata['delta.columnMapping.physicalName']
    physical.push(isMapped && typeof mapped === 'string' ? mapped : name)
    siblings = field.type.kind === 'struct' ? field.type.fields : []
  }
  return physical
}

/** A value in a form that compares, and the text that is shown. */
interface Bound {
  readonly order: bigint | number | string
  readonly text: string
}

class ColumnAccumulator {
  readonly #path: readonly string[]
  readonly #physical: readonly string[]
  readonly #type: DataType
  readonly #isPartition: boolean
  #rows: number | null = 0
  #nulls: number | null = 0
  #min: Bound | null = null
  #max: Bound | null = null
  #hasMin = true
  #hasMax = true

  constructor(path: readonly string[], physical: readonly string[], type: DataType, isPartition: boolean) {
    this.#path = path
    this.#physical = physical
    this.#type = type
    this.#isPartition = isPartition
  }

  add(file: Add, statistics: Statistics | null): void {
    if (this.#isPartition) this.#addPartition(file, statistics)
    else this.#addStatistics(statistics)
  }

  summary(): ColumnSummary {
    return {
      name: this.#path.join('.'),
      type: this.#type,
      nullShare:
        this.#rows === null || this.#nulls === null || this.#rows === 0 ? null : this.#nulls / this.#rows,
      min: this.#hasMin ? (this.#min?.text ?? null) : null,
      max: this.#hasMax ? (this.#max?.text ?? null) : null,
    }
  }

  #addPartition(file: Add, statistics: Statistics | null): void {
    const text = file.partitionValues[this.#physical[0]!] ?? null
    this.#count(statistics?.numRecords, text === null || text === '' ? statistics?.numRecords : 0)
    const bound = boundOf(this.#type, text)
    if (bound !== null) this.#include(bound, bound)
  }

  #addStatistics(statistics: Statistics | null): void {
    const nulls = valueAt(statistics?.nullCount, this.#physical)
    const nullCount = typeof nulls === 'number' ? nulls : undefined
    this.#count(statistics?.numRecords, nullCount)
    // A file of nulls has no bounds, and needs none.
    if (statistics !== null && nullCount === statistics.numRecords) return
    const min = boundOf(this.#type, statisticText(valueAt(statistics?.minValues, this.#physical)))
    const max = boundOf(this.#type, statisticText(valueAt(statistics?.maxValues, this.#physical)))
    this.#hasMin &&= min !== null
    this.#hasMax &&= max !== null
    this.#include(min, max)
  }

  #count(rows: number | undefined, nulls: number | undefined): void {
    this.#rows = this.#rows === null || rows === undefined ? null : this.#rows + rows
    this.#nulls = this.#nulls === null || nulls === undefined ? null : this.#nulls + nulls
  }

  #include(min: Bound | null, max: Bound | null): void {
    if (min !== null && (this.#min === null || min.order < this.#min.order)) this.#min = min
    if (max !== null && (this.#max === null || max.order > this.#max.order)) this.#max = max
  }
}

function valueAt(values: unknown, path: readonly string[]): unknown {
  let value = values
  for (const name of path) {
    if (typeof value !== 'object' || value === null) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}

function statisticText(value: unknown): string | null {
  if (value === undefined || value === null) return null
  if (typeof value !== 'object') return String(value)
  return 'text' in value && typeof value.text === 'string' ? value.text : null
}

/** @returns null where there is no bound, or it cannot be understood: statistics are an optimisation */
function boundOf(type: DataType, text: string | null): Bound | null {
  if (text === null || type.kind === 'array' || type.kind === 'map' || type.kind === 'struct') return null
  let value: ReturnType<typeof parsePartitionValue>
  try {
    value = parsePartitionValue(type, text)
  } catch {
    return null
  }
  if (value === null) return null
  if (typeof value === 'boolean') return { order: Number(value), text }
  if (value instanceof Uint8Array) return { order: text, text: cellText(type, value) }
  // A lower bound of zero is written as −0, which is below every zero.
  return { order: value, text: value === 0 ? '0' : cellText(type, value) }
}
