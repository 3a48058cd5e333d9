/**
 * From what `validate` was given to the texts that it checks: files, folders, Markdown, standard input.
 *
 * @module
 */
import { readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { loadConfigText } from '../config/config-source.ts'
import { ConfigError, type Diagnostic } from '../error.ts'
import { looksLikeConfig, markdownFences } from './markdown-fence.ts'

/** Files of one folder, and of the folders in it. */
export const FOLDER_FILES_MAX = 10_000
export const STDIN_NAME = '-'
const MARKDOWN = /\.(md|mdx|markdown)$/i
const YAML = /\.ya?ml$/i

export interface ConfigText {
  /** As diagnostics call it. */
  readonly file: string
  readonly text: string
}

export interface FoundTexts {
  readonly texts: readonly ConfigText[]
  readonly skipped: number
}

export function isMarkdown(file: string): boolean {
  return MARKDOWN.test(file)
}

/** What a name stands for cannot be read. */
export interface Unreadable {
  readonly file: string
  readonly problem: Diagnostic
}

export interface ConfigFileSource {
  readonly cwd: string
  /** Null where there is no standard input. */
  readonly readStdin: (() => Promise<string>) | null
}

/**
 * The texts of one name. A folder stands for the YAML and Markdown files in it, hidden ones and `node_modules` left out; a
 * YAML file found that way is checked where it looks like a configuration, one that is named in any case.
 */
export async function findConfigTexts(
  name: string,
  source: ConfigFileSource,
): Promise<FoundTexts | Unreadable> {
  try {
    if (name === STDIN_NAME)
      return { texts: [{ file: '<stdin>', text: await readStdin(source) }], skipped: 0 }
    if (name.startsWith('s3://')) return textsOf(name, await loadConfigText(name), true)
    const path = resolve(source.cwd, name)
    if (!(await isFolder(path))) return textsOf(name, await loadConfigText(path), true)
    return await folderTexts(name, path)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return { file: name, problem: wholeFile(name, error) }
  }
}

async function readStdin({ readStdin: read }: ConfigFileSource): Promise<string> {
  if (read === null) throw new ConfigError('CONFIG_NOT_FOUND', 'there is no standard input to read')
  return read()
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch {
    // Reading it says what is wrong.
    return false
  }
}

async function folderTexts(name: string, path: string): Promise<FoundTexts> {
  const files = await folderFiles(path)
  const texts: ConfigText[] = []
  let skipped = 0
  for (const file of files) {
    const found = textsOf(join(name, file), await loadConfigText(join(path, file)), false)
    texts.push(...found.texts)
    skipped += found.skipped
  }
  if (texts.length > 0) return { texts, skipped }
  throw new ConfigError('CONFIG_NOT_FOUND', `no configuration in the folder \`${name}\``, {
    hint: 'name a file, or a folder with YAML or Markdown files that hold configurations',
  })
}

async function folderFiles(root: string): Promise<readonly string[]> {
  const files: string[] = []
  const folders = ['']
  for (let folder = folders.shift(); folder !== undefined; folder = folders.shift()) {
    const entries = await readdir(join(root, folder), { withFileTypes: true })
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.name.startsWith('.') || entry.name === 'node_modules') continue
      const path = join(folder, entry.name)
      if (entry.isDirectory()) folders.push(path)
      else if (entry.isFile() && (YAML.test(path) || MARKDOWN.test(path))) files.push(path)
    }
    if (files.length + folders.length > FOLDER_FILES_MAX) {
      throw new ConfigError(
        'CONFIG_TOO_LARGE',
        `the folder \`${root}\` has more than ${FOLDER_FILES_MAX} files`,
        {
          hint: 'name the folders that hold configurations',
        },
      )
    }
  }
  return files
}

function textsOf(file: string, text: string, isNamed: boolean): FoundTexts {
  if (MARKDOWN.test(file)) {
    const { configurations, skipped } = markdownFences(text)
    return { texts: configurations.map(each => ({ file, text: each })), skipped }
  }
  if (isNamed || looksLikeConfig(text)) return { texts: [{ file, text }], skipped: 0 }
  return { texts: [], skipped: 1 }
}

/** A file that gives no text has no line to show. */
export function wholeFile(file: string, error: ConfigError): Diagnostic {
  const place = { line: 1, column: 1, endLine: 1, endColumn: 1, frame: null }
  const code = error.code as Diagnostic['code']
  const { message, hint: help } = error
  return { code, severity: 'error', file, ...place, message, help, suggestion: null }
}
