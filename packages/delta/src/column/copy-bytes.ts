/**
 * Copies of values, which are short mostly.
 *
 * @module
 */

/** Below this a loop copies bytes faster than a call does. */
const LOOP_COPY_MAX_BYTES = 48

/** Copies `[start, end)` of `from` to `to`, from `at` on. */
export function copyBytes(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): void {
  if (end - start > LOOP_COPY_MAX_BYTES) to.set(from.subarray(start, end), at)
  else for (let p = start, w = at; p < end; p++) to[w++] = from[p]!
}
