/**
 * Time, chance and patience of everything that talks to Kafka. Retries of Kafka requests happen in this folder and
 * nowhere above it.
 *
 * @module
 */

/** What of the runtime Kafka needs; `systemRuntime` of the Delta core fits. */
export interface KafkaRuntime {
  /** Epoch milliseconds. */
  now(): number
  /** In [0, 1). */
  random(): number
  /** Resolves after `ms`; rejects where the signal aborts first. */
  delay(ms: number, signal?: AbortSignal): Promise<void>
}

export interface RetryPolicy {
  /** Attempts in a row without progress, the first one included. */
  readonly attemptsMax: number
  readonly baseDelayMs: number
  readonly maxDelayMs: number
}

/** Rides out a leader election or a broker's restart: about a minute. */
export const DEFAULT_RETRY: RetryPolicy = { attemptsMax: 36, baseDelayMs: 100, maxDelayMs: 4000 }

/** Attempts at the first contact: a wrong address or topic should be said within seconds. */
export const OPEN_ATTEMPTS_MAX = 3
/** No further attempt at the first contact after this long: a server that says nothing takes its time each time. */
export const OPEN_ELAPSED_MAX_MS = 5_000

/**
 * How long to wait after `attempt` failures, from 1: exponential, capped, with full jitter, so that clients that failed
 * together come back apart (Exponential Backoff And Jitter, AWS Architecture Blog).
 */
export function backoffMs(policy: RetryPolicy, attempt: number, random: () => number): number {
  return Math.floor(
    random() * Math.min(policy.maxDelayMs, policy.baseDelayMs * 2 ** Math.min(attempt - 1, 30)),
  )
}
