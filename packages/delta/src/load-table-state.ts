/**
 * Opens a table for a writer: protocol, metadata, `txn`s and domains at a version, without the list of its files.
 *
 * Four requests on a healthy table of any size: the pointer, one listing, the newest checksum and the newest commit.
 * Where there is no complete checksum: the commits after the checkpoint and the checkpoint's columns that are not files.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { Action, CommitInfo, Metadata, Protocol } from './action.ts'
import { readCheckpointState } from './checkpoint-reader.ts'
import { isCompleteChecksum, readChecksum, type VersionChecksum } from './checksum.ts'
import { readCommit, readCommits } from './commit-reader.ts'
import { DeltaLakeError } from './error.ts'
import { FileReplay, StateReplay, unexpiredTxns } from './log-replay.ts'
import { type LogSegment, type LogSegmentOptions, loadLogSegment } from './log-segment.ts'
import { assertReadable, canonicalProtocol } from './protocol.ts'
import { systemRuntime } from './runtime.ts'
import { struct } from './schema.ts'
import { parseSchemaString } from './schema-codec.ts'
import type { ObjectStore, RequestOptions } from './store/object-store.ts'
import { tableProperty } from './table-property.ts'
import type { FileTotals, TableState } from './table-state.ts'

export interface LoadTableStateOptions extends LogSegmentOptions {
  /** Epoch milliseconds, for expired `txn`s. Default: the machine's clock. */
  readonly nowMs?: number
}

/**
 * Loads the state at the newest version, or at `version`.
 *
 * @returns null where there is no table
 * @throws DeltaLakeError `DELTA_LOG_GAP`, `DELTA_LOG_CORRUPT`, `DELTA_VERSION_NOT_FOUND`, `DELTA_PROTOCOL_UNSUPPORTED`,
 *   `DELTA_SCHEMA_INVALID`, and what the store throws
 */
export async function loadTableState(
  store: ObjectStore,
  options: LoadTableStateOptions = {},
): Promise<TableState | null> {
  const segment = await loadLogSegment(store, options)
  if (segment === null) return null
  const request: RequestOptions = options.signal === undefined ? {} : { signal: options.signal }
  const state =
    (await loadFromChecksum(store, segment, request)) ?? (await loadFromReplay(store, segment, request))
  return checkedState(state, options.nowMs)
}

/** Before the first commit: what {@link advanceTableState} makes version 0 from. */
export function initialTableState(): TableState {
  return {
    version: -1,
    protocol: { minReaderVersion: 1, minWriterVersion: 1 },
    metadata: {
      id: '',
      format: { provider: 'parquet', options: {} },
      schemaString: '',
      partitionColumns: [],
      configuration: {},
    },
    schema: struct([]),
    txns: new Map(),
    domainMetadata: new Map(),
    inCommitTimestampMs: null,
    checkpointVersion: null,
    fileTotals: { numFiles: 0, sizeBytes: 0 },
  }
}

/**
 * The state after one more commit. Pure.
 *
 * @param version `state.version + 1`
 * @param actions the commit's, ours or another writer's
 * @throws DeltaLakeError where the commit's metadata cannot be understood
 */
export function advanceTableState(
  state: TableState,
  version: number,
  actions: readonly Action[],
): TableState {
  assert.equal(version, state.version + 1, 'a state goes on to the next version')
  const replay = replayed(actions)
  const metadata = replay.metadata ?? state.metadata
  const txns = new Map(state.txns)
  for (const [appId, txn] of replay.txns) txns.set(appId, txn)
  const domainMetadata = new Map(state.domainMetadata)
  for (const action of actions) {
    if (!('domainMetadata' in action)) continue
    const { domain, removed } = action.domainMetadata
    if (removed) domainMetadata.delete(domain)
    else domainMetadata.set(domain, action.domainMetadata)
  }
  return {
    version,
    protocol: replay.protocol === null ? state.protocol : canonicalProtocol(replay.protocol),
    metadata,
    schema: replay.metadata === null ? state.schema : parseSchemaString(metadata.schemaString),
    txns,
    domainMetadata,
    inCommitTimestampMs: inCommitTimestamp(metadata, commitInfoOf(actions)),
    checkpointVersion: state.checkpointVersion,
    fileTotals: advanceFileTotals(state.fileTotals, actions),
  }
}

