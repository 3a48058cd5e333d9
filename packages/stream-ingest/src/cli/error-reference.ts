/**
 * Every code with its page: for `explain`, and for `docs/reference/errors.md`.
 *
 * @module
 */
import { DELTA_ERRORS, type DeltaErrorCode } from '@stream-ingest/delta/error'
import { DELTA_EXIT_CODES, ERRORS, type ErrorCode, type ErrorDefinition } from '../error.ts'
import { LINTS, type LintCode } from '../lint-code.ts'
import { ERROR_CAUSES, type ExplainedCode } from './error-cause.ts'

/** What is known of a code without looking at an instance. */
export interface ErrorPage {
  readonly code: string
  readonly title: string
  /** What usually leads to it. */
  readonly cause: string
  /** A message, or lines of a configuration; null where words say it all. */
  readonly example: string | null
  readonly hint: string
  readonly exitCode: number
  readonly retryable: boolean
  /** Where the documentation has it. */
  readonly page: string
}

const PAGE = 'docs/reference/errors.md'
const LINT_CAUSE =
  'A warning of `validate`: the setting can be met, and is probably not what was meant. What a run does does not depend on it.'

/** Of both packages, in the order of their names. */
export function allErrorCodes(): string[] {
  return [...Object.keys(ERRORS), ...Object.keys(DELTA_ERRORS)].sort()
}

/** Null for a code that does not exist. */
export function errorPage(code: string): ErrorPage | null {
  const definition = definitionOf(code)
  if (definition === null) return null
  const { title, hint, exitCode, retryable = false } = definition
  const { cause, example = null } = Object.hasOwn(LINTS, code)
    ? { cause: LINT_CAUSE, example: LINTS[code as LintCode].example }
    : ERROR_CAUSES[code as ExplainedCode]
  return { code, title, cause, example, hint, exitCode, retryable, page: `${PAGE}#${code.toLowerCase()}` }
}

function definitionOf(code: string): ErrorDefinition | null {
  if (Object.hasOwn(ERRORS, code)) return ERRORS[code as ErrorCode]
  if (!Object.hasOwn(DELTA_ERRORS, code)) return null
  const deltaCode = code as DeltaErrorCode
  return { ...DELTA_ERRORS[deltaCode], exitCode: DELTA_EXIT_CODES[deltaCode] }
}

/** The page of all of them, in Markdown. */
export function createErrorReference(): string {
  const pages = allErrorCodes().map(code => errorPage(code)!)
  const rows = pages.map(
    ({ code, title, retryable, exitCode }) =>
      `| [\`${code}\`](#${code.toLowerCase()}) | ${title.replaceAll('|', '\\|')} | ${retryable ? 'yes' : ''} | ${exitCode} |`,
  )
  return `# Errors

Every code that \`stream-ingest\` shows, as \`stream-ingest explain CODE\` prints it. Generated from the code. The message of an error names the place
and the value, and its own help where it knows better than this page. What is repeated, and how often: [Errors and retries](../operate/retries.md).

| code | what | may pass | exit code |
|---|---|---|---|
${rows.join('\n')}

${pages.map(section).join('\n\n')}
`
}

function section({ code, title, cause, example, hint }: ErrorPage): string {
  const shown = example === null ? [] : [`\`\`\`text\n${example}\n\`\`\``]
  return [`## ${code}`, `${sentence(title)} ${cause}`, ...shown, `**Fix:** ${hint}.`].join('\n\n')
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}
