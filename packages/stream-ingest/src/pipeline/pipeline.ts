/**
 * The loop that moves one pipeline's topics into its table.
 *
 * Two epochs at most: while one is encoded, uploaded and committed, the next is fetched and decoded. Commits happen in
 * order. The loop pulls; nothing interrupts it. Its states and their recovery:
 *
 *     read → decode → cut? → (wait for the commit before) → start this one → read …
 *     dropped (fenced, or the table's schema is another one): drop both epochs, re-read the table, seek to its offsets,
 *     go on
 *
 * Decoding is on this thread, or on others (`thread-decoding.ts`); then an epoch that they cannot decide alone is read and
 * decoded again here.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { Runtime } from '@stream-ingest/delta'
import type { PipelineConfig } from '../config/ingest-config.ts'
import type { TableLayout } from '../config/table-layout.ts'
import type { TableWriter } from '../delta/table-writer.ts'
import { KafkaError } from '../error.ts'
import type { MessageSource, TopicPartition } from '../kafka/message-source.ts'
import { type FlushReason, publish } from '../observe/event.ts'
import { BadRecordLimits } from './bad-record-limits.ts'
import { createSink } from './create-sink.ts'
import { Decoders } from './decoders.ts'
import type { Decoding } from './decoding.ts'
import { DroppedEpochs } from './dropped-epochs.ts'
import type { EpochCut } from './epoch.ts'
import type { EpochSink, RunEnd } from './epoch-sink.ts'
import { type FlushLimits, flushLimits, flushReason } from './flush-policy.ts'
import { createIngestMetrics, type IngestMetrics } from './ingest-metrics.ts'
import { ProgressReport } from './progress-report.ts'
import type { Quarantine } from './quarantine.ts'
import { publishRead } from './read-event.ts'
import { RunEnds } from './run-ends.ts'
import { layoutFor } from './schema-growth.ts'
import { planStart } from './start-position.ts'
import { type EndOffsets, type PartitionProgress, TableProgress } from './table-progress.ts'
import type { DecodeThread } from './thread-pool.ts'

export type { PartitionProgress } from './table-progress.ts'

/** Longest wait for data in one turn: the bound on how late a stop, a deadline or an age is noticed. */
const READ_WAIT_MAX_MS = 1_000
/** How often topics are looked up again for new partitions. */
const ASSIGNMENT_REFRESH_MS = 30_000
/** Times in a row that another writer of this pipeline was first, before this process gives up. */
const FENCED_IN_A_ROW_MAX = 100
/** Share of the memory limit that one read may bring. */
const READ_MEMORY_SHARE = 0.1

export interface PipelineDependencies {
  readonly source: MessageSource
  /** Null in a dry run on a table that does not exist yet. */
  readonly writer: TableWriter | null
  /** Where bad records go; null where they do not, or nothing is written. */
  readonly quarantine?: Quarantine | null
  readonly layout: TableLayout
  readonly runtime: Runtime
  /** Bad records of the run before this attempt at it; none by default. */
  readonly badRecordsBefore?: number
  /** To decode and encode on; none by default, and in a dry run. */
  readonly threads?: readonly DecodeThread[]
}

export interface RunOptions {
  /** Stop at the end offsets that are seen at the start. */
  readonly untilLatest?: boolean
  /** Stop fetching after this long and commit what is there. */
  readonly runtimeLimitMs?: number
  /** Aborted: stop fetching, commit what is there, end. */
  readonly signal?: AbortSignal
}

export interface PipelineResult {
  readonly name: string
  readonly table: string
  /** Null where a dry run found no table. */
  readonly version: number | null
  readonly partitions: readonly PartitionProgress[]
  readonly metrics: IngestMetrics
}

/** `dropped`: what was decoded is in the table already or does not fit it any more, and is read again from the table on. */
type CommitStatus = 'committed' | 'dropped'

interface InFlight {
  readonly cut: EpochCut
  readonly done: Promise<CommitStatus>
  isSettled: boolean
}

export class Pipeline {
  readonly metrics: IngestMetrics = createIngestMetrics()
  private readonly config: PipelineConfig
  private readonly deps: PipelineDependencies
  private readonly decoders: Decoders
  private readonly limits: FlushLimits
  private readonly tableProgress = new TableProgress()
  private readonly sink: EpochSink
  private readonly report: ProgressReport
  private ends: RunEnds | null = null
  private inFlight: InFlight | null = null
  private readonly dropped: DroppedEpochs
  private readonly badLimits: BadRecordLimits

