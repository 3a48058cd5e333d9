/**
 * Findings of `validate` as one JSON document.
 *
 * @module
 */
import { formatJsonDocument } from './json-document.ts'
import { effectiveDocument } from './validate-effective.ts'
import { findingsOf, type ValidateReport } from './validate-report.ts'

/** One line. Fields are only ever added. */
export function formatFindingsJson(report: ValidateReport, showDefaults = false): string {
  const diagnostics = findingsOf(report).map(diagnostic => {
    const { code, severity, file, line, column, endLine, endColumn, message, help, suggestion } = diagnostic
    return { code, severity, file, line, column, endLine, endColumn, message, help, suggestion }
  })
  return formatJsonDocument({
    ok: report.ok,
    diagnostics,
    ...(report.skipped === 0 ? {} : { skipped: report.skipped }),
    ...(showDefaults ? { effective: effectiveDocument(report.files) } : {}),
  })
}
