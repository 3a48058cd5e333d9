// JSON numbers (RFC 8259 §6): walked over, or read where that needs no more than 64 bits.

/** Behind the integer that `readDigits` has read. */
export let digitsEnd: usize = 0

// @ts-ignore: decorator
@inline
function isDigit(c: u8): bool {
  return (c ^ 0x30) <= 9
}

/** Are all eight bytes digits? */
// @ts-ignore: decorator
@inline
function areDigits(word: u64): bool {
  return (
    ((word & 0xf0f0f0f0f0f0f0f0) | (((word + 0x0606060606060606) & 0xf0f0f0f0f0f0f0f0) >> 4)) ==
    0x3333333333333333
  )
}

/** Eight digits as a number: pairs, then fours, then all. */
// @ts-ignore: decorator
@inline
function eightDigits(word: u64): u64 {
  const pairs = ((word & 0x0f0f0f0f0f0f0f0f) * 2_561) >> 8
  const fours = ((pairs & 0x00ff00ff00ff00ff) * 6_553_601) >> 16
  return ((fours & 0x0000ffff0000ffff) * 42_949_672_960_001) >> 32
}

/** Digits from `from` on, after those that make up `value`; wraps around where there are too many. */
// @ts-ignore: decorator
@inline
export function readDigits(from: usize, value: u64): u64 {
  let p = from
  let total = value
  for (let word = load<u64>(p); areDigits(word); word = load<u64>(p)) {
    total = total * 100_000_000 + eightDigits(word)
    p += 8
  }
  for (let digit: u64 = load<u8>(p) ^ 0x30; digit <= 9; digit = load<u8>(p) ^ 0x30) {
    total = total * 10 + digit
    p++
  }
  digitsEnd = p
  return total
}

/** No fraction or exponent behind an integer, and no zero in front of one. */
// @ts-ignore: decorator
@inline
export function isWhole(first: usize, end: usize): bool {
  const next = load<u8>(end)
  return (load<u8>(first) != 0x30 || end == first + 1) && next != 0x2e && (next | 0x20) != 0x65
}

/** The end of the number at `from`; 0 where there is none. */
export function skipNumber(from: usize): usize {
  let p = from
  if (load<u8>(p) == 0x2d) p++
  const first = p
  while (isDigit(load<u8>(p))) p++
  if (p == first || (load<u8>(first) == 0x30 && p > first + 1)) return 0
  if (load<u8>(p) == 0x2e) {
    const digits = ++p
    while (isDigit(load<u8>(p))) p++
    if (p == digits) return 0
  }
  if ((load<u8>(p) | 0x20) == 0x65) {
    p++
    const sign = load<u8>(p)
    if (sign == 0x2b || sign == 0x2d) p++
    const digits = p
    while (isDigit(load<u8>(p))) p++
    if (p == digits) return 0
  }
  return p
}
