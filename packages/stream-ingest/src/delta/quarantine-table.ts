/**
 * The table of bad records, `<table>_quarantine`: its commits, each a step of the series of `quarantine-numbers.ts`.
 *
 * Several processes may commit to it at once. Whoever meets another's step of the same series reads the table again and
 * takes the next number: which of the two counts is decided by the commits of the table that the records are from.
 *
 * @module
 */
import assert from 'node:assert/strict'
import {
  type Add,
  type CommitOutcome,
  DeltaTable,
  encodeDataFile,
  loadSnapshot,
  type ObjectStore,
  type ParquetCodec,
  type ParquetEncoder,
  primitive,
  type Remove,
  type RowUpdate,
  type Runtime,
  type Statistics,
  struct,
  type TableRow,
  type TableState,
  type Txn,
  type UpdateOptions,
  type UpkeepOutcome,
  updateRows,
  uploadDataFile,
} from '@stream-ingest/delta'
import { type Column, type ColumnBatch, sliceBatch } from '@stream-ingest/delta/column'
import { DeltaError } from '../error.ts'
import { batchSizeBytes } from './epoch-encoder.ts'
import {
  isPending,
  isVoid,
  mayHoldVoid,
  nextNumber,
  openAppId,
  readSeries,
  type SeriesNumbers,
  settledAppId,
  settlesUpTo,
  type Txns,
} from './quarantine-numbers.ts'
import { ATTEMPT_FIELD, assertQuarantineTable, QUARANTINE_SCHEMA } from './quarantine-schema.ts'

/** Times that one step is begun anew because others committed to the quarantine meanwhile. */
export const QUARANTINE_ATTEMPTS_MAX = 20
/** Bytes of columns in one file. */
const FILE_MAX_BYTES = 64 * 1024 ** 2

export interface QuarantineTableOptions {
  /** Of the table that the records are from: shown in the history. */
  readonly queryId: string
  readonly codec: ParquetCodec
  readonly compressionLevel?: number
  readonly checkpointInterval?: number
}

/** The series of a topic partition's attempts, and the progress that goes with the next one. */
export interface AttemptSeries {
  /** Of the offsets, in both tables. */
  readonly appId: string
  readonly series: string
  readonly nextOffset: bigint
}

/** A step that was taken: the commit of the table has to name it in place of what it names. */
export interface TakenNumber {
  readonly series: string
  readonly number: bigint
  /** What the table named when the step was taken; null where nothing. */
  readonly expected: bigint | null
}

/** A step of a series that rows bear after they were written. */
export interface Step {
  /** The number that it takes. */
  readonly number: bigint
  /** Where the series stood before. */
  readonly standing: SeriesNumbers
}

/** Which rows a step changes. It takes the marks of void steps away, wherever they may be. */
export interface RowChange {
  mayHold(add: Add, statistics: Statistics | null, step: Step): boolean
  change(row: TableRow, step: Step): TableRow | null
}

interface Commit {
  readonly adds: readonly Add[]
  readonly rowCounts: readonly number[]
  readonly update: RowUpdate | null
  readonly txns: readonly Txn[]
  readonly operation: string
  readonly metrics: Readonly<Record<string, string>>
}

export class QuarantineTable {
  readonly store: ObjectStore
  private readonly encoder: ParquetEncoder
  private readonly runtime: Runtime
  private readonly options: QuarantineTableOptions
  private table: DeltaTable | null

  private constructor(
    store: ObjectStore,
    table: DeltaTable | null,
    encoder: ParquetEncoder,
    runtime: Runtime,
    options: QuarantineTableOptions,
  ) {
    this.store = store
    this.table = table
    this.encoder = encoder
    this.runtime = runtime
    this.options = options
  }

  /**
   * Looks whether there is one; the first bad record creates it.
   *
   * @throws DeltaError `TABLE_SCHEMA_MISMATCH` where the table is none of bad records, and what opening a table throws
   */
  static async open(
    store: ObjectStore,
    encoder: ParquetEncoder,
    runtime: Runtime,
    options: QuarantineTableOptions,
  ): Promise<QuarantineTable> {
    const table = await DeltaTable.open(store, { runtime })
    if (table !== null) assertQuarantineTable(store.uri, table.state)
    return new QuarantineTable(store, table, encoder, runtime, options)
  }

  /** Null where there is none yet. */
  get state(): TableState | null {
    return this.table?.state ?? null
  }

