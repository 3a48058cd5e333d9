/**
 * A panel at the bottom of a terminal, repainted in place, with lines that scroll by above it.
 *
 * Between two paintings the cursor is visible and at the start of the line below the panel, and no mode of the terminal
 * is changed: whatever ends the process, a SIGKILL included, the shell's prompt comes where it belongs. One painting is
 * one write, in which alone the cursor is hidden and lines are not wrapped.
 *
 * @module
 */
import type { OutputStream } from '../command-io.ts'
import { withoutControls } from '../terminal.ts'
import { textWidth } from '../text-table.ts'
import type { PanelSize } from './panel-layout.ts'

/** Between two paintings. */
export const PAINT_EVERY_MS = 250
/** Of a terminal that does not tell its size. */
const COLUMNS_DEFAULT = 80
const ROWS_DEFAULT = 24

// ECMA-48 and xterm. Synchronised output (2026) keeps terminals that know it from showing half of a painting.
const BEGIN = '\x1b[?2026h\x1b[?25l'
const END = '\x1b[?25h\x1b[?2026l'
const NO_WRAP = '\x1b[?7l'
const WRAP = '\x1b[?7h'
const ERASE_BELOW = '\x1b[J'
// biome-ignore lint/suspicious/noControlCharactersInRegex: SGR begins with one
const STYLING = /\x1b\[\d*m/g

export class LivePanel {
  private readonly stream: OutputStream
  private readonly layOut: (size: PanelSize) => readonly string[]
  /** What stands on the terminal now. */
  private painted: readonly string[] = []
  private hasEnded = false

  /** @param layOut the lines as they are now, for a terminal of this size */
  constructor(stream: OutputStream, layOut: (size: PanelSize) => readonly string[]) {
    this.stream = stream
    this.layOut = layOut
  }

  /** Whole lines, above the panel. */
  write(text: string): void {
    const safe = withoutControls(text)
    if (this.hasEnded) this.stream.write(safe)
    else this.repaint(safe, this.painted)
  }

  /** Shows what has changed; nothing is written where nothing has. */
  paint(): void {
    if (this.hasEnded) return
    const lines = this.layOut(this.size)
    const isSame = lines.length === this.painted.length && lines.every((line, i) => line === this.painted[i])
    if (!isSame) this.repaint('', lines)
  }

  /** Takes the panel away; what is written afterwards stands where it was. */
  end(): void {
    if (this.hasEnded) return
    this.hasEnded = true
    if (this.painted.length > 0) this.stream.write(this.erase())
    this.painted = []
  }

  private get size(): PanelSize {
    const { columns, rows } = this.stream
    // One line less than there are, for the cursor below the panel. Terminals that say 0 mean that they do not know.
    return { columns: columns || COLUMNS_DEFAULT, lines: Math.max(1, (rows || ROWS_DEFAULT) - 1) }
  }

  private repaint(above: string, lines: readonly string[]): void {
    const erased = this.erase()
    this.painted = lines
    const panel = lines.map(line => `${line}\n`).join('')
    this.stream.write(`${BEGIN}${erased}${above}${NO_WRAP}${panel}${WRAP}${END}`)
  }

  /** To the panel's first line, and clear from there. */
  private erase(): string {
    const { columns, lines } = this.size
    let height = 0
    // A terminal that has become narrower has wrapped what was painted.
    for (const line of this.painted)
      height += Math.max(1, Math.ceil(textWidth(line.replaceAll(STYLING, '')) / columns))
    height = Math.min(height, lines)
    return height === 0 ? '\r' : `\r\x1b[${height}A${ERASE_BELOW}`
  }
}
