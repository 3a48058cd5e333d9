/**
 * Every code with its page: for `explain`, and for `docs/reference/errors.md`.
 *
 * @module
 */
import { DELTA_ERRORS, type DeltaErrorCode } from '@stream-ingest/delta/error'
import { DELTA_EXIT_CODES, ERRORS, type ErrorDefinition } from '../error.ts'

/** What is known of a code without looking at an instance. */
export interface ErrorPage {
  readonly code: string
  readonly title: string
  readonly hint: string
  /** What brings it; null where no example says more than the title. */
  readonly example: string | null
  readonly exitCode: number
  readonly retryable: boolean
}

/** Of both packages, in the order of their names. */
export function allErrorCodes(): string[] {
  return [...Object.keys(ERRORS), ...Object.keys(DELTA_ERRORS)].sort()
}

/** Null for a code that does not exist. */
export function errorPage(code: string): ErrorPage | null {
  if (Object.hasOwn(ERRORS, code)) {
    const definition: ErrorDefinition = ERRORS[code as keyof typeof ERRORS]
    const { title, hint, example = null, exitCode, retryable = false } = definition
    return { code, title, hint, example, exitCode, retryable }
  }
  if (!Object.hasOwn(DELTA_ERRORS, code)) return null
  const deltaCode = code as DeltaErrorCode
  return { code, ...DELTA_ERRORS[deltaCode], example: null, exitCode: DELTA_EXIT_CODES[deltaCode] }
}

/** The page of all of them, in Markdown. */
export function createErrorReference(): string {
  const rows = allErrorCodes().map(code => {
    const { title, hint, example, exitCode, retryable } = errorPage(code)!
    const help = example === null ? hint : `${hint}. Seen with: \`${example}\``
    const cell = (text: string): string => text.replaceAll('|', '\\|')
    return `| \`${code}\` | ${cell(title)} | ${cell(help)} | ${retryable ? 'yes' : ''} | ${exitCode} |`
  })
  return `# Errors

Every code that \`stream-ingest\` shows, as \`stream-ingest explain CODE\` prints it. Generated from the code. The message of an error names the place
and the value, and its own help where it knows better than this page. What is repeated, and how often: [Errors and retries](../operate/retries.md).

| code | what | help | may pass | exit code |
|---|---|---|---|---|
${rows.join('\n')}
`
}
