/**
 * Where a pipeline's bad records go under `on_bad_record: quarantine`: into a table of their own, in a commit before that
 * of the epoch's rows (docs/decisions/0011).
 *
 * @module
 */
import { createParquetEncoder, type Runtime } from '@stream-ingest/delta'
import type { PipelineConfig } from '../config/ingest-config.ts'
import {
  attemptSeries,
  floorAppId,
  isOpen,
  isPending,
  mayHoldVoid,
  nextNumber,
  readSeries,
  replaySeries,
  type Txns,
} from '../delta/quarantine-numbers.ts'
import { quarantineTableName } from '../delta/quarantine-schema.ts'
import { QuarantineTable, type TakenNumber } from '../delta/quarantine-table.ts'
import type { OffsetAdvance, TableWriter } from '../delta/table-writer.ts'
import { publish } from '../observe/event.ts'
import type { S3Client } from '../s3/s3-client.ts'
import type { EpochRange } from './epoch-ranges.ts'
import type { QuarantinedRecords } from './quarantine-rows.ts'
import { appIdOf, parseAppId } from './start-position.ts'

/** @throws what {@link QuarantineTable.open} throws */
export async function openQuarantineTable(
  { delta, processing, pipelineId }: PipelineConfig,
  lake: S3Client,
  runtime: Runtime,
): Promise<QuarantineTable> {
  const store = lake.tableStore(quarantineTableName(delta.tableName))
  return QuarantineTable.open(store, createParquetEncoder(), runtime, {
    queryId: pipelineId,
    codec: processing.compression,
    ...(processing.compressionLevel === undefined ? {} : { compressionLevel: processing.compressionLevel }),
    ...(delta.checkpointInterval === undefined ? {} : { checkpointInterval: delta.checkpointInterval }),
  })
}

/** What the commit of the table must say, so that a step in the quarantine counts. */
export function naming({ series, number, expected }: TakenNumber): OffsetAdvance {
  return { appId: series, expected, nextOffset: number }
}

export class Quarantine {
  readonly table: QuarantineTable
  private readonly config: PipelineConfig
  private readonly runtime: Runtime
  private hasCommitted = false
  /** Numbers of a run whose only commit of the table comes at its end. */
  private readonly ofRun = new Map<string, bigint>()

  constructor(config: PipelineConfig, table: QuarantineTable, runtime: Runtime) {
    this.config = config
    this.table = table
    this.runtime = runtime
  }

  /**
   * Commits the bad records of an epoch. They count once the table's commit names what is returned, together with the
   * epoch's offsets.
   *
   * @throws what {@link QuarantineTable.append} throws
   */
  async put(
    records: QuarantinedRecords,
    ranges: readonly EpochRange[],
    writer: TableWriter,
  ): Promise<OffsetAdvance[]> {
    return (await this.append(records, ranges, writer, null)).map(naming)
  }

  /**
   * The same for a part of a run that replaces the table at its end: what {@link namesOfRun} gives belongs into that
   * commit.
   */
  async putPart(
    records: QuarantinedRecords,
    ranges: readonly EpochRange[],
    writer: TableWriter,
  ): Promise<void> {
    const taken = await this.append(records, ranges, writer, this.ofRun)
    for (const { series, number } of taken) this.ofRun.set(series, number)
  }

  /**
   * What the commit that replaces the table must name, by app id: of the records in the quarantine, only those of this run
   * count from then on. A replay that is under way would add records of the table before: its number is passed too.
   */
  async namesOfRun(named: Txns): Promise<Map<string, bigint>> {
    await this.table.reload()
    const names = new Map<string, bigint>()
    if (this.table.state === null) return names
    const replays = replaySeries(this.config.pipelineId)
    names.set(replays, nextNumber(readSeries(replays, this.table.txns, named)))
    for (const appId of this.appIds()) {
      const series = attemptSeries(appId)
      const number = this.ofRun.get(series) ?? nextNumber(readSeries(series, this.table.txns, named))
      names.set(series, number).set(floorAppId(series), number)
    }
    return names
  }

  private async append(
    { batch, topicPartitions, partitionOfRow }: QuarantinedRecords,
    ranges: readonly EpochRange[],
    writer: TableWriter,
    ofRun: ReadonlyMap<string, bigint> | null,
  ): Promise<readonly TakenNumber[]> {
    const { name: pipeline, pipelineId } = this.config
    const startedMs = this.runtime.monotonicMs()
    const nextOffsets = new Map(ranges.map(range => [range.topicPartition, range.nextOffset]))
    const series = topicPartitions.map(tp => {
      const appId = appIdOf(pipelineId, tp)
      return { appId, series: attemptSeries(appId), nextOffset: nextOffsets.get(tp)! }
    })
    this.hasCommitted = true
    const { txns } = writer.table.state
    const taken = await this.table.append(batch, partitionOfRow, series, txns, ofRun)
    publish('quarantine:committed', {
      pipeline,
      version: this.table.state!.version,
      recordCount: batch.rowCount,
      durationMs: this.runtime.monotonicMs() - startedMs,
    })
    return taken
  }

  /**
   * Takes out what is left of attempts that came to nothing, and keeps up the log. What is not done now is done after the
   * next commit: such rows count nowhere. Never throws.
   *
   * @param named the `txn`s of the table, read after the quarantine
   */
  async tidy(named: Txns): Promise<void> {
    try {
      const { leftovers, dead } = this.leftovers(named)
      if (leftovers.length > 0) {
        const outcome = await this.table.sweep(leftovers, named, dead)
        // Another process committed to the quarantine; it or the next commit does what is left to do.
        if (outcome !== 'swept') await this.table.reload()
      }
      if (!this.hasCommitted && leftovers.length === 0) return
      this.hasCommitted = false
      const upkeep = await this.table.upkeep()
      if (typeof upkeep?.checkpoint === 'object' && 'error' in upkeep.checkpoint)
        throw upkeep.checkpoint.error
    } catch (error) {
      publish('quarantine:untidy', { pipeline: this.config.name, error })
    }
  }

  /** Does the quarantine hold attempts that the table does not name, or may there be rows that count nowhere? */
  hasLeftovers(named: Txns): boolean {
    const { txns } = this.table
    return this.appIds().some(appId => {
      const numbers = readSeries(attemptSeries(appId), txns, named)
      return mayHoldVoid(numbers) || isPending(numbers)
    })
  }

  private leftovers(named: Txns): {
    leftovers: { appId: string; series: string }[]
    dead: Set<string>
  } {
    const { txns } = this.table
    const leftovers: { appId: string; series: string }[] = []
    const dead = new Set<string>()
    for (const appId of this.appIds()) {
      const series = attemptSeries(appId)
      const numbers = readSeries(series, txns, named)
      const nextOffset = named.get(appId)?.version
      // The table has passed the last offset of every attempt that is not named: none can be committed any more.
      const isDead =
        isPending(numbers) &&
        !isOpen(numbers) &&
        nextOffset !== undefined &&
        nextOffset >= txns.get(appId)!.version
      if (isDead) dead.add(appId)
      if (isDead || mayHoldVoid(numbers)) leftovers.push({ appId, series })
    }
    return { leftovers, dead }
  }

  /** App ids of this pipeline's topic partitions that have ever had a bad record. */
  private appIds(): string[] {
    return [...this.table.txns.keys()].filter(appId => parseAppId(this.config.pipelineId, appId) !== null)
  }
}
