/**
 * What tests of a configuration came to, as text and as JSON.
 *
 * @module
 */
import { formatJson, parseJsonLossless } from '@stream-ingest/delta'
import { jsonOf } from '../config/config-test.ts'
import type { ConfigTestResult, Difference } from '../pipeline/config-test.ts'
import { escapeControls, rowJson, valueJson } from './row-text.ts'
import { formatTable, textWidth } from './text-table.ts'

/** A result and the file that the test stands in. */
export interface FileTestResult extends ConfigTestResult {
  readonly file: string
  /** What came is written into the file by now. */
  readonly isUpdated: boolean
}

/** Values that are longer stand below each other, whole but for {@link SHOWN_LENGTH_MAX}. */
const CELL_WIDTH_MAX = 40
const SHOWN_LENGTH_MAX = 1_000
/** Of what two long values have in common, this much is shown before they differ. */
const COMMON_LENGTH_SHOWN = 100
/** Of one test; the rest is counted. */
const DIFFERENCES_SHOWN_MAX = 50
const NAME_WIDTH_MAX = 60

/** A difference in the words of the document; values are those of `formatJson`. */
interface ShownDifference {
  /** Of `rows`, from 0; null for what is no row's. */
  readonly row: number | null
  /** Null for a whole row. */
  readonly column: string | null
  readonly expected: unknown
  readonly actual: unknown
  /** Why the expected value can be none of the column; null where it can. */
  readonly problem: string | null
}

/** The one document of `--json`. */
export function testDocument(results: readonly FileTestResult[], isOk: boolean): unknown {
  return {
    ok: isOk,
    tests: results.map(result => ({
      name: result.test.name,
      pipeline: result.test.pipeline,
      ok: result.ok,
      updated: result.isUpdated,
      file: result.file,
      line: result.test.line,
      differences: result.differences.map(difference => {
        const { expected = null, actual = null, ...shown } = shownDifference(difference, result)
        return { row: shown.row, column: shown.column, expected, actual, problem: shown.problem }
      }),
      error: errorDocument(result),
    })),
  }
}

function errorDocument({ error }: FileTestResult): unknown {
  return error === null ? null : { code: error.code, message: error.message, hint: error.hint }
}

/** A line for each test, what differs below it, and the counts. */
export function formatTestReport(results: readonly FileTestResult[]): string {
  const width = Math.min(NAME_WIDTH_MAX, Math.max(...results.map(({ test }) => textWidth(test.name)), 0))
  return results.map(result => formatResult(result, width)).join('') + formatCounts(results)
}

function formatResult(result: FileTestResult, width: number): string {
  const { test, ok, isUpdated, file, error } = result
  const name = escapeControls(test.name)
  if (ok) return `✓ ${name}\n`
  const gap = ' '.repeat(Math.max(0, width - textWidth(name)))
  const headline = `${isUpdated ? '~' : 'x'} ${name}${gap}   ${file}:${test.line}\n`
  if (error !== null) {
    return `${headline}    error[${error.code}]: ${escapeControls(error.message)}\n    = help: ${escapeControls(error.hint)}\n`
  }
  return headline + formatDifferences(result)
}

function formatDifferences(result: FileTestResult): string {
  const shown = result.differences.slice(0, DIFFERENCES_SHOWN_MAX).map(each => shownDifference(each, result))
  const hasRows =
    (result.test.expected.rows?.value.length ?? 0) > 1 || shown.some(({ row }) => (row ?? 0) > 0)
  const lines = shown.map(({ row, column, expected, actual, problem }) => ({
    label: escapeControls(labelOf(row, column, hasRows)),
    expected: cell(expected),
    actual: cell(actual),
    problem,
  }))
  const isShort = lines.every(line => [line.label, line.expected, line.actual].every(fits))
  const body = isShort ? formatLines(lines) : lines.map(formatLong).join('')
  const problems = lines.filter(({ problem }) => problem !== null)
  const helps = problems.map(({ label, problem }) => `    = ${label}: ${escapeControls(problem!)}\n`).join('')
  const left = result.differences.length - shown.length
  return body + helps + (left > 0 ? `    and ${left} more\n` : '')
}

