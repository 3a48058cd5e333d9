/**
 * `stream-ingest offsets set|reset`: moving a pipeline in its table. `offsets show` is `status` with its partitions.
 *
 * @module
 */
import type { IngestConfig } from '../config/config.ts'
import { ConfigError, EXIT_CODES } from '../error.ts'
import { formatCount, formatDuration, formatNumberOf } from '../observe/format.ts'
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
  { header: 'offsets', align: 'right' },
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
    const needed = move.activeCommit === null || force === true ? '`--yes`' : '`--yes` and `--force`'
    throw new ConfigError('CONFIG_USAGE', `nothing was moved: this needs ${needed}`, {
      hint: `look at what would be done above, and say ${needed}`,
    })
  }
  return EXIT_CODES.ok
}

function formatMove(move: OffsetMove, isPlan: boolean): string {
  const { pipeline, table, version, changes, repeated, passedOver, activeCommit } = move
  if (changes.length === 0) return `${pipeline}  ${table}\nnothing to move\n`
  const rows = changes.map(({ topic, partition, fromOffset, toOffset }) => [
    `${topic}[${partition}]`,
    fromOffset === null ? '–' : formatCount(fromOffset),
    formatCount(toOffset),
    fromOffset === null ? '' : distance(toOffset - fromOffset),
  ])
  const lines = [`${pipeline}  ${table}\n`, formatTable(COLUMNS, rows)]
  const would = isPlan ? 'would be' : 'will be'
  if (repeated > 0n) {
    lines.push(
      `${formatNumberOf(repeated, 'offset')} ${would} ingested once more: the rows that are there stay, so that they are there twice\n`,
    )
  }
  if (passedOver > 0n) lines.push(`${formatNumberOf(passedOver, 'offset')} ${would} never ingested\n`)
  if (activeCommit !== null) lines.push(activeNote(activeCommit))
  lines.push(version === null ? 'nothing was changed\n' : `moved in version ${version}\n`)
  return lines.join('')
}

/** One that has nothing to commit does not notice that its place was moved. */
function activeNote({ version, ageMs }: NonNullable<OffsetMove['activeCommit']>): string {
  const age = formatDuration(ageMs)
  return `a process of the pipeline seems to be running (it committed version ${version} ${age} ago): at its next commit of a moved partition it drops what it holds and reads from there; start it again to have it do so at once\n`
}

function distance(offsets: bigint): string {
  return `${offsets > 0n ? '+' : ''}${formatCount(offsets)}`
}