/**
 * Sums are kept only where they are certain. A `remove` without a size takes away an unknown number of bytes. An add
 * that only changes what is known of a file (`dataChange` false, nothing removed) may be of one that is counted already.
 */
function advanceFileTotals(totals: FileTotals | null, actions: readonly Action[]): FileTotals | null {
  if (totals === null) return null
  let { numFiles, sizeBytes } = totals
  let hasRemove = false
  let hasRearrangedAdd = false
  for (const action of actions) {
    if ('add' in action) {
      numFiles++
      sizeBytes += action.add.size
      if (!action.add.dataChange) hasRearrangedAdd = true
    } else if ('remove' in action) {
      if (action.remove.size === undefined) return null
      numFiles--
      sizeBytes -= action.remove.size
      hasRemove = true
    }
  }
  if ((hasRearrangedAdd && !hasRemove) || numFiles < 0 || sizeBytes < 0) return null
  return { numFiles, sizeBytes }
}

/** From the newest checksum and the commits after it; null where there is none that says everything. */
async function loadFromChecksum(
  store: ObjectStore,
  segment: LogSegment,
  request: RequestOptions,
): Promise<TableState | null> {
  const { version, checksumVersion, checkpoint, hasTipCommit } = segment
  if (checksumVersion === null) return null
  // The one commit of a new table says it all itself.
  if (checkpoint === null && version === 0) return null
  // The newest commit is read even where a checksum covers it: a damaged commit must not hide behind one.
  const [checksum, tip] = await Promise.all([
    readChecksum(store, checksumVersion, request),
    hasTipCommit ? readCommit(store, version, request) : null,
  ])
  if (checksum === null || !isCompleteChecksum(checksum)) return null
  if (hasTipCommit && tip === null) return null
  let state = stateOfChecksum(checksum, checksumVersion, checkpoint?.version ?? null)
  if (checksumVersion === version) return agreesWith(checksum, tip) ? state : null
  const between = segment.commits.map(c => c.version).filter(v => v > checksumVersion && v < version)
  for await (const commit of readCommits(store, between, request)) {
    state = advanceTableState(state, commit.version, commit.actions)
  }
  assert(tip !== null)
  return advanceTableState(state, version, tip)
}

function stateOfChecksum(
  checksum: VersionChecksum,
  version: number,
  checkpointVersion: number | null,
): TableState {
  const { metadata, inCommitTimestampMs, fileTotals } = checksum
  assertReadable(checksum.protocol)
  return {
    version,
    protocol: canonicalProtocol(checksum.protocol),
    metadata,
    schema: parseSchemaString(metadata.schemaString),
    txns: new Map(checksum.txns!.map(txn => [txn.appId, txn])),
    domainMetadata: new Map(
      (checksum.domainMetadata ?? []).filter(d => !d.removed).map(domain => [domain.domain, domain]),
    ),
    inCommitTimestampMs: tableProperty(metadata.configuration, 'delta.enableInCommitTimestamps')
      ? inCommitTimestampMs
      : null,
    checkpointVersion,
    fileTotals,
  }
}

/** A checksum that was left behind by another table, or by another commit of this version, says other things. */
function agreesWith(checksum: VersionChecksum, commit: readonly Action[] | null): boolean {
  if (commit === null) return true
  const { metadata, txns } = replayed(commit)
  if (metadata !== null && metadata.id !== checksum.metadata.id) return false
  if (metadata !== null && metadata.schemaString !== checksum.metadata.schemaString) return false
  for (const txn of txns.values()) {
    if (!checksum.txns!.some(t => t.appId === txn.appId && t.version === txn.version)) return false
  }
  const txnId = commitInfoOf(commit)?.txnId
  return checksum.txnId === null || txnId === undefined || checksum.txnId === txnId
}

