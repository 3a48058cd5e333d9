/**
 * `stream-ingest doctor`: is everything there that the pipelines need, and what is to be done where it is not?
 *
 * @module
 */
import type { IngestConfig } from '../config/config.ts'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { tablePath } from '../config/table-path.ts'
import { CHECK_GROUPS, type Check, type CheckGroup, type SkippedCheck } from '../doctor/checkup.ts'
import { type DoctorReport, diagnose } from '../doctor/doctor.ts'
import { ConfigError, type Diagnostic, definitionOf, EXIT_CODES } from '../error.ts'
import { formatDuration } from '../observe/format.ts'
import { type CommandIo, writeText } from './command-io.ts'
import { formatJsonDocument } from './json-document.ts'
import { loadConfig } from './load-config.ts'
import { createProgress } from './progress.ts'
import { textWidth } from './text-table.ts'
import { VERSION } from './version.ts'

export interface DoctorCommandOptions {
  readonly pipeline?: string
  readonly only?: readonly CheckGroup[]
  readonly timeoutMs?: number
  readonly writeProbe?: boolean
  readonly json?: boolean
}

/** A configuration and what became of it. */
interface Consultation extends DoctorReport {
  readonly pipelines: readonly PipelineConfig[]
}

/**
 * Validates each configuration, then asks Kafka, the store and the table of each pipeline. Findings are the result, so
 * they go to stdout.
 *
 * @returns 0 where nothing failed, else the exit code of the first failure
 */
export async function doctorCommand(
  files: readonly string[],
  options: DoctorCommandOptions,
  io: CommandIo,
): Promise<number> {
  const consultations: Consultation[] = []
  const progress = createProgress(io, options.json === true)
  for (const file of files.length === 0 ? [undefined] : files) {
    progress.update(`asking Kafka, the store and the table of ${file ?? 'the configured pipelines'} …`)
    consultations.push(await consult(file, options, io))
  }
  progress.end()
  const checks = consultations.flatMap(one => one.checks)
  const skipped = consultations.flatMap(one => one.skipped)
  const ok = checks.every(({ status }) => status !== 'fail')
  await writeText(
    io.stdout,
    options.json === true
      ? formatJsonDocument({ ok, checks, skipped })
      : [...consultations.map(formatConsultation), summary(checks)].join('\n'),
  )
  const failure = checks.find(({ status }) => status === 'fail')
  return failure?.code === undefined || failure.code === null
    ? EXIT_CODES.ok
    : definitionOf(failure.code).exitCode
}

async function consult(
  file: string | undefined,
  options: DoctorCommandOptions,
  io: CommandIo,
): Promise<Consultation> {
  const startedMs = io.runtime.monotonicMs()
  const name = file ?? 'configuration'
  const took = (): number => Math.round(io.runtime.monotonicMs() - startedMs)
  let config: IngestConfig
  try {
    config = await loadConfig(file, io, { pipeline: options.pipeline })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return { ok: false, checks: ofConfigError(error, name, took()), skipped: [], pipelines: [] }
  }
  const valid: Check = {
    group: 'config',
    pipeline: '',
    title: 'valid',
    status: 'pass',
    code: null,
    message: name,
    help: null,
    durationMs: took(),
  }
  const warnings = config.diagnostics.map(diagnostic => ofDiagnostic(diagnostic, 0))
  const report = await diagnose(config.pipelines, {
    runtime: io.runtime,
    ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
    ...(options.only === undefined ? {} : { only: new Set(options.only) }),
    writeProbe: options.writeProbe !== false,
  })
  const checks = [valid, ...warnings, ...report.checks]
  return { ok: report.ok, checks, skipped: report.skipped, pipelines: config.pipelines }
}

