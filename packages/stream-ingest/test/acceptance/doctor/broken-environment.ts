/**
 * Environments that are broken in one way each, and what `doctor` must say of it.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { after, describe, type TestContext, test } from 'node:test'
import { Admin } from '@platformatic/kafka'
import { KafkaProducer } from '../../../../../scripts/kafka-producer.ts'
import {
  assertFailure,
  type ConfigParts,
  documentOf,
  type Outcome,
  run,
  sound,
  Workplace,
} from '../../cli/command-harness.ts'

const NEEDED = ['SI_TEST_KAFKA', 'SI_TEST_KAFKA_SSL', 'SI_TEST_S3_ENDPOINT'] as const
const missing = NEEDED.find(name => process.env[name] === undefined)
export const skip: string | false = missing === undefined ? false : `${missing} is not set: no real parts`

/** Read where {@link skip} is false. */
export const parts = {
  kafka: process.env.SI_TEST_KAFKA ?? '',
  sasl: process.env.SI_TEST_KAFKA_SASL ?? '',
  ssl: process.env.SI_TEST_KAFKA_SSL ?? '',
  saslSsl: process.env.SI_TEST_KAFKA_SASL_SSL ?? '',
  misadvertised: process.env.SI_TEST_KAFKA_MISADVERTISED ?? '',
  authority: missing === undefined ? readFileSync(process.env.SI_TEST_KAFKA_AUTHORITY ?? '', 'utf8') : '',
  username: process.env.SI_TEST_KAFKA_SASL_USERNAME ?? '',
  password: process.env.SI_TEST_KAFKA_SASL_PASSWORD ?? '',
  limitedUsername: process.env.SI_TEST_KAFKA_LIMITED_USERNAME ?? '',
  limitedPassword: process.env.SI_TEST_KAFKA_LIMITED_PASSWORD ?? '',
  s3: process.env.SI_TEST_S3_ENDPOINT ?? '',
  accessKey: process.env.SI_TEST_S3_ACCESS_KEY ?? '',
  secretKey: process.env.SI_TEST_S3_SECRET_KEY ?? '',
  bucket: process.env.SI_TEST_S3_BUCKET ?? '',
}

/** What one test breaks things with. */
export interface Scene {
  readonly t: TestContext
  readonly workplace: Workplace
  /** Of this test alone: one partition, three sound messages. */
  readonly topic: string
  readonly producer: KafkaProducer
  readonly admin: Admin
}

export interface ExpectedCheck {
  readonly status: 'warn' | 'fail'
  readonly code: string
  readonly group: 'config' | 'kafka' | 'store' | 'table' | 'clock'
  readonly title?: RegExp
  /** The fault. */
  readonly message: RegExp
  /** The fix. */
  readonly help: RegExp
}

