/**
 * The data types of `delta.schema`, as text: the grammar, the Delta type of each, and what decoding has to remember.
 *
 * ```
 * type    = name | alias | decimal | list | struct | map
 * decimal = ("decimal128" | "decimal") "(" precision "," scale ")"
 * list    = "list" "<" type ">"
 * map     = "map" "<" "utf8" "," type ">"
 * struct  = "struct" "<" name ":" type ["not null"] { "," name ":" type ["not null"] } ">"
 * ```
 *
 * @module
 */
import { array, type DataType, decimal, field, map, primitive, struct } from '@stream-ingest/delta'
import type { DecodeField, TimestampUnit } from './decode-field.ts'
import { nearestWord } from './suggestion.ts'

/** A type of the configuration: the Delta type, and what a {@link DecodeField} of that type holds besides. */
export type DeclaredType = Pick<
  DecodeField,
  'type' | 'declaredType' | 'unit' | 'unsignedBits' | 'fields' | 'element' | 'key' | 'value'
>

interface SimpleType {
  readonly type: DataType
  readonly unit?: TimestampUnit
  readonly unsignedBits?: 8 | 16 | 32 | 64
}

/** Unsigned integers take the next larger signed type: Delta has no unsigned ones. */
const SIMPLE_TYPES: Readonly<Record<string, SimpleType>> = {
  boolean: { type: primitive('boolean') },
  int8: { type: primitive('byte') },
  int16: { type: primitive('short') },
  int32: { type: primitive('integer') },
  int64: { type: primitive('long') },
  uint8: { type: primitive('short'), unsignedBits: 8 },
  uint16: { type: primitive('integer'), unsignedBits: 16 },
  uint32: { type: primitive('long'), unsignedBits: 32 },
  uint64: { type: decimal(20, 0), unsignedBits: 64 },
  float32: { type: primitive('float') },
  float64: { type: primitive('double') },
  utf8: { type: primitive('string') },
  large_utf8: { type: primitive('string') },
  binary: { type: primitive('binary') },
  date32: { type: primitive('date') },
  timestamp_second: { type: primitive('timestamp'), unit: 'second' },
  timestamp_millisecond: { type: primitive('timestamp'), unit: 'millisecond' },
  timestamp_microsecond: { type: primitive('timestamp'), unit: 'microsecond' },
  timestamp_nanosecond: { type: primitive('timestamp'), unit: 'nanosecond' },
  timestamp_ntz: { type: primitive('timestamp_ntz'), unit: 'microsecond' },
}

export const TYPE_ALIASES: Readonly<Record<string, string>> = {
  string: 'utf8',
  int: 'int32',
  long: 'int64',
  short: 'int16',
  byte: 'int8',
  float: 'float32',
  double: 'float64',
  bool: 'boolean',
  date: 'date32',
  timestamp: 'timestamp_microsecond',
}

/** Words of other systems that are no type here, and what is meant by them. */
const FOREIGN_TYPES: Readonly<Record<string, string>> = {
  text: 'utf8',
  varchar: 'utf8',
  char: 'utf8',
  uuid: 'utf8',
  json: 'utf8',
  str: 'utf8',
  integer: 'int32',
  bigint: 'int64',
  smallint: 'int16',
  tinyint: 'int8',
  number: 'float64',
  real: 'float32',
  bytes: 'binary',
  blob: 'binary',
  datetime: 'timestamp_millisecond',
  timestamptz: 'timestamp_microsecond',
  array: 'list<T>',
  object: 'struct<a: T>',
  record: 'struct<a: T>',
  numeric: 'decimal(p,s)',
}

export const SIMPLE_TYPE_NAMES: readonly string[] = Object.keys(SIMPLE_TYPES)
const NESTED_NAMES = ['list', 'struct', 'map', 'decimal128', 'decimal'] as const
export const TYPE_NAMES: readonly string[] = [
  ...SIMPLE_TYPE_NAMES,
  ...Object.keys(TYPE_ALIASES),
  ...NESTED_NAMES,
]

/** Types within types; JSON deeper than this is no table. */
export const TYPE_DEPTH_MAX = 32
export const DECIMAL_PRECISION_MAX = 38

export interface TypeProblem {
  readonly message: string
  readonly help?: string
  readonly suggestion?: string
  /** Range of the text that is meant. */
  readonly start: number
  readonly end: number
}

