/**
 * The effective configuration: every value that a pipeline has, as YAML would say it, and where it comes from. Derived
 * from the declarations of the fields, like reading itself.
 *
 * @module
 */
import type { ConfigNode } from './config-node.ts'
import { parseConfigText } from './config-node.ts'
import type { ConfigReader } from './config-reader.ts'
import { DiagnosticSink } from './diagnostic.ts'
import { formatSize } from './field-type.ts'
import { MEMORY_LIMIT_DEFAULT_BYTES, type PlatformDefaults } from './platform-defaults.ts'
import type { AnySection, FieldSpec, OwnedEntry } from './section.ts'

export type PlainValue =
  | string
  | number
  | boolean
  | null
  | readonly PlainValue[]
  | { readonly [key: string]: PlainValue }

export type ValueOrigin =
  | {
      readonly kind: 'file'
      readonly file: string
      readonly line: number
      readonly column: number
      /** The top-level section that a pipeline inherits the value from; null for one of its own. */
      readonly inheritedFrom: string | null
      /** Environment variables in the value; one that is not set has given its default. */
      readonly variables: readonly { readonly name: string; readonly isSet: boolean }[]
    }
  | { readonly kind: 'default' }
  /** A default that hangs on where the process runs. */
  | { readonly kind: 'platform' }

export type EffectiveEntry =
  | { readonly kind: 'value'; readonly key: string; readonly value: PlainValue; readonly origin: ValueOrigin }
  | { readonly kind: 'section'; readonly key: string; readonly entries: readonly EffectiveEntry[] }
  /** Not set; `meaning` says what holds then, in the words of the reference. */
  | { readonly kind: 'unset'; readonly key: string; readonly meaning: string }

export interface EffectivePipeline {
  /** Null for the single pipeline of a file without `pipelines`. */
  readonly name: string | null
  readonly pipelineId: string
  readonly sections: readonly Extract<EffectiveEntry, { kind: 'section' }>[]
}

const SECRET = '[secret]'

/** A section without errors, as it was read. */
export interface ReadSection {
  readonly spec: AnySection
  entry(key: string): OwnedEntry | undefined
}

/**
 * The entries of one section.
 *
 * @param key what the section is called in the text
 * @param ownPath the pipeline's own section; an entry of another owner is inherited
 */
export function effectiveSection(
  key: string,
  { spec, entry }: ReadSection,
  ownPath: string,
  reader: ConfigReader,
  platform: PlatformValues = new Map(),
): EffectivePipeline['sections'][number] {
  const fields = Object.entries(spec.fields as Readonly<Record<string, FieldSpec<unknown>>>)
  const entries = fields.flatMap(([name, field]): EffectiveEntry[] => {
    const given = entry(name)
    if (given !== undefined && !reader.isUnset(given.value)) {
      const inheritedFrom = given.owner === ownPath ? null : given.owner
      return [effectiveValue(name, field, given, inheritedFrom, reader)]
    }
    const ofPlatform = platform.get(name)
    const rivals = spec.exclusive.filter(({ keys }) => keys.includes(name)).flatMap(({ keys }) => keys)
    if (rivals.some(rival => entry(rival) !== undefined)) return []
    if (ofPlatform !== undefined) return [{ kind: 'value', key: name, ...ofPlatform }]
    return unwritten(name, field)
  })
  return { kind: 'section', key, entries }
}

function unwritten(key: string, field: FieldSpec<unknown>): EffectiveEntry[] {
  if (field.presence === 'default')
    return [{ kind: 'value', key, value: defaultOf(field), origin: { kind: 'default' } }]
  const isSilent = field.defaultText === '–' || field.defaultText === 'required'
  return isSilent ? [] : [{ kind: 'unset', key, meaning: field.defaultText }]
}

/** The default as YAML says it: what the reference shows between back-ticks. */
export function defaultOf({ defaultText }: Pick<FieldSpec<unknown>, 'defaultText'>): PlainValue {
  const sink = new DiagnosticSink('default', defaultText.replace(/^`(.*)`$/, '$1'))
  const node = parseConfigText(sink)
  return node === null ? null : plain(node, null)
}

function effectiveValue(
  key: string,
  field: FieldSpec<unknown>,
  { value: node }: OwnedEntry,
  inheritedFrom: string | null,
  reader: ConfigReader,
): EffectiveEntry {
  const { spec } = field.type as { readonly spec?: AnySection }
  if (spec !== undefined && node.kind === 'map') {
    const path = inheritedFrom ?? spec.name
    const entries = new Map(node.entries.map(each => [each.key, { ...each, owner: path }]))
    return effectiveSection(key, { spec, entry: name => entries.get(name) }, spec.name, reader)
  }
  const { line, column } = reader.sink.place(node.span)
  const variables = [...variableNames(node)].map(name => {
    const set = reader.context.environment[name]
    return { name, isSet: set !== undefined && set !== '' }
  })
  const origin = { kind: 'file', file: reader.sink.file, line, column, inheritedFrom, variables } as const
  return { kind: 'value', key, value: field.type.isSecret === true ? SECRET : plain(node, reader), origin }
}

/** The node with its variables put in; null for `reader` where it can have none. */
function plain(node: ConfigNode, reader: ConfigReader | null): PlainValue {
  if (node.kind === 'list') return node.items.map(item => plain(item, reader))
  if (node.kind === 'map')
    return Object.fromEntries(node.entries.map(({ key, value }) => [key, plain(value, reader)]))
  const { value, text } = node
  if (value === null || typeof value === 'boolean') return value
  // `1.10` and `0x10` are read as they are written, so that they are no numbers here.
  if (typeof value !== 'string') return String(Number(text)) === text ? Number(text) : text
  const resolved = reader?.resolve(node)
  return resolved?.kind === 'null' ? null : (resolved?.text ?? value)
}

function variableNames(node: ConfigNode): Set<string> {
  if (node.kind === 'list') return new Set(node.items.flatMap(item => [...variableNames(item)]))
  if (node.kind === 'map') {
    const names = node.entries.flatMap(({ key, value }) =>
      key === 'from_env' && value.kind === 'scalar' ? [value.text] : [...variableNames(value)],
    )
    return new Set(names)
  }
  if (typeof node.value !== 'string') return new Set()
  const unescaped = node.value.replaceAll('$$', '')
  return new Set([...unescaped.matchAll(/\$\{([A-Za-z_][A-Za-z0-9_]*)/g)].map(match => match[1] as string))
}

export type PlatformValues = ReadonlyMap<string, { readonly value: PlainValue; readonly origin: ValueOrigin }>

/** What `processing` has by the platform where its keys are not written. */
export function platformValues({
  memoryLimitBytes,
  runtimeLimitMs,
  workers,
}: PlatformDefaults): PlatformValues {
  const size = formatSize(memoryLimitBytes)
  const isUsual = runtimeLimitMs === undefined && memoryLimitBytes === MEMORY_LIMIT_DEFAULT_BYTES
  const memory = {
    value: size.endsWith('bytes') ? memoryLimitBytes : size,
    origin: { kind: isUsual ? 'default' : 'platform' },
  } as const
  if (runtimeLimitMs === undefined) return new Map([['memory_limit', memory]])
  return new Map([
    ['memory_limit', memory],
    ['runtime_limit_ms', { value: runtimeLimitMs, origin: { kind: 'platform' } as const }],
    ...(workers === undefined
      ? []
      : ([['workers', { value: workers, origin: { kind: 'platform' } as const }]] as const)),
  ])
}
