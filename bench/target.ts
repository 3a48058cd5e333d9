/**
 * What is aimed at: how ours has to compare with each peer, whether it does, and by how much it does not.
 *
 * @module
 */
import type { Comparison, ContenderFigures } from './comparison.ts'
import { type Figure, formatFigure, pairedRatio } from './figure.ts'
import type { PeerName } from './peers/installation.ts'
import type { Table } from './table.ts'

interface Target {
  readonly title: string
  readonly peer: PeerName
  /** Whether a ratio has to be at most, or at least, `bound`. */
  readonly direction: 'at most' | 'at least'
  readonly bound: number
  /** Run by run: of ours, and of the peer. */
  ours(comparison: Comparison): Figure
  theirs(peer: ContenderFigures): Figure
}

/** Both sides of a ratio are of one kind: CPU of the work with CPU of the work, whole process with whole process. */
const TARGETS: readonly Target[] = [
  {
    title: 'decode + encode ≤ 0.9 × DuckDB, CPU of the work',
    peer: 'duckdb',
    direction: 'at most',
    bound: 0.9,
    ours: ({ stages }) => stages.decodeAndEncodeUs,
    theirs: ({ workCpuUs }) => workCpuUs,
  },
  {
    title: 'decode + encode ≤ 0.6 × Polars, CPU of the work',
    peer: 'polars',
    direction: 'at most',
    bound: 0.6,
    ours: ({ stages }) => stages.decodeAndEncodeUs,
    theirs: ({ workCpuUs }) => workCpuUs,
  },
  {
    title: 'whole way ≤ librdkafka’s consumption, CPU of the process',
    peer: 'librdkafka',
    direction: 'at most',
    bound: 1,
    ours: comparison => oursOf(comparison, 'ingest').cpuUs,
    theirs: ({ cpuUs }) => cpuUs,
  },
  {
    title: 'whole way ≥ 0.5 × Java consumer, messages a second',
    peer: 'java',
    direction: 'at least',
    bound: 0.5,
    ours: comparison => oursOf(comparison, 'threads').messagesPerSecond,
    theirs: ({ messagesPerSecond }) => messagesPerSecond,
  },
]

export interface TargetResult {
  readonly shape: string
  readonly title: string
  readonly direction: Target['direction']
  readonly bound: number
  readonly ratio: Figure
  readonly isReached: boolean
}

/** Of the peers that were measured. */
export function targetResults(comparison: Comparison): readonly TargetResult[] {
  return TARGETS.flatMap(({ title, peer, direction, bound, ours, theirs }) => {
    const found = comparison.contenders.find(({ name }) => name === peer)
    if (found === undefined) return []
    const ratio = pairedRatio(ours(comparison).runs, theirs(found).runs)
    const isReached = direction === 'at most' ? ratio.median <= bound : ratio.median >= bound
    return [{ shape: comparison.shape, title, direction, bound, ratio, isReached }]
  })
}

export function targetTable(results: readonly TargetResult[], cores: number): Table {
  return {
    title: `Targets (ratio of the same run: median, range; ${cores} cores, shared with the broker)`,
    header: ['', 'messages', 'ratio', 'target', ''],
    rows: results.map(({ shape, title, direction, bound, ratio, isReached }) => [
      title,
      shape,
      formatFigure(ratio, 2),
      `${direction === 'at most' ? '≤' : '≥'} ${bound}`,
      isReached ? 'reached' : `missed by ${Math.round(Math.abs(ratio.median / bound - 1) * 100)} %`,
    ]),
  }
}

/** On the main thread alone, or with its threads. */
export function oursOf({ contenders }: Comparison, name: 'ingest' | 'threads'): ContenderFigures {
  const ours = contenders.find(each => each.name === name)
  if (ours === undefined) throw new Error('ours is always measured')
  return ours
}
