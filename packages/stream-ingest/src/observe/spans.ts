/**
 * From the product's events to OpenTelemetry spans: a trace for each commit.
 *
 * `process <topic>` is what was decoded from one cut to the next, linked to the `receive <topic>` spans that brought it;
 * `commit <table>` is its child. Spans are made when they are over, from the times that the events tell, so that nothing is
 * held open, and nothing that the pipeline calls runs inside of one.
 *
 * @module
 */
import type { Attributes, Context, Link, SpanStatus, Tracer } from '@opentelemetry/api'
import { StreamIngestError } from '../error.ts'
import { type IngestEvents, type OffsetRange, subscribe } from './event.ts'
import { commitSpanName, processSpanName, receiveSpanName, SPAN_ATTRIBUTES } from './span-attribute.ts'

export type TelemetryApi = typeof import('@opentelemetry/api')

/** Reads that one batch is linked to; of more, the last ones. */
export const LINKS_MAX = 128

interface PipelineTrace {
  table: string
  consumerGroup: string | null
  /** Since the last cut. */
  receives: Link[]
  /** What is on its way to the table. */
  cut: { readonly context: Context; readonly links: Link[]; readonly cutAtMs: number } | null
}

/** What ended a commit. */
interface CommitEnd {
  readonly pipeline: string
  readonly attributes: Attributes
  readonly status: SpanStatus
}

/** @returns a function that ends it */
export function recordSpans(api: TelemetryApi, now: () => number): () => void {
  const recorder = new SpanRecorder(api, now)
  const ends = [
    subscribe('pipeline:started', e => recorder.start(e)),
    subscribe('batch:read', e => recorder.receive(e)),
    subscribe('batch:cut', e => recorder.process(e)),
    subscribe('commit:committed', e => recorder.endCommit(committed(api, e))),
    subscribe('commit:conflicted', ({ pipeline, reason }) =>
      recorder.endCommit(failed(api, pipeline, `conflict:${reason}`)),
    ),
    subscribe('commit:failed', ({ pipeline, error }) =>
      recorder.endCommit(failed(api, pipeline, StreamIngestError.from(error).code)),
    ),
    subscribe('pipeline:stopped', ({ pipeline }) => recorder.forget(pipeline)),
    subscribe('pipeline:failed', ({ pipeline }) => recorder.forget(pipeline)),
  ]
  return () => {
    for (const end of ends) end()
  }
}

function committed(api: TelemetryApi, e: IngestEvents['commit:committed']): CommitEnd {
  const attributes = {
    [SPAN_ATTRIBUTES.version]: e.version,
    [SPAN_ATTRIBUTES.rowCount]: e.rowCount,
    [SPAN_ATTRIBUTES.fileCount]: e.fileCount,
    [SPAN_ATTRIBUTES.sizeBytes]: e.sizeBytes,
    [SPAN_ATTRIBUTES.attemptCount]: e.attemptCount,
    [SPAN_ATTRIBUTES.flushReason]: e.reason,
  }
  return { pipeline: e.pipeline, attributes, status: { code: api.SpanStatusCode.UNSET } }
}

function failed(api: TelemetryApi, pipeline: string, errorType: string): CommitEnd {
  const attributes = { [SPAN_ATTRIBUTES.errorType]: errorType }
  return { pipeline, attributes, status: { code: api.SpanStatusCode.ERROR, message: errorType } }
}

class SpanRecorder {
  private readonly api: TelemetryApi
  private readonly tracer: Tracer
  private readonly now: () => number
  private readonly traces = new Map<string, PipelineTrace>()

  constructor(api: TelemetryApi, now: () => number) {
    this.api = api
    this.tracer = api.trace.getTracer('stream-ingest')
    this.now = now
  }

  start({ pipeline, table, consumerGroup }: IngestEvents['pipeline:started']): void {
    this.traces.set(pipeline, { table, consumerGroup, receives: [], cut: null })
  }

  forget(pipeline: string): void {
    this.traces.delete(pipeline)
  }

