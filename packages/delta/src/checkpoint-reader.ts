/**
 * Reads checkpoints: classic, multi-part, and V2 as Parquet or JSON, with their sidecars.
 *
 * PROTOCOL.md › Checkpoints, › Checkpoint Schema. Columns are selected by name; missing ones are null. What a writer needs
 * (`txn`, `protocol`, `metaData`, `domainMetadata`) can be read without touching the columns of the files.
 *
 * @module
 */
import type { Action, Sidecar } from './action.ts'
import { parseCommit, toAction } from './action-codec.ts'
import { DeltaLakeError } from './error.ts'
import { decodeFilePath, locateFile } from './file-path.ts'
import { SIDECAR_PREFIX } from './log-path.ts'
import type { CheckpointFiles } from './log-segment.ts'
import { openParquet, type ParquetFile } from './parquet/parquet-reader.ts'
import type { ObjectStore, RequestOptions } from './store/object-store.ts'

const STATE_COLUMNS = ['protocol', 'metaData', 'txn', 'domainMetadata', 'sidecar'] as const

/** Fields of `add` and `remove` that are read; the parsed statistics and partition values beside them are not. */
const FILE_FIELDS: Readonly<Record<'add' | 'remove', readonly string[]>> = {
  add: [
    'path',
    'partitionValues',
    'size',
    'modificationTime',
    'dataChange',
    'stats',
    'tags',
    'deletionVector',
    'baseRowId',
    'defaultRowCommitVersion',
    'clusteringProvider',
  ],
  remove: [
    'path',
    'deletionTimestamp',
    'dataChange',
    'extendedFileMetadata',
    'partitionValues',
    'size',
    'deletionVector',
    'baseRowId',
    'defaultRowCommitVersion',
  ],
}

export interface CheckpointState {
  /** Everything but files and sidecars. */
  readonly actions: readonly Action[]
  readonly sidecars: readonly Sidecar[]
}

export interface CheckpointBatch {
  /** Of the one kind that was asked for. */
  readonly actions: readonly Action[]
  /**
   * Adds whose statistics the checkpoint holds only as `stats_parsed`: they come without `stats`, and a checkpoint that
   * is written from them would lose those.
   */
  readonly parsedStatsOnlyCount: number
}

/**
 * Reads everything but the files.
 *
 * @throws DeltaLakeError `DELTA_LOG_CORRUPT` naming the file, and what the store throws
 */
export async function readCheckpointState(
  store: ObjectStore,
  checkpoint: CheckpointFiles,
  options?: RequestOptions,
): Promise<CheckpointState> {
  const actions: Action[] = []
  const sidecars: Sidecar[] = []
  const take = (action: Action): void => {
    if ('sidecar' in action) sidecars.push(action.sidecar)
    else if (!('add' in action) && !('remove' in action)) actions.push(action)
  }
  for (const { key, sizeBytes } of checkpoint.files) {
    if (checkpoint.format === 'json') for (const action of await readJson(store, key, options)) take(action)
    else {
      const file = await openCheckpointFile(store, key, sizeBytes, options)
      for (let group = 0; group < file.rowGroupCount; group++) {
        for (const action of await readActions(file, group, STATE_COLUMNS)) take(action)
      }
    }
  }
  return { actions, sidecars }
}

/**
 * Reads the files, or the tombstones, a row group at a time, first the checkpoint's own and then its sidecars'.
 *
 * @param sidecars as {@link readCheckpointState} gave them
 * @throws DeltaLakeError `DELTA_LOG_CORRUPT` naming the file, and what the store throws
 */
export async function* readCheckpointFiles(
  store: ObjectStore,
  checkpoint: CheckpointFiles,
  sidecars: readonly Sidecar[],
  column: 'add' | 'remove',
  options?: RequestOptions,
): AsyncGenerator<CheckpointBatch> {
  for (const { key, sizeBytes } of checkpoint.files) {
    if (checkpoint.format === 'json') {
      const actions = (await readJson(store, key, options)).filter(a => column in a)
      yield { actions, parsedStatsOnlyCount: 0 }
    } else yield* readFileColumn(await openCheckpointFile(store, key, sizeBytes, options), column)
  }
  for (const { path, sizeInBytes } of sidecars) {
    const key = locateSidecar(path, store.uri)
    yield* readFileColumn(await openCheckpointFile(store, key, sizeInBytes, options), column)
  }
}

