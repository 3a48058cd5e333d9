/**
 * OpenTelemetry spans, where its API is installed: it is optional, and nothing is loaded or listened to without it.
 *
 * @module
 */
import { createRequire } from 'node:module'
import { recordSpans, type TelemetryApi } from './spans.ts'

/**
 * Makes spans of the events of all pipelines in this process, where `@opentelemetry/api` can be loaded. Whoever registered a
 * tracer provider there gets them; where nobody did, they cost next to nothing.
 *
 * @param now epoch milliseconds
 * @returns a function that ends it
 */
export function traceEvents(now: () => number): () => void {
  const api = loadApi()
  return api === null ? () => {} : recordSpans(api, now)
}

/** By `require`, which also looks where NODE_PATH says: on Lambda the API comes in a layer. */
function loadApi(): TelemetryApi | null {
  try {
    return createRequire(import.meta.url)('@opentelemetry/api')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return null
    throw error
  }
}