interface DifferenceLine {
  readonly label: string
  readonly expected: string
  readonly actual: string
}

function fits(text: string): boolean {
  return textWidth(text) <= CELL_WIDTH_MAX
}

function formatLines(lines: readonly DifferenceLine[]): string {
  const columns = (['column', 'expected', 'actual'] as const).map(header => ({
    header,
    align: 'left' as const,
  }))
  const table = formatTable(
    columns,
    lines.map(({ label, expected, actual }) => [label, expected, actual]),
  )
  const [header, ...rows] = table.trimEnd().split('\n')
  return [`    ${header}`, ...rows.map(row => `  - ${row}`), ''].join('\n')
}

function formatLong({ label, expected, actual }: DifferenceLine): string {
  let common = 0
  while (common < expected.length && expected[common] === actual[common]) common++
  const from = common > COMMON_LENGTH_SHOWN * 2 ? common - COMMON_LENGTH_SHOWN : 0
  const excerpt = (text: string): string => {
    const kept = text.slice(from, from + SHOWN_LENGTH_MAX)
    return `${from > 0 ? '…' : ''}${kept}${from + SHOWN_LENGTH_MAX < text.length ? '…' : ''}`
  }
  return `  - ${label}\n      expected: ${excerpt(expected)}\n      actual:   ${excerpt(actual)}\n`
}

function labelOf(row: number | null, column: string | null, hasRows: boolean): string {
  if (row === null) return column ?? ''
  const place = hasRows ? `rows[${row}]` : ''
  if (column === null) return hasRows ? place : 'rows'
  return place === '' ? column : `${place}.${column}`
}

/** A text stands without quotes where it cannot be taken for another value. */
function cell(value: unknown): string {
  if (value === undefined) return '(none)'
  if (typeof value !== 'string') return escapeControls(formatJson(value))
  const isPlain = value !== '' && value === value.trim() && !/^(?:null|true|false|\(none\))$/.test(value)
  return escapeControls(isPlain ? value : JSON.stringify(value))
}

/** `undefined` where there is nothing on that side. */
function shownDifference(difference: Difference, { outcome }: ConfigTestResult): ShownDifference {
  switch (difference.kind) {
    case 'value': {
      const { row, column, type, expected, actual, written, problem } = difference
      const isPlain = type !== null && problem === null && ['primitive', 'decimal'].includes(type.kind)
      return {
        row,
        column,
        expected: isPlain ? valueJson(type, expected) : parseJsonLossless(jsonOf(written)),
        actual: type === null ? undefined : valueJson(type, actual),
        problem,
      }
    }
    case 'missing_row': {
      const { row, written } = difference
      return {
        row,
        column: null,
        expected: parseJsonLossless(jsonOf(written)),
        actual: undefined,
        problem: null,
      }
    }
    case 'extra_row': {
      const { row } = difference
      const message = outcome!.rows[row]!
      const actual = rowJson(message.schema!, message.row!)
      return { row, column: null, expected: undefined, actual, problem: null }
    }
    case 'bad': {
      const { index, key, expected, actual } = difference
      const place = outcome!.bad.length > 1 || index > 0 ? `bad[${index}]` : 'bad'
      const column = key === null ? place : `${place}.${key}`
      return {
        row: null,
        column,
        expected: expected ?? undefined,
        actual: actual ?? undefined,
        problem: null,
      }
    }
    case 'skipped': {
      const { expected, actual } = difference
      return { row: null, column: 'skipped', expected, actual, problem: null }
    }
  }
}

function formatCounts(results: readonly FileTestResult[]): string {
  const updated = results.filter(({ isUpdated }) => isUpdated).length
  const passed = results.filter(({ ok }) => ok).length
  const failed = results.length - passed - updated
  const parts = [`${passed} passed`]
  if (updated > 0) parts.push(`${updated} updated`)
  if (failed > 0 || updated === 0) parts.push(`${failed} failed`)
  return `${parts.join(', ')}\n`
}
