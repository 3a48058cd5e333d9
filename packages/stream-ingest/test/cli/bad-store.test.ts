/** Object stores that are away, refuse, or do not do what commits stand on; folders that cannot be written. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { S3ObjectStore } from '@stream-ingest/delta'
import { type FakeS3Options, type FakeS3Request, FakeS3Server } from '../../../delta/test/fake-s3-server.ts'
import { EmbeddedBroker } from '../../src/testing/index.ts'
import {
  assertFailure,
  type ExpectedFailure,
  offsetsOf,
  RUN_TIMEOUT_MS,
  range,
  run,
  SECRET,
  sound,
  Workplace,
} from './command-harness.ts'

/** A folder that no process of this user may write to: root must be somebody else for that. */
const NOBODY = 65_534

async function openBroker(t: TestContext): Promise<EmbeddedBroker> {
  const broker = await EmbeddedBroker.start({ topics: [{ name: 'events' }] })
  t.after(() => broker.close())
  broker.produce('events', 0, sound(0, 5))
  return broker
}

function s3Section(endpoint: string): object {
  return {
    bucket: 'lake',
    region: 'us-east-1',
    endpoint,
    force_path_style: true,
    credentials: { access_key_id: 'AK', secret_access_key: SECRET },
  }
}

async function offsetsOn(fake: FakeS3Server): Promise<number[]> {
  const store = new S3ObjectStore({
    bucket: 'lake',
    prefix: 'events',
    region: 'us-east-1',
    endpoint: fake.endpoint,
    forcePathStyle: true,
    credentials: { accessKeyId: 'AK', secretAccessKey: SECRET },
  })
  try {
    return await offsetsOf(store)
  } finally {
    await store.close()
  }
}

const refusing =
  (status: number, code: string, isMeant: (request: FakeS3Request) => boolean = () => true) =>
  (request: FakeS3Request) =>
    isMeant(request) ? ({ kind: 'answer', status, code } as const) : undefined

