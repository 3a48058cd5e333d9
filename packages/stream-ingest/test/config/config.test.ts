// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the configuration has variables of that form.
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { field, primitive, struct } from '@stream-ingest/delta'
import { type ConfigOptions, checkConfigText, IngestConfig } from '../../src/config/config.ts'
import { ConfigError, type Diagnostic } from '../../src/error.ts'
import { EVERY_KEY_ENVIRONMENT, EVERY_KEY_YAML, PEM, USER_EVENTS_YAML } from './example-config.ts'

const readFile = (path: string): string => {
  if (path === 'ca.pem' || path === 'key.pem') return PEM
  throw new Error(`no such file: ${path}`)
}

const OPTIONS: ConfigOptions = { environment: EVERY_KEY_ENVIRONMENT, readFile }

function problems(text: string, options: ConfigOptions = OPTIONS): readonly Diagnostic[] {
  return checkConfigText(text, options).diagnostics
}

/** `code line:column message` of each finding. */
function listed(text: string, options: ConfigOptions = OPTIONS): string[] {
  return problems(text, options).map(
    ({ code, line, column, message }) => `${code} ${line}:${column} ${message}`,
  )
}

/** The documented configuration with one of its lines replaced. */
function withLine(line: string, replacement: string): string {
  assert(USER_EVENTS_YAML.includes(line), line)
  return USER_EVENTS_YAML.replace(line, replacement)
}

function withProcessing(lines: string): string {
  return `${USER_EVENTS_YAML}  ${lines}\n`
}

describe('the documented configuration', () => {
  const config = IngestConfig.parse(USER_EVENTS_YAML, { environment: {} })

  test('loads as it stands, without a finding', () => {
    assert.deepEqual(config.diagnostics, [])
    assert.equal(config.getDeltaTablePath(), 's3://my-data-lake/delta-tables/user_events')
    config.validate()
  })

  test('gives every value that was written', () => {
    assert.deepEqual(config.kafka.bootstrapServers, ['localhost:9092'])
    assert.deepEqual(config.kafka.topics, ['user-events'])
    assert.equal(config.kafka.consumerGroup, 'delta-ingest')
    assert.equal(config.processing.batchSize, 1000)
    assert.deepEqual(config.delta.partitionColumns, ['date'])
    assert.deepEqual(
      config.delta.schema,
      struct([
        field('user_id', primitive('long'), false),
        field('event_type', primitive('string'), false),
        field('timestamp', primitive('timestamp'), false),
      ]),
    )
    assert.deepEqual(config.delta.fields[2], {
      name: 'timestamp',
      type: primitive('timestamp'),
      declaredType: 'timestamp_millisecond',
      unit: 'millisecond',
      nullable: false,
      source: { kind: 'payload', path: ['timestamp'] },
    })
  })

  test('fills in the defaults', () => {
    const { kafka, s3, delta, processing } = config
    assert.deepEqual(
      {
        reset: kafka.onOffsetOutOfRange,
        assignment: kafka.assignment,
        isolation: kafka.isolationLevel,
        protocol: kafka.securityProtocol,
        fetch: [kafka.fetchMinBytes, kafka.fetchMaxBytes, kafka.fetchMaxPartitionBytes, kafka.fetchMaxWaitMs],
        timeouts: [kafka.sessionTimeoutMs, kafka.rebalanceTimeoutMs, kafka.requestTimeoutMs],
      },
      {
        reset: 'fail',
        assignment: 'all',
        isolation: 'read_committed',
        protocol: 'plaintext',
        fetch: [1, 52_428_800, 1_048_576, 500],
        timeouts: [45_000, 60_000, 30_000],
      },
    )
    assert.deepEqual(s3, {
      kind: 's3',
      bucket: 'my-data-lake',
      region: 'us-east-1',
      prefix: 'delta-tables',
      forcePathStyle: false,
      createBucket: false,
    })
    assert.deepEqual(
      [...delta.metadataColumns],
      [
        ['topic', '_kafka_topic'],
        ['partition', '_kafka_partition'],
        ['offset', '_kafka_offset'],
        ['timestamp', '_kafka_timestamp'],
      ],
    )
    assert.equal(delta.targetFileSizeBytes, 134_217_728)
    assert.equal(delta.createTable, true)
    assert.equal(processing.memoryLimitBytes, 536_870_912)
    assert.deepEqual([processing.retryBaseDelayMs, processing.retryMaxDelayMs], [200, 30_000])
    assert.deepEqual(
      [processing.onBadRecord, processing.onNullValue, processing.valueFormat],
      ['stop', 'skip', 'json'],
    )
    assert.equal(processing.runtimeLimitMs, undefined)
    assert.equal(processing.dryRun, false)
  })

  test('is one pipeline, named after its table and known to it by its consumer group', () => {
    assert.equal(config.pipelines.length, 1)
    assert.equal(config.pipelines[0]?.name, 'user_events')
    assert.equal(config.pipelines[0]?.pipelineId, 'delta-ingest')
  })

  test('reads the same from JSON', () => {
    const json = JSON.stringify(
      {
        kafka: { bootstrap_servers: 'localhost:9092', topic: 't', consumer_group: 'g' },
        local: { path: './lake' },
        delta: { table_name: 'events', schema: [{ name: 'id', data_type: 'int64' }] },
      },
      null,
      '\t',
    )
    const fromJson = IngestConfig.parse(json, { environment: {} })
    assert.deepEqual(fromJson.s3, { kind: 'local', path: './lake' })
    assert.equal(fromJson.getDeltaTablePath(), './lake/events')
    assert.equal(fromJson.processing.batchSize, 1_000_000)
  })
})

