/**
 * `stream-ingest quarantine list`: the bad records that were set aside, and why.
 *
 * @module
 */
import { isUtf8 } from 'node:buffer'
import { primitive, type TableRow } from '@stream-ingest/delta'
import { EXIT_CODES } from '../error.ts'
import { formatCount, formatNumberOf } from '../observe/format.ts'
import {
  type QuarantineFilter,
  type QuarantineReading,
  readQuarantine,
  scanQuarantine,
} from '../pipeline/quarantine-reader.ts'
import { type CommandIo, writeText } from './command-io.ts'
import { formatJsonDocument } from './json-document.ts'
import { openQuarantineOf, type TableOptions } from './open-table.ts'
import { createProgress } from './progress.ts'
import { cellText } from './row-text.ts'
import { formatTableHeader, formatTableRow, layOutTable, type TextColumn } from './text-table.ts'

/** What records are told apart by, on the command line. */
export interface QuarantineFilterOptions {
  readonly code?: string
  readonly topic?: string
  readonly partition?: number
  readonly since?: number
  readonly until?: number
}

export interface QuarantineListOptions extends Omit<TableOptions, 'version' | 'at'>, QuarantineFilterOptions {
  /** Those that were replayed, in place of those that wait. */
  readonly replayed?: boolean
  readonly limit?: number
  readonly json?: boolean
}

/** Records on a terminal where no limit is given. */
const LINES_DEFAULT = 20
/** Records of one JSON document, which is made in memory, where no limit is given. */
const DOCUMENT_RECORDS_DEFAULT = 1_000
/** Codes and paths that are counted apart; a schema has no more. */
const REASONS_MAX = 1_000
const MICROS_PER_MS = 1_000n

interface Reason {
  readonly errorCode: string
  readonly columnPath: string
  count: number
}

interface Listing {
  readonly records: readonly TableRow[]
  readonly count: number
  readonly reasons: readonly Reason[]
}

/**
 * Lists what waits in the quarantine.
 *
 * @param table configuration file, path or URI of the table
 * @returns the exit code
 */
export async function quarantineListCommand(
  table: string | undefined,
  options: QuarantineListOptions,
  io: CommandIo,
): Promise<number> {
  const opened = await openQuarantineOf(table, options, io)
  const progress = createProgress(io, options.json === true)
  try {
    const { pipelineId } = opened
    const filter = { ...filterOf(options), ...(pipelineId === null ? {} : { pipelineId }) }
    const reading = await readQuarantine(opened.table, opened.quarantine, io.runtime.now())
    const limit = options.limit ?? (options.json === true ? DOCUMENT_RECORDS_DEFAULT : LINES_DEFAULT)
    const listing: Listing =
      reading === null
        ? { records: [], count: 0, reasons: [] }
        : await list(reading, filter, options.replayed === true, limit, count =>
            progress.update(`${formatNumberOf(count, 'record')} found`),
          )
    progress.end()
    const text =
      options.json === true
        ? formatJsonDocument(
            documentOf(listing, {
              table: opened.table.uri,
              quarantine: opened.quarantine.uri,
              version: reading?.snapshot.version ?? null,
            }),
          )
        : formatListing(listing, opened.quarantine.uri, options, io)
    await writeText(io.stdout, text)
    return EXIT_CODES.ok
  } finally {
    progress.end()
    await opened.close()
  }
}

export function filterOf(options: QuarantineFilterOptions): QuarantineFilter {
  const { code, topic, partition, since, until } = options
  return {
    ...(code === undefined ? {} : { errorCode: code }),
    ...(topic === undefined ? {} : { topic }),
    ...(partition === undefined ? {} : { partition }),
    ...(since === undefined ? {} : { sinceMs: since }),
    ...(until === undefined ? {} : { untilMs: until }),
  }
}

/** Reads every record that is meant, and keeps the first ones, by topic, partition and offset. */
async function list(
  { snapshot, view }: QuarantineReading,
  filter: QuarantineFilter,
  replayed: boolean,
  limit: number,
  progressed: (count: number) => void,
): Promise<Listing> {
  let kept: TableRow[] = []
  let count = 0
  const reasons = new Map<string, Reason>()
  for await (const rows of scanQuarantine(snapshot, view, filter)) {
    for (const row of rows) {
      if (view.isReplayed(row) !== replayed) continue
      count++
      kept.push(row)
      noteReason(reasons, row)
      // Twice as many at most are held, so that sorting stays cheap.
      if (kept.length >= 2 * limit + 1_000) kept = kept.sort(byPlace).slice(0, limit)
    }
    progressed(count)
  }
  return {
    records: kept.sort(byPlace).slice(0, limit),
    count,
    reasons: [...reasons.values()].sort((a, b) => b.count - a.count),
  }
}

