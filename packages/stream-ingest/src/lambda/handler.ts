/**
 * The Lambda handler: from an event to what it asks for, in the time that there is.
 *
 * @module
 */
import { fileURLToPath } from 'node:url'
import type { ObjectStore, Runtime } from '@stream-ingest/delta'
import { systemRuntime } from '@stream-ingest/delta'
import { IngestConfig } from '../config/config.ts'
import type { PipelineConfig } from '../config/ingest-config.ts'
import type { Environment } from '../config/interpolation.ts'
import { ConfigError, LambdaError, StreamIngestError } from '../error.ts'
import { type LineStream, logEvents } from '../observe/event-log.ts'
import type { HealthReport } from '../pipeline/health-check.ts'
import type { ProcessorOptions } from '../pipeline/stream-ingest-processor.ts'
import { StreamIngestProcessor } from '../pipeline/stream-ingest-processor.ts'
import { type CareResult, care } from './care.ts'
import { FlushTimes, watchDeadline } from './deadline.ts'
import { type DrainResult, drain } from './drain.ts'
import { type LambdaRequest, parseEvent } from './event.ts'
import { InvocationError } from './invocation-error.ts'
import { InvocationMetrics } from './invocation-metrics.ts'
import { type KafkaEventResponse, KafkaTrigger } from './kafka-trigger.ts'
import type { LambdaContext, LambdaHandler } from './lambda-context.ts'

export interface HandlerOptions {
  /** Default: the process's environment. */
  readonly environment?: Environment
  readonly runtime?: Runtime
  /** Where logs and metrics go. Default: stdout, which CloudWatch takes line by line. */
  readonly output?: LineStream
  /**
   * Events may name another configuration by `config_path`, where it starts like this: a folder, or an `s3://…/` prefix.
   * Default: INGEST_CONFIG_PATH_PREFIX; without it no event may.
   */
  readonly configPathPrefix?: string
  /** In place of Kafka: tests. */
  readonly createSource?: ProcessorOptions['createSource']
  /** In place of S3 or the local directory; rooted where the tables' folders are. */
  readonly createStore?: (config: PipelineConfig) => ObjectStore
}

/** Configurations besides the first one that are kept between invocations. */
const CONFIGS_MAX = 16

/**
 * Makes the handler of a function. The configuration is loaded and checked now: in a module that awaits it, a bad one fails
 * the start of the function.
 *
 * @param source a path, an `s3://bucket/key`, a `file:` URL, the YAML text, or a configuration that is loaded; by default
 *   what INGEST_CONFIG names
 * @throws ConfigError with everything that is wrong in its `diagnostics`
 */
export async function createHandler(
  source?: IngestConfig | string | URL,
  options: HandlerOptions = {},
): Promise<LambdaHandler> {
  const environment = options.environment ?? process.env
  const config = await loadSource(source, environment)
  const handler = new Handler(config, { ...options, environment })
  return (event, context) => handler.handle(event, context)
}

let fromEnvironment: Promise<LambdaHandler> | null = null

/**
 * A handler of the configuration that INGEST_CONFIG names, which the first invocation loads. A function's own module that
 * awaits {@link createHandler} learns of a bad one earlier.
 */
export const lambdaHandler: LambdaHandler = async (event, context) => {
  fromEnvironment ??= createHandler()
  try {
    return await (await fromEnvironment)(event, context)
  } catch (error) {
    throw InvocationError.from(error)
  }
}

async function loadSource(
  source: IngestConfig | string | URL | undefined,
  environment: Environment,
): Promise<IngestConfig> {
  if (source instanceof IngestConfig) {
    source.validate()
    return source
  }
  if (source === undefined) return IngestConfig.fromEnv(environment)
  const text = source instanceof URL ? fileURLToPath(source) : source
  return IngestConfig.fromEnv({ ...environment, INGEST_CONFIG: text })
}

class Handler {
  readonly #config: IngestConfig
  readonly #options: HandlerOptions & { readonly environment: Environment }
  readonly #runtime: Runtime
  readonly #output: LineStream
  readonly #flushes = new FlushTimes()
  /** By `config_path`, the one that was used last at the end. */
  readonly #others = new Map<string, IngestConfig>()
  #trigger: KafkaTrigger | null = null

  constructor(config: IngestConfig, options: HandlerOptions & { readonly environment: Environment }) {
    this.#config = config
    this.#options = options
    this.#runtime = options.runtime ?? systemRuntime
    this.#output = options.output ?? process.stdout
    this.#flushes.listen()
  }

