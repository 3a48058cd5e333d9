/**
 * `stream-ingest validate`: what is wrong with configuration files, without connecting anywhere.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { struct } from '@stream-ingest/delta'
import { checkConfigText } from '../config/config.ts'
import { isConfigText, loadConfigText } from '../config/config-source.ts'
import { countDiagnostics, formatDiagnostic } from '../config/diagnostic-format.ts'
import { type EffectivePipeline, formatEffective } from '../config/effective-config.ts'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { describeSource, planTableLayout } from '../config/table-layout.ts'
import { tablePath } from '../config/table-path.ts'
import { ConfigError, type Diagnostic, EXIT_CODES } from '../error.ts'
import type { CommandIo } from './command-io.ts'
import { formatGithub, formatSarif } from './diagnostic-report.ts'
import { configsOfMarkdown } from './markdown-config.ts'

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

const MARKDOWN = /\.(?:md|markdown)$/i
const DEFAULT_FILE = 'stream-ingest.yaml'
/** Topics and brokers that a summary names. */
const SUMMARY_NAMES_MAX = 3

interface FileReport {
  readonly file: string
  readonly diagnostics: readonly Diagnostic[]
  /** Null where there are errors. */
  readonly pipelines: readonly PipelineConfig[] | null
  readonly effective?: readonly EffectivePipeline[]
  /** Of a Markdown file without a configuration: its fences of YAML that are something else. */
  readonly skippedCount?: number
}

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
  const fromEnvironment = io.env.INGEST_CONFIG
  const hasEnvironment = files.length === 0 && fromEnvironment !== undefined && fromEnvironment.trim() !== ''
  const named = files.length > 0 ? files : [hasEnvironment ? fromEnvironment.trim() : DEFAULT_FILE]
  const reports: FileReport[] = []
  for (const name of named) {
    const isText = hasEnvironment && isConfigText(name)
    if (isText) reports.push(check(name, 'INGEST_CONFIG', io))
    else reports.push(...(await checkFile(name, io)))
  }
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
  reports: readonly FileReport[],
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

/** A Markdown file has as many configurations as fences. */
async function checkFile(file: string, io: Pick<CommandIo, 'env' | 'cwd'>): Promise<readonly FileReport[]> {
  let text: string
  try {
    text = await loadConfigText(file.startsWith('s3://') ? file : resolve(io.cwd, file))
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return [{ file, diagnostics: [wholeFile(file, error)], pipelines: null }]
  }
  if (!MARKDOWN.test(file)) return [check(text, file, io)]
  const { configs, skippedCount } = configsOfMarkdown(text)
  const reports = configs.map(config => check(config.text, file, io))
  return reports.length === 0 ? [{ file, diagnostics: [], pipelines: [], skippedCount }] : reports
}

function check(text: string, file: string, io: Pick<CommandIo, 'env' | 'cwd'>): FileReport {
  const readFile = (path: string): string => readFileSync(resolve(io.cwd, path), 'utf8')
  const { diagnostics, pipelines, effective } = checkConfigText(text, {
    file,
    environment: io.env,
    readFile,
  })
  return { file, diagnostics, pipelines, ...(pipelines === null ? {} : { effective }) }
}

/** A file that gives no text has no line to show. */
function wholeFile(file: string, error: ConfigError): Diagnostic {
  const place = { line: 1, column: 1, endLine: 1, endColumn: 1, frame: null }
  const code = error.code as Diagnostic['code']
  return {
    code,
    severity: 'error',
    file,
    ...place,
    message: error.message,
    help: error.hint,
    suggestion: null,
  }
}

function formatDocument(
  ok: boolean,
  diagnostics: readonly Diagnostic[],
  reports: readonly FileReport[] | null,
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

function formatReports(
  reports: readonly FileReport[],
  diagnostics: readonly Diagnostic[],
  showsDefaults: boolean,
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
