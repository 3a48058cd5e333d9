/**
 * From a cut to a commit: the columns with the offsets that they stand for, and what is told about it.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { Runtime } from '@stream-ingest/delta'
import type { EpochColumns, EpochOutcome, TableWriter } from '../delta/table-writer.ts'
import type { TopicPartition } from '../kafka/message-source.ts'
import { type FlushReason, hasListeners, type OffsetRange, publish } from '../observe/event.ts'
import { type EpochCounts, type EpochCut, rowsOfCut } from './epoch.ts'
import { messageCounts } from './ingest-metrics.ts'
import type { Quarantine } from './quarantine.ts'
import { appIdOf } from './start-position.ts'

export interface EpochIdentity {
  readonly pipelineId: string
  /** From 1, in this process: for people who look at the history. */
  readonly epochNumber: number
  /** What the table holds of a topic partition, as far as the caller knows; null where it holds nothing. */
  readonly committed: (topicPartition: TopicPartition) => bigint | null
  /** Start positions to put on record besides. */
  readonly starts?: Iterable<readonly [TopicPartition, bigint]>
}

/** What the table is to take over, all or nothing. */
export function epochColumns(cut: EpochCut, identity: EpochIdentity): EpochColumns {
  const { pipelineId, epochNumber, committed, starts = [] } = identity
  const advances = new Map<TopicPartition, bigint>(starts)
  for (const { topicPartition, nextOffset } of cut.ranges) advances.set(topicPartition, nextOffset)
  const topics: Record<string, string> = {}
  for (const { topic, topicId } of advances.keys()) topics[topicId] = topic
  return {
    ...rowsOfCut(cut),
    ...(cut.remote === undefined ? {} : { remote: cut.remote }),
    offsets: [...advances].map(([tp, nextOffset]) => ({
      appId: appIdOf(pipelineId, tp),
      expected: committed(tp),
      nextOffset,
    })),
    metrics: commitMetrics(cut.counts, cut.newestRecordMs),
    operationParameters: { epochId: String(epochNumber), topics: JSON.stringify(topics) },
  }
}

/**
 * What the commit tells of the messages behind its rows, in `operationMetrics`: reconciliation and freshness can be read
 * from the table alone.
 */
export function commitMetrics(
  { messages, badRecords, quarantined, skipped, filtered }: Omit<EpochCounts, 'rows'>,
  newestRecordMs: number | null,
): Record<string, string> {
  return {
    numConsumedRecords: String(messages + filtered),
    numBadRecords: String(badRecords),
    numQuarantinedRecords: String(quarantined),
    numSkippedRecords: String(skipped),
    numFilteredRecords: String(filtered),
    ...(newestRecordMs === null ? {} : { newestRecordTimestampMs: String(newestRecordMs) }),
  }
}

/** An epoch, where it goes and what is told of it. */
export interface EpochCommit {
  readonly cut: EpochCut
  readonly columns: EpochColumns
  readonly reason: FlushReason
  /** Its name. */
  readonly pipeline: string
  readonly writer: TableWriter
  /** Null where bad records do not go there. */
  readonly quarantine: Quarantine | null
  readonly runtime: Runtime
}

/**
 * Writes the epoch, its bad records before its rows, and publishes what became of it.
 *
 * @throws what {@link TableWriter.writeEpoch} throws
 */
export async function commitEpoch(commit: EpochCommit): Promise<EpochOutcome> {
  const { pipeline, cut, reason } = commit
  publishCut(pipeline, cut, reason)
  try {
    return await commitAndTell(commit)
  } catch (error) {
    publish('commit:failed', { pipeline, error })
    throw error
  }
}

async function commitAndTell({
  cut,
  columns,
  reason,
  pipeline,
  writer,
  quarantine,
  runtime,
}: EpochCommit): Promise<EpochOutcome> {
  const startedMs = runtime.monotonicMs()
  const encodedBeforeMs = writer.stages.encodeMs
  let offsets = columns.offsets
  if (cut.quarantined !== null) {
    assert(quarantine !== null, 'nothing is set aside for a quarantine that is not there')
    offsets = [...offsets, ...(await quarantine.put(cut.quarantined, cut.ranges, writer))]
    // Crash here: records in the quarantine that count nowhere, since the table does not name their attempt. They are
    // read again from Kafka, and what is left of this attempt is taken out when one of them counts.
  }
  const outcome = await writer.writeEpoch(
    { ...columns, offsets },
    {
      attempted: (version, attempt) => publish('commit:attempted', { pipeline, version, attempt }),
    },
  )
  if (outcome.status === 'fenced') {
    const { winner, appId } = outcome
    publish('commit:conflicted', { pipeline, winner, reason: 'txn', detail: appId })
    return outcome
  }
  if (outcome.status === 'schema-changed') {
    const { winner, problems } = outcome
    publish('commit:conflicted', { pipeline, winner, reason: 'schema', detail: problems.join('; ') })
    return outcome
  }
  const { version, files, attemptCount, schemaChanges } = outcome
  for (const file of files) publish('file:written', { pipeline, ...file })
  publish('commit:committed', {
    pipeline,
    version,
    rowCount: cut.counts.rows,
    fileCount: files.length,
    sizeBytes: files.reduce((total, f) => total + f.sizeBytes, 0),
    reason,
    durationMs: runtime.monotonicMs() - startedMs,
    attemptCount,
    counts: messageCounts(cut.counts),
    encodeMs: writer.stages.encodeMs - encodedBeforeMs,
    tableFileCount: writer.table.state.fileTotals?.numFiles ?? null,
    newestRecordMs: cut.newestRecordMs,
    ranges: rangesOf(cut),
  })
  if (schemaChanges.length > 0) publish('schema:evolved', { pipeline, version, changes: schemaChanges })
  // Crash here: left-overs of attempts that came to nothing stay until the next commit or start.
  await quarantine?.tidy(writer.table.state.txns)
  return outcome
}

/** Tells that a cut is on its way to the table. */
export function publishCut(pipeline: string, cut: EpochCut, reason: FlushReason): void {
  if (!hasListeners('batch:cut')) return
  const { messageCount, sinceMs } = cut.buffered
  publish('batch:cut', { pipeline, reason, messageCount, sinceMs, ranges: rangesOf(cut) })
}

function rangesOf({ ranges }: EpochCut): OffsetRange[] {
  return ranges.map(({ topicPartition: { topic, partition }, fromOffset, nextOffset }) => ({
    topic,
    partition,
    fromOffset,
    nextOffset,
  }))
}

/** In a dry run: what the rows of this cut would add to the table's schema beyond those before. */
export function publishPlannedSchema(pipeline: string, { schemaChanges }: EpochCut): void {
  if (schemaChanges.length > 0) publish('schema:evolved', { pipeline, version: null, changes: schemaChanges })
}

/** Checksum and checkpoint: worth having, and no failure where they cannot be had. Never throws. */
export async function keepUpLog(
  writer: TableWriter,
  pipeline: string,
  version: number,
  runtime: Runtime,
): Promise<void> {
  const startedMs = runtime.monotonicMs()
  // Crash here: a longer replay at the next start; the next commit sees that a checkpoint is due.
  const { checkpoint } = await writer.upkeep()
  if (typeof checkpoint === 'object' && 'error' in checkpoint) {
    publish('checkpoint:failed', { pipeline, version, error: checkpoint.error })
  } else if (checkpoint !== 'not-due' && checkpoint.status === 'written') {
    publish('checkpoint:written', { pipeline, version, durationMs: runtime.monotonicMs() - startedMs })
  }
}
