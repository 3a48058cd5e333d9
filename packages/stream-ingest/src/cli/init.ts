/**
 * `stream-ingest init`: a configuration to begin with.
 *
 * @module
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { createJsonSchema } from '../config/json-schema.ts'
import { EXIT_CODES, IoError } from '../error.ts'
import { type CommandIo, writeText } from './command-io.ts'
import { TEMPLATES, type TemplateName } from './config-template.ts'
import { formatJsonDocument } from './json-document.ts'
import { DEFAULT_CONFIG_FILE } from './load-config.ts'

/** What the modeline of the configuration names. */
const SCHEMA_FILE = 'stream-ingest.schema.json'

export interface InitOptions {
  readonly template?: TemplateName
  readonly overwrite?: boolean
  readonly json?: boolean
}

/**
 * Writes a commented configuration, and its JSON Schema for editors, into a folder.
 *
 * @param folder is made where it is missing
 * @returns the exit code
 * @throws IoError `IO_FILE_EXISTS` for a configuration that is there, unless it may be overwritten; what writing throws
 */
export async function initCommand(folder: string, options: InitOptions, io: CommandIo): Promise<number> {
  const { template = 'local', overwrite = false } = options
  const target = resolve(io.cwd, folder)
  const config = join(target, DEFAULT_CONFIG_FILE)
  const schema = join(target, SCHEMA_FILE)
  try {
    await mkdir(target, { recursive: true })
    // The schema is ours whatever happens to the configuration, and may be of an older release.
    await writeNew(config, TEMPLATES[template], overwrite)
    await writeFile(schema, `${JSON.stringify(createJsonSchema(), null, 2)}\n`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    throw new IoError('IO_FILE_EXISTS', `\`${relative(io.cwd, config)}\` is there already`, {
      context: { path: config },
      cause: error,
    })
  }
  if (options.json === true) {
    await writeText(io.stdout, formatJsonDocument({ template, files: [config, schema] }))
    return EXIT_CODES.ok
  }
  const shown = relative(io.cwd, config)
  await writeText(
    io.stdout,
    [
      `wrote ${shown} and its JSON Schema`,
      '',
      'next:',
      `  stream-ingest validate ${shown}`,
      `  stream-ingest test ${shown}     runs its tests: no Kafka, no store`,
      `  stream-ingest run ${shown} --until-latest --dry-run     reads Kafka, writes nothing`,
      `  stream-ingest run ${shown}`,
      '',
    ].join('\n'),
  )
  return EXIT_CODES.ok
}

async function writeNew(path: string, text: string, overwrite: boolean): Promise<void> {
  await writeFile(path, text, { flag: overwrite ? 'w' : 'wx' })
}
