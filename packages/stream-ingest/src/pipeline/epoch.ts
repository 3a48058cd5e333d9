/**
 * An epoch: what has been decoded since the last cut, and how far each topic partition has come with it.
 *
 * Rows of all table partitions share one set of builders; each row has the id of its table partition beside it, and
 * only encoding sorts them apart (docs/decisions/0003). A cut takes everything, so that what is committed is always a
 * prefix of each topic partition.
 *
 * @module
 */
import { SpareBuffer } from '@stream-ingest/delta/column'
import type { ProcessingConfig } from '../config/ingest-config.ts'
import type { TableLayout } from '../config/table-layout.ts'
import type { BadRecordReason } from '../decode/decoder.ts'
import { PartitionRouter, type TablePartition } from '../decode/partition-router.ts'
import type { RemoteRows } from '../delta/data-file-writer.ts'
import type { BatchRows } from '../delta/epoch-encoder.ts'
import type { TopicPartition } from '../kafka/message-source.ts'
import { type EpochRange, EpochRanges } from './epoch-ranges.ts'
import type { EpochFacts } from './flush-policy.ts'
import { type AskMergeRules, MergingRows, type TakenRows } from './merging-rows.ts'
import { type QuarantinedRecords, QuarantineRows } from './quarantine-rows.ts'
import type { RecordQueue } from './record-queue.ts'

/** `messages = rows + badRecords + skipped`. */
export interface EpochCounts {
  messages: number
  rows: number
  badRecords: number
  /** The bad records by the code of what is wrong with them. */
  readonly badRecordsByCode: Record<string, number>
  /** Those of the bad records that go into the quarantine. */
  quarantined: number
  skipped: number
  filtered: number
}

/** A record that does not fit. */
export interface BadRecord {
  readonly topicPartition: TopicPartition
  readonly offset: bigint
  readonly reason: BadRecordReason
}

/** What a cut hands to the table. Shares nothing with the epoch that goes on. */
export interface EpochCut extends TakenRows {
  /** By id; `partitionIds[row]` is an index into it. */
  readonly tablePartitions: readonly TablePartition[]
  readonly partitionIds: Int32Array
  readonly ranges: readonly EpochRange[]
  readonly counts: EpochCounts
  /** Null where there are none. */
  readonly quarantined: QuarantinedRecords | null
  /** Kafka's timestamp of the newest row, epoch milliseconds; null where no row has one. */
  readonly newestRecordMs: number | null
  readonly buffered: Buffered
  /** Rows that other threads have; `batch` has the others. */
  readonly remote?: readonly RemoteRows[]
}

/** What is held in memory until it is in the table. */
export interface Buffered {
  readonly messageCount: number
  readonly sizeBytes: number
  /** When the first of it was read, epoch milliseconds; null where there is nothing. */
  readonly sinceMs: number | null
}

const INITIAL_ROWS = 4096
/** Kafka's own mark of a record without one. */
const NO_TIMESTAMP = -1

export class Epoch {
  private rows: MergingRows
  private router: PartitionRouter
  private readonly onNullValue: ProcessingConfig['onNullValue']
  private readonly tablePartitionsMax: number
  private readonly askRules: AskMergeRules | null
  private partitionIds: Int32Array = new Int32Array(INITIAL_ROWS)
  private readonly sparePartitionIds = new SpareBuffer<Int32Array>(Int32Array)
  private ranges = new EpochRanges()
  private counts: EpochCounts = emptyCounts()
  private newestRecordMs = NO_TIMESTAMP
  /** Made for the first record that needs it. */
  private quarantine: QuarantineRows | null = null

  /** @param askRules what the table allows where messages may add columns to the layout; null where they may not */
  constructor(
    layout: TableLayout,
    onNullValue: ProcessingConfig['onNullValue'],
    tablePartitionsMax: number,
    askRules: AskMergeRules | null = null,
  ) {
    this.rows = new MergingRows(layout, askRules)
    this.router = new PartitionRouter(layout, this.rows.batch, tablePartitionsMax)
    this.onNullValue = onNullValue
    this.tablePartitionsMax = tablePartitionsMax
    this.askRules = askRules
  }

  /** Messages so far, and how many of them are bad. */
  get tally(): Pick<EpochCounts, 'messages' | 'badRecords'> {
    return this.counts
  }

  /** What rows are decoded under: another one once a message has changed it. */
  get layout(): TableLayout {
    return this.rows.layout
  }

  get messageCount(): number {
    return this.counts.messages
  }

  get hasProgress(): boolean {
    return !this.ranges.isEmpty
  }

