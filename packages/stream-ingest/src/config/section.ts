/**
 * Sections: fields declared once, from which reading, defaults, the reference and the JSON Schema derive.
 *
 * @module
 */
import type { ConfigNode, MapEntry } from './config-node.ts'
import type { ConfigReader } from './config-reader.ts'
import { quoteValue, type Span } from './diagnostic.ts'
import type { FieldType } from './field-type.ts'
import { nearestWord } from './suggestion.ts'

interface FieldNotes<T> {
  readonly description: string
  /** A YAML value, for the reference. */
  readonly example?: string
  /** Values that are understood, and refused until a later release: those that the label names, or every one. */
  readonly later?: { readonly label: string; readonly covers: (value: T) => boolean } | 'all'
}

/** One key of a section. `V` is undefined only for a key that may be left out and has no default. */
export interface FieldSpec<V> extends FieldNotes<NonNullable<V>> {
  readonly type: FieldType<NonNullable<V>>
  readonly presence: 'required' | 'default' | 'optional'
  readonly defaultValue?: NonNullable<V>
  /** The default in the words of the reference. */
  readonly defaultText: string
}

export function required<T>(
  type: FieldType<NonNullable<T>>,
  notes: FieldNotes<NonNullable<T>>,
): FieldSpec<T> {
  return { ...notes, type, presence: 'required', defaultText: 'required' }
}

/** `defaultText`: in the words of the reference, where the value itself does not say it. */
export function withDefault<T>(
  type: FieldType<NonNullable<T>>,
  defaultValue: NonNullable<T>,
  notes: FieldNotes<NonNullable<T>> & { readonly defaultText?: string },
): FieldSpec<T> {
  const defaultText = notes.defaultText ?? `\`${String(defaultValue)}\``
  return { ...notes, type, presence: 'default', defaultValue, defaultText }
}

export function optional<T>(
  type: FieldType<NonNullable<T>>,
  notes: FieldNotes<NonNullable<T>> & { readonly defaultText?: string },
): FieldSpec<T | undefined> {
  const { defaultText = '–', ...rest } = notes
  return {
    ...rest,
    type: type as FieldType<NonNullable<T | undefined>>,
    presence: 'optional',
    defaultText,
  } as FieldSpec<T | undefined>
}

type AnyFields = Readonly<Record<string, unknown>>

export interface SectionSpec<F extends AnyFields> {
  readonly name: string
  readonly description: string
  readonly fields: F
  /** Keys of which at most one may be given; with `required`, exactly one. */
  readonly exclusive: readonly { readonly keys: readonly (keyof F & string)[]; readonly required: boolean }[]
}

/** A section of whatever fields. */
export type AnySection = Pick<SectionSpec<AnyFields>, 'name' | 'description' | 'fields'> & {
  readonly exclusive: readonly { readonly keys: readonly string[]; readonly required: boolean }[]
}

/** What a section's keys read as. */
export type SectionValues<F extends AnyFields> = {
  readonly [K in keyof F]: F[K] extends FieldSpec<infer V> ? V : never
}

export function section<F extends AnyFields>(
  name: string,
  description: string,
  fields: F,
  exclusive: SectionSpec<F>['exclusive'] = [],
): SectionSpec<F> {
  return { name, description, fields, exclusive }
}

/** Where a section is: its name in messages (empty: the top level), and what stands for it where a key is missing. */
export interface SectionPlace {
  readonly path: string
  readonly span: Span
}

/** An entry and the section it was written in: a pipeline's sections are made of its own and of inherited entries. */
export interface OwnedEntry extends MapEntry {
  readonly owner: string
}

export interface SectionReading<F extends AnyFields> {
  readonly spec: SectionSpec<F>
  /** What could be read. Complete, in the sense of the type, where the sink has no error. */
  readonly values: { readonly [K in keyof F]?: SectionValues<F>[K] }
  /** Was the key given (rightly or wrongly)? */
  has(key: keyof F & string): boolean
  /** Was the key given without a value? */
  isUnset(key: keyof F & string): boolean
  /** The key with what was written for it. */
  entry(key: string): OwnedEntry | undefined
  /** The value's place, or the section's where the key is not given. */
  spanOf(key: keyof F & string): Span
}

