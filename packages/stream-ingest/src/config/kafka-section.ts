/**
 * The `kafka` section.
 *
 * @module
 */
import { list, pem, secret, secretPem } from './collection-type.ts'
import type { ConfigReader } from './config-reader.ts'
import {
  boolean,
  enumeration,
  type FieldType,
  integer,
  milliseconds,
  scalarOf,
  size,
  text,
} from './field-type.ts'
import type { KafkaConfig, SaslConfig, SslConfig } from './ingest-config.ts'
import type { Secret } from './secret.ts'
import {
  optional,
  required,
  type SectionReading,
  type SectionValues,
  section,
  sectionType,
  withDefault,
} from './section.ts'

const INT32_MAX = 2 ** 31 - 1
const PARTITION_MAX = 1_000_000
const BROKERS_MAX = 256
const TOPICS_MAX = 1024
const MS_PER_DAY = 86_400_000
const ADDRESS = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})$/

const saslSection = section('kafka.sasl', 'Credentials for `sasl_plaintext` and `sasl_ssl`.', {
  mechanism: required<SaslConfig['mechanism']>(
    enumeration(['plain', 'scram-sha-256', 'scram-sha-512', 'aws_msk_iam', 'oauthbearer']),
    { description: 'How the client proves who it is.', example: 'scram-sha-512' },
  ),
  username: optional<string>(text(), { description: 'For `plain` and `scram-…`.', example: 'ingest' }),
  password: optional<Secret>(secret(), {
    description: 'For `plain` and `scram-…`.',
    example: '{ from_env: KAFKA_PASSWORD }',
  }),
  region: optional<string>(text(), {
    description: 'The cluster’s AWS region, for `aws_msk_iam`.',
    example: 'us-east-1',
  }),
  token_endpoint: optional<string>(
    text({ expected: 'a URL', pattern: /^https?:\/\/\S+$/, help: 'write the whole URL, `https://…`' }),
    { description: 'Where `oauthbearer` fetches its tokens.', example: 'https://login.example.com/token' },
  ),
  client_id: optional<string>(text(), { description: 'For `oauthbearer`.' }),
  client_secret: optional<Secret>(secret(), {
    description: 'For `oauthbearer`.',
    example: '{ from_env: OAUTH_CLIENT_SECRET }',
  }),
  scope: optional<string>(text(), { description: 'For `oauthbearer`.' }),
})

const sslSection = section('kafka.ssl', 'TLS, for `ssl` and `sasl_ssl`.', {
  ca: optional<string>(pem(), {
    description: 'The authority that signed the brokers’ certificates.',
    defaultText: 'the system’s authorities',
    example: './ca.pem',
  }),
  cert: optional<string>(pem(), {
    description: 'The client’s certificate, for mutual TLS.',
    example: './client.pem',
  }),
  key: optional<Secret>(secretPem(), { description: 'The client’s private key.', example: './client.key' }),
  key_passphrase: optional<Secret>(secret(), {
    description: 'Opens the private key.',
    example: '{ from_env: KAFKA_KEY_PASSPHRASE }',
  }),
  server_name: optional<string>(text(), {
    description: 'The name that the brokers’ certificates must hold.',
    defaultText: 'the broker’s host',
  }),
  reject_unauthorized: withDefault<boolean>(boolean(), true, {
    description: 'Refuse brokers whose certificate does not verify. `false` is for trials alone.',
  }),
})

function checkSasl(reading: SectionReading<typeof saslSection.fields>, reader: ConfigReader): void {
  const { mechanism } = reading.values
  if (mechanism === undefined || mechanism === 'aws_msk_iam') return
  const needed =
    mechanism === 'oauthbearer' ? (['token_endpoint'] as const) : (['username', 'password'] as const)
  for (const key of needed) {
    if (reading.has(key)) continue
    reader.sink.error(
      'CONFIG_MISSING_KEY',
      reading.spanOf('mechanism'),
      `missing key \`${key}\` in kafka.sasl: \`${mechanism}\` needs it`,
      { help: `add \`${key}:\`` },
    )
  }
}

