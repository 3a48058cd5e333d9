/**
 * Another engine that deletes rows of a table, by deletion vectors where the table allows them, else by writing the rest
 * of the file anew or by removing it whole. It tries its commit once, right after the version that it read.
 *
 * @module
 */
import { parquetReadObjects } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'
import type { Action, Add, Remove } from '../../src/action.ts'
import { formatCommit } from '../../src/action-codec.ts'
import { columnMappingMode, physicalName } from '../../src/column-mapping.ts'
import { readDeletionVector } from '../../src/deletion-vector.ts'
import { formatJson, isJsonObject, parseJsonLossless } from '../../src/json.ts'
import { formatCommitPath } from '../../src/log-path.ts'
import type { Snapshot } from '../../src/snapshot.ts'
import type { PutIfAbsentResult } from '../../src/store/object-store.ts'
import { inlineDeletionVector } from './inline-deletion-vector.ts'

/** What a deletion does to one file. */
export interface FileDeletion {
  readonly removedIds: readonly bigint[]
  /** In the order of the commit. */
  readonly actions: readonly Action[]
}

/** The live rows of a file: position and `id`. */
export async function liveIds(
  snapshot: Snapshot,
  add: Add,
): Promise<{ readonly position: number; readonly id: bigint }[]> {
  const { store, state } = snapshot
  const mode = columnMappingMode(state.metadata)
  const column = physicalName(state.schema.fields.find(f => f.name === 'id')!, mode)
  const body = (await store.get(add.path))!
  const file = body.buffer.slice(body.byteOffset, body.byteOffset + body.byteLength) as ArrayBuffer
  const rows = await parquetReadObjects({ file, columns: [column], compressors })
  const deleted =
    add.deletionVector === undefined ? null : await readDeletionVector(store, add.deletionVector)
  return rows
    .map((row, position) => ({ position, id: BigInt(row[column] as bigint | number) }))
    .filter(({ position }) => deleted?.has(position) !== true)
}

/** Removes a file whole. */
export function removeFile(add: Add, ids: readonly bigint[], nowMs: number): FileDeletion {
  return { removedIds: ids, actions: [{ remove: tombstone(add, nowMs) }] }
}

/** Deletes rows at `chosen` by a new deletion vector, which holds those that were deleted before too. */
export async function deleteByVector(
  snapshot: Snapshot,
  add: Add,
  chosen: readonly { readonly position: number; readonly id: bigint }[],
  nowMs: number,
): Promise<FileDeletion> {
  const positions = new Set(chosen.map(row => row.position))
  if (add.deletionVector !== undefined) {
    const before = await readDeletionVector(snapshot.store, add.deletionVector)
    for (let row = 0; row < 65_536; row++) if (before.has(row)) positions.add(row)
  }
  const statistics = parseJsonLossless(add.stats ?? '{}')
  const again: Add = {
    ...add,
    dataChange: true,
    deletionVector: inlineDeletionVector(positions),
    stats: formatJson({ ...(isJsonObject(statistics) ? statistics : {}), tightBounds: false }),
  }
  return {
    removedIds: chosen.map(row => row.id),
    actions: [{ remove: tombstone(add, nowMs) }, { add: again }],
  }
}

/** Tries the commit at the version after the snapshot's. */
export function commitDeletion(
  snapshot: Snapshot,
  deletion: FileDeletion,
  txnId: string,
  nowMs: number,
): Promise<PutIfAbsentResult> {
  const { state, store } = snapshot
  const version = state.version + 1
  const body = formatCommit([
    {
      commitInfo: {
        ...(state.inCommitTimestampMs === null
          ? {}
          : { inCommitTimestamp: Math.max(nowMs, state.inCommitTimestampMs + 1) }),
        timestamp: nowMs,
        operation: 'DELETE',
        operationParameters: { predicate: '[]' },
        readVersion: state.version,
        isBlindAppend: false,
        engineInfo: 'another engine',
        txnId,
      },
    },
    ...deletion.actions,
  ])
  return store.putIfAbsent(formatCommitPath(version), body)
}

function tombstone(add: Add, nowMs: number): Remove {
  const { path, partitionValues, size, stats, tags, deletionVector, baseRowId, defaultRowCommitVersion } = add
  return {
    path,
    deletionTimestamp: nowMs,
    dataChange: true,
    extendedFileMetadata: true,
    partitionValues,
    size,
    ...(stats === undefined ? {} : { stats }),
    ...(tags === undefined ? {} : { tags }),
    ...(deletionVector === undefined ? {} : { deletionVector }),
    ...(baseRowId === undefined ? {} : { baseRowId }),
    ...(defaultRowCommitVersion === undefined ? {} : { defaultRowCommitVersion }),
  }
}
