/**
 * `stream-ingest validate`: what is wrong with configuration files, without connecting anywhere.
 *
 * @module
 */
import { struct } from '@stream-ingest/delta'
import { countDiagnostics, formatDiagnostic } from '../config/diagnostic-format.ts'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { describeSource, planTableLayout } from '../config/table-layout.ts'
import { tablePath } from '../config/table-path.ts'
import { type Diagnostic, EXIT_CODES } from '../error.ts'
import { formatNumberOf } from '../observe/format.ts'
import { type CheckedFile, checkFiles } from './checked-file.ts'
import type { CommandIo } from './command-io.ts'

export interface ValidateOptions {
  readonly json?: boolean
  /** Exit as for an error where there are only warnings. */
  readonly denyWarnings?: boolean
}

/** Topics and brokers that a summary names. */
const SUMMARY_NAMES_MAX = 3

/**
 * Checks each file; without any, what `INGEST_CONFIG` holds, else `./stream-ingest.yaml`. Findings are the result, so they
 * go to stdout.
 *
 * @returns 0, or 78 where there is an error (or a warning that is denied)
 */
export async function validateCommand(
  files: readonly string[],
  options: ValidateOptions,
  io: Pick<CommandIo, 'stdout' | 'env' | 'cwd'>,
): Promise<number> {
  const reports = await checkFiles(files, io)
  const diagnostics = reports.flatMap(report => report.diagnostics)
  const hasErrors = diagnostics.some(diagnostic => diagnostic.severity === 'error')
  const isOk = !hasErrors && (options.denyWarnings !== true || diagnostics.length === 0)
  io.stdout.write(
    options.json === true ? formatDocument(isOk, diagnostics) : formatReports(reports, diagnostics),
  )
  return isOk ? EXIT_CODES.ok : EXIT_CODES.config
}

/** The document of `--json`. */
export function formatDocument(ok: boolean, diagnostics: readonly Diagnostic[]): string {
  const document = {
    ok,
    diagnostics: diagnostics.map(({ code, severity, file, line, column, endLine, endColumn, ...rest }) => {
      const { message, help, suggestion } = rest
      return { code, severity, file, line, column, endLine, endColumn, message, help, suggestion }
    }),
  }
  return `${JSON.stringify(document)}\n`
}

/** Findings, and what each sound file does. */
export function formatReports(reports: readonly CheckedFile[], diagnostics: readonly Diagnostic[]): string {
  const blocks = diagnostics.map(formatDiagnostic)
  for (const { file, pipelines, tests } of reports) {
    if (pipelines === null) continue
    const lines = [`✓ ${file}`, ...pipelines.flatMap(summarize)]
    if (tests.length > 0) lines.push(`  ${formatNumberOf(tests.length, 'test')}: run with stream-ingest test`)
    blocks.push(lines.join('\n'))
  }
  const files = `${reports.length} ${reports.length === 1 ? 'file' : 'files'}`
  const explained = diagnostics.find(({ severity }) => severity === 'error') ?? diagnostics[0]
  const more = explained === undefined ? '' : `   More: stream-ingest explain ${explained.code}`
  blocks.push(`${countDiagnostics(diagnostics)} in ${files}.${more}`)
  return `${blocks.join('\n\n')}\n`
}

/** What a pipeline will do, and by which rule each partition column gets its value. */
function summarize({ name, kafka, s3, delta }: PipelineConfig): readonly string[] {
  const target = tablePath(s3, delta.tableName)
  const topics = nameSome(kafka.topics)
  const noun = kafka.topics.length === 1 ? 'topic' : 'topics'
  const lines = [`  ${name}   ${noun} ${topics} @ ${nameSome(kafka.bootstrapServers)}  →  ${target}`]
  if (delta.schema === null && !delta.mergeSchema) {
    return [...lines, '    columns: those of the table, which must exist']
  }
  const { layout } = planTableLayout({ ...delta, schema: delta.schema ?? struct([]) })
  const columns = layout.columns.map(column => column.field.name)
  const more = delta.mergeSchema ? ', and those that messages bring' : ''
  lines.push(
    `    ${columns.length} ${columns.length === 1 ? 'column' : 'columns'}: ${columns.join(', ')}${more}`,
  )
  for (const partition of layout.partitionColumns) {
    const column = layout.columns.find(({ field }) => field.name === partition)
    if (column !== undefined)
      lines.push(`    partition column \`${partition}\`: ${describeSource(column.source)}`)
  }
  return lines
}

function nameSome(names: readonly string[]): string {
  const shown = names.slice(0, SUMMARY_NAMES_MAX).join(', ')
  return names.length > SUMMARY_NAMES_MAX ? `${shown} and ${names.length - SUMMARY_NAMES_MAX} more` : shown
}
