/**
 * The command line of `npm run bench`.
 *
 * @module
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { COMPRESSION_CODECS, type CompressionCodec } from '../packages/stream-ingest/src/kafka/compression.ts'
import type { LaunchSettings } from './contender.ts'
import { PEER_NAMES, type PeerName } from './peers/installation.ts'
import type { Shape } from './shapes/shape.ts'
import { SHAPES } from './shapes/shapes.ts'

const RUNS = 3
const RUNS_QUICK = 2
/** Of a whole run, and with `--large`. */
const MEMORY_COUNTS = { whole: [2_000_000], quick: [300_000], large: [2_000_000, 20_000_000] } as const
/** Messages: from, to, and in the rows that change something else. */
const GROWTH = {
  whole: { from: 500_000, to: 5_000_000, messageCount: 500_000 },
  large: { from: 1_000_000, to: 20_000_000, messageCount: 1_000_000 },
} as const

export const USAGE = `usage: npm run bench -- [OPTION…]
  --quick                 fewer messages and runs: about two minutes; to see that it works, not to quote
  --shapes A,B            of ${SHAPES.map(shape => shape.name).join(', ')} (all); \`none\`
  --peers A,B             of ${PEER_NAMES.join(', ')} (all); \`none\`
  --runs N                of each contender, in turn (${RUNS}; quick ${RUNS_QUICK})
  --count N               messages of each shape in place of its own number
  --growth                also what more messages, table partitions and topic partitions cost
  --large                 20 M messages in the memory row and in the growth row: half an hour
  --codec NAME            of the topic: ${COMPRESSION_CODECS.join(', ')} (lz4)
  --compression NAME      of Parquet (snappy)
  --batch-size N          messages of one commit (1000000)
  --workers N             threads of ours in its row with threads (as many as cores)
  --json FILE             every figure of every run
  --markdown              tables as Markdown
  --node-option OPTION    of the measured process of ours, e.g. --node-option=--cpu-prof; may be repeated
  --under COMMAND         runs the measured process of ours, e.g. --under 'perf record -g --'
`

export interface GrowthCounts {
  /** Messages that grow in number from `from` to `to`. */
  readonly from: number
  readonly to: number
  /** Messages where something else grows. */
  readonly messageCount: number
}

/** Wrong arguments: the message is for the caller. */
export class UsageError extends Error {}

export interface BenchOptions {
  readonly shapes: readonly { readonly shape: Shape; readonly messageCount: number }[]
  readonly peers: readonly PeerName[]
  readonly runs: number
  readonly isQuick: boolean
  /** Numbers of messages that are drained with little memory. */
  readonly memoryCounts: readonly number[]
  /** Null where growth is not asked for. */
  readonly growth: GrowthCounts | null
  readonly codec: CompressionCodec
  readonly compression: string
  readonly batchSize: number
  /** Threads of ours in its row with threads. */
  readonly workers: number
  readonly jsonFile: string | null
  readonly format: 'text' | 'markdown'
  readonly launch: LaunchSettings
}

/** Throws {@link UsageError}, or what `parseArgs` throws. Null: help is asked for. */
export function parseOptions(argv: readonly string[]): BenchOptions | null {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      help: { type: 'boolean', short: 'h' },
      quick: { type: 'boolean', default: false },
      shapes: { type: 'string' },
      peers: { type: 'string' },
      runs: { type: 'string' },
      count: { type: 'string' },
      growth: { type: 'boolean', default: false },
      large: { type: 'boolean', default: false },
      codec: { type: 'string', default: 'lz4' },
      compression: { type: 'string', default: 'snappy' },
      'batch-size': { type: 'string', default: '1000000' },
      workers: { type: 'string' },
      json: { type: 'string' },
      markdown: { type: 'boolean', default: false },
      'node-option': { type: 'string', multiple: true, default: [] },
      under: { type: 'string', default: '' },
    },
  })
  if (values.help) return null
  const { quick, large } = values
  const codec = COMPRESSION_CODECS.find(known => known === values.codec)
  if (codec === undefined)
    throw new UsageError(`--codec is one of ${COMPRESSION_CODECS.join(', ')}, not \`${values.codec}\``)
  const chosenCount = values.count === undefined ? null : positive('--count', values.count)
  const shapeNames = chosen(
    '--shapes',
    values.shapes,
    SHAPES.map(({ name }) => name),
  )
  return {
    shapes: SHAPES.filter(({ name }) => shapeNames.includes(name)).map(shape => ({
      shape,
      messageCount: chosenCount ?? (quick ? shape.quickCount : shape.count),
    })),
    peers: chosen('--peers', values.peers, PEER_NAMES),
    runs: values.runs === undefined ? (quick ? RUNS_QUICK : RUNS) : positive('--runs', values.runs),
    isQuick: quick,
    memoryCounts: chosenCount === null ? MEMORY_COUNTS[large ? 'large' : quick ? 'quick' : 'whole'] : [],
    growth: values.growth ? growthOf(large, chosenCount) : null,
    codec,
    compression: values.compression,
    batchSize: positive('--batch-size', values['batch-size']),
    workers:
      values.workers === undefined
        ? Math.max(2, availableParallelism())
        : positive('--workers', values.workers),
    jsonFile: values.json ?? null,
    format: values.markdown ? 'markdown' : 'text',
    launch: {
      nodeOptions: values['node-option'],
      under: values.under.split(' ').filter(word => word !== ''),
    },
  }
}

function growthOf(isLarge: boolean, chosenCount: number | null): GrowthCounts {
  if (chosenCount === null) return GROWTH[isLarge ? 'large' : 'whole']
  return { from: chosenCount, to: chosenCount * 10, messageCount: chosenCount }
}

function positive(option: string, text: string): number {
  const value = Number(text.replaceAll('_', ''))
  if (!Number.isSafeInteger(value) || value < 1)
    throw new UsageError(`${option} is a whole number above zero, not \`${text}\``)
  return value
}

function chosen<Name extends string>(
  option: string,
  text: string | undefined,
  known: readonly Name[],
): readonly Name[] {
  if (text === undefined) return known
  if (text === 'none') return []
  const names = text.split(',')
  const unknown = names.find(name => !known.some(one => one === name))
  if (unknown !== undefined)
    throw new UsageError(`${option}: there is no \`${unknown}\`; there are ${known.join(', ')}`)
  return known.filter(name => names.includes(name))
}
