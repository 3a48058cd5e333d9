/**
 * Errors of the Delta core: one class, a closed list of codes, each with what an operator can do about it.
 *
 * Expected outcomes (a lost race, a missing object) are values, never errors; bugs are assertions and are never
 * retried. What is thrown is a {@link DeltaLakeError}: the caller cannot do its job, and this says why.
 *
 * @module
 */

/** What is known of a code without looking at an instance: may the same call succeed later, and the usual fix. */
interface ErrorKind {
  readonly retryable: boolean
  readonly hint: string
}

export const DELTA_ERRORS = {
  // The log and the table.
  DELTA_TABLE_NOT_FOUND: {
    retryable: false,
    hint: 'check the path; a Delta table has a `_delta_log` folder with commits',
  },
  DELTA_TABLE_EXISTS: {
    retryable: false,
    hint: 'choose another table name, or append to the table that exists',
  },
  DELTA_LOG_CORRUPT: {
    retryable: false,
    hint: 'restore the named log file from a backup or a bucket version',
  },
  DELTA_LOG_GAP: {
    retryable: false,
    hint: 'a commit file is missing: restore it, or restore the table from a backup',
  },
  DELTA_VERSION_NOT_FOUND: { retryable: false, hint: 'ask for a version that the log still holds' },
  DELTA_PROTOCOL_UNSUPPORTED: {
    retryable: false,
    hint: 'use an engine that implements the named feature, or drop the feature from the table',
  },
  DELTA_PROPERTY_INVALID: { retryable: false, hint: 'correct the table property' },
  DELTA_SCHEMA_INVALID: { retryable: false, hint: 'correct the schema' },
  DELTA_SCHEMA_MISMATCH: {
    retryable: false,
    hint: 'make the configured schema fit the table, or write to another table',
  },
  DELTA_TABLE_CHANGED: {
    retryable: false,
    hint: 'the table was replaced or restored underneath this writer: check it, then start again',
  },
  DELTA_TABLE_APPEND_ONLY: {
    retryable: false,
    hint: 'append to the table, or set its property `delta.appendOnly` to false',
  },
  DELTA_TABLE_TOO_LARGE: {
    retryable: false,
    hint: 'compact the table first, or write to a new one',
  },
  DELTA_DATA_CORRUPT: {
    retryable: false,
    hint: 'the named data file is damaged: restore it from a backup or a bucket version',
  },
  DELTA_COLUMN_NOT_FOUND: { retryable: false, hint: 'name a column of the schema' },
  DELTA_FILE_OUTSIDE: {
    retryable: false,
    hint: 'the table refers to files of another place (a shallow clone): give the reader access to that place',
  },
  DELTA_RETENTION_TOO_SHORT: {
    retryable: false,
    hint: 'keep removed files for longer: readers and writers that are under way may still need them',
  },
  DELTA_COMMIT_CONTENTION: {
    retryable: true,
    hint: 'too many writers commit to this table: lower their number or raise the flush interval',
  },
  DELTA_COMMIT_UNKNOWN: {
    retryable: true,
    hint: 'the store did not answer: the outcome is read from the table at the next start',
  },
  // The object store.
  STORE_ACCESS_DENIED: {
    retryable: false,
    hint: 'grant the named action on the named prefix to this identity',
  },
  STORE_CREDENTIALS: { retryable: false, hint: 'check the access key, the secret and the session token' },
  STORE_BUCKET_NOT_FOUND: { retryable: false, hint: 'create the bucket, or correct its name or region' },
  STORE_REGION: { retryable: false, hint: 'set the region in which the bucket lives' },
  STORE_KEY_INVALID: {
    retryable: false,
    hint: 'keys are `/`-separated, relative, without `.` and `..` segments and control characters',
  },
  STORE_URI_INVALID: {
    retryable: false,
    hint: 'write a path, `file:///path`, `s3://bucket/prefix` or `memory:name`',
  },
  STORE_UNAVAILABLE: {
    retryable: true,
    hint: 'check the endpoint and the network; the request can be repeated',
  },
  STORE_THROTTLED: {
    retryable: true,
    hint: 'the store asks to slow down; the request can be repeated later',
  },
  STORE_NOT_ATOMIC: {
    retryable: false,
    hint: 'use a store that honours `If-None-Match: *`: concurrent writers would lose commits on this one',
  },
  STORE_NO_SPACE: { retryable: true, hint: 'free space on the device' },
  STORE_REQUEST_FAILED: { retryable: false, hint: 'see the cause' },
  // Parquet.
  PARQUET_UNSUPPORTED: {
    retryable: false,
    hint: 'rewrite the file with an encoding or codec that is supported',
  },
} as const satisfies Record<string, ErrorKind>

export type DeltaErrorCode = keyof typeof DELTA_ERRORS

export interface DeltaErrorOptions {
  /** Overrides the registry where an instance knows better. */
  readonly retryable?: boolean
  /** The operator's next step; overrides the registry's. */
  readonly hint?: string
  /** Facts for the log line: keys, versions, names. Never secrets. */
  readonly context?: Readonly<Record<string, string | number | bigint | boolean | null | undefined>>
  readonly cause?: unknown
}

/** An operation of the Delta core that could not be done. */
export class DeltaLakeError extends Error {
  override readonly name = 'DeltaLakeError'
  readonly code: DeltaErrorCode
  readonly retryable: boolean
  readonly hint: string
  readonly context: NonNullable<DeltaErrorOptions['context']>

  constructor(code: DeltaErrorCode, message: string, options: DeltaErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.retryable = options.retryable ?? DELTA_ERRORS[code].retryable
    this.hint = options.hint ?? DELTA_ERRORS[code].hint
    this.context = options.context ?? {}
  }
}
