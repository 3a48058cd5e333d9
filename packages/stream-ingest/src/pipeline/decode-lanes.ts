/**
 * A thread's side of decoding and encoding: lanes, and the answers to what is asked of them.
 *
 * Knows nothing of tables, limits or Kafka: the main thread decides what is read, cut and committed, and what becomes of
 * a bad record.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { createParquetEncoder, type EncodedDataFile, type Runtime } from '@stream-ingest/delta'
import { type BatchRows, type EncodedSizes, EpochEncoder } from '../delta/epoch-encoder.ts'
import { KafkaError } from '../error.ts'
import type { SourceChunk, TopicPartition } from '../kafka/message-source.ts'
import { Epoch, type EpochCut, rowsOfCut } from './epoch.ts'
import { RecordQueue } from './record-queue.ts'
import type {
  DecodedTask,
  DecodeTask,
  EncodedStep,
  LaneCut,
  LaneLayout,
  LaneSettings,
  RequestKind,
  ThreadAnswer,
  ThreadRequest,
  ThreadRequests,
} from './thread-message.ts'

export interface LaneAnswer {
  readonly answer: ThreadAnswer
  /** Of the answer, to be moved. */
  readonly transfer: readonly ArrayBuffer[]
}

export class DecodeLanes {
  private readonly runtime: Pick<Runtime, 'uuid' | 'monotonicMs'>
  private readonly lanes = new Map<number, Lane>()

  constructor(runtime: Pick<Runtime, 'uuid' | 'monotonicMs'>) {
    this.runtime = runtime
  }

  /** Never throws: an error is an answer. */
  answer(request: ThreadRequest): LaneAnswer {
    const transfer: ArrayBuffer[] = []
    try {
      return { answer: { value: this.handle(request, transfer) }, transfer }
    } catch (error) {
      return { answer: { error }, transfer: [] }
    }
  }

  private handle(
    { kind, lane, asks }: ThreadRequest,
    transfer: ArrayBuffer[],
  ): ThreadRequests[RequestKind]['answers'] {
    if (kind === 'open') {
      this.lanes.set(lane, new Lane(asks, this.runtime))
      return null
    }
    const found = this.lanes.get(lane)
    assert(found !== undefined, `lane ${lane} is not open`)
    switch (kind) {
      case 'decode':
        return found.decode(asks)
      case 'cut':
        return found.cut(asks)
      case 'encode': {
        const step = found.encode(asks)
        if (step.file !== null) transfer.push(step.file.bytes.buffer as ArrayBuffer)
        return step
      }
      case 'release':
        found.release(asks.cut)
        return null
      case 'restart':
        found.restart(asks)
        return null
      case 'close':
        this.lanes.delete(lane)
        return null
    }
  }
}

interface TakenCut {
  readonly cut: EpochCut
  readonly rows: BatchRows
  /** Under way, from the first file on. */
  files: Generator<EncodedDataFile, EncodedSizes, void> | null
}

class Lane {
  private readonly settings: LaneSettings
  private readonly runtime: Pick<Runtime, 'uuid' | 'monotonicMs'>
  private readonly queue: RecordQueue
  private readonly encoder: EpochEncoder
  private readonly topicPartitions = new Map<string, TopicPartition>()
  private readonly taken = new Map<number, TakenCut>()
  private current: LaneLayout
  private epoch: Epoch
  /** A task's batches: not all that reads them takes shared memory. */
  private bytes = new Uint8Array(0)

  constructor(settings: LaneSettings & LaneLayout, runtime: Pick<Runtime, 'uuid' | 'monotonicMs'>) {
    this.settings = settings
    this.runtime = runtime
    this.queue = new RecordQueue(settings.recordBatchMaxBytes)
    this.encoder = new EpochEncoder(createParquetEncoder(), runtime, settings.files)
    this.current = settings
    this.epoch = this.createEpoch()
  }

