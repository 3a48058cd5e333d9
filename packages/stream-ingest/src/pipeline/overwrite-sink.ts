/**
 * The cuts of a run that replaces its table (`delta.write_mode: overwrite`): uploaded as they come, committed at the end.
 *
 * The run starts by `kafka.auto_offset_reset` whatever offsets the table holds, and its commit puts the offsets that it
 * came to in their place.
 *
 * @module
 */
import type { PipelineConfig } from '../config/ingest-config.ts'
import type { TableOverwriter } from '../delta/table-overwriter.ts'
import type { TableWriter } from '../delta/table-writer.ts'
import { ConfigError, DeltaError, KafkaError } from '../error.ts'
import { type FlushReason, publish } from '../observe/event.ts'
import type { EpochCut } from './epoch.ts'
import { commitMetrics, epochColumns, keepUpLog, publishCut } from './epoch-commit.ts'
import {
  type EpochSink,
  GroupOffsets,
  type RunEnd,
  runOffsets,
  type SinkContext,
  type SinkOutcome,
} from './epoch-sink.ts'
import { countCut, createIngestMetrics, messageCounts } from './ingest-metrics.ts'
import type { RunOptions } from './pipeline.ts'

/**
 * Refuses a run without an end that is to replace its table.
 *
 * @throws ConfigError `CONFIG_CONFLICT`
 */
export function assertBounded(config: PipelineConfig, options: RunOptions): void {
  if (config.delta.writeMode !== 'overwrite' || options.untilLatest === true) return
  if ((options.runtimeLimitMs ?? config.processing.runtimeLimitMs) !== undefined) return
  throw new ConfigError(
    'CONFIG_CONFLICT',
    `pipeline \`${config.name}\` replaces its table at the end of the run (\`delta.write_mode: overwrite\`), and this run has no end`,
    {
      hint: 'run with `--until-latest` or `--for 10m`, set `processing.runtime_limit_ms`, or write `write_mode: append`',
    },
  )
}

/** Begun again, a run that ends by time would replace the table by the rows of what time is left. */
export function mayBeginAgain(config: PipelineConfig, options: RunOptions): boolean {
  return config.delta.writeMode !== 'overwrite' || options.untilLatest === true
}

export class OverwriteSink implements EpochSink {
  readonly recordsStart = false
  private readonly context: SinkContext
  private readonly writer: TableWriter
  private readonly overwriter: TableOverwriter
  private readonly groupOffsets: GroupOffsets
  private readonly taken = createIngestMetrics()
  private lastReason: FlushReason = 'end'
  private newestRecordMs: number | null = null
  private epochNumber = 0

  constructor(context: SinkContext, writer: TableWriter) {
    this.context = context
    this.writer = writer
    this.overwriter = writer.beginOverwrite()
    this.groupOffsets = new GroupOffsets(context)
  }

  knownOffsets(): ReadonlyMap<string, bigint> {
    return runOffsets(this.context)
  }

  async write(cut: EpochCut, reason: FlushReason): Promise<SinkOutcome> {
    const { config, quarantine, tableProgress } = this.context
    const pipeline = config.name
    publishCut(pipeline, cut, reason)
    const encodedBeforeMs = this.writer.stages.encodeMs
    const starts = tableProgress.takeUnrecorded()
    const columns = epochColumns(cut, {
      pipelineId: config.pipelineId,
      epochNumber: ++this.epochNumber,
      committed: tp => tableProgress.committedOffset(tp),
      starts,
    })
    // Crash here and until the end: records in the quarantine that count nowhere, as the files do.
    if (cut.quarantined !== null) await quarantine?.putPart(cut.quarantined, cut.ranges, this.writer)
    const files = await this.overwriter.take(columns)
    for (const file of files) publish('file:written', { pipeline, ...file })
    tableProgress.commit(cut, starts)
    countCut(this.taken, cut.counts, files)
    this.lastReason = reason
    const { newestRecordMs } = cut
    if (newestRecordMs !== null)
      this.newestRecordMs = Math.max(newestRecordMs, this.newestRecordMs ?? newestRecordMs)
    const { rows: rowCount } = cut.counts
    const sizeBytes = files.reduce((total, file) => total + file.sizeBytes, 0)
    const encodeMs = this.writer.stages.encodeMs - encodedBeforeMs
    publish('overwrite:uploaded', {
      pipeline,
      rowCount,
      fileCount: files.length,
      sizeBytes,
      encodeMs,
      reason,
    })
    return { status: 'taken' }
  }

  async finish(end: RunEnd): Promise<void> {
    const { uri } = this.writer.table.store
    if (end === 'cut-short') {
      throw new DeltaError(
        'OVERWRITE_UNFINISHED',
        `the run ended before all that was to replace the rows of ${uri} was read: the table is as it was`,
        { context: { table: uri } },
      )
    }
    try {
      await this.replaceTable()
    } catch (error) {
      publish('commit:failed', { pipeline: this.context.config.name, error })
      throw error
    }
  }

  private async replaceTable(): Promise<void> {
    const { config, runtime, quarantine, metrics, tableProgress } = this.context
    const pipeline = config.name
    const { uri } = this.writer.table.store
    const startedMs = runtime.monotonicMs()
    const { taken, overwriter } = this
    const names = (await quarantine?.namesOfRun(this.writer.table.state.txns)) ?? []
    const outcome = await overwriter.commit(
      {
        offsets: new Map([...runOffsets(this.context), ...names]),
        queryId: config.pipelineId,
        metrics: commitMetrics(taken, this.newestRecordMs),
      },
      { attempted: (version, attempt) => publish('commit:attempted', { pipeline, version, attempt }) },
    )
    if (outcome.status === 'fenced') {
      metrics.fenced++
      throw new KafkaError(
        'PIPELINE_FENCED',
        `another process commits to ${uri} as \`${config.pipelineId}\`: it moved \`${outcome.appId}\` in version ${outcome.winner} while the table was to be replaced, which is as that process left it`,
        // Beginning again would replace what the other process has just written.
        { retryable: false },
      )
    }
    // Crash from here on: the commit stands, with the offsets that an appending run goes on from.
    const { version, attemptCount, schemaChanges } = outcome
    metrics.commits++
    metrics.conflicts += attemptCount - 1
    countCut(metrics, taken, overwriter.files)
    publish('commit:committed', {
      pipeline,
      version,
      rowCount: taken.rows,
      fileCount: taken.files,
      sizeBytes: taken.bytesWritten,
      reason: this.lastReason,
      durationMs: runtime.monotonicMs() - startedMs,
      attemptCount,
      counts: messageCounts(taken),
      encodeMs: 0,
      tableFileCount: this.writer.table.state.fileTotals?.numFiles ?? null,
      newestRecordMs: this.newestRecordMs,
      ranges: tableProgress.ranges(),
    })
    if (schemaChanges.length > 0) publish('schema:evolved', { pipeline, version, changes: schemaChanges })
    // Crash here: records of the table that was replaced stay in the quarantine, and count nowhere.
    await quarantine?.tidy(this.writer.table.state.txns)
    await keepUpLog(this.writer, pipeline, version, runtime)
    this.groupOffsets.commit(tableProgress.positions())
  }

  abandon(): void {
    this.context.tableProgress.forgetCommits()
  }

  settle(): Promise<void> {
    return this.groupOffsets.settle()
  }
}
