/**
 * Messages decoded one record at a time, through what a run decodes with, and what became of each.
 *
 * @module
 */
import type { Runtime, StructType, TableRow, TableState } from '@stream-ingest/delta'
import { batchRow } from '@stream-ingest/delta/column'
import type { PipelineConfig } from '../config/ingest-config.ts'
import type { TableLayout } from '../config/table-layout.ts'
import type { SourceChunk } from '../kafka/message-source.ts'
import { type BadRecord, Epoch } from './epoch.ts'
import { flushLimits } from './flush-policy.ts'
import { RecordQueue, recordBatchMaxBytes } from './record-queue.ts'
import { askMergeRules, decodeLayout } from './schema-growth.ts'

/** Of a message that does not fit, this much of its value is shown. */
const VALUE_LENGTH_MAX = 1_000
/** Decoded columns become rows at this size. */
const COLUMNS_MAX_BYTES = 8 * 1024 * 1024

export interface DecodedMessage {
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
  /** Kafka's, epoch milliseconds; null where there is none. */
  readonly timestampMs: number | null
  /** `row`: it would be written. `bad`: it does not fit. `skipped`: a tombstone that is left out. */
  readonly outcome: 'row' | 'bad' | 'skipped'
  /** By column, as `scanTable` gives it; null where it is no row. */
  readonly row: TableRow | null
  /** Of the row. Messages that come later may add to it (`delta.merge_schema`). */
  readonly schema: StructType | null
  /** Why it does not fit; null where it does. */
  readonly reason: BadRecord['reason'] | null
  /** The beginning of what does not fit; null of anything else. */
  readonly value: string | null
}

const NO_ROW = { row: null, schema: null } as const

export class MessageDecoder {
  /** Of the table, with what messages have added so far. */
  schema: StructType
  /** That decoding begins with. */
  readonly layout: TableLayout
  private readonly config: PipelineConfig
  private readonly runtime: Pick<Runtime, 'now'>
  private readonly epoch: Epoch
  private readonly queue: RecordQueue
  private readonly tablePartitionsMax: number
  /** Rows that are in the epoch still. */
  private pending: Omit<DecodedMessage, 'row' | 'schema'>[] = []
  private decoded: DecodedMessage[] = []

  /**
   * @param table null where there is none, or where it has no say in the columns
   * @throws ConfigError where neither the configuration nor a table has a schema, or the two do not fit
   */
  constructor(config: PipelineConfig, table: TableState | null, runtime: Pick<Runtime, 'now'>) {
    const { processing } = config
    const layout = decodeLayout(config, table?.schema ?? null)
    this.config = config
    this.runtime = runtime
    this.layout = layout
    this.schema = layout.schema
    this.tablePartitionsMax = flushLimits(config).tablePartitions
    const rules = askMergeRules(config, table === null ? null : { state: table })
    this.epoch = new Epoch(layout, processing.onNullValue, this.tablePartitionsMax, rules)
    this.queue = new RecordQueue(recordBatchMaxBytes(processing))
  }

  /** The first `countMax` messages of the chunk that are below its `nextOffset`. */
  decode(chunk: SourceChunk, countMax: number): DecodedMessage[] {
    const { queue, epoch, runtime } = this
    queue.push([chunk])
    while (!queue.isEmpty) {
      if (!queue.advanceBatch()) {
        epoch.endChunk(queue, runtime.now())
        continue
      }
      if (queue.slab.offsetAt(queue.index) >= chunk.nextOffset) break
      if (this.decoded.length + this.pending.length >= countMax) break
      this.decodeRecord()
    }
    queue.clear()
    this.takeRows()
    const { decoded } = this
    this.decoded = []
    return decoded
  }

  private decodeRecord(): void {
    const { queue, epoch, config } = this
    if (epoch.tablePartitionCount >= this.tablePartitionsMax || epoch.sizeBytes >= COLUMNS_MAX_BYTES) {
      this.takeRows()
    }
    const { slab, index, topicPartition } = queue
    const { topic, partition } = topicPartition
    const timestampMs = slab.timestamp[index]! < 0 ? null : slab.timestamp[index]!
    const place = { topic, partition, offset: slab.offsetAt(index), timestampMs }
    const isTombstone = slab.valueStart[index]! < 0
    const bad = epoch.appendRecords(queue, 1, this.runtime.now())
    if (bad !== null) {
      const value = isTombstone ? null : excerpt(slab.bytes, slab.valueStart[index]!, slab.valueEnd[index]!)
      this.decoded.push({ ...place, outcome: 'bad', ...NO_ROW, reason: bad.reason, value })
    } else if (isTombstone && config.processing.onNullValue === 'skip') {
      this.decoded.push({ ...place, outcome: 'skipped', ...NO_ROW, reason: null, value: null })
    } else {
      this.pending.push({ ...place, outcome: 'row', reason: null, value: null })
    }
  }

  private takeRows(): void {
    const { batch } = this.epoch.cut()
    for (const [index, place] of this.pending.entries()) {
      this.decoded.push({ ...place, row: batchRow(batch, index), schema: batch.schema })
    }
    if (this.pending.length > 0) this.schema = batch.schema
    this.pending = []
  }
}

/** As text; what is no UTF-8 is marked. */
function excerpt(bytes: Uint8Array, start: number, end: number): string {
  // A character has four bytes at most.
  const text = new TextDecoder().decode(bytes.subarray(start, Math.min(end, start + VALUE_LENGTH_MAX * 4)))
  return text.length > VALUE_LENGTH_MAX ? `${text.slice(0, VALUE_LENGTH_MAX)}…` : text
}
