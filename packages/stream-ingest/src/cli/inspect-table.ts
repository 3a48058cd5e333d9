/**
 * `stream-ingest inspect table`: what a table is and holds, from its log alone.
 *
 * @module
 */
import {
  type Action,
  type CommitInfo,
  formatDataType,
  formatJson,
  parseJson,
  readCommit,
  type Snapshot,
} from '@stream-ingest/delta'
import { EXIT_CODES } from '../error.ts'
import { formatBytes, formatCount, formatDuration, formatTime } from '../observe/format.ts'
import { type ColumnSummary, type FileSummary, FileSummaryBuilder } from './column-summary.ts'
import { type CommandIo, writeText } from './command-io.ts'
import { formatJsonDocument } from './json-document.ts'
import { openTable, type TableOptions } from './open-table.ts'
import { FILES_DEFAULT, formatFiles, formatSchema, listFiles } from './table-files.ts'
import { formatHistory, HISTORY_DEFAULT, readActions, readHistory } from './table-history.ts'
import { formatTable, type TextColumn } from './text-table.ts'

export interface InspectTableOptions extends TableOptions {
  readonly history?: boolean
  readonly files?: boolean
  readonly schema?: boolean
  readonly offsets?: boolean
  /** The version whose actions are shown. */
  readonly action?: number
  /** Of versions and of files. */
  readonly limit?: number
  readonly json?: boolean
}

/** Commits that are read, from the newest back, to learn the names of the topics behind the offsets. */
const COMMITS_SEARCHED_MAX = 20
/** Offsets that are listed one by one. */
const OFFSETS_SHOWN_MAX = 20

/**
 * Prints the table's version, protocol, files, columns and offsets; or, with options, the parts that they name. With
 * `json` the parts are added to the document.
 *
 * @param table path, URI or configuration file
 * @returns the exit code
 */
export async function inspectTableCommand(
  table: string,
  options: InspectTableOptions,
  io: CommandIo,
): Promise<number> {
  const { snapshot, close } = await openTable(table, options, io)
  try {
    const files = await summariseFiles(snapshot)
    const commit = await readCommit(snapshot.store, snapshot.version)
    const timestampMs = await versionTimestampMs(snapshot, commit)
    if (options.json === true) {
      const document = {
        ...inspectDocument(snapshot, files, timestampMs),
        ...(await partsDocument(snapshot, options)),
      }
      await writeText(io.stdout, formatJsonDocument(document))
      return EXIT_CODES.ok
    }
    const topics = await topicNames(snapshot, commit)
    const parts = await formatParts(snapshot, topics, options, io)
    await writeText(
      io.stdout,
      parts.length === 0
        ? formatOverview(snapshot, files, timestampMs, topics, io)
        : [formatHead(snapshot, files, timestampMs, io.runtime.now()), ...parts].join('\n'),
    )
    return EXIT_CODES.ok
  } finally {
    await close()
  }
}

async function summariseFiles(snapshot: Snapshot): Promise<FileSummary> {
  const builder = new FileSummaryBuilder(snapshot.state)
  for await (const file of snapshot.files()) builder.add(file)
  return builder.summary()
}

/** In-commit time, else what the writer noted, else when the commit's file came to the store; epoch milliseconds. */
async function versionTimestampMs(
  { state, store, version }: Snapshot,
  commit: readonly Action[] | null,
): Promise<number | null> {
  const noted = state.inCommitTimestampMs ?? commitInfoOf(commit)?.timestamp
  if (noted !== undefined) return noted
  const name = String(version).padStart(20, '0')
  return (await store.head(`_delta_log/${name}.json`))?.lastModifiedMs ?? null
}

/** What the options ask for, in the order of the help. */
async function formatParts(
  snapshot: Snapshot,
  topics: ReadonlyMap<string, string>,
  options: InspectTableOptions,
  io: CommandIo,
): Promise<string[]> {
  const width = widthOf(io)
  const { schema, metadata } = snapshot.state
  const parts: string[] = []
  if (options.history === true) {
    parts.push(formatHistory(await readHistory(snapshot, options.limit ?? HISTORY_DEFAULT), width))
  }
  if (options.files === true) {
    parts.push(formatFiles(await listFiles(snapshot, options.limit ?? FILES_DEFAULT), width))
  }
  if (options.schema === true) parts.push(formatSchema(schema, metadata.partitionColumns, width))
  if (options.offsets === true) {
    const offsets = formatOffsets(snapshot, topics, width, Number.POSITIVE_INFINITY)
    parts.push(...(offsets.length === 0 ? ['no offsets\n'] : offsets))
  }
  if (options.action !== undefined) {
    const actions = await readActions(snapshot, options.action)
    parts.push(actions.map(action => `${formatJson(action)}\n`).join(''))
  }
  return parts
}

