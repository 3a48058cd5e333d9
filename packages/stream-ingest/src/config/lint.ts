/**
 * What `validate` warns of in one pipeline: settings that can be met, and are probably not what was meant.
 *
 * Each rule speaks only of keys that are written: nobody is warned of a default.
 *
 * @module
 */
import type { ErrorCode } from '../error.ts'
import type { ConfigReader } from './config-reader.ts'
import type { deltaSection } from './delta-section.ts'
import { quoteValue, type Span } from './diagnostic.ts'
import { formatDuration, formatSize } from './field-type.ts'
import type { freshnessSection } from './freshness-section.ts'
import type { PipelineConfig } from './ingest-config.ts'
import type { kafkaSection } from './kafka-section.ts'
import type { processingSection } from './processing-section.ts'
import type { SectionReading } from './section.ts'
import { nearestWord } from './suggestion.ts'
import { planTableLayout, type TableColumn } from './table-layout.ts'
import { tablePath } from './table-path.ts'

export interface PipelineReading {
  readonly kafka: SectionReading<typeof kafkaSection.fields>
  readonly delta: SectionReading<typeof deltaSection.fields>
  readonly processing: SectionReading<typeof processingSection.fields>
  readonly freshness: SectionReading<typeof freshnessSection.fields> | null
}

const MS_PER_DAY = 86_400_000
/** More commits a day than this, some 8,600, are more than compaction by hand keeps up with. */
const BATCH_TIMEOUT_MIN_MS = 10_000
/** A million messages become ten thousand files. */
const BATCH_SIZE_MIN = 100
const MESSAGES_SHOWN = 1_000_000
const FILE_SIZE_MIN_BYTES = 2 ** 20
/** Delta Lake's own default. */
const RETENTION_MIN_MS = 7 * MS_PER_DAY
/** Names that hold one value for each message, or each user. `tenant_id` and the like may be few. */
const IDENTITY_NAME =
  /^(id|uuid|guid|email|(user|customer|account|event|message|request|session|order|transaction|trace|span|device|visitor|click)_?(id|uuid|guid))$/i
const LOOPBACK = /^(localhost|127\.[0-9.]+|\[::1\]):/

/** Warns of one pipeline that has no error. */
export function lintPipeline(reading: PipelineReading, config: PipelineConfig, reader: ConfigReader): void {
  lintFileSizes(reading, config, reader)
  lintTimes(reading, config, reader)
  lintPartitions(reading, config, reader)
  lintKafka(reading, config, reader)
  const { delta, processing } = reading
  const { vacuum } = config.delta
  if (vacuum?.retentionMs !== undefined && vacuum.retentionMs < RETENTION_MIN_MS) {
    const message = `files are deleted ${formatDuration(vacuum.retentionMs)} after they left the table: readers that are slower, and versions before, are lost`
    warn(
      'LINT_VACUUM_RETENTION',
      delta.spanOf('vacuum'),
      message,
      'set `retention` to `168h` or more',
      reader,
    )
  }
  if (config.processing.dryRun) {
    const message = '`dry_run: true` stands in the file: every run of it writes nothing'
    const help = 'remove the key, and use `stream-ingest run --dry-run` for a trial'
    warn('LINT_DRY_RUN', processing.spanOf('dry_run'), message, help, reader)
  }
}

function warn(code: ErrorCode, span: Span, message: string, help: string, reader: ConfigReader): void {
  reader.sink.warn(code, span, message, { help })
}

