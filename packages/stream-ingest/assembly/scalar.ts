// Values without parts into staged columns: numbers, booleans, instants, nulls. 0 asks for another look.

import { dayAt, instantMicros, NO_DAY, readInstant } from './instant'
import { appendNull, endRow, lengthOf, values } from './node'
import { digitsEnd, isWhole, readDigits, skipNumber } from './number'
import {
  HARD_FLOAT_BYTES,
  HARD_FLOAT_END,
  HARD_FLOAT_NODE,
  HARD_FLOAT_ROW,
  HARD_FLOAT_START,
  KIND_INT16,
  KIND_INT32,
  KIND_INT64,
  NODE_KIND,
  NODE_MAX,
  NODE_MIN,
  NODE_NULLABLE,
  NODE_UNITS_PER_SECOND,
} from '../src/decode/kernel-layout'

export const TRUE: u32 = 0x65757274
export const FALS: u32 = 0x736c6166
export const NULL: u32 = 0x6c6c756e

/** Digits that 64 bits hold, whatever they are. */
const DIGITS_MAX: usize = 19
/** Integers of this many digits are exact in a double, and so is this power of ten. */
const EXACT_DIGITS_MAX: usize = 15
const EXACT_MAX: i64 = 9_007_199_254_740_991
const MICROS_PER_SECOND: i32 = 1_000_000

let hardFloats: usize = 0
let hardFloatsMax: i32 = 0
let origin: usize = 0

/** Numbers that are somebody else's to convert. */
export let hardFloatCount: i32 = 0

/** Such numbers are noted from `at` on, with their places counted from `placesFrom`. */
export function noteHardFloats(at: usize, countMax: i32, placesFrom: usize): void {
  hardFloats = at
  hardFloatsMax = countMax
  origin = placesFrom
  hardFloatCount = 0
}

/** Forgets those after the first `count`. */
export function forgetHardFloats(count: i32): void {
  hardFloatCount = count
}

export function decodeNull(node: usize, p: usize): usize {
  if (load<u32>(p) != NULL || load<i32>(node, NODE_NULLABLE) == 0) return 0
  appendNull(node)
  return p + 4
}

export function decodeInteger(node: usize, from: usize): usize {
  const isNegative = load<u8>(from) == 0x2d
  const first = from + <usize>isNegative
  const magnitude = readDigits(first, 0)
  const p = digitsEnd
  if (p == first) return isNegative ? 0 : decodeNull(node, from)
  if (p - first > DIGITS_MAX || !isWhole(first, p)) return 0
  if (magnitude > <u64>i64.MAX_VALUE + <u64>isNegative) return 0
  const value: i64 = isNegative ? -(<i64>magnitude) : <i64>magnitude
  if (value < load<i64>(node, NODE_MIN) || value > load<i64>(node, NODE_MAX)) return 0
  const at = values(node)
  const length: usize = lengthOf(node)
  switch (load<i32>(node, NODE_KIND)) {
    case KIND_INT64:
      store<i64>(at + (length << 3), value)
      break
    case KIND_INT32:
      store<i32>(at + (length << 2), <i32>value)
      break
    case KIND_INT16:
      store<i16>(at + (length << 1), <i16>value)
      break
    default:
      store<i8>(at + length, <i8>value)
  }
  endRow(node)
  return p
}

/** A division of two numbers that are exact rounds once (Clinger 1990); other numbers are noted. */
export function decodeFloat(node: usize, from: usize): usize {
  const isNegative = load<u8>(from) == 0x2d
  const first = from + <usize>isNegative
  let mantissa = readDigits(first, 0)
  let p = digitsEnd
  if (p == first) return isNegative ? 0 : decodeNull(node, from)
  let digits = p - first
  let fraction: usize = 0
  let isExact = load<u8>(first) != 0x30 || digits == 1
  if (load<u8>(p) == 0x2e) {
    mantissa = readDigits(p + 1, mantissa)
    fraction = digitsEnd - p - 1
    if (fraction == 0) isExact = false
    digits += fraction
    p = digitsEnd
  }
  const at = values(node) + (<usize>lengthOf(node) << 3)
  if (isExact && digits <= EXACT_DIGITS_MAX && (load<u8>(p) | 0x20) != 0x65) {
    let value = <f64>mantissa
    if (fraction > 0) value /= powerOfTen(fraction)
    store<f64>(at, isNegative ? -value : value)
  } else {
    p = skipNumber(from)
    if (p == 0 || hardFloatCount == hardFloatsMax) return 0
    const noted = hardFloats + hardFloatCount++ * HARD_FLOAT_BYTES
    store<u32>(noted, <u32>node, HARD_FLOAT_NODE)
    store<i32>(noted, lengthOf(node), HARD_FLOAT_ROW)
    store<u32>(noted, <u32>(from - origin), HARD_FLOAT_START)
    store<u32>(noted, <u32>(p - origin), HARD_FLOAT_END)
  }
  endRow(node)
  return p
}

const POWERS_OF_TEN = memory.data<f64>([
  1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
])

/** Up to 10^15. */
// @ts-ignore: decorator
@inline
function powerOfTen(exponent: usize): f64 {
  return load<f64>(POWERS_OF_TEN + (exponent << 3))
}

export function decodeBoolean(node: usize, p: usize): usize {
  const word = load<u32>(p)
  const at = values(node) + lengthOf(node)
  if (word == TRUE) {
    store<u8>(at, 1)
    endRow(node)
    return p + 4
  }
  if (word == FALS && load<u8>(p + 4) == 0x65) {
    store<u8>(at, 0)
    endRow(node)
    return p + 5
  }
  return decodeNull(node, p)
}

export function decodeTimestamp(node: usize, from: usize): usize {
  const at = values(node) + (<usize>lengthOf(node) << 3)
  if (load<u8>(from) == 0x22) {
    const p = readInstant(from + 1)
    if (p == 0) return 0
    store<i64>(at, instantMicros)
    endRow(node)
    return p
  }
  const magnitude = readDigits(from, 0)
  const p = digitsEnd
  if (p == from) return decodeNull(node, from)
  if (p - from > DIGITS_MAX || !isWhole(from, p) || magnitude > <u64>i64.MAX_VALUE) return 0
  const unitsPerSecond = load<i32>(node, NODE_UNITS_PER_SECOND)
  let micros = <i64>magnitude
  if (unitsPerSecond > MICROS_PER_SECOND) micros /= unitsPerSecond / MICROS_PER_SECOND
  else {
    // The rest of the range, and what is before 1970, is no instant of a producer's day.
    const factor: i64 = MICROS_PER_SECOND / unitsPerSecond
    if (micros > EXACT_MAX / factor) return 0
    micros *= factor
  }
  if (micros > EXACT_MAX) return 0
  store<i64>(at, micros)
  endRow(node)
  return p
}

export function decodeDate(node: usize, from: usize): usize {
  if (load<u8>(from) != 0x22) return decodeNull(node, from)
  const day = dayAt(from + 1)
  if (day == NO_DAY || load<u8>(from + 11) != 0x22) return 0
  store<i32>(values(node) + (<usize>lengthOf(node) << 2), day)
  endRow(node)
  return from + 12
}
