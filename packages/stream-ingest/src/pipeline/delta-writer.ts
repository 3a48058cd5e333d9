/**
 * `DeltaWriter`: batches of messages into a table, for programs that do the consuming themselves.
 *
 * The guarantee is the pipeline's: the offsets are in the commit, so that a batch that comes again changes nothing.
 *
 * @module
 */
import {
  assertWritable,
  loadTableState,
  type ObjectStore,
  type OptimizeOptions,
  type OptimizeResult,
  optimizeTable,
  type Runtime,
  systemRuntime,
  type VacuumOptions,
  type VacuumResult,
  vacuumTable,
  withinTime,
} from '@stream-ingest/delta'
import type { IngestConfig } from '../config/config.ts'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { arrowSchemaOf, type Schema } from '../delta/arrow.ts'
import { ConfigError, DeltaError, S3Error, StreamIngestError } from '../error.ts'
import { type KafkaMessage, MessageBatch } from '../kafka/message-batch.ts'
import { chunksOfMessages } from '../kafka/message-chunk.ts'
import type { SourceChunk } from '../kafka/message-source.ts'
import { NamedPartitions } from '../kafka/named-partitions.ts'
import { HEALTH_TIMEOUT_MS, type S3Client } from '../s3/s3-client.ts'
import { type BatchCounts, BatchWriter, emptyBatchCounts } from './batch-writer.ts'
import { openLake } from './observed-parts.ts'
import { type OpenedTable, type OpenTableOptions, openTable } from './open-table.ts'
import { decodeLayout } from './schema-growth.ts'
import { appIdOf } from './start-position.ts'
import { readTableMetrics, type TableMetrics } from './table-metrics.ts'

const HOUR_MS = 60 * 60 * 1000

export interface DeltaWriterOptions {
  /** Which pipeline of a configuration with several. */
  readonly pipeline?: string
  readonly runtime?: Runtime
  /** In place of the configured one, rooted where the tables' folders are. */
  readonly store?: ObjectStore
}

/** What one call of `writeBatch` came to. */
export interface WriteResult extends Readonly<BatchCounts> {
  /** Of the table after the call; null where a dry run found no table. */
  readonly version: number | null
}

export interface DeltaWriterHealth {
  readonly ok: boolean
  /** Null where there is no table yet, or no answer. */
  readonly version: number | null
  readonly durationMs: number
  /** Why not; null where `ok`. */
  readonly error: StreamIngestError | null
}

interface Opened extends OpenedTable {
  readonly batches: BatchWriter
}

/**
 * Calls may overlap: they are done one after the other. What they throw is a {@link StreamIngestError}; anything that
 * is not listed comes from opening the table and committing: ConfigError, DeltaError, S3Error.
 */
export class DeltaWriter {
  private readonly config: PipelineConfig
  private readonly runtime: Runtime
  private readonly lake: S3Client
  /** Of plain messages. */
  private readonly partitions = new NamedPartitions()
  private opened: Opened | null = null
  private turn: Promise<unknown> = Promise.resolve()

  /**
   * Makes no request.
   *
   * @throws ConfigError `CONFIG_INVALID` where the configuration has several pipelines and `options.pipeline` names none
   *   of them
   */
  constructor(config: IngestConfig | PipelineConfig, options: DeltaWriterOptions = {}) {
    this.config = 'pipelines' in config ? pipelineNamed(config, options.pipeline) : config
    this.runtime = options.runtime ?? systemRuntime
    this.lake = openLake(this.config, this.runtime, { store: options.store })
  }

  /**
   * Writes messages and their offsets, in one commit or, for a large batch, several. Messages below the table's next
   * offset are left out, so that a batch may come any number of times; of several writers of one pipeline one is first,
   * and the others find that the messages are there. The table is created where the configuration allows it.
   *
   * A `MessageBatch` knows the ids of its topics. Plain messages do not: there the topic's name stands in for the id in
   * the table's offsets, and a topic that is deleted and created again is not told from the former. Write the messages
   * of one topic one way or the other: the offsets of the two are kept apart.
   *
   * @throws SerializationError for a bad record under `on_bad_record: stop`, after everything before it was committed
   * @throws KafkaError for a damaged batch, after everything before it was committed; `PIPELINE_FENCED`
   */
  writeBatch(messages: MessageBatch | Iterable<KafkaMessage>): Promise<WriteResult> {
    return this.inTurn(async () => {
      const counts = emptyBatchCounts()
      const chunks = this.chunksOf(messages, counts)
      const { writer, batches } = await this.open()
      await batches.write(chunks, counts)
      return { ...counts, version: writer?.table.state.version ?? null }
    })
  }

