/**
 * JSON that keeps 64-bit integers and decimals exact.
 *
 * The log is written by engines with real longs and decimals: `size`, `txn.version`, row ids and statistics exceed
 * 2^53, and a decimal that went through a double is another number.
 *
 * @module
 */
import assert from 'node:assert/strict'

/** A number in JSON whose exact text matters: a decimal with its scale, an integer of any size. */
export class JsonNumber {
  readonly text: string

  /** @throws AssertionError where `text` is not a JSON number */
  constructor(text: string) {
    assert(JSON_NUMBER.test(text), `\`${text}\` is not a JSON number`)
    this.text = text
  }
}

/** RFC 8259 › Numbers. */
const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/
const INTEGER = /^-?\d+$/
/** Integers of at most 15 digits are safe in a double; text without a longer run of digits needs no second look. */
const LONG_DIGITS = /\d{16}/

/** ECMAScript › JSON.parse source text access; not yet in TypeScript's libraries for this target. */
type SourceReviver = (
  this: unknown,
  key: string,
  value: unknown,
  context: { readonly source?: string },
) => unknown
const parseWithSource = JSON.parse as (text: string, reviver: SourceReviver) => unknown
const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON

/**
 * Parses JSON. Integers outside ±(2^53 − 1) become `bigint`, every other number a `number`.
 *
 * @throws SyntaxError
 */
export function parseJson(text: string): unknown {
  if (!LONG_DIGITS.test(text)) return JSON.parse(text)
  return parseWithSource(text, (_key, value, context) => {
    if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
    return context.source !== undefined && INTEGER.test(context.source) ? BigInt(context.source) : value
  })
}

/**
 * Parses JSON so that {@link formatJson} gives back every number as it was written: a number whose text a double does
 * not reproduce (`1.0`, `1.50`, `9007199254740993`) becomes a {@link JsonNumber}, every other one a `number`.
 *
 * @throws SyntaxError
 */
export function parseJsonLossless(text: string): unknown {
  return parseWithSource(text, (_key, value, context) => {
    if (typeof value !== 'number' || context.source === undefined) return value
    return String(value) === context.source ? value : new JsonNumber(context.source)
  })
}

/**
 * Formats a value as JSON on one line, keys in the order of the object. `bigint` becomes a bare integer,
 * {@link JsonNumber} its own text. Properties that are `undefined` are left out.
 *
 * @throws AssertionError for NaN and infinities, which JSON cannot hold
 */
export function formatJson(value: unknown): string {
  return JSON.stringify(value, replaceNumber)
}

function replaceNumber(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return rawJson(String(value))
  if (value instanceof JsonNumber) return rawJson(value.text)
  if (typeof value === 'number') {
    assert(Number.isFinite(value), `${value} has no JSON form`)
    // JSON.stringify would drop the sign.
    if (Object.is(value, -0)) return rawJson('-0.0')
  }
  return value
}

/** Is it a JSON object: neither null, an array, nor a number in its exact form? */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof JsonNumber)
  )
}