  get txns(): Txns {
    return this.table?.state.txns ?? new Map()
  }

  /** Reads what others have committed. */
  async reload(): Promise<void> {
    if (this.table === null) this.table = await DeltaTable.open(this.store, { runtime: this.runtime })
    else await this.table.reload()
  }

  /**
   * Appends records, an attempt for each of the series.
   *
   * @param batch columns of `QUARANTINED_RECORD`, at least one row
   * @param seriesOfRow index into `series` for each row
   * @param named what the table names just now: its `txn`s
   * @param ofRun numbers that a run which replaces the table has taken before: its rows all have the same. Null for commits
   *   that append
   * @throws DeltaError `DELTA_COMMIT_CONTENTION`, `DELTA_TABLE_CHANGED`, `TABLE_SCHEMA_MISMATCH`, what the store throws
   */
  async append(
    batch: ColumnBatch,
    seriesOfRow: Int32Array,
    series: readonly AttemptSeries[],
    named: Txns,
    ofRun: ReadonlyMap<string, bigint> | null = null,
  ): Promise<readonly TakenNumber[]> {
    assert(batch.rowCount > 0 && seriesOfRow.length === batch.rowCount)
    await this.create()
    let files: { numbers: readonly bigint[]; adds: readonly Add[]; rowCounts: readonly number[] } | null =
      null
    return this.retrying(async () => {
      const { txns } = this
      const standings = series.map(each => readSeries(each.series, txns, named))
      if (standings.some(mayHoldVoid)) return this.sweep(series, named)
      const numbers = series.map((each, i) => ofRun?.get(each.series) ?? nextNumber(standings[i]!))
      this.assertUnsettled(numbers, standings)
      if (files === null || files.numbers.some((number, i) => number !== numbers[i])) {
        // Crash here: files that no commit names, those of an earlier turn too; VACUUM removes them.
        files = { numbers, ...(await this.upload(withAttempts(batch, seriesOfRow, numbers))) }
      }
      // Crash here: as above; the records are read again from Kafka.
      const outcome = await this.commit({
        ...files,
        update: null,
        txns: series.flatMap((each, i) => [
          this.txn(each.appId, larger(txns.get(each.appId)?.version, each.nextOffset)),
          ...this.step(each.series, larger(standings[i]!.taken, numbers[i]!), standings[i]!),
          ...(ofRun === null ? [] : [this.txn(openAppId(each.series), numbers[i]!)]),
        ]),
        operation: 'STREAMING UPDATE',
        metrics: { numQuarantinedRecords: String(batch.rowCount) },
      })
      if (outcome.status === 'conflict') return outcome
      // Crash here: rows that count nowhere, since the table does not name their attempt. The records are read again, and
      // the rows go with the next attempt that counts.
      return series.map((each, i) => taken(each.series, numbers[i]!, named))
    })
  }

  /**
   * Takes out the rows of attempts that can never count any more, of those series that have any.
   *
   * @param dead series whose last attempts, which the table does not name, are known to be void as well
   * @returns whether there was anything to do, or the conflict that was met
   */
  async sweep(
    series: readonly { readonly series: string; readonly appId: string }[],
    named: Txns,
    dead: ReadonlySet<string> = new Set(),
  ): Promise<'swept' | Extract<CommitOutcome, { status: 'conflict' }>> {
    const { txns } = this
    const standings = new Map(series.map(each => [each.appId, readSeries(each.series, txns, named)]))
    const isSwept = (row: TableRow): boolean => {
      const appId = appIdOfRow(row)
      const numbers = standings.get(appId)
      if (numbers === undefined) return false
      const number = row.attempt as bigint
      return isVoid(number, numbers) || (dead.has(appId) && number > settlesUpTo(numbers))
    }
    const update = await this.update(mayHoldAttempts([...standings.values()], dead.size > 0), row =>
      isSwept(row) ? null : row,
    )
    const outcome = await this.commit({
      adds: [],
      rowCounts: [],
      update,
      txns: series.map(each => {
        const numbers = standings.get(each.appId)!
        const settled = settlesUpTo(numbers)
        return this.txn(
          settledAppId(each.series),
          dead.has(each.appId) && isPending(numbers) ? numbers.taken : settled,
        )
      }),
      operation: 'DELETE',
      metrics: { numDeletedRows: String(update.rowsRemoved) },
    })
    return outcome.status === 'conflict' ? outcome : 'swept'
  }

