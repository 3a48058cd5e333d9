/**
 * A comparison as tables.
 *
 * @module
 */
import type { Comparison, ContenderFigures } from './comparison.ts'
import { formatFigure, formatNumber, pairedRatio } from './figure.ts'
import type { Table } from './table.ts'
import { oursOf } from './target.ts'

/** Ours and the peers, each as a whole process. */
export function contenderTable(comparison: Comparison): Table {
  const { title, messageCount, messageBytes, columnCount, contenders } = comparison
  const ours = oursOf(comparison, 'ingest')
  return {
    title: `${title}: ${formatNumber(messageCount, 0)} messages of ${messageBytes.toFixed(0)} B, ${columnCount} columns`,
    header: [
      'whole process',
      'messages/s',
      'MB/s',
      'CPU µs/message',
      'user',
      'system',
      'start-up CPU ms',
      'peak RSS MiB',
      'CPU of ours ÷ its',
    ],
    rows: contenders.map(one => contenderRow(one, ours)),
  }
}

function contenderRow(one: ContenderFigures, ours: ContenderFigures): readonly string[] {
  return [
    one.title,
    formatFigure(one.messagesPerSecond, 0),
    formatNumber(one.megabytesPerSecond.median, 0),
    formatFigure(one.cpuUs, 2),
    formatNumber(one.userUs.median, 2),
    formatNumber(one.systemUs.median, 2),
    formatNumber(one.startCpuMs.median, 0),
    formatNumber(one.peakRssMiB.median, 0),
    one === ours ? '' : formatFigure(pairedRatio(ours.cpuUs.runs, one.cpuUs.runs), 2),
  ]
}

/** Where the CPU of ours goes, and what came of it. */
export function stageTable({ title, stages }: Comparison): Table {
  const us = (name: string, figure: Comparison['stages']['decodeUs']): readonly string[] => [
    name,
    formatFigure(figure, 2),
  ]
  return {
    title: `${title}: where ours goes, CPU µs/message`,
    header: ['stage', 'µs'],
    rows: [
      us('start-up', stages.startUs),
      us('decode (decompress, scan, route), main thread', stages.decodeUs),
      us('encode (gather, Parquet, statistics), main thread', stages.encodeUs),
      us('fetch, upload, commit: the rest of the main thread', stages.mainThreadRestUs),
      us('other threads (garbage, compilation)', stages.otherThreadsUs),
      us('for comparison: a process that only fetches, without its start', stages.fetchUs),
      us('decode + encode with its other threads', stages.decodeAndEncodeUs),
    ],
    notes: [
      `the main thread stands still for garbage ${formatNumber(stages.gcShare.median * 100, 1)} % of the time, ` +
        `${formatNumber(stages.majorCollections.median, 0)} collections of the whole heap; ` +
        `${formatNumber(stages.commits.median, 0)} commits, ${formatNumber(stages.files.median, 0)} files, ` +
        `${formatNumber(stages.writtenMiB.median, 1)} MiB`,
    ],
  }
}
