/**
 * `stream-ingest offsets show|set`: where a pipeline stands in its table, and how it is moved.
 *
 * @module
 */
import type { IngestConfig } from '../config/config.ts'
import { ConfigError, EXIT_CODES } from '../error.ts'
import { formatCount, formatNumberOf } from '../observe/format.ts'
import type { OffsetMove, OffsetTarget } from '../pipeline/offset-move.ts'
import { StreamIngestProcessor } from '../pipeline/stream-ingest-processor.ts'
import { type CommandIo, writeText } from './command-io.ts'
import { formatJsonDocument } from './json-document.ts'
import { formatTable, type TextColumn } from './text-table.ts'

export interface SetOffsetsOptions {
  readonly to: OffsetTarget
  readonly topic?: string
  readonly partitions?: readonly number[]
  readonly reason?: string
  readonly dryRun?: boolean
  readonly force?: boolean
  /** Somebody has seen what would be done. */
  readonly yes?: boolean
  readonly json?: boolean
}

const COLUMNS: readonly TextColumn[] = [
  { header: 'partition', align: 'left' },
  { header: 'from', align: 'right' },
  { header: 'to', align: 'right' },
  { header: 'messages', align: 'right' },
]

/**
 * Moves the offsets of one pipeline, or with `dryRun` says what would be moved.
 *
 * @returns the exit code
 * @throws ConfigError `CONFIG_USAGE` where nobody has said `--yes`, after showing what would be done
 */
export async function setOffsetsCommand(
  config: IngestConfig,
  options: SetOffsetsOptions,
  io: CommandIo,
): Promise<number> {
  const { to, topic, partitions, reason, force } = options
  const dryRun = options.dryRun === true || options.yes !== true
  const move = await new StreamIngestProcessor(config, { runtime: io.runtime }).moveOffsets({
    to,
    dryRun,
    ...(topic === undefined ? {} : { topic }),
    ...(partitions === undefined ? {} : { partitions }),
    ...(reason === undefined ? {} : { reason }),
    ...(force === undefined ? {} : { force }),
  })
  const isWanting = options.dryRun !== true && options.yes !== true && move.changes.length > 0
  if (options.json === true && !isWanting) {
    await writeText(io.stdout, formatJsonDocument({ ...move, dryRun: options.dryRun === true }))
    return EXIT_CODES.ok
  }
  await writeText(isWanting ? io.stderr : io.stdout, formatMove(move, dryRun))
  if (isWanting) {
    throw new ConfigError('CONFIG_USAGE', 'nothing was moved: this needs `--yes`', {
      hint: 'look at what would be done above, and say `--yes`',
    })
  }
  return EXIT_CODES.ok
}

function formatMove(move: OffsetMove, isPlan: boolean): string {
  const { pipeline, table, version, changes, repeated, passedOver } = move
  if (changes.length === 0) return `${pipeline}  ${table}\nnothing to move\n`
  const rows = changes.map(({ topic, partition, fromOffset, toOffset }) => [
    `${topic}[${partition}]`,
    fromOffset === null ? '–' : formatCount(fromOffset),
    formatCount(toOffset),
    fromOffset === null ? '' : distance(toOffset - fromOffset),
  ])
  const lines = [`${pipeline}  ${table}\n`, formatTable(COLUMNS, rows)]
  const would = isPlan ? 'would be' : 'are'
  if (repeated > 0n)
    lines.push(`${formatNumberOf(repeated, 'message')} ${would} ingested once more: their rows stay\n`)
  if (passedOver > 0n) lines.push(`${formatNumberOf(passedOver, 'message')} ${would} never ingested\n`)
  lines.push(version === null ? 'nothing was changed\n' : `moved in version ${version}\n`)
  return lines.join('')
}

function distance(offsets: bigint): string {
  return `${offsets > 0n ? '+' : ''}${formatCount(offsets)}`
}
