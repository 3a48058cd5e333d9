/**
 * Memory that is given back at once.
 *
 * The garbage collector runs by the bytes that arrays hold, and goes through the whole heap each time: what has a last
 * reader who knows that he is, need not wait for it.
 *
 * @module
 */

/**
 * Frees the memory of an array: it and every other view of it are empty afterwards, and their methods throw. Where the array is only a part of
 * its memory nothing is done, as the rest may be somebody else's.
 */
export function freeBytes({ buffer, byteLength }: Uint8Array): void {
  // What is empty has nothing to give, and may have given it before.
  if (byteLength === 0 || byteLength < buffer.byteLength || !(buffer instanceof ArrayBuffer)) return
  buffer.transfer(0)
}
