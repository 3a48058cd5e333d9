/**
 * Records of the quarantine back into the table, exactly once: those that fit the configuration as it is now.
 *
 * A batch of records that fit is first marked in the quarantine with the next number of the pipeline's replays; the
 * commit of their rows then names that number (`quarantine-numbers.ts`), and only by that they are replayed. What a
 * replay leaves behind that dies in between is a mark that counts for nothing: the next one sees to it that the table
 * can never name it, takes it away, and begins again.
 *
 * @module
 */
import {
  loadSnapshot,
  type ObjectStore,
  type Runtime,
  systemRuntime,
  type TableRow,
} from '@stream-ingest/delta'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { isPending, isVoid, mayHoldVoid, readSeries, replaySeries } from '../delta/quarantine-numbers.ts'
import {
  longBounds,
  type QuarantineTable,
  type RowChange,
  type TakenNumber,
} from '../delta/quarantine-table.ts'
import type { EpochColumns, EpochOutcome, TableWriter } from '../delta/table-writer.ts'
import { DeltaError } from '../error.ts'
import type { S3Client } from '../s3/s3-client.ts'
import type { BadRecord, EpochCut } from './epoch.ts'
import { Epoch } from './epoch.ts'
import { epochColumns } from './epoch-commit.ts'
import { flushLimits, TABLE_PARTITIONS_MAX } from './flush-policy.ts'
import { openLake } from './observed-parts.ts'
import { type OpenedTable, openTable } from './open-table.ts'
import { naming, openQuarantineTable } from './quarantine.ts'
import { type QuarantineFilter, QuarantineView, scanQuarantine } from './quarantine-reader.ts'
import { chunksOfRows, recordKey, recordKeyOf, rowSizeBytes } from './quarantine-records.ts'
import { RecordQueue, recordBatchMaxBytes } from './record-queue.ts'
import { askMergeRules, layoutFor } from './schema-growth.ts'

/** Records in one commit: as many table partitions may they fall into at most. */
export const REPLAY_BATCH_RECORDS_MAX = TABLE_PARTITIONS_MAX
/** A record is held as a row, in a batch, as columns and in the encoded file. */
const COPIES = 4
/** Times that others may come in between before a replay gives up. */
const RESTARTS_MAX = 50
const RESTART_DELAY_MS = 200

export interface ReplayOptions {
  /** Which records are tried. */
  readonly filter?: QuarantineFilter
  /** Records in one commit; {@link REPLAY_BATCH_RECORDS_MAX} by default and at most. */
  readonly batchRecords?: number
  /** Aborted: ends after the commit that is under way. */
  readonly signal?: AbortSignal
  readonly progressed?: (result: ReplayResult) => void
  readonly runtime?: Runtime
  /** In place of S3 or the local directory; rooted where the tables' folders are. */
  readonly store?: ObjectStore
  /** Around whichever store is used: fault injection. */
  readonly wrapStore?: (store: ObjectStore) => ObjectStore
}

/** `tried = replayed + misfits`. */
export interface ReplayResult {
  readonly table: string
  readonly quarantine: string
  /** Nothing was written. */
  readonly dryRun: boolean
  /** Records that were in the quarantine and decoded by the configuration. */
  readonly tried: number
  /** Those that left the quarantine. */
  readonly replayed: number
  /** Rows that are in the table for them; the others were tombstones, which the configuration leaves out. */
  readonly rows: number
  /** Those that still do not fit. */
  readonly misfits: number
  /** Why not, for the first record of each code and path; at most {@link MISFIT_REASONS_MAX}. */
  readonly misfitReasons: readonly MisfitReason[]
  readonly commits: number
  readonly files: number
  readonly bytesWritten: number
  /** Of the table; null where there is none. */
  readonly version: number | null
  /** Of the quarantine; null where there is none. */
  readonly quarantineVersion: number | null
}

