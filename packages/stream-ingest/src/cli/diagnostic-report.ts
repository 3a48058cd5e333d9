/**
 * Diagnostics for machines: annotations of GitHub Actions, and SARIF for code scanning.
 *
 * Sources: GitHub Docs, Workflow commands for GitHub Actions; OASIS SARIF 2.1.0.
 *
 * @module
 */
import { type Diagnostic, definitionOf } from '../error.ts'
import { VERSION } from './version.ts'

const SARIF_SCHEMA = 'https://json.schemastore.org/sarif-2.1.0.json'

/** One workflow command a finding: GitHub shows it at its line of the pull request. */
export function formatGithub(diagnostics: readonly Diagnostic[]): string {
  return diagnostics.map(diagnostic => `${githubCommand(diagnostic)}\n`).join('')
}

function githubCommand(diagnostic: Diagnostic): string {
  const { severity, file, line, column, endLine, endColumn, code } = diagnostic
  const properties = Object.entries({ file, line, col: column, endLine, endColumn, title: code })
    .map(([name, value]) => `${name}=${escapeProperty(String(value))}`)
    .join(',')
  return `::${severity} ${properties}::${escapeData(withHelp(diagnostic))}`
}

function withHelp({ message, help }: Diagnostic): string {
  return help === null ? message : `${message}\n${help}`
}

function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C')
}

/** One SARIF log with one run. */
export function formatSarif(diagnostics: readonly Diagnostic[]): string {
  const codes = [...new Set(diagnostics.map(({ code }) => code))]
  const log = {
    $schema: SARIF_SCHEMA,
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'stream-ingest',
            version: VERSION,
            rules: codes.map(code => {
              const { title, hint } = definitionOf(code)
              return { id: code, shortDescription: { text: title }, help: { text: hint } }
            }),
          },
        },
        columnKind: 'utf16CodeUnits',
        results: diagnostics.map(diagnostic => ({
          ruleId: diagnostic.code,
          ruleIndex: codes.indexOf(diagnostic.code),
          level: diagnostic.severity,
          message: { text: withHelp(diagnostic) },
          locations: [{ physicalLocation: placeOf(diagnostic) }],
        })),
      },
    ],
  }
  return `${JSON.stringify(log)}\n`
}

function placeOf({ file, line, column, endLine, endColumn }: Diagnostic): object {
  return {
    artifactLocation: { uri: encodeURI(file.replaceAll('\\', '/')) },
    region: { startLine: line, startColumn: column, endLine, endColumn },
  }
}
