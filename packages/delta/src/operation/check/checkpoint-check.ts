/**
 * A checkpoint against the replayed table.
 *
 * PROTOCOL.md › Checkpoints. Tombstones may have expired by the clock of whoever wrote it, so that a missing one is no
 * fault; a live file among them is.
 *
 * @module
 */
import type { Action } from '../../action.ts'
import { type CheckpointState, readCheckpointFiles, readCheckpointState } from '../../checkpoint-reader.ts'
import { StateReplay } from '../../log-replay.ts'
import type { CheckpointFiles } from '../../log-segment.ts'
import { canonicalProtocol } from '../../protocol.ts'
import { parseSchemaString } from '../../schema-codec.ts'
import type { ObjectStore, RequestOptions } from '../../store/object-store.ts'
import { tableProperty } from '../../table-property.ts'
import type { TableState } from '../../table-state.ts'
import { canonical, type LiveFiles } from './live-files.ts'

/** Counts of a checkpoint, for the pointer. */
export interface CheckpointCounts {
  /** Without `checkpointMetadata`, which is not read from Parquet. */
  readonly actionCount: number
  readonly addCount: number
}

/**
 * Compares one complete checkpoint.
 *
 * @param withState also everything but files: once is enough where the files are looked at in buckets
 * @returns what differs, and how many actions it holds
 * @throws DeltaLakeError `DELTA_LOG_CORRUPT` where it cannot be read, and what the store throws
 */
export async function compareCheckpoint(
  store: ObjectStore,
  checkpoint: CheckpointFiles,
  state: TableState,
  live: LiveFiles,
  withState: boolean,
  report: (message: string) => void,
  request: RequestOptions,
): Promise<CheckpointCounts> {
  const read = await readCheckpointState(store, checkpoint, request)
  if (withState) for (const message of stateDifferences(read, state)) report(message)
  let actionCount = countOf(read)
  let addCount = 0
  const { configuration } = state.metadata
  const withStatistics =
    tableProperty(configuration, 'delta.checkpoint.writeStatsAsJson') ||
    tableProperty(configuration, 'delta.checkpoint.writeStatsAsStruct')
  const comparison = live.compare({ withStatistics })
  for await (const batch of readCheckpointFiles(store, checkpoint, read.sidecars, 'add', request)) {
    actionCount += batch.length
    addCount += batch.length
    for (const action of batch) {
      if (!('add' in action)) continue
      const difference = comparison.meet(action.add)
      if (difference !== null) report(`the file \`${difference.path}\` ${difference.message}`)
    }
  }
  for (const { path, message } of comparison.missing()) report(`the file \`${path}\` ${message}`)
  for await (const batch of readCheckpointFiles(store, checkpoint, read.sidecars, 'remove', request)) {
    actionCount += batch.length
    for (const action of batch) {
      if ('remove' in action && live.isLive(action.remove)) {
        report(`the file \`${action.remove.path}\` is removed, by the commits it is live`)
      }
    }
  }
  return { actionCount, addCount }
}

function* stateDifferences({ actions }: CheckpointState, state: TableState): Generator<string> {
  const { protocol, metadata, txns, domainMetadata } = replayOf(actions)
  if (protocol === null) yield 'it has no `protocol`'
  else if (canonical(canonicalProtocol(protocol)) !== canonical(state.protocol)) {
    yield `the protocol is ${canonical(protocol)}, by the commits ${canonical(state.protocol)}`
  }
  if (metadata === null) yield 'it has no `metaData`'
  else if (canonical(metadata) !== canonical(state.metadata)) yield 'the metadata is not that of the commits'
  for (const [appId, { version }] of txns) {
    const ours = state.txns.get(appId)?.version
    if (ours !== version)
      yield `the \`txn\` of \`${appId}\` is at ${version}, by the commits at ${ours ?? 'none'}`
  }
  const retentionMs = tableProperty(state.metadata.configuration, 'delta.setTransactionRetentionDuration')
  for (const appId of state.txns.keys()) {
    if (retentionMs === null && !txns.has(appId)) yield `the \`txn\` of \`${appId}\` is missing`
  }
  for (const [name, { configuration }] of domainMetadata) {
    if (state.domainMetadata.get(name)?.configuration !== configuration) {
      yield `the domain \`${name}\` is not that of the commits`
    }
  }
  for (const name of state.domainMetadata.keys()) {
    if (!domainMetadata.has(name)) yield `the domain \`${name}\` is missing`
  }
}

function countOf({ actions, sidecars }: CheckpointState): number {
  return actions.filter(action => !('checkpointMetadata' in action)).length + sidecars.length
}

function replayOf(actions: readonly Action[]): StateReplay {
  const replay = new StateReplay()
  replay.apply(actions)
  return replay
}

/**
 * The state and the live files that a checkpoint holds, where the commits before it are gone.
 *
 * @returns null where it has no protocol or no metadata
 * @throws DeltaLakeError as {@link compareCheckpoint}, `DELTA_SCHEMA_INVALID`
 */
export async function loadCheckpoint(
  store: ObjectStore,
  checkpoint: CheckpointFiles,
  live: LiveFiles,
  countMax: number,
  doubled: (path: string) => void,
  request: RequestOptions,
): Promise<(CheckpointCounts & { readonly state: TableState }) | null> {
  live.clear()
  const read = await readCheckpointState(store, checkpoint, request)
  const { actions, sidecars } = read
  const { protocol, metadata, txns, domainMetadata } = replayOf(actions)
  if (protocol === null || metadata === null) return null
  let addCount = 0
  for await (const batch of readCheckpointFiles(store, checkpoint, sidecars, 'add', request)) {
    addCount += batch.length
    for (const path of live.apply(batch)) doubled(path)
    if (live.count > countMax) break
  }
  let removeCount = 0
  for await (const batch of readCheckpointFiles(store, checkpoint, sidecars, 'remove', request)) {
    removeCount += batch.length
  }
  return {
    actionCount: countOf(read) + addCount + removeCount,
    addCount,
    state: {
      version: checkpoint.version,
      protocol: canonicalProtocol(protocol),
      metadata,
      schema: parseSchemaString(metadata.schemaString),
      txns,
      domainMetadata,
      inCommitTimestampMs: null,
      checkpointVersion: checkpoint.version,
      fileTotals: null,
    },
  }
}
