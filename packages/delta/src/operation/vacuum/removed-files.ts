/**
 * Files that commits have taken out of the table: what VACUUM looks at where it does not list every object.
 *
 * Delta protocol notes on VACUUM LITE. How far earlier runs came is in `_delta_log/_last_vacuum_info`, which other engines
 * read and write as well.
 *
 * @module
 */
import type { Action, Cdc, Remove } from '../../action.ts'
import { readCommits } from '../../commit-reader.ts'
import { resolveVersionAt } from '../../commit-timestamp.ts'
import { deletionVectorPath } from '../../deletion-vector.ts'
import { DeltaLakeError } from '../../error.ts'
import { locateFile } from '../../file-path.ts'
import { isJsonObject, parseJson } from '../../json.ts'
import { formatCommitPath, LOG_PREFIX } from '../../log-path.ts'
import { listTail } from '../../log-segment.ts'
import type { Snapshot } from '../../snapshot.ts'
import type { ObjectInfo, ObjectStore, RequestOptions } from '../../store/object-store.ts'

export const LAST_VACUUM_INFO_PATH = `${LOG_PREFIX}_last_vacuum_info`
const VERSION_FIELD = 'latestCommitVersionOutsideOfRetentionWindow'

/** What one commit removed. Sizes are those of the log, ages those of the removal. */
export interface RemovedFiles {
  readonly version: number
  readonly files: readonly ObjectInfo[]
}

/**
 * The commits since the last run up to the newest one before `cutoffMs`, with the files that they removed before it.
 *
 * @throws DeltaLakeError `DELTA_VERSION_NOT_FOUND` where the log no longer holds a commit that no run has looked at
 */
export async function* findRemovedFiles(
  { store }: Snapshot,
  cutoffMs: number,
  request: RequestOptions,
): AsyncGenerator<RemovedFiles> {
  const lastVersion = await newestBefore(store, cutoffMs, request)
  if (lastVersion === null) return
  const firstVersion = ((await readVacuumedVersion(store, request)) ?? -1) + 1
  if (firstVersion > lastVersion) return
  await assertHeld(store, firstVersion, request)
  const versions = Array.from({ length: lastVersion - firstVersion + 1 }, (_, i) => firstVersion + i)
  for await (const { version, actions } of readCommits(store, versions, request)) {
    yield { version, files: filesOf(store, actions, cutoffMs) }
  }
}

async function newestBefore(
  store: ObjectStore,
  cutoffMs: number,
  request: RequestOptions,
): Promise<number | null> {
  try {
    return await resolveVersionAt(store, cutoffMs - 1, request)
  } catch (error) {
    // Every commit is younger.
    if (error instanceof DeltaLakeError && error.code === 'DELTA_VERSION_NOT_FOUND') return null
    throw error
  }
}

async function assertHeld(store: ObjectStore, version: number, request: RequestOptions): Promise<void> {
  if ((await store.head(formatCommitPath(version), request)) !== null) return
  const oldest = Math.min(...(await listTail(store, 0, request)).commits.keys())
  throw new DeltaLakeError(
    'DELTA_VERSION_NOT_FOUND',
    `the log of ${store.uri} begins at version ${oldest}: what was removed from version ${version} on is not in it`,
    {
      hint: 'run a full vacuum, which looks at every object',
      context: { table: store.uri, version },
    },
  )
}

function filesOf(store: ObjectStore, actions: readonly Action[], cutoffMs: number): ObjectInfo[] {
  const files: ObjectInfo[] = []
  for (const action of actions) {
    if ('remove' in action) {
      const removedMs = action.remove.deletionTimestamp ?? 0
      if (removedMs < cutoffMs) files.push(...objectsOf(store, action.remove, removedMs))
    } else if ('cdc' in action) files.push(...objectsOf(store, action.cdc, cutoffMs - 1))
  }
  return files
}

/** The object and that of its deletion vector; none of a file that lies outside of the table. */
function objectsOf({ uri }: ObjectStore, file: Remove | Cdc, removedMs: number): ObjectInfo[] {
  const vector =
    'deletionVector' in file && file.deletionVector !== undefined
      ? deletionVectorPath(file.deletionVector)
      : null
  const paths = [{ path: file.path, sizeBytes: file.size ?? 0 }]
  if (vector !== null) paths.push({ path: vector, sizeBytes: 0 })
  return paths.flatMap(({ path, sizeBytes }) => {
    const location = locateFile(path, uri)
    // A time that is not known is as old as can be.
    return location.kind === 'key'
      ? [{ key: location.key, sizeBytes, lastModifiedMs: Math.max(1, removedMs) }]
      : []
  })
}

async function readVacuumedVersion(store: ObjectStore, request: RequestOptions): Promise<number | null> {
  const bytes = await store.get(LAST_VACUUM_INFO_PATH, request)
  if (bytes === null) return null
  try {
    const json = parseJson(new TextDecoder().decode(bytes))
    const version = isJsonObject(json) ? json[VERSION_FIELD] : null
    return typeof version === 'number' && version >= 0 ? version : null
  } catch {
    // A pointer that cannot be read is none: more commits are looked at.
    return null
  }
}

/** Notes how far the files of removed commits are gone. */
export async function recordVacuumedVersion(
  store: ObjectStore,
  version: number,
  request: RequestOptions,
): Promise<void> {
  await store.put(LAST_VACUUM_INFO_PATH, new TextEncoder().encode(`{"${VERSION_FIELD}":${version}}`), request)
}
