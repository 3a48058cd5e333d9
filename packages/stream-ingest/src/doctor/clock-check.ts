/**
 * The clock of this machine against the store's.
 *
 * @module
 */
import type { S3Config } from '../config/ingest-config.ts'
import { GenericError } from '../error.ts'
import { formatDuration } from '../observe/format.ts'
import type { CheckContext } from './check-context.ts'
import type { Checkup, Found } from './checkup.ts'

/** A `Date` header has whole seconds, and the way there takes time. */
const SKEW_WARN_MS = 5_000
/** S3 refuses signatures beyond. */
const SKEW_MAX_MS = 15 * 60 * 1000
/** Half of the second that the header cuts off. */
const HEADER_ROUNDING_MS = 500

/** Asks without a signature: whatever the answer, it has the time. */
export async function checkClock(
  checkup: Checkup,
  { pipeline, runtime, timeoutMs, fetchUrl }: CheckContext,
): Promise<void> {
  const { s3 } = pipeline
  if (s3.kind !== 's3') return
  const asked = await askTime(endpointOf(s3), fetchUrl, timeoutMs, runtime.now)
  if (asked === null) {
    checkup.skip('clock', 'the store does not tell the time')
    return
  }
  await checkup.run('clock', async (): Promise<Found<null>> => {
    const distance = formatDuration(Math.abs(asked))
    if (Math.abs(asked) < SKEW_WARN_MS) return { value: null, message: `${distance} from the store` }
    const message = `the clock of this machine is ${distance} ${asked > 0 ? 'behind' : 'ahead of'} the store’s`
    if (Math.abs(asked) >= SKEW_MAX_MS) {
      throw new GenericError('CLOCK_SKEWED', `${message}: S3 accepts ${formatDuration(SKEW_MAX_MS)}`)
    }
    return { value: null, warning: { code: 'CLOCK_SKEWED', message } }
  })
}

function endpointOf({ endpoint, region }: S3Config & { readonly kind: 's3' }): string {
  const suffix = region.startsWith('cn-') ? '.cn' : ''
  return endpoint ?? `https://s3.${region}.amazonaws.com${suffix}`
}

/** How far the store's clock is ahead of ours, in milliseconds; null where it cannot be asked. */
async function askTime(
  endpoint: string,
  fetchUrl: CheckContext['fetchUrl'],
  timeoutMs: number,
  now: () => number,
): Promise<number | null> {
  const startedMs = now()
  try {
    const signal = AbortSignal.timeout(timeoutMs)
    const response = await fetchUrl(endpoint, { method: 'HEAD', redirect: 'manual', signal })
    const answeredMs = now()
    const theirs = Date.parse(response.headers.get('date') ?? '')
    if (Number.isNaN(theirs)) return null
    return theirs + HEADER_ROUNDING_MS - (startedMs + answeredMs) / 2
  } catch {
    return null
  }
}
