/**
 * Configuration files as they stand, and what is wrong with them: read without connecting anywhere.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { checkConfigText } from '../config/config.ts'
import { isConfigText, loadConfigText } from '../config/config-source.ts'
import { ConfigError } from '../error.ts'
import type { CommandIo } from './command-io.ts'
import { wholeFile } from './config-files.ts'
import { DEFAULT_CONFIG_FILE } from './load-config.ts'
import { type FileReport, unreadable } from './validate-report.ts'

type World = Pick<CommandIo, 'env' | 'cwd'>

/** A file with the tests in it. */
export interface CheckedFile extends FileReport {
  /** Where it can be written; null for a text of the environment and for objects of a bucket. */
  readonly path: string | null
  readonly text: string
}

/** Checks each file; without any, what `INGEST_CONFIG` holds, else `./stream-ingest.yaml`. */
export async function checkFiles(files: readonly string[], io: World): Promise<readonly CheckedFile[]> {
  const fromEnvironment = io.env.INGEST_CONFIG
  const hasEnvironment = files.length === 0 && fromEnvironment !== undefined && fromEnvironment.trim() !== ''
  const named = files.length > 0 ? files : [hasEnvironment ? fromEnvironment.trim() : DEFAULT_CONFIG_FILE]
  const checked: CheckedFile[] = []
  for (const name of named) {
    const isText = hasEnvironment && isConfigText(name)
    checked.push(isText ? checkText(name, 'INGEST_CONFIG', null, io) : await checkFile(name, io))
  }
  return checked
}

async function checkFile(file: string, io: World): Promise<CheckedFile> {
  const path = file.startsWith('s3://') ? null : resolve(io.cwd, file)
  let text: string
  try {
    text = await loadConfigText(path ?? file)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return { ...unreadable(file, wholeFile(file, error)), path, text: '' }
  }
  return checkText(text, file, path, io)
}

/**
 * A text as the file that it is of, or might become.
 * @param lints warn too of what is probably not meant
 */
export function checkText(
  text: string,
  file: string,
  path: string | null,
  io: World,
  lints = false,
): CheckedFile {
  const readFile = (name: string): string => readFileSync(resolve(io.cwd, name), 'utf8')
  return { file, path, text, ...checkConfigText(text, { file, environment: io.env, readFile, lints }) }
}
