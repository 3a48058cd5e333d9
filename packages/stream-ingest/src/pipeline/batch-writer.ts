/**
 * Writes a batch, its beginning and end known: trim, decode, commit, and again from the table where another writer was
 * first. What the loop of `pipeline.ts` does for a stream.
 *
 * @module
 */
import { setImmediate } from 'node:timers/promises'
import type { Runtime } from '@stream-ingest/delta'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { KafkaError } from '../error.ts'
import type { SourceChunk, TopicPartition } from '../kafka/message-source.ts'
import { BadRecordLimits } from './bad-record-limits.ts'
import { type OffsetGap, trimBatch } from './batch-trim.ts'
import { DroppedEpochs } from './dropped-epochs.ts'
import { type BadRecord, Epoch, type EpochCut } from './epoch.ts'
import { commitEpoch, epochColumns, keepUpLog, publishPlannedSchema } from './epoch-commit.ts'
import { type FlushLimits, flushLimits, flushReason } from './flush-policy.ts'
import type { OpenedTable } from './open-table.ts'
import { RecordQueue, recordBatchMaxBytes } from './record-queue.ts'
import { askMergeRules, layoutFor } from './schema-growth.ts'
import { appIdOf, assertFresh } from './start-position.ts'

/** Times in a row that another writer of this pipeline may be first. */
const FENCED_MAX = 20
/** Decoding gives way to I/O after this long. */
const DECODE_SLICE_MS = 10

/** What a batch came to. `messages = rowsWritten + badRecords + skipped`; duplicates are not among them. */
export interface BatchCounts {
  messages: number
  rowsWritten: number
  filesWritten: number
  bytesWritten: number
  /** Commits made: several for a large batch, none where everything was in the table. */
  commits: number
  /** Records that did not fit: left out, or put into the quarantine. */
  badRecords: number
  /** Those of them that are in the quarantine. */
  quarantined: number
  /** Tombstones left out by `on_null_value: skip`. */
  skipped: number
  /** Messages that the table had already, or that the batch held twice. */
  duplicates: number
  /** Records of aborted transactions in the offsets that were passed. */
  filtered: number
  /**
   * Offsets between the table's next one and the batch's first: compaction, transactions, or messages that were never
   * handed in. The writer cannot tell which.
   */
  readonly gaps: OffsetGap[]
}

export function emptyBatchCounts(): BatchCounts {
  return {
    messages: 0,
    rowsWritten: 0,
    filesWritten: 0,
    bytesWritten: 0,
    commits: 0,
    badRecords: 0,
    quarantined: 0,
    skipped: 0,
    duplicates: 0,
    filtered: 0,
    gaps: [],
  }
}

/** `dropped`: what was decoded is in the table already or does not fit it any more; the table says where to go on. */
type Progress = 'done' | 'dropped'

export class BatchWriter {
  private readonly config: PipelineConfig
  private readonly table: OpenedTable
  private readonly runtime: Runtime
  private readonly limits: FlushLimits
  private readonly batchMaxBytes: number
  private readonly epoch: Epoch
  private readonly queue: RecordQueue
  /** How far this batch's own commits came: what the table holds up to there is no duplicate. */
  private readonly own = new Map<TopicPartition, bigint>()
  private counts: BatchCounts = emptyBatchCounts()
  private badLimits: BadRecordLimits
  private epochNumber = 0
  private readonly dropped: DroppedEpochs

  constructor(config: PipelineConfig, table: OpenedTable, runtime: Runtime) {
    this.config = config
    this.table = table
    this.runtime = runtime
    this.limits = flushLimits(config)
    this.batchMaxBytes = recordBatchMaxBytes(config.processing)
    const { onNullValue } = config.processing
    const rules = askMergeRules(config, table.writer?.table ?? null)
    this.epoch = new Epoch(table.layout, onNullValue, this.limits.tablePartitions, rules)
    this.queue = new RecordQueue(this.batchMaxBytes)
    this.badLimits = new BadRecordLimits(config)
    this.dropped = new DroppedEpochs(config.pipelineId, this.tableUri, FENCED_MAX)
  }

  /**
   * Writes what the table does not hold yet. One call at a time.
   *
   * @param counts is added to as commits are made, so that it also tells what a failed call did
   */
  async write(batch: readonly SourceChunk[], counts: BatchCounts): Promise<void> {
    this.counts = counts
    this.own.clear()
    this.dropped.reset()
    this.badLimits = new BadRecordLimits(this.config)
    let chunks = batch
    try {
      for (;;) {
        chunks = this.trim(chunks)
        if ((await this.writeChunks(chunks)) === 'done') {
          const tooMany = this.badLimits.exceededAtEnd(this.tableUri)
          if (tooMany !== null) throw tooMany
          return
        }
        await this.restartFromTable()
      }
    } finally {
      // A call that failed leaves nothing behind for the next one.
      this.forget()
    }
  }

  private trim(chunks: readonly SourceChunk[]): readonly SourceChunk[] {
    const trimmed = trimBatch(
      chunks.flatMap(chunk => this.withoutOwn(chunk)),
      tp => this.startOf(tp),
      this.batchMaxBytes,
    )
    this.counts.duplicates += trimmed.duplicates
    for (const gap of trimmed.gaps) {
      const isKnown = this.counts.gaps.some(
        ({ topic, partition, fromOffset }) =>
          topic === gap.topic && partition === gap.partition && fromOffset === gap.fromOffset,
      )
      if (!isKnown) this.counts.gaps.push(gap)
    }
    return trimmed.chunks
  }

