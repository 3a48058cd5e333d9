/**
 * `stream-ingest status`: how far behind, and since when, asked from the tables and from Kafka.
 *
 * @module
 */
import type { IngestConfig } from '../config/config.ts'
import type { FreshnessConfig, PipelineConfig } from '../config/ingest-config.ts'
import { ConfigError, EXIT_CODES } from '../error.ts'
import { formatTime } from '../observe/format.ts'
import { StreamIngestProcessor } from '../pipeline/stream-ingest-processor.ts'
import { type CommandIo, writeText } from './command-io.ts'
import { errorDocument } from './error-report.ts'
import { formatJsonDocument } from './json-document.ts'
import { formatReports, type Report } from './status-text.ts'
import { stoppable } from './stoppable.ts'

export interface StatusOptions {
  /** Exit 1 where the newest row of a table that is behind is older; in place of `freshness.error_after`. */
  readonly staleAfterMs?: number
  /** Every partition of its own. */
  readonly partitions?: boolean
  /** What became of the messages behind each commit. */
  readonly reconcile?: boolean
  /** Again and again, with this pause. */
  readonly watchMs?: number
  readonly json?: boolean
}

/** Goes to the corner of the screen and clears it. */
const CLEAR = '\x1b[H\x1b[2J'

/**
 * Prints the status of each pipeline. Watched, it does so again and again: a document for each look with `json`, a painted
 * screen on a terminal, a block with its time elsewhere.
 *
 * @returns the exit code: 1 where one is stale, could not be asked, or does not add up
 * @throws ConfigError `CONFIG_USAGE`
 */
export async function statusCommand(
  config: IngestConfig,
  options: StatusOptions,
  io: CommandIo,
): Promise<number> {
  const processor = new StreamIngestProcessor(config, { runtime: io.runtime })
  const { watchMs, json = false } = options
  if (watchMs !== undefined && watchMs < 1) {
    throw new ConfigError('CONFIG_USAGE', '`--watch` needs a pause between two looks', {
      hint: 'such as `--watch 5s`',
    })
  }
  const look = async (signal?: AbortSignal): Promise<readonly Report[]> => {
    const found = await processor.status({
      reconcile: options.reconcile === true,
      ...(signal === undefined ? {} : { signal }),
    })
    return found.map((report, i) => judge(config.pipelines[i]!, report, options.staleAfterMs))
  }
  const format = (reports: readonly Report[]): string =>
    json ? formatJsonDocument(statusDocument(reports)) : formatReports(reports, options, io)
  if (watchMs === undefined) {
    const reports = await look()
    await writeText(io.stdout, format(reports))
    return reports.every(isOk) ? EXIT_CODES.ok : EXIT_CODES.negative
  }
  const watch = async (signal: AbortSignal): Promise<never> => {
    for (;;) {
      const reports = await look(signal)
      signal.throwIfAborted()
      await writeText(io.stdout, json ? format(reports) : framed(format(reports), io))
      await delayOrStop(io, watchMs, signal)
    }
  }
  await stoppable(io, watch, '')
  return EXIT_CODES.interrupted
}

/** The runtime's own delay may reject with an error that wraps the reason. */
async function delayOrStop(io: CommandIo, ms: number, signal: AbortSignal): Promise<void> {
  try {
    await io.runtime.delay(ms, signal)
  } catch (error) {
    signal.throwIfAborted()
    throw error
  }
}

function framed(text: string, { stdout, runtime }: CommandIo): string {
  const head = `${formatTime(runtime.now())}\n`
  // Painted in one go, once everything is known: the screen is never empty.
  return stdout.isTTY === true ? `${CLEAR}${head}${text}` : `${head}${text}\n`
}

function judge(
  { name: _, kafka, freshness = {} }: PipelineConfig,
  { status, reconciliation }: Pick<Report, 'status' | 'reconciliation'>,
  staleAfterMs: number | undefined,
): Report {
  const limits: FreshnessConfig =
    staleAfterMs === undefined
      ? freshness
      : { errorAfterMs: staleAfterMs, ...warningBelow(freshness, staleAfterMs) }
  const { lag, freshnessMs } = status
  const isOver = (limitMs: number | undefined): boolean => {
    if (limitMs === undefined || lag === null || lag === 0n) return false
    // Behind, and no commit tells since when.
    return freshnessMs === null || freshnessMs > limitMs
  }
  return {
    status,
    reconciliation,
    topics: kafka.topics,
    limits,
    isStale: isOver(limits.errorAfterMs),
    isLate: isOver(limits.warnAfterMs),
  }
}

function warningBelow({ warnAfterMs }: FreshnessConfig, errorAfterMs: number): FreshnessConfig {
  return warnAfterMs === undefined || warnAfterMs > errorAfterMs ? {} : { warnAfterMs }
}

function isOk({ status, reconciliation, isStale }: Report): boolean {
  return status.errors.length === 0 && !isStale && reconciliation?.isBalanced !== false
}

/** The form of this document is a promise: fields are only ever added. */
function statusDocument(reports: readonly Report[]): unknown {
  return { ok: reports.every(isOk), pipelines: reports.map(pipelineDocument) }
}

function pipelineDocument({ status, topics, reconciliation, limits, isStale, isLate }: Report): unknown {
  const errors = status.errors.map(error => errorDocument(error).error)
  return {
    name: status.name,
    topics,
    table: status.table,
    version: status.version,
    lastCommitAt: isoTime(status.lastCommitAtMs),
    lastCommitVersion: status.lastCommitVersion,
    newestRecordAt: isoTime(status.newestRecordMs),
    freshnessSeconds: status.freshnessMs === null ? null : Math.round(status.freshnessMs / 1000),
    warnAfterSeconds: secondsOf(limits.warnAfterMs),
    errorAfterSeconds: secondsOf(limits.errorAfterMs),
    late: isLate,
    stale: isStale,
    lag: status.lag,
    partitions: status.partitions.map(({ isInTable, ...partition }) => ({
      ...partition,
      inTable: isInTable,
    })),
    unknownTopicIds: status.unknownTopicIds,
    ...(reconciliation === null ? {} : { reconciliation: reconciliationDocument(reconciliation) }),
    error: errors[0] ?? null,
    errors,
  }
}

function reconciliationDocument({
  isWhole,
  isBalanced,
  ...sums
}: NonNullable<Report['reconciliation']>): unknown {
  return { ...sums, whole: isWhole, balanced: isBalanced }
}

function secondsOf(ms: number | undefined): number | null {
  return ms === undefined ? null : ms / 1000
}

function isoTime(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}
