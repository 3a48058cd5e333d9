/** The configuration that every document shows, and one that names every key. */

export const USER_EVENTS_YAML = `kafka:
  bootstrap_servers: "localhost:9092"
  topic: "user-events"
  consumer_group: "delta-ingest"
  auto_offset_reset: "earliest"
s3:
  bucket: "my-data-lake"
  region: "us-east-1"
  prefix: "delta-tables"
delta:
  table_name: "user_events"
  write_mode: "append"
  partition_columns: ["date"]
  schema:
    - name: "user_id"
      data_type: "int64"
      nullable: false
    - name: "event_type"
      data_type: "utf8"
      nullable: false
    - name: "timestamp"
      data_type: "timestamp_millisecond"
      nullable: false
processing:
  batch_size: 1000
  batch_timeout_ms: 30000
  max_retries: 3
  enable_compression: true
  compression_type: "snappy"
`

/** Every key of every section that this release supports, with a value other than its default where there is one. */
export const EVERY_KEY_YAML = `version: 1
kafka:
  bootstrap_servers: [a:9092, "b:9093"]
  topics: [orders, refunds]
  consumer_group: lake
  auto_offset_reset: { timestamp: "2026-01-31T00:00:00Z" }
  on_offset_out_of_range: latest
  assignment: [0, 2]
  isolation_level: read_uncommitted
  security_protocol: sasl_ssl
  sasl:
    mechanism: scram-sha-512
    username: ingest
    password: { from_env: KAFKA_PASSWORD }
  ssl:
    ca: { from_file: ca.pem }
    server_name: broker
    reject_unauthorized: false
  client_id: me
  fetch_min_bytes: 2
  fetch_max_bytes: 10MiB
  fetch_max_partition_bytes: 2 MiB
  fetch_max_wait_ms: 100
  session_timeout_ms: 10000
  rebalance_timeout_ms: 20000
  request_timeout_ms: 5000
s3:
  bucket: lake
  region: eu-central-1
  prefix: /bronze/raw/
  endpoint: http://127.0.0.1:9000
  force_path_style: true
  credentials:
    access_key_id: AKIA
    secret_access_key: { from_env: AWS_SECRET }
    session_token: { from_env: AWS_TOKEN }
    role_arn: arn:aws:iam::123456789012:role/ingest
  server_side_encryption: aws:kms
  kms_key_id: abc
  storage_class: STANDARD_IA
  create_bucket: true
delta:
  table_name: orders
  write_mode: append
  schema:
    - name: id
      data_type: uint32
      nullable: false
      metadata: { source: payload.order.id, comment: the order }
    - { name: placed_at, data_type: timestamp }
  partition_columns: [day]
  derive: { day: { from: placed_at, as: date } }
  metadata_columns: { offset: source_offset, _kafka_key: true, topic: false }
  merge_schema: false
  create_table: true
  table_properties: { delta.checkpointInterval: 20, delta.appendOnly: true }
  checkpoint_interval: 5
  target_file_size: 64MiB
processing:
  batch_size: 1_000
  batch_timeout_ms: 1000
  memory_limit: 256MiB
  max_retries: 5
  retry_base_delay_ms: 10
  retry_max_delay_ms: 1000
  enable_compression: true
  compression_type: zstd
  compression_level: 3
  on_bad_record: skip
  max_bad_records: 10_000
  max_bad_ratio: 0.01
  on_null_value: row
  value_format: json
  runtime_limit_ms: 60000
  workers: 2
  dry_run: true
freshness: { warn_after: 10m, error_after: 30m }
tests:
  - name: an order becomes a row
    pipeline: orders
    input:
      - payload: { order: { id: 7 }, placed_at: 0 }
        key: order-7
        headers: { trace-id: abc, none: null, twice: [a, b] }
        timestamp: "2026-01-31T10:00:00Z"
        topic: refunds
        partition: 2
        offset: 9007199254740993
      - { payload_text: "{}", key_base64: AAE=, timestamp: none }
      - { payload_base64: e30=, timestamp: 1769853600000 }
    rows:
      - { id: 7, placed_at: "1970-01-01T00:00:00Z", day: 1970-01-01 }
    bad:
      - { code: RECORD_INVALID, column: id, message: found nothing }
      - {}
    skipped: false
`

export const EVERY_KEY_ENVIRONMENT = {
  KAFKA_PASSWORD: 'hunter2',
  AWS_SECRET: 'aws-secret',
  AWS_TOKEN: 'aws-token',
}

export const PEM = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'
