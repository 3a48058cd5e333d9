/**
 * Moving the offsets that a table holds for a pipeline: by a commit of its own, which says who was where and why.
 *
 * The table's rows stay as they are. Back means that messages are ingested once more, on means that they never are.
 *
 * @module
 */
import {
  createParquetEncoder,
  DeltaTable,
  ensureConditionalPut,
  type ObjectStore,
  type Runtime,
} from '@stream-ingest/delta'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { ConfigError, DeltaError } from '../error.ts'
import type { MessageSource, StartPosition, TopicPartition } from '../kafka/message-source.ts'
import { commitsBackFrom, commitTimeMs, isCommitOf } from './commit-history.ts'
import { choosePartitions, type PartitionChoice } from './partition-choice.ts'
import { appIdOf, assertFresh, findHeldOffset } from './start-position.ts'

/** A writer that has committed within the last minute, or twice `batch_timeout_ms`, is taken for one that runs. */
export const ACTIVE_MIN_MS = 60_000
/** Commits that are read to find one of the pipeline; others may have committed since. */
const COMMITS_SEARCHED_MAX = 50
/** Others may commit while the move is planned; then it is planned anew. */
const ATTEMPTS_MAX = 5
/** The operation of such a commit, in the table's history. */
export const SET_OFFSETS = 'SET OFFSETS'
/** Of a reason, which every reader of the log has to carry. */
export const REASON_LENGTH_MAX = 1_000

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
  /** The pipeline's own newest commit, where it is so young that a process seems to be running; else null. */
  readonly activeCommit: ActiveCommit | null
}

export interface ActiveCommit {
  readonly version: number
  readonly ageMs: number
}

export interface OffsetMoveContext {
  /** Rooted at the table. */
  readonly store: ObjectStore
  /** Opened and closed here. */
  readonly source: MessageSource
  readonly runtime: Runtime
}

/**
 * Moves offsets in one commit. A writer that runs all the same meets it at its next commit of a partition that was moved, as
 * another's commit: what it holds is dropped, and it reads from the new offsets. One that has nothing to commit there does
 * not notice before.
 *
 * @throws DeltaError `DELTA_TABLE_NOT_FOUND`; `PIPELINE_ACTIVE` unless forced or in a dry run; `DELTA_COMMIT_CONTENTION`
 * @throws ConfigError `CONFIG_USAGE` for a partition that is not read, or an offset that Kafka does not have;
 *   `CONFIG_CONFLICT` where the pipeline replaces its table and reads by `auto_offset_reset` each time
 * @throws KafkaError, and what the store throws
 */