export interface MisfitReason {
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
  readonly errorCode: string
  readonly columnPath: string
  readonly errorMessage: string
}

export const MISFIT_REASONS_MAX = 20

/** `again`: others came in between; the tables say where to go on. */
type Progress = 'done' | 'again'

/**
 * Decodes what is in the quarantine and was not replayed, and ingests what fits.
 *
 * @throws what opening and committing throw; DeltaError `DELTA_COMMIT_CONTENTION` where others come in between again and
 *   again
 */
export async function replayQuarantine(
  config: PipelineConfig,
  options: ReplayOptions = {},
): Promise<ReplayResult> {
  const { runtime = systemRuntime, store, wrapStore } = options
  const lake = openLake(config, runtime, { store, wrapStore })
  try {
    return await replayIn(config, lake, runtime, options)
  } finally {
    await lake.close()
  }
}

async function replayIn(
  config: PipelineConfig,
  lake: S3Client,
  runtime: Runtime,
  options: ReplayOptions,
): Promise<ReplayResult> {
  const quarantine = await openQuarantineTable(config, lake, runtime)
  if (!(await lake.checkDeltaTableExists(config.delta.tableName))) {
    const { uri } = lake.tableStore(config.delta.tableName)
    throw new DeltaError(
      'DELTA_TABLE_NOT_FOUND',
      `there is no Delta table at \`${uri}\`, to which the records of the quarantine belong`,
      { hint: 'correct `delta.table_name`, or run the pipeline first', context: { table: uri } },
    )
  }
  // The rows are added whatever a run would do with the table.
  const opened = await openTable(
    { ...config, delta: { ...config.delta, writeMode: 'append' } },
    lake,
    runtime,
    {
      create: false,
    },
  )
  const replay = new QuarantineReplay(config, opened, quarantine, runtime, options)
  return replay.run()
}

class QuarantineReplay {
  private readonly config: PipelineConfig
  private readonly table: OpenedTable
  private readonly quarantine: QuarantineTable
  private readonly runtime: Runtime
  private readonly options: ReplayOptions
  private readonly series: string
  private readonly isDryRun: boolean
  private readonly counts = {
    tried: 0,
    replayed: 0,
    rows: 0,
    misfits: 0,
    commits: 0,
    files: 0,
    bytesWritten: 0,
  }
  private readonly reasons = new Map<string, MisfitReason>()

  constructor(
    config: PipelineConfig,
    table: OpenedTable,
    quarantine: QuarantineTable,
    runtime: Runtime,
    options: ReplayOptions,
  ) {
    this.config = config
    this.table = table
    this.quarantine = quarantine
    this.runtime = runtime
    this.options = options
    this.series = replaySeries(config.pipelineId)
    this.isDryRun = config.processing.dryRun
  }

  async run(): Promise<ReplayResult> {
    for (let restarts = 0; restarts < RESTARTS_MAX; restarts++) {
      // What does not fit is met anew in each turn; what was replayed is not.
      this.counts.tried = this.counts.replayed
      this.counts.misfits = 0
      this.reasons.clear()
      if ((await this.pass()) === 'done') return this.result()
      await this.runtime.delay(this.runtime.random() * RESTART_DELAY_MS)
    }
    throw new DeltaError(
      'DELTA_COMMIT_CONTENTION',
      `others changed ${this.quarantine.store.uri} or its table ${RESTARTS_MAX} times during one replay`,
    )
  }

