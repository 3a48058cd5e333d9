/**
 * The identity of a deletion vector: part of the key under which a file is live.
 *
 * PROTOCOL.md › Deletion Vector Descriptor Schema, Action Reconciliation.
 *
 * @module
 */
import type { DeletionVectorDescriptor } from './action.ts'

/** `<storageType><pathOrInlineDv>`, with `@<offset>` where there is one. */
export function deletionVectorId({ storageType, pathOrInlineDv, offset }: DeletionVectorDescriptor): string {
  const id = storageType + pathOrInlineDv
  return offset === undefined ? id : `${id}@${offset}`
}

/** The key of a logical file: a path is live at most once, with one deletion vector or none. */
export function logicalFileKey(file: {
  readonly path: string
  readonly deletionVector?: DeletionVectorDescriptor
}): string {
  // No path holds a NUL, so the two parts cannot run into each other.
  return file.deletionVector === undefined
    ? file.path
    : `${file.path}\0${deletionVectorId(file.deletionVector)}`
}
