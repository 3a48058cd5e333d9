/**
 * From chunks of a topic to the rows of an epoch, on this thread. `thread-decoding.ts` does the same on others.
 *
 * @module
 */
import { setImmediate } from 'node:timers/promises'
import type { Runtime } from '@stream-ingest/delta'
import type { PipelineConfig } from '../config/ingest-config.ts'
import type { TableLayout } from '../config/table-layout.ts'
import type { SerializationError } from '../error.ts'
import type { SourceChunk, TopicPartition } from '../kafka/message-source.ts'
import type { BadRecordLimits } from './bad-record-limits.ts'
import { type BadRecord, type Buffered, Epoch, type EpochCut } from './epoch.ts'
import { type EpochFacts, expectedMessages, type FlushLimits, isFull } from './flush-policy.ts'
import type { StageTimes } from './ingest-metrics.ts'
import type { AskMergeRules } from './merging-rows.ts'
import { RecordQueue, recordBatchMaxBytes } from './record-queue.ts'

/** Decoding gives way to I/O after this long. */
const DECODE_SLICE_MS = 10
/** A first epoch of as many messages is likely to become a full one: its columns get their size at once. */
const LARGE_EPOCH_MESSAGES = 32_768

/**
 * `done`: all that is queued is decoded, or is being so, or a flush is due. `stop`: the epoch ends right before a bad
 * record that ends the run. `inline`: what is here has to be decoded on the main thread (see `ThreadDecoding`).
 */
export type DecodeOutcome =
  | { readonly status: 'done' }
  | { readonly status: 'stop'; readonly error: SerializationError }
  | { readonly status: 'inline' }

/** What both ways of decoding need to know. */
export interface DecodingContext {
  readonly config: PipelineConfig
  readonly limits: FlushLimits
  readonly runtime: Runtime
  readonly badLimits: BadRecordLimits
  readonly tableUri: string
  readonly stages: Pick<StageTimes, 'decodeMs'>
  /** Called every few milliseconds of work. */
  readonly progressed: () => void
}

export interface Decoding {
  readonly messageCount: number
  readonly hasProgress: boolean
  readonly buffered: Buffered
  /** Nothing is queued. */
  readonly isEmpty: boolean
  ageMs(nowMs: number): number
  /** What the flush policy needs to know. `encodedRatio`: encoded bytes per byte of columns, as last seen. */
  flushFacts(encodedRatio: number, nowMs: number): EpochFacts
  /** How far this partition has come in this epoch; null where it has not moved. */
  nextOffset(topicPartition: TopicPartition): bigint | null
  /** Takes the chunks over: what they hold is given back as soon as it is decoded. */
  push(chunks: readonly SourceChunk[]): void
  /** Does a chunk of this partition wait that ends here? */
  endsAt(topicPartition: TopicPartition, nextOffset: bigint): boolean
  /** Decodes what is queued, up to where a flush may be due. */
  decode(): Promise<DecodeOutcome>
  /** Takes all that was decoded; null where it has to be decoded on the main thread instead. */
  cut(): Promise<EpochCut | null>
  /** The cut is in the table: nobody reads its rows any more. */
  recycle(cut: EpochCut): void
  /** Forgets all that was decoded and is queued, and goes on under this layout. */
  restart(layout: TableLayout): void
}

export class InlineDecoding implements Decoding {
  private readonly context: DecodingContext
  private readonly epoch: Epoch
  private readonly queue: RecordQueue
  /** Have the columns the size that they will have? Later epochs go by the one before. */
  private isSized = false

  constructor(context: DecodingContext, layout: TableLayout, askRules: AskMergeRules | null) {
    const { processing } = context.config
    this.context = context
    this.epoch = new Epoch(layout, processing.onNullValue, context.limits.tablePartitions, askRules)
    this.queue = new RecordQueue(recordBatchMaxBytes(processing))
  }

  get messageCount(): number {
    return this.epoch.messageCount
  }

  get hasProgress(): boolean {
    return this.epoch.hasProgress
  }

  get buffered(): Buffered {
    return this.epoch.buffered
  }

  get isEmpty(): boolean {
    return this.queue.isEmpty
  }

  /** What is decoded now is decoded under. */
  get layout(): TableLayout {
    return this.epoch.layout
  }

  ageMs(nowMs: number): number {
    return this.epoch.ageMs(nowMs)
  }

  flushFacts(encodedRatio: number, nowMs: number): EpochFacts {
    return this.epoch.flushFacts(encodedRatio, nowMs)
  }

  nextOffset(topicPartition: TopicPartition): bigint | null {
    return this.epoch.nextOffset(topicPartition)
  }

  push(chunks: readonly SourceChunk[]): void {
    this.queue.push(chunks)
  }

  endsAt(topicPartition: TopicPartition, nextOffset: bigint): boolean {
    return this.queue.endsAt(topicPartition, nextOffset)
  }

  /** Lets I/O through every few milliseconds. */
  async decode(): Promise<DecodeOutcome> {
    const { epoch, queue } = this
    const { runtime, limits, stages, progressed } = this.context
    let startedMs = runtime.monotonicMs()
    const stop = (): number => {
      const nowMs = runtime.monotonicMs()
      const elapsedMs = nowMs - startedMs
      stages.decodeMs += elapsedMs
      startedMs = nowMs
      return elapsedMs
    }
    let sinceYieldMs = 0
    try {
      while (!queue.isEmpty) {
        // Also where the epoch is full: what the chunk passes without a record belongs to its last one.
        if (queue.isChunkSpent) {
          const { chunk } = queue
          epoch.endChunk(queue, runtime.now())
          chunk.release?.()
          continue
        }
        if (isFull(epoch, limits)) break
        if (!queue.advanceBatch()) continue
        const bad = epoch.appendRecords(queue, limits.messages - epoch.messageCount, runtime.now())
        if (!this.isSized && epoch.messageCount >= LARGE_EPOCH_MESSAGES) {
          this.isSized = true
          epoch.reserve(expectedMessages(epoch, limits))
        }
        const error = bad === null ? null : this.judge(bad)
        if (error !== null) return { status: 'stop', error }
        sinceYieldMs += stop()
        if (sinceYieldMs >= DECODE_SLICE_MS) {
          sinceYieldMs = 0
          progressed()
          await setImmediate()
          startedMs = runtime.monotonicMs()
        }
      }
    } finally {
      stop()
    }
    return { status: 'done' }
  }

  async cut(): Promise<EpochCut> {
    return this.epoch.cut()
  }

  /** What is queued, for others to decode. */
  takeRest(): SourceChunk[] {
    return this.queue.takeRest()
  }

  recycle(cut: EpochCut): void {
    this.epoch.recycle(cut)
  }

  restart(layout: TableLayout): void {
    this.queue.clear()
    this.epoch.restart(layout)
    this.isSized = false
  }

  private judge(bad: BadRecord): SerializationError | null {
    const { epoch, queue } = this
    const { badLimits, config, tableUri, runtime } = this.context
    const verdict = badLimits.judge(bad, epoch.tally, tableUri)
    if (verdict === 'skip') return null
    if (verdict === 'quarantine') {
      epoch.quarantineLast(queue, bad, config.pipelineId, runtime.now())
      return null
    }
    epoch.excludeLast(bad)
    return verdict
  }
}
