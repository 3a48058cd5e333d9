/**
 * Which configuration a command means.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { IngestConfig } from '../config/config.ts'
import { isConfigText } from '../config/config-source.ts'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { nearestWord } from '../config/suggestion.ts'
import { ConfigError } from '../error.ts'
import type { CommandIo } from './command-io.ts'

export const DEFAULT_CONFIG_FILE = 'stream-ingest.yaml'

export interface LoadConfigOptions {
  readonly dryRun?: boolean
  /** Only the pipeline of this name. */
  readonly pipeline?: string | undefined
  /** What `--set` gives. */
  readonly set?: readonly string[] | undefined
}

/**
 * The named file, else `INGEST_CONFIG`, else `./stream-ingest.yaml`.
 *
 * @throws ConfigError
 */
export async function loadConfig(
  file: string | undefined,
  io: CommandIo,
  options: LoadConfigOptions = {},
): Promise<IngestConfig> {
  const config = await findConfig(file, io, options.set)
  const chosen = options.pipeline === undefined ? config.pipelines : [pipelineOf(config, options.pipeline)]
  if (options.dryRun !== true && chosen === config.pipelines) return config
  const pipelines = chosen.map(pipeline =>
    options.dryRun === true
      ? { ...pipeline, processing: { ...pipeline.processing, dryRun: true } }
      : pipeline,
  )
  return new IngestConfig(pipelines, config.diagnostics)
}

/**
 * The pipelines of several files as one configuration; without any file, what {@link loadConfig} finds.
 *
 * @throws ConfigError
 */
export async function loadConfigs(
  files: readonly string[],
  io: CommandIo,
  { pipeline }: Pick<LoadConfigOptions, 'pipeline'> = {},
): Promise<IngestConfig> {
  const named = files.length === 0 ? [undefined] : files
  const configs = await Promise.all(named.map(file => findConfig(file, io)))
  const all = new IngestConfig(
    configs.flatMap(config => config.pipelines),
    configs.flatMap(config => config.diagnostics),
  )
  return pipeline === undefined ? all : new IngestConfig([pipelineOf(all, pipeline)], all.diagnostics)
}

async function findConfig(
  file: string | undefined,
  io: CommandIo,
  assignments: readonly string[] = [],
): Promise<IngestConfig> {
  const options = { environment: io.env, assignments }
  if (file !== undefined) {
    const path = file.startsWith('s3://') ? file : resolve(io.cwd, file)
    return IngestConfig.fromFile(path, { ...options, file })
  }
  if (io.env.INGEST_CONFIG !== undefined && io.env.INGEST_CONFIG.trim() !== '') {
    return IngestConfig.fromEnv(io.env, options)
  }
  const fallback = resolve(io.cwd, DEFAULT_CONFIG_FILE)
  if (existsSync(fallback)) return IngestConfig.fromFile(fallback, { ...options, file: DEFAULT_CONFIG_FILE })
  throw new ConfigError('CONFIG_NOT_FOUND', `no configuration: there is no \`${DEFAULT_CONFIG_FILE}\` here`, {
    hint: 'begin with `stream-ingest init`, name a file (`stream-ingest run FILE`), or set INGEST_CONFIG to a path, an `s3://` URI or the YAML text',
  })
}

/** The named files; without any, the text that `INGEST_CONFIG` holds or the file that it names, else `./stream-ingest.yaml`. */
export function configsOf(
  files: readonly string[],
  { env }: Pick<CommandIo, 'env'>,
): { readonly files: readonly string[] } | { readonly text: string } {
  if (files.length > 0) return { files }
  const text = env.INGEST_CONFIG ?? ''
  const file = text.trim()
  if (isConfigText(file)) return { text }
  return { files: [file === '' ? DEFAULT_CONFIG_FILE : file] }
}

/** @throws ConfigError `CONFIG_USAGE` naming the pipelines that there are */
export function pipelineOf(config: IngestConfig, name: string | undefined): PipelineConfig {
  const names = config.pipelines.map(p => p.name)
  if (name === undefined && config.pipelines.length === 1) return config.pipelines[0]!
  const found = config.pipelines.find(p => p.name === name)
  if (found !== undefined) return found
  const near = name === undefined ? null : nearestWord(name, names)
  const listed = names.map(n => `\`${n}\``).join(', ')
  throw new ConfigError(
    'CONFIG_USAGE',
    name === undefined ? 'the configuration has several pipelines' : `there is no pipeline \`${name}\``,
    { hint: near === null ? `name one with --pipeline: ${listed}` : `did you mean \`${near}\`?` },
  )
}

/** A configuration with the one pipeline that is meant. */
export async function loadOnePipeline(
  file: string | undefined,
  pipeline: string | undefined,
  io: CommandIo,
): Promise<IngestConfig> {
  const { name } = pipelineOf(await loadConfig(file, io), pipeline)
  return loadConfig(file, io, { pipeline: name })
}
