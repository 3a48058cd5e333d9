/**
 * The events of the product: the only thing the pipeline emits. Logs, metrics, panels and users subscribe.
 *
 * Each event has a `node:diagnostics_channel` of its own, named `stream-ingest:<noun>:<verb>`; publishing costs nothing
 * where nobody listens. Events are per batch, file or commit, never per message (rejected records excepted).
 *
 * @module
 */
import { type Channel, channel } from 'node:diagnostics_channel'
import type { SchemaChange } from '@stream-ingest/delta'

export const FLUSH_REASONS = [
  'rows',
  'size',
  'memory',
  'partitions',
  'age',
  'deadline',
  'stop',
  'end',
  'start',
] as const
/**
 * Why a batch became a commit. `end`: a bounded run has reached its end offsets. `stop`: asked to, or a bad record
 * ends the run. `start`: the first offsets are put on record before anything is read.
 */
export type FlushReason = (typeof FLUSH_REASONS)[number]

export interface OffsetRange {
  readonly topic: string
  readonly partition: number
  readonly fromOffset: bigint
  readonly nextOffset: bigint
}

/** `[nextOffset, endOffset)` is not in the table yet. */
export interface PartitionPlace {
  readonly topic: string
  readonly partition: number
  /** The first offset that is not in the table. */
  readonly nextOffset: bigint
  /** As the broker last said; null before its first answer. */
  readonly endOffset: bigint | null
}

export interface IngestEvents {
  'pipeline:started': { pipeline: string; table: string; version: number | null; partitionCount: number }
  'pipeline:stopped': {
    pipeline: string
    table: string
    version: number | null
    rowCount: number
    commitCount: number
  }
  'pipeline:failed': { pipeline: string; error: unknown }
  /** Asked to stop: what is buffered is committed, then the process ends. */
  'run:stopping': { signal: string }
  /** Where a pipeline stands: twice a second at most, and only while somebody listens. */
  'pipeline:progress': {
    pipeline: string
    /** Decoded since the pipeline started, whatever became of them; from zero again where it starts again. */
    messageCount: number
    /** Read and not in the table yet, those that are being written included. */
    bufferedMessageCount: number
    /** What they take in memory, as columns. */
    bufferedSizeBytes: number
    /** When the oldest of them was read, epoch milliseconds; null where nothing is buffered. */
    bufferedSinceMs: number | null
    partitions: readonly PartitionPlace[]
  }
  /** It starts again from the table after the delay; nothing is lost. */
  'pipeline:retrying': { pipeline: string; error: unknown; attempt: number; delayMs: number }
  /** A run of offsets of one partition came from Kafka. */
  'batch:read': {
    pipeline: string
    topic: string
    partition: number
    /** By the headers of the record batches, which come whole: at the first offset a few may have been read before. */
    messageCount: number
    /** As they came, compressed. */
    sizeBytes: number
    fromOffset: bigint
    nextOffset: bigint
    /** What is there by then: the first offset that cannot be read yet. */
    endOffset: bigint
  }
  'record:rejected': {
    pipeline: string
    topic: string
    partition: number
    offset: bigint
    code: string
    path: string
    column: string | null
    message: string
    /** What happens to it. */
    action: 'stop' | 'skip' | 'quarantine'
  }
  /** Bad records are in the quarantine, whose version this is; they count once the table's own commit names them. */
  'quarantine:committed': { pipeline: string; version: number; recordCount: number; durationMs: number }
  /** Left-overs of attempts that came to nothing stay for now; they count nowhere. */
  'quarantine:untidy': { pipeline: string; error: unknown }
  'file:written': { pipeline: string; key: string; rowCount: number; sizeBytes: number }
  'commit:attempted': { pipeline: string; version: number; attempt: number }
  'commit:committed': {
    pipeline: string
    version: number
    rowCount: number
    fileCount: number
    sizeBytes: number
    reason: FlushReason
    durationMs: number
    attemptCount: number
    /** Kafka's timestamp of the newest row, epoch milliseconds; null where no row has one. */
    newestRecordMs: number | null
    ranges: readonly OffsetRange[]
  }
  /** A part of a table's replacement; the table changes in one commit at the end of the run. */
  'overwrite:uploaded': {
    pipeline: string
    rowCount: number
    fileCount: number
    sizeBytes: number
    reason: FlushReason
  }
  /** The commit added columns to the table, or made types wider; version null: in a dry run, it would have. */
  'schema:evolved': { pipeline: string; version: number | null; changes: readonly SchemaChange[] }
  'commit:conflicted': { pipeline: string; winner: number; reason: string; detail: string }
  'checkpoint:written': { pipeline: string; version: number; durationMs: number }
  'checkpoint:failed': { pipeline: string; version: number; error: unknown }
  /** Small files became larger ones, or old ones were deleted, beside the pipeline. */
  'care:done': {
    pipeline: string
    operation: 'optimize' | 'vacuum'
    filesRemoved: number
    filesAdded: number
    bytesRemoved: number
    bytesAdded: number
    conflicts: number
    durationMs: number
  }
  /** It is tried again when it is due the next time; ingestion goes on. */
  'care:failed': { pipeline: string; operation: 'optimize' | 'vacuum'; error: unknown }
  'assignment:changed': { pipeline: string; added: readonly { topic: string; partition: number }[] }
  'offsets:lost': {
    pipeline: string
    topic: string
    partition: number
    wantedOffset: bigint
    resumedOffset: bigint
  }
  'group-offsets:failed': { pipeline: string; error: unknown }
  'topic:unknown-offsets': { pipeline: string; topicIds: readonly string[] }
}

export type IngestEventName = keyof IngestEvents

const CHANNEL_PREFIX = 'stream-ingest:'
const channels = new Map<IngestEventName, Channel<unknown>>()

function channelOf(name: IngestEventName): Channel<unknown> {
  let found = channels.get(name)
  if (found === undefined) {
    found = channel(CHANNEL_PREFIX + name)
    channels.set(name, found)
  }
  return found
}

/** Does anybody listen? For what costs something to find out. */
export function hasListeners(name: IngestEventName): boolean {
  return channelOf(name).hasSubscribers
}

/** Tells whoever listens. Subscribers must not throw; Node reports it if one does. */
export function publish<Name extends IngestEventName>(name: Name, event: IngestEvents[Name]): void {
  const target = channelOf(name)
  if (target.hasSubscribers) target.publish(event)
}

/** @returns a function that ends the subscription */
export function subscribe<Name extends IngestEventName>(
  name: Name,
  listener: (event: IngestEvents[Name]) => void,
): () => void {
  const target = channelOf(name)
  const onMessage = (message: unknown): void => listener(message as IngestEvents[Name])
  target.subscribe(onMessage)
  return () => {
    target.unsubscribe(onMessage)
  }
}
