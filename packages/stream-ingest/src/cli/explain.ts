/**
 * `stream-ingest explain CODE`: what a code means, and what to do.
 *
 * @module
 */
import { nearestWord } from '../config/suggestion.ts'
import { ConfigError, EXIT_CODES } from '../error.ts'
import { type CommandIo, writeText } from './command-io.ts'
import { allErrorCodes, type ErrorPage, errorPage } from './error-reference.ts'
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
    const codes = allErrorCodes()
    await writeText(
      io.stdout,
      options.json === true ? formatJsonDocument({ codes }) : `${codes.join('\n')}\n`,
    )
    return EXIT_CODES.ok
  }
  const page = errorPage(code.toUpperCase())
  if (page === null) {
    const near = nearestWord(code.toUpperCase(), allErrorCodes())
    throw new ConfigError('CONFIG_USAGE', `there is no code \`${code}\``, {
      hint: near === null ? 'list all codes with `stream-ingest explain`' : `did you mean \`${near}\`?`,
    })
  }
  await writeText(io.stdout, options.json === true ? formatJsonDocument(page) : formatDefinition(page))
  return EXIT_CODES.ok
}

function formatDefinition(page: ErrorPage): string {
  const { code, title, cause, example, hint, exitCode, retryable } = page
  const lines = [code, `  what       ${title}`, `  cause      ${cause}`]
  if (example !== null) lines.push(`  example    ${example}`)
  lines.push(
    `  help       ${hint}`,
    `  retry      ${retryable ? 'the same call may succeed later' : 'not before something was changed'}`,
    `  exit code  ${exitCode}`,
    `  page       ${page.page}`,
  )
  return `${lines.join('\n')}\n`
}