export type ParsedType =
  | { readonly ok: true; readonly declared: DeclaredType }
  | { readonly ok: false; readonly problem: TypeProblem }

/** `depth`: levels of types around this one. */
export function parseDataType(text: string, depth = 0): ParsedType {
  try {
    const parser = new TypeParser(text, depth)
    return { ok: true, declared: parser.parse() }
  } catch (error) {
    if (error instanceof TypeSyntax) return { ok: false, problem: error.problem }
    throw error
  }
}

export function listOf(element: DeclaredType): DeclaredType {
  return {
    type: array(element.type),
    declaredType: `list<${element.declaredType}>`,
    element: { ...element, name: 'element', nullable: true, source: { kind: 'payload', path: [] } },
  }
}

export function mapOf(key: DeclaredType, value: DeclaredType): DeclaredType {
  const source = { kind: 'payload', path: [] } as const
  return {
    type: map(key.type, value.type),
    declaredType: `map<${key.declaredType}, ${value.declaredType}>`,
    key: { ...key, name: 'key', nullable: false, source },
    value: { ...value, name: 'value', nullable: true, source },
  }
}

export interface DeclaredField {
  readonly name: string
  readonly nullable: boolean
  readonly declared: DeclaredType
  readonly metadata?: Readonly<Record<string, string>>
}

export function structOf(fields: readonly DeclaredField[]): DeclaredType {
  return {
    type: struct(
      fields.map(({ name, declared, nullable, metadata }) => field(name, declared.type, nullable, metadata)),
    ),
    declaredType: `struct<${fields
      .map(
        ({ name, declared, nullable }) => `${name}: ${declared.declaredType}${nullable ? '' : ' not null'}`,
      )
      .join(', ')}>`,
    fields: fields.map(({ name, declared, nullable }) => ({
      ...declared,
      name,
      nullable,
      source: { kind: 'payload', path: [name] },
    })),
  }
}

/** What is wrong with the keys of such a map, or null. JSON's keys are text. */
export function mapKeyProblem(key: DeclaredType): string | null {
  return key.type.kind === 'primitive' && key.type.name === 'string'
    ? null
    : `the keys of a map are \`utf8\`, not \`${key.declaredType}\``
}

/** Characters that Delta forbids in the names of columns and fields, as its readers do. */
const NAME_FORBIDDEN = /[ ,;{}()\n\t=]/
const NAME_LENGTH_MAX = 255

/** What is wrong with the name of a column or field, or null. */
export function nameProblem(name: string): string | null {
  if (name === '') return 'a name is empty'
  if (name.length > NAME_LENGTH_MAX) return `a name has at most ${NAME_LENGTH_MAX} characters`
  const forbidden = NAME_FORBIDDEN.exec(name)
  if (forbidden !== null) return `a name holds no ${JSON.stringify(forbidden[0])}`
  return /\p{Cc}/u.test(name) ? 'a name holds no control characters' : null
}

/** Ends the recursion of the parser; never leaves this file. */
class TypeSyntax extends Error {
  readonly problem: TypeProblem
  constructor(problem: TypeProblem) {
    super(problem.message)
    this.problem = problem
  }
}

class TypeParser {
  readonly #text: string
  #at = 0
  #depth: number

  constructor(text: string, depth: number) {
    this.#text = text
    this.#depth = depth
  }

  parse(): DeclaredType {
    const declared = this.#type()
    this.#skipSpace()
    if (this.#at < this.#text.length)
      this.#fail(`unexpected \`${this.#text.slice(this.#at)}\` after the data type`)
    return declared
  }

  #type(): DeclaredType {
    this.#skipSpace()
    const start = this.#at
    const name = this.#take(/[A-Za-z0-9_]+/y)
    if (name === '') this.#fail('expected a data type')
    if (this.#depth >= TYPE_DEPTH_MAX)
      this.#fail(`data types are nested deeper than ${TYPE_DEPTH_MAX}`, { start })
    this.#depth += 1
    const declared = this.#named(name, start)
    this.#depth -= 1
    return declared
  }

  #named(name: string, start: number): DeclaredType {
    if (name === 'list') {
      this.#expect('<', 'write `list<T>`')
      const element = this.#type()
      this.#expect('>', 'write `list<T>`')
      return listOf(element)
    }
    if (name === 'map') return this.#map()
    if (name === 'struct') return this.#struct()
    if (name === 'decimal' || name === 'decimal128') return this.#decimal(start)
    const canonical = Object.hasOwn(TYPE_ALIASES, name) ? (TYPE_ALIASES[name] as string) : name
    const simple = Object.hasOwn(SIMPLE_TYPES, canonical) ? SIMPLE_TYPES[canonical] : undefined
    if (simple === undefined) this.#unknown(name, start)
    return { ...simple, declaredType: name }
  }

