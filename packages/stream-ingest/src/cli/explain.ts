/**
 * `stream-ingest explain CODE`: what a code means, and what to do.
 *
 * @module
 */
import { DELTA_ERRORS, type DeltaErrorCode } from '@stream-ingest/delta/error'
import { nearestWord } from '../config/suggestion.ts'
import { ConfigError, DELTA_EXIT_CODES, ERRORS, type ErrorDefinition, EXIT_CODES } from '../error.ts'
import { type CommandIo, writeText } from './command-io.ts'
import { formatJsonDocument } from './json-document.ts'

export interface ExplainOptions {
  readonly json?: boolean
}

/**
 * Explains one code; without one it lists them all.
 *
 * @throws ConfigError `CONFIG_USAGE` for a code that does not exist, with the nearest one
 */
export async function explainCommand(
  code: string | undefined,
  options: ExplainOptions,
  io: CommandIo,
): Promise<number> {
  if (code === undefined) {
    const codes = allCodes()
    await writeText(
      io.stdout,
      options.json === true ? formatJsonDocument({ codes }) : `${codes.join('\n')}\n`,
    )
    return EXIT_CODES.ok
  }
  const definition = definitionOf(code.toUpperCase())
  if (definition === null) {
    const near = nearestWord(code.toUpperCase(), allCodes())
    throw new ConfigError('CONFIG_USAGE', `there is no code \`${code}\``, {
      hint: near === null ? 'list all codes with `stream-ingest explain`' : `did you mean \`${near}\`?`,
    })
  }
  const document = { code: code.toUpperCase(), ...definition }
  await writeText(
    io.stdout,
    options.json === true ? formatJsonDocument(document) : formatDefinition(document),
  )
  return EXIT_CODES.ok
}

interface Explained {
  readonly code: string
  readonly title: string
  readonly hint: string
  readonly exitCode: number
  readonly retryable: boolean
}

function formatDefinition({ code, title, hint, exitCode, retryable }: Explained): string {
  const lines = [code, ...(title === '' ? [] : [`  what       ${title}`]), `  help       ${hint}`]
  lines.push(
    `  retry      ${retryable ? 'the same call may succeed later' : 'not before something was changed'}`,
  )
  lines.push(`  exit code  ${exitCode}`)
  return `${lines.join('\n')}\n`
}

function allCodes(): string[] {
  return [...Object.keys(ERRORS), ...Object.keys(DELTA_ERRORS)].sort()
}

function definitionOf(code: string): Omit<Explained, 'code'> | null {
  if (Object.hasOwn(ERRORS, code)) {
    const { title, hint, exitCode, retryable = false }: ErrorDefinition = ERRORS[code as keyof typeof ERRORS]
    return { title, hint, exitCode, retryable }
  }
  if (!Object.hasOwn(DELTA_ERRORS, code)) return null
  const deltaCode = code as DeltaErrorCode
  const { hint, retryable } = DELTA_ERRORS[deltaCode]
  return { title: '', hint, exitCode: DELTA_EXIT_CODES[deltaCode], retryable }
}
