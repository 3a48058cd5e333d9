/**
 * `stream-ingest inspect topic`: the partitions of a pipeline's topics, who leads them, and what of them Kafka has.
 *
 * @module
 */
import { IngestConfig } from '../config/config.ts'
import { ConfigError, EXIT_CODES } from '../error.ts'
import { formatBytes, formatCount, formatDuration, formatNumberOf } from '../observe/format.ts'
import { StreamIngestProcessor } from '../pipeline/stream-ingest-processor.ts'
import { type CommandIo, writeText } from './command-io.ts'
import { formatJsonDocument } from './json-document.ts'
import { formatTable, type TextColumn } from './text-table.ts'

type TopicDescription = Awaited<ReturnType<StreamIngestProcessor['describeTopics']>>[number]
type PartitionDescription = TopicDescription['partitions'][number]

/**
 * Prints what the cluster says of the topics of one pipeline.
 *
 * @returns the exit code
 */
export async function inspectTopicCommand(
  config: IngestConfig,
  options: { readonly json?: boolean },
  io: CommandIo,
): Promise<number> {
  const topics = await new StreamIngestProcessor(config, { runtime: io.runtime }).describeTopics()
  const width = io.stdout.isTTY === true ? io.stdout.columns : undefined
  const nowMs = io.runtime.now()
  const text =
    options.json === true
      ? formatJsonDocument({ topics: topics.map(topicDocument) })
      : topics.map(topic => formatTopic(topic, nowMs, width)).join('\n')
  await writeText(io.stdout, text)
  return EXIT_CODES.ok
}

/** A configuration for one topic of a cluster that asks for no credentials. @throws ConfigError */
export function configOfTopic(bootstrapServers: string, topic: string | undefined): IngestConfig {
  if (topic === undefined) {
    throw new ConfigError('CONFIG_USAGE', 'no topic is named', {
      hint: '`stream-ingest inspect topic NAME --bootstrap HOST:PORT`',
    })
  }
  const config = {
    kafka: { bootstrap_servers: bootstrapServers, topic, consumer_group: 'inspect' },
    local: { path: '.' },
    delta: { table_name: 'inspect', merge_schema: true },
  }
  return IngestConfig.parse(JSON.stringify(config), { file: '--bootstrap', environment: {} })
}

function topicDocument({ name, topicId, settings, partitions }: TopicDescription): unknown {
  return {
    name,
    topicId,
    settings,
    partitions: partitions.map(({ newestRecordMs, leader, ...partition }) => ({
      partition: partition.partition,
      leader: leader?.nodeId ?? null,
      leaderAddress: leader?.address ?? null,
      replicas: partition.replicas,
      inSyncReplicas: partition.inSyncReplicas,
      startOffset: partition.startOffset,
      endOffset: partition.endOffset,
      newestRecordAt: newestRecordMs === null ? null : new Date(newestRecordMs).toISOString(),
    })),
  }
}

const COLUMNS: readonly TextColumn[] = [
  { header: 'partition', align: 'left' },
  { header: 'leader', align: 'left' },
  { header: 'replicas', align: 'left' },
  { header: 'first offset', align: 'right' },
  { header: 'end offset', align: 'right' },
  { header: 'offsets', align: 'right' },
  { header: 'newest message', align: 'right' },
]

function formatTopic(topic: TopicDescription, nowMs: number, width: number | undefined): string {
  const { name, topicId, partitions, settings } = topic
  const rows = partitions.map(one => [
    `${name}[${one.partition}]`,
    formatLeader(one),
    formatReplicas(one),
    one.startOffset === null ? '?' : formatCount(one.startOffset),
    one.endOffset === null ? '?' : formatCount(one.endOffset),
    formatCount(sizeOf(one)),
    one.newestRecordMs === null ? '–' : `${formatDuration(Math.max(0, nowMs - one.newestRecordMs))} ago`,
  ])
  const offsets = partitions.reduce((sum, one) => sum + sizeOf(one), 0n)
  const head = `${name}  id ${topicId}  ${formatNumberOf(partitions.length, 'partition')}, ${formatNumberOf(offsets, 'offset')}`
  return `${head}\n${formatSettings(settings)}\n${formatTable(COLUMNS, rows, width)}`
}

/** Offsets without a message included: compaction, markers of transactions. */
function sizeOf({ startOffset, endOffset }: PartitionDescription): bigint {
  return startOffset === null || endOffset === null ? 0n : endOffset - startOffset
}

function formatLeader({ leader }: PartitionDescription): string {
  if (leader === null) return 'none'
  return leader.address === null ? String(leader.nodeId) : `${leader.nodeId} (${leader.address})`
}

function formatReplicas({ replicas, inSyncReplicas }: PartitionDescription): string {
  const behind = replicas.filter(id => !inSyncReplicas.includes(id))
  return behind.length === 0
    ? replicas.join(', ')
    : `${replicas.join(', ')} (not in sync: ${behind.join(', ')})`
}

function formatSettings(settings: TopicDescription['settings']): string {
  if (settings === null) return 'settings not told (the right DescribeConfigs on the topic shows them)'
  const entries = Object.entries(settings).map(([key, value]) => `${key} ${formatSetting(key, value)}`)
  return entries.join(' · ')
}

/** Kafka counts milliseconds and bytes; −1 is no limit. */
function formatSetting(key: string, value: string): string {
  const number = /^-?\d{1,15}$/.test(value) ? Number(value) : Number.NaN
  if (Number.isNaN(number)) return value
  if (key.endsWith('.ms')) return number < 0 ? 'unlimited' : formatDuration(number)
  if (key.endsWith('.bytes')) return number < 0 ? 'unlimited' : formatBytes(number)
  return value
}
