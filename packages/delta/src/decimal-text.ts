/**
 * Exact decimals (unscaled integer and scale) to and from text.
 *
 * @module
 */

/** Plain digits with the full scale: `-0.05` for −5 with scale 2. */
export function formatDecimal(unscaled: bigint, scale: number): string {
  const negative = unscaled < 0n
  const digits = String(negative ? -unscaled : unscaled).padStart(scale + 1, '0')
  const whole = digits.slice(0, digits.length - scale)
  const text = scale === 0 ? whole : `${whole}.${digits.slice(digits.length - scale)}`
  return negative ? `-${text}` : text
}

/** Longest exponent that is taken: beyond it no decimal of 38 digits is meant. */
const EXPONENT_MAX = 100

/**
 * Parses a number to the unscaled value at `scale`.
 *
 * @returns null where it is no number, has non-zero digits behind `scale`, or more than `precision` digits
 */
export function parseDecimal(text: string, precision: number, scale: number): bigint | null {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/.exec(text)
  if (match === null) return null
  const whole = match[2] ?? ''
  const fraction = match[3] ?? ''
  const exponent = Number(match[4] ?? 0)
  if (whole + fraction === '' || Math.abs(exponent) > EXPONENT_MAX) return null
  let unscaled = BigInt(whole + fraction)
  const shift = scale - fraction.length + exponent
  if (shift >= 0) unscaled *= 10n ** BigInt(shift)
  else {
    const divisor = 10n ** BigInt(-shift)
    if (unscaled % divisor !== 0n) return null
    unscaled /= divisor
  }
  if (String(unscaled).length > precision && unscaled !== 0n) return null
  return match[1] === '-' ? -unscaled : unscaled
}
