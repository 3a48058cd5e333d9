/**
 * The dev stack as one thing: a Kafka broker, an S3-compatible server and the independent readers, whichever of them
 * can be had on this machine.
 *
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  KAFKA_LIMITED_PASSWORD,
  KAFKA_LIMITED_USERNAME,
  KAFKA_PASSWORD,
  KAFKA_USERNAME,
  type KafkaServer,
  startKafka,
} from './kafka.ts'
import { removeFolderWhenKilled, stopProcess } from './managed-process.ts'
import { installKernelReader, installReaders } from './reader-installation.ts'
import { type S3Server, type S3ServerKind, startS3Server } from './s3-server.ts'
import { PartUnavailableError } from './stack-error.ts'

export interface Stack {
  /** Holds all data and logs; goes with {@link stopStack}. */
  readonly folder: string
  readonly kafka?: KafkaServer
  readonly s3?: S3Server
  /** The Python interpreter that has delta-rs and DuckDB. */
  readonly python?: string
  /** Java's class path of the reader on Delta Kernel. */
  readonly kernelReader?: string
  /** The parts that are missing, each with the reason. */
  readonly unavailable: readonly string[]
}

export interface StartStackOptions {
  readonly s3?: S3ServerKind
  readonly readers?: boolean
}

/**
 * Starts all parts at once. A part that cannot be had is named in `unavailable`; one that fails to start stops the
 * others and is thrown.
 */
export async function startStack(options: StartStackOptions = {}): Promise<Stack> {
  const folder = await mkdtemp(join(tmpdir(), 'stream-ingest-stack-'))
  removeFolderWhenKilled(folder)
  const unavailable: string[] = []
  const attempt = async <T>(part: string, start: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await start()
    } catch (error) {
      if (!(error instanceof PartUnavailableError)) throw error
      unavailable.push(`${part}: ${error.message}`)
      return undefined
    }
  }
  const readersReady = attempt('delta-rs and DuckDB', async () =>
    options.readers === false ? undefined : installReaders(),
  )
  const kernelReady = attempt('Delta Kernel', async () =>
    options.readers === false ? undefined : installKernelReader(),
  )
  const kafkaReady = attempt('Apache Kafka', () => startKafka({ folder: join(folder, 'kafka') }))
  const s3Ready = attempt('S3 server', () =>
    startS3Server({ folder: join(folder, 's3'), ...(options.s3 ? { kind: options.s3 } : {}) }),
  )
  const parts = await Promise.allSettled([kafkaReady, s3Ready, readersReady, kernelReady])
  const [kafka, s3, python, kernelReader] = parts
  const stack = {
    folder,
    unavailable,
    ...(kafka.status === 'fulfilled' && kafka.value ? { kafka: kafka.value } : {}),
    ...(s3.status === 'fulfilled' && s3.value ? { s3: s3.value } : {}),
    ...(python.status === 'fulfilled' && python.value ? { python: python.value } : {}),
    ...(kernelReader.status === 'fulfilled' && kernelReader.value
      ? { kernelReader: kernelReader.value }
      : {}),
  }
  const failures = parts.flatMap(part => (part.status === 'rejected' ? [part.reason] : []))
  if (failures.length === 0) return stack
  await stopStack(stack)
  throw failures[0]
}

/** Ends the servers and removes their data. */
export async function stopStack(stack: Stack): Promise<void> {
  const servers = [stack.kafka, stack.s3].filter(server => server !== undefined)
  await Promise.all(servers.map(server => stopProcess(server.process)))
  await rm(stack.folder, { recursive: true, force: true })
}

/** What tests, examples and benchmarks find the parts by. A missing part's names are missing. */
export function stackEnvironment(stack: Stack): Record<string, string> {
  const { kafka, s3, python, kernelReader } = stack
  return {
    ...(kafka && {
      SI_TEST_KAFKA: kafka.bootstrapServers,
      SI_TEST_KAFKA_SASL: kafka.saslBootstrapServers,
      SI_TEST_KAFKA_SASL_USERNAME: KAFKA_USERNAME,
      SI_TEST_KAFKA_SASL_PASSWORD: KAFKA_PASSWORD,
      SI_TEST_KAFKA_LIMITED_USERNAME: KAFKA_LIMITED_USERNAME,
      SI_TEST_KAFKA_LIMITED_PASSWORD: KAFKA_LIMITED_PASSWORD,
      SI_TEST_KAFKA_SSL: kafka.sslBootstrapServers,
      SI_TEST_KAFKA_SASL_SSL: kafka.saslSslBootstrapServers,
      SI_TEST_KAFKA_MISADVERTISED: kafka.misadvertisedBootstrapServers,
      SI_TEST_KAFKA_AUTHORITY: kafka.authorityPath,
    }),
    ...(s3 && {
      SI_TEST_S3_ENDPOINT: s3.endpoint,
      SI_TEST_S3_ACCESS_KEY: s3.accessKey,
      SI_TEST_S3_SECRET_KEY: s3.secretKey,
      SI_TEST_S3_BUCKET: s3.bucket,
    }),
    ...(python && { SI_TEST_PYTHON: python }),
    ...(kernelReader && { SI_TEST_KERNEL_READER: kernelReader }),
  }
}

/** The same parts by the names that the configurations of `init` and every AWS client read. */
export function clientEnvironment({ kafka, s3 }: Stack): Record<string, string> {
  return {
    ...(kafka && { KAFKA: kafka.bootstrapServers }),
    ...(s3 && {
      BUCKET: s3.bucket,
      AWS_ENDPOINT_URL_S3: s3.endpoint,
      AWS_REGION: s3.region,
      AWS_ACCESS_KEY_ID: s3.accessKey,
      AWS_SECRET_ACCESS_KEY: s3.secretKey,
    }),
  }
}
