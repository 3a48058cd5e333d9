/**
 * One atomic commit: build, put if absent, and where another writer was first, check it and try the next version.
 *
 * The order of events and what a crash at each `await` leaves behind (ARCHITECTURE.md › What a crash leaves behind):
 * the commit exists or it does not; nothing that happens here needs undoing, and a restarted writer reads its progress
 * from the table.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { Action, Add, CommitInfo } from './action.ts'
import { formatCommit } from './action-codec.ts'
import { readCommit } from './commit-reader.ts'
import {
  type ConflictReason,
  findConflict,
  type TransactionActions,
  type TransactionReads,
} from './conflict.ts'
import { DeltaLakeError } from './error.ts'
import { advanceTableState } from './load-table-state.ts'
import { formatCommitPath } from './log-path.ts'
import { listTail } from './log-segment.ts'
import { assertWritable } from './protocol.ts'
import { assignRowIds, assignsRowIds, ROW_TRACKING_DOMAIN } from './row-tracking.ts'
import type { Runtime } from './runtime.ts'
import { parseSchemaString } from './schema-codec.ts'
import type { ObjectStore } from './store/object-store.ts'
import { tableProperty } from './table-property.ts'
import type { TableState } from './table-state.ts'
import { VERSION } from './version.ts'

/** Longest time to fight for a version before giving the turn back to the caller. */
export const COMMIT_CONTENTION_MAX_MS = 5 * 60_000
/** Longest time to ask for a definite answer to one put. */
export const COMMIT_UNKNOWN_MAX_MS = 5 * 60_000
/** Tries at one version and versions tried; time runs out first unless the clock stands still. */
export const COMMIT_ATTEMPTS_MAX = 1_000
/** A version that was first looked at this long ago may have been cleaned away: verify that it still is the tip. */
export const COMMIT_STALE_AFTER_MS = 60 * 60_000
const BACKOFF_BASE_MS = 20
const BACKOFF_MAX_MS = 5_000

export const ENGINE_INFO = `stream-ingest/${VERSION}`

export interface CommitRequest {
  /** A name that readers of the history know: `STREAMING UPDATE`, `WRITE`, `OPTIMIZE`. */
  readonly operation: string
  readonly operationParameters: Readonly<Record<string, unknown>>
  readonly operationMetrics: Readonly<Record<string, string>>
  readonly userMetadata?: string
  readonly actions: TransactionActions
  readonly reads: TransactionReads
  /** Physical rows of each of `actions.adds`. */
  readonly rowCounts: readonly number[]
  /** Default `Serializable`. A commit that only rearranges rows may run under a snapshot. */
  readonly isolationLevel?: 'Serializable' | 'SnapshotIsolation'
  /** Whether rows that are moved keep their row ids, where the table tracks them. Default true: none is moved. */
  readonly preservesRowIds?: boolean
  /** Random, stable over all attempts: how a commit whose answer was lost is recognised as ours. */
  readonly txnId: string
}

export type CommitOutcome =
  | { readonly status: 'committed'; readonly state: TableState; readonly attemptCount: number }
  | { readonly status: 'conflict'; readonly winner: number; readonly reason: ConflictReason }

export interface CommitEvents {
  /** Called before each put: version and number of the attempt, from 1. */
  attempted?(version: number, attempt: number): void
}

/**
 * Commits on top of `state`, at the first version after it that is free.
 *
 * @param state the version whose `txn`s and schema the request was made from; it must not have been refreshed since
 * @param stateReadAtMs when that version was known to be the newest
 * @throws DeltaLakeError `DELTA_COMMIT_UNKNOWN`, `DELTA_COMMIT_CONTENTION` when a bound is reached, what the store
 *   throws, `DELTA_PROTOCOL_UNSUPPORTED`
 */
