/**
 * What the acceptance tests stand on: real Kafka, a real S3 server, independent readers, and the example's
 * configuration pointed at them.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Admin } from '@platformatic/kafka'
import { parse } from 'yaml'
import { KafkaProducer } from '../../../../scripts/kafka-producer.ts'
import type { S3Access } from '../../../../scripts/stack/readers.ts'

export const EXAMPLE_FILE = fileURLToPath(
  new URL('../../../../examples/user-events/stream-ingest.yaml', import.meta.url),
)
/** Of the example: also its pipeline id, the first part of every app id. */
export const CONSUMER_GROUP = 'delta-ingest'

const NEEDED = ['SI_TEST_KAFKA', 'SI_TEST_S3_ENDPOINT', 'SI_TEST_PYTHON'] as const
const missing = NEEDED.find(name => process.env[name] === undefined)

/** Why these tests cannot run here; false where they can. */
export const skip: string | false = missing === undefined ? false : `${missing} is not set: no real parts`

/** Read where {@link skip} is false. */
export interface RealParts {
  readonly kafka: string
  readonly s3: S3Access
  readonly bucket: string
  readonly python: string
}

export const parts: RealParts = {
  kafka: process.env.SI_TEST_KAFKA ?? '',
  s3: {
    endpoint: process.env.SI_TEST_S3_ENDPOINT ?? '',
    accessKey: process.env.SI_TEST_S3_ACCESS_KEY ?? '',
    secretKey: process.env.SI_TEST_S3_SECRET_KEY ?? '',
  },
  bucket: process.env.SI_TEST_S3_BUCKET ?? '',
  python: process.env.SI_TEST_PYTHON ?? '',
}

/** Tables of one test file are below it, so that a stack that stays up can be used again. */
export const PREFIX = `acceptance-${randomUUID()}`

type Section = Readonly<Record<string, unknown>>

/** Keys that differ from the example's. */
export interface ExampleChanges {
  readonly topic: string
  readonly table: string
  readonly kafka?: Section
  readonly delta?: Section
  readonly processing?: Section
}

/** What the tests of one file share; ended with the file. */
export interface Scene {
  readonly producer: KafkaProducer
  readonly admin: Admin
  /** The example's configuration with these keys changed, as a file. */
  configFile(changes: ExampleChanges): string
}

/** Call it at the top of a test file. The scene is there once tests run. */
export function openScene(): () => Promise<Scene> {
  let opening: Promise<{ scene: Scene; close: () => Promise<void> }> | undefined
  after(async () => (await opening)?.close())
  return async () => {
    opening ??= createScene()
    return (await opening).scene
  }
}

async function createScene(): Promise<{ scene: Scene; close: () => Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'stream-ingest-acceptance-'))
  const producer = await KafkaProducer.connect(parts.kafka)
  const admin = new Admin({ clientId: 'acceptance', bootstrapBrokers: [parts.kafka] })
  const close = async (): Promise<void> => {
    await producer.close()
    await admin.close()
    rmSync(folder, { recursive: true, force: true })
  }
  const configFile = (changes: ExampleChanges): string => {
    const path = join(folder, `${changes.table}-${randomUUID()}.json`)
    writeFileSync(path, JSON.stringify(changedExample(changes)))
    return path
  }
  return { scene: { producer, admin, configFile }, close }
}

/** JSON is YAML: the file is the example with other values. */
function changedExample(changes: ExampleChanges): Section {
  const example = parse(readFileSync(EXAMPLE_FILE, 'utf8')) as Record<string, Section>
  const { kafka, s3, delta, processing } = example
  assert(kafka !== undefined && s3 !== undefined && delta !== undefined && processing !== undefined)
  return {
    kafka: { ...kafka, topic: changes.topic, ...changes.kafka },
    s3: { ...s3, prefix: PREFIX },
    delta: { ...delta, table_name: changes.table, ...changes.delta },
    processing: { ...processing, ...changes.processing },
  }
}

/** What the example's file and the AWS client read from the environment; `endpoint` is in place of the S3 server's own. */
export function partsEnvironment(endpoint: string = parts.s3.endpoint): Readonly<Record<string, string>> {
  return {
    KAFKA: parts.kafka,
    BUCKET: parts.bucket,
    AWS_ENDPOINT_URL_S3: endpoint,
    AWS_ACCESS_KEY_ID: parts.s3.accessKey,
    AWS_SECRET_ACCESS_KEY: parts.s3.secretKey,
  }
}
