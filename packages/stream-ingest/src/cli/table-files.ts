/**
 * The live files of a table, and its columns one by one, for `inspect table`.
 *
 * @module
 */
import {
  type Add,
  formatDataType,
  parseStatistics,
  type Snapshot,
  type StructField,
  type StructType,
} from '@stream-ingest/delta'
import { formatBytes, formatCount, formatTime } from '../observe/format.ts'
import { formatTable, type TextColumn } from './text-table.ts'

/** Files that are shown where nobody says how many. */
export const FILES_DEFAULT = 50

export interface FileEntry {
  readonly path: string
  readonly partitionValues: Readonly<Record<string, string | null>>
  readonly sizeBytes: number
  /** Physical rows; null without statistics. */
  readonly rows: number | null
  readonly deletedRows: number
  readonly modificationTime: number
}

export interface FileListing {
  readonly entries: readonly FileEntry[]
  readonly totalCount: number
}

/** The first `limit` files in the order of the log; the others are counted. */
export async function listFiles(snapshot: Snapshot, limit: number): Promise<FileListing> {
  const entries: FileEntry[] = []
  let totalCount = 0
  for await (const batch of snapshot.fileBatches()) {
    for (const add of batch.slice(0, Math.max(0, limit - entries.length))) entries.push(entryOf(add))
    totalCount += batch.length
  }
  return { entries, totalCount }
}

function entryOf({ path, partitionValues, size, stats, deletionVector, modificationTime }: Add): FileEntry {
  return {
    path,
    partitionValues,
    sizeBytes: size,
    rows: stats === undefined ? null : (parseStatistics(stats)?.numRecords ?? null),
    deletedRows: deletionVector?.cardinality ?? 0,
    modificationTime,
  }
}

const FILE_COLUMNS: readonly TextColumn[] = [
  { header: 'file', align: 'left' },
  { header: 'partition', align: 'left' },
  { header: 'rows', align: 'right' },
  { header: 'deleted', align: 'right' },
  { header: 'size', align: 'right' },
  { header: 'written', align: 'left' },
]

export function formatFiles({ entries, totalCount }: FileListing, width: number | undefined): string {
  const rows = entries.map(e => [
    e.path,
    Object.entries(e.partitionValues)
      .map(([name, value]) => `${name}=${value ?? 'null'}`)
      .join(', ') || '–',
    e.rows === null ? '–' : formatCount(e.rows),
    e.deletedRows === 0 ? '–' : formatCount(e.deletedRows),
    formatBytes(e.sizeBytes),
    formatTime(e.modificationTime),
  ])
  const more = totalCount - entries.length
  const rest =
    more === 0 ? '' : `… ${formatCount(more)} more of ${formatCount(totalCount)} (--limit shows more)\n`
  return formatTable(FILE_COLUMNS, rows, width) + rest
}

const SCHEMA_COLUMNS: readonly TextColumn[] = [
  { header: 'column', align: 'left' },
  { header: 'type', align: 'left' },
  { header: 'null', align: 'left' },
  { header: 'metadata', align: 'left' },
]

/** Every column, the fields of structs below their struct. */
export function formatSchema(
  schema: StructType,
  partitionColumns: readonly string[],
  width: number | undefined,
): string {
  return formatTable(SCHEMA_COLUMNS, [...schemaRows(schema.fields, partitionColumns, '')], width)
}

function* schemaRows(
  fields: readonly StructField[],
  partitionColumns: readonly string[],
  indent: string,
): Generator<string[]> {
  for (const { name, type, nullable, metadata } of fields) {
    const notes = Object.entries(metadata).map(([key, value]) => `${key}: ${JSON.stringify(value)}`)
    if (partitionColumns.includes(name)) notes.unshift('partition column')
    yield [
      `${indent}${name}`,
      type.kind === 'struct' ? 'struct' : formatDataType(type),
      nullable ? 'yes' : 'no',
      notes.join(', '),
    ]
    if (type.kind === 'struct') yield* schemaRows(type.fields, [], `${indent}  `)
  }
}
