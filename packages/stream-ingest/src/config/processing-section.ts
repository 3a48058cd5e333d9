/**
 * The `processing` section.
 *
 * @module
 */
import type { ParquetCodec } from '@stream-ingest/delta'
import type { ConfigReader } from './config-reader.ts'
import { boolean, enumeration, integer, milliseconds, share, size } from './field-type.ts'
import type { ProcessingConfig } from './ingest-config.ts'
import type { PlatformDefaults } from './platform-defaults.ts'
import { optional, type SectionReading, type SectionValues, section, withDefault } from './section.ts'

const MS_PER_DAY = 86_400_000
const BATCH_SIZE_MAX = 100_000_000
const RETRIES_MAX = 100
const WORKERS_MAX = 256
const BAD_RECORDS_MAX = Number.MAX_SAFE_INTEGER
const MEMORY_MIN = 2 ** 20
const MEMORY_MAX = 2 ** 40
/** Levels of the codecs that have levels. */
const LEVELS: Partial<Record<ParquetCodec, { readonly min: number; readonly max: number }>> = {
  zstd: { min: 1, max: 22 },
  gzip: { min: 0, max: 9 },
}

export const processingSection = section(
  'processing',
  'How messages become commits.',
  {
    batch_size: withDefault<number>(integer({ min: 1, max: BATCH_SIZE_MAX }), 1_000_000, {
      description: 'Most messages in one commit.',
    }),
    batch_timeout_ms: withDefault<number>(milliseconds({ min: 1, max: MS_PER_DAY }), 30_000, {
      description:
        'A commit is made once the oldest buffered message is this old, also when no new message comes.',
    }),
    memory_limit: optional<number>(size({ min: MEMORY_MIN, max: MEMORY_MAX }), {
      description:
        'Hard bound over everything that is buffered. At the bound a commit is made early, and nothing more is fetched.',
      defaultText: '`512MiB`; on Lambda a share of the function’s memory',
      example: '1GiB',
    }),
    batch_bytes: optional<number>(size({ min: MEMORY_MIN, max: MEMORY_MAX }), {
      description: 'Another name for `memory_limit`.',
    }),
    max_retries: withDefault<number>(integer({ min: 0, max: RETRIES_MAX }), 3, {
      description:
        'How often a request to the store is repeated, and after that the pipeline started again from the table. A commit starts the count anew.',
    }),
    retry_base_delay_ms: withDefault<number>(milliseconds({ min: 1, max: MS_PER_DAY }), 200, {
      description: 'Longest wait before the second attempt; it doubles with each one, with full jitter.',
    }),
    retry_max_delay_ms: withDefault<number>(milliseconds({ min: 1, max: MS_PER_DAY }), 30_000, {
      description: 'Longest wait before any attempt.',
    }),
    enable_compression: withDefault<boolean>(boolean(), true, {
      description: 'Compress the pages of data files.',
    }),
    compression_type: withDefault<ParquetCodec>(
      enumeration(['snappy', 'zstd', 'gzip', 'lz4_raw', 'none']),
      'snappy',
      { description: 'With which codec.' },
    ),
    compression_level: optional<number>(integer({ min: 0, max: 22 }), {
      description: 'For `zstd` (1 to 22) and `gzip` (0 to 9).',
      defaultText: 'the codec’s',
      example: '3',
    }),
    on_bad_record: withDefault<ProcessingConfig['onBadRecord']>(
      enumeration(['stop', 'skip', 'quarantine']),
      'stop',
      {
        description:
          'What to do with a record that does not fit: stop before it; leave it out, counted and logged with its offset; or put it into the table `<table_name>_quarantine`.',
      },
    ),
    max_bad_records: optional<number>(integer({ min: 0, max: BAD_RECORDS_MAX }), {
      description:
        'Most records of one run (or of one batch that is handed in) that may be skipped or quarantined. The next one stops it, everything before being committed.',
      defaultText: 'no limit',
      example: '1000',
    }),
    max_bad_ratio: optional<number>(share(), {
      description:
        'Largest share of records that may be skipped or quarantined, of those that one run (or one batch that is handed in) has read; of a long run, of the last 100,000 or so. Held against it from the 1,000th record on, and at the end of a bounded run.',
      defaultText: 'no limit',
      example: '0.01',
    }),
    on_null_value: withDefault<ProcessingConfig['onNullValue']>(enumeration(['skip', 'row', 'bad']), 'skip', {
      description: 'What to do with a tombstone: leave it out, write a row of its metadata, or call it bad.',
    }),
    value_format: withDefault<ProcessingConfig['valueFormat']>(
      enumeration(['json', 'avro', 'protobuf', 'raw']),
      'json',
      {
        description: 'How the payload is written.',
        later: { label: '`avro`, `protobuf`, `raw`', covers: value => value !== 'json' },
      },
    ),
    runtime_limit_ms: optional<number>(milliseconds({ min: 1000, max: 365 * MS_PER_DAY }), {
      description: 'Stop fetching early enough to have committed before this long after the start.',
      defaultText: '`840000` on Lambda',
    }),
    workers: optional<number>(integer({ min: 0, max: WORKERS_MAX }), {
      description:
        'Threads that decode and encode beside the main one, shared by the pipelines of a process. With `0` or `1` the main thread does it.',
      defaultText: 'cores − 1, at most one for each 128 MiB of memory limit; `0` on Lambda',
    }),
    dry_run: withDefault<boolean>(boolean(), false, {
      description: 'Read, decode and validate, and say what would be written; write nothing, commit nothing.',
    }),
  },
  [{ keys: ['memory_limit', 'batch_bytes'], required: false }],
)

