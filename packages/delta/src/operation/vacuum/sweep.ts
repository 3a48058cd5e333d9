/**
 * What goes: of files that are old enough, those that the newest version of the table knows nothing of.
 *
 * The newest snapshot is read after the candidates were found, so that what is committed meanwhile is safe.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { Add, Remove } from '../../action.ts'
import { deletionVectorPath } from '../../deletion-vector.ts'
import { DeltaLakeError } from '../../error.ts'
import { escapeHive, possibleKeys } from '../../file-path.ts'
import { LOG_PREFIX } from '../../log-path.ts'
import { assertWritable } from '../../protocol.ts'
import { loadSnapshot, type Snapshot } from '../../snapshot.ts'
import type { ObjectInfo, ObjectStore, RequestOptions } from '../../store/object-store.ts'

/** No file younger than this is ever deleted: longer than any upload takes to be committed. */
export const VACUUM_RETENTION_MIN_MS = 24 * 60 * 60 * 1000

/** Old objects that are compared with the table in one pass over its files: what bounds the memory. */
export const CANDIDATES_MAX = 250_000

/** Keys per request to delete. */
const DELETE_BATCH_SIZE = 1_000

/** Files that the result names; the counts have no bound. */
export const VACUUM_FILES_NAMED_MAX = 10_000

/** @throws DeltaLakeError `DELTA_TABLE_NOT_FOUND`, `DELTA_PROTOCOL_UNSUPPORTED` */
export async function openSnapshot(
  store: ObjectStore,
  nowMs: number,
  request: RequestOptions,
): Promise<Snapshot> {
  const snapshot = await loadSnapshot(store, { nowMs, ...request })
  if (snapshot === null) {
    throw new DeltaLakeError('DELTA_TABLE_NOT_FOUND', `there is no Delta table at ${store.uri}`, {
      context: { table: store.uri },
    })
  }
  // A feature that is not known may refer to files in ways that are not known.
  const { protocol, metadata, schema } = snapshot.state
  assertWritable(protocol, metadata, schema)
  return snapshot
}

/** Decides about old files, deletes them, and counts. */
export class VacuumSweep {
  readonly dryRun: boolean
  readonly cutoffMs: number
  version: number
  filesDeleted = 0
  bytesDeleted = 0
  readonly files: ObjectInfo[] = []
  readonly #store: ObjectStore
  readonly #tableId: string
  readonly #nowMs: number
  readonly #request: RequestOptions
  /** Names of folders of table partitions: not hidden, whatever they start with. */
  readonly #partitionPrefixes: readonly string[]
  readonly #hasIceberg: boolean
  /** Whether a folder holds a table of its own. */
  readonly #nestedTables = new Map<string, boolean>()

  constructor(
    store: ObjectStore,
    { state }: Snapshot,
    nowMs: number,
    cutoffMs: number,
    dryRun: boolean,
    request: RequestOptions,
  ) {
    assert(nowMs - cutoffMs >= VACUUM_RETENTION_MIN_MS)
    this.#store = store
    this.#tableId = state.metadata.id
    this.#nowMs = nowMs
    this.#request = request
    this.version = state.version
    this.cutoffMs = cutoffMs
    this.dryRun = dryRun
    const { configuration, partitionColumns } = state.metadata
    this.#partitionPrefixes = partitionColumns.flatMap(name => [`${name}=`, `${escapeHive(name)}=`])
    this.#hasIceberg = Object.keys(configuration).some(
      key => key.startsWith('delta.universalFormat.') || key.startsWith('delta.enableIcebergCompat'),
    )
  }

  /** Old, and not hidden. */
  isCandidate({ key, lastModifiedMs }: ObjectInfo): boolean {
    // A server that gives no time must not make a file look ancient.
    if (lastModifiedMs <= 0 || lastModifiedMs >= this.cutoffMs) return false
    return !this.#isHidden(key)
  }

  /** Deletes those of `candidates` that the newest version of the table knows nothing of. Empties the map of the rest. */
  async sweep(candidates: Map<string, ObjectInfo>, deleted: () => void): Promise<void> {
    if (candidates.size === 0) return
    const snapshot = await openSnapshot(this.#store, this.#nowMs, this.#request)
    const { id } = snapshot.state.metadata
    if (id !== this.#tableId) {
      throw new DeltaLakeError(
        'DELTA_TABLE_CHANGED',
        `the table ${this.#store.uri} was replaced: its id was \`${this.#tableId}\` and is \`${id}\``,
      )
    }
    this.version = snapshot.version
    for (const remove of snapshot.tombstones) {
      if ((remove.deletionTimestamp ?? 0) >= this.cutoffMs) this.#keep(remove, candidates)
    }
    for await (const batch of snapshot.fileBatches(this.#request)) {
      for (const add of batch) this.#keep(add, candidates)
    }
    let batch: ObjectInfo[] = []
    for (const object of candidates.values()) {
      if (await this.#isOfNestedTable(object.key)) continue
      batch.push(object)
      if (batch.length < DELETE_BATCH_SIZE) continue
      await this.#delete(batch)
      deleted()
      batch = []
    }
    await this.#delete(batch)
    deleted()
  }

  #keep(file: Add | Remove, candidates: Map<string, ObjectInfo>): void {
    const { uri } = this.#store
    for (const key of possibleKeys(file.path, uri)) candidates.delete(key)
    const vector = file.deletionVector === undefined ? null : deletionVectorPath(file.deletionVector)
    if (vector !== null) for (const key of possibleKeys(vector, uri)) candidates.delete(key)
  }

  async #delete(batch: readonly ObjectInfo[]): Promise<void> {
    if (batch.length === 0) return
    this.#request.signal?.throwIfAborted()
    // Crash here: some are gone and the next run finds the others; none of them is of the table.
    if (!this.dryRun) {
      await this.#store.delete(
        batch.map(({ key }) => key),
        this.#request,
      )
    }
    for (const object of batch) {
      this.filesDeleted++
      this.bytesDeleted += object.sizeBytes
      if (this.files.length < VACUUM_FILES_NAMED_MAX) this.files.push(object)
    }
  }

  #isHidden(key: string): boolean {
    if (this.#hasIceberg && key.startsWith('metadata/')) return true
    return key.split('/').some((component, depth) => {
      if (!component.startsWith('_') && !component.startsWith('.')) return false
      // Files of changes and of indexes go by their age, as engines that write them expect.
      if (depth === 0 && (component === '_change_data' || component === '_delta_index')) return false
      return !this.#partitionPrefixes.some(prefix => component.startsWith(prefix))
    })
  }

  /** A table inside of the table's folder: its files are nobody else's to delete. */
  async #isOfNestedTable(key: string): Promise<boolean> {
    for (let slash = key.indexOf('/'); slash !== -1; slash = key.indexOf('/', slash + 1)) {
      const folder = key.slice(0, slash + 1)
      let holdsTable = this.#nestedTables.get(folder)
      if (holdsTable === undefined) {
        holdsTable = await this.#holdsLog(folder)
        if (this.#nestedTables.size >= CANDIDATES_MAX) this.#nestedTables.clear()
        this.#nestedTables.set(folder, holdsTable)
      }
      if (holdsTable) return true
    }
    return false
  }

  async #holdsLog(folder: string): Promise<boolean> {
    // The folder of a table partition is the table's own.
    const name = folder.slice(folder.lastIndexOf('/', folder.length - 2) + 1)
    if (this.#partitionPrefixes.some(prefix => name.startsWith(prefix))) return false
    for await (const _ of this.#store.list(`${folder}${LOG_PREFIX}`, this.#request)) return true
    return false
  }
}
