/**
 * How much memory ours takes where it may buffer little: `memory_limit: 128MiB`, any number of messages.
 *
 * @module
 */
import { assertWhole } from './comparison.ts'
import { ingestCommand, type LaunchSettings, type WriteSettings } from './contender.ts'
import type { Topic } from './dataset.ts'
import { formatNumber } from './figure.ts'
import type { IngestReport } from './ingest.ts'
import { measureProcess } from './measured-process.ts'
import type { Table } from './table.ts'

const MEMORY_LIMIT = '128MiB'
const RSS_MIB_MAX = 400

export interface MemoryFigures {
  readonly messageCount: number
  readonly peakRssMiB: number
  readonly rssMiBMax: number
  readonly commits: number
  readonly isReached: boolean
}

export async function measureMemory(
  topic: Topic,
  settings: WriteSettings,
  launch: LaunchSettings,
): Promise<MemoryFigures> {
  const command = ingestCommand(topic, 'memory', { ...settings, memoryLimit: MEMORY_LIMIT }, launch)
  const { usage, report } = await measureProcess<IngestReport>(command)
  assertWhole('ours with little memory', report, topic.messageCount)
  const peakRssMiB = usage.peakRssBytes / 2 ** 20
  return {
    messageCount: topic.messageCount,
    peakRssMiB,
    rssMiBMax: RSS_MIB_MAX,
    commits: report.commits,
    isReached: peakRssMiB <= RSS_MIB_MAX,
  }
}

export function memoryTable(figures: readonly MemoryFigures[]): Table {
  return {
    title: `Memory of ours with memory_limit: ${MEMORY_LIMIT}`,
    header: ['messages', 'peak RSS MiB', 'target', '', 'commits'],
    rows: figures.map(({ messageCount, peakRssMiB, rssMiBMax, isReached, commits }) => [
      formatNumber(messageCount, 0),
      formatNumber(peakRssMiB, 0),
      `≤ ${rssMiBMax}`,
      isReached ? 'reached' : `missed by ${Math.round((peakRssMiB / rssMiBMax - 1) * 100)} %`,
      formatNumber(commits, 0),
    ]),
  }
}
