/**
 * From a pipeline's configuration to its table, open for writing.
 *
 * @module
 */
import {
  assertRemovable,
  assertWritable,
  createParquetEncoder,
  DeltaTable,
  ensureConditionalPut,
  type ObjectStore,
  type Runtime,
} from '@stream-ingest/delta'
import type { PipelineConfig } from '../config/ingest-config.ts'
import type { TableLayout } from '../config/table-layout.ts'
import { TableWriter } from '../delta/table-writer.ts'
import { DeltaError } from '../error.ts'
import type { S3Client } from '../s3/s3-client.ts'
import { openQuarantineTable, Quarantine } from './quarantine.ts'
import { decodeLayout } from './schema-growth.ts'

export interface OpenedTable {
  /** Null where a dry run found no table. */
  readonly writer: TableWriter | null
  /** Where bad records go; null where they do not, or nothing is written. */
  readonly quarantine: Quarantine | null
  readonly layout: TableLayout
  /** This call created the table. */
  readonly created: boolean
}

export interface OpenTableOptions {
  /** Create a missing table; `delta.create_table` by default. */
  readonly create?: boolean
  /** This run has had the table open before, and starts again: one that `error_if_exists` let it create is its own. */
  readonly again?: boolean
}

/**
 * Opens the table, after creating it where it is missing and the bucket where `s3.create_bucket` asks for it. In a dry
 * run nothing is written, and a missing table is none.
 *
 * @throws DeltaError `DELTA_TABLE_NOT_FOUND` where it may not be created, `DELTA_TABLE_EXISTS` where it may not be there,
 *   `TABLE_SCHEMA_MISMATCH`; ConfigError where
 *   neither the configuration nor a table has a schema; DeltaLakeError `DELTA_PROTOCOL_UNSUPPORTED`,
 *   `STORE_NOT_ATOMIC`, `STORE_BUCKET_NOT_FOUND`, and what else the store throws
 */
export async function openTable(
  config: PipelineConfig,
  lake: S3Client,
  runtime: Runtime,
  options: OpenTableOptions = {},
): Promise<OpenedTable> {
  const { dryRun } = config.processing
  const store = lake.tableStore(config.delta.tableName)
  if (!dryRun) {
    // Where no bucket is to be created, the first request says as clearly that there is none.
    if (config.s3.kind === 's3' && config.s3.createBucket) await lake.ensureBucketExists()
    await ensureConditionalPut(store, { random: runtime.uuid, now: runtime.now })
  }
  let table = await DeltaTable.open(store, { runtime })
  const isUnwanted = config.delta.writeMode === 'error_if_exists' && options.again !== true
  if (table !== null && isUnwanted) throw tableExists(store.uri)
  const layout = decodeLayout(config, table?.state.schema ?? null)
  let created = false
  if (table === null && !dryRun) {
    if (!(options.create ?? config.delta.createTable)) throw tableNotFound(store.uri)
    ;({ table, created } = await createTable(config, store, layout, runtime))
    if (!created && isUnwanted) throw tableExists(store.uri)
  }
  if (table === null) return { writer: null, quarantine: null, layout, created }
  // A commit asks again; asked here, a table that cannot be written is refused before anything is read.
  assertWritable(table.state.protocol, table.state.metadata, table.state.schema)
  if (config.delta.writeMode === 'overwrite') assertRemovable(table.state, store.uri)
  const writer = createWriter(config, table, layout, runtime)
  const quarantine = dryRun ? null : await openQuarantine(config, lake, writer.table, runtime)
  return { writer, quarantine, layout, created }
}

/** Opens the quarantine, where there is to be one, and takes out what attempts have left there that came to nothing. */
async function openQuarantine(
  config: PipelineConfig,
  lake: S3Client,
  table: DeltaTable,
  runtime: Runtime,
): Promise<Quarantine | null> {
  if (config.processing.onBadRecord !== 'quarantine') return null
  const quarantine = new Quarantine(config, await openQuarantineTable(config, lake, runtime), runtime)
  if (!quarantine.hasLeftovers(table.state.txns)) return quarantine
  // What was read before the quarantine does not tell which of its attempts have come to nothing.
  await table.reload()
  await quarantine.tidy(table.state.txns)
  return quarantine
}

async function createTable(
  { delta }: PipelineConfig,
  store: ObjectStore,
  layout: TableLayout,
  runtime: Runtime,
): Promise<{ table: DeltaTable; created: boolean }> {
  const spec = {
    schema: layout.schema,
    partitionColumns: delta.partitionColumns,
    properties: delta.tableProperties,
    name: delta.tableName,
  }
  return DeltaTable.openOrCreate(store, spec, { runtime })
}

function createWriter(
  { delta, processing, pipelineId }: PipelineConfig,
  table: DeltaTable,
  layout: TableLayout,
  runtime: Runtime,
): TableWriter {
  return new TableWriter(table, createParquetEncoder(), runtime, {
    schema: layout.schema,
    partitionColumns: delta.partitionColumns,
    mergeSchema: delta.mergeSchema,
    codec: processing.compression,
    ...(processing.compressionLevel === undefined ? {} : { compressionLevel: processing.compressionLevel }),
    targetFileSizeBytes: delta.targetFileSizeBytes,
    ...(delta.checkpointInterval === undefined ? {} : { checkpointInterval: delta.checkpointInterval }),
    queryId: pipelineId,
  })
}

function tableExists(uri: string): DeltaError {
  return new DeltaError(
    'DELTA_TABLE_EXISTS',
    `there is a Delta table at ${uri}, and \`delta.write_mode\` is \`error_if_exists\``,
    { hint: 'choose another `delta.table_name`, or write `write_mode: append` to go on with the table' },
  )
}

function tableNotFound(uri: string): DeltaError {
  return new DeltaError(
    'DELTA_TABLE_NOT_FOUND',
    `there is no Delta table at ${uri}, and \`delta.create_table\` is false`,
    { hint: 'create the table, correct `delta.table_name`, or remove `delta.create_table: false`' },
  )
}
