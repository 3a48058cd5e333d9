/**
 * From chunks of a topic to the rows of an epoch, on other threads: record batches go out as they came from Kafka, rows
 * stay where they are decoded, and encoded files come back.
 *
 * Batches of one topic partition may be decoded side by side. A cut waits for all that went out, so that it is a prefix
 * of each topic partition whichever thread has which rows.
 *
 * Whatever takes a decision between one record and the next is left to the main thread: a bad record that ends the run, a
 * message that changes the schema, a damaged batch. Such an epoch is decoded in vain and once more by `InlineDecoding`;
 * for good messages nothing waits for anything.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { EncodedDataFile } from '@stream-ingest/delta'
import { BatchBuilder } from '@stream-ingest/delta/column'
import type { TableLayout } from '../config/table-layout.ts'
import type { RemoteRows } from '../delta/data-file-writer.ts'
import type { DataFileLayout, EncodedSizes, FilePlan } from '../delta/epoch-encoder.ts'
import { BlockDecoder } from '../kafka/block-decoder.ts'
import type { SourceChunk, TopicPartition } from '../kafka/message-source.ts'
import { readBatchHeader, readRecords } from '../kafka/record-batch.ts'
import { RecordSlab } from '../kafka/record-slab.ts'
import { rejectRecord } from './bad-record.ts'
import type { DecodeOutcome, Decoding, DecodingContext } from './decoding.ts'
import { addTo, type Buffered, type EpochCounts, type EpochCut, emptyCounts } from './epoch.ts'
import { EpochRanges } from './epoch-ranges.ts'
import { type EpochFacts, isFull } from './flush-policy.ts'
import type { AskMergeRules } from './merging-rows.ts'
import { type ChunkPart, PART_MAX_BYTES, PartQueue } from './part-queue.ts'
import { QuarantineRows } from './quarantine-rows.ts'
import { recordBatchMaxBytes } from './record-queue.ts'
import type { DecodedTask, DecodeTask, LaneLayout } from './thread-message.ts'
import type { DecodeThread } from './thread-pool.ts'

/** Tasks that a thread has at once: the one that it works on, and the next. */
export const TASKS_IN_FLIGHT_MAX = 2

/** This pipeline's work on one thread. */
interface Lane {
  readonly thread: DecodeThread
  readonly id: number
  readonly slots: readonly SharedArrayBuffer[]
  /** Indexes of those that no task lies in. */
  readonly freeSlots: number[]
  /** Since the last cut, as far as it has answered. */
  messageCount: number
  badRecordCount: number
  sizeBytes: number
  tablePartitionCount: number
  largestShare: number
}

export class ThreadDecoding implements Decoding {
  private readonly context: DecodingContext
  private readonly lanes: readonly Lane[]
  private readonly askRules: AskMergeRules | null
  private layout: TableLayout
  private readonly queue = new PartQueue()
  private ranges = new EpochRanges()
  /** Of batches that went out, whether they are decoded or not. */
  private recordCount = 0
  private filtered = 0
  private quarantine: QuarantineRows | null = null
  private quarantinedCount = 0
  private needsInline = false
  private failure: { readonly error: unknown } | null = null
  private cutCount = 0
  /** What threads answer about an epoch that was given up is of no interest. */
  private epochNumber = 0
  private answered = Promise.withResolvers<void>()
  /** Of cuts that were made here, as the threads know them. */
  private readonly cutNumbers = new WeakMap<EpochCut, number>()
  /** Made for the first bad record that goes into the quarantine. */
  private slab: RecordSlab | null = null

  constructor(
    context: DecodingContext,
    threads: readonly DecodeThread[],
    layout: TableLayout,
    askRules: AskMergeRules | null,
    files: DataFileLayout,
  ) {
    const { processing } = context.config
    this.context = context
    this.layout = layout
    this.askRules = askRules
    this.lanes = threads.map(thread => ({
      thread,
      id: thread.takeLane(),
      slots: Array.from({ length: TASKS_IN_FLIGHT_MAX }, () => new SharedArrayBuffer(PART_MAX_BYTES)),
      freeSlots: Array.from({ length: TASKS_IN_FLIGHT_MAX }, (_, index) => index),
      ...NOTHING_DECODED,
    }))
    const settings = {
      onNullValue: processing.onNullValue,
      recordBatchMaxBytes: recordBatchMaxBytes(processing),
      files,
      ...this.laneLayout(),
    }
    for (const { thread, id, slots } of this.lanes) {
      this.note(thread.request('open', id, { ...settings, slots }))
    }
  }

