// Bytes of JSON outside of numbers: space, strings, UTF-8. Positions go in and come out; 0 is "not here": another look is
// needed by whoever called the kernel.

const QUOTE: u8 = 0x22
const BACKSLASH: u8 = 0x5c

/** Did the string that `skipString` walked over have an escape? */
export let metEscape: bool = false

// @ts-ignore: decorator
@inline
export function isSpace(c: u8): bool {
  return c == 0x20 || c == 0x0a || c == 0x0d || c == 0x09
}

// @ts-ignore: decorator
@inline
export function skipSpace(from: usize): usize {
  let p = from
  if (load<u8>(p) > 0x20) return p
  while (isSpace(load<u8>(p))) p++
  return p
}

/** A bit for each of 16 bytes that does not stand for itself: controls, quote, backslash, and all beyond ASCII. */
// @ts-ignore: decorator
@inline
function specialBytes(v: v128): i32 {
  return i8x16.bitmask(
    v128.or(
      v128.or(i8x16.eq(v, i8x16.splat(QUOTE)), i8x16.eq(v, i8x16.splat(BACKSLASH))),
      // Beyond ASCII is negative.
      i8x16.lt_s(v, i8x16.splat(0x20)),
    ),
  )
}

/** From behind a string's opening quote to behind its closing one. */
export function skipString(from: usize): usize {
  let p = from
  metEscape = false
  while (true) {
    const special = specialBytes(v128.load(p))
    if (special == 0) {
      p += 16
      continue
    }
    p += ctz(special)
    const c = load<u8>(p)
    if (c == QUOTE) return p + 1
    if (c == BACKSLASH) {
      metEscape = true
      if (load<u8>(p + 1) == 0x75) {
        if (hex4(p + 2) < 0) return 0
        p += 6
      } else {
        if (unescaped(load<u8>(p + 1)) == 0) return 0
        p += 2
      }
    } else {
      const length = multiByteLength(p)
      if (length == 0) return 0
      p += length
    }
  }
}

/** Where `copyString` stopped writing. */
export let writtenEnd: usize = 0

/** Copies a string, from behind its opening quote, unescaped to `to`; returns the position behind its closing quote. */
export function copyString(from: usize, to: usize): usize {
  let p = from
  let w = to
  while (true) {
    const v = v128.load(p)
    v128.store(w, v)
    const special = specialBytes(v)
    if (special == 0) {
      p += 16
      w += 16
      continue
    }
    const plain = ctz(special)
    p += plain
    w += plain
    let c = load<u8>(p)
    if (c == QUOTE) {
      writtenEnd = w
      return p + 1
    }
    if (c == BACKSLASH) {
      const escaped = load<u8>(p + 1)
      if (escaped == 0x75) {
        let codePoint = hex4(p + 2)
        if (codePoint < 0) return 0
        p += 6
        if (codePoint >= 0xd800 && codePoint < 0xe000) {
          if (codePoint >= 0xdc00 || load<u16>(p) != 0x755c) return 0
          const low = hex4(p + 2)
          if (low < 0xdc00 || low >= 0xe000) return 0
          codePoint = 0x10000 + ((codePoint - 0xd800) << 10) + (low - 0xdc00)
          p += 6
        }
        w = writeCodePoint(w, codePoint)
      } else {
        const meaning = unescaped(escaped)
        if (meaning == 0) return 0
        store<u8>(w++, meaning)
        p += 2
      }
      continue
    }
    if (c < 0x80) return 0
    do {
      const length = multiByteLength(p)
      if (length == 0) return 0
      store<u32>(w, load<u32>(p))
      p += length
      w += length
      c = load<u8>(p)
    } while (c >= 0x80)
  }
}

/** What `\x` stands for, 0 where it is not an escape. */
function unescaped(c: u8): u8 {
  switch (c) {
    case 0x22:
    case 0x5c:
    case 0x2f:
      return c
    case 0x62:
      return 0x08
    case 0x66:
      return 0x0c
    case 0x6e:
      return 0x0a
    case 0x72:
      return 0x0d
    case 0x74:
      return 0x09
    default:
      return 0
  }
}

/** Four hexadecimal digits; negative where one is none. */
function hex4(p: usize): i32 {
  let value = 0
  for (let i: usize = 0; i < 4; i++) {
    const c = load<u8>(p + i)
    const digit: i32 = c ^ 0x30
    if (digit <= 9) value = (value << 4) | digit
    else {
      const letter: i32 = (c | 0x20) - 0x61
      if (letter < 0 || letter > 5) return -1
      value = (value << 4) | (letter + 10)
    }
  }
  return value
}

// @ts-ignore: decorator
@inline
function isContinuation(c: u8): bool {
  return (c & 0xc0) == 0x80
}

/** Length of the sequence at `p`, whose first byte is beyond ASCII; 0 where it is not well-formed (RFC 3629 §4). */
function multiByteLength(p: usize): i32 {
  const lead = load<u8>(p)
  const second = load<u8>(p + 1)
  if (lead < 0xc2) return 0
  if (lead < 0xe0) return isContinuation(second) ? 2 : 0
  if (lead < 0xf0) {
    const low: u8 = lead == 0xe0 ? 0xa0 : 0x80
    const high: u8 = lead == 0xed ? 0x9f : 0xbf
    return second >= low && second <= high && isContinuation(load<u8>(p + 2)) ? 3 : 0
  }
  if (lead > 0xf4) return 0
  const low: u8 = lead == 0xf0 ? 0x90 : 0x80
  const high: u8 = lead == 0xf4 ? 0x8f : 0xbf
  return second >= low &&
    second <= high &&
    isContinuation(load<u8>(p + 2)) &&
    isContinuation(load<u8>(p + 3))
    ? 4
    : 0
}

/** Writes a code point that is no surrogate; returns the end. */
function writeCodePoint(at: usize, codePoint: i32): usize {
  if (codePoint < 0x80) {
    store<u8>(at, codePoint)
    return at + 1
  }
  if (codePoint < 0x800) {
    store<u8>(at, 0xc0 | (codePoint >> 6))
    store<u8>(at + 1, 0x80 | (codePoint & 0x3f))
    return at + 2
  }
  if (codePoint < 0x10000) {
    store<u8>(at, 0xe0 | (codePoint >> 12))
    store<u8>(at + 1, 0x80 | ((codePoint >> 6) & 0x3f))
    store<u8>(at + 2, 0x80 | (codePoint & 0x3f))
    return at + 3
  }
  store<u8>(at, 0xf0 | (codePoint >> 18))
  store<u8>(at + 1, 0x80 | ((codePoint >> 12) & 0x3f))
  store<u8>(at + 2, 0x80 | ((codePoint >> 6) & 0x3f))
  store<u8>(at + 3, 0x80 | (codePoint & 0x3f))
  return at + 4
}
