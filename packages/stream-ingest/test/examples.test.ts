import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { markdownFences } from '../src/cli/markdown-fence.ts'
import { IngestConfig } from '../src/config/config.ts'
import { USER_EVENTS_YAML } from './config/example-config.ts'

const EXAMPLES = fileURLToPath(new URL('../../../examples/', import.meta.url))
const USER_EVENTS = `${EXAMPLES}user-events/stream-ingest.yaml`

/** What the templates of AWS Lambda set. */
const LAMBDA_ENVIRONMENT = {
  AWS_REGION: 'eu-west-1',
  BOOTSTRAP_SERVERS: 'b-1.example:9098',
  TOPIC: 'user-events',
  BUCKET: 'lake',
  PREFIX: 'delta-tables',
}

for (const path of globSync('**/stream-ingest.yaml', {
  cwd: EXAMPLES,
  exclude: ['**/node_modules/**'],
}).sort()) {
  test(`examples/${path} is valid without a warning`, async () => {
    const environment = path.startsWith('lambda-') ? LAMBDA_ENVIRONMENT : {}
    const config = await IngestConfig.fromFile(`${EXAMPLES}${path}`, { environment })
    assert.deepEqual(config.diagnostics, [])
  })
}

test('examples/user-events is the configuration that every document shows', async () => {
  const example = await IngestConfig.fromFile(USER_EVENTS, { environment: {} })
  assert.deepEqual(example.pipelines, IngestConfig.parse(USER_EVENTS_YAML).pipelines)
})

test('examples/user-events is pointed at other servers by the environment', async () => {
  const environment = { KAFKA: 'broker:9093', BUCKET: 'lake' }
  const [pipeline] = (await IngestConfig.fromFile(USER_EVENTS, { environment })).pipelines
  assert.deepEqual(pipeline?.kafka.bootstrapServers, ['broker:9093'])
  assert.equal(pipeline?.s3.kind === 's3' && pipeline.s3.bucket, 'lake')
})

const DOCS = fileURLToPath(new URL('../../../docs/', import.meta.url))

for (const path of globSync('{guide,operate}/*.md', { cwd: DOCS }).sort()) {
  const { configurations } = markdownFences(readFileSync(`${DOCS}${path}`, 'utf8'))
  for (const [index, text] of configurations.entries()) {
    test(`docs/${path} shows valid configurations: the one at ${index + 1}`, () => {
      assert.deepEqual(IngestConfig.parse(text, { environment: {} }).diagnostics, [])
    })
  }
}
