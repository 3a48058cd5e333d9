/**
 * The types of configuration values: how each is read, named in messages and documentation, and described to editors.
 *
 * @module
 */
import type { ConfigNode } from './config-node.ts'
import type { ConfigReader, ResolvedScalar } from './config-reader.ts'
import { quoteValue, type Span } from './diagnostic.ts'
import { nearestWord } from './suggestion.ts'

export type JsonSchema = Readonly<Record<string, unknown>>

export interface FieldType<T> {
  /** For the reference: `duration`, `list of text`. */
  readonly label: string
  /** For messages: `expected a duration, found …`. */
  readonly expected: string
  readonly jsonSchema: JsonSchema
  /** Must the value not be shown? */
  readonly isSecret?: boolean
  /** The value, or undefined after a finding. The node is not unset; `keySpan` is where its key stands, if it has one. */
  read(node: ConfigNode, reader: ConfigReader, keySpan?: Span): T | undefined
}

/** A scalar may be a variable whatever its type is. */
const VARIABLE_SCHEMA: JsonSchema = { type: 'string', pattern: '\\$\\{' }

export function orVariable(schema: JsonSchema): JsonSchema {
  return { anyOf: [schema, VARIABLE_SCHEMA] }
}

export interface TextRule {
  /** Default `text`. */
  readonly label?: string
  readonly expected?: string
  readonly pattern?: RegExp
  readonly allowEmpty?: boolean
  readonly lengthMax?: number
  /** What is right, where the pattern does not match. */
  readonly help?: string
  /** May `true` and `false` stand for their words (values that are always texts)? */
  readonly allowBoolean?: boolean
}

const TEXT_LENGTH_MAX = 4096

/** A text; a number stands for the characters it was written with. */
export function text(rule: TextRule = {}): FieldType<string> {
  const expected = rule.expected ?? 'a text'
  const lengthMax = rule.lengthMax ?? TEXT_LENGTH_MAX
  return {
    label: rule.label ?? 'text',
    expected,
    jsonSchema:
      rule.allowBoolean === true ? { type: ['string', 'number', 'boolean'] } : { type: ['string', 'number'] },
    read(node, reader) {
      const scalar = scalarOf(node, reader, expected)
      if (scalar === undefined) return undefined
      if (scalar.kind === 'boolean' && rule.allowBoolean !== true) {
        reader.mismatch(node, expected, `write quotes around it: "${scalar.text}"`)
        return undefined
      }
      const value = scalar.text
      const fits = value.length <= lengthMax && (rule.pattern === undefined || rule.pattern.test(value))
      if (!fits || (value === '' && rule.allowEmpty !== true)) {
        reader.mismatch(
          node,
          value.length > lengthMax ? `${expected} of at most ${lengthMax} characters` : expected,
          rule.help,
        )
        return undefined
      }
      return value
    },
  }
}

/** One of a closed list of words. */
export function enumeration<const T extends string>(values: readonly T[]): FieldType<T> {
  const expected = listWords(values)
  return {
    label: values.map(value => `\`${value}\``).join(' \\| '),
    expected,
    jsonSchema: orVariable({ enum: values }),
    read(node, reader) {
      const scalar = scalarOf(node, reader, expected)
      if (scalar === undefined) return undefined
      const known = values.find(value => value === scalar.text)
      if (known !== undefined) return known
      const near = scalar.isInterpolated ? null : nearestWord(scalar.text, values)
      if (near === null) reader.mismatch(node, expected)
      else reader.mismatch(node, expected, `did you mean \`${near}\`?`, near)
      return undefined
    },
  }
}

export function boolean(): FieldType<boolean> {
  const expected = '`true` or `false`'
  return {
    label: 'boolean',
    expected,
    jsonSchema: orVariable({ type: 'boolean' }),
    read(node, reader) {
      const scalar = scalarOf(node, reader, expected)
      if (scalar === undefined) return undefined
      if (scalar.text === 'true' || scalar.text === 'false') return scalar.text === 'true'
      const word = scalar.isInterpolated ? '' : scalar.text.toLowerCase()
      const meant = ['yes', 'on', '1'].includes(word)
        ? 'true'
        : ['no', 'off', '0'].includes(word)
          ? 'false'
          : word === ''
            ? null
            : nearestWord(word, ['true', 'false'])
      if (meant === null) reader.mismatch(node, expected)
      else reader.mismatch(node, expected, `write \`${meant}\``, meant)
      return undefined
    },
  }
}

export interface Range {
  readonly min: number
  readonly max: number
}

export function integer(range: Range): FieldType<number> {
  const expected = `an integer from ${range.min} to ${range.max}`
  return {
    label: 'integer',
    expected,
    jsonSchema: {
      anyOf: [
        { type: 'integer', minimum: range.min, maximum: range.max },
        { type: 'string', pattern: '^[0-9][0-9_]*$|\\$\\{' },
      ],
    },
    read(node, reader) {
      const scalar = scalarOf(node, reader, expected)
      if (scalar === undefined) return undefined
      const value = parseInteger(scalar.text)
      if (value !== null && value >= range.min && value <= range.max) return value
      reader.mismatch(node, expected)
      return undefined
    },
  }
}

/** A number from 0 to 1. */
export function share(): FieldType<number> {
  const expected = 'a number from 0 to 1'
  return {
    label: 'number',
    expected,
    jsonSchema: orVariable({ type: 'number', minimum: 0, maximum: 1 }),
    read(node, reader) {
      const scalar = scalarOf(node, reader, expected)
      if (scalar === undefined) return undefined
      const percent = /^(\d{1,3}(?:\.\d{1,9})?) ?%$/.exec(scalar.text)
      const value = /^(?:0|1|0?\.\d{1,15}|[01]\.\d{1,15})$/.test(scalar.text) ? Number(scalar.text) : null
      if (value !== null && value <= 1) return value
      if (percent === null || Number(percent[1]) > 100 || scalar.isInterpolated)
        reader.mismatch(node, expected)
      else {
        const meant = String(Number((Number(percent[1]) / 100).toPrecision(12)))
        reader.mismatch(node, expected, `write \`${meant}\``, meant)
      }
      return undefined
    },
  }
}