  get messageCount(): number {
    return this.sum(lane => lane.messageCount)
  }

  get hasProgress(): boolean {
    return !this.ranges.isEmpty
  }

  get buffered(): Buffered {
    return { messageCount: this.messageCount, sizeBytes: this.sizeBytes, sinceMs: this.ranges.startedAtMs }
  }

  get isEmpty(): boolean {
    return this.queue.isEmpty
  }

  ageMs(nowMs: number): number {
    return this.ranges.ageMs(nowMs)
  }

  flushFacts(encodedRatio: number, nowMs: number): EpochFacts {
    const largest = Math.max(...this.lanes.map(lane => lane.sizeBytes * lane.largestShare))
    return {
      messageCount: this.messageCount,
      hasProgress: this.hasProgress,
      estimatedFileSizeBytes: largest * encodedRatio,
      memoryBytes: this.sizeBytes,
      tablePartitionCount: this.tablePartitionCount,
      ageMs: this.ageMs(nowMs),
    }
  }

  nextOffset(topicPartition: TopicPartition): bigint | null {
    return this.ranges.nextOffset(topicPartition)
  }

  push(chunks: readonly SourceChunk[]): void {
    this.queue.push(chunks)
  }

  endsAt(topicPartition: TopicPartition, nextOffset: bigint): boolean {
    return this.queue.endsAt(topicPartition, nextOffset)
  }

  /** Hands out what is queued, as fast as threads take it. */
  async decode(): Promise<DecodeOutcome> {
    while (!this.isEmpty) {
      this.assertWorking()
      if (this.needsInline) return INLINE
      if (this.recordCount >= this.context.limits.messages && this.recordCount > this.messageCount) {
        // Not all of the batches' records need be messages: those below the start of a chunk are not.
        await this.allAnswered()
        this.recordCount = this.messageCount
        continue
      }
      if (this.isFull()) break
      const lane = this.lanes.find(each => each.freeSlots.length > 0)
      if (lane === undefined) {
        await this.answered.promise
        this.context.progressed()
        continue
      }
      const part = this.queue.next(this.context.limits.messages - this.recordCount)
      // The main thread meets it again, and commits what comes before it.
      if (part === 'damaged') return INLINE
      if (part === null) this.endChunk()
      else await this.send(lane, part)
    }
    return this.needsInline ? INLINE : DONE
  }

  async cut(): Promise<EpochCut | null> {
    await this.allAnswered()
    if (this.needsInline) return null
    const number = ++this.cutCount
    const lanes = this.lanes.filter(lane => lane.messageCount > 0)
    const { rules } = this.laneLayout()
    const taken = await Promise.all(
      lanes.map(({ thread, id }) => thread.request('cut', id, { cut: number, rules })),
    )
    const counts = emptyCounts()
    let newestRecordMs: number | null = null
    for (const each of taken) {
      addCounts(counts, each.counts)
      if (each.newestRecordMs !== null) newestRecordMs = Math.max(newestRecordMs ?? 0, each.newestRecordMs)
    }
    counts.filtered += this.filtered
    counts.quarantined += this.quarantinedCount
    const remote = lanes.flatMap(({ thread, id }, i): RemoteRows[] => {
      const { rows } = taken[i]!.counts
      if (rows === 0) return []
      return [{ encode: plan => encodeOn(thread, id, number, plan) }]
    })
    const cut: EpochCut = {
      batch: new BatchBuilder(this.layout.schema).finish(),
      schemaChanges: [],
      buffered: this.buffered,
      tablePartitions: [],
      partitionIds: new Int32Array(0),
      ranges: this.ranges.list(),
      counts,
      quarantined: this.quarantine?.finish() ?? null,
      newestRecordMs,
      remote,
    }
    this.cutNumbers.set(cut, number)
    this.forgetEpoch()
    return cut
  }

