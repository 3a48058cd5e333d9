/**
 * Rows as text: JSON, CSV, and the cells of a printed table.
 *
 * Integers are exact JSON integers, decimals strings (a JSON number would lose digits in most readers), instants
 * `2026-11-22T10:00:00.123456Z`, timestamps without zone the same without `Z`, dates `yyyy-MM-dd`, binary base64, NaN and
 * infinities strings, maps with string keys objects and other maps arrays of `{key, value}`.
 *
 * @module
 */
import {
  type DataType,
  formatDate,
  formatDecimal,
  formatInstant,
  formatJson,
  type StructField,
  type StructType,
  type TableRow,
} from '@stream-ingest/delta'

/** A row as a value of `formatJson`. */
export function rowJson(schema: StructType, row: TableRow): Record<string, unknown> {
  return structJson(schema.fields, row)
}

/** One line, with its newline. */
export function formatNdjsonRow(schema: StructType, row: TableRow): string {
  return `${formatJson(rowJson(schema, row))}\n`
}

/** RFC 4180, the line with the columns' names. */
export function formatCsvHeader(schema: StructType): string {
  return csvLine(schema.fields.map(({ name }) => csvField(name)))
}

/** RFC 4180. Null is an empty field, the empty string `""`; nested values are JSON. */
export function formatCsvRow(schema: StructType, row: TableRow): string {
  return csvLine(
    schema.fields.map(({ name, type }) => {
      const value = row[name]
      return value === null || value === undefined ? '' : csvField(plainText(type, value))
    }),
  )
}

/** The text of one value for a person; null is empty. Control characters come escaped, so that a cell stays a cell. */
export function cellText(type: DataType, value: unknown): string {
  if (value === null || value === undefined) return ''
  return escapeControls(plainText(type, value))
}

/** So that a text stays in its line, and gives no orders to a terminal. */
export function escapeControls(text: string): string {
  return text.replaceAll(CONTROL_CHARACTERS, escapeControl)
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is escaped
const CONTROL_CHARACTERS = /[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

const SHORT_ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

function escapeControl(character: string): string {
  return SHORT_ESCAPES[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

function plainText(type: DataType, value: unknown): string {
  const json = valueJson(type, value)
  return typeof json === 'string' ? json : formatJson(json)
}

function csvField(text: string): string {
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function csvLine(fields: readonly string[]): string {
  return `${fields.join(',')}\r\n`
}

function structJson(fields: readonly StructField[], value: TableRow): Record<string, unknown> {
  // fromEntries defines properties, so that a field named `__proto__` is one like any other.
  return Object.fromEntries(fields.map(({ name, type }) => [name, valueJson(type, value[name])]))
}

/** One value of a row as a value of `formatJson`. */
export function valueJson(type: DataType, value: unknown): unknown {
  if (value === null || value === undefined) return null
  switch (type.kind) {
    case 'decimal':
      return formatDecimal(value as bigint, type.scale)
    case 'array':
      return (value as unknown[]).map(element => valueJson(type.element, element))
    case 'struct':
      return structJson(type.fields, value as TableRow)
    case 'map': {
      const entries = (value as [unknown, unknown][]).map(
        ([key, mapped]) => [valueJson(type.key, key), valueJson(type.value, mapped)] as const,
      )
      const hasTextKeys = type.key.kind === 'primitive' && type.key.name === 'string'
      return hasTextKeys
        ? Object.fromEntries(entries)
        : entries.map(([key, mapped]) => ({ key, value: mapped }))
    }
    case 'primitive':
      return primitiveJson(type.name, value)
  }
}

function primitiveJson(name: string, value: unknown): unknown {
  switch (name) {
    case 'float':
      return numberJson(shortestFloat(value as number))
    case 'double':
      return numberJson(value as number)
    case 'date':
      return formatDate(value as number)
    case 'timestamp':
      return formatInstant(value as bigint)
    case 'timestamp_ntz':
      return formatInstant(value as bigint).slice(0, -1)
    case 'binary':
      return Buffer.from(value as Uint8Array).toString('base64')
    default:
      return value
  }
}

function numberJson(value: number): number | string {
  return Number.isFinite(value) ? value : String(value)
}

/** Nine digits tell any two floats apart. */
const FLOAT_DIGITS_MAX = 9

/** The number with the fewest digits that is this 32-bit float and no other: 0.1, not 0.10000000149011612. */
function shortestFloat(value: number): number {
  for (let digits = 6; digits < FLOAT_DIGITS_MAX; digits++) {
    const candidate = Number(value.toPrecision(digits))
    if (Object.is(Math.fround(candidate), value)) return candidate
  }
  return value
}
