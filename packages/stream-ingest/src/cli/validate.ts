/**
 * `stream-ingest validate`: what is wrong with configuration files, without connecting anywhere.
 *
 * @module
 */
import { ConfigError, EXIT_CODES } from '../error.ts'
import { checkText } from './checked-file.ts'
import type { CommandIo } from './command-io.ts'
import { findConfigTexts, isMarkdown } from './config-files.ts'
import { configsOf } from './load-config.ts'
import { warnOfSharedTopics } from './shared-topic.ts'
import { formatEffective } from './validate-effective.ts'
import { formatGithub } from './validate-github.ts'
import { formatFindingsJson } from './validate-json.ts'
import { type FileReport, unreadable, type ValidateReport } from './validate-report.ts'
import { formatSarif } from './validate-sarif.ts'
import { formatText } from './validate-text.ts'

export const VALIDATE_FORMATS = ['text', 'json', 'github', 'sarif'] as const
export type ValidateFormat = (typeof VALIDATE_FORMATS)[number]

export interface ValidateOptions {
  /** Default `text`. */
  readonly format?: ValidateFormat
  /** Short for the format `json`. */
  readonly json?: boolean
  /** Exit as for an error where there are only warnings. */
  readonly denyWarnings?: boolean
  /** Print the effective configuration; in text, findings then go to stderr. */
  readonly showDefaults?: boolean
}

type ValidateIo = Pick<CommandIo, 'stdout' | 'env' | 'cwd'> & Partial<Pick<CommandIo, 'stderr' | 'readStdin'>>

/**
 * Checks each file, each YAML file and Markdown page of a folder, `-` for standard input; without any, what `INGEST_CONFIG`
 * holds, else `./stream-ingest.yaml`. Findings are the result, so they go to stdout.
 *
 * @throws ConfigError `CONFIG_USAGE` where a format cannot show the effective configuration
 * @returns 0, or 78 where there is an error (or a warning that is denied)
 */
export async function validateCommand(
  names: readonly string[],
  options: ValidateOptions,
  io: ValidateIo,
): Promise<number> {
  const format = options.json === true ? 'json' : (options.format ?? 'text')
  const showDefaults = options.showDefaults === true
  if (showDefaults && format !== 'text' && format !== 'json') {
    throw new ConfigError('CONFIG_USAGE', `the format \`${format}\` shows findings, and no defaults`, {
      hint: 'leave out --show-defaults, or take --format json',
    })
  }
  const { files, skipped } = await checkAll(names, io)
  const diagnostics = files.flatMap(file => file.diagnostics)
  const hasErrors = diagnostics.some(diagnostic => diagnostic.severity === 'error')
  const ok = !hasErrors && (options.denyWarnings !== true || diagnostics.length === 0)
  const report = { ok, files, skipped }
  if (showDefaults && format === 'text') {
    if (diagnostics.length > 0) io.stderr?.write(formatText(report))
    io.stdout.write(formatEffective(files))
  } else io.stdout.write(formatReport(report, format, showDefaults, io))
  return ok ? EXIT_CODES.ok : EXIT_CODES.config
}

async function checkAll(
  names: readonly string[],
  io: ValidateIo,
): Promise<Pick<ValidateReport, 'files' | 'skipped'>> {
  const configs = configsOf(names, io)
  if ('text' in configs) {
    return { files: [checkText(configs.text, 'INGEST_CONFIG', null, io, true)], skipped: 0 }
  }
  const files: FileReport[] = []
  let skipped = 0
  for (const name of configs.files) {
    const found = await findConfigTexts(name, { cwd: io.cwd, readStdin: io.readStdin ?? null })
    if ('problem' in found) {
      files.push(unreadable(found.file, found.problem))
      continue
    }
    skipped += found.skipped
    for (const { file, text } of found.texts) files.push(checkText(text, file, null, io, true))
  }
  return { files: warnOfSharedTopics(files, isMarkdown), skipped }
}

function formatReport(
  report: ValidateReport,
  format: ValidateFormat,
  showDefaults: boolean,
  { cwd }: ValidateIo,
): string {
  switch (format) {
    case 'text':
      return formatText(report)
    case 'json':
      return formatFindingsJson(report, showDefaults)
    case 'github':
      return formatGithub(report)
    case 'sarif':
      return formatSarif(report, cwd)
  }
}
