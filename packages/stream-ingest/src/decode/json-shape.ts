/**
 * What a JSON value is made of, as far as a column's type depends on it. Shapes of several values merge into the shape
 * of a column that holds them all.
 *
 * This is the slow path: it runs for the rare record that does not fit the columns that there are.
 *
 * @module
 */
import { JsonNumber, parseJsonLossless } from '@stream-ingest/delta'

/** What is known of a set of numbers. */
export interface NumberShape {
  readonly kind: 'number'
  /** Is each one written as an integer: without point and exponent? */
  readonly areIntegers: boolean
  /** Has one of them digits behind the point that are not 0? */
  readonly hasFraction: boolean
  /** Does a double hold each of them: no integer beyond ±2^53, none out of range? */
  readonly fitDouble: boolean
  /** Of those without a fraction. */
  readonly min: bigint
  readonly max: bigint
  /** Most digits before and behind the point. */
  readonly wholeDigits: number
  readonly scale: number
}

export type Shape =
  | { readonly kind: 'null' | 'boolean' | 'string' }
  | NumberShape
  | { readonly kind: 'list'; readonly element: Shape }
  | { readonly kind: 'struct'; readonly fields: ReadonlyMap<string, Shape> }
  /** Values that no type but text holds. */
  | { readonly kind: 'mixed'; readonly isEmpty: boolean }

const NULL: Shape = { kind: 'null' }
const DOUBLE_INTEGER_MAX = 2n ** 53n
/** A number's digits and its power of ten are compared with bounds far below these, so that none becomes a huge BigInt. */
const POWER_MAX = 1_000_000_000
const INTEGER_DIGITS_MAX = 40
const BEYOND_ALL = 10n ** BigInt(INTEGER_DIGITS_MAX)
/** RFC 8259 › Numbers: sign, digits before and behind the point, exponent. */
const JSON_NUMBER = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/

/**
 * The shape of the object in `[start, end)`, which is JSON; of equal keys the last one counts. Null where the bytes are
 * no JSON object after all.
 */
export function shapeOfPayload(
  bytes: Uint8Array,
  start: number,
  end: number,
): ReadonlyMap<string, Shape> | null {
  let value: unknown
  try {
    value = parseJsonLossless(
      new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(start, end)),
    )
  } catch {
    return null
  }
  const shape = shapeOf(value)
  return shape.kind === 'struct' ? shape.fields : null
}

function shapeOf(value: unknown): Shape {
  if (value === null) return NULL
  if (typeof value === 'boolean') return { kind: 'boolean' }
  if (typeof value === 'string') return { kind: 'string' }
  if (typeof value === 'number') return numberShape(String(value))
  if (value instanceof JsonNumber) return numberShape(value.text)
  if (Array.isArray(value)) {
    let element = NULL
    for (const each of value) element = mergeShapes(element, shapeOf(each))
    return { kind: 'list', element }
  }
  const fields = Object.entries(value as object).map(([key, each]): [string, Shape] => [key, shapeOf(each)])
  return { kind: 'struct', fields: new Map(fields) }
}

function numberShape(text: string): NumberShape {
  const [, sign, whole = '', fraction = '', exponent = '0'] = JSON_NUMBER.exec(text) ?? []
  const digits = whole + fraction
  let first = 0
  let last = digits.length
  while (first < last && digits[first] === '0') first++
  while (last > first && digits[last - 1] === '0') last--
  if (first === last) first = last = 0
  // The value is 0.DIGITS × 10^point.
  const point =
    first === last ? 0 : whole.length + Math.max(-POWER_MAX, Math.min(POWER_MAX, Number(exponent)))
  const areIntegers = digits.length === whole.length && !/e/i.test(text)
  const scale = Math.max(0, last - point)
  const wholeDigits = Math.max(0, point - first)
  let integer = 0n
  if (wholeDigits > INTEGER_DIGITS_MAX) integer = BEYOND_ALL
  else if (scale === 0) integer = BigInt(digits.slice(first, last)) * 10n ** BigInt(point - last)
  if (sign === '-') integer = -integer
  const isExact = !areIntegers || (integer >= -DOUBLE_INTEGER_MAX && integer <= DOUBLE_INTEGER_MAX)
  return {
    kind: 'number',
    areIntegers,
    hasFraction: scale > 0,
    fitDouble: isExact && Number.isFinite(Number(text)),
    min: integer,
    max: integer,
    wholeDigits,
    scale,
  }
}

/** The shape of a column that holds the values of both. */
export function mergeShapes(a: Shape, b: Shape): Shape {
  if (a.kind === 'null') return b
  if (b.kind === 'null') return a
  if (a.kind === 'number' && b.kind === 'number') {
    return {
      kind: 'number',
      areIntegers: a.areIntegers && b.areIntegers,
      hasFraction: a.hasFraction || b.hasFraction,
      fitDouble: a.fitDouble && b.fitDouble,
      min: a.min < b.min ? a.min : b.min,
      max: a.max > b.max ? a.max : b.max,
      wholeDigits: Math.max(a.wholeDigits, b.wholeDigits),
      scale: Math.max(a.scale, b.scale),
    }
  }
  if (a.kind === 'list' && b.kind === 'list') {
    return { kind: 'list', element: mergeShapes(a.element, b.element) }
  }
  if (a.kind === 'struct' && b.kind === 'struct') {
    const fields = new Map(a.fields)
    for (const [name, shape] of b.fields) fields.set(name, mergeShapes(fields.get(name) ?? NULL, shape))
    return { kind: 'struct', fields }
  }
  if (a.kind === b.kind && a.kind !== 'mixed') return a
  return { kind: 'mixed', isEmpty: isEmpty(a) && isEmpty(b) }
}

/** The shape of an object's values taken together: those of a map. */
export function valuesShape(fields: ReadonlyMap<string, Shape>): Shape {
  let merged = NULL
  for (const shape of fields.values()) merged = mergeShapes(merged, shape)
  return merged
}

/** Is there nothing in it but nulls, empty lists and empty objects? */
export function isEmpty(shape: Shape): boolean {
  switch (shape.kind) {
    case 'null':
      return true
    case 'list':
      return isEmpty(shape.element)
    case 'struct':
      return [...shape.fields.values()].every(isEmpty)
    case 'mixed':
      return shape.isEmpty
    default:
      return false
  }
}