  /**
   * Takes the next number of a series, and changes rows under it.
   *
   * @returns the step, and how many rows it changed; null where another process took a step of the series meanwhile
   */
  async take(
    series: string,
    named: Txns,
    rows: RowChange,
    details: { readonly operation: string; readonly metrics?: Readonly<Record<string, string>> },
  ): Promise<(TakenNumber & { readonly rowsChanged: number }) | null> {
    const before = readSeries(series, this.txns, named)
    return this.retrying(async () => {
      const standing = readSeries(series, this.txns, named)
      if (standing.taken !== before.taken) return null
      const number = nextNumber(standing)
      const step = { number, standing }
      const update = await this.update(
        (add, statistics) => rows.mayHold(add, statistics, step),
        row => rows.change(row, step),
      )
      // Crash here: files that no commit names; VACUUM removes them.
      const outcome = await this.commit({
        adds: [],
        rowCounts: [],
        update,
        txns: this.step(series, number, standing),
        operation: details.operation,
        metrics: { numUpdatedRows: String(update.rowsChanged), ...details.metrics },
      })
      if (outcome.status === 'conflict') return outcome
      return { ...taken(series, number, named), rowsChanged: update.rowsChanged }
    })
  }

  /** Checksum and checkpoint of the newest version; never throws. */
  async upkeep(): Promise<UpkeepOutcome | null> {
    return (await this.table?.upkeep(this.encoder, this.options.checkpointInterval)) ?? null
  }

  private async create(): Promise<void> {
    if (this.table !== null) return
    const spec = { schema: QUARANTINE_SCHEMA, partitionColumns: [], properties: {} }
    // Crash here: an empty table, or none.
    const { table } = await DeltaTable.openOrCreate(this.store, spec, { runtime: this.runtime })
    assertQuarantineTable(this.store.uri, table.state)
    this.table = table
  }

  /** Does it again where others committed meanwhile; `swept` is a turn too. */
  private async retrying<T>(
    turn: () => Promise<T | 'swept' | Extract<CommitOutcome, { status: 'conflict' }>>,
  ): Promise<T> {
    for (let attempt = 1; attempt <= QUARANTINE_ATTEMPTS_MAX; attempt++) {
      const result = await turn()
      if (result === 'swept') continue
      if (!isConflict(result)) return result
      if (result.reason.kind === 'table-replaced') {
        throw new DeltaError(
          'DELTA_TABLE_CHANGED',
          `version ${result.winner} of ${this.store.uri} gives the table another id (\`${result.reason.tableId}\`)`,
        )
      }
      await this.reload()
      assertQuarantineTable(this.store.uri, this.table!.state)
    }
    throw new DeltaError(
      'DELTA_COMMIT_CONTENTION',
      `others changed ${this.store.uri} ${QUARANTINE_ATTEMPTS_MAX} times during one commit`,
    )
  }

  private async upload(batch: ColumnBatch): Promise<{ adds: Add[]; rowCounts: number[] }> {
    const { codec, compressionLevel } = this.options
    const file = { codec, ...(compressionLevel === undefined ? {} : { compressionLevel }) }
    const fileCount = Math.max(1, Math.ceil(batchSizeBytes(batch) / FILE_MAX_BYTES))
    const rowsPerFile = Math.ceil(batch.rowCount / fileCount)
    const adds: Add[] = []
    const rowCounts: number[] = []
    for (let from = 0; from < batch.rowCount; from += rowsPerFile) {
      const slice = sliceBatch(batch, from, Math.min(batch.rowCount, from + rowsPerFile))
      const encoded = encodeDataFile(this.table!.state, this.encoder, slice, {}, file, this.runtime)
      adds.push(await uploadDataFile(this.store, encoded, this.runtime))
      rowCounts.push(slice.rowCount)
    }
    return { adds, rowCounts }
  }

  private async update(
    mayHold: UpdateOptions['mayHold'],
    change: UpdateOptions['change'],
  ): Promise<RowUpdate> {
    const { version } = this.table!.state
    const snapshot = await loadSnapshot(this.store, { version, nowMs: this.runtime.now() })
    assert(snapshot !== null, 'the quarantine is there')
    const { codec, compressionLevel } = this.options
    return updateRows(snapshot, this.encoder, this.runtime, {
      mayHold,
      change,
      codec,
      ...(compressionLevel === undefined ? {} : { compressionLevel }),
    })
  }