  /** @throws InvocationError: name, code, message and hint of what went wrong */
  async handle(event: unknown, context: LambdaContext): Promise<unknown> {
    const { awsRequestId: requestId } = context
    const metrics = new InvocationMetrics()
    const ends = [logEvents('json', this.#output, this.#runtime.now, { requestId }), metrics.listen()]
    const deadline = watchDeadline(() => context.getRemainingTimeInMillis(), this.#flushes, this.#runtime)
    try {
      // Crash here or anywhere: what is committed stands, the rest is read or delivered again.
      return await Promise.race([this.#perform(parseEvent(event), deadline.stop, metrics), deadline.lost])
    } catch (error) {
      throw this.#failed(error, requestId)
    } finally {
      deadline.end()
      for (const end of ends) end()
      const { functionName } = context
      const names = { requestId, ...(functionName === undefined ? {} : { functionName }) }
      this.#output.write(metrics.format(this.#runtime.now(), names))
    }
  }

  async #perform(
    request: LambdaRequest,
    stop: AbortSignal,
    metrics: InvocationMetrics,
  ): Promise<DrainResult | CareResult | HealthReport | KafkaEventResponse> {
    switch (request.kind) {
      case 'kafka':
        return this.#writeEvent(request.event)
      case 'health-check': {
        const config = await this.#configFor(request.configPath)
        return new StreamIngestProcessor(config, this.#processorOptions).healthCheck()
      }
      case 'care': {
        const config = await this.#configFor(request.configPath)
        const { createStore } = this.#options
        const context = {
          runtime: this.#runtime,
          stop,
          ...(createStore === undefined ? {} : { createStore }),
        }
        return care(config, request.options, context)
      }
      case 'drain': {
        const config = await this.#configFor(request.configPath)
        const processor = this.#processorOptions
        return drain(config, request.options, { runtime: this.#runtime, processor, stop, metrics })
      }
    }
  }

  async #writeEvent(event: Parameters<KafkaTrigger['write']>[0]): Promise<KafkaEventResponse> {
    const { createStore } = this.#options
    this.#trigger ??= new KafkaTrigger(this.#config, {
      runtime: this.#runtime,
      ...(createStore === undefined ? {} : { createStore }),
    })
    const trigger = this.#trigger
    try {
      return await trigger.write(event)
    } catch (error) {
      // What it holds may be what is wrong: the next invocation opens everything anew.
      if (this.#trigger === trigger) this.#trigger = null
      await trigger.close().catch(() => {})
      throw error
    }
  }

  get #processorOptions(): ProcessorOptions {
    const { createSource, createStore } = this.#options
    return {
      runtime: this.#runtime,
      ...(createSource === undefined ? {} : { createSource }),
      ...(createStore === undefined ? {} : { createStore }),
    }
  }

  async #configFor(path: string | null): Promise<IngestConfig> {
    if (path === null) return this.#config
    const { environment } = this.#options
    const prefix = this.#options.configPathPrefix ?? environment.INGEST_CONFIG_PATH_PREFIX
    if (prefix === undefined || prefix === '') {
      throw new LambdaError(
        'LAMBDA_EVENT',
        'the event names a configuration, and this function allows none',
        {
          hint: 'set INGEST_CONFIG_PATH_PREFIX to the folder or `s3://` prefix that events may choose from',
        },
      )
    }
    if (!path.startsWith(prefix) || path.split('/').includes('..')) {
      throw new LambdaError('LAMBDA_EVENT', `the \`config_path\` \`${path}\` is not below \`${prefix}\``, {
        hint: 'choose one below it, or change INGEST_CONFIG_PATH_PREFIX',
      })
    }
    const found = this.#others.get(path) ?? (await IngestConfig.fromFile(path, { environment }))
    this.#others.delete(path)
    this.#others.set(path, found)
    for (const oldest of this.#others.keys()) {
      if (this.#others.size <= CONFIGS_MAX) break
      this.#others.delete(oldest)
    }
    return found
  }

  #failed(thrown: unknown, requestId: string): InvocationError {
    const error = InvocationError.from(thrown)
    const { cause } = error
    const known = cause instanceof StreamIngestError ? cause : StreamIngestError.from(thrown)
    const line = {
      level: 'error',
      time: new Date(this.#runtime.now()).toISOString(),
      requestId,
      event: 'invocation-failed',
      kind: known.kind,
      code: known.code,
      message: known.message,
      hint: known.hint,
      ...(known instanceof ConfigError ? { diagnostics: known.diagnostics.map(d => d.message) } : {}),
    }
    this.#output.write(`${JSON.stringify(line)}\n`)
    return error
  }
}