export type ProcessingReading = SectionReading<typeof processingSection.fields>

export function checkProcessing(reading: ProcessingReading, reader: ConfigReader): void {
  const { values } = reading
  const codec = effectiveCodec(values.enable_compression, values.compression_type)
  if (values.compression_level !== undefined && codec !== undefined) {
    const range = LEVELS[codec]
    const level = values.compression_level
    if (range === undefined) {
      const message = `\`compression_level\` is given, but \`${codec}\` has no levels`
      reader.sink.error('CONFIG_CONFLICT', reading.spanOf('compression_level'), message, {
        help: 'remove the key, or set `compression_type` to `zstd` or `gzip`',
      })
    } else if (level < range.min || level > range.max) {
      const message = `the levels of \`${codec}\` are ${range.min} to ${range.max}, found ${level}`
      reader.sink.error('CONFIG_INVALID_VALUE', reading.spanOf('compression_level'), message)
    }
  }
  if (values.on_bad_record === 'stop') {
    for (const key of ['max_bad_records', 'max_bad_ratio'] as const) {
      if (values[key] === undefined) continue
      reader.sink.warn(
        'CONFIG_CONFLICT',
        reading.spanOf(key),
        `\`${key}\` limits bad records, and the first one stops the run`,
        {
          help: 'remove the key, or set `on_bad_record` to `skip` or `quarantine`',
        },
      )
    }
  }
  const { retry_base_delay_ms: base, retry_max_delay_ms: max } = values
  if (base !== undefined && max !== undefined && base > max) {
    const place = reading.has('retry_base_delay_ms') ? 'retry_base_delay_ms' : 'retry_max_delay_ms'
    const message = `\`retry_base_delay_ms\` (${base}) is longer than \`retry_max_delay_ms\` (${max})`
    reader.sink.error('CONFIG_CONFLICT', reading.spanOf(place), message, {
      help: 'raise the one, or lower the other',
    })
  }
}

function effectiveCodec(
  isEnabled: boolean | undefined,
  codec: ParquetCodec | undefined,
): ParquetCodec | undefined {
  return isEnabled === false ? 'none' : codec
}

export function resolveProcessing(
  values: SectionValues<typeof processingSection.fields>,
  defaults: PlatformDefaults,
): ProcessingConfig {
  const { compression_level } = values
  const workers = values.workers ?? defaults.workers
  const runtimeLimitMs = values.runtime_limit_ms ?? defaults.runtimeLimitMs
  return {
    batchSize: values.batch_size,
    batchTimeoutMs: values.batch_timeout_ms,
    memoryLimitBytes: values.batch_bytes ?? values.memory_limit ?? defaults.memoryLimitBytes,
    maxRetries: values.max_retries,
    retryBaseDelayMs: values.retry_base_delay_ms,
    retryMaxDelayMs: values.retry_max_delay_ms,
    compression: values.enable_compression ? values.compression_type : 'none',
    ...(compression_level === undefined ? {} : { compressionLevel: compression_level }),
    onBadRecord: values.on_bad_record,
    ...(values.max_bad_records === undefined ? {} : { maxBadRecords: values.max_bad_records }),
    ...(values.max_bad_ratio === undefined ? {} : { maxBadRatio: values.max_bad_ratio }),
    onNullValue: values.on_null_value,
    valueFormat: values.value_format,
    ...(runtimeLimitMs === undefined ? {} : { runtimeLimitMs }),
    ...(workers === undefined ? {} : { workers }),
    dryRun: values.dry_run,
  }
}
