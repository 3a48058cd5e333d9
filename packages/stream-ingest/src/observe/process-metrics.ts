/**
 * From the events of the pipelines in this process to its metrics.
 *
 * @module
 */
import { StreamIngestError } from '../error.ts'
import {
  FLUSH_REASONS,
  type IngestEventName,
  type IngestEvents,
  STORE_OPERATIONS,
  subscribe,
} from './event.ts'
import { errorStage, METRICS } from './metric.ts'
import { type MetricDefinition, MetricRegistry } from './metric-registry.ts'
import { Readiness, type WatchedPipeline } from './readiness.ts'

export interface ProcessMetricsOptions {
  /** A series for each partition, or one for each topic. Default: each partition. */
  readonly partitions?: boolean
  /** Further metrics of the same text. */
  readonly others?: readonly MetricDefinition[]
}

/** Of two clocks: the time of day, and one that never goes back. */
export interface MetricClock {
  /** Epoch milliseconds. */
  now(): number
  monotonicMs(): number
}

interface Place {
  readonly pipeline: string
  readonly topic: string
  readonly partition: number
  nextOffset: bigint
  /** Null before Kafka has told. */
  endOffset: bigint | null
}

/**
 * Counters that are there from the start, at zero: of a series that begins with its first event Prometheus sees no increase,
 * and an alert on it would miss that event.
 */
const FROM_THE_START: readonly (readonly [name: string, ...values: (readonly string[])[]])[] = [
  ['rows_committed_total'],
  ['committed_bytes_total'],
  ['files_committed_total'],
  ['records_quarantined_total'],
  ['commit_retries_total'],
  ['restarts_total'],
  ['group_offset_failures_total'],
  ['schema_changes_total'],
  ['records_rejected_total', ['RECORD_INVALID', 'RECORD_NOT_JSON']],
  ['records_skipped_total', ['null_value', 'aborted']],
  ['commits_total', ['committed', 'conflict', 'error']],
  ['flushes_total', FLUSH_REASONS],
  ['store_request_errors_total', STORE_OPERATIONS],
  ['checkpoints_total', ['written', 'failed']],
  ['care_runs_total', ['optimize', 'vacuum'], ['done', 'failed']],
]

export class ProcessMetrics {
  readonly registry: MetricRegistry
  readonly readiness: Readiness
  readonly #clock: MetricClock
  readonly #hasPartitions: boolean
  readonly #pipelines: ReadonlySet<string>
  readonly #places = new Map<string, Place>()
  readonly #newestRecordMs = new Map<string, number>()

  constructor(
    pipelines: readonly WatchedPipeline[],
    clock: MetricClock,
    { partitions = true, others = [] }: ProcessMetricsOptions = {},
  ) {
    this.registry = new MetricRegistry([...METRICS, ...others])
    this.readiness = new Readiness(pipelines, () => clock.monotonicMs())
    this.#clock = clock
    this.#hasPartitions = partitions
    this.#pipelines = new Set(pipelines.map(({ name }) => name))
    for (const pipeline of this.#pipelines) {
      for (const [name, ...values] of FROM_THE_START) {
        for (const labels of combinations(values)) this.#count(name, [pipeline, ...labels], 0)
      }
    }
  }

  /** @returns a function that ends it */
  listen(): () => void {
    const ends = [
      this.readiness.listen(),
      ...this.#reading(),
      ...this.#committing(),
      ...this.#storing(),
      ...this.#trouble(),
    ]
    return () => {
      for (const end of ends) end()
    }
  }

  /** The text for Prometheus. */
  format(): string {
    this.#setLags()
    const problems = this.readiness.problems()
    for (const pipeline of this.#pipelines) {
      this.#set('pipeline_running', [pipeline], this.readiness.isRunning(pipeline) ? 1 : 0)
      this.#set('pipeline_ready', [pipeline], problems.has(pipeline) ? 0 : 1)
    }
    this.#set('series_dropped_total', [], this.registry.droppedCount)
    return this.registry.format()
  }

