/**
 * Configurations to begin with: what is required first, the rest named in comments.
 *
 * @module
 */

export const TEMPLATE_NAMES = ['local', 's3', 'msk'] as const
export type TemplateName = (typeof TEMPLATE_NAMES)[number]

const HEAD = `# yaml-language-server: $schema=./stream-ingest.schema.json
# Every key, its default and its meaning: docs/reference/config.md. Values may be variables: "\${KAFKA:-localhost:9092}".
`

const DELTA = `
delta:
  # The table; also the pipeline's name in logs and metrics.
  table_name: "user_events"
  # \`date\` is not in the schema: it is taken from the message, or else from the record's Kafka timestamp, in UTC.
  partition_columns: ["date"]
  # Columns and their types. Or leave \`schema\` out and let \`merge_schema: true\` find them.
  schema:
    - { name: user_id, data_type: int64, nullable: false }
    - { name: event_type, data_type: utf8, nullable: false }
    - { name: timestamp, data_type: timestamp_millisecond, nullable: false }
    - { name: amount, data_type: "decimal128(12,2)" }
  # Small files are put together, and old ones deleted, by the running process.
  optimize: { every: 1h }
  vacuum: { every: 24h }

processing:
  # A commit is made at the latest when the oldest message is this old …
  batch_timeout_ms: 60000
  # … or when this much memory is filled.
  memory_limit: 512MiB
  # stop: the run ends at the first record that does not fit. skip: it is counted and logged with its offset.
  on_bad_record: stop
`

/** Of the table above. */
const TESTS = `
# Records, and what is to become of them: \`stream-ingest test\` needs no Kafka. Columns that are not named may hold anything.
tests:
  - name: an event becomes one row
    input:
      timestamp: "2026-11-22T10:00:00Z"
      payload: { user_id: 7, event_type: purchase, timestamp: 1795341600000, amount: 12.50 }
    rows:
      - { user_id: 7, timestamp: "2026-11-22T10:00:00Z", amount: 12.50, date: "2026-11-22" }
  - name: an event without a user does not fit
    input: { payload: { event_type: login, timestamp: 0 } }
    bad: { column: user_id }
`

const KAFKA = `
kafka:
  bootstrap_servers: "\${KAFKA:-localhost:9092}"
  topic: "user-events"
  # Names the pipeline's offsets in the table, and the group under which lag tools see it.
  consumer_group: "delta-ingest"
  # Where a partition starts that the table does not know.
  auto_offset_reset: earliest
`

const S3 = `
s3:
  bucket: "\${BUCKET:-my-data-lake}"
  region: "\${AWS_REGION:-us-east-1}"
  # The table is at s3://BUCKET/PREFIX/TABLE_NAME. Credentials: the AWS default chain.
  prefix: "delta-tables"
`

export const TEMPLATES: Readonly<Record<TemplateName, string>> = {
  local: `${HEAD}${KAFKA}
# Tables in a folder; put \`s3:\` in its place later, the tables are the same.
local:
  path: ./lake
${DELTA}${TESTS}`,
  s3: `${HEAD}${KAFKA}${S3}${DELTA}${TESTS}`,
  msk: `${HEAD}
kafka:
  # The cluster's bootstrap servers for IAM authentication, port 9098.
  bootstrap_servers: "\${KAFKA:-b-1.example.kafka.us-east-1.amazonaws.com:9098}"
  topic: "user-events"
  # Names the pipeline's offsets in the table, and the group under which lag tools see it.
  consumer_group: "delta-ingest"
  # Where a partition starts that the table does not know.
  auto_offset_reset: earliest
  security_protocol: sasl_ssl
  sasl: { mechanism: aws_msk_iam, region: "\${AWS_REGION:-us-east-1}" }
${S3}${DELTA}${TESTS}`,
}