function noteReason(reasons: Map<string, Reason>, row: TableRow): void {
  const errorCode = row.error_code as string
  const columnPath = row.column_path as string
  const key = `${errorCode} ${columnPath}`
  const known = reasons.get(key)
  if (known !== undefined) known.count++
  else if (reasons.size < REASONS_MAX) reasons.set(key, { errorCode, columnPath, count: 1 })
}

function byPlace(a: TableRow, b: TableRow): number {
  const topics = [a.topic as string, b.topic as string]
  if (topics[0] !== topics[1]) return topics[0]! < topics[1]! ? -1 : 1
  if (a.partition !== b.partition) return (a.partition as number) - (b.partition as number)
  return (a.offset as bigint) < (b.offset as bigint) ? -1 : 1
}

function documentOf(
  { records, count, reasons }: Listing,
  place: { readonly table: string; readonly quarantine: string; readonly version: number | null },
): Record<string, unknown> {
  return {
    ...place,
    count,
    truncated: count > records.length,
    reasons: reasons.map(reason => ({ ...reason })),
    records: records.map(recordDocument),
  }
}

function recordDocument(row: TableRow): Record<string, unknown> {
  return {
    pipeline: row.pipeline,
    topic: row.topic,
    partition: row.partition,
    offset: row.offset,
    timestamp: timeText(row.timestamp),
    key: bytesDocument(row.key),
    value: bytesDocument(row.value),
    headers:
      (row.headers as { key: string; value: Uint8Array | null }[] | null)?.map(({ key, value }) => ({
        key,
        value: bytesDocument(value),
      })) ?? null,
    errorCode: row.error_code,
    errorMessage: row.error_message,
    columnPath: row.column_path,
    columnName: row.column_name,
    quarantinedAt: timeText(row.quarantined_at),
    replayedAt: timeText(row.replayed_at),
  }
}

/** Text where it is any, which it nearly always is; else the bytes. */
function bytesDocument(bytes: unknown): unknown {
  if (bytes === null) return null
  const view = bytes as Uint8Array
  const buffer = Buffer.from(view.buffer, view.byteOffset, view.byteLength)
  return isUtf8(buffer) ? buffer.toString('utf8') : { base64: buffer.toString('base64') }
}

function timeText(micros: unknown): string | null {
  return micros === null ? null : new Date(Number((micros as bigint) / MICROS_PER_MS)).toISOString()
}

const COLUMNS: readonly TextColumn[] = [
  { header: 'record', align: 'left' },
  { header: 'quarantined', align: 'left' },
  { header: 'code', align: 'left' },
  { header: 'path', align: 'left' },
  { header: 'problem', align: 'left' },
  { header: 'value', align: 'left' },
]

function formatListing(
  { records, count, reasons }: Listing,
  uri: string,
  options: QuarantineListOptions,
  io: CommandIo,
): string {
  const what = options.replayed === true ? 'replayed' : 'waiting'
  if (count === 0) return `${uri}\nno record ${options.replayed === true ? 'was replayed' : 'is waiting'}\n`
  const cells = records.map(row => [
    `${cell(row.topic)}[${row.partition}]@${row.offset}`,
    timeText(row.quarantined_at)!.slice(0, 19).replace('T', ' '),
    cell(row.error_code),
    cell(row.column_path),
    cell(row.error_message),
    preview(row.value),
  ])
  const layout = layOutTable(COLUMNS, cells, io.stdout.isTTY === true ? io.stdout.columns : undefined)
  const lines = [uri, formatTableHeader(layout) + cells.map(row => formatTableRow(layout, row)).join('')]
  for (const { errorCode, columnPath, count: number } of reasons.slice(0, LINES_DEFAULT)) {
    lines.push(`${formatCount(number).padStart(9)}  ${errorCode}  ${cell(columnPath)}`)
  }
  const shown = count > records.length ? `, showing ${formatCount(records.length)} (--limit N for more)` : ''
  lines.push(`${formatNumberOf(count, 'record')} ${what}${shown}`)
  return `${lines.join('\n')}\n`
}

function cell(text: unknown): string {
  return cellText(primitive('string'), text)
}

/** The beginning of a value, as text. */
function preview(value: unknown): string {
  if (value === null) return 'null'
  const bytes = value as Uint8Array
  return cell(
    Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, PREVIEW_BYTES)).toString('utf8'),
  )
}

const PREVIEW_BYTES = 200