type StartOffset = KafkaConfig['autoOffsetReset']

function startOffset(): FieldType<StartOffset> {
  const words = enumeration(['earliest', 'latest', 'none'])
  const expected = '`earliest`, `latest`, `none` or `{ timestamp: ISO-8601 }`'
  return {
    label: `${words.label} \\| \`{ timestamp: … }\``,
    expected,
    jsonSchema: {
      anyOf: [
        words.jsonSchema,
        {
          type: 'object',
          properties: { timestamp: { type: 'string' } },
          required: ['timestamp'],
          additionalProperties: false,
        },
      ],
    },
    read(node, reader) {
      if (node.kind !== 'map') return words.read(node, reader)
      const [entry, second] = node.entries
      if (entry === undefined || second !== undefined || entry.key !== 'timestamp') {
        reader.mismatch(node, expected)
        return undefined
      }
      const wanted = 'an ISO-8601 instant such as `2026-01-31T00:00:00Z`'
      const scalar = scalarOf(entry.value, reader, wanted)
      if (scalar === undefined) return undefined
      const timestampMs = parseInstantMs(scalar.text)
      if (timestampMs !== null) return { timestampMs }
      reader.mismatch(entry.value, wanted)
      return undefined
    },
  }
}

/** An ISO-8601 instant as epoch milliseconds; a text without zone is UTC; null for anything else. */
export function parseInstantMs(written: string): number | null {
  const pattern = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?$/
  const match = pattern.exec(written)
  if (match === null) return null
  const hasZone = match[4] !== undefined || match[1] === undefined
  const ms = Date.parse(`${written.replace(' ', 'T')}${hasZone ? '' : 'Z'}`)
  return Number.isNaN(ms) ? null : ms
}

type Assignment = KafkaConfig['assignment']

function assignment(): FieldType<Assignment> {
  const words = enumeration(['all', 'group'])
  const partitions = list(integer({ min: 0, max: PARTITION_MAX }), {
    label: 'list of integers',
    expected: 'a list of partitions',
    itemsMin: 1,
    itemsMax: PARTITION_MAX,
  })
  return {
    label: '`all` \\| `group` \\| list of partitions',
    expected: '`all`, `group` or a list of partitions',
    jsonSchema: { anyOf: [words.jsonSchema, partitions.jsonSchema] },
    read(node, reader) {
      if (node.kind !== 'list') return words.read(node, reader)
      const numbers = partitions.read(node, reader)
      return numbers === undefined ? undefined : { partitions: numbers }
    },
  }
}

const topicName = text({
  label: 'text',
  expected: 'the name of a topic',
  pattern: /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$/,
  help: 'letters, digits, `.`, `_` and `-`, at most 249 characters',
})

