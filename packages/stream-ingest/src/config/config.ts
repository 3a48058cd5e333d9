/**
 * The configuration of a process: loaded, checked as a whole, immutable.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { ConfigError, type Diagnostic } from '../error.ts'
import type { AwsSecret } from './config-reader.ts'
import { fetchAwsSecrets, isConfigText, loadConfigText, type ReadObject } from './config-source.ts'
import { countDiagnostics } from './diagnostic-format.ts'
import type {
  DeltaConfig,
  KafkaConfig,
  PipelineConfig,
  ProcessingConfig,
  S3Config,
  SchemaField,
} from './ingest-config.ts'
import type { Environment } from './interpolation.ts'
import { type ConfigReading, readConfig } from './read-config.ts'
import { planTableLayout } from './table-layout.ts'
import { tablePath } from './table-path.ts'

export interface ConfigOptions {
  /** What diagnostics call the text. Default: the file it was read from, else `<text>`. */
  readonly file?: string
  /** Values that replace those of the text, as `path.to.key=value`. */
  readonly assignments?: readonly string[]
  /** For `${NAME}` and `{ from_env: NAME }`. Default: the process's environment. */
  readonly environment?: Environment
  /** Reads secrets and certificates from files; throws where it cannot. Default: the file system. */
  readonly readFile?: (path: string) => string
  /** Reads a configuration at `s3://bucket/key`. Default: S3 with the AWS environment. */
  readonly readObject?: ReadObject
  /** Fetches AWS secrets by id. Default: `@aws-sdk/client-secrets-manager`, where it is installed. */
  readonly fetchSecrets?: (ids: ReadonlySet<string>) => Promise<ReadonlyMap<string, AwsSecret>>
}

const TEXT_NAME = '<text>'
/** Findings that an error's message names; `diagnostics` has all. */
const MESSAGE_FINDINGS_MAX = 5

export class IngestConfig {
  readonly pipelines: readonly PipelineConfig[]
  /** Warnings; a configuration with errors is never made. */
  readonly diagnostics: readonly Diagnostic[]

  /** Of pipelines made in code; see {@link validate}. */
  constructor(pipelines: readonly PipelineConfig[], diagnostics: readonly Diagnostic[] = []) {
    this.pipelines = pipelines
    this.diagnostics = diagnostics
  }

  /**
   * Reads a file, or an object at `s3://bucket/key`. Throws {@link ConfigError} with everything that is wrong in its
   * `diagnostics`.
   */
  static async fromFile(path: string, options: ConfigOptions = {}): Promise<IngestConfig> {
    const text = await loadConfigText(path, options.readObject)
    return IngestConfig.fromText(text, { file: path, ...options })
  }

  /** Reads what the variable `INGEST_CONFIG` holds: a path, an `s3://bucket/key`, or the text itself. */
  static async fromEnv(env: Environment = process.env, options: ConfigOptions = {}): Promise<IngestConfig> {
    const value = env.INGEST_CONFIG
    if (value === undefined || value.trim() === '') {
      throw new ConfigError('CONFIG_NOT_FOUND', 'the environment variable `INGEST_CONFIG` is not set', {
        hint: 'set it to the path of a file, an `s3://bucket/key`, or the YAML text itself',
      })
    }
    const withEnvironment = { environment: env, ...options }
    if (isConfigText(value))
      return IngestConfig.fromText(value, { file: 'INGEST_CONFIG', ...withEnvironment })
    return IngestConfig.fromFile(value.trim(), withEnvironment)
  }

  /** Reads a YAML or JSON text, and fetches the AWS secrets that it refers to. */
  static async fromText(text: string, options: ConfigOptions = {}): Promise<IngestConfig> {
    const first = read(text, options, () => null)
    if (first.awsSecretIds.size === 0 || first.pipelines === null) return toConfig(first, options)
    const fetch = options.fetchSecrets ?? fetchAwsSecrets
    const secrets = await fetch(first.awsSecretIds)
    return toConfig(
      read(text, options, id => secrets.get(id) ?? { problem: 'it was not found' }),
      options,
    )
  }

  /** Reads a YAML or JSON text. AWS secrets are an error here: they cannot be waited for. */
  static parse(text: string, options: ConfigOptions = {}): IngestConfig {
    const unavailable: AwsSecret = {
      problem: 'it is read by `IngestConfig.fromText` and `fromFile`, which wait for it',
      code: 'CONFIG_UNSUPPORTED',
      help: 'call one of these, or write `{ from_env: NAME }`',
    }
    return toConfig(
      read(text, options, () => unavailable),
      options,
    )
  }

