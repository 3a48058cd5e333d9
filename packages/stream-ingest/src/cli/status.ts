/**
 * `stream-ingest status`: how far behind, and since when, asked from the tables and from Kafka.
 *
 * @module
 */
import type { IngestConfig } from '../config/config.ts'
import { EXIT_CODES } from '../error.ts'
import { formatCount, formatDuration, formatNumberOf } from '../observe/format.ts'
import type { PipelineStatus } from '../pipeline/pipeline-status.ts'
import type { Reconciliation } from '../pipeline/reconciliation.ts'
import { type StatusReport, StreamIngestProcessor } from '../pipeline/stream-ingest-processor.ts'
import { type CommandIo, writeText } from './command-io.ts'
import { formatJsonDocument } from './json-document.ts'
import { stoppable } from './stoppable.ts'
import { formatTable, type TextColumn } from './text-table.ts'

export interface StatusOptions {
  /** Exit 1 where the newest row of a table that is behind is older. */
  readonly staleAfterMs?: number
  /** Every partition of its own. */
  readonly partitions?: boolean
  /** What became of the messages behind each commit. */
  readonly reconcile?: boolean
  /** Again and again, with this pause. */
  readonly watchMs?: number
  readonly json?: boolean
}

interface Report extends StatusReport {
  readonly topics: readonly string[]
  readonly isStale: boolean
}

/** Clears the screen and goes to its corner. */
const CLEAR = '\x1b[H\x1b[2J'

/**
 * Prints the status of each pipeline.
 *
 * @returns the exit code: 1 where one is stale, could not be asked, or does not add up
 */
export async function statusCommand(
  config: IngestConfig,
  options: StatusOptions,
  io: CommandIo,
): Promise<number> {
  const processor = new StreamIngestProcessor(config, { runtime: io.runtime })
  const look = async (): Promise<number> => {
    const found = await processor.status({ reconcile: options.reconcile === true })
    const reports = found.map(
      ({ status, reconciliation }, i): Report => ({
        status,
        reconciliation,
        topics: config.pipelines[i]!.kafka.topics,
        isStale: isStale(status, options.staleAfterMs),
      }),
    )
    await writeText(
      io.stdout,
      options.json === true
        ? formatJsonDocument(statusDocument(reports))
        : formatReports(reports, options, io),
    )
    return reports.every(isOk) ? EXIT_CODES.ok : EXIT_CODES.negative
  }
  const { watchMs } = options
  if (watchMs === undefined) return look()
  const watch = async (signal: AbortSignal): Promise<never> => {
    for (;;) {
      if (io.stdout.isTTY === true) io.stdout.write(CLEAR)
      await look()
      await io.runtime.delay(watchMs, signal)
    }
  }
  const ended = await stoppable(io, watch, '')
  return ended === 'interrupted' ? EXIT_CODES.interrupted : EXIT_CODES.ok
}

function isStale({ lag, freshnessMs }: PipelineStatus, staleAfterMs: number | undefined): boolean {
  if (staleAfterMs === undefined || lag === 0n) return false
  // Behind, and no commit tells since when.
  return lag !== null && (freshnessMs === null || freshnessMs > staleAfterMs)
}

function isOk({ status, reconciliation, isStale }: Report): boolean {
  return status.error === null && !isStale && reconciliation?.isBalanced !== false
}

function statusDocument(reports: readonly Report[]): unknown {
  return {
    ok: reports.every(isOk),
    pipelines: reports.map(({ status, topics, reconciliation, isStale }) => ({
      name: status.name,
      topics,
      table: status.table,
      version: status.version,
      lastCommitAt: isoTime(status.lastCommitAtMs),
      lastCommitVersion: status.lastCommitVersion,
      newestRecordAt: isoTime(status.newestRecordMs),
      freshnessSeconds: status.freshnessMs === null ? null : Math.round(status.freshnessMs / 1000),
      stale: isStale,
      lag: status.lag,
      partitions: status.partitions.map(({ isInTable, ...partition }) => ({
        ...partition,
        inTable: isInTable,
      })),
      unknownTopicIds: status.unknownTopicIds,
      ...(reconciliation === null ? {} : { reconciliation: reconciliationDocument(reconciliation) }),
      error:
        status.error === null
          ? null
          : {
              kind: status.error.kind,
              code: status.error.code,
              message: status.error.message,
              hint: status.error.hint,
              retryable: status.error.isRetryable(),
            },
    })),
  }
}

function reconciliationDocument({ isWhole, isBalanced, ...counts }: Reconciliation): unknown {
  return { ...counts, whole: isWhole, balanced: isBalanced }
}

function isoTime(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}