/** Milliseconds as a plain number, for the keys that end in `_ms`. */
export function milliseconds(range: Range): FieldType<number> {
  const base = integer(range)
  const expected = `milliseconds as ${base.expected}`
  return {
    ...base,
    label: 'milliseconds',
    expected,
    read(node, reader) {
      const scalar = scalarOf(node, reader, expected)
      if (scalar === undefined) return undefined
      const value = parseInteger(scalar.text)
      if (value !== null && value >= range.min && value <= range.max) return value
      const meant = scalar.isInterpolated ? null : parseDurationMs(scalar.text)
      if (meant === null) reader.mismatch(node, expected)
      else reader.mismatch(node, expected, `the key is in milliseconds: write \`${meant}\``, String(meant))
      return undefined
    },
  }
}

/** `30s`, `5m`, `1h30m`, in milliseconds. */
export function duration(range: Range): FieldType<number> {
  const expected = 'a duration'
  return {
    label: 'duration',
    expected,
    jsonSchema: orVariable({ type: 'string', pattern: '^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d))+$' }),
    read(node, reader) {
      const scalar = scalarOf(node, reader, expected)
      if (scalar === undefined) return undefined
      const value = parseDurationMs(scalar.text)
      if (value === null) {
        const number = parseInteger(scalar.text)
        const example = number === null || scalar.isInterpolated ? '60s' : `${number}s`
        reader.mismatch(node, expected, `durations need a unit: \`${example}\`, \`5m\` or \`1h\``)
        return undefined
      }
      if (value >= range.min && value <= range.max) return value
      reader.mismatch(node, `a duration from ${formatDuration(range.min)} to ${formatDuration(range.max)}`)
      return undefined
    },
  }
}

/** `128MiB`, `512 MB` or plain bytes. */
export function size(range: Range): FieldType<number> {
  const expected = 'a size'
  return {
    label: 'size',
    expected,
    jsonSchema: { type: ['integer', 'string'] },
    read(node, reader) {
      const scalar = scalarOf(node, reader, expected)
      if (scalar === undefined) return undefined
      const value = parseSizeBytes(scalar.text)
      if (value === null) {
        reader.mismatch(node, expected, 'sizes are bytes, or have a unit: `128MiB`, `512MB`')
        return undefined
      }
      if (value >= range.min && value <= range.max) return value
      reader.mismatch(node, `a size from ${formatSize(range.min)} to ${formatSize(range.max)}`)
      return undefined
    },
  }
}

/** The scalar with its variables, or undefined after a finding. */
export function scalarOf(
  node: ConfigNode,
  reader: ConfigReader,
  expected: string,
): ResolvedScalar | undefined {
  if (node.kind !== 'scalar') {
    reader.mismatch(node, expected)
    return undefined
  }
  const scalar = reader.resolve(node)
  if (scalar === null) return undefined
  if (scalar.kind === 'null') {
    reader.mismatch(node, expected)
    return undefined
  }
  return scalar
}

/** An exact integer as people write them: `1000`, `1_000_000`, `1e6`, `-5`; null for anything else. */
export function parseInteger(written: string): number | null {
  if (!/^[-+]?[0-9][0-9_]*(\.0+)?([eE][+]?[0-9]{1,2})?$/.test(written)) return null
  const value = Number(written.replaceAll('_', ''))
  return Number.isSafeInteger(value) ? value : null
}

const DURATION_UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Milliseconds, or null where the text is no duration. A bare number is none. */
export function parseDurationMs(written: string): number | null {
  const compact = written.replaceAll(' ', '')
  if (!/^([0-9]{1,12}(\.[0-9]{1,6})?(ms|s|m|h|d))+$/.test(compact)) return null
  let total = 0
  for (const [, amount, unit] of compact.matchAll(/([0-9.]+)(ms|s|m|h|d)/g)) {
    total += Number(amount) * DURATION_UNITS_MS[unit as keyof typeof DURATION_UNITS_MS]
  }
  return Math.round(total)
}

const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
}

/** Bytes, or null where the text is no size. */
export function parseSizeBytes(written: string): number | null {
  const match = /^([0-9][0-9_]*(?:\.[0-9]{1,6})?)\s*([a-zA-Z]{0,3})$/.exec(written.trim())
  if (match === null) return parseInteger(written.trim())
  const unit = SIZE_UNITS[(match[2] as string).toLowerCase()]
  if (unit === undefined) return null
  const bytes = Math.floor(Number((match[1] as string).replaceAll('_', '')) * unit)
  return Number.isSafeInteger(bytes) ? bytes : null
}

/** `128MiB` where a binary unit divides it, else bytes. */
export function formatSize(bytes: number): string {
  for (const [unit, factor] of [
    ['TiB', 2 ** 40],
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ] as const) {
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${unit}`
  }
  return `${bytes} bytes`
}

/** `1h` where a unit divides it, else milliseconds. */
export function formatDuration(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    if (ms >= DURATION_UNITS_MS[unit] && ms % DURATION_UNITS_MS[unit] === 0)
      return `${ms / DURATION_UNITS_MS[unit]}${unit}`
  }
  return `${ms}ms`
}

/** `` `a`, `b` or `c` `` */
export function listWords(words: readonly string[]): string {
  const quoted = words.map(quoteValue)
  return quoted.length < 2 ? (quoted[0] ?? '') : `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`
}