/** Empty where no option asks for more. */
async function partsDocument(
  snapshot: Snapshot,
  options: InspectTableOptions,
): Promise<Record<string, unknown>> {
  const parts: Record<string, unknown> = {}
  if (options.history === true) {
    const { entries, isCleaned } = await readHistory(snapshot, options.limit ?? HISTORY_DEFAULT)
    parts.history = entries
    parts.historyCleaned = isCleaned
  }
  if (options.files === true) {
    parts.fileList = (await listFiles(snapshot, options.limit ?? FILES_DEFAULT)).entries
  }
  if (options.action !== undefined) parts.actions = await readActions(snapshot, options.action)
  return parts
}

/** Of the terminal; a pipe has none. */
function widthOf({ stdout }: CommandIo): number | undefined {
  return stdout.isTTY === true ? stdout.columns : undefined
}

/** The form of this document is a promise: fields are only ever added. */
function inspectDocument(
  { state, store }: Snapshot,
  files: FileSummary,
  timestampMs: number | null,
): Record<string, unknown> {
  const { protocol, metadata } = state
  return {
    uri: store.uri,
    version: state.version,
    timestamp: timestampMs,
    protocol: {
      minReaderVersion: protocol.minReaderVersion,
      minWriterVersion: protocol.minWriterVersion,
      readerFeatures: protocol.readerFeatures ?? [],
      writerFeatures: protocol.writerFeatures ?? [],
    },
    rows: files.rows,
    files: files.fileCount,
    sizeBytes: files.sizeBytes,
    partitionColumns: metadata.partitionColumns,
    schema: parseJson(metadata.schemaString),
    properties: metadata.configuration,
    checkpointVersion: state.checkpointVersion,
    txns: [...state.txns.values()].map(({ appId, version, lastUpdated }) => ({
      appId,
      version,
      lastUpdated: lastUpdated ?? null,
    })),
  }
}

function formatOverview(
  snapshot: Snapshot,
  files: FileSummary,
  timestampMs: number | null,
  topics: ReadonlyMap<string, string>,
  io: CommandIo,
): string {
  const width = widthOf(io)
  return [
    formatHead(snapshot, files, timestampMs, io.runtime.now()),
    formatColumns(files.columns, width),
    ...formatOffsets(snapshot, topics, width, OFFSETS_SHOWN_MAX),
  ].join('\n')
}

function formatHead(
  { state, store, tombstones }: Snapshot,
  files: FileSummary,
  timestampMs: number | null,
  nowMs: number,
): string {
  const { protocol, metadata, checkpointVersion, version } = state
  const when =
    timestampMs === null
      ? ''
      : `   ${formatTime(timestampMs)} (${formatDuration(Math.max(0, nowMs - timestampMs))} ago)`
  const features = [...new Set([...(protocol.readerFeatures ?? []), ...(protocol.writerFeatures ?? [])])]
  const mean = files.fileCount === 0 ? 0 : files.sizeBytes / files.fileCount
  const sizes =
    files.fileCount === 0
      ? ''
      : ` (mean ${formatBytes(mean)}, p50 ${formatBytes(files.medianSizeBytes)}, min ${formatBytes(files.minSizeBytes)})`
  const values = files.partitionCount === null ? '' : ` (${countOf(files.partitionCount, 'value')})`
  const partitioning =
    metadata.partitionColumns.length === 0
      ? 'not partitioned'
      : `partitioned by ${metadata.partitionColumns.join(', ')}${values}`
  const checkpoint =
    checkpointVersion === null
      ? 'no checkpoint'
      : `checkpoint ${formatCount(checkpointVersion)} (${countOf(version - checkpointVersion, 'commit')} behind)`
  const rows = files.rows === null ? 'not known (files without statistics)' : formatCount(files.rows)
  return [
    store.uri,
    `Delta table   version ${version}${when}   protocol ${protocol.minReaderVersion}/${protocol.minWriterVersion}`,
    `rows ${rows}   files ${formatCount(files.fileCount)}${sizes}   size ${formatBytes(files.sizeBytes)}`,
    `${partitioning}   ${checkpoint}   tombstones ${formatCount(tombstones.length)}`,
    ...(features.length === 0 ? [] : [`features ${features.join(', ')}`]),
    '',
  ].join('\n')
}

