/**
 * The codes of errors: a closed list, each with its title, the usual fix, the exit code of the command line and whether
 * the same call may succeed later.
 *
 * @module
 */
import type { DeltaErrorCode } from '@stream-ingest/delta/error'
import { LINTS } from './lint-code.ts'

/** sysexits(3), where one fits. */
export const EXIT_CODES = {
  ok: 0,
  negative: 1,
  usage: 64,
  badData: 65,
  noInput: 66,
  unavailable: 69,
  internal: 70,
  cannotCreate: 73,
  temporary: 75,
  denied: 77,
  config: 78,
  interrupted: 130,
} as const

export const ERROR_KINDS = [
  'config',
  'kafka',
  'delta',
  's3',
  'lambda',
  'serialization',
  'io',
  'generic',
] as const
export type ErrorKind = (typeof ERROR_KINDS)[number]

export interface ErrorDefinition {
  readonly title: string
  readonly hint: string
  /** What brings it, in one line. */
  readonly example?: string
  readonly exitCode: number
  readonly retryable?: boolean
  readonly skipMessage?: boolean
}

/** The product's own codes. Those of the Delta core (`DELTA_…`, `STORE_…`) have their titles and hints there. */
export const ERRORS = {
  // Configuration.
  CONFIG_INVALID: {
    title: 'the configuration has errors',
    hint: 'run `stream-ingest validate`',
    exitCode: EXIT_CODES.config,
  },
  CONFIG_NOT_FOUND: {
    title: 'no configuration',
    hint: 'name a file, or set INGEST_CONFIG',
    exitCode: EXIT_CODES.config,
  },
  CONFIG_YAML_SYNTAX: {
    title: 'the text is neither YAML nor JSON',
    hint: 'correct the named line; YAML indents with spaces',
    exitCode: EXIT_CODES.config,
  },
  CONFIG_TOO_LARGE: {
    title: 'the configuration is larger than allowed',
    hint: 'split the pipelines over several files',
    exitCode: EXIT_CODES.config,
  },
  CONFIG_UNKNOWN_KEY: {
    title: 'a key is not known',
    hint: 'correct the spelling, or remove the key',
    exitCode: EXIT_CODES.config,
  },
  CONFIG_MISSING_KEY: {
    title: 'a required key is missing',
    hint: 'add the key',
    exitCode: EXIT_CODES.config,
  },
  CONFIG_DUPLICATE_KEY: {
    title: 'a key is given twice',
    hint: 'remove one of the two',
    exitCode: EXIT_CODES.config,
  },
  CONFIG_INVALID_VALUE: {
    title: 'a value does not fit its key',
    hint: 'write a value of the named type',
    exitCode: EXIT_CODES.config,
  },
  CONFIG_CONFLICT: {
    title: 'two settings exclude each other',
    hint: 'keep one of the two',
    exitCode: EXIT_CODES.config,
  },
  CONFIG_VARIABLE: {
    title: 'an environment variable cannot be put in',
    hint: 'set the variable, or give a default after `:-`',
    exitCode: EXIT_CODES.config,
  },
  CONFIG_SECRET: {
    title: 'a secret cannot be read',
    hint: 'check the variable, the file or the secret that is named',
    exitCode: EXIT_CODES.config,
  },
  CONFIG_PLAINTEXT_SECRET: {
    title: 'a secret stands in the file as plain text',
    hint: 'write `{ from_env: NAME }`, `{ from_file: PATH }` or `{ from_aws_secret: "id#field" }`',
    exitCode: EXIT_CODES.config,
  },
  CONFIG_UNSUPPORTED: {
    title: 'the setting is not available in this release',
    hint: 'remove the setting',
    exitCode: EXIT_CODES.config,
  },
  CONFIG_USAGE: {
    title: 'the command line is wrong',
    hint: 'see `stream-ingest --help`',
    exitCode: EXIT_CODES.usage,
  },
  ...LINTS,
  // Kafka.
  KAFKA_UNREACHABLE: {
    title: 'no broker answers',
    hint: 'check `kafka.bootstrap_servers`, the network and the listener',
    exitCode: EXIT_CODES.unavailable,
    retryable: true,
  },
  KAFKA_AUTHENTICATION: {
    title: 'the broker refused the credentials',
    hint: 'check `kafka.security_protocol` and `kafka.sasl`',
    exitCode: EXIT_CODES.denied,
  },
  KAFKA_AUTHORIZATION: {
    title: 'the broker denied access',
    hint: 'grant the named right to this principal',
    exitCode: EXIT_CODES.denied,
  },
  KAFKA_TLS: {
    title: 'the TLS handshake failed',
    hint: 'check `kafka.ssl` and `kafka.security_protocol`',
    exitCode: EXIT_CODES.unavailable,
  },
  KAFKA_SECURITY_PROTOCOL: {
    title: 'the listener speaks another security protocol than the configuration',
    hint: 'set `kafka.security_protocol` to that of the listener, or name another listener in `kafka.bootstrap_servers`',
    exitCode: EXIT_CODES.config,
  },
  KAFKA_ADVERTISED_LISTENER: {
    title: 'a broker advertises an address that cannot be reached from here',
    hint: 'correct `advertised.listeners` of the broker, or let this machine resolve and reach the address',
    exitCode: EXIT_CODES.unavailable,
    retryable: true,
  },
  KAFKA_BROKER_UNSUPPORTED: {
    title: 'the broker does not know a request that is needed',
    hint: 'use Apache Kafka 3.1 or newer, or a broker compatible with it',
    exitCode: EXIT_CODES.unavailable,
  },
  KAFKA_NO_LEADER: {
    title: 'nobody leads a partition',
    hint: 'start the brokers that hold its replicas; an election passes by itself within seconds',
    exitCode: EXIT_CODES.unavailable,
    retryable: true,
  },
  KAFKA_GROUP_IN_USE: {
    title: 'consumers of another application are members of the group',
    hint: 'give this pipeline its own `kafka.consumer_group`: the offsets of that group are theirs',
    exitCode: EXIT_CODES.config,
  },
  KAFKA_TOPIC_NOT_FOUND: {
    title: 'the topic does not exist',
    hint: 'create the topic, or correct `kafka.topic`',
    exitCode: EXIT_CODES.noInput,
  },
  KAFKA_TOPIC_RECREATED: {
    title: 'the topic was deleted and created again',
    hint: 'the offsets known so far belong to the former topic: start again to read the new one from its beginning',
    exitCode: EXIT_CODES.badData,
  },
  KAFKA_OFFSET_OUT_OF_RANGE: {
    title: 'the next offset is not in the topic any more',
    hint: 'set `kafka.on_offset_out_of_range` to accept the loss, or move the offsets with `stream-ingest offsets set`',
    exitCode: EXIT_CODES.badData,
  },
  KAFKA_RETENTION_NEAR: {
    title: 'the topic will soon delete messages that are not in the table',
    hint: 'run the pipeline, or raise `retention.ms` of the topic',
    exitCode: EXIT_CODES.temporary,
  },
  KAFKA_NO_OFFSET: {
    title: 'the table holds no offset and `auto_offset_reset` is `none`',
    hint: 'set `kafka.auto_offset_reset` for the first run',
    exitCode: EXIT_CODES.config,
  },
  KAFKA_CORRUPT_BATCH: {
    title: 'a record batch is damaged',
    hint: 'check the broker’s log segment at the named offset; a replica may hold a sound copy',
    exitCode: EXIT_CODES.badData,
  },
  KAFKA_BATCH_UNSUPPORTED: {
    title: 'a record batch has a format that is not supported',
    hint: 'have the topic rewritten by a producer of Kafka 0.11 or newer, or start after the named offset',
    exitCode: EXIT_CODES.badData,
  },
  KAFKA_BATCH_TOO_LARGE: {
    title: 'a record batch is larger than allowed',
    hint: 'raise `processing.memory_limit` or lower the producers’ batch size',
    exitCode: EXIT_CODES.badData,
  },
  KAFKA_PROTOCOL: {
    title: 'the broker answered with an error',
    hint: 'see the broker’s error name',
    exitCode: EXIT_CODES.unavailable,
    retryable: true,
  },
  // Records.
  RECORD_INVALID: {
    title: 'a record does not fit the schema',
    hint: 'correct the schema or the producer, or set `processing.on_bad_record`',
    exitCode: EXIT_CODES.badData,
    skipMessage: true,
  },
  RECORD_NOT_JSON: {
    title: 'a record is not JSON',
    hint: 'correct the producer, or set `processing.on_bad_record`',
    exitCode: EXIT_CODES.badData,
    skipMessage: true,
  },
  RECORD_LIMIT: {
    title: 'more records are bad than the configuration allows',
    hint: 'correct the schema or the producer, or raise `processing.max_bad_records` or `processing.max_bad_ratio`',
    exitCode: EXIT_CODES.badData,
  },
  // Pipeline and table.
  TABLE_SCHEMA_MISMATCH: {
    title: 'the table has another schema than the configuration',
    hint: 'make `delta.schema` fit the table, or name another table',
    exitCode: EXIT_CODES.config,
  },
  OVERWRITE_UNFINISHED: {
    title: 'the run ended before it could replace the table',
    hint: 'run again and let it come to its end; with a time limit, raise the limit',
    exitCode: EXIT_CODES.temporary,
  },
  TABLE_OFFSETS_MISSING: {
    title: 'the table lost the offsets of this pipeline',
    hint: 'check whether the table was replaced',
    exitCode: EXIT_CODES.badData,
  },
  TABLE_OFFSETS_MIXED: {
    title: 'the table holds the offsets of this pipeline under another form of its topics',
    hint: 'ingest a topic in one way: by reading Kafka, or from messages that are handed in (a Lambda trigger). To change the way, give the new one its own `kafka.consumer_group` and a start that neither repeats nor skips (`stream-ingest inspect table --offsets` shows where the old one stands)',
    exitCode: EXIT_CODES.config,
  },
  TABLE_OFFSETS_EXPIRE: {
    title: 'the table would forget the offsets of this pipeline',
    hint: 'unset the table property `delta.setTransactionRetentionDuration`, after checking that this pipeline’s `txn`s are still there (`stream-ingest inspect table --offsets`)',
    exitCode: EXIT_CODES.badData,
  },
  PIPELINE_ACTIVE: {
    title: 'a process of this pipeline seems to be running',
    hint: 'stop it first; or go on with --force: what it holds is dropped at its next commit, and it reads on from the new offsets',
    exitCode: EXIT_CODES.temporary,
  },
  TABLE_TOPIC_TWICE: {
    title: 'another pipeline writes the same topic to this table',
    hint: 'stop one of the two, or give it a table of its own: each message is in the table once for each pipeline',
    exitCode: EXIT_CODES.config,
  },
  TABLE_OTHER_WRITERS: {
    title: 'a writer that may not put conditionally has changed this table on S3',
    hint: 'have a bucket policy demand `s3:if-none-match` on `_delta_log/*.json`, or let that engine write to another table',
    exitCode: EXIT_CODES.config,
  },
  TABLE_SMALL_FILES: {
    title: 'most files of the table are small',
    hint: 'run `stream-ingest optimize`, set `delta.optimize`, or commit less often (`processing.batch_timeout_ms`)',
    exitCode: EXIT_CODES.negative,
  },
  TABLE_CHECKPOINT_BEHIND: {
    title: 'the newest checkpoint of the table is old',
    hint: 'run `stream-ingest checkpoint`, and look for the warnings about checkpoints in the log of `run`',
    exitCode: EXIT_CODES.negative,
  },
  TABLE_VACUUM_DUE: {
    title: 'the table keeps many files that are no part of it any more',
    hint: 'run `stream-ingest vacuum`, or set `delta.vacuum`',
    exitCode: EXIT_CODES.negative,
  },
  PIPELINE_FENCED: {
    title: 'another process writes this pipeline',
    hint: 'stop the other process, or give this pipeline its own `kafka.consumer_group`',
    exitCode: EXIT_CODES.temporary,
    retryable: true,
  },
  // The object store (S3Client).
  S3_PATH_STYLE: {
    title: 'the server wants the bucket in the path, not in the host name',
    hint: 'set `s3.force_path_style: true`',
    exitCode: EXIT_CODES.config,
  },
  S3_FAILED: { title: 'the object store refused', hint: 'see the cause', exitCode: EXIT_CODES.unavailable },
  // Everything else.
  LAMBDA_EVENT: {
    title: 'the Lambda event is not understood',
    hint: 'send a schedule, manual or Kafka event',
    exitCode: EXIT_CODES.usage,
  },
  LAMBDA_DEADLINE: {
    title: 'the Lambda invocation ran out of time',
    hint: 'raise the function’s timeout',
    exitCode: EXIT_CODES.temporary,
    retryable: true,
  },
  CLOCK_SKEWED: {
    title: 'the clocks of this machine and of the store differ',
    hint: 'synchronise the clock of this machine (NTP): signatures, retention and freshness go by it',
    exitCode: EXIT_CODES.config,
  },
  CHECK_TIMEOUT: {
    title: 'a check did not come to an end in its time',
    hint: 'look whether the server is busy or a firewall drops what it is sent; give more time with --timeout',
    exitCode: EXIT_CODES.unavailable,
    retryable: true,
  },
  IO_FAILED: {
    title: 'the operating system refused',
    hint: 'see the cause',
    exitCode: EXIT_CODES.unavailable,
  },
  IO_NOT_FOUND: {
    title: 'a file does not exist',
    hint: 'check the path',
    exitCode: EXIT_CODES.noInput,
  },
  IO_DENIED: {
    title: 'the operating system denied access',
    hint: 'give this user the permission on the named path',
    exitCode: EXIT_CODES.denied,
  },
  IO_FILE_EXISTS: {
    title: 'a file that is to be written is there already',
    hint: 'name another folder, or overwrite it with --overwrite',
    exitCode: EXIT_CODES.cannotCreate,
  },
  IO_NO_SPACE: {
    title: 'no space is left on the device',
    hint: 'free space on the device',
    exitCode: EXIT_CODES.cannotCreate,
    retryable: true,
  },
  IO_UNREACHABLE: {
    title: 'the network does not lead there',
    hint: 'check the address and the network',
    exitCode: EXIT_CODES.unavailable,
    retryable: true,
  },
  ABORTED: {
    title: 'the caller ended it',
    hint: 'nothing is lost: what is not committed is read again',
    exitCode: EXIT_CODES.interrupted,
  },
  DEMO_FOLDER_TAKEN: {
    title: 'the folder of the demonstration holds something else',
    hint: 'name another folder with --dir',
    exitCode: EXIT_CODES.cannotCreate,
  },
  DEMO_FAILED: {
    title: 'the demonstration could not be carried out',
    hint: 'see the message above',
    exitCode: EXIT_CODES.negative,
  },
  INTERNAL: {
    title: 'a bug in stream-ingest',
    hint: 'report it with this message and the stack',
    exitCode: EXIT_CODES.internal,
  },
} as const satisfies Record<string, ErrorDefinition>

