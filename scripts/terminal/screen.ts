/**
 * The screen of a terminal, from the bytes that a program sent to it: as much of ECMA-48 as this project's programs use.
 *
 * @module
 */
import assert from 'node:assert/strict'

/** Select Graphic Rendition, as far as it is used. */
export interface CellStyle {
  readonly isBold: boolean
  readonly isDim: boolean
  /** `30` to `37`, or `90` to `97`; null for the terminal's own. */
  readonly colour: number | null
}

export interface Cell {
  readonly character: string
  readonly style: CellStyle
}

const PLAIN: CellStyle = { isBold: false, isDim: false, colour: null }
const BLANK: Cell = { character: ' ', style: PLAIN }
/** Control sequence, or one character. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: sequences begin with one
const TOKEN = /\x1b\[(\??)([\d;]*)([A-Za-z])|[\s\S]/gu
// biome-ignore lint/suspicious/noControlCharactersInRegex: a sequence of which the rest is still to come
const UNFINISHED = /\x1b(\[[?\d;]*)?$/

/** Lines that have scrolled out of the screen and are kept. */
const SCROLLBACK_MAX = 10_000

export class Screen {
  columns: number
  rows: number
  /** What has scrolled out, oldest first. */
  readonly scrollback: string[] = []
  private cells: Cell[][]
  private row = 0
  private column = 0
  private style: CellStyle = PLAIN
  private readonly modes = new Map<number, boolean>()
  private unfinished = ''

  constructor(columns: number, rows: number) {
    this.columns = columns
    this.rows = rows
    this.cells = Array.from({ length: rows }, () => [])
  }

  /** The lines without blanks at their ends. */
  get lines(): string[] {
    return this.cells.map(cells =>
      cells
        .map(cell => cell.character)
        .join('')
        .trimEnd(),
    )
  }

  /** All that is, and has been, on the screen. */
  get text(): string {
    return [...this.scrollback, ...this.lines].join('\n')
  }

  get cursor(): { readonly row: number; readonly column: number; readonly isVisible: boolean } {
    return { row: this.row, column: this.column, isVisible: this.modes.get(25) ?? true }
  }

  /** Private modes (DECSET) that are not those of a fresh terminal. */
  get changedModes(): number[] {
    const on = new Set([7, 25])
    return [...this.modes].filter(([mode, isSet]) => isSet !== on.has(mode)).map(([mode]) => mode)
  }

  cellAt(row: number, column: number): Cell {
    return this.cells[row]?.[column] ?? BLANK
  }

  /** Takes what a program wrote, in whatever pieces it comes. */
  write(text: string): void {
    const whole = this.unfinished + text
    this.unfinished = UNFINISHED.exec(whole)?.[0] ?? ''
    const complete = whole.slice(0, whole.length - this.unfinished.length)
    for (const [token, isPrivate, parameters, final] of complete.matchAll(TOKEN)) {
      if (final !== undefined) this.control(isPrivate === '?', parameters ?? '', final)
      else this.character(token)
    }
  }

  /** As terminals do it that wrap again what was written: lines that are too long now take several. */
  resize(columns: number, rows: number): void {
    const above: Cell[][] = []
    let cursorRow = 0
    for (const [index, line] of this.cells.entries()) {
      if (index === this.row) cursorRow = above.length
      const length = line.findLastIndex(cell => cell.character !== ' ') + 1
      for (let from = 0; from === 0 || from < length; from += columns)
        above.push(line.slice(from, Math.min(length, from + columns)))
    }
    const used = above.slice(0, cursorRow + 1)
    while (used.length > rows) this.keep(used.shift()!)
    this.columns = columns
    this.rows = rows
    this.row = used.length - 1
    this.cells = Array.from({ length: rows }, (_, i) => used[i] ?? [])
  }

  private control(isPrivate: boolean, parameters: string, final: string): void {
    const first = parameters === '' ? null : Number(parameters.split(';')[0])
    if (isPrivate) {
      assert(final === 'h' || final === 'l', `?${parameters}${final} is not known`)
      this.modes.set(first ?? 0, final === 'h')
    } else if (final === 'A') this.row = Math.max(0, this.row - (first ?? 1))
    else if (final === 'J') this.eraseBelow(first ?? 0)
    else if (final === 'K') this.eraseLine(first ?? 0)
    else if (final === 'm') for (const code of parameters.split(';')) this.select(Number(code))
    else assert.fail(`CSI ${parameters}${final} is not known`)
  }

  private select(code: number): void {
    if (code === 0) this.style = PLAIN
    else if (code === 1) this.style = { ...this.style, isBold: true }
    else if (code === 2) this.style = { ...this.style, isDim: true }
    else if (code === 39) this.style = { ...this.style, colour: null }
    else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97))
      this.style = { ...this.style, colour: code }
    else assert.fail(`SGR ${code} is not known`)
  }

  private eraseBelow(which: number): void {
    assert.equal(which, 0, 'only what is below is erased')
    this.cells[this.row]!.length = Math.min(this.cells[this.row]!.length, this.column)
    for (let row = this.row + 1; row < this.rows; row++) this.cells[row] = []
  }

  private eraseLine(which: number): void {
    assert(which === 0 || which === 2, 'a line is erased from the cursor on, or all of it')
    this.cells[this.row]!.length = which === 2 ? 0 : Math.min(this.cells[this.row]!.length, this.column)
  }

  private character(character: string): void {
    if (character === '\r') this.column = 0
    else if (character === '\n') this.lineFeed()
    else if (character === '\b') this.column = Math.max(0, this.column - 1)
    else if (character >= ' ') this.put(character)
  }

  private put(character: string): void {
    if (this.column === this.columns) {
      if (this.modes.get(7) === false) this.column = this.columns - 1
      else {
        this.column = 0
        this.lineFeed()
      }
    }
    const line = this.cells[this.row]!
    while (line.length < this.column) line.push(BLANK)
    line[this.column] = { character, style: this.style }
    this.column++
  }

  private lineFeed(): void {
    if (this.row < this.rows - 1) {
      this.row++
      return
    }
    this.keep(this.cells.shift()!)
    this.cells.push([])
  }

  private keep(line: readonly Cell[]): void {
    this.scrollback.push(
      line
        .map(cell => cell.character)
        .join('')
        .trimEnd(),
    )
    if (this.scrollback.length > SCROLLBACK_MAX) this.scrollback.shift()
  }
}
