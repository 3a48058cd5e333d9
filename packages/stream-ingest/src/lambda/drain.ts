/**
 * The pull mode: read Kafka from where the tables are, until caught up or out of time, commit, and say how far it came.
 *
 * No consumer group: a member that is frozen between two invocations is a zombie. Connections to Kafka are closed before
 * the answer goes out; the next invocation makes new ones.
 *
 * @module
 */
import type { Runtime } from '@stream-ingest/delta'
import { IngestConfig } from '../config/config.ts'
import type { PipelineConfig } from '../config/ingest-config.ts'
import type { PipelineResult } from '../pipeline/pipeline.ts'
import {
  type ProcessingResult,
  type ProcessorOptions,
  StreamIngestProcessor,
} from '../pipeline/stream-ingest-processor.ts'
import { choosePipelines } from './choose-pipelines.ts'
import type { DrainOptions } from './event.ts'
import { InvocationError } from './invocation-error.ts'
import type { InvocationMetrics } from './invocation-metrics.ts'

export interface DrainContext {
  readonly runtime: Runtime
  readonly processor: ProcessorOptions
  readonly stop: AbortSignal
  readonly metrics: InvocationMetrics
}

/** The answer of a pull invocation: a `ProcessingResult` as plain JSON. Offsets beyond 2^53 are texts. */
export interface DrainResult {
  readonly success: true
  /** Did every pipeline reach the end that its topics had at the start? False: invoke again. */
  readonly caughtUp: boolean
  /** Messages behind, of all pipelines; null where Kafka could not be asked. */
  readonly lag: number | null
  readonly messagesProcessed: number
  readonly batchesProcessed: number
  readonly bytesProcessed: number
  readonly processingTimeMs: number
  readonly rows: number
  readonly files: number
  readonly errors: readonly string[]
  readonly pipelines: readonly unknown[]
}

/** @throws InvocationError where a pipeline failed; the others have committed what they held */
export async function drain(
  config: IngestConfig,
  options: DrainOptions,
  { runtime, processor: processorOptions, stop, metrics }: DrainContext,
): Promise<DrainResult> {
  const processor = new StreamIngestProcessor(applyOptions(config, options), { ...processorOptions, runtime })
  const result = await processor.processStream({ untilLatest: true, signal: stop })
  for (const pipeline of result.pipelines) metrics.setLag(pipeline)
  const [first, ...others] = result.failures
  if (first !== undefined) {
    throw new InvocationError(
      first.error,
      others.map(({ pipeline, error }) => `${pipeline}: ${error.code}: ${error.message}`),
    )
  }
  return describe(result)
}

function applyOptions(config: IngestConfig, options: DrainOptions): IngestConfig {
  const pipelines = choosePipelines(config, options.pipelines).map(
    (pipeline): PipelineConfig => ({
      ...pipeline,
      ...(options.partitions === null
        ? {}
        : { kafka: { ...pipeline.kafka, assignment: { partitions: options.partitions } } }),
      ...(options.dryRun ? { processing: { ...pipeline.processing, dryRun: true } } : {}),
    }),
  )
  return new IngestConfig(pipelines, config.diagnostics)
}

function describe(result: ProcessingResult): DrainResult {
  const lags = result.pipelines.flatMap(({ partitions }) => partitions.map(({ lag }) => lag))
  const lag = lags.includes(null) ? null : Number(lags.reduce<bigint>((sum, one) => sum + (one ?? 0n), 0n))
  return {
    success: true,
    caughtUp: lag === 0,
    lag,
    messagesProcessed: result.messagesProcessed,
    batchesProcessed: result.batchesProcessed,
    bytesProcessed: result.bytesProcessed,
    processingTimeMs: result.processingTimeMs,
    rows: result.metrics.rows,
    files: result.metrics.files,
    errors: result.errors,
    pipelines: result.pipelines.map(describePipeline),
  }
}

function describePipeline({ name, table, version, metrics, partitions }: PipelineResult): unknown {
  return {
    name,
    table,
    version,
    rows: metrics.rows,
    files: metrics.files,
    bytes: metrics.bytesWritten,
    badRecords: metrics.badRecords,
    quarantined: metrics.quarantined,
    skipped: metrics.skipped,
    filtered: metrics.filtered,
    partitions: partitions.map(p => ({
      topic: p.topic,
      partition: p.partition,
      fromOffset: offsetValue(p.fromOffset),
      nextOffset: offsetValue(p.nextOffset),
      lag: p.lag === null ? null : Number(p.lag),
    })),
  }
}

function offsetValue(offset: bigint): number | string {
  return offset <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(offset) : String(offset)
}
