/**
 * What an invocation did, as metrics of CloudWatch: one line in the embedded metric format for each pipeline.
 *
 * Amazon CloudWatch › Embedded metric format specification: a JSON line on stdout whose `_aws` says which of its numbers are
 * metrics, of which dimensions. No call and no library is needed.
 *
 * @module
 */
import { subscribe } from '../observe/event.ts'
import type { PipelineResult } from '../pipeline/pipeline.ts'

const NAMESPACE = 'StreamIngest'

const UNITS = {
  Rows: 'Count',
  Files: 'Count',
  BytesWritten: 'Bytes',
  Commits: 'Count',
  Conflicts: 'Count',
  BadRecords: 'Count',
  Retries: 'Count',
  Failures: 'Count',
  CommitDuration: 'Milliseconds',
  Lag: 'Count',
  Freshness: 'Milliseconds',
} as const
type MetricName = keyof typeof UNITS

type Values = Partial<Record<MetricName, number>>

/** Counts by pipeline, from the events of an invocation. */
export class InvocationMetrics {
  readonly #values = new Map<string, Values>()
  /** By pipeline: Kafka's time of the newest row that was committed. */
  readonly #newestRecordMs = new Map<string, number>()

  /** @returns a function that ends counting */
  listen(): () => void {
    const ends = [
      subscribe('commit:committed', e => {
        this.#add(e.pipeline, 'Rows', e.rowCount)
        this.#add(e.pipeline, 'Files', e.fileCount)
        this.#add(e.pipeline, 'BytesWritten', e.sizeBytes)
        this.#add(e.pipeline, 'Commits', 1)
        if (e.counts.badRecords > 0) this.#add(e.pipeline, 'BadRecords', e.counts.badRecords)
        const values = this.#of(e.pipeline)
        values.CommitDuration = Math.max(values.CommitDuration ?? 0, Math.round(e.durationMs))
        const { pipeline, newestRecordMs } = e
        if (newestRecordMs === null) return
        this.#newestRecordMs.set(
          pipeline,
          Math.max(newestRecordMs, this.#newestRecordMs.get(pipeline) ?? newestRecordMs),
        )
      }),
      subscribe('commit:conflicted', e => this.#add(e.pipeline, 'Conflicts', 1)),
      // The others count when they are committed: after a conflict they are met again.
      subscribe('record:rejected', e => {
        if (e.action === 'stop') this.#add(e.pipeline, 'BadRecords', 1)
      }),
      subscribe('store:retried', e => this.#add(e.pipeline, 'Retries', 1)),
      subscribe('kafka:retried', e => this.#add(e.pipeline, 'Retries', 1)),
      subscribe('pipeline:failed', e => this.#add(e.pipeline, 'Failures', 1)),
    ]
    return () => {
      for (const end of ends) end()
    }
  }

  /** How far a pipeline is behind, where every partition's end is known. */
  setLag({ name, partitions }: PipelineResult): void {
    const lags = partitions.map(({ lag }) => lag)
    if (lags.length === 0 || lags.includes(null)) return
    this.#of(name).Lag = Number(lags.reduce<bigint>((sum, lag) => sum + (lag ?? 0n), 0n))
  }

  /** One line for each pipeline that did anything. */
  format(nowMs: number, context: Readonly<Record<string, string>>): string {
    let lines = ''
    for (const [pipeline, counted] of this.#values) {
      const freshness = this.#freshness(pipeline, counted, nowMs)
      const values = freshness === null ? counted : { ...counted, Freshness: freshness }
      const metrics = Object.keys(values).map(name => ({ Name: name, Unit: UNITS[name as MetricName] }))
      const document = {
        _aws: {
          Timestamp: nowMs,
          CloudWatchMetrics: [{ Namespace: NAMESPACE, Dimensions: [['Pipeline']], Metrics: metrics }],
        },
        Pipeline: pipeline,
        ...context,
        ...values,
      }
      lines += `${JSON.stringify(document)}\n`
    }
    return lines
  }

  /** How old the newest row is; 0 where everything that there was is in the table; null where that cannot be told. */
  #freshness(pipeline: string, { Lag }: Values, nowMs: number): number | null {
    if (Lag === 0) return 0
    const newestMs = this.#newestRecordMs.get(pipeline)
    return newestMs === undefined ? null : Math.max(0, nowMs - newestMs)
  }

  #of(pipeline: string): Values {
    let values = this.#values.get(pipeline)
    if (values === undefined) {
      values = {}
      this.#values.set(pipeline, values)
    }
    return values
  }

  #add(pipeline: string, name: MetricName, count: number): void {
    const values = this.#of(pipeline)
    values[name] = (values[name] ?? 0) + count
  }
}
