import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { type ValidateOptions, validateCommand } from '../../src/cli/validate.ts'
import { USER_EVENTS_YAML } from '../config/example-config.ts'

const BROKEN = USER_EVENTS_YAML.replace('topic:', 'topc:')
const WARNED = USER_EVENTS_YAML.replace(
  'auto_offset_reset: "earliest"',
  'security_protocol: sasl_ssl\n  sasl: { mechanism: plain, username: me, password: hunter2 }',
)

/** Runs the command in a new folder that holds these files. */
async function run(
  t: TestContext,
  files: Readonly<Record<string, string>>,
  args: readonly string[],
  options: ValidateOptions = {},
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number; output: string }> {
  const cwd = await mkdtemp(join(tmpdir(), 'validate-'))
  t.after(() => rm(cwd, { recursive: true }))
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(cwd, name)), { recursive: true })
    await writeFile(join(cwd, name), text)
  }
  let output = ''
  const stdout = { write: (text: string) => (output += text) }
  const code = await validateCommand(args, options, { stdout, env, cwd })
  return { code, output: output.replaceAll(cwd, '.') }
}

describe('validate', () => {
  test('says what a sound file does, and by which rule the table is partitioned', async t => {
    const { code, output } = await run(t, { 'a.yaml': USER_EVENTS_YAML }, ['a.yaml'])
    assert.equal(code, 0)
    assert.equal(
      output,
      `✓ a.yaml
  user_events   topic user-events @ localhost:9092  →  s3://my-data-lake/delta-tables/user_events
    8 columns: user_id, event_type, timestamp, date, _kafka_topic, _kafka_partition, _kafka_offset, _kafka_timestamp
    partition column \`date\`: the payload’s \`date\` where present, else date of the Kafka timestamp, in UTC

no problems in 1 file.
`,
    )
  })

  test('says that there are tests', async t => {
    const tests = 'tests:\n  - { name: a, input: { payload: {} }, bad: {} }\n'
    const { output } = await run(t, { 'a.yaml': USER_EVENTS_YAML + tests }, ['a.yaml'])
    assert.match(output, /^ {2}1 test: run with stream-ingest test$/m)
  })

  test('says which columns a table has before its messages bring theirs, and what is wrong with them', async t => {
    const withoutSchema = (delta: string) => `
kafka: { bootstrap_servers: "localhost:9092", topic: t, consumer_group: g }
local: { path: ./lake }
delta: { table_name: t, merge_schema: true, create_table: true, ${delta} }
`
    const sound = withoutSchema('partition_columns: [date, country], metadata_columns: [offset]')
    const clash = withoutSchema('derive: { _kafka_offset: { from: at, as: date } }')
    const { code, output } = await run(t, { 'a.yaml': sound, 'b.yaml': clash }, ['a.yaml', 'b.yaml'])
    assert.equal(code, 78)
    assert.match(output, /3 columns: date, country, _kafka_offset, and those that messages bring$/m)
    assert.match(output, /partition column `country`: the payload’s `country`/)
    assert.match(output, /the column `_kafka_offset` is already a derived column/)
  })

  test('shows what is wrong with each of many files, and ends with 78', async t => {
    const { code, output } = await run(t, { 'a.yaml': BROKEN, 'b.yaml': WARNED }, [
      'a.yaml',
      'b.yaml',
      'none.yaml',
    ])
    assert.equal(code, 78)
    assert.equal(
      output,
      `error[CONFIG_UNKNOWN_KEY]: unknown key \`topc\` in kafka
  --> a.yaml:3:3
    │
  3 │   topc: "user-events"
    │   ^^^^
    = help: did you mean \`topic\`?

warning[CONFIG_PLAINTEXT_SECRET]: a secret stands here as plain text
  --> b.yaml:6:53
    │
  6 │   sasl: { mechanism: plain, username: me, password: [secret] }
    │                                                     ^^^^^^^^
    = help: write \`{ from_env: NAME }\`, \`{ from_file: PATH }\` or \`{ from_aws_secret: "id#field" }\`

error[CONFIG_NOT_FOUND]: no configuration at \`./none.yaml\`: the file does not exist
  --> none.yaml:1:1
    = help: name a file, or set INGEST_CONFIG

✓ b.yaml
  user_events   topic user-events @ localhost:9092  →  s3://my-data-lake/delta-tables/user_events
    8 columns: user_id, event_type, timestamp, date, _kafka_topic, _kafka_partition, _kafka_offset, _kafka_timestamp
    partition column \`date\`: the payload’s \`date\` where present, else date of the Kafka timestamp, in UTC

2 errors, 1 warning in 3 files.   More: stream-ingest explain CONFIG_UNKNOWN_KEY
`,
    )
  })

  test('denies warnings where asked to', async t => {
    assert.equal((await run(t, { 'b.yaml': WARNED }, ['b.yaml'])).code, 0)
    assert.equal((await run(t, { 'b.yaml': WARNED }, ['b.yaml'], { denyWarnings: true })).code, 78)
    assert.equal((await run(t, { 'a.yaml': USER_EVENTS_YAML }, ['a.yaml'], { denyWarnings: true })).code, 0)
  })

  test('prints one JSON document', async t => {
    const { code, output } = await run(t, { 'a.yaml': BROKEN }, ['a.yaml'], { json: true })
    assert.equal(code, 78)
    assert.deepEqual(JSON.parse(output), {
      ok: false,
      diagnostics: [
        {
          code: 'CONFIG_UNKNOWN_KEY',
          severity: 'error',
          file: 'a.yaml',
          line: 3,
          column: 3,
          endLine: 3,
          endColumn: 7,
          message: 'unknown key `topc` in kafka',
          help: 'did you mean `topic`?',
          suggestion: 'topic',
        },
      ],
    })
    const sound = await run(t, { 'a.yaml': USER_EVENTS_YAML }, ['a.yaml'], { json: true })
    assert.equal(sound.output, '{"ok":true,"diagnostics":[]}\n')
  })

  test('without files checks INGEST_CONFIG, else ./stream-ingest.yaml', async t => {
    const asText = await run(t, {}, [], {}, { INGEST_CONFIG: BROKEN })
    assert.match(asText.output, /--> INGEST_CONFIG:3:3/)
    const asPath = await run(t, { 'x.yaml': USER_EVENTS_YAML }, [], {}, { INGEST_CONFIG: 'x.yaml' })
    assert.match(asPath.output, /^✓ x\.yaml\n/)
    const byDefault = await run(t, { 'stream-ingest.yaml': USER_EVENTS_YAML }, [])
    assert.match(byDefault.output, /^✓ stream-ingest\.yaml\n/)
    const nothing = await run(t, {}, [])
    assert.equal(nothing.code, 78)
  })

  test('takes variables from the environment that it is given, and files from the working directory', async t => {
    const text = WARNED.replace('hunter2', '{ from_file: pw }').replace('"us-east-1"', `"$${'{REGION}'}"`)
    const given = await run(t, { 'a.yaml': text, pw: 'x' }, ['a.yaml'], {}, { REGION: 'eu' })
    assert.equal(given.code, 0)
    const missing = await run(t, { 'a.yaml': text }, ['a.yaml'])
    assert.match(missing.output, /CONFIG_SECRET(.*\n)*.*CONFIG_VARIABLE/)
  })

  test('does not fetch AWS secrets', async t => {
    const text = WARNED.replace('hunter2', '{ from_aws_secret: "a#b" }')
    assert.equal((await run(t, { 'a.yaml': text }, ['a.yaml'])).code, 0)
  })

  test('checks the fences of Markdown where they stand, and counts those that are not ours', async t => {
    const page = `# A page\n\n\`\`\`yaml\n${BROKEN}\`\`\`\n\n\`\`\`yaml\nservices: {}\n\`\`\`\n`
    const { code, output } = await run(t, { 'docs/a.md': page }, ['docs/a.md'])
    assert.equal(code, 78)
    assert.match(output, /--> docs\/a\.md:6:3\n {4}│\n {2}6 │ {3}topc: "user-events"/)
    assert.match(output, /1 error in 1 file\. 1 text skipped/)
    const json = await run(t, { 'a.md': '```yaml\na: b\n```\n' }, ['a.md'], { format: 'json' })
    assert.equal(json.output, '{"ok":true,"diagnostics":[],"skipped":1}\n')
    assert.equal(json.code, 0)
  })

  test('checks what a folder holds of ours, and fails where it holds nothing', async t => {
    const files = {
      'all/a.yaml': BROKEN,
      'all/deep/b.yml': USER_EVENTS_YAML,
      'all/deep/c.md': `\`\`\`yaml\n${BROKEN}\`\`\`\n`,
      'all/compose.yaml': 'services: {}\n',
      'all/.hidden/d.yaml': BROKEN,
      'all/node_modules/e.yaml': BROKEN,
      'none/compose.yaml': 'services: {}\n',
    }
    const { output } = await run(t, files, ['all'], { json: true })
    const { diagnostics, skipped } = JSON.parse(output)
    const places = diagnostics.map((each: { file: string; line: number }) => `${each.file}:${each.line}`)
    assert.deepEqual(places, ['all/a.yaml:3', 'all/deep/c.md:4'])
    assert.equal(skipped, 1)
    const none = await run(t, files, ['none'])
    assert.equal(none.code, 78)
    assert.match(none.output, /no configuration in the folder `none`/)
    const named = await run(t, files, ['none/compose.yaml'])
    assert.match(named.output, /CONFIG_UNKNOWN_KEY/)
  })

  test('reads standard input as `-`', async () => {
    let output = ''
    const stdout = { write: (text: string) => (output += text) }
    const readStdin = () => Promise.resolve(BROKEN)
    assert.equal(await validateCommand(['-'], {}, { stdout, env: {}, cwd: '/', readStdin }), 78)
    assert.match(output, /--> <stdin>:3:3/)
  })

  test('shows the effective configuration as YAML, and findings beside it', async () => {
    const cwd = await mkdtemp(join(tmpdir(), 'validate-'))
    await writeFile(join(cwd, 'a.yaml'), USER_EVENTS_YAML)
    await writeFile(join(cwd, 'b.yaml'), WARNED)
    const out = { stdout: '', stderr: '' }
    const io = {
      stdout: { write: (text: string) => (out.stdout += text) },
      stderr: { write: (text: string) => (out.stderr += text) },
    }
    const code = await validateCommand(['a.yaml', 'b.yaml'], { showDefaults: true }, { ...io, env: {}, cwd })
    await rm(cwd, { recursive: true })
    assert.equal(code, 0)
    const [first = '', second = ''] = out.stdout.split('---\n')
    assert.match(first, /^# "a\.yaml"\nkafka:\n {2}bootstrap_servers: "localhost:9092" {2}# a\.yaml:2:22\n/)
    assert.match(second, /password: "\[secret\]"/)
    assert.doesNotMatch(out.stdout + out.stderr, /hunter2/)
    assert.match(out.stderr, /CONFIG_PLAINTEXT_SECRET/)
  })

  test('has the effective configuration in its document where asked to', async t => {
    const { output } = await run(t, { 'a.yaml': USER_EVENTS_YAML }, ['a.yaml'], {
      json: true,
      showDefaults: true,
    })
    const { ok, effective } = JSON.parse(output)
    assert.equal(ok, true)
    const [{ file, pipeline, pipelineId, config, origins }] = effective
    assert.deepEqual([file, pipeline, pipelineId], ['a.yaml', null, 'delta-ingest'])
    assert.equal(config.processing.batch_size, 1000)
    assert.equal(config.processing.max_retries, 3)
    assert.deepEqual(origins['kafka.topic'], {
      kind: 'file',
      file: 'a.yaml',
      line: 3,
      column: 10,
      inheritedFrom: null,
      variables: [],
    })
    assert.deepEqual(origins['kafka.client_id'], { kind: 'default' })
    await assert.rejects(run(t, {}, [], { format: 'sarif', showDefaults: true }), { code: 'CONFIG_USAGE' })
  })

  test('warns where two files put one topic into one table under different ids', async t => {
    const other = USER_EVENTS_YAML.replace('delta-ingest', 'another')
    const files = {
      'a.yaml': USER_EVENTS_YAML,
      'copy.yaml': USER_EVENTS_YAML,
      'b.yaml': other,
      'c.yaml': other.replace('table_name: "user_events"', 'table_name: "others"'),
      'd.md': `\`\`\`yaml\n${other}\`\`\`\n`,
    }
    const { code, output } = await run(t, files, ['a.yaml', 'copy.yaml', 'c.yaml', 'd.md'])
    assert.equal(code, 0)
    assert.match(output, /no problems/)
    const twice = await run(t, files, ['a.yaml', 'b.yaml'])
    assert.match(
      twice.output,
      /warning\[TABLE_TOPIC_TWICE\]: `another` writes `user-events` to `s3:.*`, as `delta-ingest` in a\.yaml does: .*\n {2}--> b\.yaml:11:15\n/,
    )
  })
})