  receive(e: IngestEvents['batch:read']): void {
    const trace = this.traceOf(e.pipeline)
    const endMs = this.now()
    const span = this.tracer.startSpan(
      receiveSpanName(e.topic),
      {
        kind: this.api.SpanKind.CLIENT,
        startTime: new Date(endMs - e.waitMs),
        attributes: {
          ...this.messagingAttributes(e.pipeline, e.topic, e.messageCount),
          [SPAN_ATTRIBUTES.operationName]: 'fetch',
          [SPAN_ATTRIBUTES.operationType]: 'receive',
          [SPAN_ATTRIBUTES.partition]: String(e.partition),
        },
      },
      this.api.ROOT_CONTEXT,
    )
    span.end(new Date(endMs))
    trace.receives.push({ context: span.spanContext() })
    if (trace.receives.length > LINKS_MAX) trace.receives.shift()
  }

  /** A span for each topic; the commit is a child of the first one and linked to the others. */
  process({ pipeline, messageCount, sinceMs, ranges, reason }: IngestEvents['batch:cut']): void {
    const trace = this.traceOf(pipeline)
    const endMs = this.now()
    const byTopic = Map.groupBy(ranges, range => range.topic)
    const spans = [...byTopic].map(([topic, ofTopic]) => {
      const span = this.tracer.startSpan(
        processSpanName(topic),
        {
          kind: this.api.SpanKind.CONSUMER,
          startTime: new Date(sinceMs ?? endMs),
          links: trace.receives,
          attributes: {
            // Of several topics it is not known how many came from each.
            ...this.messagingAttributes(pipeline, topic, byTopic.size === 1 ? messageCount : null),
            ...onlyPartition(ofTopic),
            [SPAN_ATTRIBUTES.operationName]: 'process',
            [SPAN_ATTRIBUTES.operationType]: 'process',
            [SPAN_ATTRIBUTES.flushReason]: reason,
          },
        },
        this.api.ROOT_CONTEXT,
      )
      span.end(new Date(endMs))
      return span.spanContext()
    })
    trace.receives = []
    const [first, ...others] = spans
    const { ROOT_CONTEXT, trace: traceApi } = this.api
    trace.cut = {
      context: first === undefined ? ROOT_CONTEXT : traceApi.setSpanContext(ROOT_CONTEXT, first),
      links: others.map(context => ({ context })),
      cutAtMs: endMs,
    }
  }

  endCommit({ pipeline, attributes, status }: CommitEnd): void {
    const trace = this.traceOf(pipeline)
    const endMs = this.now()
    const { context, links, cutAtMs } = trace.cut ?? {
      context: this.api.ROOT_CONTEXT,
      links: [],
      cutAtMs: endMs,
    }
    trace.cut = null
    const span = this.tracer.startSpan(
      commitSpanName(trace.table),
      {
        kind: this.api.SpanKind.INTERNAL,
        startTime: new Date(cutAtMs),
        links,
        attributes: {
          [SPAN_ATTRIBUTES.pipeline]: pipeline,
          [SPAN_ATTRIBUTES.table]: trace.table,
          ...attributes,
        },
      },
      context,
    )
    span.setStatus(status)
    span.end(new Date(endMs))
  }

  private messagingAttributes(pipeline: string, topic: string, messageCount: number | null): Attributes {
    const { consumerGroup } = this.traceOf(pipeline)
    return {
      [SPAN_ATTRIBUTES.system]: 'kafka',
      [SPAN_ATTRIBUTES.topic]: topic,
      ...(consumerGroup === null ? {} : { [SPAN_ATTRIBUTES.consumerGroup]: consumerGroup }),
      ...(messageCount === null ? {} : { [SPAN_ATTRIBUTES.messageCount]: messageCount }),
      [SPAN_ATTRIBUTES.pipeline]: pipeline,
    }
  }

  /** A batch that is handed in (a Lambda trigger) comes without a start. */
  private traceOf(pipeline: string): PipelineTrace {
    let found = this.traces.get(pipeline)
    if (found === undefined) {
      found = { table: pipeline, consumerGroup: null, receives: [], cut: null }
      this.traces.set(pipeline, found)
    }
    return found
  }
}

function onlyPartition(ranges: readonly OffsetRange[]): Attributes {
  const [range, ...others] = ranges
  return range === undefined || others.length > 0
    ? {}
    : { [SPAN_ATTRIBUTES.partition]: String(range.partition) }
}
