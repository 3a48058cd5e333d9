/**
 * Rows changed or taken out: the files that hold them are read, written anew, and replaced.
 *
 * What is written here is uploaded under names that nobody refers to; the caller's commit makes the exchange. Memory is
 * bounded by the rows of one output file.
 *
 * @module
 */
import type { Add, Remove } from '../action.ts'
import { appendFields } from '../column/append-value.ts'
import { BatchBuilder } from '../column/column-builder.ts'
import { columnMappingMode, physicalName } from '../column-mapping.ts'
import { encodeDataFile, uploadDataFile } from '../data-file.ts'
import type { ParquetCodec, ParquetEncoder } from '../parquet/parquet-encoder.ts'
import type { Runtime } from '../runtime.ts'
import { struct } from '../schema.ts'
import type { Snapshot } from '../snapshot.ts'
import { parseStatistics, type Statistics } from '../statistics.ts'
import { removeOf } from '../tombstone.ts'
import { scanFile, type TableRow } from './scan.ts'

/** Bytes of columns in one output file: what is held at a time. */
export const UPDATE_FILE_MAX_BYTES = 64 * 1024 ** 2

export interface UpdateOptions {
  /** May the file hold a row that changes? Files for which it says no are not read. `statistics`: null where it has none. */
  mayHold(add: Add, statistics: Statistics | null): boolean
  /** The row as it is to be: the same object where it stays as it is, null where it goes. Asked twice: no side effects. */
  change(row: TableRow): TableRow | null
  readonly codec: ParquetCodec
  readonly compressionLevel?: number
  /** Default {@link UPDATE_FILE_MAX_BYTES}. */
  readonly fileMaxBytes?: number
  readonly signal?: AbortSignal
}

/** For a commit on the snapshot's version. */
export interface RowUpdate {
  readonly adds: readonly Add[]
  /** Rows of each add. */
  readonly rowCounts: readonly number[]
  readonly removes: readonly Remove[]
  /** Log paths of the files that were looked into: one that another writer takes away makes the update void. */
  readonly filePaths: ReadonlySet<string>
  readonly rowsChanged: number
  readonly rowsRemoved: number
}

/**
 * Writes what the changed files become. A file without a row that changes stays.
 *
 * @throws what {@link scanFile} throws, and what the store throws
 */
export async function updateRows(
  snapshot: Snapshot,
  encoder: ParquetEncoder,
  runtime: Runtime,
  options: UpdateOptions,
): Promise<RowUpdate> {
  const request = options.signal === undefined ? {} : { signal: options.signal }
  const adds: Add[] = []
  const rowCounts: number[] = []
  const removes: Remove[] = []
  const filePaths = new Set<string>()
  let rowsChanged = 0
  let rowsRemoved = 0
  for await (const add of snapshot.files(request)) {
    if (!options.mayHold(add, add.stats === undefined ? null : parseStatistics(add.stats))) continue
    filePaths.add(add.path)
    // Looked through first: most files that may hold such a row hold none, and those need not be written.
    const found = await countChanges(snapshot, add, options)
    if (found.changed + found.removed === 0) continue
    rowsChanged += found.changed
    rowsRemoved += found.removed
    // Crash here and until the caller's commit: files that no commit names; VACUUM removes them.
    for await (const written of rewriteFile(snapshot, add, encoder, runtime, options)) {
      adds.push(written.add)
      rowCounts.push(written.rowCount)
    }
    removes.push(removeOf(add, runtime.now(), true))
  }
  return { adds, rowCounts, removes, filePaths, rowsChanged, rowsRemoved }
}

async function countChanges(
  snapshot: Snapshot,
  add: Add,
  { change, signal }: UpdateOptions,
): Promise<{ changed: number; removed: number }> {
  let changed = 0
  let removed = 0
  for await (const rows of scanFile(snapshot, add, signal === undefined ? {} : { signal })) {
    for (const row of rows) {
      const after = change(row)
      if (after === null) removed++
      else if (after !== row) changed++
    }
  }
  return { changed, removed }
}

/** The rows that stay, in as many files as they need. */
async function* rewriteFile(
  snapshot: Snapshot,
  add: Add,
  encoder: ParquetEncoder,
  runtime: Runtime,
  options: UpdateOptions,
): AsyncGenerator<{ add: Add; rowCount: number }> {
  const { state, store } = snapshot
  const mode = columnMappingMode(state.metadata)
  const isPartition = new Set(state.metadata.partitionColumns)
  const fields = state.schema.fields.filter(({ name }) => !isPartition.has(name))
  const partitionValues = Object.fromEntries(
    state.schema.fields
      .filter(({ name }) => isPartition.has(name))
      .map(field => [field.name, add.partitionValues[physicalName(field, mode)] ?? null]),
  )
  const { codec, compressionLevel, signal, fileMaxBytes = UPDATE_FILE_MAX_BYTES } = options
  const builder = new BatchBuilder(struct(fields))
  const write = async (): Promise<{ add: Add; rowCount: number }> => {
    const { rowCount } = builder
    const fileOptions = { codec, ...(compressionLevel === undefined ? {} : { compressionLevel }) }
    const file = encodeDataFile(state, encoder, builder.finish(), partitionValues, fileOptions, runtime)
    return { add: await uploadDataFile(store, file, runtime), rowCount }
  }
  for await (const rows of scanFile(snapshot, add, signal === undefined ? {} : { signal })) {
    for (const row of rows) {
      const after = options.change(row)
      if (after === null) continue
      appendFields(fields, builder.columns, after)
      builder.endRow()
      if (builder.sizeBytes >= fileMaxBytes) yield await write()
    }
  }
  if (builder.rowCount > 0) yield await write()
}
