/**
 * How far a pipeline is, asked from its table and from Kafka: no running process is needed, and no state but the table's.
 *
 * The two sides are asked at the same time, and what one of them tells is told whatever became of the other.
 *
 * @module
 */
import { loadTableState, type ObjectStore, type Runtime } from '@stream-ingest/delta'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { StreamIngestError } from '../error.ts'
import type { MessageSource, TopicPartition } from '../kafka/message-source.ts'
import { commitMetric, commitsBackFrom, commitTimeMs, isCommitOf, topicNamesOf } from './commit-history.ts'
import { SET_OFFSETS } from './offset-move.ts'
import { findHeldOffset, parseAppId, planStart, type StartOffset } from './start-position.ts'
import type { EndOffsets } from './table-progress.ts'

/** Commits that are read, from the newest back, to find the last one of a pipeline: other writers may have gone on since. */
export const COMMITS_SEARCHED_MAX = 200

/** Null: the side that would know could not be asked. */
export interface PartitionStatus {
  readonly topic: string
  readonly partition: number
  /** What the table holds; where it holds nothing yet, where a run would start. */
  readonly nextOffset: bigint | null
  /** First offset that Kafka still has. */
  readonly startOffset: bigint | null
  /** Behind the last message (of a committed transaction, where only those are read). */
  readonly endOffset: bigint | null
  /** Messages to go; those that Kafka has deleted meanwhile are not among them. */
  readonly lag: bigint | null
  /** Offsets that the table does not hold and Kafka no longer has. */
  readonly lost: bigint | null
  /** Offsets that the table holds beyond the end of the topic partition, which was cut off or is another one. */
  readonly ahead: bigint | null
  /** False: no commit has told of this partition yet. */
  readonly isInTable: boolean
}

export interface PipelineStatus {
  readonly name: string
  readonly table: string
  /** Null where there is no table, or it could not be read. */
  readonly version: number | null
  /** Of the last commit by which the pipeline wrote, epoch milliseconds; null where none was found. */
  readonly lastCommitAtMs: number | null
  readonly lastCommitVersion: number | null
  /** Kafka's timestamp of the newest row; null where the commits that were looked at do not tell. */
  readonly newestRecordMs: number | null
  /** Age of the newest row, 0 where nothing is left to read; null where either is not known. */
  readonly freshnessMs: number | null
  /** Of all partitions; null where it is not known of each. */
  readonly lag: bigint | null
  readonly partitions: readonly PartitionStatus[]
  /** Topics of this pipeline in the table that are not there any more: deleted, or deleted and created again. */
  readonly unknownTopicIds: readonly string[]
  /** What could not be asked, and why a run would not start; empty where all is well. */
  readonly errors: readonly StreamIngestError[]
}

export interface StatusContext {
  /** Rooted at the table. */
  readonly store: ObjectStore
  /** Opened and closed here. */
  readonly source: MessageSource
  readonly runtime: Runtime
  readonly signal?: AbortSignal
}

interface TableSide {
  readonly version: number | null
  /** Next offset by app id. */
  readonly txns: ReadonlyMap<string, bigint>
  readonly last: LastCommit
}

interface LastCommit {
  readonly version: number | null
  readonly atMs: number | null
  readonly newestRecordMs: number | null
  /** Names of topics by their ids, as far as commits were looked at. */
  readonly topics: ReadonlyMap<string, string>
}

interface KafkaSide {
  readonly assignment: readonly TopicPartition[]
  readonly ends: EndOffsets
}