  #reading(): (() => void)[] {
    return [
      this.#on('batch:read', e => {
        this.#count('records_read_total', [e.pipeline, e.topic], e.messageCount)
        this.#count('read_bytes_total', [e.pipeline, e.topic], e.sizeBytes)
        this.#placeOf(e.pipeline, e.topic, e.partition, e.fromOffset).endOffset = e.endOffset
      }),
      this.#on('pipeline:progress', e => {
        this.#set('buffered_records', [e.pipeline], e.bufferedMessageCount)
        this.#set('buffered_bytes', [e.pipeline], e.bufferedSizeBytes)
        for (const { topic, partition, nextOffset, endOffset } of e.partitions) {
          const place = this.#placeOf(e.pipeline, topic, partition, nextOffset)
          place.nextOffset = nextOffset
          place.endOffset = endOffset ?? place.endOffset
        }
      }),
      this.#on('kafka:fetched', e =>
        this.#observe('kafka_fetch_duration_seconds', [e.pipeline], e.durationMs / 1000),
      ),
      this.#on('offsets:lost', e => {
        const lost = e.resumedOffset - e.wantedOffset
        if (lost > 0n) this.#count('offsets_lost_total', [e.pipeline, e.topic], Number(lost))
      }),
    ]
  }

  #committing(): (() => void)[] {
    return [
      this.#on('table:opened', e => {
        this.#set('table_version', [e.pipeline], e.version)
        if (e.checkpointVersion !== null) this.#set('checkpoint_version', [e.pipeline], e.checkpointVersion)
        if (e.fileCount !== null) this.#set('table_files', [e.pipeline], e.fileCount)
        this.#noteNewest(e.pipeline, e.newestRecordMs)
      }),
      this.#on('commit:attempted', e => {
        if (e.attempt > 1) this.#count('commit_retries_total', [e.pipeline])
      }),
      this.#on('commit:committed', e => this.#takeCommit(e)),
      this.#on('overwrite:uploaded', e => {
        if (e.encodeMs > 0) this.#observe('encode_duration_seconds', [e.pipeline], e.encodeMs / 1000)
      }),
      this.#on('commit:conflicted', e => this.#count('commits_total', [e.pipeline, 'conflict'])),
      this.#on('commit:failed', e => this.#count('commits_total', [e.pipeline, 'error'])),
      this.#on('schema:evolved', e => {
        if (e.version !== null) this.#count('schema_changes_total', [e.pipeline], e.changes.length)
      }),
      this.#on('checkpoint:written', e => {
        this.#count('checkpoints_total', [e.pipeline, 'written'])
        this.#set('checkpoint_version', [e.pipeline], e.version)
      }),
      this.#on('checkpoint:failed', e => this.#count('checkpoints_total', [e.pipeline, 'failed'])),
      this.#on('care:done', e => this.#count('care_runs_total', [e.pipeline, e.operation, 'done'])),
      this.#on('care:failed', e => this.#count('care_runs_total', [e.pipeline, e.operation, 'failed'])),
    ]
  }

  #takeCommit(e: IngestEvents['commit:committed']): void {
    const { pipeline, counts } = e
    this.#count('commits_total', [pipeline, 'committed'])
    this.#count('flushes_total', [pipeline, e.reason])
    this.#count('rows_committed_total', [pipeline], e.rowCount)
    this.#count('committed_bytes_total', [pipeline], e.sizeBytes)
    this.#count('files_committed_total', [pipeline], e.fileCount)
    for (const [code, count] of Object.entries(counts.badRecordsByCode)) {
      this.#count('records_rejected_total', [pipeline, code], count)
    }
    this.#count('records_quarantined_total', [pipeline], counts.quarantined)
    this.#count('records_skipped_total', [pipeline, 'null_value'], counts.skipped)
    this.#count('records_skipped_total', [pipeline, 'aborted'], counts.filtered)
    this.#observe('commit_duration_seconds', [pipeline], e.durationMs / 1000)
    if (e.encodeMs > 0) this.#observe('encode_duration_seconds', [pipeline], e.encodeMs / 1000)
    this.#set('table_version', [pipeline], e.version)
    if (e.tableFileCount !== null) this.#set('table_files', [pipeline], e.tableFileCount)
    this.#set('last_commit_timestamp_seconds', [pipeline], this.#clock.now() / 1000)
    for (const { topic, partition, nextOffset } of e.ranges) {
      this.#placeOf(pipeline, topic, partition, nextOffset).nextOffset = nextOffset
    }
    this.#noteNewest(pipeline, e.newestRecordMs)
  }

  #storing(): (() => void)[] {
    return [
      this.#on('store:requested', e => {
        this.#observe('store_request_duration_seconds', [e.pipeline, e.operation], e.durationMs / 1000)
        if (e.error !== null) this.#count('store_request_errors_total', [e.pipeline, e.operation])
      }),
      this.#on('store:retried', e => this.#count('store_retries_total', [e.pipeline, codeOf(e.error)])),
      this.#on('kafka:retried', e => this.#count('kafka_retries_total', [e.pipeline, codeOf(e.error)])),
    ]
  }

  #trouble(): (() => void)[] {
    return [
      this.#on('pipeline:retrying', e => {
        this.#count('restarts_total', [e.pipeline])
        this.#countError(e.pipeline, codeOf(e.error))
        this.#forgetBuffered(e.pipeline)
      }),
      this.#on('pipeline:failed', e => {
        const code = codeOf(e.error)
        this.#count('failures_total', [e.pipeline, code])
        this.#countError(e.pipeline, code)
        this.#forgetBuffered(e.pipeline)
      }),
      this.#on('pipeline:stopped', e => this.#forgetBuffered(e.pipeline)),
      this.#on('group-offsets:failed', e => this.#count('group_offset_failures_total', [e.pipeline])),
    ]
  }

  #countError(pipeline: string, code: string): void {
    this.#count('errors_total', [pipeline, errorStage(code), code])
  }

  /** It is in the table, or is read again. */
  #forgetBuffered(pipeline: string): void {
    this.#set('buffered_records', [pipeline], 0)
    this.#set('buffered_bytes', [pipeline], 0)
  }

  /** Another processor may run in the same process: only the pipelines that are watched count. */
  #on<Name extends Exclude<IngestEventName, 'run:stopping' | 'run:serving'>>(
    name: Name,
    take: (event: IngestEvents[Name]) => void,
  ): () => void {
    return subscribe(name, event => {
      if (this.#pipelines.has(event.pipeline)) take(event)
    })
  }

  #noteNewest(pipeline: string, newestRecordMs: number | null): void {
    if (newestRecordMs === null) return
    const before = this.#newestRecordMs.get(pipeline) ?? newestRecordMs
    this.#newestRecordMs.set(pipeline, Math.max(before, newestRecordMs))
  }

  #placeOf(pipeline: string, topic: string, partition: number, nextOffset: bigint): Place {
    const key = `${pipeline}\0${topic}\0${partition}`
    let place = this.#places.get(key)
    if (place === undefined) {
      place = { pipeline, topic, partition, nextOffset, endOffset: null }
      this.#places.set(key, place)
    }
    return place
  }

  /** Of a topic as a whole, where partitions are not told apart, the label of the partition is empty, which is none. */
  #setLags(): void {
    /** Null: of some partition it is not known. */
    const lags = new Map<string, bigint | null>()
    const series = new Map<string, { labels: string[]; lag: bigint; next: bigint; end: bigint }>()
    for (const { pipeline, topic, partition, nextOffset, endOffset } of this.#places.values()) {
      const before = lags.get(pipeline)
      if (endOffset === null) {
        lags.set(pipeline, null)
        continue
      }
      const lag = endOffset > nextOffset ? endOffset - nextOffset : 0n
      lags.set(pipeline, before === null ? null : (before ?? 0n) + lag)
      const labels = [pipeline, topic, this.#hasPartitions ? String(partition) : '']
      const key = labels.join('\0')
      const sum = series.get(key) ?? { labels, lag: 0n, next: 0n, end: 0n }
      series.set(key, {
        labels,
        lag: sum.lag + lag,
        next: sum.next + nextOffset,
        end: sum.end + endOffset,
      })
    }
    for (const { labels, lag, next, end } of series.values()) {
      this.#set('lag_records', labels, Number(lag))
      this.#set('next_offset', labels, Number(next))
      this.#set('end_offset', labels, Number(end))
    }
    for (const pipeline of this.#pipelines) {
      const newestMs = this.#newestRecordMs.get(pipeline)
      if (lags.get(pipeline) === 0n) this.#set('freshness_seconds', [pipeline], 0)
      else if (newestMs !== undefined) {
        this.#set('freshness_seconds', [pipeline], Math.max(0, this.#clock.now() - newestMs) / 1000)
      }
    }
  }

  #count(name: string, labels: readonly string[], by?: number): void {
    this.registry.add(`stream_ingest_${name}`, labels, by)
  }

  #observe(name: string, labels: readonly string[], seconds: number): void {
    this.registry.observe(`stream_ingest_${name}`, labels, seconds)
  }

  #set(name: string, labels: readonly string[], value: number): void {
    this.registry.set(`stream_ingest_${name}`, labels, value)
  }
}

/** The closed list of codes bounds the label. */
function codeOf(error: unknown): string {
  return StreamIngestError.from(error).code
}

function combinations(values: readonly (readonly string[])[]): string[][] {
  return values.reduce<string[][]>(
    (all, choices) => all.flatMap(before => choices.map(choice => [...before, choice])),
    [[]],
  )
}
