/**
 * The public class: one configuration, all of its pipelines, from Kafka to the tables.
 *
 * @module
 */
import {
  assertWritable,
  createParquetEncoder,
  DeltaTable,
  ensureConditionalPut,
  type ObjectStore,
  type Runtime,
  systemRuntime,
} from '@stream-ingest/delta'
import type { IngestConfig } from '../config/config.ts'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { adoptTableSchema, resolveTableLayout, type TableLayout } from '../config/table-layout.ts'
import { tablePath } from '../config/table-path.ts'
import { TableWriter } from '../delta/table-writer.ts'
import { ConfigError, DeltaError, StreamIngestError } from '../error.ts'
import { createKafkaSource } from '../kafka/kafka-source.ts'
import type { MessageSource } from '../kafka/message-source.ts'
import { openLakeStore } from '../s3/lake-store.ts'
import { createIngestMetrics, type IngestMetrics, sumIngestMetrics } from './ingest-metrics.ts'
import { Pipeline, type PipelineResult, type RunOptions } from './pipeline.ts'

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

export interface ProcessorOptions {
  readonly runtime?: Runtime
  /** In place of Kafka: tests, Lambda events. */
  readonly createSource?: (config: PipelineConfig) => MessageSource
  /** In place of S3 or the local directory; rooted where the tables' folders are. */
  readonly createStore?: (config: PipelineConfig) => ObjectStore
  /** Around whichever store is used: fault injection. */
  readonly wrapStore?: (store: ObjectStore) => ObjectStore
}

/** Health of one part; `detail` says why not. */
export interface HealthReport {
  readonly healthy: boolean
  readonly parts: readonly { readonly name: string; readonly healthy: boolean; readonly detail: string }[]
}

export class StreamIngestProcessor {
  private readonly pipelines: readonly PipelineConfig[]
  private readonly runtime: Runtime
  private readonly options: ProcessorOptions
  private readonly metrics = new Map<string, IngestMetrics>()
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
    const runs = this.pipelines.map(async config => {
      const { result, table, error } = await this.runPipeline(config, runOptions)
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

  /** Asks each pipeline's broker, store and table, once, reading only. */
  async healthCheck(): Promise<HealthReport> {
    const parts: HealthReport['parts'][number][] = []
    const check = async (name: string, ask: () => Promise<string>): Promise<void> => {
      try {
        parts.push({ name, healthy: true, detail: await ask() })
      } catch (error) {
        const known = StreamIngestError.from(error)
        parts.push({ name, healthy: false, detail: `${known.code}: ${known.message}` })
      }
    }
    for (const config of this.pipelines) {
      await check(`${config.name} kafka`, async () => {
        const source = this.createSource(config)
        try {
          await source.open()
          return `${source.assignment.length} partitions`
        } finally {
          await source.close()
        }
      })
      await check(`${config.name} table`, async () => {
        const lake = this.createStore(config)
        try {
          const table = await DeltaTable.open(lake.at(config.delta.tableName), { runtime: this.runtime })
          return table === null ? 'not created yet' : `version ${table.state.version}`
        } finally {
          await lake.close()
        }
      })
    }
    return { healthy: parts.every(p => p.healthy), parts }
  }

  /** Counters of all runs of this processor so far, also while one is under way. */
  getMetrics(): IngestMetrics {
    return sumIngestMetrics([...this.metrics.values()])
  }

  /** Stops what is running, waits until it has committed what it holds. */
  async close(): Promise<void> {
    this.stop.abort()
    await Promise.allSettled(this.running)
  }

  private createSource(config: PipelineConfig): MessageSource {
    return this.options.createSource?.(config) ?? createKafkaSource(config.kafka, { runtime: this.runtime })
  }

  private createStore(config: PipelineConfig): ObjectStore {
    const store = this.options.createStore?.(config) ?? openLakeStore(config.s3, config.processing)
    return this.options.wrapStore?.(store) ?? store
  }

  /** Throws nothing. */
  private async runPipeline(config: PipelineConfig, options: RunOptions): Promise<PipelineOutcome> {
    let table = tablePath(config.s3, config.delta.tableName)
    let pipeline: Pipeline | null = null
    try {
      const lake = this.createStore(config)
      table = lake.at(config.delta.tableName).uri
      const result = await this.runOn(lake, config, options, started => {
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
    lake: ObjectStore,
    config: PipelineConfig,
    options: RunOptions,
    onStart: (pipeline: Pipeline) => void,
  ): Promise<PipelineResult> {
    try {
      const { writer, layout } = await this.openTable(config, lake.at(config.delta.tableName))
      const source = this.createSource(config)
      try {
        const pipeline = new Pipeline(config, { source, writer, layout, runtime: this.runtime })
        onStart(pipeline)
        const before = this.metrics.get(config.name) ?? createIngestMetrics()
        this.metrics.set(config.name, pipeline.metrics)
        try {
          return await pipeline.run(options)
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

  /** The table, created where the configuration allows it; nothing is written in a dry run. */
  private async openTable(
    config: PipelineConfig,
    store: ObjectStore,
  ): Promise<{ writer: TableWriter | null; layout: TableLayout }> {
    const { delta, processing } = config
    const { runtime } = this
    if (!processing.dryRun) await ensureConditionalPut(store, { random: runtime.uuid, now: runtime.now })
    let table = await DeltaTable.open(store, { runtime })
    const layout = layoutOf(config, table)
    if (table === null && !processing.dryRun) {
      if (!delta.createTable) {
        throw new DeltaError(
          'DELTA_TABLE_NOT_FOUND',
          `there is no Delta table at ${store.uri}, and \`delta.create_table\` is false`,
          { hint: 'create the table, correct `delta.table_name`, or remove `delta.create_table: false`' },
        )
      }
      const spec = {
        schema: layout.schema,
        partitionColumns: delta.partitionColumns,
        properties: delta.tableProperties,
        name: delta.tableName,
      }
      table = (await DeltaTable.openOrCreate(store, spec, { runtime })).table
    }
    if (table === null) return { writer: null, layout }
    // A commit asks again; asked here, a table that cannot be written is refused before anything is read.
    assertWritable(table.state.protocol, table.state.metadata, table.state.schema)
    const writer = new TableWriter(table, createParquetEncoder(), runtime, {
      schema: layout.schema,
      partitionColumns: delta.partitionColumns,
      codec: processing.compression,
      ...(processing.compressionLevel === undefined ? {} : { compressionLevel: processing.compressionLevel }),
      targetFileSizeBytes: delta.targetFileSizeBytes,
      ...(delta.checkpointInterval === undefined ? {} : { checkpointInterval: delta.checkpointInterval }),
      queryId: config.pipelineId,
    })
    return { writer, layout }
  }
}

/** The configured columns, or those of the table where the configuration declares none. */
function layoutOf(config: PipelineConfig, table: DeltaTable | null): TableLayout {
  const { delta } = config
  if (delta.schema !== null) return resolveTableLayout(delta)
  if (table === null) {
    throw new ConfigError(
      'CONFIG_INVALID',
      `pipeline \`${config.name}\` declares no \`delta.schema\`, and the table \`${delta.tableName}\` does not exist`,
      { hint: 'declare `delta.schema`, or create the table first' },
    )
  }
  return resolveTableLayout(adoptTableSchema(delta, table.state.schema))
}