  #map(): DeclaredType {
    const help = 'write `map<utf8, T>`'
    this.#expect('<', help)
    this.#skipSpace()
    const keyStart = this.#at
    const key = this.#type()
    const problem = mapKeyProblem(key)
    if (problem !== null) this.#fail(problem, { start: keyStart, help })
    this.#expect(',', help)
    const value = this.#type()
    this.#expect('>', help)
    return mapOf(key, value)
  }

  #struct(): DeclaredType {
    const help = 'write `struct<a: T, b: U>`'
    this.#expect('<', help)
    const fields: DeclaredField[] = []
    const seen = new Set<string>()
    do {
      this.#skipSpace()
      const start = this.#at
      const name = this.#fieldName()
      const problem = nameProblem(name)
      if (problem !== null) this.#fail(`${problem}: expected the name of a field`, { start, help })
      if (seen.has(name.toLowerCase())) this.#fail(`the field \`${name}\` is given twice`, { start })
      seen.add(name.toLowerCase())
      this.#expect(':', help)
      const declared = this.#type()
      const isRequired = this.#take(/\s+not\s+null\b/iy) !== ''
      fields.push({ name, declared, nullable: !isRequired })
    } while (this.#accept(','))
    this.#expect('>', help)
    return structOf(fields)
  }

  #fieldName(): string {
    const quoted = this.#take(/`[^`]+`/y)
    return quoted === '' ? this.#take(/[^\s:,<>`]+/y) : quoted.slice(1, -1)
  }

  #decimal(start: number): DeclaredType {
    const help = 'write `decimal(p,s)`: p digits, s of them after the point'
    this.#expect('(', help)
    const precision = this.#number(help)
    this.#expect(',', help)
    const scale = this.#number(help)
    this.#expect(')', help)
    if (precision < 1 || precision > DECIMAL_PRECISION_MAX || scale > precision) {
      const limits = `1 ≤ p ≤ ${DECIMAL_PRECISION_MAX} and 0 ≤ s ≤ p`
      this.#fail(`\`decimal(${precision},${scale})\` is out of range: ${limits}`, { start })
    }
    return { type: decimal(precision, scale), declaredType: `decimal(${precision},${scale})` }
  }

  #number(help: string): number {
    this.#skipSpace()
    const digits = this.#take(/[0-9]{1,4}/y)
    if (digits === '') this.#fail('expected a number', { help })
    return Number(digits)
  }

  #unknown(name: string, start: number): never {
    const lower = name.toLowerCase()
    const near = Object.hasOwn(FOREIGN_TYPES, lower)
      ? (FOREIGN_TYPES[lower] as string)
      : nearestWord(name, TYPE_NAMES)
    const message = `unknown data type \`${name.slice(0, 80)}\``
    if (near === null)
      this.#fail(message, {
        start,
        help: `known are ${SIMPLE_TYPE_NAMES.join(', ')}, decimal(p,s), list<T>, struct<a: T>, map<utf8, T>`,
      })
    const suggestion = this.#text.slice(0, start) + near + this.#text.slice(start + name.length)
    const isTemplate = /[(<]/.test(near)
    this.#fail(message, {
      start,
      help: `did you mean \`${near}\`?`,
      suggestion: isTemplate ? near : suggestion,
    })
  }

  #skipSpace(): void {
    this.#take(/\s+/y)
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0] ?? ''
    this.#at += found.length
    return found
  }

  #accept(character: string): boolean {
    this.#skipSpace()
    if (this.#text[this.#at] !== character) return false
    this.#at += 1
    return true
  }

  #expect(character: string, help: string): void {
    if (!this.#accept(character)) this.#fail(`expected \`${character}\` in the data type`, { help })
  }

  #fail(message: string, detail: { start?: number; help?: string; suggestion?: string } = {}): never {
    const { start = this.#at, help, suggestion } = detail
    const end = Math.max(this.#at, start + 1)
    throw new TypeSyntax({
      message,
      start,
      end,
      ...(help === undefined ? {} : { help }),
      ...(suggestion === undefined ? {} : { suggestion }),
    })
  }
}