  recycle(cut: EpochCut): void {
    const number = this.cutNumbers.get(cut)
    assert(number !== undefined, 'the cut was made here')
    for (const { thread, id } of this.lanes) this.note(thread.request('release', id, { cut: number }))
  }

  restart(layout: TableLayout): void {
    this.layout = layout
    this.queue.clear()
    this.forgetEpoch()
    for (const { thread, id } of this.lanes) this.note(thread.request('restart', id, this.laneLayout()))
  }

  /** The threads forget this pipeline. */
  close(): void {
    for (const { thread, id } of this.lanes) this.note(thread.request('close', id, null))
  }

  private forgetEpoch(): void {
    this.epochNumber++
    this.ranges = new EpochRanges()
    this.recordCount = 0
    this.filtered = 0
    this.quarantine = null
    this.quarantinedCount = 0
    this.needsInline = false
    for (const lane of this.lanes) Object.assign(lane, NOTHING_DECODED)
  }

  private laneLayout(): LaneLayout {
    return { layout: this.layout, rules: this.askRules?.() ?? null }
  }

  private get sizeBytes(): number {
    return this.sum(lane => lane.sizeBytes) + (this.quarantine?.sizeBytes ?? 0)
  }

  /** Each is a file of the thread that has rows of it. */
  private get tablePartitionCount(): number {
    return this.sum(lane => lane.tablePartitionCount)
  }

  private get isAnyInFlight(): boolean {
    return this.lanes.some(lane => lane.freeSlots.length < TASKS_IN_FLIGHT_MAX)
  }

  private isFull(): boolean {
    const { recordCount: messageCount, tablePartitionCount, sizeBytes } = this
    return isFull({ messageCount, tablePartitionCount, sizeBytes }, this.context.limits)
  }

  private sum(value: (lane: Lane) => number): number {
    let total = 0
    for (const lane of this.lanes) total += value(lane)
    return total
  }

  private async allAnswered(): Promise<void> {
    this.assertWorking()
    while (this.isAnyInFlight) {
      await this.answered.promise
      this.assertWorking()
    }
  }

  private assertWorking(): void {
    if (this.failure !== null) throw this.failure.error
  }

  /** A request whose answer says nothing; a failure is met with the next thing that is asked of the threads. */
  private note(request: Promise<null>): void {
    request.catch(error => {
      this.failure ??= { error }
      this.tellAnswered()
    })
  }

  private tellAnswered(): void {
    this.answered.resolve()
    this.answered = Promise.withResolvers()
  }

  private endChunk(): void {
    const { queue } = this
    const { position } = queue
    const { topicPartition, nextOffset, abortedRecordCount } = queue.endChunk()
    this.filtered += abortedRecordCount
    this.ranges.advance(topicPartition, position, nextOffset, this.context.runtime.now())
  }

  /** Resolves at once, unless where the part ends is for the thread to say. */
  private async send(lane: Lane, part: ChunkPart): Promise<void> {
    const { queue } = this
    const { topicPartition, fromOffset } = part
    let { nextOffset } = part
    this.recordCount += part.recordCount
    const answer = this.ask(lane, part)
    if (part.messagesMax !== null) {
      const decoded = await answer
      this.assertWorking()
      if (decoded === null || this.needsInline) return
      nextOffset = decoded.nextOffset
    }
    this.ranges.advance(topicPartition, fromOffset, nextOffset, this.context.runtime.now())
    queue.pass(part, nextOffset)
    if (queue.isChunkSpent) this.endChunk()
  }

  /** Null where the epoch was given up meanwhile, or the thread has failed. */
  private async ask(lane: Lane, part: ChunkPart): Promise<DecodedTask | null> {
    const { epochNumber } = this
    const slot = lane.freeSlots.pop()
    assert(slot !== undefined, 'a lane with a free slot was chosen')
    try {
      const task = fillTask(part, slot, lane.slots[slot]!)
      const moved = typeof task.bytes === 'number' ? [] : [task.bytes]
      const decoded = await lane.thread.request('decode', lane.id, task, moved)
      this.context.stages.decodeMs += decoded.decodeMs
      if (epochNumber !== this.epochNumber) return null
      this.take(lane, part, decoded)
      return decoded
    } catch (error) {
      this.failure ??= { error }
      return null
    } finally {
      part.release()
      lane.freeSlots.push(slot)
      this.tellAnswered()
    }
  }