/** Asks both sides. Never throws for an operational failure: what is known is told, with the `errors` beside it. */
export async function readPipelineStatus(
  config: PipelineConfig,
  context: StatusContext,
): Promise<PipelineStatus> {
  const { source, store, signal } = context
  const endWait = (): void => void source.close().catch(() => {})
  signal?.addEventListener('abort', endWait, { once: true })
  try {
    const errors: StreamIngestError[] = []
    const answers = await Promise.allSettled([readTable(config, context), readKafka(source)])
    const [table, kafka] = answers.map(answer => {
      if (answer.status === 'fulfilled') return answer.value
      errors.push(StreamIngestError.from(answer.reason))
      return null
    }) as [TableSide | null, KafkaSide | null]
    const partitions = await partitionsOf(config, source, table, kafka, errors)
    const lag = totalLag(partitions, table !== null && kafka !== null)
    const newestRecordMs = table?.last.newestRecordMs ?? null
    return {
      name: config.name,
      table: store.uri,
      version: table?.version ?? null,
      lastCommitAtMs: table?.last.atMs ?? null,
      lastCommitVersion: table?.last.version ?? null,
      newestRecordMs,
      freshnessMs: freshnessMs(lag, newestRecordMs, context.runtime.now()),
      lag,
      partitions,
      unknownTopicIds: unknownTopicIds(config.pipelineId, table, kafka),
      errors,
    }
  } finally {
    signal?.removeEventListener('abort', endWait)
    await source.close().catch(() => {})
  }
}

/** Of a pipeline that could not even be asked. */
export function unaskedStatus(name: string, table: string, error: StreamIngestError): PipelineStatus {
  return {
    name,
    table,
    version: null,
    lastCommitAtMs: null,
    lastCommitVersion: null,
    newestRecordMs: null,
    freshnessMs: null,
    lag: null,
    partitions: [],
    unknownTopicIds: [],
    errors: [error],
  }
}

function totalLag(partitions: readonly PartitionStatus[], isAsked: boolean): bigint | null {
  if (!isAsked) return null
  let total = 0n
  for (const { lag } of partitions) {
    if (lag === null) return null
    total += lag
  }
  return total
}

function freshnessMs(lag: bigint | null, newestRecordMs: number | null, nowMs: number): number | null {
  if (lag === 0n) return 0
  return lag === null || newestRecordMs === null ? null : Math.max(0, nowMs - newestRecordMs)
}

async function readKafka(source: MessageSource): Promise<KafkaSide> {
  await source.open()
  return { assignment: source.assignment, ends: await source.endOffsets() }
}

async function readTable(
  { pipelineId }: PipelineConfig,
  { store, runtime, signal }: StatusContext,
): Promise<TableSide> {
  const request = signal === undefined ? {} : { signal }
  const state = await loadTableState(store, { nowMs: runtime.now(), ...request })
  if (state === null) return { version: null, txns: new Map(), last: NO_COMMIT }
  const txns = new Map([...state.txns].map(([appId, { version }]) => [appId, version]))
  return { version: state.version, txns, last: await lastCommitOf(pipelineId, store, state.version, signal) }
}

const NO_COMMIT: LastCommit = { version: null, atMs: null, newestRecordMs: null, topics: new Map() }

/** The newest commit by which the pipeline wrote, and the newest of these that tells when its rows were made. */
async function lastCommitOf(
  pipelineId: string,
  store: ObjectStore,
  version: number,
  signal: AbortSignal | undefined,
): Promise<LastCommit> {
  const topics = new Map<string, string>()
  let last: LastCommit = { ...NO_COMMIT, topics }
  for await (const commit of commitsBackFrom(store, version, COMMITS_SEARCHED_MAX, signal)) {
    if (!isCommitOf(pipelineId, commit)) continue
    for (const [topicId, name] of topicNamesOf(commit)) if (!topics.has(topicId)) topics.set(topicId, name)
    // Somebody moved offsets by hand: the pipeline itself did nothing.
    if (commit.info.operation === SET_OFFSETS) continue
    const newest = commitMetric(commit, 'newestRecordTimestampMs')
    const newestRecordMs = newest === null ? null : Number(newest)
    last =
      last.version === null
        ? { version: commit.version, atMs: commitTimeMs(commit), newestRecordMs, topics }
        : { ...last, newestRecordMs }
    if (newestRecordMs !== null) break
  }
  return last
}

