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
  type TableState,
} from '@stream-ingest/delta'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { ConfigError } from '../error.ts'
import type { MessageSource, TopicPartition } from '../kafka/message-source.ts'
import { type DecodedMessage, MessageDecoder } from './message-decoder.ts'
import { MessageSampler, type OffsetSpan } from './message-sampler.ts'
import type { OffsetTarget } from './offset-move.ts'
import { choosePartitions, type PartitionChoice } from './partition-choice.ts'
import type { EndOffsets } from './table-progress.ts'

/** A message as {@link tap} shows it. */
export type TappedMessage = DecodedMessage

/** Messages of each partition, unless the options say otherwise. */
export const TAP_COUNT_DEFAULT = 10
/** Messages in all: they are held in memory. */
export const TAP_MESSAGES_MAX = 100_000

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
    const decoder = new MessageDecoder(config, await tableStateFor(config, store, runtime), runtime)
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
