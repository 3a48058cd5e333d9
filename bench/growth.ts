/**
 * What a message costs when there is more of something: messages, partitions of the table, partitions of the topic. Each
 * row measures the small case and the large one in turn.
 *
 * @module
 */
import { assertWhole } from './comparison.ts'
import { ingestCommand, type LaunchSettings, type WriteSettings } from './contender.ts'
import { type FillTopicOptions, fillTopic, type Topic } from './dataset.ts'
import { type Figure, figureOf, formatFigure, formatNumber, pairedRatio } from './figure.ts'
import type { IngestReport } from './ingest.ts'
import { measureProcess } from './measured-process.ts'
import type { GrowthCounts } from './options.ts'
import { TENANT_COLUMNS, tenantEvents } from './shapes/tenant-events.ts'
import type { Table } from './table.ts'

const SEED = 1
const TOPIC_PARTITIONS = 4
const TABLE_PARTITIONS: readonly [from: number, to: number] = [1, 2_000]
const GROWN_TOPIC_PARTITIONS: readonly [from: number, to: number] = [1, 256]

interface GrowthCase {
  readonly messageCount: number
  readonly tablePartitions: number
  readonly topicPartitions: number
}

export interface GrowthFigures {
  readonly title: string
  readonly sizes: readonly [from: number, to: number]
  /** Microseconds of CPU a message, whole process. */
  readonly cpuUs: readonly [from: Figure, to: Figure]
  /** Of the large case to the small one, run by run. */
  readonly ratio: Figure
  /** Of each message more, where the messages are what grows: start and warming up fall out. Null elsewhere. */
  readonly furtherMessageUs: Figure | null
}

/** Topics get the name in `topic` with the row's own behind it. */
export interface GrowthOptions extends Omit<FillTopicOptions, 'partitionCount'> {
  readonly counts: GrowthCounts
  readonly runs: number
  readonly settings: WriteSettings
  readonly launch: LaunchSettings
  readonly progressed: (what: string) => void
}

export async function measureGrowth(options: GrowthOptions): Promise<readonly GrowthFigures[]> {
  const { from, to, messageCount } = options.counts
  const usual = { messageCount, tablePartitions: 1, topicPartitions: TOPIC_PARTITIONS }
  return [
    await measureRow('messages', options, [from, to], size => ({ ...usual, messageCount: size })),
    await measureRow('table partitions', options, TABLE_PARTITIONS, size => ({
      ...usual,
      tablePartitions: size,
    })),
    await measureRow('topic partitions', options, GROWN_TOPIC_PARTITIONS, size => ({
      ...usual,
      topicPartitions: size,
    })),
  ]
}

async function measureRow(
  title: string,
  options: GrowthOptions,
  sizes: readonly [from: number, to: number],
  caseOf: (size: number) => GrowthCase,
): Promise<GrowthFigures> {
  const topics: [Topic, Topic] = [
    await fillCase(`${title}-0`, options, caseOf(sizes[0])),
    await fillCase(`${title}-1`, options, caseOf(sizes[1])),
  ]
  const cpuUs: [number[], number[]] = [[], []]
  for (let run = 0; run < options.runs; run++) {
    for (const which of [0, 1] as const) {
      const topic = topics[which]
      options.progressed(`${title} ${formatNumber(sizes[which], 0)}, run ${run + 1}`)
      const settings = { ...options.settings, partitionColumns: ['tenant'] }
      const command = ingestCommand(topic, String(run), settings, options.launch)
      const { usage, report } = await measureProcess<IngestReport>(command)
      assertWhole(`ours with ${sizes[which]} ${title}`, report, topic.messageCount)
      cpuUs[which].push(((usage.userMs + usage.systemMs) * 1000) / topic.messageCount)
    }
  }
  for (const { topic } of topics) await options.producer.deleteTopic(topic)
  return {
    title,
    sizes,
    cpuUs: [figureOf(cpuUs[0]), figureOf(cpuUs[1])],
    ratio: pairedRatio(cpuUs[1], cpuUs[0]),
    furtherMessageUs: furtherMessageUs(cpuUs, [topics[0].messageCount, topics[1].messageCount]),
  }
}

function furtherMessageUs(
  [smallUs, largeUs]: readonly [number[], number[]],
  [small, large]: readonly [number, number],
): Figure | null {
  if (small === large) return null
  return figureOf(largeUs.map((us, run) => (us * large - smallUs[run]! * small) / (large - small)))
}

function fillCase(name: string, options: GrowthOptions, grown: GrowthCase): Promise<Topic> {
  const { producer, kafka, topic, codec } = options
  options.progressed(`filling a topic: ${formatNumber(grown.messageCount, 0)} messages`)
  return fillTopic(
    {
      producer,
      kafka,
      codec,
      topic: `${topic}-${name.replaceAll(' ', '-')}`,
      partitionCount: grown.topicPartitions,
    },
    TENANT_COLUMNS,
    tenantEvents(SEED, grown.messageCount, grown.tablePartitions),
  )
}

export function growthTable(figures: readonly GrowthFigures[]): Table {
  return {
    title: 'Growth: CPU µs/message of ours, whole process',
    header: ['of', 'from', 'µs', 'to', 'µs', 'ratio', 'each message more, µs'],
    rows: figures.map(({ title, sizes, cpuUs, ratio, furtherMessageUs }) => [
      title,
      formatNumber(sizes[0], 0),
      formatFigure(cpuUs[0], 2),
      formatNumber(sizes[1], 0),
      formatFigure(cpuUs[1], 2),
      formatFigure(ratio, 2),
      furtherMessageUs === null ? '' : formatFigure(furtherMessageUs, 2),
    ]),
  }
}