  private async commit({
    adds,
    rowCounts,
    update,
    txns,
    operation,
    metrics,
  }: Commit): Promise<CommitOutcome> {
    const table = this.table!
    await table.assertOwnCommitStands()
    const removes: readonly Remove[] = update?.removes ?? []
    return table.commit({
      operation,
      operationParameters: { queryId: this.options.queryId },
      operationMetrics: {
        numAddedFiles: String(adds.length + (update?.adds.length ?? 0)),
        numRemovedFiles: String(removes.length),
        ...metrics,
      },
      actions: {
        adds: [...adds, ...(update?.adds ?? [])],
        removes,
        txns,
        domainMetadata: [],
        metadata: null,
        protocol: null,
      },
      reads: { appIds: new Set(), filePaths: update?.filePaths ?? new Set(), wholeTable: false },
      rowCounts: [...rowCounts, ...(update?.rowCounts ?? [])],
      ...(update === null ? {} : { preservesRowIds: false }),
      txnId: this.runtime.uuid(),
    })
  }

  /** Below what is settled every row would count at once. */
  private assertUnsettled(numbers: readonly bigint[], standings: readonly SeriesNumbers[]): void {
    if (standings.every(({ settled, named }, i) => numbers[i]! > settled && numbers[i]! > named)) return
    throw new DeltaError(
      'DELTA_TABLE_CHANGED',
      `another process has put later records of the same pipeline into ${this.store.uri}`,
      { hint: 'stop the other process, and run again' },
    )
  }

  private step(series: string, number: bigint, standing: SeriesNumbers): Txn[] {
    return [this.txn(series, number), this.txn(settledAppId(series), settlesUpTo(standing))]
  }

  private txn(appId: string, version: bigint): Txn {
    return { appId, version, lastUpdated: this.runtime.now() }
  }
}

/** The app id of the offsets of the topic partition that a row is from. */
export function appIdOfRow(row: TableRow): string {
  return `${String(row.pipeline)}:${String(row.topic_id)}:${String(row.partition)}`
}

function taken(series: string, number: bigint, named: Txns): TakenNumber {
  return { series, number, expected: named.get(series)?.version ?? null }
}

function isConflict(result: unknown): result is Extract<CommitOutcome, { status: 'conflict' }> {
  return typeof result === 'object' && result !== null && 'status' in result && result.status === 'conflict'
}

function larger(left: bigint | undefined, right: bigint): bigint {
  return left !== undefined && left > right ? left : right
}

function withAttempts(batch: ColumnBatch, seriesOfRow: Int32Array, numbers: readonly bigint[]): ColumnBatch {
  const length = batch.rowCount
  const attempts: Column = {
    kind: 'int64',
    type: primitive('long'),
    length,
    nullCount: 0,
    validity: null,
    values: BigInt64Array.from(seriesOfRow, index => numbers[index]!),
  }
  return {
    schema: struct([...batch.schema.fields, ATTEMPT_FIELD]),
    rowCount: length,
    columns: [...batch.columns, attempts],
  }
}

/** Files whose attempts overlap with any that may be void. */
function mayHoldAttempts(standings: readonly SeriesNumbers[], anyDead: boolean): UpdateOptions['mayHold'] {
  const lowest = standings.map(({ settled, floor }) => (floor > settled ? 0n : settled))
  const from = lowest.reduce((low, each) => (each < low ? each : low), lowest[0] ?? 0n)
  const to = standings.reduce((high, { named }) => (named > high ? named : high), 0n)
  return (_add, statistics) => {
    const bounds = longBounds(statistics, ATTEMPT_FIELD.name)
    if (bounds === null) return true
    return bounds.max > from && (anyDead || bounds.min < to)
  }
}

/** The bounds of an integer column; null where they are not known. */
export function longBounds(
  statistics: Statistics | null,
  column: string,
): { min: bigint; max: bigint } | null {
  const min = asInteger(statistics?.minValues?.[column])
  const max = asInteger(statistics?.maxValues?.[column])
  return min === null || max === null ? null : { min, max }
}

function asInteger(value: unknown): bigint | null {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : null
  const text = String((value as { text?: unknown } | undefined)?.text ?? '')
  return /^-?\d{1,19}$/.test(text) ? BigInt(text) : null
}
