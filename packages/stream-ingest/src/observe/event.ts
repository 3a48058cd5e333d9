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

export const STORE_OPERATIONS = ['get', 'head', 'put', 'putIfAbsent', 'list', 'delete'] as const
/** Calls on the object store. */
export type StoreOperation = (typeof STORE_OPERATIONS)[number]

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

/** What became of messages: `messages = rows + badRecords + skipped`. */
export interface MessageCounts {
  readonly messages: number
  readonly rows: number
  /** Left out, or put into the quarantine. */
  readonly badRecords: number
  /** The same by the code of what is wrong with them. */
  readonly badRecordsByCode: Readonly<Record<string, number>>
  /** Those of them that are in the quarantine. */
  readonly quarantined: number
  /** Tombstones left out by `on_null_value: skip`. */
  readonly skipped: number
  /** Records of aborted transactions; not among the messages. */
  readonly filtered: number
}

export interface IngestEvents {
  'pipeline:started': {
    pipeline: string
    table: string
    consumerGroup: string
    version: number | null
    partitionCount: number
  }
  /** What the table told of itself when the pipeline started; only while somebody listens, for it costs a request. */
  'table:opened': {
    pipeline: string
    version: number
    /** Null where there is none. */
    checkpointVersion: number | null
    /** Null where that is not known without reading the list of files. */
    fileCount: number | null
    /** Kafka's timestamp of the newest row, by the pipeline's last commits; null where they do not tell. */
    newestRecordMs: number | null
  }
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
  /** Metrics and health are served there. */
  'run:serving': { url: string }
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
    /** How long the pipeline had waited for it; close to nothing where it was read ahead. */
    waitMs: number
  }
  /** A broker answered a Fetch; the time includes its wait for messages (`kafka.fetch_max_wait_ms`). */
  'kafka:fetched': { pipeline: string; durationMs: number; sizeBytes: number }
  /** A request to Kafka failed for a reason that may pass, and is repeated. */
  'kafka:retried': { pipeline: string; error: unknown }
  /** A call on the object store has ended, after all repeats; of a listing, the time that was waited for its pages. */
  'store:requested': {
    pipeline: string
    operation: StoreOperation
    durationMs: number
    /** Null where it went well. */
    error: unknown
  }
  /** A request to the object store failed for a reason that may pass, and is repeated. */
  'store:retried': {
    pipeline: string
    /** The store's own name of it, such as `PutObject`. */
    request: string
    error: unknown
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
  /** What was decoded since the last cut goes to the table now. */
  'batch:cut': {
    pipeline: string
    reason: FlushReason
    messageCount: number
    /** When the first of it was read, epoch milliseconds; null where there are no messages. */
    sinceMs: number | null
    ranges: readonly OffsetRange[]
  }
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
    /** What became of the messages behind its offsets. */
    counts: MessageCounts
    /** Encoding its files; zero where it has none, or they were encoded before. */
    encodeMs: number
    /** Live files of the table; null where that is not known without reading the list of them. */
    tableFileCount: number | null
    /** Kafka's timestamp of the newest row, epoch milliseconds; null where no row has one. */
    newestRecordMs: number | null
    ranges: readonly OffsetRange[]
  }
  /** Nothing of it is in the table, or nobody knows: the next start reads from the table where to go on. */
  'commit:failed': { pipeline: string; error: unknown }
  /** A part of a table's replacement; the table changes in one commit at the end of the run. */
  'overwrite:uploaded': {
    pipeline: string
    rowCount: number
    fileCount: number
    sizeBytes: number
    encodeMs: number
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
