/**
 * Bitmaps: one bit a row, least significant first, as validity and boolean values have them.
 *
 * @module
 */

export function isBitSet(bits: Uint8Array, index: number): boolean {
  return ((bits[index >> 3]! >> (index & 7)) & 1) === 1
}

/** The bits `[from, to)` moved to the start of a bitmap; a view where `from` is on a byte boundary. */
export function sliceBits(bits: Uint8Array, from: number, to: number): Uint8Array {
  const sizeBytes = (to - from + 7) >> 3
  const first = from >> 3
  const shift = from & 7
  if (shift === 0) return bits.subarray(first, first + sizeBytes)
  const moved = new Uint8Array(sizeBytes)
  for (let i = 0; i < sizeBytes; i++) {
    // Reading one byte past the end gives undefined, which the shift takes as 0.
    moved[i] = (bits[first + i]! >> shift) | (bits[first + i + 1]! << (8 - shift))
  }
  return moved
}

/** How many of the bits `[from, to)` are not set. */
export function countUnsetBits(bits: Uint8Array, from: number, to: number): number {
  let setCount = 0
  let i = from
  while (i < to && (i & 7) !== 0) setCount += (bits[i >> 3]! >> (i++ & 7)) & 1
  for (; i + 8 <= to; i += 8) setCount += SET_BITS_OF_BYTE[bits[i >> 3]!]!
  while (i < to) setCount += (bits[i >> 3]! >> (i++ & 7)) & 1
  return to - from - setCount
}

const SET_BITS_OF_BYTE = new Uint8Array(256)
for (let i = 1; i < 256; i++) SET_BITS_OF_BYTE[i] = SET_BITS_OF_BYTE[i >> 1]! + (i & 1)
