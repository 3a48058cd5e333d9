/**
 * Progress of a long verb: one line that is painted over on a terminal, a line every few seconds elsewhere.
 *
 * @module
 */
import type { CommandIo } from './command-io.ts'

/** Between two lines where nobody watches a terminal. */
const LINE_EVERY_MS = 5_000
/** Between two paintings on a terminal. */
const PAINT_EVERY_MS = 100

export interface Progress {
  update(text: string): void
  /** Clears what is painted. */
  end(): void
}

/** @param isQuiet no progress at all: the result is for a program */
export function createProgress(io: CommandIo, isQuiet: boolean): Progress {
  if (isQuiet) return { update: () => {}, end: () => {} }
  const { stderr, runtime } = io
  const isTerminal = stderr.isTTY === true
  const everyMs = isTerminal ? PAINT_EVERY_MS : LINE_EVERY_MS
  let shownMs = isTerminal ? Number.NEGATIVE_INFINITY : runtime.monotonicMs()
  let isPainted = false
  return {
    update(text) {
      const nowMs = runtime.monotonicMs()
      if (nowMs - shownMs < everyMs) return
      shownMs = nowMs
      isPainted = isTerminal
      stderr.write(isTerminal ? `\r\x1b[2K${text}` : `${text}\n`)
    },
    end() {
      if (isPainted) stderr.write('\r\x1b[2K')
    },
  }
}
