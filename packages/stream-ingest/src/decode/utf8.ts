/**
 * UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
 *
 * @module
 */

/**
 * The length in bytes of the multi-byte sequence at `p`, 0 where it is not well-formed or reaches over `end`.
 * RFC 3629 §4, table of well-formed sequences. The byte at `p` is 0x80 or above.
 */
export function multiByteLength(bytes: Uint8Array, p: number, end: number): number {
  const lead = bytes[p]!
  if (lead < 0xc2) return 0
  if (lead < 0xe0) return p + 2 <= end && isContinuation(bytes[p + 1]!) ? 2 : 0
  if (lead < 0xf0) {
    if (p + 3 > end) return 0
    const second = bytes[p + 1]!
    const low = lead === 0xe0 ? 0xa0 : 0x80
    const high = lead === 0xed ? 0x9f : 0xbf
    return second >= low && second <= high && isContinuation(bytes[p + 2]!) ? 3 : 0
  }
  if (lead > 0xf4 || p + 4 > end) return 0
  const second = bytes[p + 1]!
  const low = lead === 0xf0 ? 0x90 : 0x80
  const high = lead === 0xf4 ? 0x8f : 0xbf
  return second >= low && second <= high && isContinuation(bytes[p + 2]!) && isContinuation(bytes[p + 3]!)
    ? 4
    : 0
}

/** Is all of `[start, end)` well-formed? */
export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let p = start
  while (p < end) {
    if (bytes[p]! < 0x80) {
      p++
      continue
    }
    const length = multiByteLength(bytes, p, end)
    if (length === 0) return false
    p += length
  }
  return true
}

/** Writes a code point (not a surrogate) at `at` and returns the end. */
export function writeCodePoint(bytes: Uint8Array, at: number, codePoint: number): number {
  let w = at
  if (codePoint < 0x80) {
    bytes[w++] = codePoint
  } else if (codePoint < 0x800) {
    bytes[w++] = 0xc0 | (codePoint >> 6)
    bytes[w++] = 0x80 | (codePoint & 0x3f)
  } else if (codePoint < 0x10000) {
    bytes[w++] = 0xe0 | (codePoint >> 12)
    bytes[w++] = 0x80 | ((codePoint >> 6) & 0x3f)
    bytes[w++] = 0x80 | (codePoint & 0x3f)
  } else {
    bytes[w++] = 0xf0 | (codePoint >> 18)
    bytes[w++] = 0x80 | ((codePoint >> 12) & 0x3f)
    bytes[w++] = 0x80 | ((codePoint >> 6) & 0x3f)
    bytes[w++] = 0x80 | (codePoint & 0x3f)
  }
  return w
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80
}
