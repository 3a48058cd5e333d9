/**
 * Progress of a long verb, on stderr: a bar that is painted over on a terminal, a line every few seconds elsewhere. A verb
 * that is done soon says nothing at all where nobody watches a terminal.
 *
 * @module
 */
import type { CommandIo } from './command-io.ts'
import { CLEAR_LINE, canRepaint } from './terminal.ts'
import { cutText } from './text-table.ts'

/** Between two lines where nobody watches a terminal. */
export const LINE_EVERY_MS = 5_000
/** Between two paintings on a terminal. */
export const PAINT_EVERY_MS = 100
/** What is done sooner needs no bar; and `read … | less` has the terminal to itself. */
export const PAINT_AFTER_MS = 500
/** Cells of the bar. */
const BAR_CELLS = 20
/** A narrower terminal has no room for a bar beside the text. */
const BAR_COLUMNS_MIN = 60
/** Of a terminal that does not tell its size. */
const COLUMNS_DEFAULT = 80
/** An eighth of a cell and upwards. */
const PARTS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const

export interface ProgressTotal {
  readonly done: number
  readonly total: number
}

export interface Progress {
  /**
   * @param text what is done so far, short
   * @param of makes a bar; without it, or with nothing to do, there is none
   */
  update(text: string, of?: ProgressTotal | null): void
  /** Clears what is painted. */
  end(): void
}

/** @param isQuiet no progress at all: the result is for a program */
export function createProgress(io: CommandIo, isQuiet: boolean): Progress {
  if (isQuiet) return { update: () => {}, end: () => {} }
  const { stderr, runtime } = io
  const isPainting = canRepaint(stderr, io.env)
  const everyMs = isPainting ? PAINT_EVERY_MS : LINE_EVERY_MS
  // The first one comes after its own time.
  let shownMs = runtime.monotonicMs() + (isPainting ? PAINT_AFTER_MS - PAINT_EVERY_MS : 0)
  let isPainted = false
  return {
    update(text, of = null) {
      const nowMs = runtime.monotonicMs()
      if (nowMs - shownMs < everyMs) return
      shownMs = nowMs
      const columns = stderr.columns || COLUMNS_DEFAULT
      const hasBar = isPainting && columns >= BAR_COLUMNS_MIN
      const line = of === null || of.total <= 0 ? text : withShare(text, of, hasBar)
      if (!isPainting) {
        stderr.write(`${line}\n`)
        return
      }
      isPainted = true
      // One cell stays free: a line that fills the terminal may wrap.
      stderr.write(`${CLEAR_LINE}${cutText(line, Math.max(1, columns - 1))}`)
    },
    end() {
      if (isPainted) stderr.write(CLEAR_LINE)
      isPainted = false
    },
  }
}

/** Never more than all of it, also where the total was an estimate. */
function withShare(text: string, { done, total }: ProgressTotal, hasBar: boolean): string {
  const share = Math.min(1, Math.max(0, done / total))
  const percent = `${Math.floor(share * 100)} %`
  return hasBar ? `${formatBar(share)} ${percent.padStart(5)}  ${text}` : `${percent}  ${text}`
}

/** `████▌               ` between its ends. */
function formatBar(share: number): string {
  const eighths = Math.floor(share * BAR_CELLS * 8)
  const filled = '█'.repeat(Math.floor(eighths / 8)) + PARTS[eighths % 8]
  return `▕${filled.padEnd(BAR_CELLS)}▏`
}
