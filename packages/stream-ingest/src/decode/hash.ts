/**
 * FNV-1a, 32 bits.
 *
 * @module
 */

export const HASH_SEED: number = 0x811c9dc5 | 0

/** The hash with one more byte. */
export function hashByte(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, 0x01000193)
}

export function hashOf(b: Uint8Array, start: number, end: number): number {
  let hash = HASH_SEED
  for (let p = start; p < end; p++) hash = hashByte(hash, b[p]!)
  return hash
}
