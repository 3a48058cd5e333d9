/**
 * The metrics of a running process: what each is, and how the product's events make it.
 *
 * @module
 */
import { StreamIngestError } from '../error.ts'
import { subscribe } from './event.ts'
import { type MetricDefinition, MetricRegistry } from './metric-registry.ts'

const PIPELINE = ['pipeline'] as const
const TOPIC = ['pipeline', 'topic'] as const

export const METRICS = [
  counter('records_read_total', 'Records that were read from Kafka, those of rows and all others.', TOPIC),
  counter('read_bytes_total', 'Bytes of record batches as they came from Kafka.', TOPIC),
  counter('records_rejected_total', 'Records that do not fit their columns.', ['pipeline', 'code']),
  counter('rows_committed_total', 'Rows in commits.', PIPELINE),
  counter('committed_bytes_total', 'Bytes of the data files in commits.', PIPELINE),
  counter('files_committed_total', 'Data files in commits.', PIPELINE),
  counter('commits_total', 'Commits; a conflict is one that met another writer and was dropped.', [
    'pipeline',
    'outcome',
  ]),
  counter('flushes_total', 'Commits by what made them due.', ['pipeline', 'reason']),
  {
    ...counter('commit_duration_seconds', 'From the cut of a batch to its commit.', PIPELINE),
    type: 'histogram',
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
  },
  counter('restarts_total', 'Starts over from the table after a failure that may pass.', PIPELINE),
  counter('failures_total', 'Failures that ended a pipeline.', ['pipeline', 'code']),
  counter('checkpoints_total', 'Checkpoints of the log.', ['pipeline', 'outcome']),
  counter('care_runs_total', 'Compactions and removals of old files.', ['pipeline', 'operation', 'outcome']),
  counter('offsets_lost_total', 'Offsets that Kafka deleted before they were read.', TOPIC),
  gauge('lag_records', 'Offsets that Kafka has and the table has not, as of the last answer of Kafka.', [
    'pipeline',
    'topic',
    'partition',
  ]),
  gauge(
    'freshness_seconds',
    'Age of the newest row in the table; 0 where nothing is left to read.',
    PIPELINE,
  ),
  gauge('table_version', 'Version of the last commit.', PIPELINE),
  gauge(
    'pipeline_running',
    '1 while a pipeline runs, 0 before, after, and while it waits to start over.',
    PIPELINE,
  ),
] as const satisfies readonly MetricDefinition[]

function counter(name: string, help: string, labels: readonly string[]): MetricDefinition {
  return { name: `stream_ingest_${name}`, type: 'counter', help, labels }
}

function gauge(name: string, help: string, labels: readonly string[]): MetricDefinition {
  return { ...counter(name, help, labels), type: 'gauge' }
}

interface Place {
  readonly labels: readonly [pipeline: string, topic: string, partition: string]
  nextOffset: bigint
  endOffset: bigint
}

/** Follows the events of the pipelines in this process. */
export class ProcessMetrics {
  readonly #registry: MetricRegistry
  readonly #places = new Map<string, Place>()
  readonly #newestRecordMs = new Map<string, number>()
  readonly #running = new Map<string, boolean>()

  /** @param others further metrics of the same text */
  constructor(pipelines: readonly string[], others: readonly MetricDefinition[] = []) {
    this.#registry = new MetricRegistry([...METRICS, ...others])
    for (const pipeline of pipelines) this.#setRunning(pipeline, false)
  }

