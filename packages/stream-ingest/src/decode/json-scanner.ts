/**
 * JSON (RFC 8259) straight from bytes: walking over values, keys and strings.
 *
 * Positions go in and come out; a negative one means that the scan ended. Single reads may look a little past the end
 * of the payload (at the neighbour in the same buffer, or at `undefined` behind the buffer): a payload that is cut off is
 * noticed in any case, because positions only grow and are compared with the end before anything is believed.
 *
 * @module
 */
import { excerpt } from './found-value.ts'
import { multiByteLength, writeCodePoint } from './utf8.ts'

/** Deepest nesting of objects and arrays; the payload itself is at depth 1. */
export const JSON_DEPTH_MAX = 128

/** The payload is not JSON (or nested too deep): `problem` says why. Nothing in it can be used. */
export const NOT_JSON = -1

/** 1 for the bytes that stand for themselves inside a string: ASCII without controls, quote and backslash. */
export const PLAIN: Uint8Array = new Uint8Array(256).fill(1, 0x20, 0x80)
PLAIN[0x22] = 0
PLAIN[0x5c] = 0

const SCRATCH_INITIAL_BYTES = 256

export class JsonScanner {
  protected bytes: Uint8Array = new Uint8Array(0)
  protected start = 0
  protected end = 0
  /** Why the scan ended. */
  protected problem = ''
  protected readonly depthMax: number

  /** The string last read by `readString`: `textBytes[textStart, textEnd)`, unescaped. */
  protected textBytes: Uint8Array = this.bytes
  protected textStart = 0
  protected textEnd = 0
  /** Did the last unescaped string hold half a surrogate pair? Then it is no text, although it is JSON. */
  protected hasLoneSurrogate = false
  /** Where the last `unescape` stopped writing. */
  protected writtenEnd = 0

  private scratch: Uint8Array = new Uint8Array(SCRATCH_INITIAL_BYTES)
  /** Per depth: 1 for an object, 0 for an array. */
  private readonly isObjectAt: Uint8Array

  constructor(depthMax: number) {
    this.depthMax = depthMax
    this.isObjectAt = new Uint8Array(depthMax + 1)
  }

  /** Notes why the payload is not JSON, once: what is noticed first counts. */
  protected fail(p: number, expected: string): number {
    if (p >= this.end) {
      this.problem = `the payload ends where ${expected} is expected`
    } else {
      const found = excerpt(this.bytes, p, Math.min(this.end, p + 16))
      this.problem = `expected ${expected} at byte ${p - this.start}, found \`${found}\``
    }
    return NOT_JSON
  }

  protected failDepth(): number {
    this.problem = `nested deeper than ${this.depthMax}`
    return NOT_JSON
  }

