/**
 * Column defaults: what a row holds in a column that its writer does not fill.
 *
 * PROTOCOL.md › Default Columns. The default is an SQL expression; of these only literals are understood here, and a table
 * with another one is not written. A default is for a value that is absent, never for a null.
 *
 * @module
 */
import { parseTimestamp } from './calendar.ts'
import { type PartitionValue, parsePartitionValue } from './partition-value.ts'
import type { DataType, StructField } from './schema.ts'

const CURRENT_DEFAULT = 'CURRENT_DEFAULT'
/** Longer texts are no literals that anybody wrote. */
const LITERAL_MAX_CHARACTERS = 65_536
const PARENTHESES_MAX = 16

export type ColumnDefault =
  | { readonly kind: 'none' }
  /** In the shapes of `appendValue`. */
  | { readonly kind: 'literal'; readonly value: PartitionValue | null }
  | { readonly kind: 'expression'; readonly text: string }

/** The default of a column. */
export function columnDefault({ type, metadata }: StructField): ColumnDefault {
  const text = metadata[CURRENT_DEFAULT]
  if (text === undefined) return { kind: 'none' }
  if (typeof text !== 'string') return { kind: 'expression', text: String(text) }
  const value = parseLiteral(type, withoutParentheses(text.trim()))
  return value === undefined ? { kind: 'expression', text } : { kind: 'literal', value }
}

/** @returns undefined where the text is no literal of the type */
function parseLiteral(type: DataType, text: string): PartitionValue | null | undefined {
  if (text.length > LITERAL_MAX_CHARACTERS) return undefined
  if (/^null$/i.test(text)) return null
  if (type.kind === 'decimal') return parseNumber(type, text)
  if (type.kind !== 'primitive') return undefined
  switch (type.name) {
    case 'boolean':
      return /^true$/i.test(text) ? true : /^false$/i.test(text) ? false : undefined
    case 'string':
      return parseText(text)
    case 'date':
      return parseTyped(type, /^date\s*/i, text)
    case 'timestamp_ntz':
      return parseTyped(type, /^timestamp_ntz\s*/i, text)
    case 'timestamp':
      return parseInstant(text)
    case 'byte':
    case 'short':
    case 'integer':
    case 'long':
    case 'float':
    case 'double':
      return parseNumber(type, text)
    default:
      return undefined
  }
}

const NUMBER = /^([+-]?)\s*(\d+(?:\.\d*)?|\.\d+)((?:e[+-]?\d{1,4})?)$/i

function parseNumber(type: DataType, text: string): PartitionValue | null | undefined {
  const match = NUMBER.exec(text)
  if (match === null) return undefined
  const sign = match[1] === '-' ? '-' : ''
  return parsed(type, `${sign}${match[2]}${match[3]}`)
}

/** `'…'`, a quote in it doubled. Engines differ on what a backslash means. */
function parseText(text: string): string | undefined {
  const match = /^'((?:[^'\\]|'')*)'$/.exec(text)
  return match === null ? undefined : match[1]!.replaceAll("''", "'")
}

/** `DATE '2026-01-01'`. */
function parseTyped(type: DataType, keyword: RegExp, text: string): PartitionValue | null | undefined {
  const quoted = keyword.test(text) ? parseText(text.replace(keyword, '')) : undefined
  return quoted === undefined ? undefined : parsed(type, quoted)
}

/** Without a zone it would be in that of the session that reads it. */
function parseInstant(text: string): bigint | undefined {
  const quoted = /^timestamp\s*'/i.test(text) ? parseText(text.replace(/^timestamp\s*/i, '')) : undefined
  if (quoted === undefined || !/(?:Z|UTC|[+-]\d\d:?\d\d)$/.test(quoted)) return undefined
  return parseTimestamp(quoted.replace(/\s*UTC$/, 'Z')) ?? undefined
}

/** By the rules of partition values, which are those of each type's plain text. */
function parsed(type: DataType, text: string): PartitionValue | null | undefined {
  try {
    return text === '' ? undefined : parsePartitionValue(type, text)
  } catch {
    return undefined
  }
}

function withoutParentheses(text: string): string {
  let inner = text
  for (let i = 0; i < PARENTHESES_MAX && inner.startsWith('(') && inner.endsWith(')'); i++) {
    inner = inner.slice(1, -1).trim()
  }
  return inner
}