describe('every key', () => {
  test('is read', () => {
    const { kafka, s3, delta, processing } = IngestConfig.parse(EVERY_KEY_YAML, OPTIONS)
    assert.deepEqual(kafka.autoOffsetReset, { timestampMs: Date.UTC(2026, 0, 31) })
    assert.deepEqual(kafka.assignment, { partitions: [0, 2] })
    assert.deepEqual(kafka.topics, ['orders', 'refunds'])
    assert.equal(kafka.sasl?.password?.reveal(), 'hunter2')
    assert.equal(kafka.ssl?.ca, PEM.trimEnd())
    assert.equal(kafka.ssl?.rejectUnauthorized, false)
    assert.deepEqual([kafka.fetchMaxBytes, kafka.fetchMaxPartitionBytes], [10 * 2 ** 20, 2 * 2 ** 20])
    assert(s3.kind === 's3')
    assert.equal(s3.prefix, 'bronze/raw')
    assert.equal(s3.credentials?.secretAccessKey?.reveal(), 'aws-secret')
    assert.equal(s3.credentials?.roleArn, 'arn:aws:iam::123456789012:role/ingest')
    assert.equal(s3.serverSideEncryption, 'aws:kms')
    assert.deepEqual(delta.derive, [{ name: 'day', from: 'placed_at', as: 'date' }])
    assert.deepEqual(
      [...delta.metadataColumns],
      [
        ['offset', 'source_offset'],
        ['key', '_kafka_key'],
      ],
    )
    assert.deepEqual(delta.tableProperties, { 'delta.checkpointInterval': '20', 'delta.appendOnly': 'true' })
    assert.deepEqual(delta.fields[0]?.source, { kind: 'payload', path: ['order', 'id'] })
    assert.equal(delta.fields[0]?.unsignedBits, 32)
    assert.deepEqual(delta.schema?.fields[0]?.metadata, { comment: 'the order' })
    assert.deepEqual(processing, {
      batchSize: 1000,
      batchTimeoutMs: 1000,
      memoryLimitBytes: 268_435_456,
      maxRetries: 5,
      retryBaseDelayMs: 10,
      retryMaxDelayMs: 1000,
      compression: 'zstd',
      compressionLevel: 3,
      onBadRecord: 'skip',
      maxBadRecords: 10_000,
      maxBadRatio: 0.01,
      onNullValue: 'row',
      valueFormat: 'json',
      runtimeLimitMs: 60_000,
      workers: 2,
      dryRun: true,
    })
  })

  test('of a later release is understood, and refused at its place', () => {
    const text = USER_EVENTS_YAML.replace('auto_offset_reset: "earliest"', 'assignment: group').concat(
      '  value_format: avro\n',
    )
    assert.deepEqual(listed(text), [
      'CONFIG_UNSUPPORTED 5:15 `assignment: group` comes in a later release',
      'CONFIG_UNSUPPORTED 30:17 `value_format: avro` comes in a later release',
    ])
  })

  test('may have a synonym: `batch_bytes` is `memory_limit`, and not both', () => {
    const { processing } = IngestConfig.parse(withProcessing('batch_bytes: 64 MB'), OPTIONS)
    assert.equal(processing.memoryLimitBytes, 64_000_000)
    const both = listed(withProcessing('batch_bytes: 64MB\n  memory_limit: 64MB'))
    assert.deepEqual(both, ['CONFIG_CONFLICT 31:3 `memory_limit` and `batch_bytes` exclude each other'])
  })

  test('without a value counts as not given', () => {
    const config = IngestConfig.parse(withProcessing('workers:\n  on_bad_record: null'), OPTIONS)
    assert.equal(config.processing.workers, undefined)
    assert.equal(config.processing.onBadRecord, 'stop')
    assert.deepEqual(listed(withLine('topic: "user-events"', 'topic:')), [
      'CONFIG_MISSING_KEY 1:1 missing key `topic` or `topics` in kafka',
    ])
    assert.deepEqual(listed(withLine('bucket: "my-data-lake"', 'bucket: ~')), [
      'CONFIG_MISSING_KEY 7:3 `bucket` has no value',
    ])
  })
})

