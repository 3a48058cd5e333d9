/**
 * The text of a configuration as a bounded tree of located nodes. JSON is read as the subset of YAML that it is.
 *
 * @module
 */

import type { Document, ParsedNode, Scalar, YAMLError } from 'yaml'
import { isAlias, isMap, isScalar, isSeq, parseDocument } from 'yaml'
import type { DiagnosticSink, Span } from './diagnostic.ts'
import { quoteValue } from './diagnostic.ts'

export interface ScalarNode {
  readonly kind: 'scalar'
  readonly value: string | number | bigint | boolean | null
  /** As written for a plain scalar (`1.10`), the content of a quoted one. Variables are not yet put in. */
  readonly text: string
  readonly span: Span
}

export interface MapEntry {
  readonly key: string
  readonly keySpan: Span
  readonly value: ConfigNode
}

export interface MapNode {
  readonly kind: 'map'
  readonly entries: readonly MapEntry[]
  readonly span: Span
}

export interface ListNode {
  readonly kind: 'list'
  readonly items: readonly ConfigNode[]
  readonly span: Span
}

export type ConfigNode = ScalarNode | MapNode | ListNode

/** Of a whole configuration. A schema of a thousand columns takes about 100 KiB. */
export const CONFIG_LENGTH_MAX = 1024 * 1024
/** Nodes after aliases are put in: an alias of aliases of aliases ends here. */
export const CONFIG_NODES_MAX = 100_000
export const CONFIG_DEPTH_MAX = 64

/** The tree, or null after a finding that leaves nothing to look at. */
export function parseConfigText(sink: DiagnosticSink): ConfigNode | null {
  const { text } = sink
  if (text.length > CONFIG_LENGTH_MAX) {
    sink.error(
      'CONFIG_TOO_LARGE',
      { start: 0, end: 0 },
      `the configuration has ${text.length} characters, at most ${CONFIG_LENGTH_MAX} are read`,
    )
    return null
  }
  const document = parseYaml(text)
  if (document === null) {
    sink.markUnparsed()
    sink.error('CONFIG_YAML_SYNTAX', { start: 0, end: 1 }, 'the configuration is nested too deeply')
    return null
  }
  if (document.errors.length > 0) {
    sink.markUnparsed()
    // What follows the first error is mostly its consequence.
    reportSyntax(document.errors[0] as YAMLError, sink)
    return null
  }
  if (document.contents === null) return { kind: 'map', entries: [], span: { start: 0, end: 0 } }
  return new TreeBuilder(sink).build(document.contents)
}

/** The value that stands in a part of the text that is not YAML itself; null after a finding. */
export function parseConfigValue(sink: DiagnosticSink, { start, end }: Span): ConfigNode | null {
  // The spaces make the places those of the whole text.
  const document = parseYaml(' '.repeat(start) + sink.text.slice(start, end))
  if (document === null || document.errors.length > 0) {
    sink.error('CONFIG_YAML_SYNTAX', { start, end }, 'the value is not YAML', {
      help: 'write quotes around a text with special characters',
    })
    return null
  }
  if (document.contents === null)
    return { kind: 'scalar', value: null, text: '', span: { start: start - 1, end } }
  return new TreeBuilder(sink).build(document.contents)
}

function parseYaml(text: string): Document.Parsed | null {
  try {
    // Keys are compared in the tree builder, where it takes linear time.
    return parseDocument(text, {
      version: '1.2',
      prettyErrors: false,
      uniqueKeys: false,
      stringKeys: false,
      strict: true,
      intAsBigInt: false,
      keepSourceTokens: false,
    })
  } catch (error) {
    // The parser recurses on nested flow collections: within the length limit they can exhaust the stack.
    if (error instanceof RangeError) return null
    throw error
  }
}

