/**
 * Configuration files as they stand, and what is wrong with them: read without connecting anywhere.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { checkConfigText } from '../config/config.ts'
import { loadConfigText } from '../config/config-source.ts'
import { ConfigError } from '../error.ts'
import type { CommandIo } from './command-io.ts'
import { wholeFile } from './config-files.ts'
import { configsOf } from './load-config.ts'
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
  const configs = configsOf(files, io)
  if ('text' in configs) return [checkText(configs.text, 'INGEST_CONFIG', null, io)]
  const checked: CheckedFile[] = []
  for (const file of configs.files) checked.push(await checkFile(file, io))
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
