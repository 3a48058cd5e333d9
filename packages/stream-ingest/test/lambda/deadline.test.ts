import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { FlushTimes, watchDeadline } from '../../src/lambda/deadline.ts'
import { publish } from '../../src/observe/event.ts'
import { ManualClock } from './lambda-fixture.ts'

const START_MS = 1_000_000

/** When it told to stop and when to answer, in milliseconds before the end of the invocation. */
async function watch(totalMs: number, flushes: FlushTimes) {
  const clock = new ManualClock()
  clock.nowMs = START_MS
  const leftMs = (): number => START_MS + totalMs - clock.nowMs
  const deadline = watchDeadline(leftMs, flushes, clock)
  let stopLeftMs: number | null = null
  let lostLeftMs: number | null = null
  deadline.stop.addEventListener('abort', () => {
    stopLeftMs = leftMs()
  })
  deadline.lost.catch(() => {
    lostLeftMs = leftMs()
  })
  while (lostLeftMs === null && clock.nowMs < START_MS + totalMs) await clock.tick()
  deadline.end()
  return { stopLeftMs, lostLeftMs }
}

function commit(durationMs: number): void {
  publish('commit:committed', {
    pipeline: 'p',
    version: 1,
    rowCount: 1,
    fileCount: 1,
    sizeBytes: 1,
    reason: 'end',
    durationMs,
    attemptCount: 1,
    ranges: [],
  } as never)
}

suite('the deadline of an invocation', () => {
  test('leaves twenty seconds for the last commit and two for the answer', async () => {
    assert.deepEqual(await watch(900_000, new FlushTimes()), { stopLeftMs: 20_000, lostLeftMs: 2_000 })
  })

  test('of a short one leaves half for the commit and a tenth for the answer', async () => {
    assert.deepEqual(await watch(3_000, new FlushTimes()), { stopLeftMs: 1_500, lostLeftMs: 300 })
  })

  test('leaves twice the slowest of the last twenty flushes', async () => {
    const flushes = new FlushTimes()
    const end = flushes.listen()
    commit(40_000)
    commit(100)
    assert.deepEqual((await watch(900_000, flushes)).stopLeftMs, 80_000)
    assert.deepEqual((await watch(100_000, flushes)).stopLeftMs, 50_000, 'half at most')
    for (let i = 0; i < 19; i++) commit(15_000)
    assert.deepEqual((await watch(900_000, flushes)).stopLeftMs, 30_000)
    end()
    commit(60_000)
    assert.deepEqual((await watch(900_000, flushes)).stopLeftMs, 30_000)
  })

  test('sees a reserve that grows while it waits', async () => {
    const clock = new ManualClock()
    clock.nowMs = START_MS
    const flushes = new FlushTimes()
    const end = flushes.listen()
    const leftMs = (): number => START_MS + 200_000 - clock.nowMs
    const deadline = watchDeadline(leftMs, flushes, clock)
    while (leftMs() > 60_000) await clock.tick()
    assert.equal(deadline.stop.aborted, false)
    commit(40_000)
    await clock.tick()
    assert.equal(deadline.stop.aborted, true)
    deadline.end()
    end()
  })
})