export interface BrokenEnvironment extends ExpectedCheck {
  readonly name: string
  /** Breaks something; what it returns is changed in the configuration. */
  readonly breakIt: (scene: Scene) => Promise<ConfigParts> | ConfigParts
  /** 0 where there are warnings only. */
  readonly exitCode: number
  /** Codes of other checks that fail by the same fault. */
  readonly alsoFails?: readonly string[]
  /** What must have been found all the same: a failure in one part does not hide another. */
  readonly stillPasses?: readonly RegExp[]
  /** What `run` says of the same environment. */
  readonly run?: { readonly code: string; readonly retryable: boolean; readonly exitCode: number }
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export interface ShownCheck {
  readonly group: string
  readonly pipeline: string
  readonly title: string
  readonly status: string
  readonly code: string | null
  readonly message: string | null
  readonly help: string | null
  readonly durationMs: number
}

/** Declares a test for each environment, some at a time. */
export function testEnvironments(name: string, environments: readonly BrokenEnvironment[]): void {
  const shared = openShared()
  describe(name, { skip, concurrency: 3 }, () => {
    for (const environment of environments) {
      test(environment.name, async t => {
        const scene = await openScene(t, await shared())
        const config = await scene.workplace.configure(
          withTopic(await environment.breakIt(scene), scene.topic),
        )
        const options = { cwd: scene.workplace.folder, ...(environment.env && { env: environment.env }) }
        const { args = [] } = environment
        const outcome = await run(['doctor', config, '--timeout', '2s', '--json', ...args], options)
        assertNamed(outcome, environment)
        if (environment.run === undefined) return
        const ran = await run(['run', config, '--until-latest', '--json', '--log', 'json'], options)
        const { help } = environment
        assertFailure(ran, { ...environment.run, message: /./, hint: help })
      })
    }
  })
}

function assertNamed(outcome: Outcome, environment: BrokenEnvironment): void {
  const checks = checksOf(outcome)
  const said = checks
    .filter(check => check.status !== 'pass')
    .map(({ status, title, code, message, help }) => `${status} ${title} ${code}: ${message} = ${help}`)
    .join('\n')
  const { status, code, group, title, message, help, exitCode, alsoFails = [] } = environment
  const found = checks.find(
    check =>
      check.status === status &&
      check.code === code &&
      check.group === group &&
      (title?.test(check.title) ?? true),
  )
  assert(found !== undefined, `no ${status} ${code} in ${group}; there is:\n${said}\n${outcome.stderr}`)
  assert.match(found.message ?? '', message)
  assert.match(found.help ?? '', help)
  const expected = new Set([...(status === 'fail' ? [code] : []), ...alsoFails])
  const others = checks.filter(check => check.status === 'fail' && !expected.has(check.code ?? ''))
  assert.deepEqual(others, [], 'nothing else is at fault')
  assert.equal(outcome.exitCode, exitCode, said)
  for (const pattern of environment.stillPasses ?? []) {
    assert(
      checks.some(check => check.status === 'pass' && pattern.test(`${check.group} ${check.title}`)),
      `${pattern} does not pass:\n${said}`,
    )
  }
}

/** Of the one document, whose form is a promise. */
export function checksOf(outcome: Outcome): readonly ShownCheck[] {
  const document = documentOf(outcome)
  assert.deepEqual(Object.keys(document), ['ok', 'checks', 'skipped'], outcome.stdout)
  const checks = document.checks as ShownCheck[]
  const keys = ['group', 'pipeline', 'title', 'status', 'code', 'message', 'help', 'durationMs']
  for (const check of checks) {
    assert.deepEqual(Object.keys(check), keys)
    const isFine = check.status === 'pass'
    assert.equal(check.code === null, isFine, `${check.title} has a code where it is needed`)
    assert.equal(check.help === null, isFine, `${check.title} has a fix where it is needed`)
    assert.doesNotMatch(`${check.message} ${check.help}`, /undefined|\[object|NaN|INTERNAL/)
  }
  assert.equal(document.ok, !checks.some(({ status }) => status === 'fail'))
  return checks
}

/** The section of a bucket on the real S3 server, or on what stands before it. */
export function s3Section(changes: object = {}): object {
  return {
    bucket: parts.bucket,
    region: 'us-east-1',
    prefix: `doctor-${randomUUID()}`,
    endpoint: parts.s3,
    force_path_style: true,
    credentials: { access_key_id: parts.accessKey, secret_access_key: parts.secretKey },
    ...changes,
  }
}

/** `kafka` for a listener with SASL. */
export function saslSection(changes: object = {}): object {
  return { mechanism: 'plain', username: parts.username, password: parts.password, ...changes }
}

interface Shared {
  readonly producer: KafkaProducer
  readonly admin: Admin
}

function openShared(): () => Promise<Shared> {
  let opening: Promise<Shared> | undefined
  after(async () => {
    const shared = await opening
    await shared?.producer.close()
    await shared?.admin.close()
  })
  return () => {
    opening ??= (async () => ({
      producer: await KafkaProducer.connect(parts.kafka),
      admin: new Admin({ clientId: 'doctor-test', bootstrapBrokers: [parts.kafka] }),
    }))()
    return opening
  }
}

async function openScene(t: TestContext, shared: Shared): Promise<Scene> {
  const topic = `doctor-${randomUUID()}`
  await shared.producer.createTopic(topic, 1)
  await shared.producer.append(topic, 0, sound(0, 3))
  return { t, workplace: await Workplace.open(t, parts.kafka), topic, ...shared }
}

function withTopic(changes: ConfigParts, topic: string): ConfigParts {
  return { ...changes, kafka: { topic, ...changes.kafka } }
}

/** Ingests what is in the topic, so that the table has its offsets. */
export async function ingested({ workplace, topic }: Scene, changes: ConfigParts = {}): Promise<void> {
  await workplace.ingestAll(withTopic(changes, topic))
}
