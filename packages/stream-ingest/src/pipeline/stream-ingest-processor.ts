/**
 * The public class: one configuration, all of its pipelines, from Kafka to the tables.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { type ObjectStore, type Runtime, systemRuntime } from '@stream-ingest/delta'
import type { IngestConfig } from '../config/config.ts'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { tablePath } from '../config/table-path.ts'
import { StreamIngestError } from '../error.ts'
import { createKafkaSource } from '../kafka/kafka-source.ts'
import type { MessageSource } from '../kafka/message-source.ts'
import { describeTopics, type TopicDescription } from '../kafka/topic-description.ts'
import { publish } from '../observe/event.ts'
import type { S3Client } from '../s3/s3-client.ts'
import { checkHealth, type HealthReport } from './health-check.ts'
import { createIngestMetrics, type IngestMetrics, sumIngestMetrics } from './ingest-metrics.ts'
import { observeKafka, openLake } from './observed-parts.ts'
import { moveOffsets, type OffsetMove, type OffsetMoveOptions } from './offset-move.ts'
import { openTable } from './open-table.ts'
import { assertBounded, mayBeginAgain } from './overwrite-sink.ts'
import { Pipeline, type PipelineResult, type RunOptions } from './pipeline.ts'
import {
  type OpenedParts,
  readStatusReports,
  type StatusReport,
  type StatusReportOptions,
} from './status-report.ts'
import { withTableCare } from './table-care.ts'
import { publishTableOpened } from './table-event.ts'
import { type TapOptions, type TappedMessages, tap } from './tap.ts'
import { canStartThreads, type DecodeThread, ThreadPool, threadCountOf } from './thread-pool.ts'

export interface ProcessingResult {
  readonly success: boolean
  readonly messagesProcessed: number
  /** Commits. */
  readonly batchesProcessed: number
  /** Record batches as fetched. */
  readonly bytesProcessed: number
  readonly processingTimeMs: number
  readonly errors: readonly string[]
  readonly metrics: IngestMetrics
  /** Those that got to reading, in the order of the configuration; of a failed one, how far its table came. */
  readonly pipelines: readonly PipelineResult[]
  /** What failed: the first one decides the exit code. */
  readonly failures: readonly PipelineFailure[]
}

export interface PipelineFailure {
  readonly pipeline: string
  readonly table: string
  readonly error: StreamIngestError
}

type PipelineOutcome = Pick<PipelineFailure, 'table'> & {
  readonly result: PipelineResult | null
  readonly error: StreamIngestError | null
}

/** What the attempts of one run share. */
interface RunProgress {
  hasOpened: boolean
  /** Of runs before this one. */
  readonly badRecordsBefore: number
  readonly threads: readonly DecodeThread[]
}

export interface ProcessorOptions {
  readonly runtime?: Runtime
  /** In place of Kafka: tests, Lambda events. */
  readonly createSource?: (config: PipelineConfig) => MessageSource
  /** In place of S3 or the local directory; rooted where the tables' folders are. */
  readonly createStore?: (config: PipelineConfig) => ObjectStore
  /** Around whichever store is used: fault injection. */
  readonly wrapStore?: (store: ObjectStore) => ObjectStore
  /** To decode and encode on, in place of threads of its own. */
  readonly threads?: readonly DecodeThread[]
}

type LookContext = Omit<OpenedParts, 'close'> & { readonly runtime: Runtime }

export class StreamIngestProcessor {
  private readonly pipelines: readonly PipelineConfig[]
  private readonly runtime: Runtime
  private readonly options: ProcessorOptions
  private readonly metrics = new Map<string, IngestMetrics>()
  /** By pipeline, what no attempt at a run counts by itself: starts over, and requests that were repeated. */
  private readonly retries = new Map<string, IngestMetrics>()
  private readonly stop = new AbortController()
  private readonly running = new Set<Promise<unknown>>()

  constructor(config: IngestConfig, options: ProcessorOptions = {}) {
    this.pipelines = config.pipelines
    this.options = options
    this.runtime = options.runtime ?? systemRuntime
  }

  /**
   * Runs every pipeline until it is stopped, caught up (`untilLatest`) or out of time. One that fails stops the others
   * after they have committed what they hold: a process that looks alive with half of its work dead helps nobody.
   *
   * Never throws for a pipeline's failure: `success`, `errors` and `failures` tell.
   */
  async processStream(options: RunOptions = {}): Promise<ProcessingResult> {
    const startedMs = this.runtime.monotonicMs()
    const failed = new AbortController()
    const signals = [failed.signal, this.stop.signal]
    if (options.signal !== undefined) signals.push(options.signal)
    const runOptions = { ...options, signal: AbortSignal.any(signals) }
    const failures: PipelineFailure[] = []
    const pool = this.startThreads()
    const threads = pool?.threads ?? this.options.threads ?? []
    const runs = this.pipelines.map(async config => {
      const { result, table, error } = await this.runPipeline(config, runOptions, threads)
      if (error !== null) {
        failures.push({ pipeline: config.name, table, error })
        failed.abort()
      }
      return result
    })
    const all = Promise.all(runs)
    this.running.add(all)
    const results = await all
    this.running.delete(all)
    await pool?.close()
    const metrics = this.getMetrics()
    return {
      success: failures.length === 0,
      messagesProcessed: metrics.messages,
      batchesProcessed: metrics.commits,
      bytesProcessed: metrics.bytesRead,
      processingTimeMs: Math.round(this.runtime.monotonicMs() - startedMs),
      errors: failures.map(f => `${f.pipeline}: ${f.error.code}: ${f.error.message}`),
      metrics,
      pipelines: results.filter(r => r !== null),
      failures,
    }
  }