  private async pass(): Promise<Progress> {
    const { quarantine, series } = this
    const { writer } = this.table
    await quarantine.reload()
    if (quarantine.state === null) return 'done'
    await writer?.table.reload()
    const named = writer?.table.state.txns ?? new Map()
    const standing = readSeries(series, quarantine.txns, named)
    if (!this.isDryRun && (isPending(standing) || mayHoldVoid(standing))) return this.clear()
    const { version } = quarantine.state
    const snapshot = await loadSnapshot(quarantine.store, { version, nowMs: this.runtime.now() })
    const view = new QuarantineView(quarantine.txns, named)
    const filter = { ...this.options.filter, pipelineId: this.config.pipelineId }
    const memoryBytes = flushLimits(this.config).memoryBytes / COPIES
    const recordsMax = Math.min(
      this.options.batchRecords ?? REPLAY_BATCH_RECORDS_MAX,
      REPLAY_BATCH_RECORDS_MAX,
    )
    let batch: TableRow[] = []
    let sizeBytes = 0
    for await (const rows of scanQuarantine(snapshot!, view, filter)) {
      for (const row of rows) {
        if (view.isReplayed(row)) continue
        batch.push(row)
        sizeBytes += rowSizeBytes(row)
        if (batch.length < recordsMax && sizeBytes < memoryBytes) continue
        if (this.options.signal?.aborted === true) return 'done'
        if ((await this.replay(batch)) === 'again') return 'again'
        batch = []
        sizeBytes = 0
      }
    }
    if (batch.length === 0 || this.options.signal?.aborted === true) return 'done'
    return this.replay(batch)
  }

  /**
   * A replay has marked records and not committed their rows. Its mark must never count: the table names another number,
   * after which its commit is refused, and the mark is taken away.
   */
  private async clear(): Promise<Progress> {
    const taken = await this.quarantine.take(this.series, this.named, clearing(this.config.pipelineId), {
      operation: 'UPDATE',
    })
    // Crash here: one more number that the table does not name; the next replay is here again.
    if (taken !== null) await this.commit(this.emptyColumns(taken))
    return 'again'
  }

  private async replay(rows: readonly TableRow[]): Promise<Progress> {
    const { cut, bad } = this.decode(rows)
    const misfits = new Set(
      bad.map(({ topicPartition: tp, offset }) => recordKey(tp.topicId, tp.partition, offset)),
    )
    const fitting = rows.filter(row => !misfits.has(recordKeyOf(row)))
    if (fitting.length > 0 && !this.isDryRun) {
      const chosen = new Set(fitting.map(markOf))
      const taken = await this.quarantine.take(this.series, this.named, this.marking(fitting, chosen), {
        operation: 'UPDATE',
        metrics: { numReplayedRecords: String(fitting.length) },
      })
      // Crash here: marks that count for nothing, since the table does not name their number.
      if (taken === null || taken.rowsChanged !== fitting.length) return 'again'
      const columns = { ...this.columnsOf(cut, fitting.length), offsets: [naming(taken)] }
      const outcome = await this.commit(columns)
      if (outcome.status !== 'committed') return 'again'
      // Crash from here on: the rows are in the table, and the marks count.
      this.counts.commits++
      this.countFiles(outcome.files)
      await this.table.writer?.upkeep()
      await this.quarantine.upkeep()
    } else if (fitting.length > 0) {
      this.countFiles(this.table.writer?.planEpoch(this.columnsOf(cut, fitting.length)) ?? [])
    }
    this.counts.tried += rows.length
    this.counts.replayed += fitting.length
    this.counts.rows += cut.counts.rows
    this.counts.misfits += rows.length - fitting.length
    for (const each of bad) this.noteMisfit(each)
    this.options.progressed?.(this.result())
    return 'done'
  }

  private decode(rows: readonly TableRow[]): { cut: EpochCut; bad: BadRecord[] } {
    const { config, runtime } = this
    const { writer, layout } = this.table
    const table = writer?.table ?? null
    const current = table === null ? layout : layoutFor(config, layout, table.state)
    const { onNullValue } = config.processing
    const epoch = new Epoch(current, onNullValue, TABLE_PARTITIONS_MAX, askMergeRules(config, table))
    const queue = new RecordQueue(recordBatchMaxBytes(config.processing))
    queue.push(chunksOfRows(rows))
    const bad = [...epoch.appendAll(queue, runtime.now())]
    return { cut: epoch.cut(), bad }
  }