  protected skipSpace(from: number): number {
    const b = this.bytes
    const end = this.end
    let p = from
    while (p < end) {
      const c = b[p]!
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) break
      p++
    }
    return p
  }

  /** The end of the value at `p`, checked as JSON. `depth` is how many objects and arrays are open around it. */
  protected skipValue(from: number, depth: number): number {
    const b = this.bytes
    const isObjectAt = this.isObjectAt
    let open = depth
    let p = from
    for (;;) {
      const c = b[p]!
      if (c === 0x7b || c === 0x5b) {
        if (++open > this.depthMax) return this.failDepth()
        const isObject = c === 0x7b
        p = this.skipSpace(p + 1)
        if (b[p] === (isObject ? 0x7d : 0x5d)) {
          p++
          open--
        } else {
          isObjectAt[open] = isObject ? 1 : 0
          if (isObject) p = this.skipKey(p)
          if (p < 0) return p
          continue
        }
      } else {
        p = this.skipScalar(p)
        if (p < 0) return p
      }
      // A value has ended at `p`: close what ends here, up to the next comma.
      for (;;) {
        if (p > this.end) return this.fail(p, 'the rest of a value')
        if (open === depth) return p
        p = this.skipSpace(p)
        const isObject = isObjectAt[open] === 1
        const next = b[p]!
        if (next === 0x2c) {
          p = this.skipSpace(p + 1)
          if (isObject) p = this.skipKey(p)
          if (p < 0) return p
          break
        }
        if (next !== (isObject ? 0x7d : 0x5d)) return this.fail(p, isObject ? '`,` or `}`' : '`,` or `]`')
        p++
        open--
      }
    }
  }

  /** Is there anything in the JSON of `[from, to)` but nulls, empty arrays and objects, and the keys of such? */
  protected holdsValue(from: number, to: number): boolean {
    const b = this.bytes
    for (let p = from; p < to; p++) {
      const c = b[p]!
      if (c === 0x22) {
        p = this.skipSpace(this.skipString(p + 1))
        // A key, or else a text.
        if (b[p] !== 0x3a || p >= to) return true
      } else if (c === 0x6e) p += 3
      else if (c === 0x2d || c === 0x74 || c === 0x66 || (c ^ 0x30) <= 9) return true
    }
    return false
  }

  /** The end of a string, number or literal. */
  protected skipScalar(p: number): number {
    switch (this.bytes[p]) {
      case 0x22:
        return this.skipString(p + 1)
      case 0x74:
        return this.isLiteralTrue(p) ? p + 4 : this.fail(p, 'a value')
      case 0x66:
        return this.isLiteralFalse(p) ? p + 5 : this.fail(p, 'a value')
      case 0x6e:
        return this.isLiteralNull(p) ? p + 4 : this.fail(p, 'a value')
      default:
        return this.skipNumber(p)
    }
  }

  protected isLiteralTrue(p: number): boolean {
    const b = this.bytes
    return b[p] === 0x74 && b[p + 1] === 0x72 && b[p + 2] === 0x75 && b[p + 3] === 0x65
  }

  protected isLiteralFalse(p: number): boolean {
    const b = this.bytes
    return b[p] === 0x66 && b[p + 1] === 0x61 && b[p + 2] === 0x6c && b[p + 3] === 0x73 && b[p + 4] === 0x65
  }

  protected isLiteralNull(p: number): boolean {
    const b = this.bytes
    return b[p] === 0x6e && b[p + 1] === 0x75 && b[p + 2] === 0x6c && b[p + 3] === 0x6c
  }

  /** RFC 8259 §6: `[-] int [frac] [exp]`. */
  protected skipNumber(from: number): number {
    const b = this.bytes
    const end = this.end
    let p = from
    if (b[p] === 0x2d) p++
    const first = p
    while (p < end && (b[p]! ^ 0x30) <= 9) p++
    if (p === first) return this.fail(from, 'a value')
    if (b[first] === 0x30 && p > first + 1) return this.fail(from, 'a number without leading zeros')
    if (p < end && b[p] === 0x2e) {
      const digits = ++p
      while (p < end && (b[p]! ^ 0x30) <= 9) p++
      if (p === digits) return this.fail(p, 'a digit')
    }
    if (p < end && (b[p]! | 0x20) === 0x65) {
      p++
      if (p < end && (b[p] === 0x2b || b[p] === 0x2d)) p++
      const digits = p
      while (p < end && (b[p]! ^ 0x30) <= 9) p++
      if (p === digits) return this.fail(p, 'a digit')
    }
    return p
  }

  /** From a key's opening quote to behind its colon and the space after it. */
  protected skipKey(from: number): number {
    if (this.bytes[from] !== 0x22) return this.fail(from, 'a key')
    const p = this.skipString(from + 1)
    return p < 0 ? p : this.skipColon(p)
  }

  protected skipColon(from: number): number {
    const p = this.skipSpace(from)
    if (this.bytes[p] !== 0x3a) return this.fail(p, '`:`')
    return this.skipSpace(p + 1)
  }

  /** From behind the opening quote to behind the closing one, checking escapes and UTF-8. */
  protected skipString(from: number): number {
    const b = this.bytes
    const end = this.end
    let p = from
    for (;;) {
      while (p < end && PLAIN[b[p]!] === 1) p++
      if (p >= end) return this.fail(p, 'the end of a string')
      const c = b[p]!
      if (c === 0x22) return p + 1
      const length = c === 0x5c ? this.escapeLength(p) : c >= 0x80 ? multiByteLength(b, p, end) : 0
      if (length === 0) return this.failString(p)
      p += length
    }
  }

  /**
   * Reads on from a string's opening quote, and leaves the unescaped text in `textBytes`: the payload itself where
   * there is no escape. Returns the position behind the closing quote.
   */
  protected readString(quote: number): number {
    const b = this.bytes
    const close = this.skipString(quote + 1)
    if (close < 0) return close
    this.hasLoneSurrogate = false
    let p = quote + 1
    while (p < close - 1 && b[p] !== 0x5c) p++
    if (p === close - 1) {
      this.textBytes = b
      this.textStart = quote + 1
      this.textEnd = p
      return close
    }
    if (this.scratch.length < close - quote) {
      this.scratch = new Uint8Array(Math.max(close - quote, this.scratch.length * 2))
    }
    this.unescape(quote + 1, this.scratch, 0)
    this.textBytes = this.scratch
    this.textStart = 0
    this.textEnd = this.writtenEnd
    return close
  }

  /**
   * Copies the rest of a string, from `from` up to its closing quote, unescaped to `target` at `at`; sets `writtenEnd`
   * and, where half a surrogate pair was met, `hasLoneSurrogate`. `target` has room for the string's raw bytes.
   */
  protected unescape(from: number, target: Uint8Array, at: number): number {
    const b = this.bytes
    const end = this.end
    let p = from
    let w = at
    for (;;) {
      while (p < end && PLAIN[b[p]!] === 1) target[w++] = b[p++]!
      if (p >= end) return this.fail(p, 'the end of a string')
      const c = b[p]!
      if (c === 0x22) {
        this.writtenEnd = w
        return p + 1
      }
      if (c >= 0x80) {
        const length = multiByteLength(b, p, end)
        if (length === 0) return this.failString(p)
        for (const stop = p + length; p < stop; ) target[w++] = b[p++]!
      } else {
        const length = c === 0x5c ? this.escapeLength(p) : 0
        if (length === 0) return this.failString(p)
        if (length === 2) {
          target[w++] = UNESCAPED[b[p + 1]!]!
          p += 2
        } else {
          let codePoint = hex4(b, p + 2)
          p += 6
          if (codePoint >= 0xd800 && codePoint < 0xe000) {
            const low = codePoint < 0xdc00 && b[p] === 0x5c && b[p + 1] === 0x75 ? hex4(b, p + 2) : 0
            if (p + 6 <= end && low >= 0xdc00 && low < 0xe000) {
              codePoint = 0x10000 + ((codePoint - 0xd800) << 10) + (low - 0xdc00)
              p += 6
            } else {
              this.hasLoneSurrogate = true
              codePoint = 0xfffd
            }
          }
          w = writeCodePoint(target, w, codePoint)
        }
      }
    }
  }

  /** 2 or 6 for an escape that is JSON, 0 for one that is not. */
  private escapeLength(p: number): number {
    const b = this.bytes
    if (p + 1 >= this.end) return 0
    if (b[p + 1] !== 0x75) return UNESCAPED[b[p + 1]!] === 0 ? 0 : 2
    return p + 6 <= this.end && hex4(b, p + 2) >= 0 ? 6 : 0
  }

  private failString(p: number): number {
    const c = this.bytes[p]!
    if (c === 0x5c) return this.fail(p, 'an escape that JSON knows')
    if (c >= 0x80) {
      this.problem = `invalid UTF-8 at byte ${p - this.start}: 0x${c.toString(16)}`
      return NOT_JSON
    }
    this.problem = `control character 0x${c.toString(16).padStart(2, '0')} in a string at byte ${p - this.start}`
    return NOT_JSON
  }
}

/** What `\x` stands for, 0 where it is not an escape. */
const UNESCAPED: Uint8Array = new Uint8Array(256)
for (const [char, meaning] of ['""', '\\\\', '//', 'b\b', 'f\f', 'n\n', 'r\r', 't\t']) {
  UNESCAPED[char!.charCodeAt(0)] = meaning!.charCodeAt(0)
}

/** Four hexadecimal digits at `p`; negative where one is none. */
function hex4(b: Uint8Array, p: number): number {
  return (HEX[b[p]!]! << 12) | (HEX[b[p + 1]!]! << 8) | (HEX[b[p + 2]!]! << 4) | HEX[b[p + 3]!]!
}

const HEX: Int8Array = new Int8Array(256).fill(-1)
for (let digit = 0; digit < 16; digit++) {
  HEX[digit.toString(16).charCodeAt(0)] = digit
  HEX[digit.toString(16).toUpperCase().charCodeAt(0)] = digit
}
