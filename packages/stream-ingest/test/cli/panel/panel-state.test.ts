import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type PanelRow, PanelState, RATE_WINDOW_MS } from '../../../src/cli/panel/panel-state.ts'
import { KafkaError } from '../../../src/error.ts'
import { publish } from '../../../src/observe/event.ts'
import {
  publishProgress as progress,
  publishCommitted,
  publishStarted as started,
} from '../../observe/event-fixture.ts'

/** One pipeline, `orders`, and a clock that the test moves. */
function watched(run: (at: (ms: number) => void, look: () => PanelRow, state: PanelState) => void): void {
  let nowMs = 1_000_000
  const state = new PanelState(['orders'], { now: () => nowMs, monotonicMs: () => nowMs })
  const end = state.subscribe()
  try {
    run(
      ms => {
        nowMs = 1_000_000 + ms
      },
      () => state.rows()[0]!,
      state,
    )
  } finally {
    end()
  }
}

function committed(version: number, attemptCount = 1): void {
  publishCommitted({ version, attemptCount })
}

suite('the numbers of the panel', () => {
  test('follow a pipeline from its start to its end', () => {
    watched((at, look) => {
      assert.equal(look().phase, 'starting')
      started()
      assert.deepEqual([look().phase, look().commit], ['running', { version: 7, ageMs: null }])
      committed(8)
      at(48_000)
      assert.deepEqual(look().commit, { version: 8, ageMs: 48_000 })
      publish('pipeline:stopped', { pipeline: 'orders', table: 't', version: 8, rowCount: 1, commitCount: 1 })
      assert.equal(look().phase, 'stopped')
    })
  })

  test('rate: over the last seconds, and falling where nothing is heard any more', () => {
    watched((at, look) => {
      started()
      assert.equal(look().messagesPerSecond, null)
      for (let ms = 0; ms <= 20_000; ms += 500) {
        at(ms)
        // Ten times as fast in the second half.
        progress({ messageCount: ms <= 10_000 ? ms / 10 : 1_000 + (ms - 10_000) })
      }
      assert.equal(look().messagesPerSecond, 1_000)
      at(20_000 + RATE_WINDOW_MS)
      assert.equal(look().messagesPerSecond, 500)
    })
  })

  test('rate: begins anew where the pipeline does', () => {
    watched((at, look) => {
      started()
      progress({ messageCount: 1_000_000 })
      started()
      at(500)
      progress({ messageCount: 0 })
      at(1_500)
      progress({ messageCount: 100 })
      assert.equal(look().messagesPerSecond, 100)
    })
  })

  test('lag: what the table does not hold, of all partitions; unknown while one of them is', () => {
    watched((_at, look) => {
      started()
      assert.equal(look().lag, null)
      const known = { topic: 't', partition: 0, nextOffset: 10n, endOffset: 15n }
      progress({ partitions: [known, { topic: 't', partition: 1, nextOffset: 0n, endOffset: null }] })
      assert.equal(look().lag, null)
      // The end that is known may be older than the position.
      progress({ partitions: [known, { topic: 't', partition: 1, nextOffset: 9n, endOffset: 8n }] })
      assert.equal(look().lag, 5n)
    })
  })

  test('oldest: grows with the clock, also between events', () => {
    watched((at, look) => {
      started()
      progress({ bufferedMessageCount: 3, bufferedSizeBytes: 30, bufferedSinceMs: 999_000 })
      at(2_000)
      assert.equal(look().oldestMs, 3_000)
      progress()
      assert.equal(look().oldestMs, null)
    })
  })

  test('retries: starts after failures and lost races, with the last reason', () => {
    watched((at, look) => {
      started()
      committed(8, 3)
      assert.deepEqual([look().retryCount, look().retryReason], [2, 'conflict'])
      progress({ bufferedMessageCount: 3, bufferedSizeBytes: 30, bufferedSinceMs: 1 })
      const error = new KafkaError('KAFKA_UNREACHABLE', 'no answer')
      publish('pipeline:retrying', { pipeline: 'orders', error, attempt: 1, delayMs: 3_000 })
      at(1_000)
      const { phase, againInMs, retryCount, retryReason, bufferedMessageCount, oldestMs } = look()
      assert.deepEqual([phase, againInMs], ['waiting', 2_000])
      assert.deepEqual([retryCount, retryReason], [3, 'KAFKA_UNREACHABLE'])
      assert.deepEqual([bufferedMessageCount, oldestMs], [0, null])
      publish('pipeline:failed', { pipeline: 'orders', error })
      assert.deepEqual([look().phase, look().againInMs], ['failed', null])
    })
  })

  test('bad records are counted, and those of pipelines that are not shown are not', () => {
    watched((_at, look) => {
      for (const pipeline of ['orders', 'orders', 'of another processor']) {
        publish('record:rejected', {
          pipeline,
          topic: 't',
          partition: 0,
          offset: 1n,
          code: 'RECORD_INVALID',
          path: '$',
          column: null,
          message: 'no',
          action: 'skip',
        })
      }
      assert.equal(look().badCount, 2)
    })
  })

  test('a request to stop is seen', () => {
    watched((_at, _look, state) => {
      assert.equal(state.isStopping, false)
      publish('run:stopping', { signal: 'SIGINT' })
      assert.equal(state.isStopping, true)
    })
  })
})