  /** Does every pipeline run? */
  get isReady(): boolean {
    return [...this.#running.values()].every(isRunning => isRunning)
  }

  get registry(): MetricRegistry {
    return this.#registry
  }

  /** @returns a function that ends it */
  listen(): () => void {
    const count = (name: string, labels: readonly string[], by?: number): void =>
      this.#registry.add(`stream_ingest_${name}`, labels, by)
    const ends = [
      subscribe('pipeline:started', e => this.#setRunning(e.pipeline, true)),
      subscribe('pipeline:stopped', e => this.#setRunning(e.pipeline, false)),
      subscribe('pipeline:retrying', e => {
        this.#setRunning(e.pipeline, false)
        count('restarts_total', [e.pipeline])
      }),
      subscribe('pipeline:failed', e => {
        this.#setRunning(e.pipeline, false)
        count('failures_total', [e.pipeline, StreamIngestError.from(e.error).code])
      }),
      subscribe('batch:read', e => {
        count('records_read_total', [e.pipeline, e.topic], e.messageCount)
        count('read_bytes_total', [e.pipeline, e.topic], e.sizeBytes)
        this.#placeOf(e.pipeline, e.topic, e.partition, e.fromOffset).endOffset = e.endOffset
      }),
      subscribe('record:rejected', e => count('records_rejected_total', [e.pipeline, e.code])),
      subscribe('commit:committed', e => {
        count('rows_committed_total', [e.pipeline], e.rowCount)
        count('committed_bytes_total', [e.pipeline], e.sizeBytes)
        count('files_committed_total', [e.pipeline], e.fileCount)
        count('commits_total', [e.pipeline, 'committed'])
        count('flushes_total', [e.pipeline, e.reason])
        this.#registry.observe('stream_ingest_commit_duration_seconds', [e.pipeline], e.durationMs / 1000)
        this.#registry.set('stream_ingest_table_version', [e.pipeline], e.version)
        for (const { topic, partition, nextOffset } of e.ranges) {
          this.#placeOf(e.pipeline, topic, partition, nextOffset).nextOffset = nextOffset
        }
        const { newestRecordMs } = e
        if (newestRecordMs === null) return
        const before = this.#newestRecordMs.get(e.pipeline) ?? newestRecordMs
        this.#newestRecordMs.set(e.pipeline, Math.max(before, newestRecordMs))
      }),
      subscribe('commit:conflicted', e => count('commits_total', [e.pipeline, 'conflict'])),
      subscribe('checkpoint:written', e => count('checkpoints_total', [e.pipeline, 'written'])),
      subscribe('checkpoint:failed', e => count('checkpoints_total', [e.pipeline, 'failed'])),
      subscribe('care:done', e => count('care_runs_total', [e.pipeline, e.operation, 'done'])),
      subscribe('care:failed', e => count('care_runs_total', [e.pipeline, e.operation, 'failed'])),
      subscribe('offsets:lost', e => {
        const lost = e.resumedOffset - e.wantedOffset
        if (lost > 0n) count('offsets_lost_total', [e.pipeline, e.topic], Number(lost))
      }),
    ]
    return () => {
      for (const end of ends) end()
    }
  }

  /** The text for Prometheus. */
  format(nowMs: number): string {
    const lags = new Map<string, number>()
    for (const { labels, nextOffset, endOffset } of this.#places.values()) {
      const lag = endOffset > nextOffset ? Number(endOffset - nextOffset) : 0
      this.#registry.set('stream_ingest_lag_records', labels, lag)
      lags.set(labels[0], (lags.get(labels[0]) ?? 0) + lag)
    }
    for (const [pipeline, newestMs] of this.#newestRecordMs) {
      const ageMs = lags.get(pipeline) === 0 ? 0 : Math.max(0, nowMs - newestMs)
      this.#registry.set('stream_ingest_freshness_seconds', [pipeline], ageMs / 1000)
    }
    return this.#registry.format()
  }

  #placeOf(pipeline: string, topic: string, partition: number, offset: bigint): Place {
    const key = `${pipeline}\0${topic}\0${partition}`
    let place = this.#places.get(key)
    if (place === undefined) {
      place = { labels: [pipeline, topic, String(partition)], nextOffset: offset, endOffset: offset }
      this.#places.set(key, place)
    }
    return place
  }

  #setRunning(pipeline: string, isRunning: boolean): void {
    this.#running.set(pipeline, isRunning)
    this.#registry.set('stream_ingest_pipeline_running', [pipeline], isRunning ? 1 : 0)
  }
}
