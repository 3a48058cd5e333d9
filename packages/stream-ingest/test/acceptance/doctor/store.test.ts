/** `doctor` against the real S3 server, or what stands before it, and against directories: each broken in one way. */
import { randomUUID } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { ConfigParts } from '../../cli/command-harness.ts'
import { SECRET } from '../../cli/command-harness.ts'
import {
  type BrokenEnvironment,
  parts,
  type Scene,
  s3Section,
  testEnvironments,
} from './broken-environment.ts'
import { type FrontOptions, type FrontRequest, S3Front } from './s3-front.ts'

const MINUTE_MS = 60_000
/** Whatever the store is like, Kafka is sound. */
const KAFKA_IS_SOUND = [/^kafka advertised listeners$/, /^kafka read the newest messages$/]
const DENIED = { status: 403, code: 'AccessDenied' }

/** The bucket behind a server that answers some requests itself. */
async function behind(
  { t }: Scene,
  options: Omit<FrontOptions, 'upstream'>,
  changes: object = {},
): Promise<ConfigParts> {
  const front = await S3Front.start({ upstream: parts.s3, ...options })
  t.after(() => front.close())
  return { s3: s3Section({ endpoint: front.endpoint, ...changes }) }
}

/** Refuses these operations. */
const denying = (...operations: readonly FrontRequest['operation'][]): Omit<FrontOptions, 'upstream'> => ({
  answer: ({ operation }) => (operations.includes(operation) ? DENIED : null),
})

async function deadEndpoint(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return `http://127.0.0.1:${port}`
}

const keys = (changes: object): object => ({
  credentials: { access_key_id: parts.accessKey, secret_access_key: parts.secretKey, ...changes },
})

