/**
 * `stream-ingest inspect topic`: the partitions of a pipeline's topics, and what of them Kafka has.
 *
 * @module
 */
import type { IngestConfig } from '../config/config.ts'
import { EXIT_CODES } from '../error.ts'
import { formatCount, formatNumberOf } from '../observe/format.ts'
import { StreamIngestProcessor, type TopicPartitionRange } from '../pipeline/stream-ingest-processor.ts'
import { type CommandIo, writeText } from './command-io.ts'
import { formatJsonDocument } from './json-document.ts'
import { formatTable, type TextColumn } from './text-table.ts'

const COLUMNS: readonly TextColumn[] = [
  { header: 'partition', align: 'left' },
  { header: 'first offset', align: 'right' },
  { header: 'end offset', align: 'right' },
  { header: 'offsets', align: 'right' },
]

/** @returns the exit code */
export async function inspectTopicCommand(
  config: IngestConfig,
  options: { readonly json?: boolean },
  io: CommandIo,
): Promise<number> {
  const ranges = await new StreamIngestProcessor(config, { runtime: io.runtime }).topics()
  const topics = Map.groupBy(ranges, ({ topic }) => topic)
  if (options.json === true) {
    const document = {
      topics: Array.from(topics, ([name, partitions]) => ({
        name,
        topicId: partitions[0]!.topicId,
        partitions: partitions.map(({ partition, startOffset, endOffset }) => ({
          partition,
          startOffset,
          endOffset,
        })),
      })),
    }
    await writeText(io.stdout, formatJsonDocument(document))
    return EXIT_CODES.ok
  }
  for (const [name, partitions] of topics) await writeText(io.stdout, formatTopic(name, partitions))
  return EXIT_CODES.ok
}

function formatTopic(name: string, partitions: readonly TopicPartitionRange[]): string {
  const rows = partitions.map(({ partition, startOffset, endOffset }) => [
    `${name}[${partition}]`,
    formatCount(startOffset),
    formatCount(endOffset),
    formatCount(endOffset - startOffset),
  ])
  const offsets = partitions.reduce((sum, { startOffset, endOffset }) => sum + (endOffset - startOffset), 0n)
  const head = `${name}  id ${partitions[0]!.topicId}  ${formatNumberOf(partitions.length, 'partition')}, ${formatNumberOf(offsets, 'offset')}`
  return `${head}\n${formatTable(COLUMNS, rows)}`
}