export const kafkaSection = section(
  'kafka',
  'Where messages come from.',
  {
    bootstrap_servers: required<readonly string[]>(
      list(
        text({
          expected: 'an address `host:port`',
          pattern: ADDRESS,
          help: 'write host and port without a scheme, such as `localhost:9092`',
        }),
        {
          label: 'text or list of text',
          expected: 'a list of addresses',
          itemsMin: 1,
          itemsMax: BROKERS_MAX,
          splitsText: true,
        },
      ),
      { description: 'Brokers to start from: `"a:9092,b:9092"` or a list.', example: 'localhost:9092' },
    ),
    topic: optional<string>(topicName, {
      description: 'The topic.',
      defaultText: 'required',
      example: 'user-events',
    }),
    topics: optional<readonly string[]>(
      list(topicName, {
        label: 'list of text',
        expected: 'a list of topics',
        itemsMin: 1,
        itemsMax: TOPICS_MAX,
      }),
      { description: 'Several topics into one table, in place of `topic`.', example: '[orders, refunds]' },
    ),
    consumer_group: required<string>(text({ lengthMax: 249 }), {
      description: 'The group id, and the name under which the table keeps this pipeline’s offsets.',
      example: 'delta-ingest',
    }),
    auto_offset_reset: withDefault<StartOffset>(startOffset(), 'earliest', {
      description: 'Where to start a partition for which the table holds no offset yet.',
      example: '{ timestamp: "2026-01-31T00:00:00Z" }',
    }),
    on_offset_out_of_range: withDefault<KafkaConfig['onOffsetOutOfRange']>(
      enumeration(['fail', 'earliest', 'latest']),
      'fail',
      {
        description:
          'What to do when the next offset has left the topic. The number of lost offsets is always said.',
      },
    ),
    assignment: withDefault<Assignment>(assignment(), 'all', {
      description:
        'Which partitions this process reads: every one, those of its consumer group, or those listed.',
      example: '[0, 1, 2]',
      later: { label: '`group`', covers: value => value === 'group' },
    }),
    isolation_level: withDefault<KafkaConfig['isolationLevel']>(
      enumeration(['read_committed', 'read_uncommitted']),
      'read_committed',
      { description: 'Whether records of open and aborted transactions are read.' },
    ),
    security_protocol: withDefault<KafkaConfig['securityProtocol']>(
      enumeration(['plaintext', 'ssl', 'sasl_plaintext', 'sasl_ssl']),
      'plaintext',
      { description: 'Encryption and authentication of the connection.' },
    ),
    sasl: optional<SectionValues<typeof saslSection.fields>>(sectionType(saslSection, checkSasl), {
      description: 'Credentials.',
    }),
    ssl: optional<SectionValues<typeof sslSection.fields>>(sectionType(sslSection), { description: 'TLS.' }),
    client_id: withDefault<string>(text({ lengthMax: 249 }), 'stream-ingest', {
      description: 'How this client is named in the brokers’ logs and quotas.',
    }),
    fetch_min_bytes: withDefault<number>(size({ min: 1, max: INT32_MAX }), 1, {
      description: 'A broker answers a fetch once it has this much.',
    }),
    fetch_max_bytes: withDefault<number>(size({ min: 1024, max: INT32_MAX }), 52_428_800, {
      description: 'Most bytes of one answer.',
      defaultText: '`50MiB`',
    }),
    fetch_max_partition_bytes: withDefault<number>(size({ min: 1024, max: INT32_MAX }), 1_048_576, {
      description: 'Most bytes of one partition in one answer; a larger record batch still comes whole.',
      defaultText: '`1MiB`',
    }),
    fetch_max_wait_ms: withDefault<number>(milliseconds({ min: 0, max: 300_000 }), 500, {
      description: 'A broker answers a fetch after this long with what it has.',
    }),
    session_timeout_ms: withDefault<number>(milliseconds({ min: 1000, max: 1_800_000 }), 45_000, {
      description: 'A member of the group that is silent for so long is taken for dead.',
    }),
    rebalance_timeout_ms: withDefault<number>(milliseconds({ min: 1000, max: MS_PER_DAY }), 60_000, {
      description: 'How long members may take to commit and hand over when the group rebalances.',
    }),
    request_timeout_ms: withDefault<number>(milliseconds({ min: 1000, max: MS_PER_DAY }), 30_000, {
      description: 'How long to wait for the answer to one request.',
    }),
  },
  [{ keys: ['topic', 'topics'], required: true }],
)

type KafkaReading = SectionReading<typeof kafkaSection.fields>

