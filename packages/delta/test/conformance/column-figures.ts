/**
 * Sum, least, greatest and nulls of a column, as text, in bounded memory: figures that people can compare where a hash
 * only says that something differs.
 *
 * Sums of integers, booleans and decimals are exact, those of floats correctly rounded (Shewchuk, "Adaptive Precision
 * Floating-Point Arithmetic", 1997). Dates and timestamps have no sum, and nested columns have nulls alone. Strings are
 * ordered by code points. Text of more than 80 characters is its first 60 and a hash.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { formatDecimal } from '../../src/decimal-text.ts'
import type { DataType } from '../../src/schema.ts'
import type { ColumnExpectation } from './manifest.ts'

const TEXT_WHOLE_MAX = 80
const TEXT_SHOWN = 60
const HASH_SHOWN = 12

export class ColumnFigures {
  readonly #type: DataType
  #nulls = 0
  #exactSum: bigint | null = null
  #floatSum: FloatSum | null = null
  #min: unknown = null
  #max: unknown = null

  constructor(type: DataType) {
    this.#type = type
  }

  add(value: unknown): void {
    if (value === null) {
      this.#nulls++
      return
    }
    if (this.#type.kind !== 'primitive' && this.#type.kind !== 'decimal') return
    this.#addToSum(value)
    if (typeof value === 'number' && Number.isNaN(value)) return
    if (this.#min === null || compare(value, this.#min) < 0) this.#min = value
    if (this.#max === null || compare(value, this.#max) > 0) this.#max = value
  }

  figures(): ColumnExpectation {
    const sum = this.#floatSum === null ? this.#exactSum : this.#floatSum.value()
    return {
      type: typeText(this.#type),
      nulls: this.#nulls,
      sum: sum === null ? null : this.#text(sum),
      min: this.#min === null ? null : this.#text(this.#min),
      max: this.#max === null ? null : this.#text(this.#max),
    }
  }

  #addToSum(value: unknown): void {
    const name = this.#type.kind === 'primitive' ? this.#type.name : 'decimal'
    switch (name) {
      case 'float':
      case 'double':
        this.#floatSum ??= new FloatSum()
        this.#floatSum.add(value as number)
        break
      case 'byte':
      case 'short':
      case 'integer':
      case 'boolean':
      case 'long':
      case 'decimal':
        this.#exactSum = (this.#exactSum ?? 0n) + BigInt(value as number | bigint | boolean)
        break
    }
  }

  #text(value: unknown): string {
    if (this.#type.kind === 'decimal') return formatDecimal(value as bigint, this.#type.scale)
    if (value instanceof Uint8Array) return shortened(Buffer.from(value).toString('hex'))
    return shortened(String(value))
  }
}

/** Do two texts say the same? Floats are compared as numbers: languages spell them differently. */
export function sameFigure(type: string, a: string | null, b: string | null): boolean {
  if (a === b) return true
  if (a === null || b === null || (type !== 'float' && type !== 'double')) return false
  const [x, y] = [floatOf(a), floatOf(b)]
  return x === y || (Number.isNaN(x) && Number.isNaN(y))
}

function floatOf(text: string): number {
  const infinity = /^([+-]?)inf(?:inity)?$/i.exec(text)
  if (infinity === null) return Number(text)
  return infinity[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
}

/** `array<struct<a:long,b:map<string,double>>>` */
export function typeText(type: DataType): string {
  switch (type.kind) {
    case 'primitive':
      return type.name
    case 'decimal':
      return `decimal(${type.precision},${type.scale})`
    case 'array':
      return `array<${typeText(type.element)}>`
    case 'map':
      return `map<${typeText(type.key)},${typeText(type.value)}>`
    case 'struct':
      return `struct<${type.fields.map(f => `${f.name}:${typeText(f.type)}`).join(',')}>`
  }
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b as string))
  if (a instanceof Uint8Array) return Buffer.compare(a, b as Uint8Array)
  const [x, y] = [a as number | bigint, b as number | bigint]
  return x < y ? -1 : x > y ? 1 : 0
}

function shortened(text: string): string {
  const characters = [...text]
  if (characters.length <= TEXT_WHOLE_MAX) return text
  const hash = createHash('sha256').update(text).digest('hex').slice(0, HASH_SHOWN)
  return `${characters.slice(0, TEXT_SHOWN).join('')}…#${hash}`
}

/** A sum of doubles without rounding until the end, as partial sums that do not overlap. */
class FloatSum {
  #partials: number[] = []
  #special = 0
  #hasOverflowed = false

  add(value: number): void {
    if (!Number.isFinite(value)) {
      this.#special += value
      return
    }
    let x = value
    const kept: number[] = []
    for (let y of this.#partials) {
      if (Math.abs(x) < Math.abs(y)) [x, y] = [y, x]
      const high = x + y
      const low = y - (high - x)
      if (low !== 0) kept.push(low)
      x = high
    }
    if (Number.isFinite(x)) this.#partials = [...kept, x]
    else this.#hasOverflowed = true
  }

  value(): number {
    if (this.#hasOverflowed) return Number.NaN
    if (this.#special !== 0) return this.#special
    const partials = [...this.#partials]
    let high = 0
    let low = 0
    while (partials.length > 0 && low === 0) {
      const x = high
      const y = partials.pop()!
      high = x + y
      low = y - (high - x)
    }
    // Half-way cases are rounded by what lies below.
    const below = partials.at(-1)
    if (below !== undefined && low !== 0 && low < 0 === below < 0) {
      const doubled = low * 2
      if (high + doubled - high === doubled) high += doubled
    }
    assert(!Number.isNaN(high))
    return high
  }
}