describe('what is wrong', () => {
  test('is reported all at once, in the order of the text', () => {
    const text = withLine('batch_size: 1000', 'batch_size: many')
      .replace('topic:', 'topc:')
      .replace('int64', 'int46')
    assert.deepEqual(
      problems(text).map(({ code, line, suggestion }) => [code, line, suggestion]),
      [
        ['CONFIG_UNKNOWN_KEY', 3, 'topic'],
        ['CONFIG_INVALID_VALUE', 16, 'int64'],
        ['CONFIG_INVALID_VALUE', 25, null],
      ],
    )
  })

  test('is thrown as one error that carries the findings', () => {
    assert.throws(
      () => IngestConfig.parse(withLine('batch_size: 1000', 'batch_size: 0'), { ...OPTIONS, file: 'a.yaml' }),
      (error: unknown) =>
        error instanceof ConfigError &&
        error.code === 'CONFIG_INVALID' &&
        error.exitCode === 78 &&
        !error.isRetryable() &&
        error.diagnostics.length === 1 &&
        error.message ===
          'the configuration `a.yaml` has 1 error: 25:15 expected an integer from 1 to 100000000, found the number 0',
    )
  })

  for (const [name, text, expected] of [
    [
      'a missing section',
      'kafka: {}\n',
      [
        'CONFIG_MISSING_KEY 1:1 missing key `bootstrap_servers` in kafka',
        'CONFIG_MISSING_KEY 1:1 missing key `consumer_group` in kafka',
        'CONFIG_MISSING_KEY 1:1 missing key `topic` or `topics` in kafka',
        'CONFIG_MISSING_KEY 1:1 missing section `s3` or `local`',
        'CONFIG_MISSING_KEY 1:1 missing section `delta`',
      ],
    ],
    [
      'an empty text',
      '',
      [
        'CONFIG_MISSING_KEY 1:1 missing section `kafka`',
        'CONFIG_MISSING_KEY 1:1 missing section `s3` or `local`',
        'CONFIG_MISSING_KEY 1:1 missing section `delta`',
      ],
    ],
    [
      'a list in place of sections',
      '- a\n',
      ['CONFIG_INVALID_VALUE 1:1 expected a map of sections, found a list'],
    ],
    [
      'a section that is no map',
      withLine('processing:\n', 'processing: 5\nx:\n').replace(/x:\n(.*\n)*$/, ''),
      ['CONFIG_INVALID_VALUE 24:13 expected the keys of the section, found the number 5'],
    ],
    [
      'a key given twice',
      withLine('  batch_size: 1000\n', '  batch_size: 1000\n  batch_size: 2000\n'),
      ['CONFIG_DUPLICATE_KEY 26:3 `batch_size` is given twice'],
    ],
    [
      'two storages',
      `${USER_EVENTS_YAML}local: { path: ./lake }\n`,
      ['CONFIG_CONFLICT 30:1 `s3` and `local` exclude each other'],
    ],
    [
      'another version',
      `version: 2\n${USER_EVENTS_YAML}`,
      ['CONFIG_INVALID_VALUE 1:10 expected an integer from 1 to 1, found the number 2'],
    ],
    [
      'a level without a codec that has levels',
      withProcessing('compression_level: 3'),
      ['CONFIG_CONFLICT 30:22 `compression_level` is given, but `snappy` has no levels'],
    ],
    [
      'retries that wait longer than the longest wait',
      withProcessing('retry_base_delay_ms: 50000'),
      ['CONFIG_CONFLICT 30:24 `retry_base_delay_ms` (50000) is longer than `retry_max_delay_ms` (30000)'],
    ],
    [
      'credentials without a protocol that uses them',
      withLine('auto_offset_reset: "earliest"', 'sasl: { mechanism: aws_msk_iam }'),
      ['CONFIG_CONFLICT 5:9 `sasl` is given, but `security_protocol` is `plaintext`'],
    ],
    [
      'a protocol without credentials',
      withLine('auto_offset_reset: "earliest"', 'security_protocol: sasl_ssl'),
      ['CONFIG_MISSING_KEY 5:22 missing key `sasl` in kafka: `sasl_ssl` needs it'],
    ],
    [
      'a mechanism without its keys',
      withLine(
        'auto_offset_reset: "earliest"',
        'security_protocol: sasl_ssl\n  sasl: { mechanism: plain, username: me }',
      ),
      ['CONFIG_MISSING_KEY 6:22 missing key `password` in kafka.sasl: `plain` needs it'],
    ],
    [
      'a key without its other half',
      withLine('prefix: "delta-tables"', 'credentials: { access_key_id: A }'),
      ['CONFIG_MISSING_KEY 9:33 missing key `secret_access_key` in s3.credentials: `access_key_id` needs it'],
    ],
    [
      'an address without a port',
      withLine('"localhost:9092"', '"a:9092, localhost"'),
      ['CONFIG_INVALID_VALUE 2:31 expected an address `host:port`, found the text `localhost`'],
    ],
    [
      'a partition column that is already something else',
      withLine('["date"]', '["date"]\n  derive: { timestamp: { from: kafka.timestamp, as: date } }'),
      ['CONFIG_CONFLICT 14:13 the column `timestamp` is already a column of the schema'],
    ],
    ['a YAML error', 'kafka:\n  topic: "a\n  b: c', ['CONFIG_YAML_SYNTAX 3:7 missing closing "quote']],
  ] as const) {
    test(`names the place of ${name}`, () => {
      assert.deepEqual(listed(text), expected)
    })
  }

  test('does not hide the key that belongs elsewhere', () => {
    const [finding] = problems(withLine('topic: "user-events"', 'topic: a\n  bucket: b'))
    assert.equal(finding?.help, '`bucket` belongs under `s3`')
  })

  test('is bounded, and says how much is not shown', () => {
    const findings = problems(`kafka:\n${Array.from({ length: 500 }, (_, i) => `  zzz${i}: 1\n`).join('')}`)
    assert.equal(findings.length, 200)
    assert.match(findings.at(-1)?.help ?? '', /more findings are not shown$/)
  })
})

