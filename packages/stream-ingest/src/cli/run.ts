/**
 * `stream-ingest run`: ingest until stopped, caught up or out of time.
 *
 * @module
 */
import type { IngestConfig } from '../config/config.ts'
import { EXIT_CODES } from '../error.ts'
import { publish } from '../observe/event.ts'
import { type LogFormat, logEvents } from '../observe/event-log.ts'
import { formatBytes, formatCount, formatDuration, formatNumberOf } from '../observe/format.ts'
import { traceEvents } from '../observe/trace.ts'
import type { PartitionProgress, PipelineResult } from '../pipeline/pipeline.ts'
import {
  type PipelineFailure,
  type ProcessingResult,
  type ProcessorOptions,
  StreamIngestProcessor,
} from '../pipeline/stream-ingest-processor.ts'
import type { CommandIo } from './command-io.ts'
import { errorDocument, type FailurePlace, formatError } from './error-report.ts'
import { formatJsonDocument } from './json-document.ts'
import {
  formatAddress,
  type ListenAddress,
  type MetricsServer,
  startMetricsServer,
} from './metrics-server.ts'
import { showRunPanel } from './panel/run-panel.ts'
import { canRepaint } from './terminal.ts'

export interface RunCommandOptions {
  readonly untilLatest: boolean
  readonly runtimeLimitMs?: number
  readonly json: boolean
  readonly log: LogFormat
  readonly quiet: boolean
  readonly verbose: boolean
  /** Serve metrics and health there. */
  readonly metrics?: ListenAddress
  /** Lag and offsets by partition, or by topic. */
  readonly metricsPartitions: boolean
  /** False: no colours, whatever the terminal. */
  readonly color: boolean
}

const STOPPED_AT_ONCE =
  'stopped at once: what was not committed is read again at the next start, nothing is lost\n'

/**
 * Runs the configured pipelines. The first SIGINT, SIGTERM or SIGHUP drains: what is buffered is committed, then it ends. The
 * second ends at once; nothing is lost either way.
 *
 * @returns the exit code
 */
export async function runCommand(
  config: IngestConfig,
  options: RunCommandOptions,
  io: CommandIo,
  processorOptions: ProcessorOptions = {},
): Promise<number> {
  const stop = new AbortController()
  let interrupted = false
  let endLog = (): void => {}
  const endSignals = io.onStopSignal(signal => {
    if (stop.signal.aborted) {
      endLog()
      if (!options.quiet && options.log === 'pretty') io.stderr.write(STOPPED_AT_ONCE)
      io.exit(EXIT_CODES.interrupted)
    }
    interrupted = signal === 'SIGINT'
    publish('run:stopping', { signal })
    stop.abort()
  })
  let server: MetricsServer | null = null
  let endTrace = (): void => {}
  try {
    server = await serveMetrics(config, options, io)
    // Who sees the panel may type Ctrl-C: it is listened for by then.
    endLog = showEvents(config, options, io)
    if (server !== null) publish('run:serving', { url: `http://${formatAddress(server.address)}` })
    endTrace = traceEvents(io.runtime.now)
    const processor = new StreamIngestProcessor(config, { runtime: io.runtime, ...processorOptions })
    const result = await processor.processStream({
      untilLatest: options.untilLatest,
      signal: stop.signal,
      ...(options.runtimeLimitMs === undefined ? {} : { runtimeLimitMs: options.runtimeLimitMs }),
    })
    endLog()
    report(result, options, io)
    const failure = result.failures[0]
    if (failure !== undefined) return failure.error.exitCode
    return interrupted ? EXIT_CODES.interrupted : EXIT_CODES.ok
  } finally {
    endTrace()
    endLog()
    endSignals()
    await server?.close()
  }
}

/** A table that is to be fresher than this by its configuration is stuck after that time; else after so many flushes. */
const STUCK_FLUSHES = 10
const STUCK_AFTER_MIN_MS = 300_000

async function serveMetrics(
  { pipelines }: IngestConfig,
  { metrics: address, metricsPartitions: partitions }: RunCommandOptions,
  io: CommandIo,
): Promise<MetricsServer | null> {
  if (address === undefined) return null
  const watched = pipelines.map(({ name, freshness, processing }) => ({
    name,
    stuckAfterMs:
      freshness?.errorAfterMs ?? Math.max(STUCK_AFTER_MIN_MS, STUCK_FLUSHES * processing.batchTimeoutMs),
  }))
  return startMetricsServer({ pipelines: watched, address, partitions }, io.runtime)
}

/** On a terminal the panel, with the log above it; elsewhere the log alone. */
function showEvents(config: IngestConfig, options: RunCommandOptions, io: CommandIo): () => void {
  if (options.quiet) return () => {}
  if (options.log === 'json' || !canRepaint(io.stderr, io.env))
    return logEvents(options.log, io.stderr, io.runtime.now)
  return showRunPanel(
    config.pipelines.map(({ name }) => name),
    io,
    options.color,
  )
}

function report(result: ProcessingResult, options: RunCommandOptions, io: CommandIo): void {
  for (const failure of result.failures) {
    io.stderr.write(formatError(failure.error, options.verbose, placeOf(failure, result)))
  }
  if (options.json) {
    io.stdout.write(formatJsonDocument(resultDocument(result)))
    return
  }
  if (!result.success || options.quiet) return
  const { metrics } = result
  const parts = [
    formatNumberOf(metrics.rows, 'row'),
    formatNumberOf(metrics.files, 'file'),
    formatBytes(metrics.bytesWritten),
    formatNumberOf(metrics.commits, 'commit'),
    formatDuration(result.processingTimeMs),
  ]
  const left = metrics.badRecords - metrics.quarantined
  if (left > 0) parts.push(`${formatCount(left)} bad records skipped`)
  if (metrics.quarantined > 0) parts.push(`${formatCount(metrics.quarantined)} bad records quarantined`)
  if (metrics.skipped > 0) parts.push(`${formatCount(metrics.skipped)} tombstones skipped`)
  if (metrics.filtered > 0) parts.push(`${formatCount(metrics.filtered)} aborted records left out`)
  io.stdout.write(`${parts.join('   ')}\n`)
  for (const { name, table, version } of result.pipelines) {
    io.stdout.write(`${name} → ${table}${version === null ? '' : ` v${version}`}\n`)
  }
}

/** spec of `run --json`: the processing result, and each pipeline's offsets. */
function resultDocument(result: ProcessingResult): Record<string, unknown> {
  const first = result.failures[0]
  return {
    success: result.success,
    messagesProcessed: result.messagesProcessed,
    batchesProcessed: result.batchesProcessed,
    bytesProcessed: result.bytesProcessed,
    processingTimeMs: result.processingTimeMs,
    errors: result.errors,
    metrics: result.metrics,
    pipelines: result.pipelines.map(pipelineDocument),
    ...(first === undefined ? {} : errorDocument(first.error, placeOf(first, result))),
  }
}

function placeOf({ pipeline, table }: PipelineFailure, result: ProcessingResult): FailurePlace {
  const progress = result.pipelines.find(({ name }) => name === pipeline)
  return { pipeline, table, version: progress?.version ?? null, partitions: progress?.partitions ?? [] }
}

function pipelineDocument(pipeline: PipelineResult): Record<string, unknown> {
  const { name, table, version, metrics } = pipeline
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
    partitions: pipeline.partitions.map((p: PartitionProgress) => ({ ...p })),
  }
}