  /** Marks exactly these rows. */
  private marking(rows: readonly TableRow[], chosen: ReadonlySet<string>): RowChange {
    const replayedAt = BigInt(this.runtime.now()) * 1_000n
    let from = rows[0]!.offset as bigint
    let to = from
    for (const { offset } of rows as readonly { readonly offset: bigint }[]) {
      if (offset < from) from = offset
      if (offset > to) to = offset
    }
    return {
      mayHold: (_add, statistics) => {
        const bounds = longBounds(statistics, 'offset')
        return bounds === null || (bounds.min <= to && bounds.max >= from)
      },
      change: (row, { number }) =>
        row.replay === null && row.pipeline === this.config.pipelineId && chosen.has(markOf(row))
          ? { ...row, replay: number, replayed_at: replayedAt }
          : row,
    }
  }

  private columnsOf(cut: EpochCut, recordCount: number): EpochColumns {
    const columns = epochColumns(cut, {
      pipelineId: this.config.pipelineId,
      epochNumber: this.counts.commits + 1,
      committed: () => null,
    })
    return {
      ...columns,
      offsets: [],
      // They were consumed, and counted as bad, when they went into the quarantine: the sums over all commits hold.
      metrics: {
        numConsumedRecords: '0',
        numReplayedRecords: String(recordCount),
        numBadRecords: String(-recordCount),
        numQuarantinedRecords: String(-recordCount),
        numSkippedRecords: String(recordCount - cut.counts.rows),
        numFilteredRecords: '0',
      },
    }
  }

  /** A commit without rows that names the number. */
  private emptyColumns(taken: TakenNumber): EpochColumns {
    return { ...this.columnsOf(this.decode([]).cut, 0), offsets: [naming(taken)] }
  }

  private commit(columns: EpochColumns): Promise<EpochOutcome> {
    return this.writer.writeEpoch(columns)
  }

  private get writer(): TableWriter {
    const { writer } = this.table
    if (writer === null) throw new Error('a dry run commits nothing')
    return writer
  }

  private get named(): TableWriter['table']['state']['txns'] {
    return this.writer.table.state.txns
  }

  private countFiles(files: readonly { readonly sizeBytes: number }[]): void {
    this.counts.files += files.length
    for (const { sizeBytes } of files) this.counts.bytesWritten += sizeBytes
  }

  private noteMisfit({ topicPartition: { topic, partition }, offset, reason }: BadRecord): void {
    const { code: errorCode, path: columnPath, message: errorMessage } = reason
    const key = `${errorCode} ${columnPath}`
    if (this.reasons.has(key) || this.reasons.size >= MISFIT_REASONS_MAX) return
    this.reasons.set(key, { topic, partition, offset, errorCode, columnPath, errorMessage })
  }

  private result(): ReplayResult {
    return {
      table: this.table.writer?.table.store.uri ?? this.config.delta.tableName,
      quarantine: this.quarantine.store.uri,
      dryRun: this.isDryRun,
      ...this.counts,
      misfitReasons: [...this.reasons.values()],
      version: this.table.writer?.table.state.version ?? null,
      quarantineVersion: this.quarantine.state?.version ?? null,
    }
  }
}

/** A row among all, also where the same record was quarantined more than once. */
function markOf(row: TableRow): string {
  return `${recordKeyOf(row)}:${String(row.attempt)}`
}

/** Takes the marks of void replays away. */
function clearing(pipelineId: string): RowChange {
  return {
    mayHold: (_add, statistics, { standing }) => {
      const bounds = longBounds(statistics, 'replay')
      // Without bounds there may be no mark at all; where there is one, it is looked at.
      return bounds === null || bounds.max > standing.settled
    },
    change: (row, { standing }) =>
      row.replay !== null && row.pipeline === pipelineId && isVoid(row.replay as bigint, standing)
        ? { ...row, replay: null, replayed_at: null }
        : row,
  }
}
