/**
 * The codes of what `stream-ingest validate` warns of: settings that can be met, and are probably not what was meant.
 *
 * @module
 */

interface LintDefinition {
  readonly title: string
  readonly hint: string
  /** YAML that brings the warning. */
  readonly example: string
  readonly exitCode: number
}

/** Of a configuration with errors: a warning ends the command line so where warnings are denied. */
const exitCode = 78

export const LINTS = {
  LINT_SMALL_FILES: {
    title: 'commits are made so often, or are so small, that the table gets very many files',
    hint: 'raise `processing.batch_timeout_ms`, `processing.batch_size` or `delta.target_file_size`, or set `delta.optimize`',
    example: 'processing: { batch_timeout_ms: 1000 }',
    exitCode,
  },
  LINT_SIZE_UNREACHABLE: {
    title: 'files cannot grow to their target size: memory is full before',
    hint: 'raise `processing.memory_limit`, or lower `delta.target_file_size`',
    example: 'delta: { target_file_size: 1GiB }',
    exitCode,
  },
  LINT_TIMEOUT_UNREACHABLE: {
    title: 'the run ends before a batch can be as old as `batch_timeout_ms`',
    hint: 'lower `processing.batch_timeout_ms`, or raise `processing.runtime_limit_ms`',
    example: 'processing: { batch_timeout_ms: 900000, runtime_limit_ms: 600000 }',
    exitCode,
  },
  LINT_PARTITION_CARDINALITY: {
    title: 'the table is partitioned by a column that has a value of its own in nearly every message',
    hint: 'partition by something with few values a day, such as a date derived from a timestamp (`delta.derive`)',
    example: 'delta: { partition_columns: [user_id] }',
    exitCode,
  },
  LINT_PARTITION_UNDECLARED: {
    title: 'a partition column is not in the schema, and one of nearly the same name is',
    hint: 'correct the name in `delta.partition_columns`; an undeclared column is the payload’s field of that name, and a message without it is bad',
    example: 'delta: { partition_columns: [contry], schema: [{ name: country, data_type: utf8 }] }',
    exitCode,
  },
  LINT_VACUUM_RETENTION: {
    title: 'VACUUM removes files that slow readers and time travel of the last week may need',
    hint: 'set `delta.vacuum.retention` to `168h` or more, as Delta Lake does by default',
    example: 'delta: { vacuum: { retention: 24h } }',
    exitCode,
  },
  LINT_DRY_RUN: {
    title: '`dry_run` stands in the file: nothing is written',
    hint: 'remove `processing.dry_run`, and use `stream-ingest run --dry-run` for a trial',
    example: 'processing: { dry_run: true }',
    exitCode,
  },
  LINT_OVERWRITE_LATEST: {
    title: 'the table is replaced by what arrives during the run alone',
    hint: 'set `kafka.auto_offset_reset` to `earliest` or to a timestamp: an overwrite starts there each time',
    example: 'kafka: { auto_offset_reset: latest }, delta: { write_mode: overwrite }',
    exitCode,
  },
  LINT_OVERWRITE_SHARED: {
    title: 'one pipeline replaces the rows that another one writes to the same table',
    hint: 'give the pipelines tables of their own, or let both append',
    example: 'pipelines: { a: { delta: { write_mode: overwrite } }, b: {} }',
    exitCode,
  },
  LINT_FRESHNESS_UNREACHABLE: {
    title: 'a table is called too old before a commit can make it newer',
    hint: 'raise `freshness`, or lower `processing.batch_timeout_ms`',
    example: 'freshness: { error_after: 10s }, processing: { batch_timeout_ms: 30000 }',
    exitCode,
  },
  LINT_TLS_UNVERIFIED: {
    title: 'certificates of brokers are not verified: anybody in between can read and change messages',
    hint: 'name the authority in `kafka.ssl.ca`, and remove `reject_unauthorized: false`',
    example: 'kafka: { ssl: { reject_unauthorized: false } }',
    exitCode,
  },
  LINT_PASSWORD_UNENCRYPTED: {
    title: 'a password crosses the network as plain text',
    hint: 'set `kafka.security_protocol` to `sasl_ssl`, or `kafka.sasl.mechanism` to one of `scram-…`',
    example: 'kafka: { security_protocol: sasl_plaintext, sasl: { mechanism: plain } }',
    exitCode,
  },
} as const satisfies Readonly<Record<`LINT_${string}`, LintDefinition>>

export type LintCode = keyof typeof LINTS
