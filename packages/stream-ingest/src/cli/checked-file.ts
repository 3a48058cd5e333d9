/**
 * Configuration files as they stand, and what is wrong with them: read without connecting anywhere.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { checkConfigText } from '../config/config.ts'
import { isConfigText, loadConfigText } from '../config/config-source.ts'
import type { EffectivePipeline } from '../config/effective-config.ts'
import type { ConfigReading } from '../config/read-config.ts'
import { ConfigError, type Diagnostic } from '../error.ts'
import type { CommandIo } from './command-io.ts'
import { DEFAULT_CONFIG_FILE } from './load-config.ts'
import { configsOfMarkdown } from './markdown-config.ts'

type World = Pick<CommandIo, 'env' | 'cwd'>

/** `pipelines` is null where there are errors. */
export interface CheckedFile extends Pick<ConfigReading, 'pipelines' | 'tests' | 'diagnostics'> {
  /** As it was named. */
  readonly file: string
  /** Where it can be written; null for a text of the environment and for objects of a bucket. */
  readonly path: string | null
  readonly text: string
  /** Each key of each pipeline; undefined where there are errors. */
  readonly effective?: readonly EffectivePipeline[]
  /** Of a Markdown file without a configuration: its fences of YAML that are something else. */
  readonly skippedCount?: number
}

const MARKDOWN = /\.(?:md|markdown)$/i

/** Checks each file; without any, what `INGEST_CONFIG` holds, else `./stream-ingest.yaml`. */
export async function checkFiles(files: readonly string[], io: World): Promise<readonly CheckedFile[]> {
  const fromEnvironment = io.env.INGEST_CONFIG
  const hasEnvironment = files.length === 0 && fromEnvironment !== undefined && fromEnvironment.trim() !== ''
  const named = files.length > 0 ? files : [hasEnvironment ? fromEnvironment.trim() : DEFAULT_CONFIG_FILE]
  const checked: CheckedFile[] = []
  for (const name of named) {
    const isText = hasEnvironment && isConfigText(name)
    if (isText) checked.push(checkText(name, 'INGEST_CONFIG', null, io))
    else checked.push(...(await checkFile(name, io)))
  }
  return checked
}

/** A Markdown file has as many configurations as fences. */
async function checkFile(file: string, io: World): Promise<readonly CheckedFile[]> {
  const path = file.startsWith('s3://') ? null : resolve(io.cwd, file)
  let text: string
  try {
    text = await loadConfigText(path ?? file)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return [{ file, path, text: '', diagnostics: [wholeFile(file, error)], pipelines: null, tests: [] }]
  }
  if (!MARKDOWN.test(file)) return [checkText(text, file, path, io)]
  const { configs, skippedCount } = configsOfMarkdown(text)
  if (configs.length > 0) return configs.map(config => checkText(config.text, file, null, io))
  return [{ file, path: null, text, diagnostics: [], pipelines: [], tests: [], skippedCount }]
}

/** The same file with another text. */
export function checkText(text: string, file: string, path: string | null, io: World): CheckedFile {
  const readFile = (name: string): string => readFileSync(resolve(io.cwd, name), 'utf8')
  const reading = checkConfigText(text, { file, environment: io.env, readFile })
  const { diagnostics, pipelines, tests, effective } = reading
  const shown = pipelines === null ? {} : { effective }
  return { file, path, text, diagnostics, pipelines, tests, ...shown }
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
