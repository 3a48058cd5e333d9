/**
 * Time and chance, as arguments: what makes every failure repeatable in a test.
 *
 * @module
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Runtime {
  /** Epoch milliseconds. */
  now(): number
  /** Milliseconds with a fraction, from an arbitrary start, never going back: for durations. */
  monotonicMs(): number
  /** In [0, 1). */
  random(): number
  /** A random UUID, version 4. */
  uuid(): string
  /** Resolves after `ms`; rejects with the signal's reason where that comes first. */
  delay(ms: number, signal?: AbortSignal): Promise<void>
}

/**
 * Runs `work` and waits for it no longer than `timeoutMs`: then its signal aborts with the error that `overdue` makes, which
 * is thrown, whatever `work` does.
 */
export async function withinTime<T>(
  runtime: Pick<Runtime, 'delay'>,
  timeoutMs: number,
  work: (signal: AbortSignal) => Promise<T>,
  overdue: () => Error,
): Promise<T> {
  const done = new AbortController()
  const late = new AbortController()
  const timeout = runtime.delay(timeoutMs, done.signal).then(
    () => {
      const error = overdue()
      late.abort(error)
      throw error
    },
    () => new Promise<never>(() => {}),
  )
  try {
    return await Promise.race([work(late.signal), timeout])
  } finally {
    done.abort()
  }
}

/** The machine's own clock and randomness. */
export const systemRuntime: Runtime = {
  now: Date.now,
  monotonicMs: () => performance.now(),
  random: Math.random,
  uuid: randomUUID,
  delay: async (ms, signal) => {
    await sleep(ms, undefined, signal === undefined ? {} : { signal })
  },
}
