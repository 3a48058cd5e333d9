/**
 * Inline deletion vectors as an engine that deletes rows writes them: this package only reads them.
 *
 * PROTOCOL.md › Deletion Vector Format; RoaringFormatSpec: one bitmap, array containers only.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { DeletionVectorDescriptor } from '../../src/action.ts'

const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#'
const MAGIC = 1_681_511_377
const COOKIE_WITHOUT_RUNS = 12_346
/** Rows of one container that are still an array. */
const ROWS_MAX = 4_096

/** @param rows positions in the file, below 65,536 */
export function inlineDeletionVector(rows: Iterable<number>): DeletionVectorDescriptor {
  const sorted = [...new Set(rows)].sort((a, b) => a - b)
  assert(sorted.length > 0 && sorted.length <= ROWS_MAX && sorted.at(-1)! < 65_536)
  const sizeInBytes = 12 + 4 + 4 + 4 + 4 + 4 + sorted.length * 2
  const bytes = new DataView(new ArrayBuffer(Math.ceil(sizeInBytes / 4) * 4))
  bytes.setUint32(0, MAGIC, true)
  bytes.setBigUint64(4, 1n, true)
  bytes.setUint32(12, 0, true)
  bytes.setUint32(16, COOKIE_WITHOUT_RUNS, true)
  bytes.setUint32(20, 1, true)
  bytes.setUint16(24, 0, true)
  bytes.setUint16(26, sorted.length - 1, true)
  // The container's place, from the bitmap's own start.
  bytes.setUint32(28, 16, true)
  for (const [i, row] of sorted.entries()) bytes.setUint16(32 + i * 2, row, true)
  return {
    storageType: 'i',
    pathOrInlineDv: encodeZ85(bytes),
    sizeInBytes,
    cardinality: sorted.length,
  }
}

function encodeZ85(bytes: DataView): string {
  let text = ''
  for (let at = 0; at < bytes.byteLength; at += 4) {
    let value = bytes.getUint32(at)
    let group = ''
    for (let i = 0; i < 5; i++) {
      group = ALPHABET[value % 85]! + group
      value = Math.floor(value / 85)
    }
    text += group
  }
  return text
}
