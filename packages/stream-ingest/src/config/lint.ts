/**
 * What is allowed and seldom meant: warnings on a pipeline that is otherwise sound.
 *
 * A lint says what will happen, with figures, and what to write instead. None of them fires on a setting that is not in
 * the file.
 *
 * @module
 */
import type { DeltaReading } from './delta-section.ts'
import type { DiagnosticSink } from './diagnostic.ts'
import { formatDuration } from './field-type.ts'
import type { FreshnessReading } from './freshness-section.ts'
import type { PipelineConfig } from './ingest-config.ts'
import type { ProcessingReading } from './processing-section.ts'

const MS_PER_DAY = 86_400_000
/** More commits a day than this make files that nobody likes to read: one in ten seconds. */
const COMMITS_A_DAY_MAX = 8640
/** Delta's own default: readers and writers that took longer lose files under their hands. */
const RETENTION_USUAL_MS = 7 * MS_PER_DAY
/** Types with a value of its own for nearly every row. */
const HARDLY_REPEATED = new Set(['timestamp', 'timestamp_ntz', 'double', 'float', 'binary'])

export interface PipelineReadings {
  readonly delta: DeltaReading
  readonly processing: ProcessingReading
  readonly freshness: FreshnessReading | null
}

export function lintPipeline(config: PipelineConfig, readings: PipelineReadings, sink: DiagnosticSink): void {
  lintSmallFiles(config, readings, sink)
  lintFileSize(config, readings, sink)
  lintRetention(config, readings, sink)
  lintPartitionColumns(config, readings, sink)
  lintFreshness(config, readings, sink)
  const { delta, processing } = readings
  if (config.processing.dryRun) {
    sink.warn(
      'CONFIG_DRY_RUN',
      processing.spanOf('dry_run'),
      'nothing is written and no offset is committed, by any run of this file',
      { help: 'for a single run there is `stream-ingest run --dry-run`' },
    )
  }
  if (config.delta.vacuum !== undefined && config.delta.writeMode === 'overwrite') {
    sink.warn(
      'CONFIG_CONFLICT',
      delta.spanOf('vacuum'),
      'a run that replaces the table ends before its care is due',
      {
        help: 'remove `vacuum`, and run `stream-ingest vacuum` from time to time',
      },
    )
  }
}

function lintSmallFiles(
  { delta, processing }: PipelineConfig,
  readings: PipelineReadings,
  sink: DiagnosticSink,
): void {
  const commits = Math.floor(MS_PER_DAY / processing.batchTimeoutMs)
  if (commits <= COMMITS_A_DAY_MAX || delta.optimize !== undefined) return
  const files = commits.toLocaleString('en-US')
  sink.warn(
    'CONFIG_SMALL_FILES',
    readings.processing.spanOf('batch_timeout_ms'),
    `a commit every ${formatDuration(processing.batchTimeoutMs)} writes up to ${files} files a day for each partition of the table`,
    {
      help: 'raise `batch_timeout_ms`, or let the running process compact them: `delta.optimize: { every: 1h }`',
    },
  )
}

function lintFileSize(
  { delta, processing }: PipelineConfig,
  readings: PipelineReadings,
  sink: DiagnosticSink,
): void {
  if (!readings.delta.has('target_file_size') || delta.targetFileSizeBytes <= processing.memoryLimitBytes)
    return
  sink.warn(
    'CONFIG_CONFLICT',
    readings.delta.spanOf('target_file_size'),
    'no file becomes this large: a commit is made when `processing.memory_limit` is filled, which is less',
    { help: 'lower the one, or raise the other; `delta.optimize` makes larger files of smaller ones' },
  )
}

function lintRetention(
  { delta, processing }: PipelineConfig,
  readings: PipelineReadings,
  sink: DiagnosticSink,
): void {
  const retentionMs = delta.vacuum?.retentionMs
  if (retentionMs === undefined) return
  const span = readings.delta.spanOf('vacuum')
  if (retentionMs <= processing.batchTimeoutMs * 2) {
    sink.warn(
      'CONFIG_SHORT_RETENTION',
      span,
      `files are deleted after ${formatDuration(retentionMs)}, and a commit alone may take ${formatDuration(processing.batchTimeoutMs)}`,
      { help: 'keep files for several days' },
    )
  } else if (retentionMs < RETENTION_USUAL_MS) {
    sink.warn(
      'CONFIG_SHORT_RETENTION',
      span,
      `files are deleted ${formatDuration(retentionMs)} after they left the table: queries that take longer fail, and older versions cannot be read`,
      { help: 'Delta keeps them for 168h; less is safe where no reader and no other writer takes longer' },
    )
  }
}

function lintPartitionColumns(
  { delta }: PipelineConfig,
  readings: PipelineReadings,
  sink: DiagnosticSink,
): void {
  for (const name of delta.partitionColumns) {
    const type = delta.schema?.fields.find(field => field.name === name)?.type
    if (type?.kind !== 'primitive' || !HARDLY_REPEATED.has(type.name)) continue
    sink.warn(
      'CONFIG_PARTITION_COLUMN',
      readings.delta.spanOf('partition_columns'),
      `each value of \`${name}\` becomes a directory with files of its own, and a ${type.name} hardly ever repeats`,
      {
        help: `derive a coarser column: \`derive: { ${name}_date: { from: ${name}, as: date } }\`, and partition by that`,
      },
    )
  }
}

function lintFreshness(
  { processing, freshness }: PipelineConfig,
  readings: PipelineReadings,
  sink: DiagnosticSink,
): void {
  const errorAfterMs = freshness?.errorAfterMs ?? freshness?.warnAfterMs
  if (readings.freshness === null || errorAfterMs === undefined || errorAfterMs > processing.batchTimeoutMs)
    return
  const key = freshness?.errorAfterMs === undefined ? 'warn_after' : 'error_after'
  sink.warn(
    'CONFIG_CONFLICT',
    readings.freshness.spanOf(key),
    `messages may wait ${formatDuration(processing.batchTimeoutMs)} for a commit (\`batch_timeout_ms\`), so \`status\` calls a sound pipeline stale`,
    { help: 'raise the one, or lower the other' },
  )
}