const isPut = (request: FakeS3Request): boolean => request.action === 'PutObject'
const PLACE =
  /^`(GetObject|PutObject|ListObjectsV2)` on `s3:\/\/lake\/events\/[^`]*` at `http:\/\/127\.0\.0\.1:\d+` failed: /

const REFUSALS: Readonly<Record<string, FakeS3Options & { readonly expected: ExpectedFailure }>> = {
  'a bucket that does not exist': {
    buckets: ['other'],
    expected: {
      exitCode: 66,
      code: 'STORE_BUCKET_NOT_FOUND',
      message: /NoSuchBucket \(HTTP 404\)/,
      hint: /create the bucket, or correct its name or region/,
    },
  },
  'a bucket that is forbidden': {
    faults: refusing(403, 'AccessDenied'),
    expected: {
      exitCode: 77,
      code: 'STORE_ACCESS_DENIED',
      message: /AccessDenied \(HTTP 403\)/,
      hint: /^grant s3:GetObject on arn:aws:s3:::lake\/events\/\* to this identity, and s3:ListBucket on arn:aws:s3:::lake$/,
    },
  },
  'a bucket that may be read only': {
    faults: refusing(403, 'AccessDenied', isPut),
    expected: {
      exitCode: 77,
      code: 'STORE_ACCESS_DENIED',
      message: /^`PutObject` .*AccessDenied \(HTTP 403\)/,
      hint: /^grant s3:PutObject on arn:aws:s3:::lake\/events\/\* to this identity$/,
    },
  },
  'an access key that does not exist': {
    faults: refusing(403, 'InvalidAccessKeyId'),
    expected: {
      exitCode: 77,
      code: 'STORE_CREDENTIALS',
      message: /InvalidAccessKeyId \(HTTP 403\)/,
      hint: /this access key id does not exist/,
    },
  },
  'a secret key that is wrong': {
    faults: refusing(403, 'SignatureDoesNotMatch'),
    expected: {
      exitCode: 77,
      code: 'STORE_CREDENTIALS',
      message: /SignatureDoesNotMatch \(HTTP 403\)/,
      hint: /the secret access key is not the one of this access key id/,
    },
  },
  'a session that has expired': {
    faults: refusing(400, 'ExpiredToken'),
    expected: {
      exitCode: 77,
      code: 'STORE_CREDENTIALS',
      message: /ExpiredToken/,
      hint: /session has expired/,
    },
  },
  'a server that asks to slow down, for good': {
    faults: refusing(503, 'SlowDown'),
    expected: {
      exitCode: 75,
      code: 'STORE_THROTTLED',
      message: /SlowDown \(HTTP 503\)/,
      hint: /slow down/,
      retryable: true,
    },
  },
  'a server that is broken': {
    faults: refusing(500, 'InternalError'),
    expected: {
      exitCode: 69,
      code: 'STORE_UNAVAILABLE',
      message: /InternalError \(HTTP 500\)/,
      hint: /check the endpoint/,
      retryable: true,
    },
  },
  'a server that hangs up': {
    faults: () => ({ kind: 'reset' }),
    expected: {
      exitCode: 69,
      code: 'STORE_UNAVAILABLE',
      message: /ECONNRESET/,
      hint: /check the endpoint/,
      retryable: true,
    },
  },
}

describe('a store that refuses is named with the request, the place and the way out', () => {
  for (const [name, { expected, ...options }] of Object.entries(REFUSALS)) {
    test(`${name}; once it is right, the run takes everything`, async t => {
      const broker = await openBroker(t)
      const fake = await FakeS3Server.start(options)
      t.after(() => fake.close())
      const workplace = await Workplace.open(t, broker.bootstrapServers, s3Section(fake.endpoint))
      const error = assertFailure(await workplace.ingest(), { kind: 's3', ...expected })
      assert.match(error.message, PLACE)
      assert.equal(error.context.table, 's3://lake/events')
      assert.equal(broker.requestCount('Fetch'), 0)
      fake.faults = () => undefined
      fake.buckets.set('lake', fake.buckets.get('lake') ?? new Map())
      await workplace.ingestAll()
      assert.deepEqual(await offsetsOn(fake), range(0, 5))
    })
  }

  test('an endpoint on which nobody listens', async t => {
    const broker = await openBroker(t)
    const fake = await FakeS3Server.start()
    const { endpoint } = fake
    await fake.close()
    const workplace = await Workplace.open(t, broker.bootstrapServers, s3Section(endpoint))
    assertFailure(await workplace.ingest(), {
      exitCode: 69,
      kind: 's3',
      code: 'STORE_UNAVAILABLE',
      message: new RegExp(`at \`${endpoint}\` failed: ECONNREFUSED`),
      hint: /check the endpoint and the network/,
      retryable: true,
    })
  })

  test('an endpoint that speaks Kafka', async t => {
    const broker = await openBroker(t)
    const endpoint = `http://${broker.bootstrapServers}`
    const workplace = await Workplace.open(t, broker.bootstrapServers, s3Section(endpoint))
    assertFailure(await workplace.ingest(), {
      exitCode: 69,
      kind: 's3',
      code: 'STORE_UNAVAILABLE',
      message: new RegExp(`at \`${endpoint}\` failed: `),
      hint: /check the endpoint|check `http` or `https`/,
    })
  })

  test('https where there is http', async t => {
    const broker = await openBroker(t)
    const fake = await FakeS3Server.start()
    t.after(() => fake.close())
    const endpoint = fake.endpoint.replace('http:', 'https:')
    const workplace = await Workplace.open(t, broker.bootstrapServers, s3Section(endpoint))
    assertFailure(await workplace.ingest(), {
      exitCode: 69,
      kind: 's3',
      code: 'STORE_UNAVAILABLE',
      message: new RegExp(`at \`${endpoint}\` failed: `),
      hint: /check `http` or `https`, and the port/,
    })
  })

  test('a web server that answers everything with a page', async t => {
    const broker = await openBroker(t)
    const page = { kind: 'answer', status: 200, code: '', body: '<html>hello</html>' } as const
    const fake = await FakeS3Server.start({ faults: () => page })
    t.after(() => fake.close())
    const workplace = await Workplace.open(t, broker.bootstrapServers, s3Section(fake.endpoint))
    assertFailure(await workplace.ingest(), {
      exitCode: 69,
      kind: 's3',
      code: 'STORE_NOT_ATOMIC',
      message: /the object holds other bytes than the winner's \(`<html>hello<\/html>`\)/,
      hint: /use a store that honours `If-None-Match: \*`/,
    })
  })
})