  /** Null where the table holds no offset: the batch is the beginning. */
  private startOf(tp: TopicPartition): bigint | null {
    const { pipelineId } = this.config
    const { writer } = this.table
    if (writer === null) return null
    const nextOffset = writer.nextOffset(appIdOf(pipelineId, tp))
    if (nextOffset === null) assertFresh(pipelineId, tp, writer.table.state.txns.keys())
    return nextOffset
  }

  private withoutOwn(chunk: SourceChunk): SourceChunk[] {
    const own = this.own.get(chunk.topicPartition)
    if (own === undefined || own <= chunk.fromOffset) return [chunk]
    return own >= chunk.nextOffset ? [] : [{ ...chunk, fromOffset: own }]
  }

  private async writeChunks(chunks: readonly SourceChunk[]): Promise<Progress> {
    this.queue.push(chunks)
    try {
      return (await this.decode()) === 'dropped' ? 'dropped' : await this.flush()
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error
      // A batch that is damaged: what came before is sound, and the next call meets the damage again.
      if ((await this.flush()) === 'dropped') return 'dropped'
      throw error
    }
  }

  /** Decodes all there is, with commits where the limits demand them. */
  private async decode(): Promise<Progress> {
    const { epoch, queue, runtime, limits } = this
    let sliceStartedMs = runtime.monotonicMs()
    while (!queue.isEmpty) {
      if (this.dueFlush() !== null && (await this.flush()) === 'dropped') return 'dropped'
      if (!queue.advanceBatch()) {
        epoch.endChunk(queue, runtime.now())
        continue
      }
      const bad = epoch.appendRecords(queue, limits.messages - epoch.messageCount, runtime.now())
      if (bad !== null && (await this.reject(bad)) === 'dropped') return 'dropped'
      if (runtime.monotonicMs() - sliceStartedMs < DECODE_SLICE_MS) continue
      await setImmediate()
      sliceStartedMs = runtime.monotonicMs()
    }
    return 'done'
  }

  private async reject(bad: BadRecord): Promise<Progress> {
    const { config, epoch, queue, runtime } = this
    const verdict = this.badLimits.judge(bad, epoch.tally, this.tableUri)
    if (verdict === 'quarantine') epoch.quarantineLast(queue, bad, config.pipelineId, runtime.now())
    if (verdict === 'quarantine' || verdict === 'skip') return 'done'
    epoch.excludeLast(bad)
    if ((await this.flush()) === 'dropped') return 'dropped'
    throw verdict
  }

  private dueFlush(): ReturnType<typeof flushReason> {
    const facts = {
      ...this.epoch.flushFacts(this.table.writer?.encodedRatio ?? 0.5, this.runtime.now()),
      // The batch is all here: its age decides nothing.
      ageMs: 0,
      stopRequested: false,
      deadlineReached: false,
      endReached: this.queue.isEmpty,
    }
    return flushReason(facts, this.limits)
  }

  /** Commits what is decoded, if it is anything. */
  private async flush(): Promise<Progress> {
    const { config, epoch, runtime } = this
    const { writer, quarantine } = this.table
    const pipeline = config.name
    if (!epoch.hasProgress) return 'done'
    const reason = this.dueFlush() ?? 'stop'
    const cut = epoch.cut()
    const columns = epochColumns(cut, {
      pipelineId: config.pipelineId,
      epochNumber: ++this.epochNumber,
      committed: tp => writer?.nextOffset(appIdOf(config.pipelineId, tp)) ?? null,
    })
    if (writer === null || config.processing.dryRun) {
      this.count(cut, writer?.planEpoch(columns) ?? [])
      publishPlannedSchema(pipeline, cut)
      return 'done'
    }
    const outcome = await commitEpoch({ cut, columns, reason, pipeline, writer, quarantine, runtime })
    if (outcome.status !== 'committed') {
      this.dropped.note(outcome)
      return 'dropped'
    }
    // Crash from here on: the commit stands, and whoever writes the batch again finds it in the table.
    this.dropped.reset()
    for (const { topicPartition, nextOffset } of cut.ranges) this.own.set(topicPartition, nextOffset)
    this.counts.commits++
    this.count(cut, outcome.files)
    await keepUpLog(writer, pipeline, outcome.version, runtime)
    return 'done'
  }

  private count({ counts }: EpochCut, files: readonly { readonly sizeBytes: number }[]): void {
    const total = this.counts
    this.badLimits.add(counts)
    total.messages += counts.messages
    total.rowsWritten += counts.rows
    total.badRecords += counts.badRecords
    total.quarantined += counts.quarantined
    total.skipped += counts.skipped
    total.filtered += counts.filtered
    total.filesWritten += files.length
    for (const { sizeBytes } of files) total.bytesWritten += sizeBytes
  }

  /** What is decoded may be in the table already, or does not fit it. */
  private async restartFromTable(): Promise<void> {
    this.forget()
    await this.dropped.wait(this.runtime)
    const { writer, layout } = this.table
    if (writer === null) return
    await writer.table.reload()
    this.epoch.restart(layoutFor(this.config, layout, writer.table.state))
  }

  private forget(): void {
    this.epoch.clear()
    this.queue.clear()
  }

  private get tableUri(): string {
    return this.table.writer?.table.store.uri ?? this.config.delta.tableName
  }
}
