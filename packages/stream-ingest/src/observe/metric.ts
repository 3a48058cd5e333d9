/**
 * The metrics of a running process: what each is.
 *
 * Names are `stream_ingest_<name>_<unit>_[total]`. Labels are bounded by the configuration and by closed lists of this
 * product: never a key, a message or an offset. `process-metrics.ts` makes them from events.
 *
 * @module
 */
import type { MetricDefinition } from './metric-registry.ts'

const PIPELINE = ['pipeline'] as const
const TOPIC = ['pipeline', 'topic'] as const
const PARTITION = ['pipeline', 'topic', 'partition'] as const

/** Of OpenTelemetry's conventions for messaging clients, with two more for what takes longer. */
export const DURATION_BUCKETS_SECONDS: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60,
]

/** Where an error comes from: Kafka, the messages, the table. */
export const ERROR_STAGES = ['receiving', 'processing', 'sending'] as const
export type ErrorStage = (typeof ERROR_STAGES)[number]

export const METRICS = [
  // From Kafka.
  counter(
    'records_read_total',
    'Records that came from Kafka; those that are read again count again.',
    TOPIC,
  ),
  counter('read_bytes_total', 'Bytes of record batches as they came from Kafka, compressed.', TOPIC),
  histogram(
    'kafka_fetch_duration_seconds',
    'From a Fetch to its answer, the wait of the broker for messages (`kafka.fetch_max_wait_ms`) included.',
    PIPELINE,
  ),
  counter('kafka_retries_total', 'Requests to Kafka that failed and were repeated, by error code.', [
    'pipeline',
    'code',
  ]),
  counter('offsets_lost_total', 'Offsets that Kafka deleted before they were read.', TOPIC),
  counter(
    'group_offset_failures_total',
    'Times that Kafka did not take the group’s offsets, which are for lag tools only.',
    PIPELINE,
  ),
  // What became of the messages, by the commits.
  counter('rows_committed_total', 'Rows in commits.', PIPELINE),
  counter(
    'records_rejected_total',
    'Records that do not fit their columns, left out or quarantined by a commit; `reason` is the error code.',
    ['pipeline', 'reason'],
  ),
  counter('records_quarantined_total', 'Those of the rejected records that are in the quarantine.', PIPELINE),
  counter(
    'records_skipped_total',
    'Records passed by a commit that make no row: tombstones (`null_value`), records of aborted transactions (`aborted`).',
    ['pipeline', 'reason'],
  ),
  counter('committed_bytes_total', 'Bytes of the data files in commits.', PIPELINE),
  counter('files_committed_total', 'Data files in commits.', PIPELINE),
  counter(
    'commits_total',
    'Commits: made; dropped because another writer was there (`conflict`); failed (`error`).',
    ['pipeline', 'outcome'],
  ),
  counter(
    'commit_retries_total',
    'Times that another writer won a version, and the commit was made on top of theirs.',
    PIPELINE,
  ),
  counter('flushes_total', 'Commits by what made them due.', ['pipeline', 'reason']),
  histogram('commit_duration_seconds', 'From the cut of a batch to its commit.', PIPELINE),
  histogram('encode_duration_seconds', 'Encoding the data files of a batch.', PIPELINE),
  // The store.
  histogram('store_request_duration_seconds', 'Calls on the object store, their repeats included.', [
    'pipeline',
    'op',
  ]),
  counter('store_request_errors_total', 'Calls on the object store that failed, after all repeats.', [
    'pipeline',
    'op',
  ]),
  counter(
    'store_retries_total',
    'Requests to the object store that failed and were repeated, by error code.',
    ['pipeline', 'code'],
  ),
  // What goes wrong, and what is done beside.
  counter('restarts_total', 'Starts over from the table after a failure that may pass.', PIPELINE),
  counter('failures_total', 'Failures that ended a pipeline.', ['pipeline', 'code']),
  counter('errors_total', 'Failures that ended a pipeline or made it start over, by where they came from.', [
    'pipeline',
    'stage',
    'code',
  ]),
  counter('schema_changes_total', 'Columns that were added or made wider by commits.', PIPELINE),
  counter('checkpoints_total', 'Checkpoints of the log.', ['pipeline', 'outcome']),
  counter('care_runs_total', 'Compactions and removals of old files.', ['pipeline', 'operation', 'outcome']),
  // Where it stands.
  gauge('lag_records', 'Offsets that Kafka has and the table has not, as the brokers last said.', PARTITION),
  gauge('next_offset', 'First offset that is not in the table.', PARTITION),
  gauge('end_offset', 'First offset that cannot be read yet, as the brokers last said.', PARTITION),
  gauge(
    'freshness_seconds',
    'Age of the newest row in the table; 0 where nothing is left to read.',
    PIPELINE,
  ),
  gauge('buffered_records', 'Records that were read and are not in the table yet.', PIPELINE),
  gauge('buffered_bytes', 'Memory that these take, as columns.', PIPELINE),
  gauge('last_commit_timestamp_seconds', 'When this process committed last.', PIPELINE),
  gauge('table_version', 'Version of the table, as of the last commit.', PIPELINE),
  gauge('table_files', 'Live files of the table, as of the last commit.', PIPELINE),
  gauge('checkpoint_version', 'Version of the newest checkpoint that is known.', PIPELINE),
  gauge(
    'pipeline_running',
    '1 while a pipeline runs, 0 before, after, and while it waits to start over.',
    PIPELINE,
  ),
  gauge('pipeline_ready', '1 where `/readyz` finds nothing wrong with the pipeline, else 0.', PIPELINE),
  counter(
    'series_dropped_total',
    'Values that were not counted, because a metric has too many sets of labels.',
    [],
  ),
] as const satisfies readonly MetricDefinition[]

function counter(name: string, help: string, labels: readonly string[]): MetricDefinition {
  return { name: `stream_ingest_${name}`, type: 'counter', help, labels }
}

function gauge(name: string, help: string, labels: readonly string[]): MetricDefinition {
  return { ...counter(name, help, labels), type: 'gauge' }
}

function histogram(name: string, help: string, labels: readonly string[]): MetricDefinition {
  return { ...counter(name, help, labels), type: 'histogram', buckets: DURATION_BUCKETS_SECONDS }
}

/** By the prefix of the code: what reads, what decodes, what writes. */
export function errorStage(code: string): ErrorStage {
  if (code.startsWith('KAFKA_')) return 'receiving'
  return /^(DELTA|STORE|TABLE|S3|PIPELINE|OVERWRITE|PARQUET|QUARANTINE|IO)_/.test(code)
    ? 'sending'
    : 'processing'
}
