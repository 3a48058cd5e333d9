/**
 * What is measured side by side: ours and the peers, each as a command over the same data.
 *
 * @module
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BenchSettings, benchConfig } from './config.ts'
import type { Dataset, Topic } from './dataset.ts'
import type { ProgramCommand } from './measured-process.ts'
import type { InstalledPeer, PeerName } from './peers/installation.ts'

export type ContenderName = 'ingest' | 'threads' | 'fetch' | PeerName

export interface Contender {
  readonly name: ContenderName
  /** What it does, as a report's row says it. */
  readonly title: string
  /** `run` counts from zero: each run writes to a place of its own. */
  command(dataset: Dataset, run: number): ProgramCommand
}

export interface WriteSettings {
  readonly batchSize: number
  /** Parquet's codec, for ours and for the peers. */
  readonly compression: string
  readonly memoryLimit?: string
  /** Threads of ours that decode and encode, as `processing.workers` has them. */
  readonly workers: number
  readonly partitionColumns?: readonly string[]
}

/** How the measured processes of ours are started, for profilers. */
export interface LaunchSettings {
  /** Further options of Node. */
  readonly nodeOptions: readonly string[]
  /** A command that runs the one after it, such as `perf record -g --`. */
  readonly under: readonly string[]
}

/** Where the measured programs of ours are, built. */
export const PROGRAMS: string = fileURLToPath(new URL('../.cache/bench', import.meta.url))

/** Drains the topic into a table of its own. */
export function ingestCommand(
  topic: Topic,
  place: string,
  settings: WriteSettings,
  launch: LaunchSettings,
): ProgramCommand {
  const bench: BenchSettings = {
    ...settings,
    kafka: topic.kafka,
    topic: topic.topic,
    columns: topic.columns,
    lake: `bench/${topic.topic}/${place}`,
  }
  return ourCommand('ingest', bench, launch)
}

/** @param workers of the row with threads */
export function createContenders(
  peers: readonly InstalledPeer[],
  settings: WriteSettings,
  workers: number,
  launch: LaunchSettings,
  folder: string,
): readonly Contender[] {
  const ours: readonly Contender[] = [
    {
      name: 'ingest',
      title: 'ours: topic → committed table',
      command: (dataset, run) => ingestCommand(dataset, String(run), settings, launch),
    },
    {
      name: 'threads',
      title: `ours on ${workers} threads beside: topic → committed table`,
      command: (dataset, run) => ingestCommand(dataset, `threads-${run}`, { ...settings, workers }, launch),
    },
    {
      name: 'fetch',
      title: 'ours: topic only fetched',
      command: (dataset, run) =>
        ourCommand('fetch', benchSettings(dataset, settings, `fetch-${run}`), {
          nodeOptions: [],
          under: [],
        }),
    },
  ]
  return [...ours, ...peers.map(peer => createPeer(peer, settings, folder))]
}

function createPeer(peer: InstalledPeer, settings: WriteSettings, folder: string): Contender {
  const { name, program, version } = peer
  switch (name) {
    case 'duckdb':
    case 'polars': {
      const script = peerPath(`${name}_convert.py`)
      return {
        name,
        title: `${version}: JSON file → Parquet`,
        command: ({ file, columns }) => ({
          command: program,
          args: [script, conversion(file, columns, join(folder, `${name}.parquet`), settings)],
          env: { POLARS_MAX_THREADS: '1' },
        }),
      }
    }
    case 'librdkafka':
      return {
        name,
        title: `${version}: topic only counted`,
        command: dataset => ({
          command: program,
          args: [peerPath('librdkafka_count.py'), JSON.stringify(consumption(dataset, settings))],
        }),
      }
    case 'java':
      return {
        name,
        title: `${version}: topic only counted`,
        command: dataset => {
          const { kafka, topic, fetchMaxBytes, fetchMaxPartitionBytes } = consumption(dataset, settings)
          const sizes = [String(fetchMaxBytes), String(fetchMaxPartitionBytes)]
          const java = ['-Dlog4j2.level=ERROR', '-cp', program, 'KafkaCount']
          return { command: 'java', args: [...java, kafka, topic, ...sizes] }
        },
      }
  }
}

function conversion(
  file: string,
  columns: Dataset['columns'],
  output: string,
  { compression }: WriteSettings,
): string {
  // What Parquet calls lz4_raw goes by this name there.
  const codec = { none: 'uncompressed', lz4_raw: 'lz4' }[compression] ?? compression
  return JSON.stringify({ file, columns, output, compression: codec })
}

/** What we ask a broker for, so that nobody asks for more. */
function consumption(
  dataset: Dataset,
  settings: WriteSettings,
): {
  readonly kafka: string
  readonly topic: string
  readonly fetchMaxBytes: number
  readonly fetchMaxPartitionBytes: number
} {
  const { kafka, topic } = dataset
  const { fetchMaxBytes, fetchMaxPartitionBytes } = benchConfig(
    benchSettings(dataset, settings, 'none'),
  ).kafka
  return { kafka, topic, fetchMaxBytes, fetchMaxPartitionBytes }
}

function benchSettings(topic: Topic, settings: WriteSettings, lake: string): BenchSettings {
  return { ...settings, kafka: topic.kafka, topic: topic.topic, columns: topic.columns, lake }
}

function ourCommand(program: string, settings: BenchSettings, launch: LaunchSettings): ProgramCommand {
  const path = join(PROGRAMS, `${program}.mjs`)
  const node = [process.execPath, ...launch.nodeOptions, path, JSON.stringify(settings)]
  const [command, ...args] = [...launch.under, ...node]
  return { command: command as string, args }
}

function peerPath(script: string): string {
  return fileURLToPath(new URL(`peers/${script}`, import.meta.url))
}