describe('a store on which commits would be lost is refused at the start', () => {
  for (const [name, condition, seen] of [
    ['it ignores `If-None-Match`', 'ignore', /a second put on the same key was told `created`$/],
    ['it lets several win a race', 'race', /\d+ of 16 concurrent puts on one key were told `created`$/],
  ] as const) {
    test(name, async t => {
      const broker = await openBroker(t)
      const fake = await FakeS3Server.start({ condition })
      t.after(() => fake.close())
      const workplace = await Workplace.open(t, broker.bootstrapServers, s3Section(fake.endpoint))
      const error = assertFailure(await workplace.ingest(), {
        exitCode: 69,
        kind: 's3',
        code: 'STORE_NOT_ATOMIC',
        message: seen,
        hint: /use a store that honours `If-None-Match: \*`: concurrent writers would lose commits/,
        retryable: false,
      })
      assert.match(
        error.message,
        /^`s3:\/\/lake\/events` at `http:\/\/127\.0\.0\.1:\d+` does not create an object once/,
      )
      assert.deepEqual([...fake.buckets.get('lake')!.keys()], [], 'nothing stays behind')
      fake.condition = 'honour'
      await workplace.ingestAll()
      assert.deepEqual(await offsetsOn(fake), range(0, 5))
    })
  }
})

describe('a store that fails in the middle', () => {
  const isCommit = (request: FakeS3Request): boolean =>
    /_delta_log\/0{19}[1-9]\.json$/.test(request.key) && isPut(request)
  const isData = (request: FakeS3Request): boolean => request.key.endsWith('.parquet') && isPut(request)
  /** More than one request's attempts, so that the store above has to say what it does not know. */
  const FAULTS = 6
  for (const [name, isMeant, kind, exitCode] of [
    ['at an upload, for longer than a request is repeated', isData, 'reset', 69],
    ['at a commit, for a moment', isCommit, 'reset', 0],
    ['after a commit, whose answer is lost', isCommit, 'lost', 0],
  ] as const) {
    test(`${name}: every row is in the table once`, async t => {
      const broker = await openBroker(t)
      let left = FAULTS
      const fake = await FakeS3Server.start({
        faults: request => (isMeant(request) && left-- > 0 ? { kind } : undefined),
      })
      t.after(() => fake.close())
      const workplace = await Workplace.open(t, broker.bootstrapServers, s3Section(fake.endpoint))
      const outcome = await workplace.ingest()
      assert.equal(outcome.exitCode, exitCode, outcome.stderr)
      if (exitCode !== 0) {
        const code = 'STORE_UNAVAILABLE'
        const error = assertFailure(outcome, {
          exitCode,
          code,
          message: /\.parquet/,
          hint: /./,
          retryable: true,
        })
        assert.match(error.message, PLACE)
        assert.match(outcome.stderr, /note: a restart resumes at events\[0\]@0/)
        assert.deepEqual(await offsetsOn(fake), [])
        left = 0
      }
      broker.produce('events', 0, sound(5, 8))
      await workplace.ingestAll()
      assert.deepEqual(await offsetsOn(fake), range(0, 8))
    })
  }
})

