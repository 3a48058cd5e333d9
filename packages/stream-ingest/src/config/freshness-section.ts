/**
 * The `freshness` section: how old the newest row of a table that is behind may be.
 *
 * @module
 */
import type { ConfigReader } from './config-reader.ts'
import { duration } from './field-type.ts'
import type { FreshnessConfig } from './ingest-config.ts'
import { optional, type SectionReading, type SectionValues, section } from './section.ts'

const MS_PER_DAY = 86_400_000
const RANGE = { min: 1_000, max: 365 * MS_PER_DAY }

export const freshnessSection = section(
  'freshness',
  'How old the newest row may be while messages wait, by Kafka’s timestamps; `stream-ingest status` holds the table to it.',
  {
    warn_after: optional<number>(duration(RANGE), {
      description: '`status` says so beyond this age.',
      example: '10m',
    }),
    error_after: optional<number>(duration(RANGE), {
      description: 'Beyond this age the pipeline is stale: `status` exits with 1.',
      example: '30m',
    }),
  },
)

export type FreshnessReading = SectionReading<typeof freshnessSection.fields>

export function checkFreshness(reading: FreshnessReading, reader: ConfigReader): void {
  const { warn_after: warn, error_after: error } = reading.values
  if (warn === undefined || error === undefined || warn <= error) return
  reader.sink.error(
    'CONFIG_CONFLICT',
    reading.spanOf('warn_after'),
    '`warn_after` is longer than `error_after`',
    {
      help: 'raise the one, or lower the other',
    },
  )
}

export function resolveFreshness({
  warn_after,
  error_after,
}: SectionValues<typeof freshnessSection.fields>): FreshnessConfig {
  return {
    ...(warn_after === undefined ? {} : { warnAfterMs: warn_after }),
    ...(error_after === undefined ? {} : { errorAfterMs: error_after }),
  }
}
