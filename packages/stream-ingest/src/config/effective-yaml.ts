/**
 * The effective configuration as YAML that can be loaded again, each value with its origin as a comment.
 *
 * @module
 */
import type { EffectiveEntry, EffectivePipeline, PlainValue, ValueOrigin } from './effective-config.ts'

const INDENT = '  '
/** Words that YAML takes for texts: no number, sign or word of its own. */
const PLAIN_WORD =
  /^(?:[0-9]+(?:ms|s|m|h|d|[KMGT]iB)|(?!(?:true|false|null|yes|no|on|off|y|n|nan|inf)$)[A-Za-z_][A-Za-z0-9_./-]*)$/i

/** The pipelines of one file as one document, with a final newline. */
export function formatEffectiveYaml(pipelines: readonly EffectivePipeline[]): string {
  const [first] = pipelines
  if (first === undefined) return ''
  if (first.name === null) return `${sectionLines(first, '').join('\n')}\n`
  const lines = pipelines.flatMap(pipeline => [
    `${INDENT}${word(pipeline.name ?? '')}:`,
    ...sectionLines(pipeline, INDENT.repeat(2)),
  ])
  return `pipelines:\n${lines.join('\n')}\n`
}

function sectionLines({ sections }: EffectivePipeline, indent: string): string[] {
  return sections.flatMap(section => entryLines(section, indent))
}

function entryLines(entry: EffectiveEntry, indent: string): string[] {
  switch (entry.kind) {
    case 'unset':
      return [`${indent}# ${entry.key}: not set (${entry.meaning})`]
    case 'section': {
      // A section that holds comments alone would be one without a value.
      if (entry.entries.every(each => each.kind === 'unset')) return []
      return [
        `${indent}${word(entry.key)}:`,
        ...entry.entries.flatMap(each => entryLines(each, indent + INDENT)),
      ]
    }
    case 'value': {
      const { key, value, origin } = entry
      const comment = `  # ${describeOrigin(origin)}`
      const isTable = Array.isArray(value) && value.some(item => typeof item === 'object')
      if (!isTable) return [`${indent}${word(key)}: ${flow(value)}${comment}`]
      const items = (value as readonly PlainValue[]).map(item => `${indent}${INDENT}- ${flow(item)}`)
      return [`${indent}${word(key)}:${comment}`, ...items]
    }
  }
}

/** `a.yaml:3:5`, with the section it is inherited from, and its variables. */
export function describeOrigin(origin: ValueOrigin): string {
  if (origin.kind === 'default') return 'default'
  if (origin.kind === 'platform') return 'default of this platform'
  const { file, line, column, inheritedFrom, variables } = origin
  const parts = [`${file.replaceAll(/\p{Cc}/gu, '�')}:${line}:${column}`]
  if (inheritedFrom !== null) parts.push(`top-level ${inheritedFrom}`)
  for (const { name, isSet } of variables)
    parts.push(isSet ? `environment variable ${name}` : `environment variable ${name} is not set`)
  return parts.join(', ')
}

function flow(value: PlainValue): string {
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return String(value)
  // Text is read with variables: a dollar sign in it means itself.
  if (typeof value === 'string') return word(value.replaceAll('$', '$$$$'))
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`
  const pairs = Object.entries(value).map(([key, each]) => `${word(key)}: ${flow(each)}`)
  return pairs.length === 0 ? '{}' : `{ ${pairs.join(', ')} }`
}

/** JSON's quotes are YAML's. */
function word(text: string): string {
  return PLAIN_WORD.test(text) ? text : JSON.stringify(text)
}