describe('a folder as the lake', () => {
  /** Runs as somebody who is not root, who may write anywhere. */
  async function asNobody<T>(run: () => Promise<T>): Promise<T> {
    if (process.geteuid?.() !== 0) return run()
    process.seteuid!(NOBODY)
    try {
      return await run()
    } finally {
      process.seteuid!(0)
    }
  }

  test('that may not be written', async t => {
    const broker = await openBroker(t)
    const workplace = await Workplace.open(t, broker.bootstrapServers)
    const lake = join(workplace.folder, 'lake')
    const config = await workplace.configure()
    await mkdir(lake)
    await chmod(workplace.folder, 0o755)
    await chmod(lake, 0o555)
    const outcome = await asNobody(() =>
      run(['run', config, '--until-latest', '--json', '--log', 'json'], { cwd: workplace.folder }),
    )
    const error = assertFailure(outcome, {
      exitCode: 77,
      kind: 's3',
      code: 'STORE_ACCESS_DENIED',
      message: new RegExp(`\`${workplace.tablePath}/.*: EACCES: permission denied`),
      hint: /give this user the permission on the named path/,
    })
    assert.equal(error.context.errno, 'EACCES')
    await chmod(lake, 0o777)
    await workplace.ingestAll()
    assert.deepEqual(await workplace.offsets(), range(0, 5))
  })

  test('that is a file', async t => {
    const broker = await openBroker(t)
    const workplace = await Workplace.open(t, broker.bootstrapServers)
    const lake = join(workplace.folder, 'lake')
    await writeFile(lake, 'I was here first')
    assertFailure(await workplace.ingest(), {
      exitCode: 78,
      kind: 's3',
      code: 'STORE_KEY_INVALID',
      message: new RegExp(`\`${workplace.tablePath}/.*ENOTDIR`),
      hint: /a part of the path is a file/,
    })
    assert.equal(await readFile(lake, 'utf8'), 'I was here first')
    await rm(lake)
    await workplace.ingestAll()
    assert.deepEqual(await workplace.offsets(), range(0, 5))
  })

  const ENTRY = fileURLToPath(new URL('../../bin/stream-ingest.js', import.meta.url))
  /** A file system of 300 KiB for this process tree alone; then the same of 64 MiB; what is in it is copied out. */
  const FULL_DISK = `
    set -e
    mount -t tmpfs -o size=300k none "$1/lake"
    set +e
    "$2" "$3" run "$4" --until-latest --json --log json >"$1/full.out" 2>"$1/full.err"; echo $? >"$1/full.code"
    mount -o remount,size=64m "$1/lake"
    "$2" "$3" run "$4" --until-latest --json --log json >"$1/free.out" 2>"$1/free.err"; echo $? >"$1/free.code"
    cp -r "$1/lake" "$1/copy"`
  const isolate = process.geteuid?.() === 0 ? ['-m'] : ['-rm']
  const canMount = spawnSync('unshare', [...isolate, 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0

  test('on a device that is full: nothing is lost, and with space the next run goes on', {
    skip: canMount ? false : 'no mount namespace here (`unshare -m`): a full device cannot be made',
  }, async t => {
    const broker = await EmbeddedBroker.start({ topics: [{ name: 'events' }] })
    t.after(() => broker.close())
    const ids = range(0, 20_000)
    // Little repeats, so that the file is larger than the device.
    const records = ids.map(id => ({
      value: `{"id":${id},"name":"${((id * 2_654_435_761) % 2 ** 32).toString(36).repeat(8)}-${Math.sin(id)}-${Math.cos(id)}"}`,
    }))
    broker.produce('events', 0, records)
    const workplace = await Workplace.open(t, broker.bootstrapServers)
    const config = await workplace.configure({ processing: { batch_size: 5_000 } })
    await mkdir(join(workplace.folder, 'lake'))
    const { folder } = workplace
    const args = [...isolate, 'sh', '-c', FULL_DISK, 'sh', folder, process.execPath, ENTRY, config]
    const child = spawn('unshare', args, { cwd: folder, stdio: 'inherit', timeout: 2 * RUN_TIMEOUT_MS })
    assert.deepEqual(await once(child, 'exit'), [0, null])
    const textOf = (name: string): Promise<string> => readFile(join(folder, name), 'utf8')
    const outcome = {
      exitCode: Number(await textOf('full.code')),
      stdout: await textOf('full.out'),
      stderr: await textOf('full.err'),
    }
    assertFailure(outcome, {
      exitCode: 73,
      kind: 's3',
      code: 'STORE_NO_SPACE',
      message: new RegExp(`cannot .* \`${workplace.tablePath}/.*: ENOSPC: no space left on device`),
      hint: /free space on the device/,
      retryable: true,
    })
    assert.equal(Number(await textOf('free.code')), 0, await textOf('free.err'))
    await rm(join(folder, 'lake'), { recursive: true })
    await cp(join(folder, 'copy'), join(folder, 'lake'), { recursive: true })
    assert.deepEqual(await workplace.offsets(), ids)
  })
})