  constructor(config: PipelineConfig, deps: PipelineDependencies) {
    this.config = config
    this.deps = deps
    this.limits = flushLimits(config)
    this.sink = createSink(
      {
        config,
        source: deps.source,
        runtime: deps.runtime,
        quarantine: deps.quarantine ?? null,
        tableProgress: this.tableProgress,
        metrics: this.metrics,
      },
      deps.writer,
    )
    this.badLimits = new BadRecordLimits(config, deps.badRecordsBefore)
    this.report = new ProgressReport(config.name, deps.source, this.tableProgress, deps.runtime)
    this.dropped = new DroppedEpochs(config.pipelineId, this.tableUri, FENCED_IN_A_ROW_MAX)
    const context = {
      config,
      limits: this.limits,
      runtime: deps.runtime,
      badLimits: this.badLimits,
      tableUri: this.tableUri,
      stages: this.metrics.stages,
      progressed: () => this.tellProgress(),
    }
    this.decoders = new Decoders(context, deps.layout, deps.writer, deps.threads ?? [])
  }

  /**
   * Runs until stopped, caught up, out of time or failed. Whatever ends it, what the table holds is a prefix of each
   * topic partition, and the next run goes on from there.
   */
  async run(options: RunOptions = {}): Promise<PipelineResult> {
    const { source, writer } = this.deps
    try {
      await source.open()
      await this.seekToTable(source.assignment)
      publish('pipeline:started', {
        pipeline: this.config.name,
        table: this.tableUri,
        consumerGroup: this.config.kafka.consumerGroup,
        version: writer?.table.state.version ?? null,
        partitionCount: source.assignment.length,
      })
      await this.recordStart()
      await this.sink.finish(await this.loop(options))
      await this.sink.settle()
      const result = await this.result()
      publish('pipeline:stopped', {
        pipeline: this.config.name,
        table: this.tableUri,
        version: result.version,
        rowCount: this.metrics.rows,
        commitCount: this.metrics.commits,
      })
      return result
    } catch (error) {
      // A failure in the loop must not leave a commit running behind the caller's back; its outcome is in the table.
      await this.inFlight?.done.catch(() => {})
      // The group is told how far the table came, unless it is Kafka that is gone.
      if (!(error instanceof KafkaError && error.isRetryable())) await this.sink.settle()
      this.sink.abandon()
      throw error
    } finally {
      this.decoders.close()
      this.countStages()
    }
  }

  private get decoding(): Decoding {
    return this.decoders.current
  }

  private tellProgress(): void {
    this.report.tell(this.decoding, this.inFlight?.cut.buffered)
  }

  private countStages(): void {
    Object.assign(this.metrics.stages, this.deps.writer?.stages)
  }

  private get tableUri(): string {
    return this.deps.writer?.table.store.uri ?? this.config.delta.tableName
  }

  private async loop(options: RunOptions): Promise<RunEnd> {
    const { source, runtime } = this.deps
    const startedMs = runtime.monotonicMs()
    const runtimeLimitMs =
      options.runtimeLimitMs ?? this.config.processing.runtimeLimitMs ?? Number.POSITIVE_INFINITY
    if (options.untilLatest === true) this.ends = await RunEnds.ask(source, tp => this.position(tp))
    let refreshedMs = startedMs
    for (;;) {
      // A failed or dropped commit is met in the next turn, not only when the next one is due.
      if (this.inFlight?.isSettled === true) await this.settle()
      this.tellProgress()
      const stopRequested = options.signal?.aborted === true
      const deadlineReached = runtime.monotonicMs() - startedMs >= runtimeLimitMs
      const endReached = this.ends?.isReached === true
      const reason = this.dueFlush(stopRequested, deadlineReached, endReached)
      let dropped = reason !== null && (await this.cut(reason)) === 'dropped'
      if (stopRequested || deadlineReached || endReached) {
        dropped ||= (await this.settle()) === 'dropped'
        // The positions are others than before then: the end may not be reached after all.
        if (dropped && endReached && !stopRequested && !deadlineReached) continue
        const tooMany = endReached ? this.badLimits.exceededAtEnd(this.tableUri) : null
        if (tooMany !== null) throw tooMany
        return endReached || (deadlineReached && this.ends === null) ? 'complete' : 'cut-short'
      }
      try {
        await this.readAndDecode(startedMs, runtimeLimitMs, options.signal)
      } catch (error) {
        if (!(error instanceof KafkaError)) throw error
        // What came before is sound: without it, each start would read it again and stop at the same place.
        if ((await this.commitRest(error)) !== 'dropped') throw error
      }
      if (runtime.monotonicMs() - refreshedMs >= ASSIGNMENT_REFRESH_MS) {
        refreshedMs = runtime.monotonicMs()
        await this.takeNewPartitions(await source.refreshAssignment())
      }
    }
  }