const ENVIRONMENTS: readonly BrokenEnvironment[] = [
  {
    name: 'a bucket that does not exist',
    breakIt: () => ({ s3: s3Section({ bucket: 'no-such-bucket' }) }),
    status: 'fail',
    group: 'store',
    code: 'STORE_BUCKET_NOT_FOUND',
    message: /no-such-bucket.*NoSuchBucket/,
    help: /create the bucket, or correct its name or region/,
    exitCode: 66,
    stillPasses: KAFKA_IS_SOUND,
    run: { code: 'STORE_BUCKET_NOT_FOUND', retryable: false, exitCode: 66 },
  },
  {
    name: 'a bucket that does not exist, where the first run creates it, and messages that fit no column',
    breakIt: async ({ producer, topic }) => {
      await producer.append(topic, 0, [{ value: 'no json' }])
      return { s3: s3Section({ bucket: `new-${randomUUID()}`, create_bucket: true }) }
    },
    status: 'fail',
    group: 'kafka',
    code: 'RECORD_NOT_JSON',
    message: /1 of the newest 4 messages do not fit/,
    help: /correct `delta\.schema` or the producer/,
    exitCode: 65,
    stillPasses: [/^store list$/, /^table columns$/],
  },
  {
    name: 'a secret key that is wrong',
    breakIt: () => ({ s3: s3Section(keys({ secret_access_key: SECRET })) }),
    status: 'fail',
    group: 'store',
    code: 'STORE_CREDENTIALS',
    message: /SignatureDoesNotMatch/,
    help: /the secret access key is not the one of this access key id/,
    exitCode: 77,
    stillPasses: KAFKA_IS_SOUND,
    run: { code: 'STORE_CREDENTIALS', retryable: false, exitCode: 77 },
  },
  {
    name: 'an access key that the server does not know',
    breakIt: () => ({ s3: s3Section(keys({ access_key_id: 'nobody' })) }),
    status: 'fail',
    group: 'store',
    code: 'STORE_CREDENTIALS',
    message: /InvalidAccessKeyId/,
    help: /this access key id does not exist/,
    exitCode: 77,
    run: { code: 'STORE_CREDENTIALS', retryable: false, exitCode: 77 },
  },
  {
    name: 'a session token that has expired',
    breakIt: scene =>
      behind(scene, { answer: asked => signed(asked, { status: 400, code: 'ExpiredToken' }) }),
    status: 'fail',
    group: 'store',
    code: 'STORE_CREDENTIALS',
    message: /ExpiredToken/,
    help: /the session has expired: sign in again/,
    exitCode: 77,
    run: { code: 'STORE_CREDENTIALS', retryable: false, exitCode: 77 },
  },
  {
    name: 'an endpoint on which nobody listens',
    breakIt: async () => ({ s3: s3Section({ endpoint: await deadEndpoint() }) }),
    status: 'fail',
    group: 'store',
    code: 'STORE_UNAVAILABLE',
    message: /ECONNREFUSED/,
    help: /check the endpoint and the network/,
    exitCode: 69,
    stillPasses: KAFKA_IS_SOUND,
    run: { code: 'STORE_UNAVAILABLE', retryable: true, exitCode: 69 },
  },
  {
    name: 'an endpoint whose name has no address',
    breakIt: () => ({ s3: s3Section({ endpoint: 'http://s3.invalid:9000' }) }),
    status: 'fail',
    group: 'store',
    code: 'STORE_UNAVAILABLE',
    message: /(ENOTFOUND|EAI_AGAIN)/,
    help: /the name of the endpoint has no address/,
    exitCode: 69,
  },
  {
    name: 'https spoken to an http endpoint',
    breakIt: () => ({ s3: s3Section({ endpoint: parts.s3.replace('http:', 'https:') }) }),
    status: 'fail',
    group: 'store',
    code: 'STORE_UNAVAILABLE',
    message: /`ListObjectsV2` on `s3:\/\/.*` at `https:/,
    help: /check `http` or `https`, and the port/,
    exitCode: 69,
    run: { code: 'STORE_UNAVAILABLE', retryable: false, exitCode: 69 },
  },
  {
    name: 'a server that wants the bucket in the path',
    breakIt: () => ({
      s3: s3Section({ endpoint: parts.s3.replace('127.0.0.1', 'localhost'), force_path_style: false }),
    }),
    status: 'fail',
    group: 'store',
    code: 'S3_PATH_STYLE',
    message: /does not know its buckets by host name/,
    help: /set `s3\.force_path_style: true`/,
    exitCode: 78,
    stillPasses: KAFKA_IS_SOUND,
  },
  {
    name: 'a bucket in another region, as a redirect says it',
    breakIt: scene =>
      behind(scene, {
        answer: asked =>
          signed(asked, {
            status: 301,
            code: 'PermanentRedirect',
            headers: { 'x-amz-bucket-region': 'eu-central-1' },
          }),
      }),
    status: 'fail',
    group: 'store',
    code: 'STORE_REGION',
    message: /PermanentRedirect/,
    help: /the bucket lives in `eu-central-1`, `us-east-1` is set: set that region/,
    exitCode: 78,
    run: { code: 'STORE_REGION', retryable: false, exitCode: 78 },
  },
  {
    name: 'a bucket in another region, as a signature that does not fit says it',
    breakIt: scene =>
      behind(scene, {
        answer: asked =>
          signed(asked, {
            status: 400,
            code: 'AuthorizationHeaderMalformed',
            extra: '<Region>eu-west-1</Region>',
          }),
      }),
    status: 'fail',
    group: 'store',
    code: 'STORE_REGION',
    message: /AuthorizationHeaderMalformed/,
    help: /the bucket lives in `eu-west-1`/,
    exitCode: 78,
  },
  {
    name: 'a bucket that may only be read',
    breakIt: scene => behind(scene, denying('put', 'delete')),
    status: 'fail',
    group: 'store',
    code: 'STORE_ACCESS_DENIED',
    title: /^put$/,
    message: /`PutObject` on `s3:\/\/lake\/doctor-.*AccessDenied/,
    help: /grant s3:PutObject on arn:aws:s3:::lake\/doctor-[0-9a-f-]+\/events\/\* to this identity/,
    exitCode: 77,
    stillPasses: [/^store list$/, /^store get$/, /^table columns$/, ...KAFKA_IS_SOUND],
    run: { code: 'STORE_ACCESS_DENIED', retryable: false, exitCode: 77 },
  },
  {
    name: 'no right to the key of encryption',
    breakIt: scene =>
      behind(scene, {
        answer: ({ operation }) =>
          operation === 'put'
            ? {
                ...DENIED,
                message:
                  'User: arn:aws:iam::1:user/me is not authorized to perform: kms:GenerateDataKey on resource: arn:aws:kms:us-east-1:1:key/k because no identity-based policy allows the kms:GenerateDataKey action',
              }
            : null,
      }),
    status: 'fail',
    group: 'store',
    code: 'STORE_ACCESS_DENIED',
    title: /^put$/,
    message: /kms:GenerateDataKey/,
    help: /^grant kms:GenerateDataKey on arn:aws:kms:us-east-1:1:key\/k to this identity$/,
    exitCode: 77,
    run: { code: 'STORE_ACCESS_DENIED', retryable: false, exitCode: 77 },
  },
  {
    name: 'a bucket policy that denies to write',
    breakIt: scene =>
      behind(scene, {
        answer: ({ operation }) =>
          operation === 'put'
            ? {
                ...DENIED,
                message:
                  'User: arn:aws:iam::1:user/me is not authorized to perform: s3:PutObject on resource: "arn:aws:s3:::lake/x" with an explicit deny in a resource-based policy',
              }
            : null,
      }),
    status: 'fail',
    group: 'store',
    code: 'STORE_ACCESS_DENIED',
    title: /^put$/,
    message: /explicit deny/,
    help: /^a resource-based policy denies s3:PutObject explicitly, whatever else allows it: change that policy$/,
    exitCode: 77,
  },
  {
    name: 'no right to list',
    breakIt: scene => behind(scene, denying('list')),
    status: 'fail',
    group: 'store',
    code: 'STORE_ACCESS_DENIED',
    title: /^list$/,
    message: /`ListObjectsV2`.*AccessDenied/,
    help: /grant s3:ListBucket on arn:aws:s3:::lake to this identity/,
    exitCode: 77,
    stillPasses: [
      /^store put$/,
      /^store get$/,
      /^store delete$/,
      /^store conditional put$/,
      ...KAFKA_IS_SOUND,
    ],
  },
  {
    name: 'no right to read objects',
    breakIt: scene => behind(scene, denying('get', 'head')),
    status: 'fail',
    group: 'store',
    code: 'STORE_ACCESS_DENIED',
    title: /^get$/,
    message: /`(GetObject|HeadObject)`.*AccessDenied|`HeadObject`.*403/,
    help: /grant s3:GetObject on arn:aws:s3:::lake\/doctor-[0-9a-f-]+\/events\/\* to this identity/,
    exitCode: 77,
    stillPasses: [/^store list$/, /^store put$/, /^store delete$/],
    run: { code: 'STORE_ACCESS_DENIED', retryable: false, exitCode: 77 },
  },
  {
    name: 'no right to delete',
    breakIt: scene => behind(scene, denying('delete')),
    status: 'warn',
    group: 'store',
    code: 'STORE_ACCESS_DENIED',
    title: /^delete$/,
    message: /`DeleteObjects`.*AccessDenied/,
    help: /grant s3:DeleteObject on arn:aws:s3:::lake\/doctor-/,
    exitCode: 0,
    stillPasses: [/^store conditional put$/, /^table columns$/],
  },
  {
    name: 'no right to delete, where the pipeline is to vacuum',
    breakIt: async scene => ({
      ...(await behind(scene, denying('delete'))),
      delta: { vacuum: { every: '24h' } },
    }),
    status: 'fail',
    group: 'store',
    code: 'STORE_ACCESS_DENIED',
    title: /^delete$/,
    message: /`DeleteObjects`.*AccessDenied/,
    help: /grant s3:DeleteObject/,
    exitCode: 77,
  },
  {
    name: 'a server that ignores the condition of a put',
    breakIt: scene =>
      behind(scene, { status: (asked, status) => (asked.isConditional && status === 412 ? 200 : status) }),
    status: 'fail',
    group: 'store',
    code: 'STORE_NOT_ATOMIC',
    title: /^conditional put$/,
    message:
      /does not create an object once when asked by `If-None-Match: \*`: a second put .* was told `created`/,
    help: /use a store that honours `If-None-Match: \*`/,
    exitCode: 69,
    stillPasses: [/^store put$/, /^store get$/, /^store delete$/],
    run: { code: 'STORE_NOT_ATOMIC', retryable: false, exitCode: 69 },
  },
  {
    name: 'a server that keeps the condition for one writer after another, and not in races',
    breakIt: scene =>
      behind(scene, {
        status: (asked, status) =>
          asked.isConditional && status === 412 && asked.path.includes('/race-') ? 200 : status,
      }),
    status: 'fail',
    group: 'store',
    code: 'STORE_NOT_ATOMIC',
    message: /concurrent puts on one key were told `created`/,
    help: /concurrent writers would lose commits/,
    exitCode: 69,
  },
  {
    name: 'a server that does not know conditional puts',
    breakIt: scene =>
      behind(scene, {
        answer: asked => (asked.isConditional ? { status: 501, code: 'NotImplemented' } : null),
      }),
    status: 'fail',
    group: 'store',
    code: 'STORE_NOT_ATOMIC',
    message: /does not implement `PutObject` with `If-None-Match: \*`/,
    help: /use a store that honours/,
    exitCode: 69,
  },
  {
    name: 'a clock that is a minute off',
    breakIt: scene => behind(scene, { dateShiftMs: MINUTE_MS }),
    status: 'warn',
    group: 'clock',
    code: 'CLOCK_SKEWED',
    message: /the clock of this machine is (1 m \d s|59\.\d s|60\.0 s) behind the store’s/,
    help: /synchronise the clock of this machine \(NTP\)/,
    exitCode: 0,
    stillPasses: [/^store conditional put$/],
  },
  {
    name: 'a clock that is so far off that the server refuses signatures',
    breakIt: scene =>
      behind(scene, {
        dateShiftMs: -20 * MINUTE_MS,
        answer: asked => signed(asked, { status: 403, code: 'RequestTimeTooSkewed' }),
      }),
    status: 'fail',
    group: 'clock',
    code: 'CLOCK_SKEWED',
    message: /the clock of this machine is (19 m 59|19 m 60|20 m \d) s ahead of the store’s: S3 accepts 15 m/,
    help: /synchronise the clock/,
    alsoFails: ['STORE_CREDENTIALS'],
    // Of the first failure: the refused request.
    exitCode: 77,
    stillPasses: KAFKA_IS_SOUND,
  },
  {
    name: 'a server that answers 500',
    breakIt: scene =>
      behind(scene, { answer: asked => signed(asked, { status: 500, code: 'InternalError' }) }),
    status: 'fail',
    group: 'store',
    code: 'STORE_UNAVAILABLE',
    message: /InternalError \(HTTP 500\)/,
    help: /check the endpoint and the network/,
    exitCode: 69,
    run: { code: 'STORE_UNAVAILABLE', retryable: true, exitCode: 69 },
  },
  {
    name: 'a server that asks to slow down',
    breakIt: scene => behind(scene, { answer: asked => signed(asked, { status: 503, code: 'SlowDown' }) }),
    status: 'fail',
    group: 'store',
    code: 'STORE_THROTTLED',
    message: /SlowDown \(HTTP 503\)/,
    help: /the store asks to slow down/,
    exitCode: 75,
    run: { code: 'STORE_THROTTLED', retryable: true, exitCode: 75 },
  },
  {
    name: 'a server that never answers',
    breakIt: scene => behind(scene, { answer: () => 'hang' }),
    status: 'fail',
    group: 'store',
    code: 'STORE_UNAVAILABLE',
    message: /`ListObjectsV2`.*(Timeout|timed out|time)/,
    help: /check the endpoint and the network/,
    exitCode: 69,
    stillPasses: KAFKA_IS_SOUND,
  },
  {
    name: 'a server that never answers a write',
    breakIt: scene => behind(scene, { answer: ({ operation }) => (operation === 'put' ? 'hang' : null) }),
    status: 'fail',
    group: 'store',
    code: 'STORE_UNAVAILABLE',
    title: /^put$/,
    message: /`PutObject`/,
    help: /check the endpoint and the network/,
    exitCode: 69,
    stillPasses: [/^store list$/, /^table columns$/],
  },
  {
    name: 'a file where the directory of the lake should be',
    breakIt: async ({ workplace }) => {
      await writeFile(join(workplace.folder, 'lake'), 'a file')
      return {}
    },
    status: 'fail',
    group: 'store',
    code: 'STORE_KEY_INVALID',
    message: /lake` is a file, and `local\.path` needs a directory/,
    help: /change `local\.path`, or move the file away/,
    exitCode: 78,
    stillPasses: KAFKA_IS_SOUND,
  },
  {
    name: 'a file where the table should be',
    breakIt: async ({ workplace }) => {
      await mkdir(join(workplace.folder, 'lake'))
      await writeFile(join(workplace.folder, 'lake', 'events'), 'a file')
      return {}
    },
    status: 'fail',
    group: 'store',
    code: 'STORE_KEY_INVALID',
    message: /events/,
    help: /file/,
    exitCode: 78,
  },
]

function signed<T>({ operation }: FrontRequest, answer: T): T | null {
  return operation === 'unsigned' ? null : answer
}

testEnvironments('doctor and a store that is not as it should be', ENVIRONMENTS)