describe('variables', () => {
  const text = withLine('batch_size: 1000', 'batch_size: ${SIZE}')
    .replace('"snappy"', '${CODEC:-zstd}')
    .replace('"us-east-1"', '"${REGION:?set the region}"')
    .replace('prefix: "delta-tables"', 'prefix: cost$$$$\n  endpoint: ${ENDPOINT:-}')

  test('are put in after parsing and take the type of their key', () => {
    const config = IngestConfig.parse(text, { environment: { SIZE: '77', REGION: 'a', EXTRA: 'x' } })
    assert(config.s3.kind === 's3')
    assert.equal(config.processing.batchSize, 77)
    assert.equal(config.processing.compression, 'zstd')
    assert.equal(config.s3.prefix, 'cost$')
    assert.equal(config.s3.endpoint, undefined)
  })

  test('cannot change the structure', () => {
    assert.deepEqual(listed(text, { environment: { SIZE: '5\n  dry_run: true', REGION: 'a' } }), [
      'CONFIG_INVALID_VALUE 26:15 expected an integer from 1 to 100000000, found the value of `${SIZE}`',
    ])
  })

  test('that are not set are reported at their place, with the message of the file', () => {
    assert.deepEqual(listed(text, { environment: {} }), [
      'CONFIG_VARIABLE 8:11 the environment variable `REGION` is not set: set the region',
      'CONFIG_VARIABLE 26:15 the environment variable `SIZE` is not set',
    ])
  })
})

