/**
 * Diagnostics as text for people: a headline, the place, the line with a mark, the help.
 *
 * @module
 */
import type { Diagnostic } from '../error.ts'

/** Digits that the gutter makes room for; longer line numbers widen it. */
const GUTTER_DIGITS_MIN = 3

/** One finding, without a newline at the end. */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const { code, severity, file, line, column, message, help, frame } = diagnostic
  const number = String(line).padStart(GUTTER_DIGITS_MIN)
  const gutter = ' '.repeat(number.length)
  const lines = [`${severity}[${code}]: ${message}`, `  --> ${file}:${line}:${column}`]
  if (frame !== null) {
    lines.push(
      `${gutter} │`,
      `${number} │ ${frame.text}`,
      `${gutter} │ ${' '.repeat(frame.start)}${'^'.repeat(frame.length)}`,
    )
  }
  if (help !== null) lines.push(`${gutter} = help: ${help}`)
  return lines.join('\n')
}

/** `2 errors, 1 warning`; `no problems` where there are none. */
export function countDiagnostics(diagnostics: readonly Diagnostic[]): string {
  const errors = diagnostics.filter(diagnostic => diagnostic.severity === 'error').length
  const warnings = diagnostics.length - errors
  const parts: string[] = []
  if (errors > 0) parts.push(`${errors} ${errors === 1 ? 'error' : 'errors'}`)
  if (warnings > 0) parts.push(`${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`)
  return parts.length === 0 ? 'no problems' : parts.join(', ')
}

/** All findings, a blank line between two. */
export function formatDiagnostics(diagnostics: readonly Diagnostic[]): string {
  return diagnostics.map(formatDiagnostic).join('\n\n')
}
