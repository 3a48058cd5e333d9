/**
 * Where a run's cuts go, by `delta.write_mode`: each into a commit of its own; all into one at the end; or nowhere, in a
 * dry run.
 *
 * @module
 */
import type { Runtime } from '@stream-ingest/delta'
import type { PipelineConfig } from '../config/ingest-config.ts'
import type { EpochOutcome, TableWriter } from '../delta/table-writer.ts'
import type { MessageSource, TopicPartition } from '../kafka/message-source.ts'
import { type FlushReason, publish } from '../observe/event.ts'
import type { EpochCut } from './epoch.ts'
import { commitEpoch, epochColumns, keepUpLog, publishPlannedSchema } from './epoch-commit.ts'
import { countCut, type IngestMetrics } from './ingest-metrics.ts'
import type { Quarantine } from './quarantine.ts'
import { appIdOf } from './start-position.ts'
import type { TableProgress } from './table-progress.ts'

export type SinkOutcome =
  | { readonly status: 'taken' }
  | Exclude<EpochOutcome, { readonly status: 'committed' }>

/** How a run ended: `cut-short` where it was told to stop, or out of time, before what it was to read. */
export type RunEnd = 'complete' | 'cut-short'

export interface EpochSink {
  /** Must the table know where reading starts before anything else? */
  readonly recordsStart: boolean
  /** Next offset by app id, where reading goes on. */
  knownOffsets(): ReadonlyMap<string, bigint>
  /** Takes a cut, all or nothing. One at a time, in order. */
  write(cut: EpochCut, reason: FlushReason): Promise<SinkOutcome>
  /** After the last cut. */
  finish(end: RunEnd): Promise<void>
  /** After a failure: nothing more comes. */
  abandon(): void
  /** Waits for what runs beside: the group's offsets. Never throws. */
  settle(): Promise<void>
}

export interface SinkContext {
  readonly config: PipelineConfig
  readonly source: MessageSource
  readonly runtime: Runtime
  /** Null where no bad record goes there. */
  readonly quarantine: Quarantine | null
  readonly tableProgress: TableProgress
  readonly metrics: IngestMetrics
}

/** Offsets that the table holds, by app id. */
export function tableOffsets(writer: TableWriter | null): Map<string, bigint> {
  const offsets = new Map<string, bigint>()
  for (const [appId, txn] of writer?.table.state.txns ?? []) offsets.set(appId, txn.version)
  return offsets
}

/** Offsets that this run itself has come to, by app id. */
export function runOffsets({ config, tableProgress }: SinkContext): Map<string, bigint> {
  const offsets = new Map<string, bigint>()
  for (const [tp, nextOffset] of tableProgress.positions()) {
    offsets.set(appIdOf(config.pipelineId, tp), nextOffset)
  }
  return offsets
}

/** Every cut a commit. */
export class AppendSink implements EpochSink {
  readonly recordsStart = true
  private readonly context: SinkContext
  private readonly writer: TableWriter
  private readonly groupOffsets: GroupOffsets
  private epochNumber = 0

  constructor(context: SinkContext, writer: TableWriter) {
    this.context = context
    this.writer = writer
    this.groupOffsets = new GroupOffsets(context)
  }

  knownOffsets(): ReadonlyMap<string, bigint> {
    return tableOffsets(this.writer)
  }

  async write(cut: EpochCut, reason: FlushReason): Promise<SinkOutcome> {
    const { writer } = this
    const { config, runtime, quarantine, tableProgress, metrics } = this.context
    const pipeline = config.name
    const starts = tableProgress.takeUnrecorded()
    const columns = epochColumns(cut, {
      pipelineId: config.pipelineId,
      epochNumber: ++this.epochNumber,
      committed: tp => tableProgress.committedOffset(tp),
      starts,
    })
    const outcome = await commitEpoch({ cut, columns, reason, pipeline, writer, quarantine, runtime })
    if (outcome.status !== 'committed') return outcome
    // Crash from here on: the commit stands, and the next start reads its offsets from the table.
    tableProgress.commit(cut, starts)
    metrics.commits++
    metrics.conflicts += outcome.attemptCount - 1
    countCut(metrics, cut.counts, outcome.files)
    await keepUpLog(writer, pipeline, outcome.version, runtime)
    this.groupOffsets.commit(tableProgress.committedOffsets())
    return { status: 'taken' }
  }

  async finish(): Promise<void> {}

  abandon(): void {}

  settle(): Promise<void> {
    return this.groupOffsets.settle()
  }
}

/** Nothing is written; what would be is encoded and counted. */
export class DryRunSink implements EpochSink {
  readonly recordsStart = false
  private readonly context: SinkContext
  private readonly writer: TableWriter | null
  private epochNumber = 0

  /** @param writer null where there is no table */
  constructor(context: SinkContext, writer: TableWriter | null) {
    this.context = context
    this.writer = writer
  }

  knownOffsets(): ReadonlyMap<string, bigint> {
    return this.context.config.delta.writeMode === 'overwrite'
      ? runOffsets(this.context)
      : tableOffsets(this.writer)
  }

  async write(cut: EpochCut): Promise<SinkOutcome> {
    const { config, tableProgress, metrics } = this.context
    const columns = epochColumns(cut, {
      pipelineId: config.pipelineId,
      epochNumber: ++this.epochNumber,
      committed: tp => tableProgress.committedOffset(tp),
    })
    countCut(metrics, cut.counts, this.writer?.planEpoch(columns) ?? [])
    publishPlannedSchema(config.name, cut)
    tableProgress.commit(cut)
    return { status: 'taken' }
  }

  async finish(): Promise<void> {}

  abandon(): void {}

  async settle(): Promise<void> {}
}

/**
 * The group's offsets, for lag tools: one request at a time, beside everything else. Where commits come faster than Kafka
 * answers, only the newest offsets wait: those in between are of no use to anyone.
 */
export class GroupOffsets {
  private readonly context: Pick<SinkContext, 'config' | 'source'>
  private waiting: ReadonlyMap<TopicPartition, bigint> | null = null
  private sending: Promise<void> | null = null

  constructor(context: Pick<SinkContext, 'config' | 'source'>) {
    this.context = context
  }

  commit(offsets: ReadonlyMap<TopicPartition, bigint>): void {
    this.waiting = offsets
    this.sending ??= this.send()
  }

  async settle(): Promise<void> {
    await this.sending
  }

  private async send(): Promise<void> {
    const { source, config } = this.context
    while (this.waiting !== null) {
      const offsets = this.waiting
      this.waiting = null
      try {
        // Crash here: the group's offsets stay behind; nobody but lag tools reads them.
        await source.commitGroupOffsets(offsets)
      } catch (error) {
        publish('group-offsets:failed', { pipeline: config.name, error })
      }
    }
    this.sending = null
  }
}
