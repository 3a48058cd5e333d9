import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import * as api from '@opentelemetry/api'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { type IngestEvents, publish } from '../../src/observe/event.ts'
import { LINKS_MAX } from '../../src/observe/spans.ts'
import { traceEvents } from '../../src/observe/trace.ts'
import { publishCommitted, publishStarted } from './event-fixture.ts'

const START_MS = 1_795_737_600_000

describe('spans', () => {
  const exporter = new InMemorySpanExporter()
  let nowMs = START_MS
  let end = (): void => {}

  beforeEach(() => {
    nowMs = START_MS
    api.trace.setGlobalTracerProvider(
      new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
    )
    end = traceEvents(() => nowMs)
  })
  afterEach(() => {
    end()
    exporter.reset()
    api.trace.disable()
  })

  function publishRead(topic = 'orders', messageCount = 10): void {
    publish('batch:read', {
      pipeline: 'orders',
      topic,
      partition: 3,
      messageCount,
      sizeBytes: 100,
      fromOffset: 0n,
      nextOffset: BigInt(messageCount),
      endOffset: BigInt(messageCount),
      waitMs: 5,
    })
  }

  function publishCut(ranges: IngestEvents['batch:cut']['ranges']): void {
    publish('batch:cut', {
      pipeline: 'orders',
      reason: 'rows',
      messageCount: 20,
      sinceMs: START_MS + 10,
      ranges,
    })
  }

  const RANGE = { topic: 'orders', partition: 3, fromOffset: 0n, nextOffset: 20n }

  const named = (name: string): ReadableSpan => {
    const [span, ...more] = exporter.getFinishedSpans().filter(each => each.name === name)
    assert(span !== undefined && more.length === 0, `one span \`${name}\``)
    return span
  }

  test('tell a commit from the reads to the table: linked, then parent and child', () => {
    publishStarted()
    nowMs += 15
    publishRead()
    publishRead('orders', 11)
    nowMs += 10
    publishCut([RANGE])
    nowMs += 40
    publishCommitted({ version: 9, rowCount: 20, fileCount: 2, attemptCount: 3, reason: 'rows' })

    const reads = exporter.getFinishedSpans().filter(span => span.name === 'receive orders')
    assert.equal(reads.length, 2)
    assert.deepEqual(
      reads[0]!.startTime,
      [(START_MS + 10) / 1000, 0].map((part, i) => (i === 0 ? Math.floor(part) : 10_000_000)),
    )
    assert.equal(reads[0]!.attributes['messaging.batch.message_count'], 10)
    assert.equal(reads[0]!.attributes['messaging.destination.partition.id'], '3')
    assert.equal(reads[0]!.kind, api.SpanKind.CLIENT)

    const process = named('process orders')
    assert.deepEqual(
      process.links.map(link => link.context.spanId),
      reads.map(span => span.spanContext().spanId),
    )
    assert.equal(process.attributes['messaging.consumer.group.name'], 'lake')
    assert.equal(process.attributes['messaging.batch.message_count'], 20)
    assert.equal(process.attributes['stream_ingest.flush.reason'], 'rows')
    assert.equal(process.duration[1], 15_000_000)

    const commit = named('commit orders')
    assert.equal(commit.parentSpanContext?.spanId, process.spanContext().spanId)
    assert.equal(commit.spanContext().traceId, process.spanContext().traceId)
    assert.equal(commit.duration[1], 40_000_000)
    assert.equal(commit.status.code, api.SpanStatusCode.UNSET)
    assert.equal(commit.attributes['stream_ingest.table.uri'], 'file:///lake/orders')
    assert.equal(commit.attributes['stream_ingest.table.version'], 9)
    assert.equal(commit.attributes['stream_ingest.commit.rows'], 20)
    assert.equal(commit.attributes['stream_ingest.commit.attempts'], 3)
  })

  test('of several topics are one each, and the commit belongs to all of them', () => {
    publishStarted()
    publishCut([RANGE, { ...RANGE, topic: 'refunds' }])
    publishCommitted()
    const commit = named('commit orders')
    assert.equal(commit.parentSpanContext?.spanId, named('process orders').spanContext().spanId)
    assert.equal(commit.links[0]!.context.spanId, named('process refunds').spanContext().spanId)
    assert.equal(named('process orders').attributes['messaging.batch.message_count'], undefined)
  })

  test('of a commit that fails, or that another writer beat, name why', () => {
    publishStarted()
    publishCut([RANGE])
    publish('commit:failed', {
      pipeline: 'orders',
      error: Object.assign(new Error('gone'), { code: 'ECONNRESET' }),
    })
    publishCut([RANGE])
    publish('commit:conflicted', { pipeline: 'orders', winner: 4, reason: 'txn', detail: 'x' })
    const commits = exporter.getFinishedSpans().filter(span => span.name === 'commit orders')
    assert.deepEqual(
      commits.map(({ status }) => status.code),
      [api.SpanStatusCode.ERROR, api.SpanStatusCode.ERROR],
    )
    assert.equal(commits[1]!.attributes['error.type'], 'conflict:txn')
    assert(!JSON.stringify(commits[0]!.attributes).includes('gone'), 'a code, no message')
  })

  test('are linked to the last reads only, however many there were', () => {
    publishStarted()
    for (let i = 0; i < LINKS_MAX + 10; i++) publishRead('orders', i + 1)
    publishCut([RANGE])
    assert.equal(named('process orders').links.length, LINKS_MAX)
  })

  test('are not made any more once it has ended', () => {
    end()
    publishStarted()
    publishRead()
    assert.equal(exporter.getFinishedSpans().length, 0)
  })
})
