/**
 * Findings of `validate` as a SARIF 2.1.0 log, which code scanning of GitHub and others reads.
 *
 * @module
 */
import { isAbsolute, relative, resolve, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Diagnostic } from '../error.ts'
import { errorPage } from './error-reference.ts'
import { findingsOf, type ValidateReport } from './validate-report.ts'
import { VERSION } from './version.ts'

const SCHEMA = 'https://json.schemastore.org/sarif-2.1.0.json'

/** @param cwd the folder that paths are relative to: in CI, the root of the checkout */
export function formatSarif(report: ValidateReport, cwd: string): string {
  const findings = findingsOf(report)
  const codes = [...new Set(findings.map(({ code }) => code))].sort()
  const log = {
    $schema: SCHEMA,
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'stream-ingest', version: VERSION, rules: codes.map(rule) } },
        // Our columns are those of JavaScript.
        columnKind: 'utf16CodeUnits',
        results: findings.map(finding => result(finding, codes, cwd)),
      },
    ],
  }
  return `${JSON.stringify(log, null, 2)}\n`
}

function rule(code: string): object {
  const page = errorPage(code)
  return {
    id: code,
    shortDescription: { text: page?.title ?? code },
    ...(page === null ? {} : { help: { text: page.hint } }),
  }
}

function result(diagnostic: Diagnostic, codes: readonly string[], cwd: string): object {
  const { code, severity, file, line, column, endLine, endColumn, message, help } = diagnostic
  return {
    ruleId: code,
    ruleIndex: codes.indexOf(code),
    level: severity,
    message: { text: help === null ? message : `${message}\nhelp: ${help}` },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: artifactUri(file, cwd) },
          region: { startLine: line, startColumn: column, endLine, endColumn },
        },
      },
    ],
  }
}

/** A relative URI reference below `cwd`, else an absolute URI. */
function artifactUri(file: string, cwd: string): string {
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(file)) return file
  const path = relative(cwd, resolve(cwd, file))
  if (isAbsolute(path) || path.startsWith('..')) return pathToFileURL(resolve(cwd, file)).href
  return path.split(sep).map(encodeURIComponent).join('/')
}
