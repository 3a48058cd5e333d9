import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { InvocationMetrics } from '../../src/lambda/invocation-metrics.ts'
import { publish } from '../../src/observe/event.ts'
import type { PipelineResult } from '../../src/pipeline/pipeline.ts'
import { NO_MESSAGES, publishCommitted } from '../observe/event-fixture.ts'

const NOW_MS = 1_800_000_000_000

function commit(pipeline: string, newestRecordMs: number | null, durationMs = 10): void {
  publishCommitted({ pipeline, rowCount: 3, sizeBytes: 100, reason: 'end', durationMs, newestRecordMs })
}

function lag(name: string, ...lags: (bigint | null)[]): PipelineResult {
  return { name, partitions: lags.map(one => ({ lag: one })) } as unknown as PipelineResult
}

/** By pipeline. */
function measured(work: (metrics: InvocationMetrics) => void): Record<string, Record<string, unknown>> {
  const metrics = new InvocationMetrics()
  const end = metrics.listen()
  work(metrics)
  end()
  commit('afterwards', null)
  const lines = metrics.format(NOW_MS, { requestId: 'r' }).split('\n').slice(0, -1)
  return Object.fromEntries(lines.map(line => JSON.parse(line)).map(one => [one.Pipeline, one]))
}

suite('the metrics of an invocation', () => {
  test('are a line of the embedded metric format for each pipeline, which declares each of its numbers', () => {
    const { a, b, ...others } = measured(() => {
      commit('a', null, 30.4)
      commit('a', null, 20)
      publish('commit:conflicted', { pipeline: 'b', winner: 2, reason: 'txn', detail: 'd' })
    })
    assert.deepEqual(others, {})
    const { _aws, ...values } = a!
    assert.deepEqual(values, {
      Pipeline: 'a',
      requestId: 'r',
      Rows: 6,
      Files: 2,
      BytesWritten: 200,
      Commits: 2,
      CommitDuration: 30,
    })
    assert.deepEqual(_aws, {
      Timestamp: NOW_MS,
      CloudWatchMetrics: [
        {
          Namespace: 'StreamIngest',
          Dimensions: [['Pipeline']],
          Metrics: [
            { Name: 'Rows', Unit: 'Count' },
            { Name: 'Files', Unit: 'Count' },
            { Name: 'BytesWritten', Unit: 'Bytes' },
            { Name: 'Commits', Unit: 'Count' },
            { Name: 'CommitDuration', Unit: 'Milliseconds' },
          ],
        },
      ],
    })
    assert.equal(b!.Conflicts, 1)
  })

  test('count bad records by the commits, and the one that ends the batch', () => {
    const rejected = (action: 'skip' | 'stop'): void =>
      publish('record:rejected', {
        pipeline: 'a',
        topic: 't',
        partition: 0,
        offset: 1n,
        code: 'RECORD_INVALID',
        path: '$',
        column: null,
        message: 'm',
        action,
      })
    const { a } = measured(() => {
      // Met twice, after a conflict, and in the table once.
      rejected('skip')
      rejected('skip')
      publishCommitted({ pipeline: 'a', counts: { ...NO_MESSAGES, badRecords: 1 } })
      rejected('stop')
    })
    assert.equal(a!.BadRecords, 2)
  })

  test('count requests that were repeated', () => {
    const { a } = measured(() => {
      publish('store:retried', { pipeline: 'a', request: 'PutObject', error: new Error('x') })
      publish('kafka:retried', { pipeline: 'a', error: new Error('x') })
    })
    assert.equal(a!.Retries, 2)
  })

  test('say how old the newest row is, and 0 where nothing is left to read', () => {
    const { a, b, c, d } = measured(metrics => {
      commit('a', NOW_MS - 5000)
      commit('a', NOW_MS - 7000)
      metrics.setLag(lag('a', 4n, 3n))
      commit('b', NOW_MS - 5000)
      metrics.setLag(lag('b', 0n, 0n))
      commit('c', null)
      metrics.setLag(lag('c', 1n))
      commit('d', NOW_MS + 5000)
      metrics.setLag(lag('d', 1n, null))
    })
    assert.deepEqual([a!.Lag, a!.Freshness], [7, 5000])
    assert.deepEqual([b!.Lag, b!.Freshness], [0, 0])
    assert.deepEqual([c!.Lag, 'Freshness' in c!], [1, false], 'no record had a time')
    assert.deepEqual(['Lag' in d!, d!.Freshness], [false, 0], 'an unknown end; a clock ahead of ours')
  })
})
