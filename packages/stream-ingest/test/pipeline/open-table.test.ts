import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { FakeS3Server } from '../../../delta/test/fake-s3-server.ts'
import { IngestConfig } from '../../src/config/config.ts'
import { StreamIngestProcessor } from '../../src/pipeline/stream-ingest-processor.ts'
import { MemoryKafka } from '../../src/testing/memory-source.ts'
import { fixedRuntime, NOW_MS, pipelineConfig } from './table-fixture.ts'

/** Runs the pipeline on a server that has no bucket; the topic has one message. */
async function run(t: TestContext, options: { createBucket: boolean; dryRun?: boolean; buckets?: string[] }) {
  const fake = await FakeS3Server.start({ buckets: options.buckets ?? [] })
  t.after(() => fake.close())
  const storage = `s3:
  bucket: lake
  region: us-east-1
  endpoint: ${fake.endpoint}
  force_path_style: true
  credentials: { access_key_id: a, secret_access_key: hunter2 }
  create_bucket: ${options.createBucket}`
  const processing = `{ dry_run: ${options.dryRun ?? false}, max_retries: 0 }`
  const runtime = fixedRuntime()
  const kafka = new MemoryKafka(runtime)
  kafka.createTopic('t')
  kafka.produce('t', 0, [{ value: '{"id":1}', timestampMs: NOW_MS }])
  const processor = new StreamIngestProcessor(new IngestConfig([pipelineConfig({ storage, processing })]), {
    runtime,
    createSource: () => kafka.createSource({ topics: ['t'] }),
  })
  const result = await processor.processStream({ untilLatest: true })
  return { fake, result, error: result.failures[0]?.error ?? null }
}

suite('a run on a bucket that is missing', () => {
  test('says so, and creates nothing unasked', async t => {
    const { fake, error, result } = await run(t, { createBucket: false })
    assert.equal(error?.code, 'STORE_BUCKET_NOT_FOUND')
    assert.match(error.message, /lake/)
    assert.doesNotMatch(error.message, /hunter2/)
    assert.equal(result.success, false)
    assert.deepEqual([...fake.buckets.keys()], [])
  })

  test('creates it with `create_bucket: true`', async t => {
    const { fake, error, result } = await run(t, { createBucket: true })
    assert.equal(error, null)
    assert.equal(result.metrics.rows, 1)
    assert.ok(fake.object('events/_delta_log/00000000000000000001.json'))
  })

  test('creates nothing in a dry run', async t => {
    for (const createBucket of [false, true]) {
      const { fake, error } = await run(t, { createBucket, dryRun: true })
      assert.equal(error?.code, 'STORE_BUCKET_NOT_FOUND')
      assert.deepEqual([...fake.buckets.keys()], [])
    }
  })
})

test('a run on a bucket that is there does not ask for another', async t => {
  const { fake, error } = await run(t, { createBucket: true, buckets: ['lake'] })
  assert.equal(error, null)
  assert.ok(!fake.actions.includes('CreateBucket'))
})
