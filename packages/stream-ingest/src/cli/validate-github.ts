/**
 * Findings of `validate` as workflow commands of GitHub Actions, which become annotations of a pull request.
 *
 * ```
 * ::error file=F,line=L,col=C,endLine=L,endColumn=C,title=CODE::message
 * ```
 *
 * @module
 */
import { countDiagnostics } from '../config/diagnostic-format.ts'
import type { Diagnostic } from '../error.ts'
import { findingsOf, type ValidateReport } from './validate-report.ts'

/** A line for each finding, and one that counts them. */
export function formatGithub(report: ValidateReport): string {
  const findings = findingsOf(report)
  const count = `${report.files.length} ${report.files.length === 1 ? 'file' : 'files'}`
  return [...findings.map(command), `${countDiagnostics(findings)} in ${count}.`, ''].join('\n')
}

function command(diagnostic: Diagnostic): string {
  const { code, severity, file, line, column, endLine, endColumn, message, help } = diagnostic
  // GitHub refuses columns of a range over several lines.
  const columns = line === endLine ? { col: column, endLine, endColumn } : { endLine }
  const properties = { file, line, ...columns, title: code }
  const written = Object.entries(properties).map(([key, value]) => `${key}=${escapeProperty(String(value))}`)
  const text = help === null ? message : `${message}\nhelp: ${help}`
  return `::${severity} ${written.join(',')}::${escapeData(text)}`
}

/** The percent sign first: it begins the other escapes. */
function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C')
}
