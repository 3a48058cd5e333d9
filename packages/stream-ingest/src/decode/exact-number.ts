/**
 * Decimal text to exact integers of up to 128 bits, without a string, a BigInt or any other allocation.
 *
 * @module
 */

/** More than any precision: an exponent beyond is the same as infinitely far away. */
const EXPONENT_CAP = 1_000_000_000

/** Integers of this many digits are exact in a double. */
const SMALL_DIGITS_MAX = 15

/** 38 digits, the widest decimal of Delta, need 127 bits: 8 limbs of 16. */
const LIMBS = 8
const LIMB_BASE = 0x10000
/** Four digits a step: a limb times 10^4 plus a carry stays below 2^53 by far. */
const CHUNK_DIGITS = 4

export type ExactOutcome = 'ok' | 'not_a_number' | 'inexact' | 'too_large'

/** Reads `text × 10^scale` as an integer. The result is in the fields. */
export class ExactNumber {
  /** Is the result in `small`? Otherwise it is in `words`. */
  isSmall = true
  /** The result, an integer below 10^15. */
  small = 0
  /** The result in two's complement, least significant word first. Filled by `spread` where the result is small. */
  readonly words: Int32Array = new Int32Array(4)

  private readonly limbs = new Int32Array(LIMBS)
  // The parts of the text under way.
  private negative = false
  private intStart = 0
  private intEnd = 0
  private fractionStart = 0
  private fractionEnd = 0
  private exponent = 0

  /**
   * @param scale digits after the point that the result keeps; a value with more (trailing zeros aside) is `inexact`
   * @param precision digits that the result may have; a value with more is `too_large`
   *
   * The text is `[+-] digits [. digits] [e [+-] digits]` with a digit before or after the point, which covers JSON
   * numbers; the caller has checked the JSON grammar where it matters.
   */
  read(b: Uint8Array, start: number, end: number, scale: number, precision: number): ExactOutcome {
    if (!this.split(b, start, end)) return 'not_a_number'
    let first = this.intStart
    while (first < this.fractionEnd && (b[first] === 0x30 || b[first] === 0x2e)) first++
    if (first >= this.fractionEnd) {
      this.isSmall = true
      this.small = 0
      return 'ok'
    }
    let last = this.fractionEnd - 1
    while (b[last] === 0x30 || b[last] === 0x2e) last--
    const highest = this.powerAt(first) + scale
    const lowest = this.powerAt(last) + scale
    if (lowest < 0) return 'inexact'
    if (highest >= precision) return 'too_large'
    if (highest < SMALL_DIGITS_MAX) this.readSmall(b, first, last, lowest)
    else this.readWide(b, first, last, lowest)
    return 'ok'
  }

  /** Writes a small result to `words` too. */
  spread(): void {
    if (!this.isSmall) return
    const high = Math.floor(this.small / 0x1_0000_0000)
    const sign = this.small < 0 ? -1 : 0
    this.words[0] = this.small | 0
    this.words[1] = high
    this.words[2] = sign
    this.words[3] = sign
  }

  /** Finds the parts of the text; false where it is no number. Positions are absolute. */
  private split(b: Uint8Array, start: number, end: number): boolean {
    let p = start
    this.negative = b[p] === 0x2d
    if (p < end && (b[p] === 0x2d || b[p] === 0x2b)) p++
    this.intStart = p
    while (p < end && (b[p]! ^ 0x30) <= 9) p++
    this.intEnd = p
    this.fractionStart = p
    if (p < end && b[p] === 0x2e) {
      this.fractionStart = ++p
      while (p < end && (b[p]! ^ 0x30) <= 9) p++
    }
    this.fractionEnd = p
    if (this.intEnd - this.intStart + this.fractionEnd - this.fractionStart === 0) return false
    this.exponent = 0
    if (p < end && (b[p]! | 0x20) === 0x65) {
      p++
      const negative = b[p] === 0x2d
      if (p < end && (b[p] === 0x2d || b[p] === 0x2b)) p++
      const digits = p
      let exponent = 0
      while (p < end && (b[p]! ^ 0x30) <= 9) {
        exponent = Math.min(exponent * 10 + (b[p]! ^ 0x30), EXPONENT_CAP)
        p++
      }
      if (p === digits) return false
      this.exponent = negative ? -exponent : exponent
    }
    return p === end
  }

  /** The power of ten of the digit at a position. */
  private powerAt(p: number): number {
    return this.exponent + (p < this.intEnd ? this.intEnd - 1 - p : this.fractionStart - 1 - p)
  }

  private readSmall(b: Uint8Array, first: number, last: number, zeros: number): void {
    let value = 0
    for (let p = first; p <= last; p++) if (b[p] !== 0x2e) value = value * 10 + (b[p]! ^ 0x30)
    for (let i = 0; i < zeros; i++) value *= 10
    this.isSmall = true
    this.small = this.negative ? -value : value
  }

  private readWide(b: Uint8Array, first: number, last: number, zeros: number): void {
    this.limbs.fill(0)
    let chunk = 0
    let factor = 1
    let count = 0
    for (let p = first; p <= last; p++) {
      if (b[p] === 0x2e) continue
      chunk = chunk * 10 + (b[p]! ^ 0x30)
      factor *= 10
      if (++count === CHUNK_DIGITS) {
        this.multiplyAdd(factor, chunk)
        chunk = 0
        factor = 1
        count = 0
      }
    }
    this.multiplyAdd(factor, chunk)
    for (let i = 0; i < zeros; i++) this.multiplyAdd(10, 0)
    const { limbs, words } = this
    for (let i = 0; i < 4; i++) words[i] = limbs[2 * i]! | (limbs[2 * i + 1]! << 16)
    if (this.negative) negate(words)
    this.isSmall = false
  }

  private multiplyAdd(factor: number, add: number): void {
    const limbs = this.limbs
    let carry = add
    for (let i = 0; i < LIMBS; i++) {
      const product = limbs[i]! * factor + carry
      carry = Math.floor(product / LIMB_BASE)
      limbs[i] = product & 0xffff
    }
  }
}

function negate(words: Int32Array): void {
  let carry = 1
  for (let i = 0; i < words.length; i++) {
    const sum = (~words[i]! >>> 0) + carry
    words[i] = sum | 0
    carry = sum > 0xffff_ffff ? 1 : 0
  }
}
