/**
 * `stream-ingest validate`: what is wrong with configuration files, without connecting anywhere.
 *
 * @module
 */
import { struct } from '@stream-ingest/delta'
import { countDiagnostics, formatDiagnostic } from '../config/diagnostic-format.ts'
import { formatEffective } from '../config/effective-config.ts'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { describeSource, planTableLayout } from '../config/table-layout.ts'
import { tablePath } from '../config/table-path.ts'
import { type Diagnostic, EXIT_CODES } from '../error.ts'
import { type CheckedFile, checkFiles } from './checked-file.ts'
import type { CommandIo } from './command-io.ts'
import { formatGithub, formatSarif } from './diagnostic-report.ts'

export const VALIDATE_FORMATS = ['text', 'json', 'github', 'sarif'] as const
export type ValidateFormat = (typeof VALIDATE_FORMATS)[number]

export interface ValidateOptions {
  /** `--format json` in short. */
  readonly json?: boolean
  readonly format?: ValidateFormat
  /** Print what each pipeline comes to, in place of the summary. */
  readonly showDefaults?: boolean
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
  const format = options.format ?? (options.json === true ? 'json' : 'text')
  io.stdout.write(formatAs(format, isOk, reports, options.showDefaults === true))
  return isOk ? EXIT_CODES.ok : EXIT_CODES.config
}

function formatAs(
  format: ValidateFormat,
  isOk: boolean,
  reports: readonly CheckedFile[],
  showsDefaults: boolean,
): string {
  const diagnostics = reports.flatMap(report => report.diagnostics)
  switch (format) {
    case 'text':
      return formatReports(reports, diagnostics, showsDefaults)
    case 'json':
      return formatDocument(isOk, diagnostics, showsDefaults ? reports : null)
    case 'github':
      return formatGithub(diagnostics)
    case 'sarif':
      return formatSarif(diagnostics)
  }
}

/** The document of `--json`. */
export function formatDocument(
  ok: boolean,
  diagnostics: readonly Diagnostic[],
  reports: readonly CheckedFile[] | null = null,
): string {
  const document = {
    ok,
    diagnostics: diagnostics.map(({ code, severity, file, line, column, endLine, endColumn, ...rest }) => {
      const { message, help, suggestion } = rest
      return { code, severity, file, line, column, endLine, endColumn, message, help, suggestion }
    }),
    ...(reports === null
      ? {}
      : { effective: reports.map(({ file, effective = null }) => ({ file, pipelines: effective })) }),
  }
  return `${JSON.stringify(document)}\n`
}

/** Findings, and what each sound file does. */
export function formatReports(
  reports: readonly CheckedFile[],
  diagnostics: readonly Diagnostic[],
  showsDefaults = false,
): string {
  const blocks = diagnostics.map(formatDiagnostic)
  for (const { file, pipelines, effective, skippedCount } of reports) {
    if (showsDefaults && effective !== undefined) {
      blocks.push(`# ${file}\n${formatEffective(effective).trimEnd()}`)
    } else if (skippedCount !== undefined) {
      const others = skippedCount === 0 ? '' : `; ${skippedCount} other YAML`
      blocks.push(`· ${file}: no configuration in it${others}`)
    } else if (pipelines !== null) blocks.push([`✓ ${file}`, ...pipelines.flatMap(summarize)].join('\n'))
  }
  const fileCount = new Set(reports.map(({ file }) => file)).size
  const files = `${fileCount} ${fileCount === 1 ? 'file' : 'files'}`
  const explained = diagnostics.find(({ severity }) => severity === 'error') ?? diagnostics[0]
  const more = explained === undefined ? '' : `   More: stream-ingest explain ${explained.code}`
  const verdict = `${countDiagnostics(diagnostics)} in ${files}.${more}`
  // The output stays YAML.
  blocks.push(showsDefaults ? `# ${verdict}` : verdict)
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
