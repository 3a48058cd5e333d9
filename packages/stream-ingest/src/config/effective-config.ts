/**
 * What a configuration comes to: each key of each pipeline, its value as written, and where that stands. For people and
 * for comparing two files; what a run uses is the read configuration itself.
 *
 * @module
 */
import type { ConfigNode } from './config-node.ts'
import type { DiagnosticSink } from './diagnostic.ts'
import type { AnySection, OwnedEntry } from './section.ts'

/** As the reference writes it. */
const NO_DEFAULT = '–'
const SECRET = '"[secret]"'

export interface EffectiveValue {
  readonly key: string
  /** YAML on one line, with variables as written and secrets masked; null where the key is not given. */
  readonly value: string | null
  /** Of a key that is not given, in the words of the reference. */
  readonly defaultText: string
  /** The section that it was written in: a pipeline's own, or the one that all inherit. */
  readonly owner: string
  /** From 1; null where it is not given. */
  readonly line: number | null
}

export interface EffectiveSection {
  /** `kafka`, `s3`, `local`, … */
  readonly section: string
  readonly values: readonly EffectiveValue[]
}

export interface EffectivePipeline {
  readonly name: string
  /** Of a file with `pipelines`. */
  readonly isNamed: boolean
  readonly sections: readonly EffectiveSection[]
}

export function effectiveSection(
  section: string,
  spec: AnySection,
  entries: readonly OwnedEntry[],
  sink: DiagnosticSink,
): EffectiveSection {
  const fields = spec.fields as Readonly<Record<string, { readonly defaultText: string }>>
  const values = Object.entries(fields).map(([key, { defaultText }]): EffectiveValue => {
    const entry = entries.findLast(each => each.key === key)
    const isGiven = entry !== undefined && !(entry.value.kind === 'scalar' && entry.value.value === null)
    if (!isGiven) return { key, value: null, defaultText, owner: section, line: null }
    return {
      key,
      value: yamlOf(entry.value, sink),
      defaultText,
      owner: entry.owner,
      line: sink.lineOf(entry.keySpan.start),
    }
  })
  return { section, values }
}

function yamlOf(node: ConfigNode, sink: DiagnosticSink): string {
  if (sink.isRedacted(node.span)) return SECRET
  switch (node.kind) {
    case 'scalar':
      if (node.value === null) return 'null'
      return typeof node.value === 'string' ? JSON.stringify(node.text) : node.text
    case 'list':
      return `[${node.items.map(item => yamlOf(item, sink)).join(', ')}]`
    case 'map': {
      const entries = node.entries.map(({ key, value }) => `${yamlKey(key)}: ${yamlOf(value, sink)}`)
      return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`
    }
  }
}

function yamlKey(key: string): string {
  return /^[A-Za-z_][\w.-]*$/.test(key) ? key : JSON.stringify(key)
}

/** As a file that reads the same: what is given, with its line; what is not, as comments. */
export function formatEffective(pipelines: readonly EffectivePipeline[]): string {
  const lines: string[] = []
  const isNamed = pipelines.some(pipeline => pipeline.isNamed)
  if (isNamed) lines.push('pipelines:')
  for (const pipeline of pipelines) {
    const indent = isNamed ? '    ' : ''
    if (isNamed) lines.push(`  ${pipeline.name}:`)
    for (const { section, values } of pipeline.sections) {
      const isEmpty = values.every(({ value }) => value === null)
      lines.push(
        `${indent}${section}:${isEmpty ? ' {}' : ''}`,
        ...values.flatMap(value => linesOf(value, section, `${indent}  `)),
      )
    }
  }
  return `${lines.join('\n')}\n`
}

function linesOf(
  { key, value, defaultText, owner, line }: EffectiveValue,
  section: string,
  indent: string,
): string[] {
  if (value === null) {
    // A key that has no default says nothing where it is not given.
    return defaultText === NO_DEFAULT
      ? []
      : [`${indent}# ${key}: ${defaultText.replaceAll('`', '')}   default`]
  }
  const where = owner === section ? `line ${line}` : `line ${line}, in ${owner}`
  return [`${indent}${key}: ${value}   # ${where}`]
}
