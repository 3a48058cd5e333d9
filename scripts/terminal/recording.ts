/**
 * What a terminal was sent, and the picture that comes of it.
 *
 * @module
 */
import { fileURLToPath } from 'node:url'
import { Screen } from './screen.ts'
import { renderSvg } from './screen-svg.ts'

export interface Recording {
  readonly columns: number
  readonly rows: number
  readonly text: string
}

export const PANEL_SIZE = { columns: 104, rows: 16 } as const

export const PANEL_RECORDING = {
  recording: fileURLToPath(new URL('../../docs/images/run-panel.json', import.meta.url)),
  picture: fileURLToPath(new URL('../../docs/images/run-panel.svg', import.meta.url)),
} as const

/** The screen as it was at the end of the recording. */
export function renderRecording({ columns, rows, text }: Recording): string {
  const screen = new Screen(columns, rows)
  screen.write(text)
  return renderSvg(screen, 'stream-ingest run on a terminal: commits, and below them a live panel')
}
