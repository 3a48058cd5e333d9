/**
 * The peers, installed into the repository's cache at first use, pinned. One that cannot be had is left out with the
 * reason.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { installOnce, runToSuccess } from '../../scripts/stack/installation.ts'
import { installKafka } from '../../scripts/stack/kafka.ts'
import { installPython } from '../../scripts/stack/reader-installation.ts'
import { PartUnavailableError } from '../../scripts/stack/stack-error.ts'

export const PEER_NAMES = ['duckdb', 'polars', 'librdkafka', 'java'] as const
export type PeerName = (typeof PEER_NAMES)[number]

const DUCKDB = ['duckdb==1.5.5']
const POLARS = ['polars==2.1.0', 'polars-runtime-32==2.1.0']
const LIBRDKAFKA = ['confluent-kafka==2.16.1']
const KAFKA_COUNT = fileURLToPath(new URL('KafkaCount.java', import.meta.url))

export interface InstalledPeer {
  readonly name: PeerName
  /** With its version, as a report names it. */
  readonly version: string
  /** Python's interpreter, or Java's class path. */
  readonly program: string
}

export interface Installation {
  readonly peers: readonly InstalledPeer[]
  /** The others, each with the reason. */
  readonly unavailable: readonly string[]
}

const INSTALL: Readonly<Record<PeerName, () => Promise<Omit<InstalledPeer, 'name'>>>> = {
  duckdb: () => pythonPeer(DUCKDB, "import duckdb; print('DuckDB', duckdb.__version__)"),
  polars: () => pythonPeer(POLARS, "import polars; print('Polars', polars.__version__)"),
  librdkafka: () =>
    pythonPeer(LIBRDKAFKA, "import confluent_kafka; print('librdkafka', confluent_kafka.libversion()[0])"),
  java: javaPeer,
}

export async function installPeers(names: readonly PeerName[]): Promise<Installation> {
  const peers: InstalledPeer[] = []
  const unavailable: string[] = []
  for (const name of names) {
    try {
      peers.push({ name, ...(await INSTALL[name]()) })
    } catch (error) {
      if (!(error instanceof PartUnavailableError)) throw error
      unavailable.push(`${name}: ${error.message}`)
    }
  }
  return { peers, unavailable }
}

async function pythonPeer(
  requirements: readonly string[],
  askVersion: string,
): Promise<Omit<InstalledPeer, 'name'>> {
  const python = await installPython('bench-python', requirements)
  return { program: python, version: (await runToSuccess(python, ['-c', askVersion])).trim() }
}

async function javaPeer(): Promise<Omit<InstalledPeer, 'name'>> {
  const jars = await installKafka()
  const source = await readFile(KAFKA_COUNT, 'utf8')
  const classes = await installOnce('bench-kafka-count', [jars, source], async target => {
    await runToSuccess('javac', ['-Xlint:none', '-cp', jars, '-d', target, KAFKA_COUNT])
  })
  const program = `${classes}:${jars}`
  return { program, version: (await runToSuccess('java', ['-cp', program, 'KafkaCount', 'version'])).trim() }
}
