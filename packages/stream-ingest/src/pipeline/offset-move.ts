/**
 * Moving the offsets that a table holds for a pipeline: by a commit of its own, which says who was where and why.
 *
 * The table's rows stay as they are. Back means that messages are ingested once more, on means that they never are.
 *
 * @module
 */
import { DeltaTable, type ObjectStore, type Runtime, readCommit } from '@stream-ingest/delta'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { ConfigError, DeltaError } from '../error.ts'
import type { MessageSource, StartPosition, TopicPartition } from '../kafka/message-source.ts'
import { choosePartitions, type PartitionChoice } from './partition-choice.ts'
import { appIdOf, assertFresh, parseAppId } from './start-position.ts'

/** A writer that has committed within the last minute, or twice `batch_timeout_ms`, is taken for one that runs. */
const ACTIVE_MIN_MS = 60_000
const COMMITS_SEARCHED_MAX = 20
/** Others may commit while the move is planned; then it is planned anew. */
const ATTEMPTS_MAX = 5
const OPERATION = 'SET OFFSETS'

/** Where to: a position that Kafka is asked for, or an offset itself. */
export type OffsetTarget = StartPosition | { readonly offset: bigint }

export interface OffsetMoveOptions extends PartitionChoice {
  readonly to: OffsetTarget
  /** For the table's history. */
  readonly reason?: string
  readonly dryRun?: boolean
  /** Also where a writer of the pipeline seems to run. */
  readonly force?: boolean
}

export interface OffsetChange {
  readonly topic: string
  readonly partition: number
  /** Null where the table held none. */
  readonly fromOffset: bigint | null
  readonly toOffset: bigint
}

export interface OffsetMove {
  readonly pipeline: string
  readonly table: string
  /** Of the commit; null in a dry run, and where nothing was to be moved. */
  readonly version: number | null
  readonly changes: readonly OffsetChange[]
  /** Messages that a run would ingest once more. */
  readonly repeated: bigint
  /** Messages that no run would ingest any more. */
  readonly passedOver: bigint
}

export interface OffsetMoveContext {
  /** Rooted at the table. */
  readonly store: ObjectStore
  /** Opened and closed here. */
  readonly source: MessageSource
  readonly runtime: Runtime
}

/**
 * Moves offsets in one commit. A writer that runs all the same meets it as another's commit: what it holds is dropped, and
 * it reads from the new offsets.
 *
 * @throws DeltaError `DELTA_TABLE_NOT_FOUND`; `PIPELINE_ACTIVE` unless forced; `DELTA_COMMIT_CONTENTION`
 * @throws ConfigError `CONFIG_USAGE` for a partition that is not read, or an offset that Kafka does not have
 * @throws KafkaError, and what the store throws
 */
export async function moveOffsets(
  config: PipelineConfig,
  options: OffsetMoveOptions,
  { store, source, runtime }: OffsetMoveContext,
): Promise<OffsetMove> {
  try {
    await source.open()
    const targets = await resolveTargets(config, options, source)
    const table = await DeltaTable.open(store, { runtime })
    if (table === null) {
      throw new DeltaError('DELTA_TABLE_NOT_FOUND', `there is no Delta table at ${store.uri}`, {
        context: { table: store.uri },
      })
    }
    if (options.force !== true) await assertQuiet(config, table, runtime)
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const changes = changesOf(config.pipelineId, table, targets)
      assertWhole(changes, source.assignment, targets)
      if (options.dryRun === true || changes.length === 0) return describe(config, store, null, changes)
      // Crash here: nothing has changed. Crash within: the commit is there as a whole, or not at all.
      const version = await commitChanges(config, table, changes, options.reason, runtime)
      if (version !== null) return describe(config, store, version, changes)
      await table.reload()
    }
    throw new DeltaError(
      'DELTA_COMMIT_CONTENTION',
      `others moved offsets in ${store.uri} ${ATTEMPTS_MAX} times meanwhile`,
      { hint: 'stop the writers of this pipeline first' },
    )
  } finally {
    await source.close().catch(() => {})
  }
}

interface PlannedChange extends OffsetChange {
  readonly appId: string
}

async function resolveTargets(
  config: PipelineConfig,
  options: OffsetMoveOptions,
  source: MessageSource,
): Promise<Map<TopicPartition, bigint>> {
  const { to } = options
  const chosen = choosePartitions(config.name, source.assignment, options)
  if (typeof to === 'string' || !('offset' in to)) return source.resolveStart(chosen, to)
  const ends = await source.endOffsets()
  for (const tp of chosen) {
    const { startOffset, endOffset } = ends.get(tp)!
    if (to.offset >= startOffset && to.offset <= endOffset) continue
    throw new ConfigError(
      'CONFIG_USAGE',
      `${tp.topic}[${tp.partition}] has no offset ${to.offset}: ${startOffset} to ${endOffset} are there`,
      { hint: 'name one of these, `earliest` or `latest`' },
    )
  }
  return new Map(chosen.map(tp => [tp, to.offset]))
}