function lintFileSizes({ delta, processing }: PipelineReading, config: PipelineConfig, reader: ConfigReader) {
  const { batchTimeoutMs, batchSize, memoryLimitBytes } = config.processing
  const { targetFileSizeBytes, optimize, writeMode } = config.delta
  // An overwrite is one commit, and a compaction puts small files together.
  const mayBeSmall = optimize !== undefined || writeMode === 'overwrite'
  if (!mayBeSmall && processing.has('batch_timeout_ms') && batchTimeoutMs < BATCH_TIMEOUT_MIN_MS) {
    const commits = Math.round(MS_PER_DAY / batchTimeoutMs).toLocaleString('en-US')
    const message = `committing every ${formatDuration(batchTimeoutMs)} makes up to ${commits} commits a day, each with a file for every table partition that it touches`
    const help = 'raise `batch_timeout_ms`, or set `delta.optimize` to put small files together'
    warn('LINT_SMALL_FILES', processing.spanOf('batch_timeout_ms'), message, help, reader)
  }
  if (!mayBeSmall && processing.has('batch_size') && batchSize < BATCH_SIZE_MIN) {
    const files = Math.ceil(MESSAGES_SHOWN / batchSize).toLocaleString('en-US')
    const message = `with ${batchSize} messages a commit, a million messages become ${files} commits and as many files or more`
    const help = 'raise `batch_size`: `batch_timeout_ms` bounds how long messages wait'
    warn('LINT_SMALL_FILES', processing.spanOf('batch_size'), message, help, reader)
  }
  if (!delta.has('target_file_size')) return
  const span = delta.spanOf('target_file_size')
  if (targetFileSizeBytes < FILE_SIZE_MIN_BYTES) {
    const files = Math.ceil(2 ** 30 / targetFileSizeBytes).toLocaleString('en-US')
    const message = `files of ${formatSize(targetFileSizeBytes)}: each GiB of the table has ${files} of them`
    warn('LINT_SMALL_FILES', span, message, 'raise `target_file_size`; `128MiB` is usual', reader)
  }
  if (targetFileSizeBytes > memoryLimitBytes) {
    const message = `a file of ${formatSize(targetFileSizeBytes)} never comes about: ${formatSize(memoryLimitBytes)} of memory are full before`
    const help = 'raise `processing.memory_limit`, or lower `target_file_size`'
    warn('LINT_SIZE_UNREACHABLE', span, message, help, reader)
  }
}

function lintTimes({ processing, freshness }: PipelineReading, config: PipelineConfig, reader: ConfigReader) {
  const { batchTimeoutMs, runtimeLimitMs } = config.processing
  if (
    runtimeLimitMs !== undefined &&
    batchTimeoutMs >= runtimeLimitMs &&
    processing.has('batch_timeout_ms')
  ) {
    const message = `the run ends after ${formatDuration(runtimeLimitMs)}, before a batch is ${formatDuration(batchTimeoutMs)} old: all of it is committed in its last moments`
    const help = 'lower `batch_timeout_ms`, or raise `runtime_limit_ms`'
    warn('LINT_TIMEOUT_UNREACHABLE', processing.spanOf('batch_timeout_ms'), message, help, reader)
  }
  for (const key of ['warn_after', 'error_after'] as const) {
    const limitMs = freshness?.values[key]
    if (freshness === null || limitMs === undefined || limitMs > batchTimeoutMs) continue
    const message = `the newest row is ${formatDuration(batchTimeoutMs)} old before a commit is due (\`batch_timeout_ms\`), and \`${key}\` is ${formatDuration(limitMs)}`
    const help = `raise \`${key}\`, or lower \`processing.batch_timeout_ms\``
    warn('LINT_FRESHNESS_UNREACHABLE', freshness.spanOf(key), message, help, reader)
  }
}

