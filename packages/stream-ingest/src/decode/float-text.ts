/**
 * JSON numbers to floats, rounded once and to even; to infinity where they are too large.
 *
 * @module
 */

/** Powers of ten up to here are exact in a double. */
export const EXACT_POWER_MAX = 22
export const POWERS_OF_TEN: readonly number[] = Array.from({ length: EXACT_POWER_MAX + 1 }, (_, i) => 10 ** i)

/** Integers of this many digits are exact in a double. */
export const EXACT_DIGITS_MAX = 15

/** Beyond, a number is zero or infinite whatever its digits. */
const EXPONENT_CAP = 1_000_000

/** No midpoint between two 32-bit floats has more significant digits than this. */
const MIDPOINT_DIGITS_MAX = 200

const MIDPOINT_SHIFT = 150

/**
 * Clinger's fast path: a mantissa and a power of ten that are both exact in a double need one rounding only.
 * Other numbers go through the engine's own conversion.
 */
export function parseFloat64(b: Uint8Array, start: number, end: number): number {
  let p = start
  const negative = b[p] === 0x2d
  if (negative) p++
  let mantissa = 0
  let digits = 0
  let exponent = 0
  let afterPoint = false
  for (; p < end; p++) {
    const c = b[p]!
    if (c === 0x2e) {
      afterPoint = true
    } else if ((c ^ 0x30) <= 9) {
      mantissa = mantissa * 10 + (c ^ 0x30)
      if (mantissa !== 0) digits++
      if (afterPoint) exponent--
    } else {
      break
    }
  }
  if (p < end) {
    p++
    const negativeExponent = b[p] === 0x2d
    if (negativeExponent || b[p] === 0x2b) p++
    let value = 0
    for (; p < end && value < EXPONENT_CAP; p++) value = value * 10 + (b[p]! ^ 0x30)
    exponent += negativeExponent ? -value : value
  }
  if (digits > EXACT_DIGITS_MAX || exponent < -EXACT_POWER_MAX || exponent > EXACT_POWER_MAX) {
    return Number(latin1(b, start, end))
  }
  const magnitude = exponent < 0 ? mantissa / POWERS_OF_TEN[-exponent]! : mantissa * POWERS_OF_TEN[exponent]!
  return negative ? -magnitude : magnitude
}

/**
 * Rounding to a double and then to a float goes wrong only where the double is exactly between two floats and the text
 * is not: there the text decides.
 */
export function parseFloat32(b: Uint8Array, start: number, end: number): number {
  const double = parseFloat64(b, start, end)
  const nearest = Math.fround(double)
  if (nearest === double || !Number.isFinite(nearest)) return nearest
  const other = neighbour(nearest, double)
  if ((nearest + other) / 2 !== double) return nearest
  const order = compareMagnitude(latin1(b, start, end), double)
  if (order === 0) return nearest
  const [small, large] = Math.abs(nearest) < Math.abs(other) ? [nearest, other] : [other, nearest]
  return order > 0 ? large : small
}

const floatView = new Float32Array(1)
const floatBits = new Int32Array(floatView.buffer)

/** The float next to `from` on the side of `towards`. */
function neighbour(from: number, towards: number): number {
  floatView[0] = from
  // Bits grow with the magnitude. From zero the way leads to the smallest float of the sign of `towards`.
  if (from === 0) floatBits[0] = towards < 0 ? -0x7fff_ffff : 1
  else floatBits[0]! += Math.abs(towards) > Math.abs(from) ? 1 : -1
  return floatView[0]
}

/** The order of |text| and |double|, exact. */
function compareMagnitude(text: string, double: number): number {
  const [mantissa, exponentText = '0'] = text.replace(/^-/, '').split(/e/i) as [string, string?]
  const [whole, fraction = ''] = mantissa.split('.') as [string, string?]
  const digits = (whole + fraction).replace(/^0+/, '')
  let exponent = Number(exponentText) - fraction.length
  let coefficient = digits
  if (digits.length > MIDPOINT_DIGITS_MAX) {
    // What is cut off can only decide that the text is larger.
    const sticky = /[1-9]/.test(digits.slice(MIDPOINT_DIGITS_MAX)) ? '1' : '0'
    exponent += digits.length - MIDPOINT_DIGITS_MAX - 1
    coefficient = digits.slice(0, MIDPOINT_DIGITS_MAX) + sticky
  }
  let left = BigInt(coefficient)
  // Midpoints between floats are multiples of 2^−150, so this product is an integer and exact.
  let right = BigInt(Math.abs(double) * 2 ** MIDPOINT_SHIFT)
  left <<= BigInt(MIDPOINT_SHIFT)
  if (exponent >= 0) left *= 10n ** BigInt(exponent)
  else right *= 10n ** BigInt(-exponent)
  return left < right ? -1 : left > right ? 1 : 0
}

function latin1(b: Uint8Array, start: number, end: number): string {
  return Buffer.from(b.buffer, b.byteOffset + start, end - start).toString('latin1')
}