/** What one key of the section demands of another. */
export function checkKafka(reading: KafkaReading, reader: ConfigReader): void {
  const { security_protocol: protocol, sasl } = reading.values
  if (protocol === undefined) return
  const isSasl = protocol.startsWith('sasl_')
  const isTls = protocol.endsWith('ssl')
  const { sink } = reader
  if (isSasl && !reading.has('sasl')) {
    sink.error(
      'CONFIG_MISSING_KEY',
      reading.spanOf('security_protocol'),
      `missing key \`sasl\` in kafka: \`${protocol}\` needs it`,
      { help: 'add `sasl: { mechanism: …, username: …, password: … }`' },
    )
  }
  if (!isSasl && reading.has('sasl')) {
    const better = isTls || reading.has('ssl') ? 'sasl_ssl' : 'sasl_ssl` or `sasl_plaintext'
    const message = `\`sasl\` is given, but \`security_protocol\` is \`${protocol}\``
    sink.error('CONFIG_CONFLICT', reading.spanOf('sasl'), message, {
      help: `set \`security_protocol\` to \`${better}\``,
    })
  }
  if (!isTls && reading.has('ssl')) {
    const message = `\`ssl\` is given, but \`security_protocol\` is \`${protocol}\``
    const better = isSasl || reading.has('sasl') ? 'sasl_ssl' : 'ssl'
    sink.error('CONFIG_CONFLICT', reading.spanOf('ssl'), message, {
      help: `set \`security_protocol\` to \`${better}\``,
    })
  }
  if (protocol === 'sasl_plaintext' && sasl?.mechanism === 'aws_msk_iam') {
    sink.error('CONFIG_CONFLICT', reading.spanOf('security_protocol'), '`aws_msk_iam` goes over TLS alone', {
      help: 'set `security_protocol` to `sasl_ssl`',
      suggestion: 'sasl_ssl',
    })
  }
}

export function resolveKafka(values: SectionValues<typeof kafkaSection.fields>): KafkaConfig {
  return {
    bootstrapServers: values.bootstrap_servers,
    topics: values.topics ?? (values.topic === undefined ? [] : [values.topic]),
    consumerGroup: values.consumer_group,
    autoOffsetReset: values.auto_offset_reset,
    onOffsetOutOfRange: values.on_offset_out_of_range,
    assignment: values.assignment,
    isolationLevel: values.isolation_level,
    securityProtocol: values.security_protocol,
    ...(values.sasl === undefined ? {} : { sasl: resolveSasl(values.sasl) }),
    ...(values.ssl === undefined ? {} : { ssl: resolveSsl(values.ssl) }),
    clientId: values.client_id,
    fetchMinBytes: values.fetch_min_bytes,
    fetchMaxBytes: values.fetch_max_bytes,
    fetchMaxPartitionBytes: values.fetch_max_partition_bytes,
    fetchMaxWaitMs: values.fetch_max_wait_ms,
    sessionTimeoutMs: values.session_timeout_ms,
    rebalanceTimeoutMs: values.rebalance_timeout_ms,
    requestTimeoutMs: values.request_timeout_ms,
  }
}

function resolveSasl(values: SectionValues<typeof saslSection.fields>): SaslConfig {
  const { mechanism, username, password, region, token_endpoint, client_id, client_secret, scope } = values
  return {
    mechanism,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(region === undefined ? {} : { region }),
    ...(token_endpoint === undefined ? {} : { tokenEndpoint: token_endpoint }),
    ...(client_id === undefined ? {} : { clientId: client_id }),
    ...(client_secret === undefined ? {} : { clientSecret: client_secret }),
    ...(scope === undefined ? {} : { scope }),
  }
}

function resolveSsl(values: SectionValues<typeof sslSection.fields>): SslConfig {
  const { ca, cert, key, key_passphrase, server_name, reject_unauthorized } = values
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(key_passphrase === undefined ? {} : { keyPassphrase: key_passphrase }),
    ...(server_name === undefined ? {} : { serverName: server_name }),
    rejectUnauthorized: reject_unauthorized,
  }
}

/** For the reference and the JSON Schema. */
export const KAFKA_SUBSECTIONS = [saslSection, sslSection] as const