  /**
   * Takes note of what others have committed since: one request. A batch is right without it too; it then meets them when
   * it commits.
   */
  refresh(): Promise<void> {
    return this.inTurn(async () => {
      await this.opened?.writer?.table.reload()
    })
  }

  /**
   * The first offset of a topic partition that the table does not hold, as far as this writer has seen; null where it holds
   * none. For plain messages, whose topics are known by name.
   */
  nextOffset(topic: string, partition: number): Promise<bigint | null> {
    return this.inTurn(async () => {
      const { writer } = await this.open()
      return writer?.nextOffset(appIdOf(this.config.pipelineId, { topic, topicId: topic, partition })) ?? null
    })
  }

  /**
   * Creates the table where there is none, also under `create_table: false`; in a dry run nothing is created.
   *
   * @returns whether this call created it
   * @throws DeltaError `TABLE_SCHEMA_MISMATCH` for a table that the configuration does not fit
   */
  createTableIfNotExists(): Promise<boolean> {
    return this.inTurn(async () => {
      if (this.opened?.writer != null) return false
      return (await this.open({ create: true })).created
    })
  }

  /**
   * The columns as an Arrow schema: those of the table, or where there is none those that it would be created with.
   *
   * @throws DeltaError `DELTA_TABLE_NOT_FOUND` where there is neither a table nor a configured schema
   */
  getTableSchema(): Promise<Schema> {
    return this.inTurn(async () => {
      const state = await loadTableState(this.store, { nowMs: this.runtime.now() })
      if (state !== null) return arrowSchemaOf(state.schema)
      const { schema, mergeSchema } = this.config.delta
      if (schema === null && !mergeSchema) throw this.tableNotFound()
      return arrowSchemaOf(decodeLayout(this.config, null).schema)
    })
  }

  /**
   * Puts small files together, to the configured size and codec. Never conflicts with appends. Under `processing.dry_run`
   * it only plans.
   *
   * @throws DeltaError `DELTA_TABLE_NOT_FOUND`; DeltaLakeError `DELTA_PROTOCOL_UNSUPPORTED`, `DELTA_DATA_CORRUPT`, and what
   *   the store throws
   */
  optimizeTable(
    options: Pick<OptimizeOptions, 'minFiles' | 'maxDeletedRowsRatio' | 'dryRun' | 'signal'> = {},
  ): Promise<OptimizeResult> {
    const { delta, processing } = this.config
    return this.inTurn(() =>
      optimizeTable(this.store, {
        ...options,
        dryRun: processing.dryRun || options.dryRun === true,
        targetFileSizeBytes: delta.targetFileSizeBytes,
        codec: processing.compression,
        ...(processing.compressionLevel === undefined
          ? {}
          : { compressionLevel: processing.compressionLevel }),
        runtime: this.runtime,
      }),
    )
  }

  /**
   * Deletes files that have not been part of the table for `retentionHours`. Under `processing.dry_run` it only counts them.
   *
   * @throws DeltaError `DELTA_RETENTION_TOO_SHORT` for less than a day, and for less than the table's
   *   `delta.deletedFileRetentionDuration` unless `allowShortRetention` is set; `DELTA_TABLE_NOT_FOUND`
   */
  vacuumTable(
    retentionHours: number,
    options: Pick<VacuumOptions, 'allowShortRetention' | 'dryRun' | 'signal'> = {},
  ): Promise<VacuumResult> {
    const dryRun = this.config.processing.dryRun || options.dryRun === true
    const vacuum = { ...options, dryRun, retentionMs: retentionHours * HOUR_MS, runtime: this.runtime }
    return this.inTurn(() => vacuumTable(this.store, vacuum))
  }