export async function commitTransaction(
  store: ObjectStore,
  state: TableState,
  stateReadAtMs: number,
  request: CommitRequest,
  runtime: Runtime,
  events: CommitEvents = {},
): Promise<CommitOutcome> {
  assert.equal(request.rowCounts.length, request.actions.adds.length)
  const reads = { ...request.reads, appIds: new Set(request.reads.appIds) }
  for (const txn of request.actions.txns) reads.appIds.add(txn.appId)
  const { metadata, protocol, removes } = request.actions
  assert(metadata === null || metadata.id === state.metadata.id, 'a table keeps its id')
  if (removes.some(remove => remove.dataChange)) assertRemovable(state, store.uri)
  const schema = metadata === null ? state.schema : parseSchemaString(metadata.schemaString)
  const startedAtMs = runtime.now()
  let tip = state
  let tipReadAtMs = stateReadAtMs
  for (let attempt = 1; attempt <= COMMIT_ATTEMPTS_MAX; attempt++) {
    assertWritable(tip.protocol, tip.metadata, tip.schema)
    if (metadata !== null || protocol !== null) {
      assertWritable(protocol ?? tip.protocol, metadata ?? tip.metadata, schema)
    }
    const version = tip.version + 1
    const actions = buildCommit(tip, state.version, version, request, runtime.now())
    events.attempted?.(version, attempt)
    // Crash here or inside: the commit exists or it does not; the next start reads which from the table.
    const put = await putUntilDefinite(store, formatCommitPath(version), formatCommit(actions), runtime)
    if (put === 'created' && runtime.now() - tipReadAtMs > COMMIT_STALE_AFTER_MS) {
      // Log cleanup may have removed this version while we slept, and then `created` says nothing.
      // Crash here: as above; a commit below a checkpoint is one that no reader sees.
      if (await isCleanedAway(store, version)) return conflictOf(version, { kind: 'log-cleaned', version })
    }
    if (put === 'created')
      return { status: 'committed', state: advanceTableState(tip, version, actions), attemptCount: attempt }

    // Crash here: the commit is ours or another's; the next start reads the `txn`s that it left.
    const winner = await readCommit(store, version)
    if (winner === null) continue // Cleaned away or not yet visible: ask again at the same version.
    if (txnIdOf(winner) === request.txnId) {
      return { status: 'committed', state: advanceTableState(tip, version, winner), attemptCount: attempt }
    }
    const behind = await passWinners(store, tip, version, winner, request.actions, reads)
    if (behind.status === 'conflict') return behind
    tip = behind.state
    tipReadAtMs = runtime.now()
    if (tipReadAtMs - startedAtMs > COMMIT_CONTENTION_MAX_MS) break
    // Jitter lets one of several equal writers through; nothing is lost by a crash while waiting.
    await runtime.delay(
      runtime.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** Math.min(attempt, 16)),
    )
  }
  throw new DeltaLakeError(
    'DELTA_COMMIT_CONTENTION',
    `other writers were first at every version from ${state.version + 1} to ${tip.version} of ${store.uri}`,
    { context: { table: store.uri, readVersion: state.version } },
  )
}

/**
 * Refuses a table that may only grow.
 *
 * @throws DeltaLakeError `DELTA_TABLE_APPEND_ONLY`
 */
export function assertRemovable({ metadata }: TableState, tableUri: string): void {
  if (!tableProperty(metadata.configuration, 'delta.appendOnly')) return
  throw new DeltaLakeError(
    'DELTA_TABLE_APPEND_ONLY',
    `rows of ${tableUri} cannot be removed: its property \`delta.appendOnly\` is true`,
    { context: { table: tableUri } },
  )
}

/**
 * Was there a commit of this version before the one that we have just made?
 *
 * Cleanup deletes the oldest commits first and never the newest, so that where the commit before ours is still there,
 * ours was the first of its version, whatever has been committed on top of it since.
 */
async function isCleanedAway(store: ObjectStore, version: number): Promise<boolean> {
  if ((await store.head(formatCommitPath(version - 1))) !== null) return false
  const tail = await listTail(store, version)
  return tail.newestVersion > version
}

function conflictOf(winner: number, reason: ConflictReason): CommitOutcome {
  return { status: 'conflict', winner, reason }
}