function ofConfigError(error: ConfigError, file: string, durationMs: number): readonly Check[] {
  if (error.diagnostics.length > 0) return error.diagnostics.map(found => ofDiagnostic(found, durationMs))
  const { code, message, hint } = error
  return [
    {
      group: 'config',
      pipeline: '',
      title: file,
      status: 'fail',
      code: code as Check['code'],
      message,
      help: hint,
      durationMs,
    },
  ]
}

function ofDiagnostic(
  { code, severity, file, line, column, message, help }: Diagnostic,
  durationMs: number,
): Check {
  return {
    group: 'config',
    pipeline: '',
    title: `${file}:${line}:${column}`,
    status: severity === 'error' ? 'fail' : 'warn',
    code,
    message,
    help: help ?? definitionOf(code).hint,
    durationMs,
  }
}

const GROUP_LABELS: Readonly<Record<CheckGroup, string>> = {
  config: 'Config',
  kafka: 'Kafka',
  store: 'Store',
  table: 'Table',
  clock: 'Clock',
}
const MARKS = { pass: '✓', warn: '~', fail: 'x' } as const
const LABEL_WIDTH = 10
/** Where the duration stands, or the code of what is wrong. */
const LINE_WIDTH = 72

function formatConsultation({ checks, skipped, pipelines }: Consultation): string {
  const general = checks.filter(({ pipeline }) => pipeline === '')
  const blocks = [
    `stream-ingest ${VERSION} · node ${process.versions.node}`,
    ...formatGroups(general, []),
    ...pipelines.flatMap(pipeline => [
      '',
      headline(pipeline),
      ...formatGroups(
        checks.filter(check => check.pipeline === pipeline.name),
        skipped.filter(check => check.pipeline === pipeline.name),
      ),
    ]),
  ]
  return `${blocks.join('\n')}\n`
}

function headline({ name, kafka, s3, delta }: PipelineConfig): string {
  const noun = kafka.topics.length === 1 ? 'topic' : 'topics'
  const topics = kafka.topics.join(', ')
  return `${name}   ${noun} ${topics} @ ${kafka.bootstrapServers.join(', ')}  →  ${tablePath(s3, delta.tableName)}`
}

function formatGroups(checks: readonly Check[], skipped: readonly SkippedCheck[]): string[] {
  return CHECK_GROUPS.flatMap(group => {
    const lines = [
      ...checks.filter(check => check.group === group).flatMap(formatCheck),
      ...skipped
        .filter(check => check.group === group)
        .map(({ title, because }) => `· ${title}: not looked at, ${because}`),
    ]
    return lines.map((line, index) =>
      `${(index === 0 ? GROUP_LABELS[group] : '').padEnd(LABEL_WIDTH)}${line}`.trimEnd(),
    )
  })
}

function formatCheck({ title, status, code, message, help, durationMs }: Check): string[] {
  if (status === 'pass') {
    const text = `✓ ${title}${message === null ? '' : `: ${message}`}`
    return [aligned(text, formatDuration(durationMs))]
  }
  return [
    aligned(`${MARKS[status]} ${title}`, code ?? ''),
    ...(message === null ? [] : [`  ${message}`]),
    ...(help === null ? [] : [`  = help: ${help}`]),
  ]
}

function aligned(text: string, right: string): string {
  const gap = Math.max(2, LINE_WIDTH - LABEL_WIDTH - textWidth(text) - textWidth(right))
  return `${text}${' '.repeat(gap)}${right}`
}

function summary(checks: readonly Check[]): string {
  const count = (status: Check['status']): number => checks.filter(check => check.status === status).length
  const warnings = count('warn')
  const parts = [
    `${count('pass')} passed`,
    ...(warnings === 0 ? [] : [`${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`]),
    ...(count('fail') === 0 ? [] : [`${count('fail')} failed`]),
  ]
  const explained =
    checks.find(({ status }) => status === 'fail') ?? checks.find(({ status }) => status === 'warn')
  const more = explained?.code == null ? '' : `   More: stream-ingest explain ${explained.code}`
  return `${parts.join(', ')}.${more}\n`
}