  private async readAndDecode(
    startedMs: number,
    runtimeLimitMs: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { runtime } = this.deps
    if (this.decoding.isEmpty) {
      const ageLeftMs = this.decoding.hasProgress
        ? this.limits.ageMs - this.decoding.ageMs(runtime.now())
        : READ_WAIT_MAX_MS
      const timeLeftMs = runtimeLimitMs - (runtime.monotonicMs() - startedMs)
      await this.read(Math.max(0, Math.min(READ_WAIT_MAX_MS, ageLeftMs, timeLeftMs)), signal)
    }
    await this.decode()
  }

  /** Reading failed: commits what was read before. A second failure, of the store, is less than the first. */
  private async commitRest(failure: KafkaError): Promise<CommitStatus | 'none'> {
    try {
      if (this.decoding.hasProgress && (await this.cut('stop')) === 'dropped') return 'dropped'
      return await this.settle()
    } catch {
      throw failure
    }
  }

  private dueFlush(
    stopRequested: boolean,
    deadlineReached: boolean,
    endReached: boolean,
  ): FlushReason | null {
    const facts = this.decoding.flushFacts(this.deps.writer?.encodedRatio ?? 0.5, this.deps.runtime.now())
    return flushReason({ ...facts, stopRequested, deadlineReached, endReached }, this.limits)
  }

  private async read(maxWaitMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { source, runtime } = this.deps
    const startedMs = runtime.monotonicMs()
    const chunks = await source.read({
      maxBytes: Math.ceil(this.config.processing.memoryLimitBytes * READ_MEMORY_SHARE),
      maxWaitMs,
      ...(signal === undefined ? {} : { signal }),
    })
    const waitMs = runtime.monotonicMs() - startedMs
    this.metrics.stages.fetchWaitMs += waitMs
    for (const chunk of chunks) {
      this.metrics.bytesRead += chunk.sizeBytes
      publishRead(this.config.name, chunk, waitMs)
    }
    this.decoding.push(chunks)
    for (const { topicPartition } of chunks) this.ends?.settle(topicPartition)
    for (const { topicPartition, wantedOffset, resumedOffset } of source.takeLosses()) {
      if (resumedOffset < wantedOffset) await this.rewind(topicPartition, wantedOffset, resumedOffset)
      this.ends?.settle(topicPartition)
      this.metrics.lostOffsets += resumedOffset > wantedOffset ? resumedOffset - wantedOffset : 0n
      publish('offsets:lost', {
        pipeline: this.config.name,
        topic: topicPartition.topic,
        partition: topicPartition.partition,
        wantedOffset,
        resumedOffset,
      })
    }
    if (chunks.length === 0) await this.ends?.recheck()
  }

  /** The log was truncated below what the table holds, and the configuration allows going on: the table must know. */
  private async rewind(tp: TopicPartition, wantedOffset: bigint, resumedOffset: bigint): Promise<void> {
    if (this.decoding.nextOffset(tp) !== null || this.decoding.endsAt(tp, wantedOffset)) {
      throw new KafkaError(
        'KAFKA_OFFSET_OUT_OF_RANGE',
        `\`${tp.topic}-${tp.partition}\` was truncated below ${wantedOffset} while it was read`,
        {
          hint: 'start again: it goes on from what the table holds, by `kafka.on_offset_out_of_range`',
          context: { topic: tp.topic, partition: tp.partition, wantedOffset, resumedOffset },
        },
      )
    }
    if (this.config.processing.dryRun || this.deps.writer === null) {
      this.tableProgress.moveUnwritten(tp, resumedOffset)
      return
    }
    this.tableProgress.moveUnrecorded(tp, resumedOffset)
    if ((await this.cut('start')) === 'started') await this.settle()
  }

  private async decode(): Promise<void> {
    const outcome = await this.decoding.decode()
    if (outcome.status === 'inline') await this.goInline()
    // What ends the run is met after everything before the bad record was committed; the next run starts at it.
    if (outcome.status !== 'stop') return
    const dropped =
      (this.decoding.hasProgress && (await this.cut('stop')) === 'dropped') ||
      (await this.settle()) === 'dropped'
    // Another writer took over in the meantime and has met the record itself, or the record is met again; the table says
    // where to go on.
    if (!dropped) throw outcome.error
  }

  /** Takes the epoch and starts its commit, once the one before is through; `dropped` means that there is none left. */
  private async cut(reason: FlushReason): Promise<'started' | 'dropped'> {
    if ((await this.settle()) === 'dropped') return 'dropped'
    const cut = await this.decoding.cut()
    if (cut === null) {
      await this.goInline()
      return 'dropped'
    }
    this.report.countTaken(cut.counts.messages)
    this.start(cut, reason)
    this.decoders.leaveInline()
    return 'started'
  }

