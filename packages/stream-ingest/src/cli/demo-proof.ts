/**
 * The proof of the demonstration: every message of the topic is in the table exactly once.
 *
 * Read from the table alone, through the same library that any reader uses; nothing that a writer said about itself counts.
 *
 * @module
 */
import { isDeepStrictEqual } from 'node:util'
import { LOG_PREFIX, type Snapshot, scanTable, type TableRow } from '@stream-ingest/delta'
import type { DemoTopic } from '../testing/demo-topic.ts'
import { type MessageSummary, MessageSummaryBuilder } from '../testing/generate-messages.ts'
import type { CommandIo } from './command-io.ts'
import { openTable } from './open-table.ts'

export interface ProofFacts {
  /** Commits that brought rows: all but the one that created the table. */
  readonly commits: number
  readonly rows: number
  readonly files: number
  readonly sizeBytes: number
  /** Data files in the store that no commit names: what the killed writer left behind. */
  readonly orphans: number
  /** Rows of a message that another row has already brought, or that the topic does not hold. */
  readonly duplicates: number
  /** Messages without a row. */
  readonly gaps: number
  /** Do counts, sums, minima and maxima of every column equal those of the messages? */
  readonly sumsMatch: boolean
}

export interface Proof {
  readonly ok: boolean
  /** Empty where it holds. */
  readonly problems: readonly string[]
  readonly facts: ProofFacts
}

/**
 * Reads the whole table of a configuration and compares it with the topic.
 *
 * @throws DeltaLakeError where the table cannot be read
 */
export async function proveExactlyOnce(
  configFile: string,
  topic: Pick<DemoTopic, 'name' | 'summary' | 'partitionCounts'>,
  io: CommandIo,
  progressed: (rowCount: number) => void = () => {},
): Promise<Proof> {
  const { snapshot, close } = await openTable(configFile, {}, io)
  try {
    const offsets = new OffsetCheck(topic.partitionCounts)
    const summary = new MessageSummaryBuilder()
    const problems: string[] = []
    let rowCount = 0
    for await (const rows of scanTable(snapshot)) {
      for (const row of rows) {
        offsets.add(row)
        summary.add({ event: eventOf(row) })
      }
      rowCount += rows.length
      progressed(rowCount)
    }
    const sumsMatch = compareSummaries(summary.summary(), topic.summary, problems)
    const { duplicates, gaps } = offsets.finish()
    if (duplicates > 0) problems.push(`${duplicates} rows too many`)
    if (gaps > 0) problems.push(`${gaps} messages are missing`)
    const progress = checkProgress(snapshot, topic.partitionCounts)
    if (progress !== null) problems.push(progress)
    const { numFiles, sizeBytes } = await snapshot.fileTotals()
    const orphans = await countOrphans(snapshot)
    const rows = summary.summary().rowCount
    const commits = snapshot.version
    return {
      ok: problems.length === 0,
      problems,
      facts: { commits, rows, files: numFiles, sizeBytes, orphans, duplicates, gaps, sumsMatch },
    }
  } finally {
    await close()
  }
}

/** Which offsets of each topic partition have a row. */
class OffsetCheck {
  readonly #seen: readonly Uint8Array[]
  #duplicates = 0

  constructor(partitionCounts: readonly number[]) {
    this.#seen = partitionCounts.map(count => new Uint8Array(count))
  }

  add(row: TableRow): void {
    const seen = this.#seen[row._kafka_partition as number]
    const offset = Number(row._kafka_offset)
    if (seen === undefined || offset >= seen.length || seen[offset] !== 0) this.#duplicates++
    else seen[offset] = 1
  }

  finish(): { duplicates: number; gaps: number } {
    let gaps = 0
    for (const seen of this.#seen) for (const flag of seen) if (flag === 0) gaps++
    return { duplicates: this.#duplicates, gaps }
  }
}

type Event = NonNullable<Parameters<MessageSummaryBuilder['add']>[0]['event']>

function eventOf(row: TableRow): Event {
  return {
    user_id: row.user_id as bigint,
    event_type: row.event_type as string,
    // The messages have milliseconds.
    timestamp: Number(row.timestamp) / 1_000,
    session_id: row.session_id as string,
    page: row.page as string,
    amount: row.amount as number | null,
    quantity: row.quantity as number,
    is_mobile: row.is_mobile as boolean,
  }
}

function compareSummaries(table: MessageSummary, topic: MessageSummary, problems: string[]): boolean {
  const before = problems.length
  if (table.rowCount !== topic.rowCount) {
    problems.push(`the table has ${table.rowCount} rows, the topic ${topic.rowCount} messages`)
  }
  for (const name of Object.keys(topic.columns) as (keyof MessageSummary['columns'])[]) {
    if (!isDeepStrictEqual(table.columns[name], topic.columns[name])) {
      problems.push(`the figures of the column \`${name}\` are not those of the messages`)
    }
  }
  return problems.length === before
}

/** The offsets in the table, from which the next run goes on, are the ends of the partitions. */
function checkProgress({ state }: Snapshot, partitionCounts: readonly number[]): string | null {
  const versions = new Map<number, bigint>()
  for (const { appId, version } of state.txns.values()) {
    versions.set(Number(appId.slice(appId.lastIndexOf(':') + 1)), version)
  }
  const behind = partitionCounts.findIndex(
    (count, partition) => (versions.get(partition) ?? 0n) !== BigInt(count),
  )
  if (behind < 0) return null
  return `the table goes on at offset ${versions.get(behind) ?? 0n} of partition ${behind}, which has ${partitionCounts[behind]} messages`
}

async function countOrphans(snapshot: Snapshot): Promise<number> {
  const live = new Set<string>()
  // The demonstration's own table: every path is the key, and there are few.
  for await (const { path } of snapshot.files()) live.add(path)
  let orphans = 0
  for await (const { key } of snapshot.store.list('')) {
    if (!key.startsWith(LOG_PREFIX) && key.endsWith('.parquet') && !live.has(key)) orphans++
  }
  return orphans
}