/** A bare file name, or where some writers put it: a path from the table's root or an absolute one. */
function locateSidecar(path: string, tableUri: string): string {
  if (!path.includes('/')) return SIDECAR_PREFIX + decodeFilePath(path)
  const location = locateFile(path, tableUri)
  if (location.kind === 'key') return location.key
  throw new DeltaLakeError(
    'DELTA_LOG_CORRUPT',
    `the sidecar \`${path}\` of ${tableUri} is outside of the table`,
  )
}

async function* readFileColumn(file: ParquetFile, column: 'add' | 'remove'): AsyncGenerator<CheckpointBatch> {
  const hasParsedStats = file.hasColumn('add.stats_parsed')
  for (let group = 0; group < file.rowGroupCount; group++) {
    const actions = await readActions(file, group, [column])
    let parsedStatsOnlyCount = 0
    if (hasParsedStats) {
      for (const action of actions)
        if ('add' in action && action.add.stats === undefined) parsedStatsOnlyCount++
    }
    yield { actions, parsedStatsOnlyCount }
  }
}

async function readActions(
  file: ParquetFile,
  group: number,
  columns: readonly ((typeof STATE_COLUMNS)[number] | 'add' | 'remove')[],
): Promise<Action[]> {
  // Most row groups of a large checkpoint hold nothing but files: their statistics save reading the rest.
  const present = columns.filter(column => !file.isAllNull(group, column))
  const paths = present.flatMap(column =>
    column === 'add' || column === 'remove'
      ? FILE_FIELDS[column].map(field => `${column}.${field}`)
      : [column],
  )
  const corrupt = (message: string): DeltaLakeError => corruptCheckpoint(file.key, message)
  let read: Awaited<ReturnType<ParquetFile['readRowGroup']>>
  try {
    read = await file.readRowGroup(group, paths)
  } catch (cause) {
    throw wrapped(file.key, cause)
  }
  const actions: Action[] = []
  for (const column of present) {
    const bodies = read.get(column) ?? []
    for (let row = 0; row < bodies.length; row++) {
      const body = bodies[row]
      if (body === null || body === undefined) continue
      const action = toAction(
        { [column]: column === 'add' || column === 'remove' ? withDefaults(body) : body },
        corrupt,
      )
      if (action !== null) actions.push(action)
    }
  }
  return actions
}

/** Readers must not depend on these in a checkpoint, so writers leave them out. */
function withDefaults(body: Record<string, unknown>): Record<string, unknown> {
  body.dataChange ??= false
  return body
}

async function readJson(store: ObjectStore, key: string, options?: RequestOptions): Promise<Action[]> {
  const bytes = await store.get(key, options)
  if (bytes === null) throw corruptCheckpoint(key, 'does not exist')
  return parseCommit(bytes, key)
}

async function openCheckpointFile(
  store: ObjectStore,
  key: string,
  sizeBytes: number,
  options?: RequestOptions,
): Promise<ParquetFile> {
  try {
    return await openParquet(store, key, { ...options, sizeBytes })
  } catch (cause) {
    throw wrapped(key, cause)
  }
}

/** What is wrong with a checkpoint's file is a fault of the log; what the store throws stays as it is. */
function wrapped(key: string, cause: unknown): unknown {
  if (cause instanceof DeltaLakeError && cause.code === 'DELTA_DATA_CORRUPT') {
    return new DeltaLakeError('DELTA_LOG_CORRUPT', `the checkpoint cannot be read: ${cause.message}`, {
      cause,
      context: { ...cause.context, file: key },
    })
  }
  return cause
}

function corruptCheckpoint(key: string, message: string): DeltaLakeError {
  return new DeltaLakeError('DELTA_LOG_CORRUPT', `the checkpoint file \`${key}\` ${message}`, {
    context: { file: key },
  })
}