  get sizeBytes(): number {
    return this.rows.sizeBytes + this.counts.rows * 4 + (this.quarantine?.sizeBytes ?? 0)
  }

  get buffered(): Buffered {
    return { messageCount: this.messageCount, sizeBytes: this.sizeBytes, sinceMs: this.ranges.startedAtMs }
  }

  get tablePartitionCount(): number {
    return this.router.partitionCount
  }

  /** Share of the rows that the largest table partition has; 1 where there are no rows. */
  get largestShare(): number {
    return this.counts.rows === 0 ? 1 : this.router.largestRowCount / this.counts.rows
  }

  ageMs(nowMs: number): number {
    return this.ranges.ageMs(nowMs)
  }

  /** What the flush policy needs to know of it. `encodedRatio`: encoded bytes per byte of columns, as last seen. */
  flushFacts(encodedRatio: number, nowMs: number): EpochFacts {
    const { sizeBytes } = this
    return {
      messageCount: this.messageCount,
      hasProgress: this.hasProgress,
      estimatedFileSizeBytes: sizeBytes * this.largestShare * encodedRatio,
      memoryBytes: sizeBytes,
      tablePartitionCount: this.tablePartitionCount,
      ageMs: this.ageMs(nowMs),
    }
  }

  /**
   * Decodes records of the queue's current batch, from its index on, up to one that changes the layout: the new columns
   * hold a null for each row that there is, so that the caller looks at the size again.
   *
   * @param messagesMax stop after this many
   * @returns the bad record to stop at or to report, with the queue's index behind it; null where none was met
   */
  appendRecords(queue: RecordQueue, messagesMax: number, nowMs: number): BadRecord | null {
    const { slab, topicPartition } = queue
    const { counts, rows } = this
    const { layout } = rows
    const end = Math.min(slab.count, queue.index + messagesMax)
    let bad: BadRecord | null = null
    let index = queue.index
    while (index < end && bad === null && rows.layout === layout && this.router.room > 0) {
      // Each row may be the first of its table partition.
      const runEnd = rows.appendRun(slab, index, Math.min(end, index + this.router.room), topicPartition)
      if (runEnd > index) {
        this.countRun(slab, index, runEnd)
        index = runEnd
        continue
      }
      const isTombstone = slab.valueStart[index]! < 0
      counts.messages++
      if (isTombstone && this.onNullValue === 'skip') {
        counts.skipped++
        index++
        continue
      }
      const reason =
        isTombstone && this.onNullValue === 'bad'
          ? NULL_VALUE
          : (rows.append(slab, index, topicPartition) ?? this.route(1))
      if (reason === null) {
        counts.rows++
        if (slab.timestamp[index]! > this.newestRecordMs) this.newestRecordMs = slab.timestamp[index]!
      } else {
        counts.badRecords++
        addTo(counts.badRecordsByCode, reason.code, 1)
        bad = { topicPartition, offset: slab.offsetAt(index), reason }
      }
      index++
    }
    if (index > queue.index) {
      const nextOffset = slab.offsetAt(index - 1) + 1n
      this.ranges.advance(topicPartition, queue.position, nextOffset, nowMs)
      queue.position = nextOffset
    }
    queue.index = index
    return bad
  }

  /** Decodes all that is queued, whatever it comes to, and hands out each bad record when it is met. */
  *appendAll(queue: RecordQueue, nowMs: number): Generator<BadRecord, void, void> {
    while (!queue.isEmpty) {
      if (!queue.advanceBatch()) {
        this.endChunk(queue, nowMs)
        continue
      }
      const bad = this.appendRecords(queue, Number.POSITIVE_INFINITY, nowMs)
      if (bad !== null) yield bad
    }
  }

  /** Makes room for so many rows in all, as large as those so far. */
  reserve(rows: number): void {
    this.rows.batch.reserve(rows)
  }

  /** Takes a bad record back: the epoch ends right before it. It must be the last one that was appended. */
  excludeLast(bad: BadRecord): void {
    this.counts.messages--
    this.counts.badRecords--
    addTo(this.counts.badRecordsByCode, bad.reason.code, -1)
    this.ranges.retreat(bad.topicPartition, bad.offset)
  }

  /** Keeps the bad record that {@link appendRecords} has just returned, as Kafka gave it, for the quarantine. */
  quarantineLast({ slab, index }: RecordQueue, bad: BadRecord, pipelineId: string, nowMs: number): void {
    this.quarantine ??= new QuarantineRows(pipelineId)
    this.quarantine.append(slab, index - 1, bad, nowMs)
    this.counts.quarantined++
  }