  /**
   * Checks what the pipelines demand of their tables' columns. What was read from a text has passed this; pipelines made
   * in code have not. Throws {@link ConfigError}.
   */
  validate(): void {
    if (this.pipelines.length === 0)
      throw new ConfigError('CONFIG_INVALID', 'the configuration has no pipelines')
    const diagnostics = this.pipelines.flatMap(layoutDiagnostics)
    if (diagnostics.length > 0) throw invalid(diagnostics, TEXT_NAME)
  }

  /** Of the single or the first pipeline, as `s3`, `delta` and `processing`. */
  get kafka(): KafkaConfig {
    return this.#first.kafka
  }

  get s3(): S3Config {
    return this.#first.s3
  }

  get delta(): DeltaConfig {
    return this.#first.delta
  }

  get processing(): ProcessingConfig {
    return this.#first.processing
  }

  /** `s3://bucket/prefix/table` of the single or the first pipeline, or its path in the file system. */
  getDeltaTablePath(): string {
    return tablePath(this.s3, this.delta.tableName)
  }

  /** The declared columns of the single or the first pipeline; none where it declares no `delta.schema`. */
  getSchemaFields(): SchemaField[] {
    return (this.delta.schema?.fields ?? []).map(({ name, type, nullable, metadata }) => {
      const texts = Object.entries(metadata).map(([key, value]) => [key, String(value)])
      const kept = texts.length === 0 ? {} : { metadata: Object.fromEntries(texts) }
      return { name, dataType: type, nullable, ...kept }
    })
  }

  get #first(): PipelineConfig {
    const [first] = this.pipelines
    if (first === undefined) throw new ConfigError('CONFIG_INVALID', 'the configuration has no pipelines')
    return first
  }
}

export interface CheckOptions extends ConfigOptions {
  /** Warn also of what can be met and is probably not meant (codes `LINT_…`). Default: false. */
  readonly lints?: boolean
}

/**
 * What is wrong with a text, without reading AWS secrets and without throwing for anything that stands in it.
 * `pipelines` is null where there are errors.
 */
export function checkConfigText(text: string, options: CheckOptions = {}): ConfigReading {
  return read(text, options, () => null, options.lints)
}

function read(
  text: string,
  options: ConfigOptions,
  awsSecret: (id: string) => AwsSecret | null,
  lints = false,
): ConfigReading {
  const { environment = process.env, readFile = (path: string) => readFileSync(path, 'utf8') } = options
  const context = { environment, readFile, awsSecret, lints }
  return readConfig(text, options.file ?? TEXT_NAME, context, options.assignments)
}

function toConfig(
  { pipelines, diagnostics }: ConfigReading,
  { file = TEXT_NAME }: ConfigOptions,
): IngestConfig {
  if (pipelines === null) throw invalid(diagnostics, file)
  return new IngestConfig(pipelines, diagnostics)
}

function invalid(diagnostics: readonly Diagnostic[], file: string): ConfigError {
  const errors = diagnostics.filter(diagnostic => diagnostic.severity === 'error')
  const shown = errors
    .slice(0, MESSAGE_FINDINGS_MAX)
    .map(({ line, column, message }) => `${line}:${column} ${message}`)
    .join('; ')
  const more =
    errors.length > MESSAGE_FINDINGS_MAX ? `; and ${errors.length - MESSAGE_FINDINGS_MAX} more` : ''
  return new ConfigError(
    'CONFIG_INVALID',
    `the configuration \`${file}\` has ${countDiagnostics(diagnostics)}: ${shown}${more}`,
    { diagnostics, context: { file, errorCount: errors.length } },
  )
}

function layoutDiagnostics({ name, delta }: PipelineConfig): readonly Diagnostic[] {
  if (delta.schema === null) return []
  return planTableLayout(delta).problems.map(({ message, help }) => ({
    code: 'CONFIG_CONFLICT',
    severity: 'error',
    file: TEXT_NAME,
    line: 1,
    column: 1,
    endLine: 1,
    endColumn: 1,
    message: `pipeline \`${name}\`: ${message}`,
    help: help ?? null,
    suggestion: null,
    frame: null,
  }))
}
