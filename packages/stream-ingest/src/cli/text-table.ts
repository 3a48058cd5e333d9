/**
 * Aligned columns for a terminal: headers, types under them, cells cut to fit.
 *
 * @module
 */

export interface TextColumn {
  readonly header: string
  /** A second line under the header. */
  readonly type?: string
  readonly align: 'left' | 'right'
}

export interface TextTableLayout {
  readonly columns: readonly TextColumn[]
  /** In terminal cells, one for each column. */
  readonly widths: readonly number[]
}

const GAP = '  '
/** No cell takes more, however wide the terminal is. */
const CELL_WIDTH_MAX = 40
/** Columns are not cut below this to make a line fit. */
const CELL_WIDTH_MIN = 8

/**
 * Chooses widths.
 *
 * @param sample rows that the widths must suit
 * @param lineWidth of the terminal; without one only the single cell is bounded
 */
export function layOutTable(
  columns: readonly TextColumn[],
  sample: readonly (readonly string[])[],
  lineWidth = Number.POSITIVE_INFINITY,
): TextTableLayout {
  const widths = columns.map(({ header, type = '' }, i) => {
    let width = Math.max(textWidth(header), textWidth(type))
    for (const row of sample) width = Math.max(width, Math.min(CELL_WIDTH_MAX, textWidth(row[i]!)))
    return Math.min(CELL_WIDTH_MAX, width)
  })
  let excess = widths.reduce((sum, width) => sum + width + GAP.length, -GAP.length) - lineWidth
  while (excess > 0) {
    const widest = widths.indexOf(Math.max(...widths))
    if (widest < 0 || widths[widest]! <= CELL_WIDTH_MIN) break
    widths[widest]!--
    excess--
  }
  return { columns, widths }
}

/** The header line, and the line of types where there are any. */
export function formatTableHeader(layout: TextTableLayout): string {
  const { columns } = layout
  const header = line(
    layout,
    columns.map(column => column.header),
  )
  const hasTypes = columns.some(column => column.type !== undefined)
  return hasTypes
    ? header +
        line(
          layout,
          columns.map(column => column.type ?? ''),
        )
    : header
}

/** A whole table whose widths suit its rows. */
export function formatTable(
  columns: readonly TextColumn[],
  rows: readonly (readonly string[])[],
  lineWidth?: number,
): string {
  const layout = layOutTable(columns, rows, lineWidth)
  return formatTableHeader(layout) + rows.map(row => formatTableRow(layout, row)).join('')
}

export function formatTableRow(layout: TextTableLayout, cells: readonly string[]): string {
  return line(layout, cells)
}

function line({ columns, widths }: TextTableLayout, cells: readonly string[]): string {
  const parts = cells.map((cell, i) => {
    const text = cutText(cell, widths[i]!)
    const padding = ' '.repeat(widths[i]! - textWidth(text))
    return columns[i]!.align === 'right' ? padding + text : text + padding
  })
  return `${parts.join(GAP).trimEnd()}\n`
}

/** Ends with `…` where it does not fit into so many cells. */
export function cutText(text: string, width: number): string {
  if (textWidth(text) <= width) return text
  let kept = ''
  let keptWidth = 0
  for (const character of text) {
    keptWidth += characterWidth(character)
    if (keptWidth > width - 1) break
    kept += character
  }
  return `${kept}…`
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: everything that is one cell wide without a look
const ASCII = /^[\x00-\x7f]*$/
const WIDE =
  /^(?:[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation})/u
const ZERO_WIDTH = /^(?:\p{Mn}|\p{Me}|\p{Cf})/u

/** Terminal cells of a text without control characters. */
export function textWidth(text: string): number {
  if (ASCII.test(text)) return text.length
  let width = 0
  for (const character of text) width += characterWidth(character)
  return width
}

function characterWidth(character: string): number {
  if (ZERO_WIDTH.test(character)) return 0
  return WIDE.test(character) ? 2 : 1
}
