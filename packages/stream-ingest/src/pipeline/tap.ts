/**
 * Messages of a topic as the rows that they would become: the real way to a table, in a table that is only in memory.
 *
 * No group is joined, no offset is moved, and nothing is written.
 *
 * @module
 */
import {
  DeltaTable,
  loadSnapshot,
  loadTableState,
  MemoryObjectStore,
  type ObjectStore,
  type Runtime,
  type StructType,
  scanTable,
  type TableRow,
} from '@stream-ingest/delta'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { MessageBatch } from '../kafka/message-batch.ts'
import type { MessageSource, SourceChunk, StartPosition, TopicPartition } from '../kafka/message-source.ts'
import { type IngestEvents, subscribe } from '../observe/event.ts'
import { DeltaWriter } from './delta-writer.ts'
import { choosePartitions, type PartitionChoice } from './partition-choice.ts'

/** Compressed bytes that are read at most. */
export const TAP_BYTES_MAX = 32 * 1024 * 1024
/** Messages of one partition at most. */
export const TAP_MESSAGES_MAX = 100_000
/** A broker that sends nothing for this long has nothing more. */
const WAIT_MAX_MS = 10_000

export interface TapOptions extends PartitionChoice {
  /** Of each partition; 10 by default, at most {@link TAP_MESSAGES_MAX}. */
  readonly count?: number
  /** Where to begin; by default so that the last `count` are read. */
  readonly from?: StartPosition | { readonly offset: bigint }
}

export type RejectedRecord = Pick<
  IngestEvents['record:rejected'],
  'topic' | 'partition' | 'offset' | 'code' | 'path' | 'column' | 'message'
>

export interface Tapped {
  readonly schema: StructType
  readonly rows: readonly TableRow[]
  readonly rejected: readonly RejectedRecord[]
}

export interface TapContext {
  /** Of the pipeline's own table, for its schema; rooted there. */
  readonly store: ObjectStore
  /** Opened and closed here. */
  readonly source: MessageSource
  readonly runtime: Runtime
}

/** @throws ConfigError, KafkaError, DeltaError, and what the store throws */
export async function tap(config: PipelineConfig, options: TapOptions, context: TapContext): Promise<Tapped> {
  const { source, runtime } = context
  let sample: Sample
  try {
    await source.open()
    sample = await readMessages(config, source, options)
  } finally {
    await source.close().catch(() => {})
  }
  const lake = new MemoryObjectStore({ now: runtime.now })
  await copySchema(config, context, lake)
  return decode(config, sample, lake, runtime)
}

interface Sample {
  readonly chunks: readonly SourceChunk[]
  /** By `topic:partition`. Record batches come whole: what lies behind these offsets was not asked for. */
  readonly ends: ReadonlyMap<string, bigint>
}

async function readMessages(
  { name }: PipelineConfig,
  source: MessageSource,
  options: TapOptions,
): Promise<Sample> {
  const { count = 10, from } = options
  const wanted = BigInt(Math.min(count, TAP_MESSAGES_MAX))
  const ends = await source.endOffsets()
  const chosen = choosePartitions(name, source.assignment, options)
  const starts = await startOffsets(source, chosen, from, wanted, ends)
  /** Read up to here. */
  const open = new Map<TopicPartition, bigint>()
  for (const tp of chosen) {
    const start = starts.get(tp)!
    const { endOffset } = ends.get(tp)!
    const end = start + wanted < endOffset ? start + wanted : endOffset
    if (end <= start) continue
    open.set(tp, end)
    source.seek(tp, start)
  }
  const wantedEnds = new Map([...open].map(([tp, end]) => [`${tp.topic}:${tp.partition}`, end]))
  const chunks: SourceChunk[] = []
  for (let sizeBytes = 0; open.size > 0 && sizeBytes < TAP_BYTES_MAX; ) {
    const read = await source.read({ maxBytes: TAP_BYTES_MAX - sizeBytes, maxWaitMs: WAIT_MAX_MS })
    if (read.length === 0) break
    for (const chunk of read) {
      const end = open.get(chunk.topicPartition)
      if (end === undefined) continue
      chunks.push(chunk)
      sizeBytes += chunk.sizeBytes
      if (chunk.nextOffset >= end) open.delete(chunk.topicPartition)
    }
  }
  return { chunks, ends: wantedEnds }
}

async function startOffsets(
  source: MessageSource,
  chosen: readonly TopicPartition[],
  from: TapOptions['from'],
  wanted: bigint,
  ends: Awaited<ReturnType<MessageSource['endOffsets']>>,
): Promise<Map<TopicPartition, bigint>> {
  if (from !== undefined && (typeof from === 'string' || !('offset' in from))) {
    return source.resolveStart(chosen, from)
  }
  return new Map(
    chosen.map(tp => {
      const { startOffset, endOffset } = ends.get(tp)!
      const start = from === undefined ? endOffset - wanted : from.offset
      return [tp, start > startOffset ? start : startOffset]
    }),
  )
}

/** Where the table's schema decides, the one in memory has it too. */
async function copySchema(
  { delta }: PipelineConfig,
  { store, runtime }: TapContext,
  lake: MemoryObjectStore,
): Promise<void> {
  if (delta.schema !== null && !delta.mergeSchema) return
  const state = await loadTableState(store, { nowMs: runtime.now() })
  if (state === null) return
  const { schema, metadata } = state
  const spec = { schema, partitionColumns: metadata.partitionColumns, properties: {}, name: delta.tableName }
  await DeltaTable.openOrCreate(lake.at(delta.tableName), spec, { runtime })
}

async function decode(
  config: PipelineConfig,
  { chunks, ends }: Sample,
  lake: MemoryObjectStore,
  runtime: Runtime,
): Promise<Tapped> {
  const isWanted = (topic: string, partition: number, offset: bigint): boolean =>
    offset < (ends.get(`${topic}:${partition}`) ?? 0n)
  const rejected: RejectedRecord[] = []
  const end = subscribe('record:rejected', ({ pipeline: _, action: __, ...record }) => {
    if (isWanted(record.topic, record.partition, record.offset)) rejected.push(record)
  })
  const delta = { ...config.delta, writeMode: 'append', createTable: true } as const
  const processing = { ...config.processing, onBadRecord: 'skip', dryRun: false } as const
  const writer = new DeltaWriter({ ...config, delta, processing }, { store: lake, runtime })
  try {
    await writer.createTableIfNotExists()
    await writer.writeBatch(new MessageBatch(chunks))
    const snapshot = (await loadSnapshot(lake.at(delta.tableName)))!
    const rows: TableRow[] = []
    for await (const batch of scanTable(snapshot)) rows.push(...batch)
    return { schema: snapshot.state.schema, rows: wantedRows(config, rows, isWanted), rejected }
  } finally {
    end()
    await writer.close()
  }
}

/** By partition and offset, where the table has these columns; a scan goes by files. */
function wantedRows(
  { delta }: PipelineConfig,
  rows: TableRow[],
  isWanted: (topic: string, partition: number, offset: bigint) => boolean,
): readonly TableRow[] {
  const [topic, partition, offset] = (['topic', 'partition', 'offset'] as const).map(field =>
    delta.metadataColumns.get(field),
  )
  if (topic === undefined || partition === undefined || offset === undefined) return rows
  return rows
    .filter(row => isWanted(row[topic] as string, row[partition] as number, row[offset] as bigint))
    .sort(
      (a, b) =>
        Number(a[partition]) - Number(b[partition]) || Number((a[offset] as bigint) - (b[offset] as bigint)),
    )
}
