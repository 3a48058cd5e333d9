/**
 * `stream-ingest read`: the rows of a table.
 *
 * @module
 */
import {
  DeltaLakeError,
  formatDataType,
  parseStatistics,
  type ScanOptions,
  type Snapshot,
  type StructType,
  scanSchema,
  scanTable,
  type TableRow,
} from '@stream-ingest/delta'
import { nearestWord } from '../config/suggestion.ts'
import { EXIT_CODES } from '../error.ts'
import { formatCount, formatNumberOf } from '../observe/format.ts'
import { type CommandIo, writeText } from './command-io.ts'
import { formatJsonDocument } from './json-document.ts'
import { type OpenedTable, openTable, type TableOptions } from './open-table.ts'
import { createProgress, type Progress } from './progress.ts'
import { cellText, formatCsvHeader, formatCsvRow, formatNdjsonRow, rowJson } from './row-text.ts'
import { stoppable } from './stoppable.ts'
import { formatTableHeader, formatTableRow, layOutTable, type TextColumn } from './text-table.ts'

export interface ReadOptions extends TableOptions {
  /** Comma-separated. Default: all. */
  readonly columns?: string
  readonly limit?: number
  /** Default: `table` on a terminal, else `ndjson`. */
  readonly format?: 'ndjson' | 'table' | 'csv'
  /** One document in place of a stream of rows. */
  readonly json?: boolean
}

/** Rows of a table on a terminal where no limit is given. */
const TABLE_ROWS_DEFAULT = 20
/** Rows that decide the widths; those behind them are cut to fit, so that any number can be printed. */
const TABLE_SAMPLE_ROWS = 1_000
/** Rows of one JSON document, which is made in memory, where no limit is given. */
const DOCUMENT_ROWS_DEFAULT = 10_000

/** A read that is about to start. */
interface Read {
  readonly snapshot: Snapshot
  readonly schema: StructType
  readonly scan: ScanOptions
  readonly io: CommandIo
}

/**
 * Prints rows. What is on stdout when an error comes is complete rows.
 *
 * @param table path, URI or configuration file
 * @returns the exit code
 */
export async function readCommand(table: string, options: ReadOptions, io: CommandIo): Promise<number> {
  const opened = await openTable(table, options, io)
  try {
    const ended = await stoppable(
      io,
      signal => print(planRead(opened, options, io, signal), options),
      'stopped: what was printed is complete rows\n',
    )
    return ended === 'interrupted' ? EXIT_CODES.interrupted : EXIT_CODES.ok
  } finally {
    await opened.close()
  }
}

async function print(read: Read, options: ReadOptions): Promise<void> {
  if (options.json === true) return printDocument(read, options.limit ?? DOCUMENT_ROWS_DEFAULT)
  const format = options.format ?? (read.io.stdout.isTTY === true ? 'table' : 'ndjson')
  if (format === 'table') return printTable(read, options.limit ?? TABLE_ROWS_DEFAULT)
  // On a terminal the rows themselves are what moves.
  const progress = createProgress(read.io, read.io.stdout.isTTY === true)
  try {
    await printLines(read, format, options.limit, progress)
  } finally {
    progress.end()
  }
}

function planRead(
  { snapshot, openForeign }: OpenedTable,
  options: ReadOptions,
  io: CommandIo,
  signal: AbortSignal,
): Read {
  const columns = options.columns === undefined ? null : chosenColumns(options.columns, snapshot)
  return {
    snapshot,
    schema: scanSchema(snapshot.state, columns ?? undefined),
    scan: { openForeign, signal, ...(columns === null ? {} : { columns }) },
    io,
  }
}

function chosenColumns(text: string, { state }: Snapshot): string[] {
  const names = state.schema.fields.map(field => field.name)
  const chosen = new Set<string>()
  for (const part of text.split(',')) {
    const name = names.includes(part) ? part : part.trim()
    if (!names.includes(name)) {
      const near = nearestWord(name, names)
      throw new DeltaLakeError('DELTA_COLUMN_NOT_FOUND', `the table has no column \`${name}\``, {
        hint:
          near === null
            ? `its columns are ${names.map(n => `\`${n}\``).join(', ')}`
            : `did you mean \`${near}\`?`,
        context: { column: name },
      })
    }
    chosen.add(name)
  }
  return [...chosen]
}

