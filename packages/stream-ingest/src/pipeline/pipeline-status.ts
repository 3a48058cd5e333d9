/**
 * How far a pipeline is, asked from its table and from Kafka: no running process is needed, and no state but the table's.
 *
 * @module
 */
import {
  type CommitInfo,
  loadTableState,
  type ObjectStore,
  type Runtime,
  readCommit,
} from '@stream-ingest/delta'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { StreamIngestError } from '../error.ts'
import type { MessageSource, TopicPartition } from '../kafka/message-source.ts'
import { parseAppId, planStart } from './start-position.ts'

/** Commits that are read, from the newest back, to find the last one of a pipeline: other writers may have gone on since. */
export const COMMITS_SEARCHED_MAX = 200

export interface PartitionStatus {
  readonly topic: string
  readonly partition: number
  /** What the table holds; where it holds nothing yet, where a run would start. */
  readonly nextOffset: bigint
  /** First offset that Kafka still has. */
  readonly startOffset: bigint
  /** Behind the last message (of a committed transaction, where only those are read). */
  readonly endOffset: bigint
  /** Messages to go; those that Kafka has deleted meanwhile are not among them. */
  readonly lag: bigint
  /** Offsets that the table does not hold and Kafka no longer has. */
  readonly lost: bigint
  /** False: no commit has told of this partition yet. */
  readonly isInTable: boolean
}

export interface PipelineStatus {
  readonly name: string
  readonly table: string
  /** Null where there is no table, or it could not be read. */
  readonly version: number | null
  /** Of the pipeline's own last commit, epoch milliseconds; null where none was found. */
  readonly lastCommitAtMs: number | null
  readonly lastCommitVersion: number | null
  /** Kafka's timestamp of the newest row; null where the commits that were looked at do not tell. */
  readonly newestRecordMs: number | null
  /** Age of the newest row, 0 where nothing is left to read; null where it is not known. */
  readonly freshnessMs: number | null
  /** Of all partitions; null where Kafka or the table could not be asked. */
  readonly lag: bigint | null
  readonly partitions: readonly PartitionStatus[]
  /** Topics of this pipeline in the table that are not there any more: deleted, or deleted and created again. */
  readonly unknownTopicIds: readonly string[]
  /** What could not be asked; null where all is known. */
  readonly error: StreamIngestError | null
}

export interface StatusContext {
  /** Rooted at the table. */
  readonly store: ObjectStore
  /** Opened and closed here. */
  readonly source: MessageSource
  readonly runtime: Runtime
}

interface TableSide {
  readonly version: number | null
  readonly txns: ReadonlyMap<string, bigint>
  readonly last: LastCommit
}

interface LastCommit {
  readonly version: number | null
  readonly atMs: number | null
  readonly newestRecordMs: number | null
}

const NO_COMMIT: LastCommit = { version: null, atMs: null, newestRecordMs: null }

/** Asks both sides. Never throws for an operational failure: what is known is told, with the `error` beside it. */
export async function readPipelineStatus(
  config: PipelineConfig,
  context: StatusContext,
): Promise<PipelineStatus> {
  const [tableAnswer, kafkaAnswer] = await Promise.allSettled([
    readTable(config, context),
    context.source.open(),
  ])
  const table: TableSide =
    tableAnswer.status === 'fulfilled'
      ? tableAnswer.value
      : { version: null, txns: new Map(), last: NO_COMMIT }
  const failed = [tableAnswer, kafkaAnswer].find(answer => answer.status === 'rejected')
  let progress: KafkaSide | null = null
  let error = failed === undefined ? null : StreamIngestError.from(failed.reason)
  if (error === null) {
    try {
      progress = await readProgress(config, context.source, table.txns)
    } catch (thrown) {
      error = StreamIngestError.from(thrown)
    }
  }
  await context.source.close().catch(() => {})
  const { partitions = null, unknownTopicIds = [] } = progress ?? {}
  const lag = partitions?.reduce((sum, partition) => sum + partition.lag, 0n) ?? null
  return {
    name: config.name,
    table: context.store.uri,
    version: table.version,
    lastCommitAtMs: table.last.atMs,
    lastCommitVersion: table.last.version,
    newestRecordMs: table.last.newestRecordMs,
    freshnessMs: freshnessMs(lag, table.last.newestRecordMs, context.runtime.now()),
    lag,
    partitions: partitions ?? [],
    unknownTopicIds,
    error,
  }
}

function freshnessMs(lag: bigint | null, newestRecordMs: number | null, nowMs: number): number | null {
  if (lag === 0n) return 0
  return newestRecordMs === null ? null : Math.max(0, nowMs - newestRecordMs)
}

async function readTable(
  { pipelineId }: PipelineConfig,
  { store, runtime }: StatusContext,
): Promise<TableSide> {
  const state = await loadTableState(store, { nowMs: runtime.now() })
  if (state === null) return { version: null, txns: new Map(), last: NO_COMMIT }
  const txns = new Map([...state.txns].map(([appId, { version }]) => [appId, version]))
  return { version: state.version, txns, last: await lastCommitOf(pipelineId, store, state.version) }
}

/** The newest commit that moved an offset of the pipeline, and the newest of these that tells when its rows were made. */
async function lastCommitOf(pipelineId: string, store: ObjectStore, version: number): Promise<LastCommit> {
  let last: LastCommit = NO_COMMIT
  const oldest = Math.max(0, version - COMMITS_SEARCHED_MAX + 1)
  for (let v = version; v >= oldest; v--) {
    const commit = await readCommit(store, v)
    if (commit === null) break
    if (!commit.some(action => 'txn' in action && parseAppId(pipelineId, action.txn.appId) !== null)) continue
    const info = commit.find(action => 'commitInfo' in action)?.commitInfo ?? {}
    const newestRecordMs = newestRecordOf(info)
    if (last.version === null) {
      last = { version: v, atMs: info.inCommitTimestamp ?? info.timestamp ?? null, newestRecordMs }
    } else {
      last = { ...last, newestRecordMs }
    }
    if (newestRecordMs !== null) break
  }
  return last
}

function newestRecordOf({ operationMetrics }: CommitInfo): number | null {
  const ms = Number(operationMetrics?.newestRecordTimestampMs ?? Number.NaN)
  return Number.isSafeInteger(ms) ? ms : null
}

interface KafkaSide {
  readonly partitions: readonly PartitionStatus[]
  readonly unknownTopicIds: readonly string[]
}

async function readProgress(
  { kafka, pipelineId }: PipelineConfig,
  source: MessageSource,
  txns: ReadonlyMap<string, bigint>,
): Promise<KafkaSide> {
  const { assignment } = source
  // As a run would: what it would stop at is the status too.
  const plan = await planStart(kafka, pipelineId, source, assignment, txns)
  const ends = await source.endOffsets()
  const partitions = assignment.map((tp: TopicPartition): PartitionStatus => {
    const { nextOffset, fromTable } = plan.offsets.get(tp)!
    const { startOffset, endOffset } = ends.get(tp)!
    const first = nextOffset > startOffset ? nextOffset : startOffset
    return {
      topic: tp.topic,
      partition: tp.partition,
      nextOffset,
      startOffset,
      endOffset,
      lag: endOffset > first ? endOffset - first : 0n,
      lost: startOffset > nextOffset ? startOffset - nextOffset : 0n,
      isInTable: fromTable,
    }
  })
  return { partitions, unknownTopicIds: plan.unknownTopicIds }
}
