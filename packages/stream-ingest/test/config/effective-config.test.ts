// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the configuration has variables of that form.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { checkConfigText } from '../../src/config/config.ts'
import { parseConfigText } from '../../src/config/config-node.ts'
import { ConfigReader } from '../../src/config/config-reader.ts'
import { DiagnosticSink } from '../../src/config/diagnostic.ts'
import { defaultOf } from '../../src/config/effective-config.ts'
import { formatEffectiveYaml } from '../../src/config/effective-yaml.ts'
import { ALL_SECTIONS } from '../../src/config/read-config.ts'
import type { FieldSpec } from '../../src/config/section.ts'
import { EVERY_KEY_ENVIRONMENT, EVERY_KEY_YAML, PEM, USER_EVENTS_YAML } from './example-config.ts'

const OPTIONS = { file: 'a.yaml', environment: EVERY_KEY_ENVIRONMENT, readFile: () => PEM }

function read(text: string, options: Parameters<typeof checkConfigText>[1] = OPTIONS) {
  const { pipelines, diagnostics, effective } = checkConfigText(text, options)
  assert.notEqual(pipelines, null, JSON.stringify(diagnostics))
  return { pipelines, yaml: formatEffectiveYaml(effective) }
}

/** Fails unless what is printed is read as what it was printed of, and prints the same values again. */
function assertRoundTrip(text: string, options?: Parameters<typeof checkConfigText>[1]): void {
  const before = read(text, options)
  const after = read(before.yaml, { ...OPTIONS, environment: {} })
  assert.deepEqual(after.pipelines, before.pipelines)
  const values = (yaml: string) => yaml.replaceAll(/ {2}# .*$/gm, '')
  assert.equal(values(after.yaml), values(before.yaml))
}

/** Every key, with nothing that is a secret. */
const NO_SECRETS = EVERY_KEY_YAML.replaceAll(
  /^ *(password|secret_access_key|session_token|access_key_id):.*\n/gm,
  '',
)
  .replace('username: ingest', 'region: eu-west-1')
  .replace('scram-sha-512', 'aws_msk_iam')

describe('the effective configuration', () => {
  test('is read as what it was printed of', () => {
    assertRoundTrip(USER_EVENTS_YAML)
    assertRoundTrip(NO_SECRETS)
  })

  test('is read so on a platform with defaults of its own, and after variables are put in', () => {
    const environment = {
      AWS_LAMBDA_RUNTIME_API: 'x',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '1000',
      G: 'a$b ${c}',
    }
    const text = USER_EVENTS_YAML.replace('"delta-ingest"', '"${G}-${NONE:-$$x}"')
    assertRoundTrip(text, { ...OPTIONS, environment })
    const { yaml } = read(text, { ...OPTIONS, environment })
    assert.match(yaml, /runtime_limit_ms: 840000 {2}# default of this platform\n/)
    assert.match(yaml, /memory_limit: \S+ {2}# default of this platform\n/)
    assert.match(
      yaml,
      /consumer_group: "a\$\$b \$\$\{c\}-\$\$x" {2}# a\.yaml:4:19, environment variable G, environment variable NONE is not set\n/,
    )
  })

  test('is read so with several pipelines, and names what is inherited', () => {
    const text = `kafka: { bootstrap_servers: "b:1", consumer_group: lake }
s3: { bucket: lake, region: eu-west-1 }
processing: { batch_bytes: 64MiB }
pipelines:
  orders:
    kafka: { topics: [a, b], consumer_group: own }
    delta: { table_name: orders, schema: [{ name: id, data_type: int64 }], optimize: { min_files: 3 } }
  clicks:
    kafka: { topic: c }
    local: { path: "./#lake" }
    delta: { table_name: clicks, merge_schema: true }
`
    assertRoundTrip(text)
    const { yaml } = read(text)
    assert.match(yaml, /bootstrap_servers: "b:1" {2}# a\.yaml:1:29, top-level kafka\n/)
    assert.match(yaml, /consumer_group: own {2}# a\.yaml:6:46\n/)
    assert.match(yaml, / {6}optimize:\n {8}every: 1h {2}# default\n {8}min_files: 3 {2}# a\.yaml:7:/)
    assert.doesNotMatch(yaml, /memory_limit/)
  })

  test('is read so whatever stands in its texts', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ minLength: 1, unit: 'binary-ascii' }), fc.string({ unit: 'grapheme' })),
        fc.string({ minLength: 1, maxLength: 200, unit: 'grapheme' }).filter(each => each.trim() !== ''),
        (properties, group) => {
          const escaped = (text: string) => text.replaceAll('$', '$$$$')
          const entries = Object.entries(properties).filter(([key]) => key !== '__proto__')
          const table_properties = Object.fromEntries(entries.map(([key, value]) => [key, escaped(value)]))
          assertRoundTrip(
            JSON.stringify({
              kafka: { bootstrap_servers: 'b:1', topic: 't', consumer_group: escaped(group) },
              local: { path: 'lake' },
              delta: { table_name: 't', merge_schema: true, table_properties },
            }),
          )
        },
      ),
      { numRuns: 200 },
    )
  })

  test('shows no secret, however it is given', () => {
    const { yaml } = read(EVERY_KEY_YAML.replace('{ from_env: AWS_TOKEN }', 'plain-token'))
    for (const secret of [...Object.values(EVERY_KEY_ENVIRONMENT), 'plain-token'])
      assert(!yaml.includes(secret), secret)
    assert.match(yaml, /password: "\[secret\]" {2}# a\.yaml:\d+:\d+, environment variable KAFKA_PASSWORD\n/)
    assert.match(yaml, /session_token: "\[secret\]" {2}# a\.yaml/)
  })

  test('is empty where there are errors', () => {
    assert.deepEqual(checkConfigText('kafka: {}', OPTIONS).effective, [])
  })
})

test('what the reference says of a default is what the field reads', () => {
  for (const spec of ALL_SECTIONS) {
    for (const [key, field] of Object.entries(spec.fields as Record<string, FieldSpec<unknown>>)) {
      if (field.presence !== 'default') continue
      assert.match(field.defaultText, /^`.*`$/, `${spec.name}.${key}`)
      const sink = new DiagnosticSink('default', JSON.stringify(defaultOf(field)))
      const reader = new ConfigReader(
        sink,
        { environment: {}, readFile: () => '', awsSecret: () => null },
        new Map(),
      )
      const node = parseConfigText(sink)
      assert(node !== null)
      assert.deepEqual(field.type.read(node, reader), field.defaultValue, `${spec.name}.${key}`)
    }
  }
})