async function printLines(
  { snapshot, schema, scan, io }: Read,
  format: 'ndjson' | 'csv',
  limit: number | undefined,
  progress: Progress,
): Promise<void> {
  const filesTotal = snapshot.state.fileTotals?.numFiles ?? null
  let filesDone = 0
  let rowCount = 0
  const show = (): void => {
    const rows = formatNumberOf(rowCount, 'row')
    if (limit !== undefined) progress.update(rows, { done: rowCount, total: limit })
    else if (filesTotal === null) progress.update(rows)
    else {
      const text = `${rows}, ${formatCount(filesDone)} of ${formatNumberOf(filesTotal, 'file')}`
      progress.update(text, { done: filesDone, total: filesTotal })
    }
  }
  const progressed = (done: number): void => {
    filesDone = done
    show()
  }
  const formatRow = format === 'csv' ? formatCsvRow : formatNdjsonRow
  if (format === 'csv') await writeText(io.stdout, formatCsvHeader(schema))
  const options = { ...scan, progressed, ...(limit === undefined ? {} : { limit }) }
  for await (const rows of scanTable(snapshot, options)) {
    await writeText(io.stdout, rows.map(row => formatRow(schema, row)).join(''))
    rowCount += rows.length
    show()
  }
}

async function printDocument({ snapshot, schema, scan, io }: Read, limit: number): Promise<void> {
  const rows: Record<string, unknown>[] = []
  // One more than is printed, to say truthfully whether there are more.
  for await (const batch of scanTable(snapshot, { ...scan, limit: limit + 1 })) {
    for (const row of batch) rows.push(rowJson(schema, row))
  }
  const truncated = rows.length > limit
  if (truncated) rows.length = limit
  await writeText(
    io.stdout,
    formatJsonDocument({ table: snapshot.store.uri, version: snapshot.version, truncated, rows }),
  )
}

async function printTable({ snapshot, schema, scan, io }: Read, limit: number): Promise<void> {
  const columns: TextColumn[] = schema.fields.map(({ name, type }) => ({
    header: cellText({ kind: 'primitive', name: 'string' }, name),
    type: formatDataType(type),
    align: isNumeric(schema, name) ? 'right' : 'left',
  }))
  const cells = (row: TableRow): string[] => schema.fields.map(({ name, type }) => cellText(type, row[name]))
  const sample: string[][] = []
  let layout: ReturnType<typeof layOutTable> | null = null
  let shown = 0
  let hasMore = false
  const flush = async (): Promise<void> => {
    layout ??= layOutTable(columns, sample, io.stdout.isTTY === true ? io.stdout.columns : undefined)
    const chosen = layout
    const header = shown === 0 ? formatTableHeader(chosen) : ''
    shown += sample.length
    await writeText(io.stdout, header + sample.map(row => formatTableRow(chosen, row)).join(''))
    sample.length = 0
  }
  for await (const batch of scanTable(snapshot, { ...scan, limit: limit + 1 })) {
    for (const row of batch) {
      if (shown + sample.length === limit) hasMore = true
      else sample.push(cells(row))
      if (sample.length === TABLE_SAMPLE_ROWS) await flush()
    }
  }
  if (sample.length > 0 || shown === 0) await flush()
  await writeText(io.stdout, `${await tableFooter(snapshot, shown, hasMore)}\n`)
}

async function tableFooter(snapshot: Snapshot, shown: number, hasMore: boolean): Promise<string> {
  if (!hasMore) return `${formatCount(shown)} ${shown === 1 ? 'row' : 'rows'}`
  const total = await countRows(snapshot)
  const known = total === null ? `more than ${formatCount(shown)}` : formatCount(total)
  return `… ${known} rows, showing ${formatCount(shown)} (--limit N for more)`
}

/** From the statistics; null where a file has none. */
async function countRows(snapshot: Snapshot): Promise<number | null> {
  let rows = 0
  for await (const { stats, deletionVector } of snapshot.files()) {
    const statistics = stats === undefined ? null : parseStatistics(stats)
    if (statistics === null) return null
    rows += statistics.numRecords - (deletionVector?.cardinality ?? 0)
  }
  return rows
}

const NUMERIC_TYPES = new Set(['byte', 'short', 'integer', 'long', 'float', 'double'])

function isNumeric({ fields }: StructType, name: string): boolean {
  const type = fields.find(field => field.name === name)!.type
  return type.kind === 'decimal' || (type.kind === 'primitive' && NUMERIC_TYPES.has(type.name))
}
