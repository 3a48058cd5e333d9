/**
 * Statistics that a checkpoint holds only as typed columns (`add.stats_parsed`), as the JSON text of `add.stats`.
 *
 * PROTOCOL.md › Checkpoint Schema, › Per-file Statistics. The file's own types say how a value is written: longs and
 * decimals exactly, timestamps rounded down to milliseconds as everywhere in statistics. NaN, infinities and dates that
 * readers do not parse are left out: a bound that is missing costs a read, a wrong one loses rows.
 *
 * @module
 */
import type { SchemaElement } from 'hyparquet'
import { formatDecimal } from './decimal-text.ts'
import type { FileNode } from './parquet/file-schema.ts'
import { LeafReader } from './parquet/leaf-reader.ts'
import { valueConversion } from './parquet/leaf-value.ts'
import type { LeafSlot } from './parquet/value-reader.ts'
import { type DataType, decimal, primitive } from './schema.ts'
import { dateBound, timestampBound } from './statistics.ts'

/** Gives the statistics row by row; each row is either read or skipped. */
export interface ParsedStatistics {
  readonly leaves: readonly LeafSlot[]
  /** The text for this row; null where it has no statistics. */
  read(): string | null
  skip(): void
}

/** The members of the JSON object; whatever else a writer put beside them is its own. */
const MEMBERS: ReadonlySet<string> = new Set([
  'numRecords',
  'minValues',
  'maxValues',
  'nullCount',
  'tightBounds',
])

/** Plans how `stats_parsed` is read. */
export function createParsedStatistics(statsParsed: FileNode): ParsedStatistics {
  const leaves: LeafSlot[] = []
  const members = statsParsed.children.filter(child => MEMBERS.has(child.element.name))
  const root = groupOf(members, leaves)
  return {
    leaves,
    read: () => textOf(root),
    skip() {
      for (const { reader } of leaves) reader.advance()
    },
  }
}

type StatisticsNode = {
  /** `"name":` */
  readonly key: string
} & (
  | { readonly kind: 'leaf'; readonly reader: LeafReader; readonly format: FormatBound }
  | { readonly kind: 'group'; readonly children: readonly StatisticsNode[] }
)

/** The JSON of a value; null where it has none. */
type FormatBound = (value: unknown) => string | null

function groupOf(nodes: readonly FileNode[], leaves: LeafSlot[]): StatisticsNode[] {
  return nodes.flatMap((node): StatisticsNode[] => {
    const key = `${JSON.stringify(node.element.name)}:`
    // Statistics are of whole files: a list among them is nothing that is known.
    if (node.repetitionLevel > 0) return []
    if (node.leafIndex < 0) return [{ kind: 'group', key, children: groupOf(node.children, leaves) }]
    const type = boundType(node.element)
    const convert = type === null ? null : valueConversion(node.element, type)
    if (type === null || convert === null) return []
    const reader = new LeafReader(node, convert)
    leaves.push({ leafIndex: node.leafIndex, reader })
    return [{ kind: 'leaf', key, reader, format: boundFormat(type) }]
  })
}

function textOf(nodes: readonly StatisticsNode[]): string | null {
  let text = ''
  for (const node of nodes) {
    // Each leaf goes on to the next row, whatever the others hold.
    const value = node.kind === 'group' ? textOf(node.children) : leafText(node.reader, node.format)
    if (value !== null) text += `${text === '' ? '{' : ','}${node.key}${value}`
  }
  return text === '' ? null : `${text}}`
}

function leafText(reader: LeafReader, format: FormatBound): string | null {
  const text = reader.definition === reader.place.definitionLevel ? format(reader.value()) : null
  reader.advance()
  return text
}

/** The Delta type of a leaf by its annotation; null for bytes that are no text, which have no bounds in JSON. */
function boundType(element: SchemaElement): DataType | null {
  const logical = element.logical_type
  const converted = element.converted_type
  if (logical?.type === 'DECIMAL') return decimal(logical.precision, logical.scale)
  if (converted === 'DECIMAL') return decimal(element.precision ?? 0, element.scale ?? 0)
  switch (element.type) {
    case 'BOOLEAN':
      return primitive('boolean')
    case 'INT32':
      return logical?.type === 'DATE' || converted === 'DATE' ? primitive('date') : primitive('long')
    case 'INT64':
      if (logical?.type === 'TIMESTAMP') {
        return primitive(logical.isAdjustedToUTC ? 'timestamp' : 'timestamp_ntz')
      }
      return converted === 'TIMESTAMP_MICROS' || converted === 'TIMESTAMP_MILLIS'
        ? primitive('timestamp')
        : primitive('long')
    case 'INT96':
      return primitive('timestamp')
    case 'FLOAT':
    case 'DOUBLE':
      return primitive('double')
    case 'BYTE_ARRAY':
      return logical?.type === 'STRING' || converted === 'UTF8' ? primitive('string') : null
    default:
      return null
  }
}

function boundFormat(type: DataType): FormatBound {
  if (type.kind === 'decimal') return value => formatDecimal(value as bigint, type.scale)
  switch (type.kind === 'primitive' ? type.name : null) {
    case 'string':
      return value => JSON.stringify(value)
    case 'date':
      return value => quoted(dateBound(value as number))
    case 'timestamp':
      return value => quoted(timestampBound(value as bigint, true))
    case 'timestamp_ntz':
      return value => quoted(timestampBound(value as bigint, false))
    case 'double':
      return value => (Number.isFinite(value) ? numberText(value as number) : null)
    default:
      return String
  }
}

/** Text that holds nothing to escape. */
function quoted(text: string | null): string | null {
  return text === null ? null : `"${text}"`
}

function numberText(value: number): string {
  return Object.is(value, -0) ? '-0.0' : String(value)
}
