/**
 * What usually leads to an error, and how its message looks: the part of a code's page that only its reader needs.
 *
 * @module
 */
import type { DeltaErrorCode } from '@stream-ingest/delta/error'
import type { ErrorCode } from '../error.ts'
import type { LintCode } from '../lint-code.ts'

export interface ErrorCause {
  /** One or two sentences. */
  readonly cause: string
  /** A message, or lines that lead to it, where that says more than words. */
  readonly example?: string
}

/** Warnings have examples of their own. */
export type ExplainedCode = Exclude<ErrorCode, LintCode> | DeltaErrorCode

/** Of every code: one that is missing does not compile. */
export const ERROR_CAUSES: Readonly<Record<ExplainedCode, ErrorCause>> = {
  // Configuration.
  CONFIG_INVALID: {
    cause:
      'The configuration has one or more errors. Each of them has a code and a line of its own, which `validate` shows; `run`, `doctor` and the others stop at this one.',
    example: 'the configuration `stream-ingest.yaml` has 2 errors: …',
  },
  CONFIG_NOT_FOUND: {
    cause:
      'No file was named, `INGEST_CONFIG` is not set and there is no `./stream-ingest.yaml`; or the file, or the object in the bucket, that is named does not exist or cannot be read.',
    example: 'no configuration at `orders.yaml`: the file does not exist',
  },
  CONFIG_YAML_SYNTAX: {
    cause:
      'A tab that indents, a bracket or a quote that nobody closes, a colon in a text without quotes, an alias without its anchor.',
    example: 'topic: "user-events     # the closing quote is missing',
  },
  CONFIG_TOO_LARGE: {
    cause:
      'The text, or the number of its values, is over the bound; aliases count as often as they are used.',
  },
  CONFIG_UNKNOWN_KEY: {
    cause:
      'A key is misspelled, stands in another section than it belongs to, or is in camelCase: keys are in snake_case.',
    example: 'unknown key `fetch_max_byte` in kafka     (did you mean `fetch_max_bytes`?)',
  },
  CONFIG_MISSING_KEY: {
    cause:
      'The section, or the whole file, lacks something without a default: a topic, a bucket, the name of the table. Or a key was given that needs another one beside it.',
    example: 'missing section `delta`',
  },
  CONFIG_DUPLICATE_KEY: {
    cause: 'The same key stands twice in one map, so that nobody could say which one counts.',
    example: 'kafka: { topic: a, topic: b }',
  },
  CONFIG_INVALID_VALUE: {
    cause:
      'A value has another type than its key, is out of its bounds, or is none of the words that the key knows; a duration or a size lacks its unit.',
    example: 'expected `snappy`, `zstd`, `gzip`, `lz4_raw` or `none`, found the text `snapy`',
  },
  CONFIG_CONFLICT: {
    cause: 'Two keys mean the same or the opposite, and both are given.',
    example: 'kafka: { topic: a, topics: [b, c] }',
  },
  CONFIG_VARIABLE: {
    cause:
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the variables of a configuration look like this.
      'A `${NAME}` in a value names a variable that is not set where the process runs, `${NAME:?message}` demands one, or the braces are not closed. A service does not have the variables of your shell.',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: as above.
    example: 'bucket: "${BUCKET}"              # not set; "${BUCKET:-my-data-lake}" has a default',
  },
  CONFIG_SECRET: {
    cause:
      'The variable of `from_env` is not set, the file of `from_file` cannot be read by this user, or the secret of `from_aws_secret` does not exist, has no such field, or may not be read.',
    example: 'password: { from_aws_secret: "prod/kafka#password" }',
  },
  CONFIG_PLAINTEXT_SECRET: {
    cause:
      'A password or a key is written out in the file, where it ends up in version control. A warning: `run` works.',
    example: 'password: { from_env: KAFKA_PASSWORD }     # in place of the password itself',
  },
  CONFIG_UNSUPPORTED: {
    cause: 'The key or its value is known, and this release does not do it yet.',
  },
  CONFIG_USAGE: {
    cause:
      'A verb or an option is misspelled, an option that the verb needs is missing, or two options exclude each other. A call from code with arguments that make no sense ends with this code too.',
    example: 'unknown option `--until-lastest`     (did you mean `--until-latest`?)',
  },
  // Kafka.
  KAFKA_UNREACHABLE: {
    cause:
      'The name does not resolve, nobody listens at the port, a firewall drops what is sent, or all brokers are down. From a container `localhost` is the container.',
    example: 'no answer from `localhost:9092`: connect ECONNREFUSED 127.0.0.1:9092',
  },
  KAFKA_AUTHENTICATION: {
    cause:
      'A wrong user name or password, another SASL mechanism than the listener offers, an expired token, or a client certificate that the broker does not trust.',
  },
  KAFKA_AUTHORIZATION: {
    cause:
      'The broker knows who this is, and its access control lists do not allow it: reading the topic needs `Read` on it; committing the offsets that lag tools look at needs `Read` on the group.',
    example: 'the broker denied `Read` on topic `orders`: TOPIC_AUTHORIZATION_FAILED',
  },
  KAFKA_TLS: {
    cause:
      'The certificate of the broker is of an authority that this machine does not know, is expired, or is for another name than the one that was connected to.',
    example: 'ssl: { ca: { from_file: /etc/kafka/ca.pem } }     # names the authority',
  },
  KAFKA_SECURITY_PROTOCOL: {
    cause:
      'The port is that of another listener: one with TLS was talked to without it, or the other way round; or it wants SASL, and none is configured.',
    example: 'security_protocol: sasl_ssl     # port 9098 of MSK; plaintext is the default',
  },
  KAFKA_ADVERTISED_LISTENER: {
    cause:
      'The bootstrap server answers, and tells clients to go to addresses that are not known here: a name of an inner network, `localhost`, or a port that was not opened. Clients always go there for data.',
    example: '1 of 3 brokers cannot be reached, although `kafka.example:9092` can: …',
  },
  KAFKA_BROKER_UNSUPPORTED: {
    cause:
      'The broker is older than Apache Kafka 3.1, or a compatible one that lacks a request or the ids of topics.',
  },
  KAFKA_NO_LEADER: {
    cause:
      'All brokers with a replica of the partition that is in sync are down, or an election is under way.',
    example: '`orders-3` has no leader',
  },
  KAFKA_GROUP_IN_USE: {
    cause:
      '`kafka.consumer_group` is the group of a consumer that is running. The offsets that are written there for lag tools would move it.',
  },
  KAFKA_TOPIC_NOT_FOUND: {
    cause:
      'The name is misspelled, the topic is on another cluster, it was never created, or this user may not describe it: brokers do not tell these apart.',
    example: 'topic `user-event` does not exist, or may not be described',
  },
  KAFKA_TOPIC_RECREATED: {
    cause:
      'Somebody deleted the topic and created one of the same name. It has another id, and its offsets begin at 0 again.',
  },
  KAFKA_OFFSET_OUT_OF_RANGE: {
    cause:
      'The pipeline rested for longer than the topic keeps its messages (`retention.ms`, `retention.bytes`), or the topic was truncated. What was deleted is not in the table, and is never skipped without your word.',
    example: 'kafka: { on_offset_out_of_range: earliest }     # go on, and say how many are lost',
  },
  KAFKA_RETENTION_NEAR: {
    cause:
      'The next message for the table is almost as old as the topic’s `retention.ms` allows: the pipeline rests, or is slower than its topic.',
  },
  KAFKA_NO_OFFSET: {
    cause:
      'The table is new, or the partition is, and the configuration forbids to choose a place by itself.',
    example: 'kafka: { auto_offset_reset: earliest }',
  },
  KAFKA_CORRUPT_BATCH: {
    cause:
      'The checksum of a record batch does not fit its bytes, or its records do not fit its length: a disk of a broker, or a producer that writes batches of its own making.',
  },
  KAFKA_BATCH_UNSUPPORTED: {
    cause: 'The topic holds messages in the format from before Kafka 0.11, or a codec that is not known.',
  },
  KAFKA_BATCH_TOO_LARGE: {
    cause: 'One record batch, decompressed, does not fit into the memory that the pipeline may use.',
    example: 'processing: { memory_limit: 1GiB }',
  },
  KAFKA_PROTOCOL: {
    cause:
      'The broker answered a request with an error that has no code of its own here. The message has Kafka’s name of it.',
  },
  // Records.
  RECORD_INVALID: {
    cause:
      'A value has another type than its column, a column that may not be null gets none, or a number does not fit into its type. The message names topic, partition and offset, the place in the payload, and what was found.',
    example: 'user-events[0]@88120 $.user_id: expected int64, found the string "three"',
  },
  RECORD_NOT_JSON: {
    cause:
      'The payload is empty, cut off, Avro or another format, not UTF-8, has bytes behind its end, or is nested too deeply.',
    example: 'user-events[0]@88121 $: expected a value at byte 0, found `\\u0000`',
  },
  RECORD_LIMIT: {
    cause:
      '`processing.max_bad_records` or `processing.max_bad_ratio` was passed: mostly a producer that changed its format.',
  },
  // Pipeline and table.
  TABLE_SCHEMA_MISMATCH: {
    cause:
      'A column is declared with another type than it has in the table, may be null on one side only, or is missing in the table; or the partition columns differ. `merge_schema: true` adds columns, and never changes a type.',
    example: 'column `amount` is `string` in the table and `decimal(10,2)` in the configuration',
  },
  OVERWRITE_UNFINISHED: {
    cause:
      'A run with `write_mode: overwrite` was stopped, or reached its limit of time, before it had read everything. The table is as it was.',
  },
  TABLE_OFFSETS_MISSING: {
    cause:
      'The table knows other partitions of the topic and not this one, which it should: it was replaced, restored from an old copy, or its `txn`s have expired.',
  },
  TABLE_OFFSETS_MIXED: {
    cause:
      'The same pipeline wrote the table by reading Kafka itself, and behind a Lambda trigger: the one keeps offsets under the id of the topic, the other under its name.',
  },
  TABLE_OFFSETS_EXPIRE: {
    cause:
      'Somebody set `delta.setTransactionRetentionDuration`. A pipeline that rests for longer would find no offset and begin again.',
  },
  PIPELINE_ACTIVE: {
    cause: 'Offsets were to be moved, and the pipeline committed a moment ago.',
    example: '`orders` committed version 1483 of s3://lake/orders 12 seconds ago: it seems to be running',
  },
  TABLE_TOPIC_TWICE: {
    cause:
      'The table holds offsets of the same topic under another `kafka.consumer_group`, which names the pipeline: it was changed, or two pipelines write the table.',
  },
  TABLE_OTHER_WRITERS: {
    cause:
      'The log has a commit of an engine that may write commits to S3 without `If-None-Match`, such as Spark: it can overwrite ours without a word.',
  },
  TABLE_SMALL_FILES: {
    cause: 'Commits are frequent, or rows are spread over many table partitions: each makes a file.',
  },
  TABLE_CHECKPOINT_BEHIND: {
    cause:
      'Checkpoints could not be written (rights, a feature of the table), or the table’s interval is long. Readers then read every commit since.',
  },
  TABLE_VACUUM_DUE: {
    cause: 'Compaction, overwrites or deletes left files behind, and nobody has run VACUUM since.',
  },
  PIPELINE_FENCED: {
    cause:
      'Two processes run with the same `kafka.consumer_group` on the same table: a deployment that overlaps, a second schedule. Nothing is twice; the work of one of them is thrown away again and again.',
  },
  // The object store (S3Client).
  S3_PATH_STYLE: {
    cause:
      'S3-compatible servers mostly have no name for each bucket, as `BUCKET.s3.amazonaws.com` is on AWS.',
    example: 's3: { endpoint: "http://minio.example:9000", force_path_style: true }',
  },
  S3_FAILED: {
    cause:
      'The store answered with an error that has no code of its own here, or does not give back what it has taken.',
  },
  // Everything else.
  LAMBDA_EVENT: {
    cause:
      'The function was invoked with something that is no schedule, no manual event and no Kafka batch; or a trigger brings a topic that no pipeline reads.',
    example: '{"optimise": true}     # {"optimize": true} is one',
  },
  LAMBDA_DEADLINE: {
    cause:
      'Something hung until the function’s time was over: brokers or a store that cannot be reached from its network, or a timeout that is shorter than one commit takes.',
  },
  CLOCK_SKEWED: {
    cause: 'The clock of this machine is not synchronised. S3 refuses requests that are fifteen minutes off.',
  },
  CHECK_TIMEOUT: {
    cause: 'A server took the connection and did not answer, or a firewall drops what is sent.',
  },
  IO_FAILED: {
    cause:
      'The operating system refused a file or a port, for a reason that has no code of its own here: a port that is taken, too many open files.',
    example: 'cannot listen on 127.0.0.1:9464: listen EADDRINUSE: address already in use 127.0.0.1:9464',
  },
  IO_NOT_FOUND: {
    cause: 'A path is wrong, or relative to another folder than the one the process was started in.',
  },
  IO_DENIED: { cause: 'This user may not read or write the path, or the file system is read-only.' },
  IO_FILE_EXISTS: { cause: '`init` found a configuration in the folder.' },
  IO_NO_SPACE: { cause: 'The disk is full, or this user’s quota is.' },
  IO_UNREACHABLE: {
    cause:
      'A connection was refused, reset or not answered: a name that does not resolve, a port that is closed, a proxy.',
  },
  ABORTED: { cause: 'The program that called it asked it to end, through its `AbortSignal`.' },
  DEMO_FOLDER_TAKEN: {
    cause: 'The folder of `demo` holds a table that no demonstration has made; it is not touched.',
  },
  DEMO_FAILED: { cause: 'The writer that the demonstration starts ended in another way than it should.' },
  INTERNAL: {
    cause: 'An assumption of the program does not hold. It is never repeated, and nothing is skipped by it.',
  },
  // The log and the table.
  DELTA_TABLE_NOT_FOUND: {
    cause:
      'The path is that of the folder of tables and not of one, the table has not been created yet (the first run does), or `delta.create_table` is false.',
    example: 'stream-ingest read s3://lake/delta-tables/user_events     # prefix and table name',
  },
  DELTA_TABLE_EXISTS: { cause: '`write_mode: error_if_exists`, and somebody has created the table before.' },
  DELTA_LOG_CORRUPT: {
    cause:
      'A file below `_delta_log` is empty, cut off or no JSON, holds values of other types than the schema says, or there is neither a commit nor a whole checkpoint.',
  },
  DELTA_LOG_GAP: {
    cause:
      'Somebody deleted commits by hand or by a lifecycle rule of the bucket. `_delta_log` must have none.',
  },
  DELTA_VERSION_NOT_FOUND: {
    cause:
      'The version is newer than the table, or its commits were cleaned away (`delta.logRetentionDuration`).',
  },
  DELTA_PROTOCOL_UNSUPPORTED: {
    cause:
      'The table demands a feature of its readers or writers that is not implemented here; the message names it.',
  },
  DELTA_PROPERTY_INVALID: { cause: 'A table property that matters here has a value that nobody can read.' },
  DELTA_SCHEMA_INVALID: {
    cause:
      'A name is given twice (case does not count), has a character that Delta does not allow, or a type that a table cannot have in that place.',
  },
  DELTA_SCHEMA_MISMATCH: {
    cause: 'A column lacks, has another type than in the table, or is null where the table allows none.',
  },
  DELTA_TABLE_CHANGED: {
    cause:
      'The table was deleted and created again, restored, or a commit of this process was overwritten by a writer that does not put conditionally.',
  },
  DELTA_TABLE_APPEND_ONLY: {
    cause: 'The table has the property `delta.appendOnly`, and rows were to be replaced.',
  },
  DELTA_TABLE_TOO_LARGE: { cause: 'One commit would have to name more files than can be held in memory.' },
  DELTA_DATA_CORRUPT: {
    cause:
      'A Parquet file that the log names is gone (a VACUUM that was too early, a lifecycle rule), cut off or no Parquet.',
  },
  DELTA_COLUMN_NOT_FOUND: { cause: 'A name is misspelled, or the column came with a later version.' },
  DELTA_FILE_OUTSIDE: { cause: 'The table is a shallow clone: its files are those of another table.' },
  DELTA_RETENTION_TOO_SHORT: {
    cause: 'VACUUM was asked to keep less than the table says, or less than a day.',
    example: 'stream-ingest vacuum ./lake/events --retention 24h --allow-short-retention',
  },
  DELTA_COMMIT_CONTENTION: {
    cause: 'Many writers commit to the table all the time, so that this one was never first.',
  },
  DELTA_COMMIT_UNKNOWN: {
    cause:
      'The store stopped answering in the middle of a commit. It is there or it is not; the next start reads which, and neither loses nor repeats anything.',
  },
  // The object store.
  STORE_ACCESS_DENIED: {
    cause:
      'The identity lacks a right on the bucket, the prefix or the key of its encryption, or a policy denies it. The message names the action.',
    example: 'grant `s3:PutObject` on `arn:aws:s3:::lake/delta-tables/*` to this identity',
  },
  STORE_CREDENTIALS: {
    cause: 'There are none where AWS clients look, they have expired, or the role cannot be assumed.',
  },
  STORE_BUCKET_NOT_FOUND: { cause: 'The name of the bucket is misspelled, or it was never created.' },
  STORE_REGION: { cause: 'Buckets live in one region, and another one is configured.' },
  STORE_KEY_INVALID: { cause: 'A prefix or a table’s name makes keys that some store could not hold.' },
  STORE_URI_INVALID: {
    cause: 'The scheme is not known, or the bucket is missing.',
    example: 'stream-ingest read s3://lake/events     # not https://lake.s3.amazonaws.com/events',
  },
  STORE_UNAVAILABLE: {
    cause:
      'The endpoint is wrong, the network does not lead there (a Lambda function without an endpoint of S3), or the store is down.',
  },
  STORE_THROTTLED: {
    cause: 'More requests than the store takes for one prefix: many writers, or many small files.',
  },
  STORE_NOT_ATOMIC: {
    cause:
      'The server ignores `If-None-Match: *`, always or in races; or the file system has no hard links. Two writers could both believe that they made the same version.',
  },
  STORE_NO_SPACE: { cause: 'The disk below a `local:` table is full, or a quota is reached.' },
  STORE_REQUEST_FAILED: {
    cause:
      'The store refused a request for a reason that has no code of its own here; the message has the store’s own words.',
  },
  // Parquet.
  PARQUET_UNSUPPORTED: {
    cause: 'Another engine wrote the file with an encoding, a codec or an encryption that is not known here.',
  },
}
