/**
 * Types of configuration values that hold others: lists, maps of free keys, secrets.
 *
 * @module
 */
import type { ConfigNode, MapNode } from './config-node.ts'
import type { ConfigReader } from './config-reader.ts'
import { quoteValue, type Span } from './diagnostic.ts'
import { type FieldType, type JsonSchema, listWords } from './field-type.ts'
import { Secret } from './secret.ts'
import { nearestWord } from './suggestion.ts'

export interface ListRule {
  readonly label: string
  readonly expected: string
  readonly itemsMax: number
  readonly itemsMin?: number
  /** May one text hold several items, with commas between them? */
  readonly splitsText?: boolean
}

/** Items of one type; a single one may stand without the list. Doubles are conflicts. */
export function list<T extends string | number>(item: FieldType<T>, rule: ListRule): FieldType<readonly T[]> {
  const { label, expected, itemsMax, itemsMin = 0 } = rule
  const items = { type: 'array', items: item.jsonSchema, maxItems: itemsMax, minItems: itemsMin }
  return {
    label,
    expected,
    jsonSchema: { anyOf: [items, item.jsonSchema] },
    read(node, reader) {
      const nodes = itemNodes(node, reader, rule.splitsText === true)
      if (nodes === undefined) return undefined
      if (nodes.length < itemsMin || nodes.length > itemsMax) {
        const bounds = nodes.length < itemsMin ? `at least ${itemsMin}` : `at most ${itemsMax}`
        reader.sink.error(
          'CONFIG_INVALID_VALUE',
          node.span,
          `expected ${expected}, ${bounds}; found ${nodes.length}`,
        )
        return undefined
      }
      return readItems(nodes, item, reader)
    },
  }
}

function readItems<T extends string | number>(
  nodes: readonly ConfigNode[],
  item: FieldType<T>,
  reader: ConfigReader,
): readonly T[] | undefined {
  const values = new Set<T>()
  let isComplete = true
  for (const node of nodes) {
    const value = item.read(node, reader)
    if (value === undefined) {
      isComplete = false
    } else if (values.has(value)) {
      reader.sink.error('CONFIG_CONFLICT', node.span, `${quoteValue(String(value))} is given twice`)
      isComplete = false
    } else {
      values.add(value)
    }
  }
  return isComplete ? [...values] : undefined
}

function itemNodes(
  node: ConfigNode,
  reader: ConfigReader,
  splitsText: boolean,
): readonly ConfigNode[] | undefined {
  if (node.kind === 'list') return node.items
  if (!splitsText || node.kind !== 'scalar') return [node]
  const scalar = reader.resolve(node)
  if (scalar === null) return undefined
  if (scalar.kind !== 'text' || !scalar.text.includes(',')) return [node]
  const { span } = node
  const written = reader.sink.text.slice(span.start, span.end)
  const nodes: ConfigNode[] = []
  let at = 0
  for (const part of scalar.text.split(',')) {
    const value = part.trim()
    if (value === '') continue
    // The item has its own place where the text stands in the file as it is read.
    const found = scalar.isInterpolated ? -1 : written.indexOf(value, at)
    const itemSpan: Span =
      found === -1 ? span : { start: span.start + found, end: span.start + found + value.length }
    if (found !== -1) at = found + value.length
    // Variables are put in once: a dollar sign in their value means itself.
    nodes.push({ kind: 'scalar', value: value.replaceAll('$', '$$$$'), text: value, span: itemSpan })
  }
  return nodes
}

/** A map of free keys. */
export function record<T>(
  value: FieldType<T>,
  rule: { readonly label: string; readonly expected: string; readonly entriesMax: number },
): FieldType<ReadonlyMap<string, T>> {
  return {
    label: rule.label,
    expected: rule.expected,
    jsonSchema: { type: 'object', additionalProperties: value.jsonSchema },
    read(node, reader) {
      if (node.kind !== 'map') {
        reader.mismatch(node, rule.expected)
        return undefined
      }
      if (node.entries.length > rule.entriesMax) {
        reader.sink.error(
          'CONFIG_INVALID_VALUE',
          node.span,
          `expected ${rule.expected} of at most ${rule.entriesMax} keys, found ${node.entries.length}`,
        )
        return undefined
      }
      const values = new Map<string, T>()
      let isComplete = true
      for (const entry of node.entries) {
        const read = value.read(entry.value, reader)
        if (read === undefined) isComplete = false
        else values.set(entry.key, read)
      }
      return isComplete ? values : undefined
    },
  }
}

const SECRET_SOURCES = ['from_env', 'from_file', 'from_aws_secret'] as const
const SECRET_EXPECTED = '`{ from_env: NAME }`, `{ from_file: PATH }` or `{ from_aws_secret: "id#field" }`'

const SECRET_SCHEMA: JsonSchema = {
  anyOf: [
    { type: 'string' },
    {
      type: 'object',
      properties: Object.fromEntries(SECRET_SOURCES.map(name => [name, { type: 'string' }])),
      additionalProperties: false,
      minProperties: 1,
      maxProperties: 1,
    },
  ],
}