const COLUMN_COLUMNS: readonly TextColumn[] = [
  { header: 'column', align: 'left' },
  { header: 'type', align: 'left' },
  { header: 'nulls', align: 'left' },
  { header: 'min', align: 'left' },
  { header: 'max', align: 'left' },
]

function formatColumns(columns: readonly ColumnSummary[], width: number | undefined): string {
  const rows = columns.map(({ name, type, nullShare, min, max }) => [
    name,
    formatDataType(type),
    nullShare === null ? '–' : formatShare(nullShare),
    min ?? '–',
    max ?? '–',
  ])
  return formatTable(COLUMN_COLUMNS, rows, width)
}

const OFFSET_COLUMNS: readonly TextColumn[] = [
  { header: 'written by (txn)', align: 'left' },
  { header: 'next offset', align: 'right' },
  { header: 'last updated', align: 'left' },
]

/** Empty where the table holds no offsets. */
function formatOffsets(
  { state }: Snapshot,
  topics: ReadonlyMap<string, string>,
  width: number | undefined,
  shownMax: number,
): string[] {
  const txns = [...state.txns.values()].toSorted((a, b) => compareAppIds(a.appId, b.appId))
  if (txns.length === 0) return []
  const rows = txns
    .slice(0, shownMax)
    .map(({ appId, version, lastUpdated }) => [
      describeApp(appId, topics),
      formatCount(version),
      lastUpdated === undefined ? '–' : formatTime(lastUpdated),
    ])
  const more = txns.length - rows.length
  const rest = more === 0 ? '' : `… ${formatCount(more)} more (--offsets lists all)\n`
  return [formatTable(OFFSET_COLUMNS, rows, width) + rest]
}

/** `<pipeline>:<topic id>:<partition>`, the form of the offsets that this product commits. */
const APP_ID = /^(.*):([^:]+):(\d+)$/s

function describeApp(appId: string, topics: ReadonlyMap<string, string>): string {
  const [, pipeline, topicId, partition] = APP_ID.exec(appId) ?? []
  const topic = topicId === undefined ? undefined : topics.get(topicId)
  return topic === undefined ? appId : `${pipeline} / ${topic}[${partition}]`
}

/** Partitions in the order of their numbers. */
function compareAppIds(a: string, b: string): number {
  const [, , , left] = APP_ID.exec(a) ?? []
  const [, , , right] = APP_ID.exec(b) ?? []
  const prefixA = a.slice(0, a.length - (left?.length ?? 0))
  const prefixB = b.slice(0, b.length - (right?.length ?? 0))
  if (prefixA !== prefixB) return prefixA < prefixB ? -1 : 1
  return Number(left ?? 0) - Number(right ?? 0)
}

/** By topic id: each commit of this product says what its topics are called. */
async function topicNames(
  { state, store, version }: Snapshot,
  newest: readonly Action[] | null,
): Promise<ReadonlyMap<string, string>> {
  const wanted = new Set<string>()
  for (const appId of state.txns.keys()) {
    const topicId = APP_ID.exec(appId)?.[2]
    if (topicId !== undefined) wanted.add(topicId)
  }
  const names = new Map<string, string>()
  let commit = newest
  for (let i = 0; i < COMMITS_SEARCHED_MAX && wanted.size > 0 && commit !== null; i++) {
    for (const [topicId, name] of topicsOf(commitInfoOf(commit))) {
      if (wanted.delete(topicId)) names.set(topicId, name)
    }
    const before = version - i - 1
    commit = wanted.size === 0 || before < 0 ? null : await readCommit(store, before)
  }
  return names
}

function commitInfoOf(commit: readonly Action[] | null): CommitInfo | undefined {
  for (const action of commit ?? []) if ('commitInfo' in action) return action.commitInfo
  return undefined
}

/** Free-form metadata: what is not as expected is passed over. */
function topicsOf(info: CommitInfo | undefined): [topicId: string, name: string][] {
  const text = info?.operationParameters?.topics
  if (typeof text !== 'string') return []
  let topics: unknown
  try {
    topics = JSON.parse(text)
  } catch {
    return []
  }
  if (typeof topics !== 'object' || topics === null) return []
  return Object.entries(topics).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
}

/** `0 %`, `0.2 %`, `100 %`; never 0 where there are some, never 100 where some are missing. */
function formatShare(share: number): string {
  if (share === 0 || share === 1) return `${share * 100} %`
  const percent = share * 100
  if (percent < 0.1) return '< 0.1 %'
  return percent > 99.9 ? '> 99.9 %' : `${Number(percent.toFixed(1))} %`
}

function countOf(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`
}