export type ErrorCode = keyof typeof ERRORS

/** How the command line ends where the Delta core could not do something. */
export const DELTA_EXIT_CODES: Readonly<Record<DeltaErrorCode, number>> = {
  DELTA_TABLE_NOT_FOUND: EXIT_CODES.noInput,
  DELTA_TABLE_EXISTS: EXIT_CODES.cannotCreate,
  DELTA_LOG_CORRUPT: EXIT_CODES.badData,
  DELTA_LOG_GAP: EXIT_CODES.badData,
  DELTA_VERSION_NOT_FOUND: EXIT_CODES.noInput,
  DELTA_PROTOCOL_UNSUPPORTED: EXIT_CODES.badData,
  DELTA_PROPERTY_INVALID: EXIT_CODES.config,
  DELTA_SCHEMA_INVALID: EXIT_CODES.config,
  DELTA_SCHEMA_MISMATCH: EXIT_CODES.config,
  DELTA_TABLE_CHANGED: EXIT_CODES.badData,
  DELTA_TABLE_APPEND_ONLY: EXIT_CODES.config,
  DELTA_TABLE_TOO_LARGE: EXIT_CODES.badData,
  DELTA_DATA_CORRUPT: EXIT_CODES.badData,
  DELTA_COLUMN_NOT_FOUND: EXIT_CODES.usage,
  DELTA_FILE_OUTSIDE: EXIT_CODES.denied,
  DELTA_RETENTION_TOO_SHORT: EXIT_CODES.usage,
  DELTA_COMMIT_CONTENTION: EXIT_CODES.temporary,
  DELTA_COMMIT_UNKNOWN: EXIT_CODES.temporary,
  STORE_ACCESS_DENIED: EXIT_CODES.denied,
  STORE_CREDENTIALS: EXIT_CODES.denied,
  STORE_BUCKET_NOT_FOUND: EXIT_CODES.noInput,
  STORE_REGION: EXIT_CODES.config,
  STORE_KEY_INVALID: EXIT_CODES.config,
  STORE_URI_INVALID: EXIT_CODES.usage,
  STORE_UNAVAILABLE: EXIT_CODES.unavailable,
  STORE_THROTTLED: EXIT_CODES.temporary,
  STORE_NOT_ATOMIC: EXIT_CODES.unavailable,
  STORE_NO_SPACE: EXIT_CODES.cannotCreate,
  STORE_REQUEST_FAILED: EXIT_CODES.unavailable,
  PARQUET_UNSUPPORTED: EXIT_CODES.badData,
}
