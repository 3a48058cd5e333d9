import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { TEMPLATES } from '../../src/cli/config-template.ts'
import { markdownFences } from '../../src/cli/markdown-fence.ts'
import { checkConfigText } from '../../src/config/config.ts'
import { LINTS } from '../../src/lint-code.ts'
import { USER_EVENTS_YAML } from './example-config.ts'

interface Parts {
  readonly kafka?: object
  readonly delta?: object
  readonly processing?: object
  readonly freshness?: object
}

const DELTA = {
  table_name: 't',
  schema: [
    { name: 'user_id', data_type: 'int64' },
    { name: 'country', data_type: 'utf8' },
    { name: 'at', data_type: 'timestamp_millisecond' },
    { name: 'price', data_type: 'float64' },
  ],
}

/** Each key on a line of its own, so that a place tells the key. */
function configOf(parts: Parts): string {
  return JSON.stringify(
    {
      kafka: { bootstrap_servers: 'broker:9092', topic: 'events', consumer_group: 'g', ...parts.kafka },
      local: { path: './lake' },
      delta: { ...DELTA, ...parts.delta },
      processing: parts.processing ?? {},
      ...(parts.freshness === undefined ? {} : { freshness: parts.freshness }),
    },
    null,
    1,
  )
}

/** `CODE key: message` of each warning; fails on errors. */
function lint(text: string, environment: Readonly<Record<string, string>> = {}): string[] {
  const { diagnostics } = checkConfigText(text, { environment, lints: true })
  return diagnostics.map(({ code, severity, line, message, help }) => {
    assert.equal(severity, 'warning', message)
    assert.notEqual(help, null)
    const key = /"?(\w+)"?:/.exec(text.split('\n')[line - 1] ?? '')?.[1]
    return `${code} ${key}: ${message}`
  })
}

function codes(parts: Parts, environment: Readonly<Record<string, string>> = {}): string[] {
  return lint(configOf(parts), environment).map(each => each.split(':')[0] as string)
}

