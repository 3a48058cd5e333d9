/**
 * The time of an invocation: when to stop fetching, and when to give up.
 *
 * A function that runs out of time is killed without a word. So what is buffered is committed while there is time for it:
 * twice as long as the slowest flush of late, 20 s at least, and not more than half of what the invocation has.
 *
 * @module
 */
import type { Runtime } from '@stream-ingest/delta'
import { LambdaError } from '../error.ts'
import { subscribe } from '../observe/event.ts'

const RESERVE_MIN_MS = 20_000
const RESERVE_SHARE_MAX = 0.5
const FLUSHES_REMEMBERED = 20
/** How often the clock is looked at: the reserve may have grown meanwhile. */
const LOOK_EVERY_MS = 500
/** With this little left the answer must go out, whatever is under way. */
const ANSWER_RESERVE_MAX_MS = 2_000
const ANSWER_RESERVE_SHARE_MAX = 0.1

/** How long the last flushes took, in this process. */
export class FlushTimes {
  readonly #durationsMs: number[] = []

  /** @returns a function that ends listening */
  listen(): () => void {
    return subscribe('commit:committed', ({ durationMs }) => {
      this.#durationsMs.push(durationMs)
      if (this.#durationsMs.length > FLUSHES_REMEMBERED) this.#durationsMs.shift()
    })
  }

  get slowestMs(): number {
    return Math.max(0, ...this.#durationsMs)
  }
}

export interface Deadline {
  /** Aborted when fetching must stop. */
  readonly stop: AbortSignal
  /** Rejects when the answer must go out; never resolves. */
  readonly lost: Promise<never>
  /** Ends the watch. */
  end(): void
}

/**
 * Watches the time that is left.
 *
 * @param remainingMs asks how many milliseconds are left
 */
export function watchDeadline(remainingMs: () => number, flushes: FlushTimes, runtime: Runtime): Deadline {
  const stop = new AbortController()
  const ended = new AbortController()
  const lost = Promise.withResolvers<never>()
  // Whoever waits for it hears of it; without anybody it must not count as unhandled.
  lost.promise.catch(() => {})
  const totalMs = remainingMs()
  const answerReserveMs = Math.min(ANSWER_RESERVE_MAX_MS, totalMs * ANSWER_RESERVE_SHARE_MAX)
  const reserveMs = (): number =>
    Math.min(Math.max(RESERVE_MIN_MS, 2 * flushes.slowestMs), totalMs * RESERVE_SHARE_MAX)
  const watch = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      const untilStopMs = remainingMs() - reserveMs()
      const untilLostMs = remainingMs() - answerReserveMs
      if (untilStopMs <= 0) stop.abort()
      if (untilLostMs <= 0) {
        lost.reject(
          new LambdaError('LAMBDA_DEADLINE', 'the invocation ran out of time before it could end by itself', {
            hint: 'what was committed stands, the rest is read again; if it never gets further, check that the brokers and the store can be reached from the function, and raise its timeout',
          }),
        )
        return
      }
      const nextMs = stop.signal.aborted ? untilLostMs : Math.min(untilStopMs, untilLostMs)
      await runtime.delay(Math.max(1, Math.min(LOOK_EVERY_MS, nextMs)), ended.signal).catch(() => {})
    }
  }
  void watch()
  return { stop: stop.signal, lost: lost.promise, end: () => ended.abort() }
}