/** Adds to `errors` why a run would not start. */
async function partitionsOf(
  config: PipelineConfig,
  source: MessageSource,
  table: TableSide | null,
  kafka: KafkaSide | null,
  errors: StreamIngestError[],
): Promise<PartitionStatus[]> {
  if (kafka === null) return table === null ? [] : partitionsOfTable(config, table)
  const starts = table === null ? new Map() : await startsOf(config, source, kafka, table.txns, errors)
  return kafka.assignment.map(tp => comparePartition(tp, starts.get(tp) ?? null, kafka.ends))
}

/** Where a run would read on, of each partition of which that can be told. */
async function startsOf(
  { kafka: config, pipelineId }: PipelineConfig,
  source: MessageSource,
  { assignment, ends }: KafkaSide,
  txns: ReadonlyMap<string, bigint>,
  errors: StreamIngestError[],
): Promise<Map<TopicPartition, StartOffset>> {
  const starts = new Map<TopicPartition, StartOffset>()
  const byName = new Set<string>()
  for (const tp of assignment) {
    const held = findHeldOffset(pipelineId, tp, txns)
    if (held === null) continue
    starts.set(tp, { nextOffset: held.nextOffset, fromTable: true })
    if (parseAppId(pipelineId, held.appId)?.topicId === tp.topic) byName.add(tp.topic)
  }
  const missing = assignment.filter(tp => !starts.has(tp))
  // Fed by a trigger, which has not brought anything of this partition yet.
  for (const tp of missing) {
    if (byName.has(tp.topic)) starts.set(tp, { nextOffset: ends.get(tp)!.startOffset, fromTable: false })
  }
  const fresh = missing.filter(tp => !starts.has(tp))
  if (fresh.length === 0) return starts
  try {
    // As a run would: what it would stop at is the status too.
    const { offsets } = await planStart(config, pipelineId, source, fresh, txns)
    for (const [tp, start] of offsets) starts.set(tp, start)
  } catch (thrown) {
    errors.push(StreamIngestError.from(thrown))
  }
  return starts
}

function comparePartition(tp: TopicPartition, start: StartOffset | null, ends: EndOffsets): PartitionStatus {
  const { topic, partition } = tp
  const { startOffset, endOffset } = ends.get(tp)!
  const known = { topic, partition, startOffset, endOffset }
  if (start === null) {
    return { ...known, nextOffset: null, lag: null, lost: null, ahead: null, isInTable: false }
  }
  const { nextOffset, fromTable } = start
  const first = nextOffset > startOffset ? nextOffset : startOffset
  return {
    topic,
    partition,
    nextOffset,
    startOffset,
    endOffset,
    lag: positive(endOffset - first),
    lost: positive(startOffset - nextOffset),
    ahead: positive(nextOffset - endOffset),
    isInTable: fromTable,
  }
}

function positive(difference: bigint): bigint {
  return difference > 0n ? difference : 0n
}

/** What the table alone tells. Topics are named as its commits name them, else by their ids. */
function partitionsOfTable(
  { kafka, pipelineId }: PipelineConfig,
  { txns, last: { topics } }: TableSide,
): PartitionStatus[] {
  const unknown = { startOffset: null, endOffset: null, lag: null, lost: null, ahead: null }
  return [...txns]
    .flatMap(([appId, nextOffset]) => {
      const parsed = parseAppId(pipelineId, appId)
      if (parsed === null) return []
      const { topicId, partition } = parsed
      const topic = topics.get(topicId) ?? topicId
      return [{ topic, partition, nextOffset, ...unknown, isInTable: true }]
    })
    .filter(({ topic }) => topics.size === 0 || kafka.topics.includes(topic))
    .sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1))
}

function unknownTopicIds(pipelineId: string, table: TableSide | null, kafka: KafkaSide | null): string[] {
  if (table === null || kafka === null) return []
  const read = new Set(kafka.assignment.flatMap(({ topic, topicId }) => [topicId, topic]))
  const held = [...table.txns.keys()].flatMap(appId => parseAppId(pipelineId, appId)?.topicId ?? [])
  return [...new Set(held)].filter(topicId => !read.has(topicId))
}
