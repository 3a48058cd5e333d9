/**
 * The lines of the live panel: a pure function of what is to be shown and of the terminal's size.
 *
 * @module
 */
import { formatAge, formatBytes, formatCount, formatShortCount } from '../../observe/format.ts'
import { type Style, styled, withoutControls } from '../terminal.ts'
import { cutText, textWidth } from '../text-table.ts'
import type { PanelRow } from './panel-state.ts'

export interface PanelSize {
  /** Of the terminal, in characters. */
  readonly columns: number
  /** Lines that the panel may take. */
  readonly lines: number
}

export interface PanelView {
  readonly rows: readonly PanelRow[]
  readonly isStopping: boolean
}

/** However high the terminal is: more than this nobody takes in at a glance. */
export const PIPELINES_SHOWN_MAX = 20
const NAME_WIDTH_MIN = 8
const GAP = '  '
/** An empty line, the headers, the line that says what Ctrl-C does. */
const FRAME_LINES = 3
/** Below this there is no room for a frame. */
const FRAMED_LINES_MIN = FRAME_LINES + 2

const RUNNING = '^C drain and stop · again to stop now (uncommitted rows are re-read, nothing is lost)'
const STOPPING = 'stopping: committing what is buffered; Ctrl-C again to exit at once'

interface Column {
  readonly header: string
  readonly align: 'left' | 'right'
  /** Wide enough for most of what comes, so that nothing moves while it is watched. */
  readonly widthMin: number
  /** Columns of the highest number go first where the terminal is narrow. */
  readonly rank: number
  cell(row: PanelRow): string
  style?(row: PanelRow): Style | null
}

const NAME: Column = {
  header: 'pipeline',
  align: 'left',
  widthMin: NAME_WIDTH_MIN,
  rank: 0,
  cell: row => withoutControls(row.name).replaceAll(/\s/g, ' '),
}

const COLUMNS: readonly Column[] = [
  NAME,
  {
    header: 'in/s',
    align: 'right',
    widthMin: 9,
    rank: 3,
    cell: rateText,
    style: ({ phase }) => (phase === 'failed' ? 'red' : phase === 'waiting' ? 'yellow' : null),
  },
  { header: 'buffered', align: 'left', widthMin: 16, rank: 6, cell: bufferedText },
  {
    header: 'lag',
    align: 'right',
    widthMin: 8,
    rank: 1,
    cell: ({ lag }) => (lag === null ? '?' : formatLag(lag)),
  },
  {
    header: 'oldest',
    align: 'right',
    widthMin: 6,
    rank: 7,
    cell: ({ oldestMs }) => (oldestMs === null ? '–' : formatAge(oldestMs)),
  },
  { header: 'last commit', align: 'left', widthMin: 15, rank: 2, cell: commitText },
  {
    header: 'bad',
    align: 'right',
    widthMin: 3,
    rank: 4,
    cell: ({ badCount }) => formatShortCount(badCount),
    style: ({ badCount }) => (badCount > 0 ? 'yellow' : null),
  },
  {
    header: 'retries',
    align: 'left',
    widthMin: 7,
    rank: 5,
    cell: retryText,
    style: ({ retryCount }) => (retryCount > 0 ? 'yellow' : null),
  },
]

/**
 * Lays the panel out. No line is wider than the terminal, and there are never more lines than `size.lines`; of pipelines
 * that do not fit, those in trouble come first, and the others are summed up.
 *
 * @param isColoured with SGR sequences
 */
export function panelLines(view: PanelView, size: PanelSize, isColoured: boolean): string[] {
  const paint = (text: string, style: Style | null): string => (isColoured ? styled(text, style) : text)
  const isFramed = size.lines >= FRAMED_LINES_MIN
  const room = Math.max(1, isFramed ? size.lines - FRAME_LINES : size.lines)
  const shown = chooseRows(view.rows, Math.min(room, PIPELINES_SHOWN_MAX))
  const hidden = view.rows.filter(row => !shown.includes(row))
  const columns = fitColumns(shown, size.columns)
  const lines = shown.map(row => formatLine(columns, row, paint))
  if (hidden.length > 0 && lines.length < room)
    lines.push(paint(cutText(hiddenText(hidden), size.columns), 'dim'))
  if (!isFramed) return lines
  const footer = cutText(view.isStopping ? STOPPING : RUNNING, size.columns)
  return ['', paint(formatHeader(columns), 'dim'), ...lines, paint(footer, view.isStopping ? 'bold' : 'dim')]
}

