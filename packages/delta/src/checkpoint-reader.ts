/**
 * Reads checkpoints: classic, multi-part, and V2 as Parquet or JSON, with their sidecars.
 *
 * PROTOCOL.md › Checkpoints, › Checkpoint Schema. Columns are selected by name; missing ones are null. What a writer needs
 * (`txn`, `protocol`, `metaData`, `domainMetadata`) can be read without touching the columns of the files.
 *
 * @module
 */
import type { Action, Sidecar } from './action.ts'
import { parseCommit } from './action-codec.ts'
import { readActionRows } from './checkpoint-rows.ts'
import type { ActionColumn } from './checkpoint-schema.ts'
import { DeltaLakeError } from './error.ts'
import { decodeFilePath, locateFile } from './file-path.ts'
import { SIDECAR_PREFIX } from './log-path.ts'
import type { CheckpointFiles } from './log-segment.ts'
import { openParquet, type ParquetFile } from './parquet/parquet-reader.ts'
import type { ObjectStore, RequestOptions } from './store/object-store.ts'

const STATE_COLUMNS = ['protocol', 'metaData', 'txn', 'domainMetadata', 'sidecar'] as const

export interface CheckpointState {
  /** Everything but files and sidecars. */
  readonly actions: readonly Action[]
  readonly sidecars: readonly Sidecar[]
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
      for await (const batch of readRows(file, STATE_COLUMNS)) for (const action of batch) take(action)
    }
  }
  return { actions, sidecars }
}

/**
 * Reads the files, or the tombstones, in batches, first the checkpoint's own and then its sidecars'. An add whose
 * statistics are there only as typed columns gets their JSON text.
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
): AsyncGenerator<readonly Action[]> {
  for (const { key, sizeBytes } of checkpoint.files) {
    if (checkpoint.format === 'json') {
      yield (await readJson(store, key, options)).filter(a => column in a)
    } else yield* readRows(await openCheckpointFile(store, key, sizeBytes, options), [column])
  }
  for (const { path, sizeInBytes } of sidecars) {
    const key = sidecarKey(path, store.uri)
    yield* readRows(await openCheckpointFile(store, key, sizeInBytes, options), [column])
  }
}

/**
 * Reads what a checkpoint says of its sidecars, and nothing else.
 *
 * @throws DeltaLakeError `DELTA_LOG_CORRUPT` naming the file, and what the store throws
 */
export async function readSidecars(
  store: ObjectStore,
  checkpoint: CheckpointFiles,
  options?: RequestOptions,
): Promise<Sidecar[]> {
  const sidecars: Sidecar[] = []
  const take = (action: Action): void => {
    if ('sidecar' in action) sidecars.push(action.sidecar)
  }
  for (const { key, sizeBytes } of checkpoint.files) {
    if (checkpoint.format === 'json') for (const action of await readJson(store, key, options)) take(action)
    else {
      const file = await openCheckpointFile(store, key, sizeBytes, options)
      for await (const batch of readRows(file, ['sidecar'])) for (const action of batch) take(action)
    }
  }
  return sidecars
}

/**
 * The key of a sidecar's file. Its path is a bare file name, or what some writers put there: a path from the table's root
 * or an absolute one.
 *
 * @throws DeltaLakeError `DELTA_LOG_CORRUPT` for one outside of the table
 */
export function sidecarKey(path: string, tableUri: string): string {
  if (!path.includes('/')) return SIDECAR_PREFIX + decodeFilePath(path)
  const location = locateFile(path, tableUri)
  if (location.kind === 'key') return location.key
  throw new DeltaLakeError(
    'DELTA_LOG_CORRUPT',
    `the sidecar \`${path}\` of ${tableUri} is outside of the table`,
  )
}

async function* readRows(file: ParquetFile, columns: readonly ActionColumn[]): AsyncGenerator<Action[]> {
  const corrupt = (message: string): DeltaLakeError => corruptCheckpoint(file.key, message)
  for (let group = 0; group < file.rowGroupCount; group++) {
    try {
      yield* readActionRows(file, group, columns, corrupt)
    } catch (cause) {
      throw wrapped(file.key, cause)
    }
  }
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