  /**
   * Asks each pipeline's brokers and table, reading only, each within {@link HEALTH_TIMEOUT_MS}. Never throws for an
   * operational failure.
   */
  async healthCheck(): Promise<HealthReport> {
    return checkHealth(this.pipelines, config => this.openConfigured(config), this.runtime)
  }

  /**
   * How far each pipeline is, asked from its table and from Kafka; nothing is moved or written. Never throws for an
   * operational failure: the pipeline's `errors` tell.
   */
  async status(options: StatusReportOptions = {}): Promise<readonly StatusReport[]> {
    return readStatusReports(this.pipelines, config => this.openParts(config), this.runtime, options)
  }

  /**
   * What Kafka says of the one pipeline's topics.
   *
   * @throws what {@link describeTopics} throws
   */
  async describeTopics(): Promise<readonly TopicDescription[]> {
    const { kafka } = this.onlyPipeline()
    return describeTopics(kafka, { runtime: this.runtime })
  }

  /**
   * Messages of the one pipeline's topics as the rows that they would become; nothing is moved or written.
   *
   * @throws what {@link tap} throws
   */
  async tap(options: TapOptions = {}): Promise<TappedMessages> {
    return this.ofOne((config, context) => tap(config, options, context))
  }

  /**
   * Moves the offsets that the table of the one pipeline holds.
   *
   * @throws what {@link moveOffsets} throws
   */
  async moveOffsets(options: OffsetMoveOptions): Promise<OffsetMove> {
    return this.ofOne((config, context) => moveOffsets(config, options, context))
  }

  /** Counters of all runs of this processor so far, also while one is under way. */
  getMetrics(): IngestMetrics {
    return sumIngestMetrics([...this.metrics.values(), ...this.retries.values()])
  }

  /** Stops what is running, waits until it has committed what it holds. */
  async close(): Promise<void> {
    this.stop.abort()
    await Promise.allSettled(this.running)
  }

  /** As many as the pipeline that may use most of them; null where none uses any. */
  private startThreads(): ThreadPool | null {
    if (this.options.threads !== undefined || !canStartThreads()) return null
    const count = Math.max(...this.pipelines.map(config => this.threadCountOf(config)))
    return count === 0 ? null : new ThreadPool(count)
  }

  private threadCountOf({ processing }: PipelineConfig): number {
    // A source of one's own has no backlog that would be worth threads.
    const cores = this.options.createSource === undefined ? availableParallelism() : 1
    return threadCountOf(processing, cores)
  }

  private onlyPipeline(): PipelineConfig {
    const [config, ...others] = this.pipelines
    assert(config !== undefined && others.length === 0, 'one pipeline is chosen')
    return config
  }

  private async ofOne<T>(work: (config: PipelineConfig, context: LookContext) => Promise<T>): Promise<T> {
    const config = this.onlyPipeline()
    const { store, source, close } = this.openParts(config)
    try {
      return await work(config, { store, source, runtime: this.runtime })
    } catch (error) {
      throw StreamIngestError.from(error)
    } finally {
      await close()
    }
  }

  /** For a look from outside: without a group, whose members it must not move. */
  private openParts(config: PipelineConfig): OpenedParts {
    const { kafka } = config
    return this.openConfigured({
      ...config,
      kafka: kafka.assignment === 'group' ? { ...kafka, assignment: 'all' } : kafka,
    })
  }

  private openConfigured(config: PipelineConfig): OpenedParts {
    const source = this.createSource(config)
    const lake = this.createLake(config)
    return { source, store: lake.tableStore(config.delta.tableName), close: () => lake.close() }
  }

  private createSource(config: PipelineConfig): MessageSource {
    const observer = observeKafka(config.name, this.retriesOf(config.name))
    return (
      this.options.createSource?.(config) ??
      createKafkaSource(config.kafka, { runtime: this.runtime, observer })
    )
  }

  private retriesOf(pipeline: string): IngestMetrics {
    let found = this.retries.get(pipeline)
    if (found === undefined) {
      found = createIngestMetrics()
      this.retries.set(pipeline, found)
    }
    return found
  }

  private createLake(config: PipelineConfig): S3Client {
    const { createStore, wrapStore } = this.options
    const metrics = this.retriesOf(config.name)
    return openLake(config, this.runtime, { store: createStore?.(config), wrapStore, metrics })
  }

