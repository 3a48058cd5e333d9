/**
 * The content hash of a table: independent of the order of rows, sensitive to duplicates, and easy to compute anywhere, so
 * that engines can be compared. Golden tables carry the hash that other engines agree on.
 *
 * A row's text is `{"<name>":<value>,…}`, columns by the UTF-8 bytes of their names, the fields of structs in schema order.
 * Names and strings as JSON strings; null, true, false; integers in digits; decimals with their full scale; `f`/`d` and the
 * hex of the IEEE bits (one NaN); `D` days; `T` microseconds (`N` without zone); `x` hex of bytes; `[…]`; maps `<k:v,…>`
 * sorted by the text of the pair. A row's hash is the first 16 bytes of its SHA-256; the table's is their sum mod 2^128.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { formatDecimal } from '../src/decimal-text.ts'
import type { TableRow } from '../src/operation/scan.ts'
import type { DataType, StructField, StructType } from '../src/schema.ts'

export class ContentHash {
  readonly #fields: readonly StructField[]
  #sum = 0n
  rowCount = 0

  constructor(schema: StructType) {
    this.#fields = schema.fields.toSorted((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)))
  }

  add(row: TableRow): void {
    const digest = createHash('sha256').update(structText(this.#fields, row)).digest()
    this.#sum = BigInt.asUintN(128, this.#sum + BigInt(`0x${digest.toString('hex', 0, 16)}`))
    this.rowCount++
  }

  /** 32 hex digits. */
  hex(): string {
    return this.#sum.toString(16).padStart(32, '0')
  }
}

function structText(fields: readonly StructField[], value: Readonly<Record<string, unknown>>): string {
  return `{${fields.map(({ name, type }) => `${jsonText(name)}:${valueText(type, value[name])}`).join(',')}}`
}

function valueText(type: DataType, value: unknown): string {
  assert(value !== undefined)
  if (value === null) return 'null'
  switch (type.kind) {
    case 'decimal':
      assert(typeof value === 'bigint')
      return formatDecimal(value, type.scale)
    case 'array':
      return `[${(value as unknown[]).map(element => valueText(type.element, element)).join(',')}]`
    case 'map': {
      const pairs = (value as [unknown, unknown][]).map(
        ([key, mapped]) => `${valueText(type.key, key)}:${valueText(type.value, mapped)}`,
      )
      return `<${pairs.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))).join(',')}>`
    }
    case 'struct':
      return structText(type.fields, value as Record<string, unknown>)
    case 'primitive':
      return primitiveText(type.name, value)
  }
}

function primitiveText(name: string, value: unknown): string {
  switch (name) {
    case 'boolean':
      assert(typeof value === 'boolean')
      return String(value)
    case 'byte':
    case 'short':
    case 'integer':
      assert(typeof value === 'number')
      return String(value)
    case 'long':
      assert(typeof value === 'bigint')
      return String(value)
    case 'float':
      return `f${floatBits(value as number, 4)}`
    case 'double':
      return `d${floatBits(value as number, 8)}`
    case 'date':
      assert(typeof value === 'number')
      return `D${value}`
    case 'timestamp':
    case 'timestamp_ntz':
      assert(typeof value === 'bigint')
      return `${name === 'timestamp' ? 'T' : 'N'}${value}`
    case 'binary':
      assert(value instanceof Uint8Array)
      return `x${Buffer.from(value).toString('hex')}`
    case 'string':
      assert(typeof value === 'string')
      return jsonText(value)
    default:
      return assert.fail(`no text for ${name}`)
  }
}

function floatBits(value: number, width: 4 | 8): string {
  assert(typeof value === 'number')
  if (Number.isNaN(value)) return width === 4 ? '7fc00000' : '7ff8000000000000'
  const bytes = Buffer.alloc(width)
  if (width === 4) bytes.writeFloatBE(value)
  else bytes.writeDoubleBE(value)
  return bytes.toString('hex')
}

/** Like `JSON.stringify`, but what it escapes beyond quotes, backslashes and control characters stays bare. */
function jsonText(text: string): string {
  return JSON.stringify(text)
}