function lintPartitions({ delta }: PipelineReading, config: PipelineConfig, reader: ConfigReader): void {
  const { schema, partitionColumns, mergeSchema } = config.delta
  if (schema === null) return
  const span = delta.spanOf('partition_columns')
  const declared = schema.fields.map(({ name }) => name)
  for (const column of planTableLayout(config.delta).layout.columns) {
    if (!column.isPartition) continue
    const { name } = column.field
    const near = declared.includes(name) || mergeSchema ? null : nearestWord(name, declared)
    if (near !== null && column.source.kind === 'decode' && !partitionColumns.includes(near)) {
      const message = `the partition column ${quoteValue(name)} is not in the schema: a message without such a field is bad`
      reader.sink.warn('LINT_PARTITION_UNDECLARED', span, message, {
        help: `did you mean \`${near}\`? Otherwise declare \`${name}\` in \`schema\``,
        suggestion: near,
      })
      continue
    }
    const why = manyValues(column)
    if (why === null) continue
    const message = `partitioned by \`${name}\`, ${why}, the table gets a folder and a file for nearly every value in each commit`
    const help = isInstant(column)
      ? `derive a date, \`derive: { ${name}_date: { from: ${name}, as: date } }\`, and partition by it`
      : 'partition by a column with few values, such as a date, or leave the table unpartitioned'
    warn('LINT_PARTITION_CARDINALITY', span, message, help, reader)
  }
}

/** Why a column has very many values, or null where nothing says so. */
function manyValues(column: TableColumn): string | null {
  const { field, source } = column
  if (source.kind === 'kafka')
    return ['offset', 'timestamp', 'key'].includes(source.field) ? `the record’s ${source.field}` : null
  if (source.kind !== 'decode') return null
  if (isInstant(column)) return 'an instant'
  if (field.type.kind === 'primitive' && ['double', 'float', 'binary'].includes(field.type.name))
    return `a \`${source.field.declaredType}\``
  return IDENTITY_NAME.test(field.name) ? 'an id' : null
}

function isInstant({ field: { type }, source }: TableColumn): boolean {
  return (
    source.kind === 'decode' &&
    type.kind === 'primitive' &&
    ['timestamp', 'timestamp_ntz'].includes(type.name)
  )
}

function lintKafka({ kafka }: PipelineReading, config: PipelineConfig, reader: ConfigReader): void {
  const { autoOffsetReset, ssl, sasl, securityProtocol, bootstrapServers } = config.kafka
  if (config.delta.writeMode === 'overwrite' && autoOffsetReset === 'latest') {
    const message =
      'an overwrite starts at `latest` each time: it replaces the table by what arrives during the run, perhaps nothing'
    const help = 'set `auto_offset_reset` to `earliest`, or to a timestamp'
    warn('LINT_OVERWRITE_LATEST', kafka.spanOf('auto_offset_reset'), message, help, reader)
  }
  if (ssl?.rejectUnauthorized === false) {
    const message =
      'certificates of brokers are not verified: anybody in between can read and change messages'
    const help = 'name the authority in `ca`, and remove `reject_unauthorized: false`'
    warn('LINT_TLS_UNVERIFIED', kafka.spanOf('ssl'), message, help, reader)
  }
  const isRemote = bootstrapServers.some(server => !LOOPBACK.test(server))
  if (securityProtocol === 'sasl_plaintext' && sasl?.mechanism === 'plain' && isRemote) {
    const message = 'the password crosses the network as plain text: `plain` over `sasl_plaintext`'
    const help = 'set `security_protocol` to `sasl_ssl`, or `mechanism` to one of `scram-…`'
    warn('LINT_PASSWORD_UNENCRYPTED', kafka.spanOf('security_protocol'), message, help, reader)
  }
}

/** Warns where pipelines of one file get in each other's way. */
export function lintSharedTables(
  pipelines: readonly { readonly config: PipelineConfig; readonly span: Span }[],
  reader: ConfigReader,
): void {
  const byTable = Map.groupBy(pipelines, ({ config }) => tablePath(config.s3, config.delta.tableName))
  for (const [table, sharing] of byTable) {
    const overwriter = sharing.find(({ config }) => config.delta.writeMode === 'overwrite')
    const other = sharing.find(each => each !== overwriter)
    if (overwriter === undefined || other === undefined) continue
    const message = `the pipeline \`${overwriter.config.name}\` replaces all rows of ${quoteValue(table)}, those of \`${other.config.name}\` too`
    const help = 'give it a table of its own, or set `write_mode: append`'
    warn('LINT_OVERWRITE_SHARED', overwriter.span, message, help, reader)
  }
}
