import assert from 'node:assert/strict'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { createBucket, createDirectory } from '@stream-ingest/delta'
import { type FakeS3Fault, FakeS3Server } from '../fake-s3-server.ts'
import { credentials } from '../s3-setting.ts'

async function create(
  region: string,
  fault?: FakeS3Fault,
): Promise<{ outcome: Promise<'created' | 'exists'>; fake: FakeS3Server }> {
  const fake = await FakeS3Server.start({ buckets: [] })
  if (fault !== undefined) fake.faults = () => fault
  const options = { endpoint: fake.endpoint, region, forcePathStyle: true, credentials, attemptsMax: 1 }
  const outcome = createBucket({ ...options, bucket: 'new-lake' }).finally(() => fake.close())
  await outcome.catch(() => {})
  return { outcome, fake }
}

suite('creating a bucket', () => {
  for (const region of ['us-east-1', 'eu-central-1']) {
    test(`makes one in ${region}`, async () => {
      const { outcome, fake } = await create(region)
      assert.equal(await outcome, 'created')
      assert.ok(fake.buckets.has('new-lake'))
      const [request] = fake.requests
      // Told its own name as a constraint, the oldest region refuses.
      assert.equal(Number(request?.headers['content-length'] ?? 0) > 0, region !== 'us-east-1')
    })
  }

  for (const code of ['BucketAlreadyOwnedByYou', 'BucketAlreadyExists']) {
    test(`finds that it exists when the server answers ${code}`, async () => {
      const { outcome } = await create('us-east-1', { kind: 'answer', status: 409, code })
      assert.equal(await outcome, 'exists')
    })
  }

  test('names the permission that is missing', async () => {
    const { outcome } = await create('us-east-1', { kind: 'answer', status: 403, code: 'AccessDenied' })
    await assert.rejects(outcome, {
      code: 'STORE_ACCESS_DENIED',
      hint: 'grant s3:CreateBucket on arn:aws:s3:::new-lake to this identity',
    })
  })

  test('says that a race with another creation may pass', async () => {
    const { outcome } = await create('us-east-1', { kind: 'answer', status: 409, code: 'OperationAborted' })
    await assert.rejects(outcome, { code: 'STORE_UNAVAILABLE', retryable: true })
  })
})

suite('creating a directory', () => {
  test('makes those above it too, and accepts one that is there', async t => {
    const folder = await mkdtemp(join(tmpdir(), 'root-'))
    t.after(() => rm(folder, { recursive: true, force: true }))
    const path = join(folder, 'a/b')
    await createDirectory(path)
    await createDirectory(path)
    assert.ok((await stat(path)).isDirectory())
  })

  test('refuses the path of a file', async t => {
    const folder = await mkdtemp(join(tmpdir(), 'root-'))
    t.after(() => rm(folder, { recursive: true, force: true }))
    await writeFile(join(folder, 'file'), '')
    await assert.rejects(createDirectory(join(folder, 'file')), { code: 'STORE_KEY_INVALID' })
    await assert.rejects(createDirectory(join(folder, 'file/below')), { code: 'STORE_KEY_INVALID' })
  })
})
