/**
 * What the terminal behind a stream can do, and what may be sent to it.
 *
 * @module
 */
import type { CommandIo, OutputStream } from './command-io.ts'

type Environment = CommandIo['env']

/** Can lines be painted over? Not on a pipe, not on a terminal that only knows lines, not in a build's log. */
export function canRepaint({ isTTY }: OutputStream, { TERM, CI }: Environment): boolean {
  return isTTY === true && TERM !== 'dumb' && !isSet(CI)
}

/** no-color.org: any value but the empty one turns colours off. */
export function hasColour({ isTTY }: OutputStream, { TERM, NO_COLOR }: Environment): boolean {
  return isTTY === true && TERM !== 'dumb' && (NO_COLOR === undefined || NO_COLOR === '')
}

/** All of the line, with the cursor at its start. */
export const CLEAR_LINE = '\r\x1b[2K'

function isSet(flag: string | undefined): boolean {
  return flag !== undefined && flag !== '' && flag !== 'false' && flag !== '0'
}

const STYLES = { bold: 1, dim: 2, red: 31, yellow: 33 } as const
export type Style = keyof typeof STYLES

/** Select Graphic Rendition, and back to the terminal's own. */
export function styled(text: string, style: Style | null): string {
  return style === null || text === '' ? text : `\x1b[${STYLES[style]}m${text}\x1b[0m`
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g

/** Names and messages come from topics and tables: none of them may steer the terminal. Tabs and line ends stay. */
export function withoutControls(text: string): string {
  return text.replace(CONTROL, '\ufffd')
}
