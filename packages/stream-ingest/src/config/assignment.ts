/**
 * Values that are given beside the file: `stream-ingest run --set processing.batch_size=20000`.
 *
 * Each becomes a comment behind the last line of the text, so that what is wrong with it is located and shown like
 * anything else, and replaces the value at its path in the tree.
 *
 * @module
 */
import { ConfigError } from '../error.ts'
import { type ConfigNode, type MapNode, parseConfigValue } from './config-node.ts'
import type { DiagnosticSink, Span } from './diagnostic.ts'

export const ASSIGNMENTS_MAX = 100
const PREFIX = '# --set '
const ASSIGNMENT = /^(?<path>[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)=(?<value>[^\r\n]*)$/

interface Assignment {
  readonly path: readonly string[]
  readonly pathSpan: Span
  readonly valueSpan: Span
}

export interface AssignedText {
  readonly text: string
  readonly assignments: readonly Assignment[]
}

/** @throws ConfigError `CONFIG_USAGE` for what is not `path.to.key=value` */
export function appendAssignments(text: string, written: readonly string[]): AssignedText {
  if (written.length > ASSIGNMENTS_MAX) throw usage(`--set is given ${written.length} times`)
  const assignments: Assignment[] = []
  let whole = text
  for (const each of written) {
    const match = ASSIGNMENT.exec(each)
    if (match === null) throw usage(`--set takes \`path.to.key=value\`, not \`${each.split('=')[0]}\``)
    const path = match.groups!.path!
    if (whole !== '' && !whole.endsWith('\n')) whole += '\n'
    const start = whole.length + PREFIX.length
    const valueStart = start + path.length + 1
    whole += `${PREFIX}${each}\n`
    const valueSpan = { start: valueStart, end: start + each.length }
    assignments.push({ path: path.split('.'), pathSpan: { start, end: valueStart - 1 }, valueSpan })
  }
  return { text: whole, assignments }
}

/** The tree with the values in their places; maps on the way that are missing are made. */
export function applyAssignments(
  root: ConfigNode,
  assignments: readonly Assignment[],
  sink: DiagnosticSink,
): ConfigNode {
  let tree = root
  for (const assignment of assignments) {
    const value = parseConfigValue(sink, assignment.valueSpan)
    if (value !== null) tree = place(tree, assignment.path, value, assignment.pathSpan, sink)
  }
  return tree
}

function place(
  node: ConfigNode,
  path: readonly string[],
  value: ConfigNode,
  pathSpan: Span,
  sink: DiagnosticSink,
): ConfigNode {
  const [key, ...rest] = path
  if (key === undefined) return value
  // `pipelines:` with nothing behind it is a map without entries.
  const isEmpty = node.kind === 'scalar' && node.value === null
  if (node.kind !== 'map' && !isEmpty) {
    sink.error('CONFIG_INVALID', pathSpan, `\`${key}\` lies below a value that is not a map`)
    return node
  }
  const entries = node.kind === 'map' ? node.entries : []
  const found = entries.findIndex(entry => entry.key === key)
  const below: ConfigNode = entries[found]?.value ?? { kind: 'map', entries: [], span: pathSpan }
  const entry = { key, keySpan: pathSpan, value: place(below, rest, value, pathSpan, sink) }
  const map: MapNode = {
    kind: 'map',
    span: node.span,
    entries: found < 0 ? [...entries, entry] : entries.with(found, entry),
  }
  return map
}

function usage(message: string): ConfigError {
  return new ConfigError('CONFIG_USAGE', message, {
    hint: 'for example `--set processing.batch_size=20000`; with several pipelines `--set pipelines.orders.kafka.topic=orders`',
  })
}
