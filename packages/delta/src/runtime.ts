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