/** Checks the winner at `version` and those behind it, in order, up to the newest. */
async function passWinners(
  store: ObjectStore,
  tip: TableState,
  version: number,
  winner: readonly Action[],
  ours: TransactionActions,
  reads: TransactionReads,
): Promise<{ status: 'passed'; state: TableState } | (CommitOutcome & { status: 'conflict' })> {
  let state = tip
  let next: readonly Action[] | null = winner
  for (let v = version; next !== null; v++) {
    const reason = findConflict(next, ours, reads, state.metadata.id)
    if (reason !== null) return { status: 'conflict', winner: v, reason }
    state = advanceTableState(state, v, next)
    // Crash here: nothing of ours is in the log yet at these versions; the files are unreferenced until VACUUM.
    next = await readCommit(store, v + 1)
  }
  return { status: 'passed', state }
}

/** Puts the same bytes at the same key until the store gives a definite answer. */
async function putUntilDefinite(
  store: ObjectStore,
  key: string,
  body: Uint8Array,
  runtime: Runtime,
): Promise<'created' | 'exists'> {
  const startedAtMs = runtime.now()
  let cause: unknown
  for (let attempt = 1; attempt <= COMMIT_ATTEMPTS_MAX; attempt++) {
    // Crash here: the request may still arrive. A restarted writer goes for the same key, so one of the two wins.
    const result = await store.putIfAbsent(key, body)
    if (result.status !== 'unknown') return result.status
    cause = result.cause
    if (runtime.now() - startedAtMs > COMMIT_UNKNOWN_MAX_MS) break
    await runtime.delay(
      runtime.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** Math.min(attempt, 16)),
    )
  }
  throw new DeltaLakeError(
    'DELTA_COMMIT_UNKNOWN',
    `no definite answer to the commit ${key} of ${store.uri}`,
    {
      cause,
      context: { table: store.uri, key },
    },
  )
}

/** All that depends on the version is made anew here: timestamps, row ids, the row-id mark. */
function buildCommit(
  tip: TableState,
  readVersion: number,
  version: number,
  request: CommitRequest,
  nowMs: number,
): Action[] {
  const { adds, removes, txns, domainMetadata, metadata, protocol } = request.actions
  const lines: Action[] = []
  let numbered: readonly Add[] = adds
  let domains = domainMetadata.filter(d => d.domain !== ROW_TRACKING_DOMAIN)
  let tags: Record<string, string> | undefined
  if (assignsRowIds(tip) && adds.length > 0) {
    const assigned = assignRowIds(tip, version, adds, request.rowCounts)
    numbered = assigned.adds
    domains = [...domains, assigned.domainMetadata]
    tags = { 'delta.rowTracking.preserved': String(request.preservesRowIds ?? true) }
  }
  const configuration = (metadata ?? tip.metadata).configuration
  const commitInfo: CommitInfo = {
    ...(tableProperty(configuration, 'delta.enableInCommitTimestamps')
      ? { inCommitTimestamp: Math.max(nowMs, (tip.inCommitTimestampMs ?? 0) + 1) }
      : {}),
    timestamp: nowMs,
    operation: request.operation,
    operationParameters: request.operationParameters,
    readVersion,
    isolationLevel: request.isolationLevel ?? 'Serializable',
    isBlindAppend: isBlindAppend(request),
    operationMetrics: request.operationMetrics,
    ...(request.userMetadata === undefined ? {} : { userMetadata: request.userMetadata }),
    ...(tags === undefined ? {} : { tags }),
    engineInfo: ENGINE_INFO,
    txnId: request.txnId,
  }
  lines.push({ commitInfo })
  if (protocol !== null) lines.push({ protocol })
  if (metadata !== null) lines.push({ metaData: metadata })
  for (const txn of txns) lines.push({ txn })
  for (const domain of domains) lines.push({ domainMetadata: domain })
  for (const remove of removes) lines.push({ remove })
  for (const add of numbered) lines.push({ add })
  return lines
}

/** Other engines skip conflict checks because of this flag, so it must be true only where nothing was read. */
function isBlindAppend({ actions, reads }: CommitRequest): boolean {
  return (
    actions.removes.length === 0 && actions.adds.length > 0 && reads.filePaths.size === 0 && !reads.wholeTable
  )
}

function txnIdOf(actions: readonly Action[]): string | undefined {
  for (const action of actions) if ('commitInfo' in action) return action.commitInfo.txnId
  return undefined
}
