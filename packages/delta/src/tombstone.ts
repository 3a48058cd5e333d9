/**
 * From a live file to the action that takes it out of the table.
 *
 * PROTOCOL.md › Add File and Remove File.
 *
 * @module
 */
import type { Add, Remove } from './action.ts'

/**
 * The tombstone of a live file: its path byte for byte, its deletion vector (with another one the file would stay live),
 * its row ids, and what readers of the history and VACUUM want to know of it.
 *
 * @param add as the snapshot lists it
 * @param nowMs the same for all tombstones of one commit
 * @param dataChange false where the commit as a whole only rearranges rows
 */
export function removeOf(add: Add, nowMs: number, dataChange: boolean): Remove {
  const { path, partitionValues, size, stats, tags, deletionVector, baseRowId, defaultRowCommitVersion } = add
  return {
    path,
    deletionTimestamp: nowMs,
    dataChange,
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
