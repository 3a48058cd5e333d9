/**
 * Apache Kafka, one node in KRaft mode, on the loopback interface.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CertificateAuthority } from './certificate.ts'
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
/** No super user: access control lists hold for this one. */
export const KAFKA_LIMITED_USERNAME = 'bob'
export const KAFKA_LIMITED_PASSWORD = 'bob-secret'
/** Above ten megabytes, so that a message of that size can be tested. */
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024
const READY_TIMEOUT_MS = 120_000
const CONFIG_FILE = 'server.properties'
const AUTHORITY_FILE = 'authority.pem'
/** The TLS listeners' certificate is for this address, and for no name. */
const HOST = '127.0.0.1'
/** What the listener for this fault tells clients to go to: reserved, so that nobody has it. */
const MISADVERTISED_ADDRESS = 'kafka.invalid:9092'
const LOG4J = fileURLToPath(new URL('kafka/log4j2.properties', import.meta.url))

export interface KafkaServer {
  readonly name: 'Apache Kafka 4.4.0'
  /** `host:port` of the listener without authentication. */
  readonly bootstrapServers: string
  /**
   * `host:port` of the SASL_PLAINTEXT listener: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 for {@link KAFKA_USERNAME} and
   * {@link KAFKA_LIMITED_USERNAME}.
   */
  readonly saslBootstrapServers: string
  readonly sslBootstrapServers: string
  /** The same users and mechanisms. */
  readonly saslSslBootstrapServers: string
  /** A plaintext listener whose broker advertises an address that cannot be reached. */
  readonly misadvertisedBootstrapServers: string
  /** A file with the certificate of the authority behind the TLS listeners, PEM. */
  readonly authorityPath: string
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
  const [plaintext, sasl, ssl, saslSsl, misadvertised, controller] = (await freePorts(6)) as number[]
  const ports = { plaintext, sasl, ssl, saslSsl, misadvertised } as ListenerPorts
  await mkdir(options.folder, { recursive: true })
  const configPath = join(options.folder, CONFIG_FILE)
  const config = serverProperties({
    ports,
    controllerPort: controller as number,
    dataFolder: join(options.folder, 'data'),
    keyStorePath: await writeCertificates(options.folder),
  })
  await writeFile(configPath, config)
  await formatStorage(classPath, configPath)
  return launch(classPath, configPath, ports)
}

/** An authority, and a certificate of it for the broker. Returns where the broker's key is. */
async function writeCertificates(folder: string): Promise<string> {
  const authority = new CertificateAuthority('stream-ingest test authority')
  const { certificate, key } = authority.issue({ commonName: 'broker', hosts: [HOST] })
  const keyStorePath = join(folder, 'broker.pem')
  await writeFile(join(folder, AUTHORITY_FILE), authority.certificate)
  await writeFile(keyStorePath, key + certificate + authority.certificate, { mode: 0o600 })
  return keyStorePath
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
  return launch(classPath, configPath, {
    plaintext: portOf(kafka.bootstrapServers),
    sasl: portOf(kafka.saslBootstrapServers),
    ssl: portOf(kafka.sslBootstrapServers),
    saslSsl: portOf(kafka.saslSslBootstrapServers),
    misadvertised: portOf(kafka.misadvertisedBootstrapServers),
  })
}

function portOf(server: string): number {
  return Number(server.slice(server.lastIndexOf(':') + 1))
}

/** By what the listener is for. */
interface ListenerPorts {
  readonly plaintext: number
  readonly sasl: number
  readonly ssl: number
  readonly saslSsl: number
  readonly misadvertised: number
}

async function launch(classPath: string, configPath: string, ports: ListenerPorts): Promise<KafkaServer> {
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
  await readyOrStopped(server, ports.plaintext)
  return {
    name: 'Apache Kafka 4.4.0',
    bootstrapServers: `${HOST}:${ports.plaintext}`,
    saslBootstrapServers: `${HOST}:${ports.sasl}`,
    sslBootstrapServers: `${HOST}:${ports.ssl}`,
    saslSslBootstrapServers: `${HOST}:${ports.saslSsl}`,
    misadvertisedBootstrapServers: `${HOST}:${ports.misadvertised}`,
    authorityPath: join(dirname(configPath), AUTHORITY_FILE),
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
  const credentials = [
    `name=${KAFKA_USERNAME},password=${KAFKA_PASSWORD}`,
    `name=${KAFKA_LIMITED_USERNAME},password=${KAFKA_LIMITED_PASSWORD}`,
  ]
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
    ...credentials.flatMap(credential => [
      `--add-scram=SCRAM-SHA-256=[${credential}]`,
      `--add-scram=SCRAM-SHA-512=[${credential}]`,
    ]),
  ])
}

/** 16 random bytes in URL-safe base64, as Kafka writes its UUIDs. A leading hyphen would read as an option. */
function clusterId(): string {
  const bytes = randomBytes(16)
  bytes[0] = 0
  return bytes.toString('base64url')
}

/** How clients of the listeners with SASL prove who they are. */
function saslProperties(): Record<string, string> {
  const security = 'org.apache.kafka.common.security'
  const users = [
    `user_${KAFKA_USERNAME}="${KAFKA_PASSWORD}"`,
    `user_${KAFKA_LIMITED_USERNAME}="${KAFKA_LIMITED_PASSWORD}"`,
  ]
  const entries = ['sasl_plaintext', 'sasl_ssl'].flatMap(listener => [
    [
      `listener.name.${listener}.plain.sasl.jaas.config`,
      `${security}.plain.PlainLoginModule required ${users.join(' ')};`,
    ],
    ...['scram-sha-256', 'scram-sha-512'].map(mechanism => [
      `listener.name.${listener}.${mechanism}.sasl.jaas.config`,
      `${security}.scram.ScramLoginModule required;`,
    ]),
  ])
  return { 'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512', ...Object.fromEntries(entries) }
}

function serverProperties(broker: {
  readonly ports: ListenerPorts
  readonly controllerPort: number
  readonly dataFolder: string
  readonly keyStorePath: string
}): string {
  const { ports } = broker
  const listeners = {
    PLAINTEXT: { port: ports.plaintext, protocol: 'PLAINTEXT' },
    SASL_PLAINTEXT: { port: ports.sasl, protocol: 'SASL_PLAINTEXT' },
    SSL: { port: ports.ssl, protocol: 'SSL' },
    SASL_SSL: { port: ports.saslSsl, protocol: 'SASL_SSL' },
    MISADVERTISED: { port: ports.misadvertised, protocol: 'PLAINTEXT' },
    CONTROLLER: { port: broker.controllerPort, protocol: 'PLAINTEXT' },
  }
  const addresses = Object.entries(listeners).map(([name, { port }]) => `${name}://${HOST}:${port}`)
  const advertised = addresses
    .filter(address => !address.startsWith('CONTROLLER'))
    .map(address =>
      address.startsWith('MISADVERTISED') ? `MISADVERTISED://${MISADVERTISED_ADDRESS}` : address,
    )
  const entries: Record<string, string | number | boolean> = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.bootstrap.servers': `${HOST}:${broker.controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    listeners: addresses.join(),
    'advertised.listeners': advertised.join(),
    'listener.security.protocol.map': Object.entries(listeners)
      .map(([name, { protocol }]) => `${name}:${protocol}`)
      .join(),
    ...saslProperties(),
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': broker.keyStorePath,
    // Whoever comes without a name may do everything, as before there were rules; a rule holds for the limited user.
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'allow.everyone.if.no.acl.found': true,
    'super.users': `User:ANONYMOUS;User:${KAFKA_USERNAME}`,
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
