/**
 * A screen as an SVG picture: the same screen, the same bytes.
 *
 * @module
 */
import type { CellStyle, Screen } from './screen.ts'

const FONT_SIZE = 14
/** Advance of the common monospaced fonts, in parts of their size. */
const CELL_WIDTH = 8.4
const LINE_HEIGHT = 19
const MARGIN = 16
const BACKGROUND = '#0d1117'
const FOREGROUND = '#d6deeb'
const DIM = '#7d8794'
const COLOURS: Readonly<Record<number, string>> = { 31: '#ff7b72', 32: '#7ee787', 33: '#e3b341' }

/** @param title what a screen reader says of the picture */
export function renderSvg(screen: Screen, title: string): string {
  const lines = screen.lines
  const lineCount = lines.findLastIndex(line => line !== '') + 1
  const width = Math.ceil(screen.columns * CELL_WIDTH + 2 * MARGIN)
  const height = lineCount * LINE_HEIGHT + 2 * MARGIN
  const texts = Array.from({ length: lineCount }, (_, row) => renderLine(screen, row)).filter(
    text => text !== '',
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<title>${escapeText(title)}</title>
<rect width="${width}" height="${height}" rx="8" fill="${BACKGROUND}"/>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="${FONT_SIZE}" fill="${FOREGROUND}">
${texts.join('\n')}
</g>
</svg>
`
}

/** One `text` for the line, one `tspan` for each run: it has its place, whatever the font's advance and its blanks. */
function renderLine(screen: Screen, row: number): string {
  const cells = Array.from({ length: screen.columns }, (_, column) => screen.cellAt(row, column))
  const runs: Run[] = []
  let blanks = ''
  let last: Run | null = null
  for (const [column, { character, style }] of cells.entries()) {
    if (character === ' ') {
      blanks += ' '
      continue
    }
    // More than one blank separates columns, which stand where they stand.
    if (last !== null && blanks.length <= 1 && isSame(last.style, style)) last.text += blanks + character
    else {
      last = { from: column, text: character, style }
      runs.push(last)
    }
    blanks = ''
  }
  const y = MARGIN + row * LINE_HEIGHT + FONT_SIZE
  return runs.length === 0 ? '' : `<text y="${y}">${runs.map(renderRun).join('')}</text>`
}

/** Characters of one style. */
interface Run {
  readonly from: number
  text: string
  readonly style: CellStyle
}

function renderRun({ from, text, style }: Run): string {
  const x = round(MARGIN + from * CELL_WIDTH)
  const length = round([...text].length * CELL_WIDTH)
  const colour = style.colour === null ? (style.isDim ? DIM : null) : (COLOURS[style.colour] ?? FOREGROUND)
  const fill = colour === null ? '' : ` fill="${colour}"`
  const weight = style.isBold ? ' font-weight="bold"' : ''
  return `<tspan x="${x}" textLength="${length}" lengthAdjust="spacingAndGlyphs"${fill}${weight}>${escapeText(text)}</tspan>`
}

function isSame(a: CellStyle, b: CellStyle): boolean {
  return a.isBold === b.isBold && a.isDim === b.isDim && a.colour === b.colour
}

function round(length: number): string {
  return String(Math.round(length * 100) / 100)
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