function replayed(actions: readonly Action[]): StateReplay {
  const replay = new StateReplay()
  replay.apply(actions)
  return replay
}

async function loadFromReplay(
  store: ObjectStore,
  segment: LogSegment,
  request: RequestOptions,
): Promise<TableState> {
  const { version, checkpoint, commits } = segment
  const replay = new StateReplay()
  const files = new FileReplay()
  let tip: readonly Action[] | null = null
  let fileTotals: FileTotals = { numFiles: 0, sizeBytes: 0 }
  const newestFirst = commits.map(c => c.version).reverse()
  for await (const commit of readCommits(store, newestFirst, request)) {
    if (commit.version === version) tip = commit.actions
    replay.apply(commit.actions)
    for (const add of files.apply(commit.actions).adds) {
      fileTotals = { numFiles: fileTotals.numFiles + 1, sizeBytes: fileTotals.sizeBytes + add.size }
    }
  }
  if (checkpoint !== null) replay.apply((await readCheckpointState(store, checkpoint, request)).actions)
  if (tip === null && segment.hasTipCommit) tip = await readCommit(store, version, request)
  // A checkpoint's files are not read here, so the sums over them are not known.
  return stateOfReplay(store, segment, replay, tip, checkpoint === null ? fileTotals : null)
}

/**
 * The state that a replay of a whole segment came to.
 *
 * @param tip the commit of the segment's version; null where only the checkpoint is there
 * @throws DeltaLakeError `DELTA_LOG_CORRUPT` where the protocol or the metadata is missing
 */
export function stateOfReplay(
  store: ObjectStore,
  segment: LogSegment,
  replay: StateReplay,
  tip: readonly Action[] | null,
  fileTotals: FileTotals | null,
): TableState {
  const { version, checkpoint } = segment
  const { protocol, metadata, txns, domainMetadata } = replay
  if (protocol === null || metadata === null) throw missingAction(store, protocol, version)
  // First of all: what a protocol that is not known does to the rest is not known either.
  assertReadable(protocol)
  return {
    version,
    protocol: canonicalProtocol(protocol),
    metadata,
    schema: parseSchemaString(metadata.schemaString),
    txns,
    domainMetadata,
    inCommitTimestampMs: inCommitTimestamp(metadata, tip === null ? undefined : commitInfoOf(tip)),
    checkpointVersion: checkpoint?.version ?? null,
    fileTotals,
  }
}

/** Refuses what cannot be read, and leaves expired `txn`s out. */
export function checkedState(state: TableState, nowMs: number = systemRuntime.now()): TableState {
  assertReadable(state.protocol)
  const retentionMs = tableProperty(state.metadata.configuration, 'delta.setTransactionRetentionDuration')
  return { ...state, txns: unexpiredTxns(state.txns, retentionMs, nowMs) }
}

function missingAction(store: ObjectStore, protocol: Protocol | null, version: number): DeltaLakeError {
  const name = protocol === null ? 'protocol' : 'metaData'
  return new DeltaLakeError(
    'DELTA_LOG_CORRUPT',
    `the log of ${store.uri} up to version ${version} has no \`${name}\``,
    {
      context: { table: store.uri, version },
    },
  )
}

function commitInfoOf(actions: readonly Action[]): CommitInfo | undefined {
  for (const action of actions) if ('commitInfo' in action) return action.commitInfo
  return undefined
}

function inCommitTimestamp(metadata: Metadata, commitInfo: CommitInfo | undefined): number | null {
  if (!tableProperty(metadata.configuration, 'delta.enableInCommitTimestamps')) return null
  return commitInfo?.inCommitTimestamp ?? null
}