const COLUMNS: readonly TextColumn[] = [
  { header: 'pipeline', align: 'left' },
  { header: 'topic', align: 'left' },
  { header: 'lag', align: 'right' },
  { header: 'newest row', align: 'right' },
  { header: 'freshness', align: 'left' },
  { header: 'last commit', align: 'right' },
  { header: 'table', align: 'left' },
]

function formatReports(reports: readonly Report[], options: StatusOptions, io: CommandIo): string {
  const nowMs = io.runtime.now()
  const width = io.stdout.isTTY === true ? io.stdout.columns : undefined
  const rows = reports.map(one => [
    one.status.name,
    one.topics.join(', '),
    one.status.lag === null ? '?' : formatCount(one.status.lag),
    ago(one.status.newestRecordMs, nowMs),
    freshnessText(one, options.staleAfterMs),
    commitText(one.status, nowMs),
    one.status.table,
  ])
  const lines = [formatTable(COLUMNS, rows, width)]
  for (const one of reports) lines.push(...notes(one, options, width))
  const stale = reports.filter(({ isStale }) => isStale).length
  if (stale > 0) lines.push(`${stale} of ${formatNumberOf(reports.length, 'pipeline')} stale\n`)
  return lines.join('')
}

function freshnessText({ status, isStale }: Report, staleAfterMs: number | undefined): string {
  if (status.error !== null) return 'unknown'
  if (status.lag === 0n) return 'ok (caught up)'
  if (staleAfterMs === undefined) return 'behind'
  return `${isStale ? 'STALE (>' : 'ok (<'} ${formatDuration(staleAfterMs)})`
}

function commitText({ version, lastCommitVersion, lastCommitAtMs }: PipelineStatus, nowMs: number): string {
  if (version === null) return 'no table'
  if (lastCommitVersion === null) return 'none'
  const age = lastCommitAtMs === null ? '' : `  ${formatDuration(Math.max(0, nowMs - lastCommitAtMs))}`
  return `v${lastCommitVersion}${age}`
}

function ago(ms: number | null, nowMs: number): string {
  return ms === null ? '–' : `${formatDuration(Math.max(0, nowMs - ms))} ago`
}

/** What a line of the table has no room for. */
function* notes(
  { status, reconciliation }: Report,
  options: StatusOptions,
  width: number | undefined,
): Generator<string> {
  const { name, error, partitions, unknownTopicIds } = status
  if (error !== null) yield `${name}  ${error.code}: ${error.message}\n  = help: ${error.hint}\n`
  const lost = partitions.filter(partition => partition.lost > 0n)
  if (lost.length > 0) {
    const sum = lost.reduce((total, partition) => total + partition.lost, 0n)
    yield `${name}  ${formatNumberOf(sum, 'message')} of ${formatNumberOf(lost.length, 'partition')} gone from Kafka before they were read (retention)\n`
  }
  if (unknownTopicIds.length > 0) {
    yield `${name}  the table holds offsets of a topic that is not there any more (id ${unknownTopicIds.join(', ')}): it was deleted, or created again\n`
  }
  if (options.partitions === true && partitions.length > 0) yield formatPartitions(partitions, width)
  if (reconciliation !== null) yield formatReconciliation(name, reconciliation)
}

function formatPartitions(partitions: PipelineStatus['partitions'], width: number | undefined): string {
  const columns: readonly TextColumn[] = [
    { header: 'partition', align: 'left' },
    { header: 'next offset', align: 'right' },
    { header: 'end offset', align: 'right' },
    { header: 'lag', align: 'right' },
  ]
  const rows = partitions.map(({ topic, partition, nextOffset, endOffset, lag, isInTable }) => [
    `${topic}[${partition}]`,
    isInTable ? formatCount(nextOffset) : `${formatCount(nextOffset)} (not read yet)`,
    formatCount(endOffset),
    formatCount(lag),
  ])
  return formatTable(columns, rows, width)
}

function formatReconciliation(name: string, sums: Reconciliation): string {
  const {
    consumed,
    rows,
    badRecords,
    quarantined,
    skipped,
    filtered,
    isBalanced,
    isWhole,
    fromVersion,
    toVersion,
  } = sums
  const range = isWhole ? `all versions up to v${toVersion}` : `v${fromVersion} to v${toVersion}`
  const sum = `${formatCount(rows)} rows + ${formatCount(badRecords)} bad${quarantined > 0n ? ` (${formatCount(quarantined)} in quarantine)` : ''} + ${formatCount(skipped)} skipped + ${formatCount(filtered)} filtered`
  return `${name}  ${range}: ${formatNumberOf(consumed, 'message')} consumed ${isBalanced ? '=' : '≠'} ${sum}\n`
}