function changesOf(
  pipelineId: string,
  { state }: DeltaTable,
  targets: ReadonlyMap<TopicPartition, bigint>,
): PlannedChange[] {
  return [...targets].flatMap(([tp, toOffset]) => {
    const appId = appIdOf(pipelineId, tp)
    const held = state.txns.get(appId)?.version ?? null
    if (held === toOffset) return []
    if (held === null) assertFresh(pipelineId, tp, state.txns.keys())
    return [{ appId, topic: tp.topic, partition: tp.partition, fromOffset: held, toOffset }]
  })
}

/**
 * A table that knows some partitions of a topic and not others looks as if it had lost them: the first time, all of a topic
 * are recorded.
 *
 * @throws ConfigError `CONFIG_USAGE`
 */
function assertWhole(
  changes: readonly PlannedChange[],
  assignment: readonly TopicPartition[],
  targets: ReadonlyMap<TopicPartition, bigint>,
): void {
  const fresh = changes.find(({ fromOffset }) => fromOffset === null)
  if (fresh === undefined) return
  const isWhole = assignment.every(tp => tp.topic !== fresh.topic || targets.has(tp))
  if (isWhole) return
  throw new ConfigError(
    'CONFIG_USAGE',
    `the table holds no offset of ${fresh.topic}[${fresh.partition}] yet, and only some of its partitions are to be set`,
    { hint: 'set all of them at once, or run the pipeline first' },
  )
}

/** @returns the version; null where another writer moved one of the offsets meanwhile */
async function commitChanges(
  { pipelineId }: PipelineConfig,
  table: DeltaTable,
  changes: readonly PlannedChange[],
  reason: string | undefined,
  runtime: Runtime,
): Promise<number | null> {
  const lastUpdated = runtime.now()
  const outcome = await table.append({
    adds: [],
    rowCounts: [],
    txns: changes.map(({ appId, toOffset }) => ({ appId, version: toOffset, lastUpdated })),
    operation: OPERATION,
    operationParameters: {
      queryId: pipelineId,
      ...(reason === undefined ? {} : { reason }),
      offsets: JSON.stringify(
        changes.map(({ topic, partition, fromOffset, toOffset }) => ({
          topic,
          partition,
          from: fromOffset === null ? null : String(fromOffset),
          to: String(toOffset),
        })),
      ),
    },
    operationMetrics: {},
    txnId: runtime.uuid(),
  })
  return outcome.status === 'committed' ? outcome.state.version : null
}

/** @throws DeltaError `PIPELINE_ACTIVE` */
async function assertQuiet(
  { name, pipelineId, processing }: PipelineConfig,
  { state, store }: DeltaTable,
  runtime: Runtime,
): Promise<void> {
  const quietMs = Math.max(ACTIVE_MIN_MS, 2 * processing.batchTimeoutMs)
  for (let v = state.version; v >= 0 && v > state.version - COMMITS_SEARCHED_MAX; v--) {
    const commit = await readCommit(store, v)
    if (commit === null) return
    const info = commit.find(action => 'commitInfo' in action)?.commitInfo
    const ageMs = runtime.now() - (info?.inCommitTimestamp ?? info?.timestamp ?? 0)
    if (ageMs >= quietMs) return
    const isOurs = commit.some(action => 'txn' in action && parseAppId(pipelineId, action.txn.appId) !== null)
    if (!isOurs || info?.operation === OPERATION) continue
    throw new DeltaError(
      'PIPELINE_ACTIVE',
      `\`${name}\` committed version ${v} of ${store.uri} ${Math.max(0, Math.round(ageMs / 1000))} seconds ago: it seems to be running`,
      { context: { pipeline: name, version: v } },
    )
  }
}

function describe(
  { name }: PipelineConfig,
  { uri }: ObjectStore,
  version: number | null,
  changes: readonly PlannedChange[],
): OffsetMove {
  let repeated = 0n
  let passedOver = 0n
  for (const { fromOffset, toOffset } of changes) {
    if (fromOffset === null) continue
    if (toOffset < fromOffset) repeated += fromOffset - toOffset
    else passedOver += toOffset - fromOffset
  }
  return {
    pipeline: name,
    table: uri,
    version,
    changes: changes.map(({ appId: _, ...change }) => change),
    repeated,
    passedOver,
  }
}
