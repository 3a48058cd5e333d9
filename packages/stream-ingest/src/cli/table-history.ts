/**
 * The history of a table, and the actions of one commit, for `inspect table`.
 *
 * @module
 */
import {
  type Action,
  type CommitInfo,
  DeltaLakeError,
  formatAction,
  parseJson,
  readCommit,
  type Snapshot,
} from '@stream-ingest/delta'
import { formatBytes, formatCount, formatTime } from '../observe/format.ts'
import { formatTable, type TextColumn } from './text-table.ts'

/** Versions that are shown where nobody says how many. */
export const HISTORY_DEFAULT = 20

/** One version. `null` where the commit does not say. */
export interface HistoryEntry {
  readonly version: number
  /** Epoch milliseconds. */
  readonly timestamp: number | null
  readonly operation: string | null
  readonly operationParameters: Readonly<Record<string, unknown>>
  readonly filesAdded: number
  readonly filesRemoved: number
  readonly bytesAdded: number
  /** By the commit's own count. */
  readonly rows: number | null
  readonly engine: string | null
}

export interface History {
  /** The newest first. */
  readonly entries: readonly HistoryEntry[]
  /** The log does not hold the version before the last of `entries` any more. */
  readonly isCleaned: boolean
}

/** The newest `limit` versions up to the snapshot's: one request each. */
export async function readHistory({ store, version }: Snapshot, limit: number): Promise<History> {
  const entries: HistoryEntry[] = []
  for (let v = version; v >= 0 && entries.length < limit; v--) {
    const commit = await readCommit(store, v)
    if (commit === null) return { entries, isCleaned: true }
    entries.push(entryOf(v, commit))
  }
  return { entries, isCleaned: false }
}

function entryOf(version: number, commit: readonly Action[]): HistoryEntry {
  let info: CommitInfo = {}
  let filesAdded = 0
  let filesRemoved = 0
  let bytesAdded = 0
  for (const action of commit) {
    if ('commitInfo' in action) info = action.commitInfo
    else if ('remove' in action) filesRemoved++
    else if ('add' in action) {
      filesAdded++
      bytesAdded += action.add.size
    }
  }
  const rows = Number(info.operationMetrics?.numOutputRows ?? Number.NaN)
  return {
    version,
    timestamp: info.inCommitTimestamp ?? info.timestamp ?? null,
    operation: info.operation ?? null,
    operationParameters: info.operationParameters ?? {},
    filesAdded,
    filesRemoved,
    bytesAdded,
    rows: Number.isSafeInteger(rows) ? rows : null,
    engine: info.engineInfo ?? null,
  }
}

const COLUMNS: readonly TextColumn[] = [
  { header: 'version', align: 'right' },
  { header: 'time', align: 'left' },
  { header: 'operation', align: 'left' },
  { header: 'rows', align: 'right' },
  { header: 'files', align: 'right' },
  { header: 'bytes', align: 'right' },
  { header: 'by', align: 'left' },
]

export function formatHistory({ entries, isCleaned }: History, width: number | undefined): string {
  const rows = entries.map(e => [
    String(e.version),
    e.timestamp === null ? '–' : formatTime(e.timestamp),
    e.operation ?? '–',
    e.rows === null ? '–' : formatCount(e.rows),
    e.filesRemoved === 0
      ? `+${formatCount(e.filesAdded)}`
      : `+${formatCount(e.filesAdded)} −${formatCount(e.filesRemoved)}`,
    formatBytes(e.bytesAdded),
    e.engine ?? '–',
  ])
  const oldest = entries.at(-1)?.version ?? 0
  const rest = isCleaned
    ? 'older versions were cleaned away\n'
    : oldest > 0
      ? `… ${formatCount(oldest)} older (--limit shows more)\n`
      : ''
  return formatTable(COLUMNS, rows, width) + rest
}

/**
 * The actions of one commit, as the log has them.
 *
 * @throws DeltaLakeError `DELTA_VERSION_NOT_FOUND`
 */
export async function readActions({ store }: Snapshot, version: number): Promise<readonly unknown[]> {
  const commit = await readCommit(store, version)
  if (commit === null) {
    throw new DeltaLakeError(
      'DELTA_VERSION_NOT_FOUND',
      `the log of ${store.uri} holds no commit of version ${version}`,
      { context: { table: store.uri, version } },
    )
  }
  return commit.map(action => parseJson(formatAction(action)))
}
