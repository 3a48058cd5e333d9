/**
 * Actions to and from the lines of a commit.
 *
 * PROTOCOL.md › Actions. A commit is newline-delimited JSON, one object with exactly one action a line. Reading
 * ignores actions, fields and nulls it does not know and is strict about everything it does; writing keeps the wire's
 * field order and asserts the rules of one commit first.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { Action } from './action.ts'
import { actionFieldsOf } from './action-field.ts'
import { commitViolations } from './commit-rules.ts'
import { DeltaLakeError } from './error.ts'
import { formatJson, isJsonObject, parseJson } from './json.ts'

/** Where a line stands, for messages. */
export interface LinePlace {
  readonly file: string
  /** From 1. */
  readonly line: number
}

const NEWLINE = '\n'

/**
 * Parses one line of a commit, of a compacted file or of a JSON checkpoint.
 *
 * @returns null for an action that is not known
 * @throws DeltaLakeError `DELTA_LOG_CORRUPT` naming the file, the line and the field
 */
export function parseAction(line: string, place: LinePlace): Action | null {
  let json: unknown
  try {
    json = parseJson(line)
  } catch (cause) {
    throw corruptLine(place, 'is not JSON', cause)
  }
  if (!isJsonObject(json)) throw corruptLine(place, 'is not a JSON object')
  return toAction(json, message => corruptLine(place, message))
}

/**
 * The action that an object holds under its wire name, its fields checked.
 *
 * @param corrupt makes the error for a message such as `` has `add.size` that is not a long ``
 * @returns null where the object holds no action that is known
 */
export function toAction(
  json: Record<string, unknown>,
  corrupt: (message: string) => DeltaLakeError,
): Action | null {
  let name: string | null = null
  for (const key of Object.keys(json)) {
    if (json[key] === null || json[key] === undefined || actionFieldsOf(key) === null) continue
    if (name !== null) throw corrupt(`holds two actions, \`${name}\` and \`${key}\``)
    name = key
  }
  if (name === null) return null
  const body = json[name]
  if (!isJsonObject(body)) throw corrupt(`has \`${name}\` that is not an object`)
  const fields = actionFieldsOf(name)
  assert(fields !== null)
  // commitInfo is free-form: what it holds beyond the known fields is kept.
  const action: Record<string, unknown> =
    name === 'commitInfo'
      ? Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null))
      : {}
  for (const field of fields) {
    const value = body[field.name]
    if (value === null || value === undefined) {
      if (field.required) throw corrupt(`has no \`${name}.${field.name}\``)
      if (field.fallback !== undefined) action[field.name] = field.fallback
      continue
    }
    const checked = field.read(value)
    if (checked === undefined) throw corrupt(`has \`${name}.${field.name}\` that is not ${field.expected}`)
    action[field.name] = checked
  }
  return { [name]: action } as Action
}

/**
 * Parses a whole commit. Blank lines are skipped, unknown actions left out.
 *
 * @param file its key, for messages
 * @throws DeltaLakeError `DELTA_LOG_CORRUPT` also for an empty file: a commit always has a line
 */
export function parseCommit(bytes: Uint8Array, file: string): Action[] {
  const actions: Action[] = []
  let lineCount = 0
  for (const { text, line } of splitLines(bytes, file)) {
    lineCount++
    const action = parseAction(text, { file, line })
    if (action !== null) actions.push(action)
  }
  if (lineCount === 0) {
    throw new DeltaLakeError('DELTA_LOG_CORRUPT', `the log file \`${file}\` is empty`, { context: { file } })
  }
  return actions
}

/** The non-blank lines of a file with their numbers from 1. */
export function* splitLines(bytes: Uint8Array, file: string): Generator<{ text: string; line: number }> {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new DeltaLakeError('DELTA_LOG_CORRUPT', `the log file \`${file}\` is not UTF-8`, {
      cause,
      context: { file },
    })
  }
  let line = 0
  for (let start = 0; start < text.length; ) {
    const found = text.indexOf(NEWLINE, start)
    const end = found === -1 ? text.length : found
    line++
    const content = text.slice(start, end)
    if (content.trim() !== '') yield { text: content, line }
    start = end + 1
  }
}

/** Formats one action as a line, without the newline, fields in the order of the protocol's tables. */
export function formatAction(action: Action): string {
  const [name] = Object.keys(action)
  assert(name !== undefined && Object.keys(action).length === 1, 'an action object holds exactly one action')
  const fields = actionFieldsOf(name)
  assert(fields !== null, `\`${name}\` is no action`)
  const body = (action as unknown as Record<string, Record<string, unknown>>)[name]!
  const ordered: Record<string, unknown> = {}
  for (const field of fields) {
    const value = body[field.name]
    assert(value !== undefined || !field.required, `\`${name}.${field.name}\` is missing`)
    if (value !== undefined) ordered[field.name] = value
  }
  if (name === 'commitInfo') for (const key of Object.keys(body)) ordered[key] = body[key]
  return formatJson({ [name]: ordered })
}

/**
 * Formats a commit, after {@link validateCommit}.
 *
 * @throws AssertionError where the actions break a rule
 */
export function formatCommit(actions: readonly Action[]): Uint8Array {
  validateCommit(actions)
  let text = ''
  for (const action of actions) text += formatAction(action) + NEWLINE
  return new TextEncoder().encode(text)
}

/**
 * Asserts the rules of one commit (PROTOCOL.md › Action Reconciliation and the single actions): what breaks them is a
 * bug of this writer, and readers would disagree about the table.
 *
 * @throws AssertionError
 */
export function validateCommit(actions: readonly Action[]): void {
  for (const { message } of commitViolations(actions)) assert.fail(message)
}

function corruptLine({ file, line }: LinePlace, message: string, cause?: unknown): DeltaLakeError {
  return new DeltaLakeError('DELTA_LOG_CORRUPT', `line ${line} of the log file \`${file}\` ${message}`, {
    cause,
    context: { file, line },
  })
}
