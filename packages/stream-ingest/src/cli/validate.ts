/**
 * `stream-ingest validate`: what is wrong with configuration files, without connecting anywhere.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { checkConfigText } from '../config/config.ts'
import { isConfigText } from '../config/config-source.ts'
import { ConfigError, EXIT_CODES } from '../error.ts'
import type { CommandIo } from './command-io.ts'
import { type ConfigText, findConfigTexts, isMarkdown } from './config-files.ts'
import { warnOfSharedTopics } from './shared-topic.ts'
import { formatEffective } from './validate-effective.ts'
import { formatGithub } from './validate-github.ts'
import { formatFindingsJson } from './validate-json.ts'
import type { FileReport, ValidateReport } from './validate-report.ts'
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

const DEFAULT_FILE = 'stream-ingest.yaml'

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
  const value = io.env.INGEST_CONFIG?.trim() ?? ''
  if (names.length === 0 && isConfigText(value)) {
    return { files: [check({ file: 'INGEST_CONFIG', text: io.env.INGEST_CONFIG as string }, io)], skipped: 0 }
  }
  const named = names.length > 0 ? names : [value === '' ? DEFAULT_FILE : value]
  const files: FileReport[] = []
  let skipped = 0
  for (const name of named) {
    const found = await findConfigTexts(name, { cwd: io.cwd, readStdin: io.readStdin ?? null })
    if ('problem' in found) {
      files.push({
        file: found.file,
        diagnostics: [found.problem],
        pipelines: null,
        tests: [],
        effective: [],
        tablePlaces: [],
      })
      continue
    }
    skipped += found.skipped
    for (const text of found.texts) files.push(check(text, io))
  }
  return { files: warnOfSharedTopics(files, isMarkdown), skipped }
}

function check({ file, text }: ConfigText, io: ValidateIo): FileReport {
  const readFile = (path: string): string => readFileSync(resolve(io.cwd, path), 'utf8')
  const reading = checkConfigText(text, {
    file,
    environment: io.env,
    readFile,
    lints: true,
  })
  return { file, ...reading }
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
