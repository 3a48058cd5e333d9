/**
 * The table: is it there, may it be written, does it take the configured columns?
 *
 * @module
 */
import {
  assertRemovable,
  assertWritable,
  loadSnapshot,
  type ObjectStore,
  type Snapshot,
} from '@stream-ingest/delta'
import type { PipelineConfig } from '../config/ingest-config.ts'
import type { TableLayout } from '../config/table-layout.ts'
import { assertKeepsOffsets } from '../delta/offset-retention.ts'
import { assertColumnsFit } from '../delta/table-fit.ts'
import { DeltaError } from '../error.ts'
import { formatCount, formatNumberOf } from '../observe/format.ts'
import { decodeLayout } from '../pipeline/schema-growth.ts'
import type { CheckContext, TableFindings } from './check-context.ts'
import type { Checkup, Found } from './checkup.ts'
import { checkCheckpoint, checkFiles, checkWriters } from './table-health.ts'

/** A log is read in as many requests as it has commits since its checkpoint. */
const LOG_STEPS_MAX = 12
/** Columns that one message names. */
const NAMED_MAX = 5

/**
 * @param store rooted at the table
 * @returns null where it is not known whether there is a table
 */
export async function checkTable(
  checkup: Checkup,
  context: CheckContext,
  store: ObjectStore,
): Promise<TableFindings | null> {
  const { pipeline, timeoutMs, runtime } = context
  const timeout = { timeoutMs: LOG_STEPS_MAX * timeoutMs }
  const found = await checkup.run(
    'log',
    async (signal): Promise<Found<Snapshot | null>> => {
      const snapshot = await loadSnapshot(store, { nowMs: runtime.now(), signal })
      if (snapshot === null) {
        if (!pipeline.delta.createTable) throw missing(store.uri)
        return { value: null, message: 'no table yet: the first run creates it' }
      }
      const { protocol, version } = snapshot.state
      if (pipeline.delta.writeMode === 'error_if_exists') throw unwanted(store.uri)
      const versions = `reader ${protocol.minReaderVersion} / writer ${protocol.minWriterVersion}`
      return { value: snapshot, message: `version ${formatCount(version)} · ${versions}` }
    },
    timeout,
  )
  if (found === null) {
    checkup.skip('features, columns, files and checkpoint', 'the log does not give a table to write')
    return null
  }
  const snapshot = found.value
  if (snapshot === null) return checkNewTable(checkup, pipeline)
  const [layout] = await Promise.all([
    checkColumns(checkup, context, snapshot, store.uri),
    checkFeatures(checkup, pipeline, snapshot, store.uri),
    checkKeptOffsets(checkup, snapshot, store.uri),
    checkWriters(checkup, pipeline, snapshot, timeout),
    checkFiles(checkup, pipeline, snapshot, timeout),
    checkCheckpoint(checkup, pipeline, snapshot),
  ])
  return { state: snapshot.state, layout }
}

function missing(uri: string): DeltaError {
  return new DeltaError(
    'DELTA_TABLE_NOT_FOUND',
    `there is no Delta table at ${uri}, and \`delta.create_table\` is false`,
    { hint: 'create the table, correct `delta.table_name`, or remove `delta.create_table: false`' },
  )
}

function unwanted(uri: string): DeltaError {
  return new DeltaError(
    'DELTA_TABLE_EXISTS',
    `there is a Delta table at ${uri}, and \`delta.write_mode\` is \`error_if_exists\``,
    { hint: 'choose another `delta.table_name`, or write `write_mode: append` to go on with the table' },
  )
}

/** Has a table that the first run creates the columns to create it with? */
export async function checkNewTable(checkup: Checkup, pipeline: PipelineConfig): Promise<TableFindings> {
  const found = await checkup.run('columns', async () => {
    const value = decodeLayout(pipeline, null)
    return { value, message: `${formatNumberOf(value.columns.length, 'column')} as configured` }
  })
  return { state: null, layout: found?.value ?? null }
}

async function checkColumns(
  checkup: Checkup,
  { pipeline, runtime }: CheckContext,
  { state }: Snapshot,
  uri: string,
): Promise<TableLayout | null> {
  let layout: TableLayout | null = null
  await checkup.run('columns', async () => {
    layout = decodeLayout(pipeline, state.schema)
    const { partitionColumns, mergeSchema } = pipeline.delta
    const fit = { schema: layout.schema, partitionColumns, mergeSchema, newUuid: runtime.uuid }
    assertColumnsFit(uri, fit, state)
    const filled = new Set(layout.schema.fields.map(({ name }) => name.toLowerCase()))
    const kept = state.schema.fields.filter(({ name }) => !filled.has(name.toLowerCase()))
    const names = kept.slice(0, NAMED_MAX).map(({ name }) => `\`${name}\``)
    const more = kept.length > NAMED_MAX ? ', …' : ''
    const others =
      kept.length === 0 ? '' : ` · ${kept.length} more in the table, kept (${names.join(', ')}${more})`
    return { value: null, message: `${formatNumberOf(filled.size, 'column')} fit${others}` }
  })
  return layout
}

async function checkFeatures(
  checkup: Checkup,
  { delta }: PipelineConfig,
  { state }: Snapshot,
  uri: string,
): Promise<void> {
  await checkup.run('features', async () => {
    assertWritable(state.protocol, state.metadata, state.schema)
    if (delta.writeMode === 'overwrite') assertRemovable(state, uri)
    const { readerFeatures = [], writerFeatures = [] } = state.protocol
    const names = [...new Set([...readerFeatures, ...writerFeatures])]
    return { value: null, message: names.length === 0 ? 'none beyond the versions' : names.join(', ') }
  })
}

async function checkKeptOffsets(checkup: Checkup, { state }: Snapshot, uri: string): Promise<void> {
  await checkup.run('offsets are kept', async () => {
    assertKeepsOffsets(uri, state)
    return { value: null, message: `${formatNumberOf(state.txns.size, 'offset')} in the table` }
  })
}