export function readSection<F extends AnyFields>(
  spec: SectionSpec<F>,
  entries: readonly OwnedEntry[],
  place: SectionPlace,
  reader: ConfigReader,
): SectionReading<F> {
  const fields = spec.fields as Readonly<Record<string, FieldSpec<unknown>>>
  const given = assignEntries(spec, entries, reader)
  const values: Record<string, unknown> = {}
  for (const [key, field] of Object.entries(fields)) {
    const entry = given.get(key)
    if (entry === undefined || reader.isUnset(entry.value)) {
      if (field.presence === 'required') reportMissing(key, entry, place, reader)
      else if (field.presence === 'default') values[key] = field.defaultValue
      continue
    }
    values[key] = readField(key, field, entry, reader)
  }
  checkExclusive(spec, given, place, reader)
  return {
    spec,
    entry: key => given.get(key),
    values: values as SectionReading<F>['values'],
    has: key => given.has(key),
    isUnset: key => {
      const entry = given.get(key)
      return entry !== undefined && reader.isUnset(entry.value)
    },
    spanOf: key => given.get(key)?.value.span ?? place.span,
  }
}

function readField(key: string, field: FieldSpec<unknown>, entry: MapEntry, reader: ConfigReader): unknown {
  if (field.type.isSecret === true && entry.value.kind !== 'map') reader.sink.redact(entry.value.span)
  const value = field.type.read(entry.value, reader, entry.keySpan)
  const { later } = field
  if (later === undefined) return value
  if (later === 'all') {
    const message = `\`${key}\` comes in a later release`
    reader.sink.error('CONFIG_UNSUPPORTED', entry.keySpan, message, { help: `remove \`${key}\`` })
  } else if (value !== undefined && later.covers(value as never)) {
    const written = entry.value.kind === 'scalar' ? `${key}: ${entry.value.text}` : key
    reader.sink.error(
      'CONFIG_UNSUPPORTED',
      entry.value.span,
      `${quoteValue(written)} comes in a later release`,
      {
        help: `remove \`${key}\`, or give it another value`,
      },
    )
  }
  return value
}

/**
 * Gives each entry to its field. A misspelled key is reported, and read as the one that it probably means, so that what
 * it holds is checked too and the right one is not called missing.
 */
function assignEntries(
  spec: AnySection,
  entries: readonly OwnedEntry[],
  reader: ConfigReader,
): ReadonlyMap<string, OwnedEntry> {
  const keys = Object.keys(spec.fields)
  const given = new Map<string, OwnedEntry>()
  const unknown: OwnedEntry[] = []
  for (const entry of entries) {
    if (keys.includes(entry.key)) given.set(entry.key, entry)
    else unknown.push(entry)
  }
  for (const entry of unknown) {
    // A key that is not there yet is the likelier meaning.
    const candidates = [...keys.filter(key => !given.has(key)), ...keys.filter(key => given.has(key))]
    const near = reportUnknown(entry, candidates, reader)
    const rivals = spec.exclusive.filter(({ keys: group }) => near !== null && group.includes(near))
    const isTaken = rivals.some(({ keys: group }) => group.some(key => given.has(key)))
    if (near !== null && !given.has(near) && !isTaken) given.set(near, entry)
  }
  return given
}

/** Something a password may stand under, whatever the key was meant to be. */
const SECRET_KEY = /pass|secret|token|credential|private|key/i