  /**
   * Runs a pipeline, and starts it again from the table where it fails for a reason that may pass: it had started, and
   * did not fail `max_retries` times in a row without a commit in between. Throws nothing.
   *
   * Requests to S3 and Kafka have been repeated for seconds by their clients before anything fails here.
   */
  private async runPipeline(
    config: PipelineConfig,
    options: RunOptions,
    threads: readonly DecodeThread[],
  ): Promise<PipelineOutcome> {
    const { maxRetries, retryBaseDelayMs, retryMaxDelayMs } = config.processing
    const startedMs = this.runtime.monotonicMs()
    const starts = new Map<string, bigint>()
    let hasStarted = false
    const badRecordsBefore = this.metrics.get(config.name)?.badRecords ?? 0
    const run: RunProgress = { hasOpened: false, badRecordsBefore, threads }
    for (let failureCount = 1; ; failureCount++) {
      const commitsBefore = this.metrics.get(config.name)?.commits ?? 0
      const leftMs =
        options.runtimeLimitMs === undefined
          ? {}
          : { runtimeLimitMs: Math.max(0, options.runtimeLimitMs - (this.runtime.monotonicMs() - startedMs)) }
      const outcome = await this.attemptPipeline(config, { ...options, ...leftMs }, run)
      const result = outcome.result === null ? null : this.sinceFirstStart(outcome.result, starts)
      const { error } = outcome
      if (error === null) return { ...outcome, result }
      hasStarted ||= result !== null
      if ((this.metrics.get(config.name)?.commits ?? 0) > commitsBefore) failureCount = 1
      const isOver = options.signal?.aborted === true || !error.isRetryable() || !hasStarted
      if (isOver || !mayBeginAgain(config, options) || failureCount > maxRetries) {
        publish('pipeline:failed', { pipeline: config.name, error })
        return { ...outcome, result }
      }
      const ceilingMs = Math.min(retryMaxDelayMs, retryBaseDelayMs * 2 ** Math.min(failureCount - 1, 30))
      const delayMs = Math.floor(this.runtime.random() * ceilingMs)
      this.retriesOf(config.name).restarts++
      publish('pipeline:retrying', { pipeline: config.name, error, attempt: failureCount, delayMs })
      // A request to stop ends the wait; the next turn then finds nothing to do but to stop.
      await this.runtime.delay(delayMs, options.signal).catch(() => {})
    }
  }

  /** Over all attempts: where the first one started, and what all of them counted. */
  private sinceFirstStart(result: PipelineResult, starts: Map<string, bigint>): PipelineResult {
    const partitions = result.partitions.map(partition => {
      const key = `${partition.topic}:${partition.partition}`
      const fromOffset = starts.get(key) ?? partition.fromOffset
      starts.set(key, fromOffset)
      return { ...partition, fromOffset }
    })
    const counted = this.metrics.get(result.name) ?? result.metrics
    return { ...result, partitions, metrics: sumIngestMetrics([counted, this.retriesOf(result.name)]) }
  }

  /** Throws nothing. */
  private async attemptPipeline(
    config: PipelineConfig,
    options: RunOptions,
    run: RunProgress,
  ): Promise<PipelineOutcome> {
    let table = tablePath(config.s3, config.delta.tableName)
    let pipeline: Pipeline | null = null
    try {
      assertBounded(config, options)
      const lake = this.createLake(config)
      table = lake.tableStore(config.delta.tableName).uri
      const result = await this.runOn(lake, config, options, run, started => {
        pipeline = started
      })
      return { table, result, error: null }
    } catch (error) {
      const progress = (pipeline as Pipeline | null)?.progress() ?? null
      const result = progress === null || progress.partitions.length === 0 ? null : progress
      return { table, result, error: StreamIngestError.from(error) }
    }
  }

  private async runOn(
    lake: S3Client,
    config: PipelineConfig,
    options: RunOptions,
    run: RunProgress,
    onStart: (pipeline: Pipeline) => void,
  ): Promise<PipelineResult> {
    try {
      const { writer, quarantine, layout } = await openTable(config, lake, this.runtime, {
        again: run.hasOpened,
      })
      run.hasOpened = true
      if (writer !== null) await publishTableOpened(config, writer.table)
      const source = this.createSource(config)
      try {
        const before = this.metrics.get(config.name) ?? createIngestMetrics()
        const pipeline = new Pipeline(config, {
          source,
          writer,
          quarantine,
          layout,
          runtime: this.runtime,
          badRecordsBefore: before.badRecords - run.badRecordsBefore,
          threads: run.threads.slice(
            0,
            this.options.threads === undefined ? this.threadCountOf(config) : undefined,
          ),
        })
        onStart(pipeline)
        this.metrics.set(config.name, pipeline.metrics)
        try {
          const store = writer?.table.store ?? null
          return await withTableCare(config, store, this.runtime, () => pipeline.run(options))
        } finally {
          this.metrics.set(config.name, sumIngestMetrics([before, pipeline.metrics]))
        }
      } finally {
        await source.close()
      }
    } finally {
      await lake.close()
    }
  }
}