/** A secret by reference; as plain text it is taken, with a warning. */
export function secret(): FieldType<Secret> {
  return {
    label: 'secret',
    expected: SECRET_EXPECTED,
    jsonSchema: SECRET_SCHEMA,
    isSecret: true,
    read(node, reader) {
      const value = readSecretText(node, reader, 'warn')
      return value === undefined ? undefined : new Secret(value)
    },
  }
}

const PEM_START = '-----BEGIN '

/** PEM text, or the path of a file that holds it. */
export function pem(): FieldType<string> {
  return {
    label: 'PEM text or file',
    expected: 'PEM text, or the path of a file that holds it',
    jsonSchema: SECRET_SCHEMA,
    read: (node, reader) => readPem(node, reader, 'accept'),
  }
}

/** {@link pem} of a private key. */
export function secretPem(): FieldType<Secret> {
  return {
    label: 'secret PEM text or file',
    expected: 'the path of a PEM file',
    jsonSchema: SECRET_SCHEMA,
    isSecret: true,
    read(node, reader) {
      const value = readPem(node, reader, 'warn')
      return value === undefined ? undefined : new Secret(value)
    },
  }
}

function readPem(node: ConfigNode, reader: ConfigReader, plainText: 'warn' | 'accept'): string | undefined {
  if (node.kind === 'scalar') {
    const scalar = reader.resolve(node)
    if (scalar === null) return undefined
    if (scalar.kind === 'text' && !scalar.text.includes(PEM_START)) {
      const fromFile = reader.readTextFile(scalar.text, node.span)
      return fromFile === null ? undefined : checkPem(fromFile, node, reader)
    }
  }
  const value = readSecretText(node, reader, plainText)
  return value === undefined ? undefined : checkPem(value, node, reader)
}

function checkPem(value: string, node: ConfigNode, reader: ConfigReader): string | undefined {
  // Secrets that are only checked for their form are empty.
  if (value === '' || value.includes(PEM_START)) return value
  reader.sink.error('CONFIG_INVALID_VALUE', node.span, 'expected PEM text: no line starts with `-----BEGIN`')
  return undefined
}

function readSecretText(
  node: ConfigNode,
  reader: ConfigReader,
  plainText: 'warn' | 'accept',
): string | undefined {
  if (node.kind === 'map') return readSecretReference(node, reader)
  if (node.kind === 'list') {
    reader.sink.error('CONFIG_INVALID_VALUE', node.span, `expected a secret, found a list`, {
      help: `write ${SECRET_EXPECTED}`,
    })
    return undefined
  }
  const scalar = reader.resolve(node)
  if (scalar === null) return undefined
  if (!scalar.isInterpolated && plainText === 'warn') {
    reader.sink.warn('CONFIG_PLAINTEXT_SECRET', node.span, 'a secret stands here as plain text', {
      help: `write ${SECRET_EXPECTED}`,
    })
  }
  return scalar.text
}

function readSecretReference(node: MapNode, reader: ConfigReader): string | undefined {
  let isComplete = true
  for (const entry of node.entries) {
    if ((SECRET_SOURCES as readonly string[]).includes(entry.key)) continue
    isComplete = false
    reader.sink.redact(entry.value.span)
    const near = nearestWord(entry.key, SECRET_SOURCES)
    reader.sink.error(
      'CONFIG_UNKNOWN_KEY',
      entry.keySpan,
      `unknown key ${quoteValue(entry.key)} in a secret`,
      near === null
        ? { help: `known are ${listWords(SECRET_SOURCES)}` }
        : { help: `did you mean \`${near}\`?`, suggestion: near },
    )
  }
  if (!isComplete) return undefined
  const [entry, second] = node.entries
  if (entry === undefined || second !== undefined) {
    const problem = entry === undefined ? 'a secret names no source' : 'a secret names two sources'
    reader.sink.error('CONFIG_INVALID_VALUE', node.span, problem, { help: `write ${SECRET_EXPECTED}` })
    return undefined
  }
  return readSecretSource(entry.key as (typeof SECRET_SOURCES)[number], entry.value, reader)
}

function readSecretSource(
  source: (typeof SECRET_SOURCES)[number],
  node: ConfigNode,
  reader: ConfigReader,
): string | undefined {
  const scalar = node.kind === 'scalar' ? reader.resolve(node) : undefined
  if (scalar === null) return undefined
  if (scalar === undefined || scalar.kind !== 'text' || scalar.text === '') {
    reader.mismatch(node, 'a text')
    return undefined
  }
  if (source === 'from_file') return reader.readTextFile(scalar.text, node.span) ?? undefined
  if (source === 'from_aws_secret') return reader.readAwsSecret(scalar.text, node.span) ?? undefined
  const value = reader.context.environment[scalar.text]
  if (value === undefined || value === '') {
    reader.sink.error(
      'CONFIG_SECRET',
      node.span,
      `the environment variable ${quoteValue(scalar.text)} is not set`,
    )
    return undefined
  }
  return value
}
