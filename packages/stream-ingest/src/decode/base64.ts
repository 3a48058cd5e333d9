/**
 * Base64 (RFC 4648) from bytes to bytes.
 *
 * @module
 */

const INVALID = 64
const SEXTETS: Uint8Array = new Uint8Array(256).fill(INVALID)
for (const [value, char] of [
  ...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
].entries()) {
  SEXTETS[char.charCodeAt(0)] = value
}
// The URL-safe alphabet of RFC 4648 §5 cannot be confused with the standard one.
SEXTETS[0x2d] = 62
SEXTETS[0x5f] = 63

/**
 * Decodes `[start, end)` into `target` at `at`, which has room for three bytes a quartet, and returns the end of what
 * was written; −1 where the text is not base64. Padding may be left out, but not be wrong; unused bits must be zero.
 */
export function decodeBase64(
  b: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  at: number,
): number {
  let last = end
  if ((end - start) % 4 === 0 && end > start && b[end - 1] === 0x3d) last -= b[end - 2] === 0x3d ? 2 : 1
  const rest = (last - start) % 4
  if (rest === 1) return -1
  let w = at
  let p = start
  for (const whole = last - rest; p < whole; p += 4) {
    const s0 = SEXTETS[b[p]!]!
    const s1 = SEXTETS[b[p + 1]!]!
    const s2 = SEXTETS[b[p + 2]!]!
    const s3 = SEXTETS[b[p + 3]!]!
    if ((s0 | s1 | s2 | s3) >= INVALID) return -1
    target[w++] = (s0 << 2) | (s1 >> 4)
    target[w++] = ((s1 & 15) << 4) | (s2 >> 2)
    target[w++] = ((s2 & 3) << 6) | s3
  }
  if (rest === 0) return w
  const s0 = SEXTETS[b[p]!]!
  const s1 = SEXTETS[b[p + 1]!]!
  const s2 = rest === 3 ? SEXTETS[b[p + 2]!]! : 0
  if ((s0 | s1 | s2) >= INVALID) return -1
  target[w++] = (s0 << 2) | (s1 >> 4)
  if (rest === 2) return (s1 & 15) === 0 ? w : -1
  target[w++] = ((s1 & 15) << 4) | (s2 >> 2)
  return (s2 & 3) === 0 ? w : -1
}