function reportUnknown(
  entry: OwnedEntry,
  candidates: readonly string[],
  reader: ConfigReader,
): string | null {
  if (SECRET_KEY.test(entry.key)) reader.sink.redact(entry.value.span)
  const where = entry.owner === '' ? 'at the top level' : `in ${entry.owner}`
  const message = `unknown key ${quoteValue(entry.key)} ${where}`
  const exact = reader.sectionsWith(entry.key)
  const near = exact.length > 0 ? null : nearestWord(entry.key, candidates)
  if (near !== null) {
    reader.sink.error('CONFIG_UNKNOWN_KEY', entry.keySpan, message, {
      help: `did you mean \`${near}\`?`,
      suggestion: near,
    })
    return near
  }
  const foreign = exact.length > 0 ? entry.key : nearestWord(entry.key, reader.allKeys)
  const sections = foreign === null ? [] : reader.sectionsWith(foreign)
  if (foreign === null || sections.length === 0) {
    const known = candidates.toSorted().slice(0, 12).map(quoteValue).join(', ')
    const more = candidates.length > 12 ? ` and ${candidates.length - 12} more` : ''
    reader.sink.error('CONFIG_UNKNOWN_KEY', entry.keySpan, message, {
      help:
        entry.key === '<<'
          ? 'merge keys are not read; use `pipelines:` to inherit sections'
          : `known are ${known}${more}`,
    })
    return null
  }
  const belongs = sections.map(name => `\`${name}\``).join(' or ')
  const help =
    foreign === entry.key
      ? `\`${foreign}\` belongs under ${belongs}`
      : `did you mean \`${foreign}\`, under ${belongs}?`
  reader.sink.error('CONFIG_UNKNOWN_KEY', entry.keySpan, message, { help, suggestion: foreign })
  return null
}

function reportMissing(
  key: string,
  entry: MapEntry | undefined,
  place: SectionPlace,
  reader: ConfigReader,
): void {
  if (entry === undefined) {
    const where = place.path === '' ? '' : ` in ${place.path}`
    reader.sink.error('CONFIG_MISSING_KEY', place.span, `missing key \`${key}\`${where}`, {
      help: `add \`${key}:\``,
    })
  } else {
    reader.sink.error('CONFIG_MISSING_KEY', entry.keySpan, `\`${key}\` has no value`)
  }
}

function checkExclusive<F extends AnyFields>(
  spec: SectionSpec<F>,
  given: ReadonlyMap<string, MapEntry>,
  place: SectionPlace,
  reader: ConfigReader,
): void {
  for (const { keys, required: isRequired } of spec.exclusive) {
    const present = keys.flatMap(key => {
      const entry = given.get(key)
      return entry === undefined || reader.isUnset(entry.value) ? [] : [entry]
    })
    const words = keys.map(key => `\`${key}\``)
    if (present.length > 1) {
      const last = present.toSorted((a, b) => a.keySpan.start - b.keySpan.start).at(-1) as MapEntry
      reader.sink.error('CONFIG_CONFLICT', last.keySpan, `${words.join(' and ')} exclude each other`, {
        help: 'keep one of them',
      })
    } else if (present.length === 0 && isRequired) {
      reader.sink.error(
        'CONFIG_MISSING_KEY',
        place.span,
        `missing key ${words.join(' or ')} in ${place.path}`,
        {
          help: `add \`${keys[0]}:\``,
        },
      )
    }
  }
}

/** A section as the value of a key. */
export function sectionType<F extends AnyFields>(
  spec: SectionSpec<F>,
  check?: (reading: SectionReading<F>, reader: ConfigReader) => void,
): FieldType<SectionValues<F>> & { readonly spec: SectionSpec<F> } {
  return {
    spec,
    label: 'section',
    expected: 'a map of keys',
    jsonSchema: { $section: spec.name },
    read(node: ConfigNode, reader: ConfigReader, keySpan?: Span) {
      if (node.kind !== 'map') {
        reader.mismatch(node, 'a map of keys')
        return undefined
      }
      const errorsBefore = reader.sink.errorCount
      const entries = node.entries.map(entry => ({ ...entry, owner: spec.name }))
      const place = { path: spec.name, span: keySpan ?? node.span }
      const reading = readSection(spec, entries, place, reader)
      check?.(reading, reader)
      return reader.sink.errorCount > errorsBefore ? undefined : (reading.values as SectionValues<F>)
    },
  }
}