function reportSyntax(error: YAMLError, sink: DiagnosticSink): void {
  const [start, end] = error.pos
  // The parser quotes the text at the end of its messages: a secret may stand there.
  const message = error.message
    .replace(/\s+/g, ' ')
    .replace(/: ".*$/, '')
    .trim()
  const lowerCase = message.charAt(0).toLowerCase() + message.slice(1)
  const help = syntaxHelp(error, sink.text)
  sink.error('CONFIG_YAML_SYNTAX', { start, end }, lowerCase, help === undefined ? {} : { help })
}

function syntaxHelp(error: YAMLError, text: string): string | undefined {
  if (error.code === 'TAB_AS_INDENT') return 'YAML indents with spaces'
  if (error.code === 'MULTIPLE_DOCS') return 'one file holds one document; several flows go under `pipelines`'
  const [start] = error.pos
  const line = text.slice(text.lastIndexOf('\n', start - 1) + 1, start + 1)
  return /[{[,:]\s*\$\{/.test(line)
    ? 'inside `{ }` and `[ ]`, write quotes around a value with a variable'
    : undefined
}

/** Puts aliases in, counting nodes and depth, so that neither a bomb nor a cycle gets far. */
class TreeBuilder {
  readonly #sink: DiagnosticSink
  readonly #anchors = new Map<string, ParsedNode>()
  #nodeCount = 0
  #isExhausted = false

  constructor(sink: DiagnosticSink) {
    this.#sink = sink
  }

  build(root: ParsedNode): ConfigNode | null {
    const tree = this.#node(root, 0, null)
    return this.#isExhausted ? null : tree
  }

  /** `aliasSpan`: where the alias stands that put this node in, which is the place to report. */
  #node(node: ParsedNode | null, depth: number, aliasSpan: Span | null): ConfigNode {
    const span = aliasSpan ?? spanOf(node)
    const empty: ScalarNode = { kind: 'scalar', value: null, text: '', span }
    this.#nodeCount += 1
    if (this.#isExhausted || node === null) return empty
    if (this.#nodeCount > CONFIG_NODES_MAX || depth > CONFIG_DEPTH_MAX) {
      this.#isExhausted = true
      const limit =
        depth > CONFIG_DEPTH_MAX ? `${CONFIG_DEPTH_MAX} levels of nesting` : `${CONFIG_NODES_MAX} values`
      this.#sink.error('CONFIG_TOO_LARGE', span, `the configuration has more than ${limit}`, {
        help: 'aliases count as often as they are used; one that holds itself never ends',
      })
      return empty
    }
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source)
      if (target === undefined) {
        this.#sink.error('CONFIG_YAML_SYNTAX', span, `no anchor \`&${node.source}\` stands before this alias`)
        return empty
      }
      return this.#node(target, depth + 1, aliasSpan ?? span)
    }
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, node)
    if (isMap(node)) return { kind: 'map', entries: this.#entries(node.items, depth), span }
    if (isSeq(node)) {
      const items = node.items.map(item => this.#node(item as ParsedNode | null, depth + 1, aliasSpan))
      return { kind: 'list', items, span }
    }
    return isScalar(node) ? scalarNode(node, span) : empty
  }

  #entries(items: readonly { key: unknown; value: unknown }[], depth: number): MapEntry[] {
    const entries: MapEntry[] = []
    const seen = new Set<string>()
    for (const { key: keyNode, value } of items) {
      const keySpan = spanOf(keyNode as ParsedNode | null)
      if (!isScalar(keyNode)) {
        this.#sink.error('CONFIG_YAML_SYNTAX', keySpan, 'a key is a word, not a list, a map or an alias')
        continue
      }
      const key =
        typeof keyNode.value === 'string' ? keyNode.value : (keyNode.source ?? String(keyNode.value))
      if (seen.has(key)) {
        this.#sink.error('CONFIG_DUPLICATE_KEY', keySpan, `${quoteValue(key)} is given twice`)
        continue
      }
      seen.add(key)
      const valueNode = this.#node(value as ParsedNode | null, depth + 1, null)
      // An empty value has no place of its own: its key stands for it.
      const isNowhere = value === null || valueNode.span.end <= valueNode.span.start
      entries.push({ key, keySpan, value: isNowhere ? { ...valueNode, span: keySpan } : valueNode })
    }
    return entries
  }
}

function scalarNode(node: Scalar, span: Span): ScalarNode {
  const { value, source } = node
  if (typeof value === 'string') return { kind: 'scalar', value, text: value, span }
  const text = source ?? ''
  if (
    value === null ||
    typeof value === 'number' ||
    typeof value === 'boolean' ||
    typeof value === 'bigint'
  ) {
    return { kind: 'scalar', value, text, span }
  }
  // A tag such as `!!binary` or `!!timestamp` made an object of it: the text is what the field's type reads.
  return { kind: 'scalar', value: text, text, span }
}

function spanOf(node: ParsedNode | null | undefined): Span {
  const range = node?.range
  return range === null || range === undefined ? { start: 0, end: 0 } : { start: range[0], end: range[1] }
}
