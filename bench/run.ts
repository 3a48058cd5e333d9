/**
 * `npm run bench`: from a topic on real Kafka to a committed table on a real S3 server, in figures, beside what others
 * take for a part of it. `npm run bench -- --help` lists the options; docs/performance.md says what each row means.
 *
 * @module
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { constants, cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildInstalled } from '../scripts/bundle.ts'
import { KafkaProducer } from '../scripts/kafka-producer.ts'
import { removeFolderWhenKilled } from '../scripts/stack/managed-process.ts'
import { type Comparison, compare } from './comparison.ts'
import { type Contender, createContenders, PROGRAMS, type WriteSettings } from './contender.ts'
import { createDataset, type FillTopicOptions, fillTopic } from './dataset.ts'
import { formatNumber } from './figure.ts'
import { type GrowthFigures, growthTable, measureGrowth } from './growth.ts'
import { type MemoryFigures, measureMemory, memoryTable } from './memory.ts'
import { type BenchOptions, parseOptions, USAGE, UsageError } from './options.ts'
import { installPeers } from './peers/installation.ts'
import { contenderTable, stageTable } from './report.ts'
import { userEvents } from './shapes/user-events.ts'
import { renderTable, type Table } from './table.ts'
import { type TargetResult, targetResults, targetTable } from './target.ts'

const PARTITIONS = 4
const SEED = 1
const EXIT_USAGE = 64

interface Machine {
  readonly date: string
  readonly processor: string
  readonly cores: number
  /** Of the minute before: what else there was to do. */
  readonly loadAverage: number
  readonly versions: readonly string[]
}

/** All that `--json` writes. */
interface BenchFigures {
  readonly machine: Machine
  readonly options: BenchOptions
  readonly unavailable: readonly string[]
  readonly comparisons: readonly Comparison[]
  readonly targets: readonly TargetResult[]
  readonly memory: readonly MemoryFigures[]
  readonly growth: readonly GrowthFigures[]
}

class Bench {
  readonly #options: BenchOptions
  readonly #producer: KafkaProducer
  readonly #kafka: string
  readonly #folder: string
  readonly #settings: WriteSettings

  constructor(options: BenchOptions, producer: KafkaProducer, kafka: string, folder: string) {
    this.#options = options
    this.#producer = producer
    this.#kafka = kafka
    this.#folder = folder
    // On the main thread alone: what a message costs can be told apart there.
    this.#settings = { batchSize: options.batchSize, compression: options.compression, workers: 0 }
  }