  /**
   * What the newest version holds. Reads the list of files.
   *
   * @throws DeltaError `DELTA_TABLE_NOT_FOUND`
   */
  getTableMetrics(): Promise<TableMetrics> {
    return this.inTurn(async () => {
      const metrics = await readTableMetrics(this.store, this.runtime.now())
      if (metrics === null) throw this.tableNotFound()
      return metrics
    })
  }

  /**
   * Reads the table's newest version, and whether it may be written, within {@link HEALTH_TIMEOUT_MS}. Never throws for an
   * operational failure.
   */
  async healthCheck(): Promise<DeltaWriterHealth> {
    const startedMs = this.runtime.monotonicMs()
    const outcome = await this.readVersion().catch((error: unknown) => StreamIngestError.from(error))
    const durationMs = this.runtime.monotonicMs() - startedMs
    if (outcome instanceof StreamIngestError) return { ok: false, version: null, durationMs, error: outcome }
    return { ok: true, version: outcome, durationMs, error: null }
  }

  /** Waits for what is under way and gives up connections. */
  async close(): Promise<void> {
    await this.turn
    await this.lake.close()
  }

  private async readVersion(): Promise<number | null> {
    const { store } = this
    const overdue = (): S3Error =>
      new S3Error('STORE_UNAVAILABLE', `${store.uri} did not answer within ${HEALTH_TIMEOUT_MS} ms`)
    const read = (signal: AbortSignal) => loadTableState(store, { nowMs: this.runtime.now(), signal })
    const state = await withinTime(this.runtime, HEALTH_TIMEOUT_MS, read, overdue)
    if (state !== null) assertWritable(state.protocol, state.metadata, state.schema)
    return state?.version ?? null
  }

  private get store(): ObjectStore {
    return this.lake.tableStore(this.config.delta.tableName)
  }

  private async inTurn<T>(work: () => Promise<T>): Promise<T> {
    const before = this.turn
    const done = before.then(work)
    // A call that failed is its caller's to know of, not the next one's.
    this.turn = done.catch(() => {})
    try {
      return await done
    } catch (error) {
      throw StreamIngestError.from(error)
    }
  }

  private async open(options: OpenTableOptions = {}): Promise<Opened> {
    if (this.opened !== null) return this.opened
    if (this.config.delta.writeMode === 'overwrite') {
      throw new ConfigError(
        'CONFIG_CONFLICT',
        '`delta.write_mode: overwrite` replaces the table at the end of a run, and batches that are handed in have none',
        { hint: 'write `write_mode: append`, or run the pipeline with `--until-latest`' },
      )
    }
    const table = await openTable(this.config, this.lake, this.runtime, options)
    const opened = { ...table, batches: new BatchWriter(this.config, table, this.runtime) }
    // A dry run without a table looks again: somebody may have created one.
    if (table.writer !== null) this.opened = opened
    return opened
  }

  private chunksOf(
    messages: MessageBatch | Iterable<KafkaMessage>,
    counts: BatchCounts,
  ): readonly SourceChunk[] {
    if (messages instanceof MessageBatch) return messages.chunks
    const { chunks, repeatedCount } = chunksOfMessages(messages, this.partitions)
    counts.duplicates += repeatedCount
    return chunks
  }

  private tableNotFound(): DeltaError {
    const { uri } = this.store
    return new DeltaError('DELTA_TABLE_NOT_FOUND', `there is no Delta table at ${uri}`, {
      context: { table: uri },
    })
  }
}

function pipelineNamed({ pipelines }: IngestConfig, name: string | undefined): PipelineConfig {
  const found =
    name === undefined && pipelines.length === 1 ? pipelines[0] : pipelines.find(p => p.name === name)
  if (found !== undefined) return found
  const names = pipelines.map(p => `\`${p.name}\``).join(', ')
  const problem = name === undefined ? 'name one' : `none of them is called \`${name}\``
  throw new ConfigError('CONFIG_INVALID', `the configuration has the pipelines ${names}: ${problem}`, {
    hint: 'pass `{ pipeline: NAME }`',
  })
}