export async function moveOffsets(
  config: PipelineConfig,
  options: OffsetMoveOptions,
  { store, source, runtime }: OffsetMoveContext,
): Promise<OffsetMove> {
  assertHeeded(config, options.reason)
  try {
    await source.open()
    const targets = await resolveTargets(config, options, source)
    const table = await DeltaTable.open(store, { runtime })
    if (table === null) {
      throw new DeltaError('DELTA_TABLE_NOT_FOUND', `there is no Delta table at ${store.uri}`, {
        hint: 'a first run creates it, and starts by `kafka.auto_offset_reset`',
        context: { table: store.uri },
      })
    }
    const activeCommit = await findActiveCommit(config, table, runtime)
    const isDry = options.dryRun === true
    if (!isDry && options.force !== true && activeCommit !== null) throw isActive(config, store, activeCommit)
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const changes = changesOf(config.pipelineId, table, targets)
      assertWhole(changes, source.assignment, targets)
      if (isDry || changes.length === 0) return describe(config, store, null, changes, activeCommit)
      await ensureConditionalPut(store, { random: runtime.uuid, now: runtime.now })
      // Crash here: nothing has changed. Crash within: the commit is there as a whole, or not at all.
      const version = await commitChanges(config, table, changes, options.reason, runtime)
      if (version !== null) {
        // Crash here: the commit stands; a longer replay for the next reader.
        await table.upkeep(createParquetEncoder(), config.delta.checkpointInterval)
        return describe(config, store, version, changes, activeCommit)
      }
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

/** An offset is moved where it is: under the topic's id, or, of messages that a trigger brought, under its name. */
function changesOf(
  pipelineId: string,
  { state }: DeltaTable,
  targets: ReadonlyMap<TopicPartition, bigint>,
): PlannedChange[] {
  const txns = new Map([...state.txns].map(([appId, { version }]) => [appId, version]))
  return [...targets].flatMap(([tp, toOffset]): PlannedChange[] => {
    const { topic, partition } = tp
    const held = findHeldOffset(pipelineId, tp, txns)
    if (held !== null) {
      const { appId, nextOffset: fromOffset } = held
      return fromOffset === toOffset ? [] : [{ appId, topic, partition, fromOffset, toOffset }]
    }
    assertFresh(pipelineId, tp, txns.keys())
    return [{ appId: appIdOf(pipelineId, tp), topic, partition, fromOffset: null, toOffset }]
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
  const { repeated, passedOver } = distances(changes)
  const outcome = await table.append({
    adds: [],
    rowCounts: [],
    txns: changes.map(({ appId, toOffset }) => ({ appId, version: toOffset, lastUpdated })),
    operation: SET_OFFSETS,
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
    operationMetrics: {
      numConsumedRecords: '0',
      numRepeatedOffsets: String(repeated),
      numPassedOverOffsets: String(passedOver),
    },
    txnId: runtime.uuid(),
  })
  return outcome.status === 'committed' ? outcome.state.version : null
}

/**
 * Will a run heed what is moved, and is the reason one that a commit can carry?
 *
 * @throws ConfigError
 */
function assertHeeded({ name, delta }: PipelineConfig, reason: string | undefined): void {
  if (delta.writeMode === 'overwrite') {
    throw new ConfigError(
      'CONFIG_CONFLICT',
      `\`${name}\` replaces its table (\`delta.write_mode: overwrite\`): each run reads by \`kafka.auto_offset_reset\`, whatever offsets the table holds`,
      { hint: 'set `kafka.auto_offset_reset`, or `delta.write_mode: append`' },
    )
  }
  if (reason !== undefined && reason.length > REASON_LENGTH_MAX) {
    throw new ConfigError(
      'CONFIG_USAGE',
      `the reason has ${reason.length} characters, and at most ${REASON_LENGTH_MAX} are kept in the log`,
      { hint: 'shorten it, or name a place where it stands' },
    )
  }
}

/** The newest commit by which the pipeline itself wrote, where that was only just now. */
async function findActiveCommit(
  { pipelineId, processing }: PipelineConfig,
  { state, store }: DeltaTable,
  runtime: Runtime,
): Promise<ActiveCommit | null> {
  const quietMs = Math.max(ACTIVE_MIN_MS, 2 * processing.batchTimeoutMs)
  for await (const commit of commitsBackFrom(store, state.version, COMMITS_SEARCHED_MAX)) {
    const ageMs = runtime.now() - (commitTimeMs(commit) ?? 0)
    if (ageMs >= quietMs) return null
    if (commit.info.operation === SET_OFFSETS || !isCommitOf(pipelineId, commit)) continue
    return { version: commit.version, ageMs: Math.max(0, ageMs) }
  }
  return null
}

function isActive({ name }: PipelineConfig, { uri }: ObjectStore, active: ActiveCommit): DeltaError {
  const { version, ageMs } = active
  return new DeltaError(
    'PIPELINE_ACTIVE',
    `\`${name}\` committed version ${version} of ${uri} ${Math.round(ageMs / 1000)} seconds ago: it seems to be running`,
    { context: { pipeline: name, version } },
  )
}

function distances(changes: readonly OffsetChange[]): { repeated: bigint; passedOver: bigint } {
  let repeated = 0n
  let passedOver = 0n
  for (const { fromOffset, toOffset } of changes) {
    if (fromOffset === null) continue
    if (toOffset < fromOffset) repeated += fromOffset - toOffset
    else passedOver += toOffset - fromOffset
  }
  return { repeated, passedOver }
}

function describe(
  { name }: PipelineConfig,
  { uri }: ObjectStore,
  version: number | null,
  changes: readonly PlannedChange[],
  activeCommit: ActiveCommit | null,
): OffsetMove {
  return {
    pipeline: name,
    table: uri,
    version,
    changes: changes.map(({ appId: _, ...change }) => change),
    ...distances(changes),
    activeCommit,
  }
}