  private take(lane: Lane, part: ChunkPart, decoded: DecodedTask): void {
    lane.messageCount = decoded.messageCount
    lane.badRecordCount = decoded.badRecordCount
    lane.sizeBytes = decoded.sizeBytes
    lane.tablePartitionCount = decoded.tablePartitionCount
    lane.largestShare = decoded.largestShare
    if (decoded.needsInline || !this.mayGoOn(decoded)) this.needsInline = true
    else for (const bad of decoded.bad) this.judge(part, bad)
  }

  /** Is none of these bad records the one that ends the run? That one is met again on the main thread. */
  private mayGoOn({ bad }: DecodedTask): boolean {
    if (bad.length === 0) return true
    const { badLimits } = this.context
    const tally = { messages: this.messageCount, badRecords: this.sum(lane => lane.badRecordCount) }
    return badLimits.allow(tally)
  }

  private judge(part: ChunkPart, { offset, reason }: DecodedTask['bad'][number]): void {
    const { config, runtime } = this.context
    const bad = { topicPartition: part.topicPartition, offset, reason }
    if (rejectRecord(config, bad, false) === 'skip') return
    this.quarantine ??= new QuarantineRows(config.pipelineId)
    const { slab, index } = this.find(part, offset)
    this.quarantine.append(slab, index, bad, runtime.now())
    this.quarantinedCount++
  }

  /** The record as Kafka gave it, unpacked once more. */
  private find({ batches, topicPartition }: ChunkPart, offset: bigint): { slab: RecordSlab; index: number } {
    const { topic, partition } = topicPartition
    this.slab ??= new RecordSlab(new BlockDecoder())
    const { slab } = this
    for (const batch of batches) {
      const { baseOffset, lastOffset } = readBatchHeader(batch, 0, topic, partition)!
      if (offset < baseOffset || offset > lastOffset) continue
      const maxBytes = recordBatchMaxBytes(this.context.config.processing)
      readRecords(batch, slab, topic, partition, { maxBytes })
      for (let index = 0; index < slab.count; index++) {
        if (slab.offsetAt(index) === offset) return { slab, index }
      }
    }
    assert.fail(`no record at ${offset}`)
  }
}

const DONE = { status: 'done' } as const
const INLINE = { status: 'inline' } as const
const NOTHING_DECODED = {
  messageCount: 0,
  badRecordCount: 0,
  sizeBytes: 0,
  tablePartitionCount: 0,
  largestShare: 1,
}

/** Batches that are too large for a slot go in a buffer of their own; the slot is taken by them all the same. */
function fillTask(part: ChunkPart, slot: number, memory: SharedArrayBuffer): DecodeTask {
  const { topicPartition, fromOffset, nextOffset, messagesMax, batches, sizeBytes } = part
  const own = sizeBytes > memory.byteLength ? new ArrayBuffer(sizeBytes) : null
  const into = new Uint8Array(own ?? memory)
  let at = 0
  for (const batch of batches) {
    into.set(batch, at)
    at += batch.length
  }
  const sizesBytes = batches.map(batch => batch.length)
  return { topicPartition, fromOffset, nextOffset, messagesMax, bytes: own ?? slot, sizesBytes }
}

function addCounts(total: EpochCounts, { badRecordsByCode, ...counts }: EpochCounts): void {
  total.messages += counts.messages
  total.rows += counts.rows
  total.badRecords += counts.badRecords
  total.skipped += counts.skipped
  for (const [code, count] of Object.entries(badRecordsByCode)) addTo(total.badRecordsByCode, code, count)
}

/** The next file is encoded while the one before is on its way to the store. */
async function* encodeOn(
  thread: DecodeThread,
  lane: number,
  cut: number,
  plan: FilePlan,
): AsyncGenerator<EncodedDataFile, EncodedSizes, void> {
  let step = await thread.request('encode', lane, { cut, plan })
  while (step.file !== null) {
    const next = thread.request('encode', lane, { cut, plan: null })
    // Where the caller wants no more of them, nobody waits for it.
    next.catch(() => {})
    yield step.file
    step = await next
  }
  return step.sizes
}