describe('secrets', () => {
  const withPassword = (password: string): string =>
    withLine(
      'auto_offset_reset: "earliest"',
      `security_protocol: sasl_ssl\n  sasl: { mechanism: plain, username: me, password: ${password} }`,
    )

  test('come from the environment, from files and from AWS', async () => {
    const aws = withPassword('{ from_aws_secret: "kafka/prod#password" }')
    const fetchSecrets = async (ids: ReadonlySet<string>) =>
      new Map([...ids].map(id => [id, { text: JSON.stringify({ password: `of ${id}` }) }]))
    const config = await IngestConfig.fromText(aws, { environment: {}, fetchSecrets })
    assert.equal(config.kafka.sasl?.password?.reveal(), 'of kafka/prod')
    const fromFile = IngestConfig.parse(withPassword('{ from_file: pw }'), { readFile: () => 'line\n' })
    assert.equal(fromFile.kafka.sasl?.password?.reveal(), 'line')
    assert.deepEqual(listed(withPassword('{ from_file: nowhere }')), [
      'CONFIG_SECRET 6:66 cannot read `nowhere`: no such file: nowhere',
    ])
    assert.deepEqual(listed(withPassword('{ from_env: NOPE }')), [
      'CONFIG_SECRET 6:65 the environment variable `NOPE` is not set',
    ])
  })

  test('from AWS are an error where they cannot be waited for, and where the package is missing', async () => {
    const aws = withPassword('{ from_aws_secret: "kafka/prod" }')
    assert.throws(
      () => IngestConfig.parse(aws, OPTIONS),
      (error: unknown) => error instanceof ConfigError && error.diagnostics[0]?.code === 'CONFIG_UNSUPPORTED',
    )
    await assert.rejects(IngestConfig.fromText(aws, OPTIONS), (error: unknown) => {
      assert(error instanceof ConfigError)
      assert.match(error.diagnostics[0]?.message ?? '', /client-secrets-manager`, which is not installed/)
      return true
    })
  })

  test('in plain text are taken with a warning', () => {
    const config = IngestConfig.parse(withPassword('hunter2'), OPTIONS)
    assert.equal(config.kafka.sasl?.password?.reveal(), 'hunter2')
    assert.deepEqual(
      config.diagnostics.map(({ code, severity }) => [code, severity]),
      [['CONFIG_PLAINTEXT_SECRET', 'warning']],
    )
    assert.deepEqual(listed(withPassword('"${KAFKA_PASSWORD}"')), [])
  })

  test('never show: not in findings, frames, logs, JSON or errors', () => {
    const texts = [
      withPassword('hunter2'),
      withPassword('[hunter2]'),
      withLine('auto_offset_reset: "earliest"', 'sasl_password: hunter2'),
      withPassword('{ from_evn: hunter2 }'),
      withPassword('"hunter2').replace('}', ''),
      withPassword('hunter2').replace('password', 'pasword'),
      withPassword('hunter2').replace('password', 'batch_size'),
      withPassword('hunter2').replace('mechanism: plain', 'mechanism: plan'),
      withPassword('"${KAFKA_PASSWORD}"').replace('batch_size: 1000', 'batch_size: ${KAFKA_PASSWORD}'),
      withPassword('"${KAFKA_PASSWORD}"').replace('"snappy"', '${KAFKA_PASSWORD}'),
      withPassword('|\n      hunter2\n').replace('\n }', ''),
    ]
    for (const text of texts) {
      const { diagnostics, pipelines } = checkConfigText(text, OPTIONS)
      // A key that is no secret at all shows its value: there is nothing to know it by.
      const isKnown = !text.includes('batch_size: hunter2')
      if (isKnown) assert(!JSON.stringify(diagnostics).includes('hunter2'), JSON.stringify(diagnostics))
      assert(!JSON.stringify(pipelines).includes('hunter2'))
      assert(!inspect(pipelines, { depth: 9 }).includes('hunter2'))
    }
  })

  test('may be PEM text or a path', () => {
    const text = withLine(
      'auto_offset_reset: "earliest"',
      'security_protocol: ssl\n  ssl: { cert: ca.pem, key: key.pem }',
    )
    const { kafka, diagnostics } = IngestConfig.parse(text, OPTIONS)
    assert.equal(kafka.ssl?.cert, PEM.trimEnd())
    assert.equal(kafka.ssl?.key?.reveal(), PEM.trimEnd())
    assert.deepEqual(diagnostics, [])
    const inline = withLine(
      'auto_offset_reset: "earliest"',
      'security_protocol: ssl\n  ssl:\n    key: |\n      -----BEGIN KEY-----\n      abc\n      -----END KEY-----',
    )
    assert.deepEqual(
      problems(inline).map(({ code }) => code),
      ['CONFIG_PLAINTEXT_SECRET'],
    )
  })
})

describe('pipelines', () => {
  const text = `kafka:
  bootstrap_servers: localhost:9092
  topic: everything
  consumer_group: lake
s3: { bucket: lake1, region: r }
processing: { batch_size: 10, max_retries: 9 }
pipelines:
  orders:
    kafka: { topics: [orders, refunds] }
    delta: { table_name: orders }
    processing: { batch_size: 20 }
  clicks:
    local: { path: /lake/ }
    delta: { table_name: clicks }
`

  test('override the top-level sections key by key', () => {
    const { pipelines } = IngestConfig.parse(text, OPTIONS)
    assert.deepEqual(
      pipelines.map(({ name, pipelineId, kafka, s3, processing }) => ({
        name,
        pipelineId,
        topics: kafka.topics,
        kind: s3.kind,
        batchSize: processing.batchSize,
        maxRetries: processing.maxRetries,
      })),
      [
        {
          name: 'orders',
          pipelineId: 'lake.orders',
          topics: ['orders', 'refunds'],
          kind: 's3',
          batchSize: 20,
          maxRetries: 9,
        },
        {
          name: 'clicks',
          pipelineId: 'lake.clicks',
          topics: ['everything'],
          kind: 'local',
          batchSize: 10,
          maxRetries: 9,
        },
      ],
    )
  })

  test('report what is wrong in a shared section once, and what one of them lacks at its own place', () => {
    const broken = text
      .replace('topic: everything\n', 'topc: everything\n')
      .replace('{ table_name: clicks }', '{}')
    assert.deepEqual(listed(broken), [
      'CONFIG_UNKNOWN_KEY 3:3 unknown key `topc` in kafka',
      'CONFIG_MISSING_KEY 14:5 missing key `table_name` in pipelines.clicks.delta',
    ])
    assert.deepEqual(listed(text.replace('bucket: lake1, ', '')), [
      'CONFIG_MISSING_KEY 8:3 missing key `bucket` in pipelines.orders.s3',
    ])
  })

  test('name a misspelled section and an impossible name', () => {
    assert.deepEqual(listed(text.replace('    local:', '    lokal:').replace('  orders:\n', '  "a b":\n')), [
      'CONFIG_INVALID_VALUE 8:3 `a b` is no name of a pipeline',
      'CONFIG_UNKNOWN_KEY 13:5 unknown key `lokal` in pipelines.clicks',
    ])
  })

  test('do not write one topic to one table twice', () => {
    const twice = text
      .replace('table_name: clicks', 'table_name: orders')
      .replace('    local: { path: /lake/ }\n', '    kafka: { topic: refunds }\n')
    assert.deepEqual(listed(twice), [
      'CONFIG_CONFLICT 12:3 the pipelines `orders` and `clicks` both write `refunds` to `s3://lake1/orders`',
    ])
  })

  test('are at least one', () => {
    assert.deepEqual(listed('pipelines: {}\n'), [
      'CONFIG_INVALID_VALUE 1:1 expected 1 to 256 pipelines, found 0',
    ])
  })

  test('share values by YAML anchors', () => {
    const anchored = text
      .replace('{ batch_size: 20 }', '&fast { batch_size: 20 }')
      .concat('    processing: *fast\n')
    assert.deepEqual(
      IngestConfig.parse(anchored, OPTIONS).pipelines.map(({ processing }) => processing.batchSize),
      [20, 20],
    )
  })
})

describe('loading', () => {
  test('reads a file, and names the one that is not there', async t => {
    const folder = await mkdtemp(join(tmpdir(), 'config-'))
    t.after(() => rm(folder, { recursive: true }))
    const path = join(folder, 'stream-ingest.yaml')
    await writeFile(path, `\u{feff}${USER_EVENTS_YAML.replaceAll('\n', '\r\n')}`)
    const config = await IngestConfig.fromFile(path)
    assert.equal(config.delta.tableName, 'user_events')
    await assert.rejects(IngestConfig.fromFile(join(folder, 'none.yaml')), {
      code: 'CONFIG_NOT_FOUND',
      message: `no configuration at \`${join(folder, 'none.yaml')}\`: the file does not exist`,
    })
    await assert.rejects(IngestConfig.fromFile(folder), { code: 'CONFIG_NOT_FOUND' })
    await writeFile(path, new Uint8Array([0xff, 0xfe, 0x00]))
    await assert.rejects(IngestConfig.fromFile(path), { code: 'CONFIG_INVALID' })
    await writeFile(path, 'x'.repeat(5 * 1024 * 1024))
    await assert.rejects(IngestConfig.fromFile(path), { code: 'CONFIG_TOO_LARGE' })
  })

  test('takes from INGEST_CONFIG a path, an object of a bucket, or the text itself', async t => {
    const folder = await mkdtemp(join(tmpdir(), 'config-'))
    t.after(() => rm(folder, { recursive: true }))
    const path = join(folder, 'a.yaml')
    await writeFile(path, USER_EVENTS_YAML.replace('"user-events"', '${TOPIC}'))
    const fromPath = await IngestConfig.fromEnv({ INGEST_CONFIG: path, TOPIC: 'from-env' })
    assert.deepEqual(fromPath.kafka.topics, ['from-env'])
    const fromText = await IngestConfig.fromEnv({ INGEST_CONFIG: USER_EVENTS_YAML })
    assert.deepEqual(fromText.kafka.topics, ['user-events'])
    const asked: string[] = []
    const readObject = async (bucket: string, key: string) => {
      asked.push(`${bucket} ${key}`)
      return key === 'none' ? null : new TextEncoder().encode(USER_EVENTS_YAML)
    }
    const fromObject = await IngestConfig.fromEnv({ INGEST_CONFIG: 's3://conf/a/b.yaml' }, { readObject })
    assert.deepEqual(fromObject.kafka.topics, ['user-events'])
    assert.deepEqual(asked, ['conf a/b.yaml'])
    await assert.rejects(IngestConfig.fromEnv({ INGEST_CONFIG: 's3://conf/none' }, { readObject }), {
      code: 'CONFIG_NOT_FOUND',
    })
    await assert.rejects(IngestConfig.fromEnv({}), { code: 'CONFIG_NOT_FOUND' })
  })

  test('checks pipelines that were made in code', () => {
    const [pipeline] = IngestConfig.parse(USER_EVENTS_YAML, OPTIONS).pipelines
    assert(pipeline !== undefined)
    new IngestConfig([pipeline]).validate()
    const clash = {
      ...pipeline,
      delta: { ...pipeline.delta, derive: [{ name: 'user_id', from: 'timestamp', as: 'date' as const }] },
    }
    assert.throws(() => new IngestConfig([clash]).validate(), { code: 'CONFIG_INVALID' })
    assert.throws(() => new IngestConfig([]).validate(), { code: 'CONFIG_INVALID' })
    assert.throws(() => new IngestConfig([]).kafka, { code: 'CONFIG_INVALID' })
  })
})
