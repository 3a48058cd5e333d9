/**
 * What is in the quarantine, for those who look at it: each record once, and whether it has gone back into the table.
 *
 * @module
 */
import {
  loadSnapshot,
  loadTableState,
  type ObjectStore,
  parseStatistics,
  type Snapshot,
  type Statistics,
  scanFile,
  type TableRow,
} from '@stream-ingest/delta'
import {
  attemptSeries,
  doesCount,
  readSeries,
  replaySeries,
  type SeriesNumbers,
  type Txns,
} from '../delta/quarantine-numbers.ts'
import { appIdOfRow, longBounds } from '../delta/quarantine-table.ts'

/** Which records are meant. Without any of it, all of them. */
export interface QuarantineFilter {
  /** Of the pipeline of this id alone. */
  readonly pipelineId?: string
  readonly errorCode?: string
  readonly topic?: string
  readonly partition?: number
  /** Quarantined at this time or later, epoch milliseconds. */
  readonly sinceMs?: number
  /** Quarantined before this time, epoch milliseconds. */
  readonly untilMs?: number
}

/** Judges rows by where both tables stood when they were read. */
export class QuarantineView {
  private readonly quarantine: Txns
  private readonly table: Txns
  /** By app id of the offsets, and by pipeline. */
  private readonly series = new Map<string, SeriesNumbers>()

  /** @param table read before the quarantine, unless nothing moves the two meanwhile */
  constructor(quarantine: Txns, table: Txns) {
    this.quarantine = quarantine
    this.table = table
  }

  /** Is the record in the quarantine, and not only in an attempt at it that has come to nothing, or may yet? */
  doesCount(row: TableRow): boolean {
    return doesCount(row.attempt as bigint, this.numbersOf(attemptSeries(appIdOfRow(row))))
  }

  /** Has it gone back into the table? */
  isReplayed(row: TableRow): boolean {
    if (row.replay === null) return false
    return doesCount(row.replay as bigint, this.numbersOf(replaySeries(row.pipeline as string)))
  }

  private numbersOf(series: string): SeriesNumbers {
    let numbers = this.series.get(series)
    if (numbers === undefined) {
      numbers = readSeries(series, this.quarantine, this.table)
      this.series.set(series, numbers)
    }
    return numbers
  }
}

const MICROS_PER_MS = 1_000n

export function matchesFilter(row: TableRow, filter: QuarantineFilter): boolean {
  const { pipelineId, errorCode, topic, partition, sinceMs, untilMs } = filter
  const atMs = Number((row.quarantined_at as bigint) / MICROS_PER_MS)
  return (
    (pipelineId === undefined || row.pipeline === pipelineId) &&
    (errorCode === undefined || row.error_code === errorCode) &&
    (topic === undefined || row.topic === topic) &&
    (partition === undefined || row.partition === partition) &&
    (sinceMs === undefined || atMs >= sinceMs) &&
    (untilMs === undefined || atMs < untilMs)
  )
}

/** May a file hold records that are meant? By its statistics. */
export function mayHoldMatch(statistics: Statistics | null, { partition }: QuarantineFilter): boolean {
  if (partition === undefined) return true
  const bounds = longBounds(statistics, 'partition')
  return bounds === null || (bounds.min <= BigInt(partition) && BigInt(partition) <= bounds.max)
}

/** The rows of a snapshot that count and are meant, in batches; those that were replayed among them. */
export async function* scanQuarantine(
  snapshot: Snapshot,
  view: QuarantineView,
  filter: QuarantineFilter,
  options: {
    readonly columns?: readonly string[]
    readonly signal?: AbortSignal
  } = {},
): AsyncGenerator<readonly TableRow[]> {
  const { columns, signal } = options
  const request = signal === undefined ? {} : { signal }
  for await (const add of snapshot.files(request)) {
    const statistics = add.stats === undefined ? null : parseStatistics(add.stats)
    if (!mayHoldMatch(statistics, filter)) continue
    const scan = { ...request, ...(columns === undefined ? {} : { columns }) }
    for await (const rows of scanFile(snapshot, add, scan)) {
      const meant = rows.filter(row => matchesFilter(row, filter) && view.doesCount(row))
      if (meant.length > 0) yield meant
    }
  }
}

export interface QuarantineReading {
  readonly snapshot: Snapshot
  readonly view: QuarantineView
}

/**
 * Reads where both tables stand.
 *
 * @returns null where there is no quarantine
 * @throws what loading a table throws
 */
export async function readQuarantine(
  table: ObjectStore,
  quarantine: ObjectStore,
  nowMs: number,
): Promise<QuarantineReading | null> {
  // In this order: what the table has left behind is settled in a later version of the quarantine.
  const state = await loadTableState(table, { nowMs })
  const snapshot = await loadSnapshot(quarantine, { nowMs })
  if (snapshot === null) return null
  return { snapshot, view: new QuarantineView(snapshot.state.txns, state?.txns ?? new Map()) }
}
