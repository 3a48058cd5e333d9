/**
 * Counters of a pipeline. `messages = rows + badRecords + skipped` at all times, and with `filtered` they are all that
 * was consumed.
 *
 * @module
 */
import type { MessageCounts } from '../observe/event.ts'
import { addTo, type EpochCounts } from './epoch.ts'

/** Milliseconds of the process, by stage; the synchronous stages are CPU time as far as nothing else interferes. */
export interface StageTimes {
  fetchWaitMs: number
  decodeMs: number
  encodeMs: number
  uploadMs: number
  commitMs: number
}

export interface IngestMetrics {
  /** Records handed to the decoder. */
  messages: number
  /** Bytes of record batches as fetched (compressed). */
  bytesRead: number
  rows: number
  /** Records that did not fit: left out, or put into the quarantine. */
  badRecords: number
  /** The bad records by the code of what is wrong with them. */
  readonly badRecordsByCode: Record<string, number>
  /** Those of them that are in the quarantine. */
  quarantined: number
  /** Tombstones left out by `on_null_value: skip`. */
  skipped: number
  /** Records of aborted transactions. */
  filtered: number
  /** Offsets that were gone, where the policy allows going on. */
  lostOffsets: bigint
  files: number
  bytesWritten: number
  commits: number
  /** Races for a version of the table that another writer won; the same commit was then made on top of theirs. */
  conflicts: number
  /** Batches dropped because another writer of this pipeline had committed what they hold. */
  fenced: number
  /** Starts over from the table, after a failure that might pass. */
  restarts: number
  /** Requests to the object store that failed and were repeated, each time counted. */
  storeRetries: number
  /** Requests to Kafka that failed and were repeated, each time counted. */
  kafkaRetries: number
  readonly stages: StageTimes
}

export function createIngestMetrics(): IngestMetrics {
  return {
    messages: 0,
    bytesRead: 0,
    rows: 0,
    badRecords: 0,
    badRecordsByCode: {},
    quarantined: 0,
    skipped: 0,
    filtered: 0,
    lostOffsets: 0n,
    files: 0,
    bytesWritten: 0,
    commits: 0,
    conflicts: 0,
    fenced: 0,
    restarts: 0,
    storeRetries: 0,
    kafkaRetries: 0,
    stages: { fetchWaitMs: 0, decodeMs: 0, encodeMs: 0, uploadMs: 0, commitMs: 0 },
  }
}

/** Adds what one cut came to. */
export function countCut(
  metrics: IngestMetrics,
  counts: EpochCounts,
  files: readonly { readonly sizeBytes: number }[],
): void {
  metrics.messages += counts.messages
  metrics.rows += counts.rows
  metrics.badRecords += counts.badRecords
  addAll(metrics.badRecordsByCode, counts.badRecordsByCode)
  metrics.quarantined += counts.quarantined
  metrics.skipped += counts.skipped
  metrics.filtered += counts.filtered
  metrics.files += files.length
  for (const { sizeBytes } of files) metrics.bytesWritten += sizeBytes
}

/** What became of the messages. */
export function messageCounts({
  messages,
  rows,
  badRecords,
  badRecordsByCode,
  quarantined,
  skipped,
  filtered,
}: EpochCounts): MessageCounts {
  return { messages, rows, badRecords, badRecordsByCode, quarantined, skipped, filtered }
}

function addAll(to: Record<string, number>, from: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(from)) addTo(to, name, count)
}

/** The sum of several pipelines' counters. */
export function sumIngestMetrics(all: readonly IngestMetrics[]): IngestMetrics {
  const total = createIngestMetrics()
  for (const one of all) {
    total.messages += one.messages
    total.bytesRead += one.bytesRead
    total.rows += one.rows
    total.badRecords += one.badRecords
    addAll(total.badRecordsByCode, one.badRecordsByCode)
    total.quarantined += one.quarantined
    total.skipped += one.skipped
    total.filtered += one.filtered
    total.lostOffsets += one.lostOffsets
    total.files += one.files
    total.bytesWritten += one.bytesWritten
    total.commits += one.commits
    total.conflicts += one.conflicts
    total.fenced += one.fenced
    total.restarts += one.restarts
    total.storeRetries += one.storeRetries
    total.kafkaRetries += one.kafkaRetries
    total.stages.fetchWaitMs += one.stages.fetchWaitMs
    total.stages.decodeMs += one.stages.decodeMs
    total.stages.encodeMs += one.stages.encodeMs
    total.stages.uploadMs += one.stages.uploadMs
    total.stages.commitMs += one.stages.commitMs
  }
  return total
}