/** In their order; where not all fit, one line is left for the rest. */
function chooseRows(rows: readonly PanelRow[], linesMax: number): PanelRow[] {
  if (rows.length <= linesMax) return [...rows]
  const count = Math.max(1, linesMax - 1)
  const byTrouble = rows
    .map((row, index) => ({ row, index }))
    .sort((a, b) => troubleOf(b.row) - troubleOf(a.row) || a.index - b.index)
  return byTrouble
    .slice(0, count)
    .sort((a, b) => a.index - b.index)
    .map(({ row }) => row)
}

function troubleOf({ phase }: PanelRow): number {
  return phase === 'failed' ? 2 : phase === 'waiting' ? 1 : 0
}

function hiddenText(rows: readonly PanelRow[]): string {
  let lag: bigint | null = 0n
  let badCount = 0
  for (const row of rows) {
    lag = lag === null || row.lag === null ? null : lag + row.lag
    badCount += row.badCount
  }
  return `… ${formatCount(rows.length)} more   lag ${lag === null ? '?' : formatLag(lag)}   bad ${formatShortCount(badCount)}`
}

interface PlacedColumn extends Column {
  readonly width: number
}

/** Leaves out the least important columns until a line fits; the name is cut last. */
function fitColumns(rows: readonly PanelRow[], lineWidth: number): PlacedColumn[] {
  let placed: PlacedColumn[] = COLUMNS.map(column => ({
    ...column,
    width: Math.max(
      column.widthMin,
      textWidth(column.header),
      ...rows.map(row => textWidth(column.cell(row))),
    ),
  }))
  const excess = (): number =>
    placed.reduce((sum, { width }) => sum + width + GAP.length, -GAP.length) - lineWidth
  // A long name gives way before a number does.
  const shortenName = (): void => {
    const [name, ...others] = placed
    const width = Math.max(NAME_WIDTH_MIN, name!.width - Math.max(0, excess()))
    placed = [{ ...name!, width }, ...others]
  }
  shortenName()
  while (excess() > 0 && placed.length > 1) {
    const last = placed.reduce((worst, column) => (column.rank > worst.rank ? column : worst))
    placed = placed.filter(column => column !== last)
  }
  if (placed.length === 1)
    placed = [{ ...placed[0]!, width: Math.max(1, Math.min(placed[0]!.width, lineWidth)) }]
  return placed
}

function formatHeader(columns: readonly PlacedColumn[]): string {
  return columns
    .map(({ header, align, width }) => pad(cutText(header, width), align, width))
    .join(GAP)
    .trimEnd()
}

function formatLine(
  columns: readonly PlacedColumn[],
  row: PanelRow,
  paint: (text: string, style: Style | null) => string,
): string {
  const cells = columns.map(({ cell, align, width, style }) => ({
    text: pad(cutText(cell(row), width), align, width),
    style: style?.(row) ?? null,
  }))
  const last = cells.at(-1)!
  last.text = last.text.trimEnd()
  return cells.map(({ text, style }) => paint(text, style)).join(GAP)
}

function pad(text: string, align: Column['align'], width: number): string {
  const padding = ' '.repeat(Math.max(0, width - textWidth(text)))
  return align === 'right' ? padding + text : text + padding
}

function rateText({ phase, messagesPerSecond, againInMs }: PanelRow): string {
  if (phase === 'waiting') return `in ${formatAge((againInMs ?? 0) + 999)}`
  if (phase !== 'running') return phase
  return messagesPerSecond === null ? '–' : formatShortCount(Math.round(messagesPerSecond))
}

function bufferedText({ bufferedMessageCount, bufferedSizeBytes }: PanelRow): string {
  if (bufferedMessageCount === 0) return '0'
  return `${formatShortCount(bufferedMessageCount)} / ${formatBytes(bufferedSizeBytes)}`
}

/** Exact as far as a person reads it. */
function formatLag(lag: bigint): string {
  return lag < 1_000_000n ? formatCount(lag) : formatShortCount(lag)
}

function commitText({ commit }: PanelRow): string {
  if (commit === null) return '–'
  return commit.ageMs === null ? `v${commit.version}` : `v${commit.version}  ${formatAge(commit.ageMs)} ago`
}

function retryText({ retryCount, retryReason }: PanelRow): string {
  return retryReason === null ? formatCount(retryCount) : `${formatCount(retryCount)} (${retryReason})`
}
