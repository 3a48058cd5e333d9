/**
 * Apache Kafka, one node in KRaft mode, on the loopback interface.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePorts } from './free-port.ts'
import { mavenClassPath, requireJava, runToSuccess } from './installation.ts'
import { hasCoordinator } from './kafka-probe.ts'
import {
  type ManagedProcess,
  type ProcessIdentity,
  signalProcess,
  startProcess,
  stopProcess,
  waitUntilReady,
} from './managed-process.ts'

export const KAFKA_USERNAME = 'alice'
export const KAFKA_PASSWORD = 'alice-secret'
/** Above ten megabytes, so that a message of that size can be tested. */
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024
const READY_TIMEOUT_MS = 120_000
const CONFIG_FILE = 'server.properties'
const LOG4J = fileURLToPath(new URL('kafka/log4j2.properties', import.meta.url))

export interface KafkaServer {
  readonly name: 'Apache Kafka 4.4.0'
  /** `host:port` of the listener without authentication. */
  readonly bootstrapServers: string
  /** `host:port` of the SASL_PLAINTEXT listener: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 for {@link KAFKA_USERNAME}. */
  readonly saslBootstrapServers: string
  readonly process: ProcessIdentity
  readonly logPath: string
}

/** Java's class path with the broker and the client library. Throws `PartUnavailableError` without Java or Maven. */
export async function installKafka(): Promise<string> {
  await requireJava()
  return mavenClassPath('kafka', new URL('kafka/pom.xml', import.meta.url))
}

/** Starts a new, empty broker with its data in `folder` and returns when it can be used. */
export async function startKafka(options: { readonly folder: string }): Promise<KafkaServer> {
  const classPath = await installKafka()
  const [port, saslPort, controllerPort] = (await freePorts(3)) as [number, number, number]
  await mkdir(options.folder, { recursive: true })
  const configPath = join(options.folder, CONFIG_FILE)
  const config = serverProperties({
    port,
    saslPort,
    controllerPort,
    dataFolder: join(options.folder, 'data'),
  })
  await writeFile(configPath, config)
  await formatStorage(classPath, configPath)
  return launch(classPath, configPath, port, saslPort)
}

/**
 * Kills the broker and starts it again: same ports, same data, as after a crash of the machine's process. It reads its
 * logs through first, so nothing that it acknowledged is lost.
 */
export async function restartKafkaAfterCrash(kafka: KafkaServer): Promise<KafkaServer> {
  signalProcess(kafka.process, 'SIGKILL')
  await stopProcess(kafka.process)
  const classPath = await installKafka()
  const configPath = join(dirname(kafka.logPath), CONFIG_FILE)
  return launch(classPath, configPath, portOf(kafka.bootstrapServers), portOf(kafka.saslBootstrapServers))
}

function portOf(server: string): number {
  return Number(server.slice(server.lastIndexOf(':') + 1))
}

async function launch(
  classPath: string,
  configPath: string,
  port: number,
  saslPort: number,
): Promise<KafkaServer> {
  const server = await startProcess({
    command: 'java',
    args: [
      '-Xms128m',
      '-Xmx1g',
      '-XX:+UseSerialGC',
      `-Dlog4j2.configurationFile=${LOG4J}`,
      '-cp',
      classPath,
      'kafka.Kafka',
      configPath,
    ],
    logPath: join(dirname(configPath), 'kafka.log'),
  })
  await readyOrStopped(server, port)
  return {
    name: 'Apache Kafka 4.4.0',
    bootstrapServers: `127.0.0.1:${port}`,
    saslBootstrapServers: `127.0.0.1:${saslPort}`,
    process: { pid: server.pid, startTime: server.startTime },
    logPath: server.logPath,
  }
}

async function readyOrStopped(server: ManagedProcess, port: number): Promise<void> {
  try {
    await waitUntilReady(
      server,
      'Kafka',
      READY_TIMEOUT_MS,
      async () => (await hasCoordinator(port, 'group')) && (await hasCoordinator(port, 'transaction')),
    )
  } catch (error) {
    await stopProcess(server)
    throw error
  }
}

async function formatStorage(classPath: string, configPath: string): Promise<void> {
  const credential = `name=${KAFKA_USERNAME},password=${KAFKA_PASSWORD}`
  await runToSuccess('java', [
    '-XX:TieredStopAtLevel=1',
    '-XX:+UseSerialGC',
    `-Dlog4j2.configurationFile=${LOG4J}`,
    '-cp',
    classPath,
    'kafka.tools.StorageTool',
    'format',
    '--standalone',
    `--cluster-id=${clusterId()}`,
    `--config=${configPath}`,
    `--add-scram=SCRAM-SHA-256=[${credential}]`,
    `--add-scram=SCRAM-SHA-512=[${credential}]`,
  ])
}

/** 16 random bytes in URL-safe base64, as Kafka writes its UUIDs. A leading hyphen would read as an option. */
function clusterId(): string {
  const bytes = randomBytes(16)
  bytes[0] = 0
  return bytes.toString('base64url')
}

function serverProperties(broker: {
  readonly port: number
  readonly saslPort: number
  readonly controllerPort: number
  readonly dataFolder: string
}): string {
  const sasl = 'listener.name.sasl_plaintext'
  const security = 'org.apache.kafka.common.security'
  const entries: Record<string, string | number | boolean> = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.bootstrap.servers': `127.0.0.1:${broker.controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    listeners: [
      `PLAINTEXT://127.0.0.1:${broker.port}`,
      `SASL_PLAINTEXT://127.0.0.1:${broker.saslPort}`,
      `CONTROLLER://127.0.0.1:${broker.controllerPort}`,
    ].join(),
    'listener.security.protocol.map':
      'PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT',
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    [`${sasl}.plain.sasl.jaas.config`]: `${security}.plain.PlainLoginModule required user_${KAFKA_USERNAME}="${KAFKA_PASSWORD}";`,
    [`${sasl}.scram-sha-256.sasl.jaas.config`]: `${security}.scram.ScramLoginModule required;`,
    [`${sasl}.scram-sha-512.sasl.jaas.config`]: `${security}.scram.ScramLoginModule required;`,
    'log.dirs': broker.dataFolder,

    // One node: nothing to replicate to.
    'offsets.topic.replication.factor': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    // Few internal partitions: made at once instead of in seconds.
    'offsets.topic.num.partitions': 1,
    'transaction.state.log.num.partitions': 1,
    'share.coordinator.state.topic.num.partitions': 1,
    'group.initial.rebalance.delay.ms': 0,

    'message.max.bytes': MESSAGE_BYTES_MAX,
    'replica.fetch.max.bytes': MESSAGE_BYTES_MAX,
    'socket.request.max.bytes': 128 * 1024 * 1024,
    // A topic that does not exist is a mistake to be told, not a topic to be made.
    'auto.create.topics.enable': false,
    // Tests write timestamps of any year: nothing is too old to keep or too new to accept.
    'log.retention.ms': -1,
    'log.message.timestamp.after.max.ms': '9223372036854775807',

    // Little to do while idle on a small shared machine.
    'num.network.threads': 2,
    'num.io.threads': 4,
    'background.threads': 2,
    'log.cleaner.enable': false,
    'metadata.max.idle.interval.ms': 5000,
  }
  return Object.entries(entries)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')
}
