/**
 * The status of pipelines as text: a line for each, and below them what a line has no room for.
 *
 * @module
 */
import type { FreshnessConfig } from '../config/ingest-config.ts'
import { formatCount, formatDuration, formatNumberOf } from '../observe/format.ts'
import type { PartitionStatus, PipelineStatus } from '../pipeline/pipeline-status.ts'
import type { Reconciliation } from '../pipeline/reconciliation.ts'
import type { StatusReport } from '../pipeline/status-report.ts'
import type { CommandIo } from './command-io.ts'
import { formatTable, type TextColumn } from './text-table.ts'

/** What is known of a pipeline, and what is to be thought of it. */
export interface Report extends StatusReport {
  readonly topics: readonly string[]
  readonly limits: FreshnessConfig
  /** Behind, and older than `limits.errorAfterMs`. */
  readonly isStale: boolean
  /** Behind, and older than `limits.warnAfterMs`. */
  readonly isLate: boolean
}

export interface ReportOptions {
  readonly partitions?: boolean
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

export function formatReports(reports: readonly Report[], options: ReportOptions, io: CommandIo): string {
  const nowMs = io.runtime.now()
  const width = io.stdout.isTTY === true ? io.stdout.columns : undefined
  const rows = reports.map(one => [
    one.status.name,
    one.topics.join(', '),
    one.status.lag === null ? '?' : formatCount(one.status.lag),
    ago(one.status.newestRecordMs, nowMs),
    freshnessText(one),
    commitText(one.status, nowMs),
    one.status.table,
  ])
  const lines = [formatTable(COLUMNS, rows, width)]
  for (const one of reports) lines.push(...notes(one, options, width))
  const pipelines = formatNumberOf(reports.length, 'pipeline')
  const stale = reports.filter(({ isStale }) => isStale).length
  if (stale > 0) lines.push(`${stale} of ${pipelines} stale\n`)
  const failed = reports.filter(({ status }) => status.errors.length > 0).length
  if (failed > 0) lines.push(`${failed} of ${pipelines} with errors\n`)
  return lines.join('')
}

function freshnessText({ status, limits, isStale, isLate }: Report): string {
  const { warnAfterMs, errorAfterMs } = limits
  if (status.lag === null) return 'unknown'
  if (status.lag === 0n) return 'ok (caught up)'
  if (isStale) return `ERROR (> ${formatLimit(errorAfterMs!)})`
  if (isLate) return `WARN (> ${formatLimit(warnAfterMs!)})`
  const limitMs = warnAfterMs ?? errorAfterMs
  return limitMs === undefined ? 'behind' : `ok (< ${formatLimit(limitMs)})`
}

/** `10 m`, not `10 m 0 s`. */
function formatLimit(ms: number): string {
  return formatDuration(ms).replace(/ 0 [a-z]+$/, '')
}

function commitText({ version, lastCommitVersion, lastCommitAtMs }: PipelineStatus, nowMs: number): string {
  if (version === null) return '–'
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
  options: ReportOptions,
  width: number | undefined,
): Generator<string> {
  const { name, version, errors, partitions, unknownTopicIds } = status
  for (const { code, message, hint } of errors) {
    yield `${name}  ${code}: ${message}\n${hint === '' ? '' : `  = help: ${hint}\n`}`
  }
  if (version === null && errors.length === 0) {
    yield `${name}  there is no table yet: the first run creates it\n`
  }
  const lost = sumOf(partitions, 'lost')
  if (lost !== null) {
    yield `${name}  ${formatNumberOf(lost.offsets, 'message')} of ${formatNumberOf(lost.partitions, 'partition')} gone from Kafka before they were read (retention)\n`
  }
  const ahead = sumOf(partitions, 'ahead')
  if (ahead !== null) {
    yield `${name}  the table is ${formatNumberOf(ahead.offsets, 'offset')} ahead of ${formatNumberOf(ahead.partitions, 'partition')}: the log in Kafka was cut off, and the next run stops there\n`
  }
  const fresh = partitions.filter(({ isInTable }) => !isInTable).length
  if (fresh > 0 && version !== null) {
    yield `${name}  ${formatNumberOf(fresh, 'partition')} without an offset in the table\n`
  }
  if (unknownTopicIds.length > 0) {
    yield `${name}  the table holds offsets of a topic that is not there any more (id ${unknownTopicIds.join(', ')}): it was deleted, or created again\n`
  }
  if (options.partitions === true && partitions.length > 0) yield formatPartitions(partitions, width)
  if (reconciliation !== null) yield* reconciliationNotes(name, reconciliation)
}

/** Null where there are none. */
function sumOf(
  partitions: readonly PartitionStatus[],
  field: 'lost' | 'ahead',
): { offsets: bigint; partitions: number } | null {
  const values = partitions.flatMap(partition => {
    const value = partition[field]
    return value === null || value === 0n ? [] : [value]
  })
  if (values.length === 0) return null
  return { offsets: values.reduce((total, value) => total + value, 0n), partitions: values.length }
}

const PARTITION_COLUMNS: readonly TextColumn[] = [
  { header: 'partition', align: 'left' },
  { header: 'next offset', align: 'right' },
  { header: 'end offset', align: 'right' },
  { header: 'lag', align: 'right' },
]

function formatPartitions(partitions: readonly PartitionStatus[], width: number | undefined): string {
  const rows = partitions.map(({ topic, partition, nextOffset, endOffset, lag, isInTable }) => [
    `${topic}[${partition}]`,
    `${countOrUnknown(nextOffset)}${isInTable ? '' : ' (not in the table)'}`,
    countOrUnknown(endOffset),
    countOrUnknown(lag),
  ])
  return formatTable(PARTITION_COLUMNS, rows, width)
}

function countOrUnknown(count: bigint | null): string {
  return count === null ? '?' : formatCount(count)
}

function* reconciliationNotes(name: string, sums: Reconciliation): Generator<string> {
  const { consumed, rows, badRecords, quarantined, skipped, filtered, isWhole, fromVersion, toVersion } = sums
  const range = isWhole ? `all versions up to v${toVersion}` : `v${fromVersion} to v${toVersion}`
  const bad = `${formatCount(badRecords)} bad${quarantined === 0n ? '' : ` (${formatCount(quarantined)} in quarantine)`}`
  const sum = `${formatCount(rows)} rows + ${bad} + ${formatCount(skipped)} skipped + ${formatCount(filtered)} filtered`
  const isEqual = consumed === rows + badRecords + skipped + filtered
  yield `${name}  ${range}: ${formatNumberOf(consumed, 'message')} consumed ${isEqual ? '=' : '≠'} ${sum}\n`
  const { rowsInFiles, repeated, passedOver, uncounted } = sums
  if (rowsInFiles !== null && rowsInFiles !== rows) {
    yield `${name}  the files of these commits hold ${formatNumberOf(rowsInFiles, 'row')}, by their statistics\n`
  }
  if (uncounted > 0)
    yield `${name}  ${formatNumberOf(uncounted, 'commit')} in no sum: they do not tell what stands behind their files\n`
  if (repeated > 0n)
    yield `${name}  ${formatNumberOf(repeated, 'offset')} moved back over by hand: their rows may be there more than once\n`
  if (passedOver > 0n)
    yield `${name}  ${formatNumberOf(passedOver, 'offset')} passed over by hand: never consumed\n`
}