  /** What threads have decoded since the last cut is read again, and decoded here. */
  private async goInline(): Promise<void> {
    if ((await this.settle()) === 'dropped') return
    this.decoders.goInline()
    const { source } = this.deps
    for (const tp of source.assignment) source.seek(tp, this.position(tp))
  }

  private start(cut: EpochCut, reason: FlushReason): void {
    this.badLimits.add(cut.counts)
    const inFlight: InFlight = { cut, done: this.commit(cut, reason), isSettled: false }
    // A failure is met in `settle`; until then it must not count as unhandled.
    const note = (): void => {
      inFlight.isSettled = true
    }
    inFlight.done.then(note, note)
    this.inFlight = inFlight
  }

  /** Waits for the commit that is under way. One that was dropped takes with it everything that was decoded since. */
  private async settle(): Promise<CommitStatus | 'none'> {
    if (this.inFlight === null) return 'none'
    const { done, cut } = this.inFlight
    try {
      const outcome = await done
      this.inFlight = null
      if (outcome === 'dropped') {
        this.badLimits.takeBack(cut.counts)
        await this.restartFromTable()
      } else this.decoders.recycle(cut)
      return outcome
    } finally {
      this.inFlight = null
    }
  }

  private async commit(cut: EpochCut, reason: FlushReason): Promise<CommitStatus> {
    const outcome = await this.sink.write(cut, reason)
    this.countStages()
    if (outcome.status === 'taken') {
      this.dropped.reset()
      return 'committed'
    }
    if (outcome.status === 'fenced') this.metrics.fenced++
    this.dropped.note(outcome)
    return 'dropped'
  }

  /** Everything in hand may be in the table already, or does not fit it: it is read again from the table on. */
  private async restartFromTable(): Promise<void> {
    const { source, writer, runtime } = this.deps
    assert(writer !== null)
    this.report.countTaken(this.decoding.messageCount)
    await this.dropped.wait(runtime)
    await writer.table.reload()
    this.decoders.restart(layoutFor(this.config, this.deps.layout, writer.table.state))
    await this.seekToTable(source.assignment)
  }

  private async seekToTable(partitions: readonly TopicPartition[]): Promise<void> {
    const { source } = this.deps
    const { offsets, unknownTopicIds } = await planStart(
      this.config.kafka,
      this.config.pipelineId,
      source,
      partitions,
      this.sink.knownOffsets(),
    )
    if (unknownTopicIds.length > 0) {
      publish('topic:unknown-offsets', { pipeline: this.config.name, topicIds: unknownTopicIds })
    }
    for (const [tp, start] of offsets) {
      this.tableProgress.start(tp, start)
      source.seek(tp, start.nextOffset)
    }
  }

  private async takeNewPartitions(added: readonly TopicPartition[]): Promise<void> {
    if (added.length === 0) return
    await this.seekToTable(added)
    publish('assignment:changed', {
      pipeline: this.config.name,
      added: added.map(({ topic, partition }) => ({ topic, partition })),
    })
  }

  /**
   * Under any policy but `earliest` the start must be in the table before anything else: a crash before the first
   * commit would otherwise start at a later `latest` and lose what came between.
   */
  private async recordStart(): Promise<void> {
    if (!this.tableProgress.hasUnrecorded || this.config.kafka.autoOffsetReset === 'earliest') return
    if (!this.sink.recordsStart) return
    if ((await this.cut('start')) === 'started') await this.settle()
  }

  /** The next offset to decode. */
  private position(tp: TopicPartition): bigint {
    const inEpoch = this.decoding.nextOffset(tp)
    if (inEpoch !== null) return inEpoch
    const underway = this.inFlight?.cut.ranges.find(r => r.topicPartition === tp)
    return underway?.nextOffset ?? this.tableProgress.nextOffset(tp)
  }

  private async result(): Promise<PipelineResult> {
    const { source } = this.deps
    let ends: EndOffsets | null = null
    try {
      ends = await source.endOffsets()
    } catch {
      // The run is complete and Kafka went away meanwhile: lag is unknown, and that is what is reported.
    }
    return this.progress(ends)
  }

  /**
   * How far it came, asking nobody: partitions that were never started are missing.
   * @param ends where Kafka's partitions end, as far as known
   */
  progress(ends: EndOffsets | null = null): PipelineResult {
    const { source, writer } = this.deps
    return {
      name: this.config.name,
      table: this.tableUri,
      version: writer?.table.state.version ?? null,
      metrics: this.metrics,
      partitions: this.tableProgress.describe(source.assignment, ends),
    }
  }
}