  decode(task: DecodeTask): DecodedTask {
    const { epoch, queue, runtime } = this
    const startedMs = runtime.monotonicMs()
    const messagesBefore = epoch.messageCount
    const bad: DecodedTask['bad'][number][] = []
    let { nextOffset } = task
    let needsInline = false
    queue.push([this.chunkOf(task)])
    try {
      while (!queue.isEmpty) {
        const messagesLeft =
          (task.messagesMax ?? Number.POSITIVE_INFINITY) - (epoch.messageCount - messagesBefore)
        if (!queue.advanceBatch()) {
          epoch.endChunk(queue, 0)
          continue
        }
        if (messagesLeft <= 0) {
          nextOffset = queue.position
          break
        }
        const found = epoch.appendRecords(queue, messagesLeft, 0)
        if (found !== null) bad.push({ offset: found.offset, reason: found.reason })
        if (epoch.layout === this.current.layout) continue
        // The message brought a column: all threads have to go on with it.
        needsInline = true
        break
      }
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error
      // A damaged batch: the pipeline meets it again, and commits what comes before it.
      needsInline = true
    } finally {
      queue.clear()
    }
    return {
      needsInline,
      nextOffset,
      bad,
      messageCount: epoch.messageCount,
      badRecordCount: epoch.tally.badRecords,
      sizeBytes: epoch.sizeBytes,
      tablePartitionCount: epoch.tablePartitionCount,
      largestShare: epoch.largestShare,
      decodeMs: runtime.monotonicMs() - startedMs,
    }
  }

  cut({ cut: number, rules }: ThreadRequests['cut']['asks']): LaneCut {
    const cut = this.epoch.cut()
    this.current = { ...this.current, rules }
    assert(cut.schemaChanges.length === 0, 'columns are not added here')
    this.taken.set(number, { cut, rows: rowsOfCut(cut), files: null })
    return { counts: cut.counts, newestRecordMs: cut.newestRecordMs }
  }

  encode({ cut: number, plan }: ThreadRequests['encode']['asks']): EncodedStep {
    const taken = this.taken.get(number)
    assert(taken !== undefined, `cut ${number} is not here`)
    if (plan !== null) {
      taken.files?.return({ columnBytes: 0, encodedBytes: 0, encodeMs: 0 })
      taken.files = this.encoder.encode(taken.rows, plan)
    }
    assert(taken.files !== null, 'files are asked for with a plan first')
    const step = taken.files.next()
    return step.done === true ? { file: null, sizes: step.value } : { file: step.value, sizes: null }
  }

  release(number: number): void {
    const taken = this.taken.get(number)
    if (taken === undefined) return
    this.taken.delete(number)
    this.epoch.recycle(taken.cut)
  }

  restart(layout: LaneLayout): void {
    this.current = layout
    this.epoch = this.createEpoch()
    this.taken.clear()
  }

  private createEpoch(): Epoch {
    const { layout, rules } = this.current
    const askRules = rules === null ? null : () => this.current.rules ?? rules
    // How many table partitions are too many is decided by those of all threads.
    return new Epoch(layout, this.settings.onNullValue, Number.POSITIVE_INFINITY, askRules)
  }

  private chunkOf(task: DecodeTask): SourceChunk {
    const { topicPartition, fromOffset, nextOffset, sizesBytes } = task
    const bytes = this.bytesOf(task)
    const batches: Uint8Array[] = []
    let at = 0
    for (const sizeBytes of sizesBytes) {
      batches.push(bytes.subarray(at, at + sizeBytes))
      at += sizeBytes
    }
    return {
      topicPartition: this.interned(topicPartition),
      fromOffset,
      nextOffset,
      batches,
      sizeBytes: at,
      abortedRecordCount: 0,
      endOffset: nextOffset,
    }
  }

  /** Valid until the next task. */
  private bytesOf({ bytes, sizesBytes }: DecodeTask): Uint8Array {
    if (typeof bytes !== 'number') return new Uint8Array(bytes)
    const sizeBytes = sizesBytes.reduce((total, size) => total + size, 0)
    const slot = this.settings.slots[bytes]
    assert(slot !== undefined, `there is no slot ${bytes}`)
    if (this.bytes.length < slot.byteLength) this.bytes = new Uint8Array(slot.byteLength)
    this.bytes.set(new Uint8Array(slot, 0, sizeBytes))
    return this.bytes
  }

  /** One object for a topic partition, however often it is sent. */
  private interned(topicPartition: TopicPartition): TopicPartition {
    const key = `${topicPartition.topicId}:${topicPartition.partition}`
    const known = this.topicPartitions.get(key)
    if (known !== undefined) return known
    this.topicPartitions.set(key, topicPartition)
    return topicPartition
  }
}
