/**
 * Messages of a topic as the rows that they would become, decoded as a run decodes them.
 *
 * No group is joined, no offset is moved, and nothing is written.
 *
 * @module
 */
import {
  loadTableState,
  type ObjectStore,
  type Runtime,
  type StructType,
  type TableRow,
  type TableState,
} from '@stream-ingest/delta'
import { batchRow } from '@stream-ingest/delta/column'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { ConfigError } from '../error.ts'
import type { MessageSource, SourceChunk, TopicPartition } from '../kafka/message-source.ts'
import { type BadRecord, Epoch } from './epoch.ts'
import { flushLimits } from './flush-policy.ts'
import { MessageSampler, type OffsetSpan } from './message-sampler.ts'
import type { OffsetTarget } from './offset-move.ts'
import { choosePartitions, type PartitionChoice } from './partition-choice.ts'
import { RecordQueue, recordBatchMaxBytes } from './record-queue.ts'
import { askMergeRules, decodeLayout } from './schema-growth.ts'
import type { EndOffsets } from './table-progress.ts'

/** Messages of each partition, unless the options say otherwise. */
export const TAP_COUNT_DEFAULT = 10
/** Messages in all: they are held in memory. */
export const TAP_MESSAGES_MAX = 100_000
/** Of a message that does not fit, this much of its value is shown. */
export const TAP_VALUE_LENGTH_MAX = 1_000
/** Decoded columns become rows at this size. */
const COLUMNS_MAX_BYTES = 8 * 1024 * 1024

export interface TapOptions extends PartitionChoice {
  /** The last ones of each partition; {@link TAP_COUNT_DEFAULT} where there is no `from` either. */
  readonly last?: number
  /** In place of `last`: where to begin. */
  readonly from?: OffsetTarget
  /** Where to end: the first one that is not shown. Default: where the partition ends now. */
  readonly until?: OffsetTarget
  /** With `from`: at most this many of each partition; {@link TAP_COUNT_DEFAULT} where there is no `until` either. */
  readonly limit?: number
}

export interface TappedMessage {
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

export interface TappedMessages {
  /** Of the table, with all that these messages would add to it. */
  readonly schema: StructType
  /** By topic, partition and offset. */
  readonly messages: readonly TappedMessage[]
  /** False: more was asked for than {@link TAP_MESSAGES_MAX}, or than one look reads. */
  readonly isComplete: boolean
}

export interface TapContext {
  /** Of the pipeline's own table, for its schema; rooted there. */
  readonly store: ObjectStore
  /** Opened and closed here. */
  readonly source: MessageSource
  readonly runtime: Runtime
}

/**
 * @throws ConfigError `CONFIG_USAGE` for partitions that are not read and options that exclude each other; KafkaError,
 *   DeltaError, and what the store throws
 */
export async function tap(
  config: PipelineConfig,
  options: TapOptions,
  context: TapContext,
): Promise<TappedMessages> {
  assertSensible(options)
  const { source, store, runtime } = context
  try {
    const decoder = new TapDecoder(config, await tableStateFor(config, store, runtime), runtime)
    await source.open()
    const ends = await source.endOffsets()
    const chosen = choosePartitions(config.name, source.assignment, options)
    const spans = await spansOf(source, chosen, options, ends)
    const sampler = new MessageSampler(
      source,
      runtime,
      (chunk, countMax) => decoder.decode(chunk, countMax),
      TAP_MESSAGES_MAX,
    )
    const isComplete =
      options.from === undefined
        ? await sampler.readLast(spans, options.last ?? TAP_COUNT_DEFAULT)
        : await sampler.readFrom(spans, options.limit ?? defaultLimit(options))
    return { schema: decoder.schema, messages: sampler.inOrder(), isComplete }
  } finally {
    await source.close().catch(() => {})
  }
}

function assertSensible({ last, from, limit }: TapOptions): void {
  const problem =
    last !== undefined && from !== undefined
      ? '`last` and `from` exclude each other'
      : limit !== undefined && from === undefined
        ? '`limit` goes with `from`'
        : null
  if (problem === null) return
  throw new ConfigError('CONFIG_USAGE', problem, {
    hint: 'name how many of the last ones, or where to begin and how many from there',
  })
}

function defaultLimit({ until }: TapOptions): number {
  return until === undefined ? TAP_COUNT_DEFAULT : TAP_MESSAGES_MAX
}

/** Where the table has a say in the columns, it is read. */
async function tableStateFor(
  { delta }: PipelineConfig,
  store: ObjectStore,
  runtime: Runtime,
): Promise<TableState | null> {
  if (delta.schema !== null && !delta.mergeSchema) return null
  return loadTableState(store, { nowMs: runtime.now() })
}

/** `[fromOffset, untilOffset)` of each partition that has anything of it. */
async function spansOf(
  source: MessageSource,
  chosen: readonly TopicPartition[],
  { from, until }: TapOptions,
  ends: EndOffsets,
): Promise<OffsetSpan[]> {
  const resolve = async (target: OffsetTarget | undefined): Promise<Map<TopicPartition, bigint>> => {
    if (target === undefined) return new Map()
    if (typeof target === 'string' || !('offset' in target)) return source.resolveStart(chosen, target)
    return new Map(chosen.map(tp => [tp, target.offset]))
  }
  const starts = await resolve(from)
  const stops = await resolve(until)
  return chosen.flatMap(topicPartition => {
    const { startOffset, endOffset } = ends.get(topicPartition)!
    const stop = stops.get(topicPartition) ?? endOffset
    const start = starts.get(topicPartition) ?? startOffset
    const fromOffset = start > startOffset ? start : startOffset
    const untilOffset = stop < endOffset ? stop : endOffset
    return untilOffset > fromOffset ? [{ topicPartition, fromOffset, untilOffset }] : []
  })
}

const NO_ROW = { row: null, schema: null } as const

/** Decodes chunks one record at a time, through what a run decodes with. */
class TapDecoder {
  schema: StructType
  private readonly config: PipelineConfig
  private readonly runtime: Runtime
  private readonly epoch: Epoch
  private readonly queue: RecordQueue
  private readonly tablePartitionsMax: number
  /** Rows that are in the epoch still. */
  private pending: Omit<TappedMessage, 'row' | 'schema'>[] = []
  private decoded: TappedMessage[] = []

  constructor(config: PipelineConfig, table: TableState | null, runtime: Runtime) {
    const { processing } = config
    const layout = decodeLayout(config, table?.schema ?? null)
    this.config = config
    this.runtime = runtime
    this.schema = layout.schema
    this.tablePartitionsMax = flushLimits(config).tablePartitions
    const rules = askMergeRules(config, table === null ? null : { state: table })
    this.epoch = new Epoch(layout, processing.onNullValue, this.tablePartitionsMax, rules)
    this.queue = new RecordQueue(recordBatchMaxBytes(processing))
  }

  /** The first `countMax` messages of the chunk that are below its `nextOffset`. */
  decode(chunk: SourceChunk, countMax: number): TappedMessage[] {
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
  const text = new TextDecoder().decode(
    bytes.subarray(start, Math.min(end, start + TAP_VALUE_LENGTH_MAX * 4)),
  )
  return text.length > TAP_VALUE_LENGTH_MAX ? `${text.slice(0, TAP_VALUE_LENGTH_MAX)}…` : text
}