  /** Counts the end of a chunk: offsets without records are passed too. */
  endChunk(queue: RecordQueue, nowMs: number): void {
    const { position } = queue
    const chunk = queue.endChunk()
    this.counts.filtered += chunk.abortedRecordCount
    this.ranges.advance(chunk.topicPartition, position, chunk.nextOffset, nowMs)
  }

  /** How far this partition has come in this epoch; null where it has not moved. */
  nextOffset(topicPartition: TopicPartition): bigint | null {
    return this.ranges.nextOffset(topicPartition)
  }

  /** Takes all of it and starts over. */
  cut(): EpochCut {
    const { rows } = this.counts
    const { buffered } = this
    const taken: EpochCut = {
      ...this.rows.finish(),
      buffered,
      tablePartitions: this.router.finish(),
      partitionIds: this.partitionIds.subarray(0, rows),
      ranges: this.ranges.list(),
      counts: this.counts,
      quarantined: this.quarantine?.finish() ?? null,
      newestRecordMs: this.newestRecordMs === NO_TIMESTAMP ? null : this.newestRecordMs,
    }
    this.newestRecordMs = NO_TIMESTAMP
    this.quarantine = null
    this.partitionIds = this.sparePartitionIds.take(Math.max(INITIAL_ROWS, rows))
    this.ranges = new EpochRanges()
    this.counts = emptyCounts()
    return taken
  }

  /** Takes the buffers of a cut that is in the table, and that nobody reads any more, for a later one. */
  recycle(cut: EpochCut): void {
    this.rows.recycle(cut.batch)
    this.sparePartitionIds.give(cut.partitionIds)
  }

  /** Forgets all of it. */
  clear(): void {
    // Cut in vain, the builders would forget how large a batch is.
    if (this.hasProgress || this.messageCount > 0) this.cut()
  }

  /** Forgets all of it and goes on under this layout. */
  restart(layout: TableLayout): void {
    this.clear()
    if (layout === this.rows.layout) return
    this.rows = new MergingRows(layout, this.askRules)
    this.router = new PartitionRouter(layout, this.rows.batch, this.tablePartitionsMax)
  }

  /** Counts records `[from, to)`, which have become rows. */
  private countRun({ timestamp }: RecordQueue['slab'], from: number, to: number): void {
    this.route(to - from)
    this.counts.messages += to - from
    this.counts.rows += to - from
    let newest = this.newestRecordMs
    for (let i = from; i < to; i++) if (timestamp[i]! > newest) newest = timestamp[i]!
    this.newestRecordMs = newest
  }

  /** Notes the table partitions of so many rows behind those that are counted. */
  private route(count: number): null {
    const first = this.counts.rows
    const end = first + count
    if (end > this.partitionIds.length) {
      const larger = new Int32Array(Math.max(end, this.partitionIds.length * 2))
      larger.set(this.partitionIds)
      this.partitionIds = larger
    }
    const { partitionIds, router } = this
    for (let row = first; row < end; row++) partitionIds[row] = router.route(row)
    return null
  }
}

const NULL_VALUE: BadRecordReason = {
  code: 'RECORD_INVALID',
  path: '$',
  column: null,
  message: 'the value is null (a tombstone), and `processing.on_null_value` is `bad`',
}

export function emptyCounts(): EpochCounts {
  return {
    messages: 0,
    rows: 0,
    badRecords: 0,
    badRecordsByCode: {},
    quarantined: 0,
    skipped: 0,
    filtered: 0,
  }
}

/** A name whose count comes back to nothing is left out. */
export function addTo(counts: Record<string, number>, name: string, count: number): void {
  const sum = (counts[name] ?? 0) + count
  if (sum === 0) delete counts[name]
  else counts[name] = sum
}

/** The rows of a cut by table partition. */
export function rowsOfCut({ batch, counts, partitionIds, tablePartitions }: EpochCut): BatchRows {
  const rows = counts.rows === 0 ? [] : rowsByPartition(partitionIds, tablePartitions.length)
  const partitions = rows.map((list, id) => ({
    partitionValues: tablePartitions[id]!.partitionValues,
    rows: list,
  }))
  return { batch, partitions }
}

/** The rows of each table partition, ascending; null in place of the list where one partition has them all. */
function rowsByPartition(ids: Int32Array, partitionCount: number): (Int32Array | null)[] {
  if (partitionCount === 1) return [null]
  const sizes = new Int32Array(partitionCount)
  for (let row = 0; row < ids.length; row++) sizes[ids[row]!]!++
  const lists = Array.from(sizes, size => new Int32Array(size))
  const filled = new Int32Array(partitionCount)
  for (let row = 0; row < ids.length; row++) {
    const id = ids[row]!
    lists[id]![filled[id]!++] = row
  }
  return lists
}