describe('warnings of what is probably not meant', () => {
  test('small files, with figures', () => {
    assert.deepEqual(lint(configOf({ processing: { batch_timeout_ms: 1000, batch_size: 10 } })), [
      'LINT_SMALL_FILES batch_timeout_ms: committing every 1s makes up to 86,400 commits a day, each with a file for every table partition that it touches',
      'LINT_SMALL_FILES batch_size: with 10 messages a commit, a million messages become 100,000 commits and as many files or more',
    ])
    assert.deepEqual(lint(configOf({ delta: { target_file_size: '64KiB' } })), [
      'LINT_SMALL_FILES target_file_size: files of 64KiB: each GiB of the table has 16,384 of them',
    ])
    const often = { batch_timeout_ms: 1000, batch_size: 10 }
    assert.deepEqual(codes({ processing: often, delta: { optimize: { every: '1h' } } }), [])
    assert.deepEqual(codes({ processing: often, delta: { write_mode: 'overwrite' } }), [])
    assert.deepEqual(codes({ processing: { batch_timeout_ms: 10_000, batch_size: 100 } }), [])
  })

  test('sizes and times that are never reached', () => {
    assert.deepEqual(lint(configOf({ delta: { target_file_size: '1GiB' } })), [
      'LINT_SIZE_UNREACHABLE target_file_size: a file of 1GiB never comes about: 512MiB of memory are full before',
    ])
    assert.deepEqual(codes({ processing: { memory_limit: '64MiB' } }), [])
    const minute = { batch_timeout_ms: 60_000, runtime_limit_ms: 60_000 }
    assert.deepEqual(codes({ processing: minute }), ['LINT_TIMEOUT_UNREACHABLE batch_timeout_ms'])
    assert.deepEqual(codes({ processing: { runtime_limit_ms: 10_000 } }), [])
    const onLambda = { AWS_LAMBDA_RUNTIME_API: 'x', AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '1024' }
    assert.deepEqual(codes({ processing: { batch_timeout_ms: 900_000 } }, onLambda), [
      'LINT_TIMEOUT_UNREACHABLE batch_timeout_ms',
    ])
    assert.deepEqual(codes({ processing: { batch_timeout_ms: 900_000 } }), [])
    assert.deepEqual(codes({ freshness: { warn_after: '10s', error_after: '5m' } }), [
      'LINT_FRESHNESS_UNREACHABLE warn_after',
    ])
    assert.deepEqual(codes({ freshness: { warn_after: '30s' } }), ['LINT_FRESHNESS_UNREACHABLE warn_after'])
    assert.deepEqual(codes({ freshness: { warn_after: '31s', error_after: '5m' } }), [])
  })

  test('partitions by what has a value for every message', () => {
    for (const name of ['user_id', 'at', 'price', '_kafka_offset', '_kafka_timestamp', 'uuid']) {
      assert.deepEqual(
        codes({ delta: { partition_columns: [name] } }),
        ['LINT_PARTITION_CARDINALITY partition_columns'],
        name,
      )
    }
    for (const name of ['country', 'date', 'tenant_id', '_kafka_partition', '_kafka_topic']) {
      assert.deepEqual(codes({ delta: { partition_columns: [name] } }), [], name)
    }
    const { diagnostics } = checkConfigText(configOf({ delta: { partition_columns: ['at'] } }), {
      environment: {},
      lints: true,
    })
    assert.match(diagnostics[0]?.help ?? '', /derive: \{ at_date: \{ from: at, as: date \} \}/)
  })

  test('a partition column that is spelled almost like a column', () => {
    assert.deepEqual(codes({ delta: { partition_columns: ['contry'] } }), [
      'LINT_PARTITION_UNDECLARED partition_columns',
    ])
    assert.deepEqual(codes({ delta: { partition_columns: ['region'] } }), [])
    assert.deepEqual(codes({ delta: { partition_columns: ['contry'], merge_schema: true } }), [])
  })

  test('a short retention, a dry run that was left in, and unsafe connections', () => {
    assert.deepEqual(codes({ delta: { vacuum: { retention: '24h' } } }), ['LINT_VACUUM_RETENTION vacuum'])
    assert.deepEqual(codes({ delta: { vacuum: { retention: '168h' } } }), [])
    assert.deepEqual(codes({ processing: { dry_run: true } }), ['LINT_DRY_RUN dry_run'])
    const unverified = { security_protocol: 'ssl', ssl: { reject_unauthorized: false } }
    assert.deepEqual(codes({ kafka: unverified }), ['LINT_TLS_UNVERIFIED ssl'])
    const sasl = { mechanism: 'plain', username: 'u', password: { from_env: 'P' } }
    const clear = { security_protocol: 'sasl_plaintext', sasl }
    const password = { P: 'x' }
    assert.deepEqual(codes({ kafka: clear }, password), ['LINT_PASSWORD_UNENCRYPTED security_protocol'])
    assert.deepEqual(codes({ kafka: { ...clear, bootstrap_servers: 'localhost:9092' } }, password), [])
    assert.deepEqual(
      codes({ kafka: { ...clear, sasl: { ...sasl, mechanism: 'scram-sha-512' } } }, password),
      [],
    )
  })

  test('overwrites that take away more than they bring', () => {
    const overwrite = { write_mode: 'overwrite' }
    assert.deepEqual(codes({ kafka: { auto_offset_reset: 'latest' }, delta: overwrite }), [
      'LINT_OVERWRITE_LATEST auto_offset_reset',
    ])
    assert.deepEqual(codes({ delta: overwrite }), [])
    const shared = (delta: string) => `kafka: { bootstrap_servers: "b:1", consumer_group: g }
local: { path: lake }
delta: { table_name: t, schema: [{ name: a, data_type: utf8 }] }
pipelines:
  one: { kafka: { topic: a } }
  two: { kafka: { topic: b }, delta: ${delta} }
`
    assert.deepEqual(lint(shared('{ write_mode: overwrite }')), [
      'LINT_OVERWRITE_SHARED two: the pipeline `two` replaces all rows of `lake/t`, those of `one` too',
    ])
    assert.deepEqual(lint(shared('{ write_mode: overwrite, table_name: u }')), [])
    assert.deepEqual(lint(shared('{}')), [])
  })

  test('each has a code whose example brings it', () => {
    const seen = new Set<string>()
    for (const [code, { example }] of Object.entries(LINTS)) {
      // Of two pipelines: tested above.
      if (code === 'LINT_OVERWRITE_SHARED') continue
      const base = `{ kafka: { bootstrap_servers: "b:1", topic: t, consumer_group: g }, local: { path: l },
        delta: { table_name: t, schema: [{ name: user_id, data_type: int64 }] } }`
      const found = checkConfigText(merge(base, example), { environment: {}, lints: true }).diagnostics
      assert.ok(
        found.some(each => each.code === code),
        `${code}: ${JSON.stringify(found)}`,
      )
      seen.add(code)
    }
    assert.equal(seen.size, Object.keys(LINTS).length - 1)
  })
})

/** The example as a pipeline of its own: its keys replace those of the base. */
function merge(base: string, example: string): string {
  const secured = example.replace('mechanism: plain', 'mechanism: plain, username: u, password: p')
  const whole = secured.replace('kafka: { ssl', 'kafka: { security_protocol: ssl, ssl')
  return `${base.trim().slice(0, -1)}, pipelines: { one: { ${whole} } } }`
}

describe('no warning is given', () => {
  test('of the documented configuration', () => {
    assert.deepEqual(lint(USER_EVENTS_YAML), [])
  })

  for (const [name, text] of Object.entries(TEMPLATES)) {
    test(`of the template ${name}`, () => {
      assert.deepEqual(lint(text), [])
    })
  }

  const ROOT = fileURLToPath(new URL('../../../../', import.meta.url))
  const environment = {
    AWS_REGION: 'eu-west-1',
    KAFKA: 'localhost:9092',
    BOOTSTRAP_SERVERS: 'b-1.example:9098',
    TOPIC: 'user-events',
    BUCKET: 'lake',
    PREFIX: 'delta-tables',
  }
  const files = globSync(['README.md', 'docs/**/*.md', 'examples/*/*.{md,yaml}'], { cwd: ROOT })
  for (const file of files.sort()) {
    const text = readFileSync(`${ROOT}${file}`, 'utf8')
    const { configurations } = markdownFences(text)
    const isConfig = file.endsWith('stream-ingest.yaml')
    for (const [index, each] of (isConfig ? [text] : configurations).entries()) {
      test(`of ${file}, the one at ${index + 1}`, () => {
        assert.deepEqual(lint(each, environment), [])
      })
    }
  }
})