  async run(): Promise<BenchFigures> {
    progressed('building: what is measured is bundled as the command line is')
    const entries = { ingest: benchPath('ingest.ts'), fetch: benchPath('fetch.ts') }
    await buildInstalled(entries, PROGRAMS)
    const { peers: names, shapes, memoryCounts, growth } = this.#options
    if (names.length > 0) progressed(`installing ${names.join(', ')}, if they are not there`)
    const { peers, unavailable } = await installPeers(names)
    const machine = describeMachine(peers.map(({ version }) => version))
    const { workers, launch } = this.#options
    const contenders = createContenders(peers, this.#settings, workers, launch, this.#folder)
    this.#print(headline(machine, this.#options, unavailable))
    const comparisons: Comparison[] = []
    for (const { shape, messageCount } of shapes) {
      const comparison = await this.#compare(shape, messageCount, contenders)
      comparisons.push(comparison)
      this.#printTable(contenderTable(comparison))
      this.#printTable(stageTable(comparison))
    }
    const targets = comparisons.flatMap(targetResults)
    if (targets.length > 0) this.#printTable(targetTable(targets, machine.cores))
    const memory: MemoryFigures[] = []
    for (const messageCount of memoryCounts) memory.push(await this.#measureMemory(messageCount))
    if (memory.length > 0) this.#printTable(memoryTable(memory))
    const grown = growth === null ? [] : await this.#measureGrowth(growth)
    if (grown.length > 0) this.#printTable(growthTable(grown))
    return { machine, options: this.#options, unavailable, comparisons, targets, memory, growth: grown }
  }

  async #compare(
    shape: BenchOptions['shapes'][number]['shape'],
    messageCount: number,
    contenders: readonly Contender[],
  ): Promise<Comparison> {
    const { name, title } = shape
    progressed(`${name}: writing ${formatNumber(messageCount, 0)} messages into a topic and a file`)
    const topicOptions = this.#topicOptions(name)
    const dataset = await createDataset(topicOptions, shape, messageCount, this.#folder)
    const { runs } = this.#options
    const comparison = await compare({ shape: name, title }, dataset, contenders, runs, (run, contender) => {
      progressed(`${name}, run ${run + 1} of ${runs}: ${contender.title}`)
    })
    await this.#producer.deleteTopic(dataset.topic)
    await rm(dataset.file)
    return comparison
  }

  async #measureMemory(messageCount: number): Promise<MemoryFigures> {
    progressed(`memory: ${formatNumber(messageCount, 0)} messages`)
    const topicOptions = this.#topicOptions(`memory-${messageCount}`)
    const messages = userEvents.messages(SEED, messageCount)
    const topic = await fillTopic(topicOptions, userEvents.columns, messages)
    const figures = await measureMemory(topic, this.#settings, this.#options.launch)
    await this.#producer.deleteTopic(topic.topic)
    return figures
  }

  #measureGrowth(counts: NonNullable<BenchOptions['growth']>): Promise<readonly GrowthFigures[]> {
    const { runs, launch } = this.#options
    const settings = this.#settings
    return measureGrowth({ ...this.#topicOptions('growth'), counts, runs, settings, launch, progressed })
  }

  #topicOptions(name: string): FillTopicOptions {
    return {
      producer: this.#producer,
      kafka: this.#kafka,
      topic: `bench-${name}`,
      partitionCount: PARTITIONS,
      codec: this.#options.codec,
    }
  }

  #printTable(table: Table): void {
    this.#print(renderTable(table, this.#options.format))
  }

  #print(text: string): void {
    process.stdout.write(`${text}\n`)
  }
}

function benchPath(program: string): string {
  return fileURLToPath(new URL(program, import.meta.url))
}

function describeMachine(peerVersions: readonly string[]): Machine {
  return {
    date: new Date().toISOString(),
    processor: cpus()[0]?.model.trim() ?? 'unknown processor',
    cores: cpus().length,
    loadAverage: loadavg()[0] ?? 0,
    versions: [`Node ${process.versions.node}`, ...peerVersions],
  }
}

function headline(machine: Machine, options: BenchOptions, unavailable: readonly string[]): string {
  const { runs, codec, compression, batchSize, isQuick } = options
  const lines = [
    `${machine.date.slice(0, 10)}, ${machine.processor}, ${machine.cores} cores, load average ${machine.loadAverage.toFixed(1)} before; ${machine.versions.join('; ')}.`,
    `${PARTITIONS} partitions, ${codec} topic, ${compression} Parquet, commits of ${formatNumber(batchSize, 0)} messages; ` +
      `${runs} runs in turn: median (range).`,
    ...(isQuick ? ['A quick run: start-up weighs more than in a whole one; not to be quoted.'] : []),
    ...unavailable.map(reason => `Not measured: ${reason}`),
  ]
  return lines.map(line => `${line}\n`).join('')
}

/** Where it stands, beside the report. */
function progressed(what: string): void {
  process.stderr.write(`▸ ${what}\n`)
}

async function main(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv)
  if (options === null) {
    process.stdout.write(USAGE)
    return 0
  }
  const kafka = process.env.SI_TEST_KAFKA
  if (kafka === undefined)
    throw new UsageError('run this through `npm run bench`, which starts Kafka and an S3 server')
  const folder = await mkdtemp(join(tmpdir(), 'stream-ingest-bench-'))
  removeFolderWhenKilled(folder)
  const producer = await KafkaProducer.connect(kafka)
  try {
    const figures = await new Bench(options, producer, kafka, folder).run()
    if (options.jsonFile !== null)
      await writeFile(options.jsonFile, `${JSON.stringify(figures, jsonValue, 2)}\n`)
    return 0
  } finally {
    await producer.close()
    await rm(folder, { recursive: true, force: true })
  }
}

/** A shape is code; its name is enough. */
function jsonValue(key: string, value: unknown): unknown {
  return key === 'shape' && typeof value === 'object' ? (value as { name: string }).name : value
}

// An exit, not a death by the signal: what is measured just then ends as well.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => process.exit(128 + constants.signals[signal]))

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  const isUsage =
    error instanceof UsageError || (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS')
  if (!isUsage) throw error
  process.stderr.write(`error: ${(error as Error).message}\n${USAGE}`)
  process.exitCode = EXIT_USAGE
}
