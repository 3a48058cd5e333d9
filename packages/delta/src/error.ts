/**
 * Errors of the Delta core: one class, a closed list of codes, each with what an operator can do about it.
 *
 * Expected outcomes (a lost race, a missing object) are values, never errors; bugs are assertions and are never
 * retried. What is thrown is a {@link DeltaLakeError}: the caller cannot do its job, and this says why.
 *
 * @module
 */

/** What is known of a code without looking at an instance: what happened, may the same call succeed later, the usual fix. */
interface ErrorKind {
  readonly title: string
  readonly retryable: boolean
  readonly hint: string
}

export const DELTA_ERRORS = {
  // The log and the table.
  DELTA_TABLE_NOT_FOUND: {
    title: 'there is no table',
    retryable: false,
    hint: 'check the path; a Delta table has a `_delta_log` folder with commits',
  },
  DELTA_TABLE_EXISTS: {
    title: 'there is a table already',
    retryable: false,
    hint: 'choose another table name, or append to the table that exists',
  },
  DELTA_LOG_CORRUPT: {
    title: 'a file of the table’s log cannot be understood',
    retryable: false,
    hint: 'restore the named log file from a backup or a bucket version',
  },
  DELTA_LOG_GAP: {
    title: 'a commit of the table is missing',
    retryable: false,
    hint: 'a commit file is missing: restore it, or restore the table from a backup',
  },
  DELTA_VERSION_NOT_FOUND: {
    title: 'the table has no such version, or not any more',
    retryable: false,
    hint: 'ask for a version that the log still holds',
  },
  DELTA_PROTOCOL_UNSUPPORTED: {
    title: 'the table has a feature that is not implemented here',
    retryable: false,
    hint: 'use an engine that implements the named feature, or drop the feature from the table',
  },
  DELTA_PROPERTY_INVALID: {
    title: 'a table property has a value that it cannot have',
    retryable: false,
    hint: 'correct the table property',
  },
  DELTA_SCHEMA_INVALID: {
    title: 'the schema is none that a table can have',
    retryable: false,
    hint: 'correct the schema',
  },
  DELTA_SCHEMA_MISMATCH: {
    title: 'the rows do not fit the schema of the table',
    retryable: false,
    hint: 'make the configured schema fit the table, or write to another table',
  },
  DELTA_TABLE_CHANGED: {
    title: 'the table is another one than it was',
    retryable: false,
    hint: 'the table was replaced or restored underneath this writer: check it, then start again',
  },
  DELTA_TABLE_APPEND_ONLY: {
    title: 'the table allows no removal of rows',
    retryable: false,
    hint: 'append to the table, or set its property `delta.appendOnly` to false',
  },
  DELTA_TABLE_TOO_LARGE: {
    title: 'the table has more files than this operation can take',
    retryable: false,
    hint: 'compact the table first, or write to a new one',
  },
  DELTA_DATA_CORRUPT: {
    title: 'a data file is missing or damaged',
    retryable: false,
    hint: 'the named data file is damaged: restore it from a backup or a bucket version',
  },
  DELTA_COLUMN_NOT_FOUND: {
    title: 'the table has no such column',
    retryable: false,
    hint: 'name a column of the schema',
  },
  DELTA_FILE_OUTSIDE: {
    title: 'a file of the table lies in another place',
    retryable: false,
    hint: 'the table refers to files of another place (a shallow clone): give the reader access to that place',
  },
  DELTA_RETENTION_TOO_SHORT: {
    title: 'files would be deleted too early',
    retryable: false,
    hint: 'keep removed files for longer: readers and writers that are under way may still need them',
  },
  DELTA_COMMIT_CONTENTION: {
    title: 'other writers were first too often',
    retryable: true,
    hint: 'too many writers commit to this table: lower their number or raise the flush interval',
  },
  DELTA_COMMIT_UNKNOWN: {
    title: 'nobody knows whether the commit was made',
    retryable: true,
    hint: 'the store did not answer: the outcome is read from the table at the next start',
  },
  // The object store.
  STORE_ACCESS_DENIED: {
    title: 'the object store denied access',
    retryable: false,
    hint: 'grant the named action on the named prefix to this identity',
  },
  STORE_CREDENTIALS: {
    title: 'the object store refused the credentials',
    retryable: false,
    hint: 'check the access key, the secret and the session token',
  },
  STORE_BUCKET_NOT_FOUND: {
    title: 'the bucket does not exist',
    retryable: false,
    hint: 'create the bucket, or correct its name or region',
  },
  STORE_REGION: {
    title: 'the bucket lives in another region',
    retryable: false,
    hint: 'set the region in which the bucket lives',
  },
  STORE_KEY_INVALID: {
    title: 'a key is none that every store takes',
    retryable: false,
    hint: 'keys are `/`-separated, relative, without `.` and `..` segments and control characters',
  },
  STORE_URI_INVALID: {
    title: 'the place of the table cannot be understood',
    retryable: false,
    hint: 'write a path, `file:///path`, `s3://bucket/prefix` or `memory:name`',
  },
  STORE_UNAVAILABLE: {
    title: 'the object store does not answer',
    retryable: true,
    hint: 'check the endpoint and the network; the request can be repeated',
  },
  STORE_THROTTLED: {
    title: 'the object store asks to slow down',
    retryable: true,
    hint: 'the store asks to slow down; the request can be repeated later',
  },
  STORE_NOT_ATOMIC: {
    title: 'the object store lets two writers make the same commit',
    retryable: false,
    hint: 'use a store that honours `If-None-Match: *`: concurrent writers would lose commits on this one',
  },
  STORE_NO_SPACE: {
    title: 'no space is left where the table is',
    retryable: true,
    hint: 'free space on the device',
  },
  STORE_REQUEST_FAILED: {
    title: 'the object store refused a request',
    retryable: false,
    hint: 'see the cause',
  },
  // Parquet.
  PARQUET_UNSUPPORTED: {
    title: 'a Parquet file is written in a way that cannot be read',
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
