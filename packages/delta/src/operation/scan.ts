/**
 * The rows of a table at one version, file by file and row group by row group.
 *
 * PROTOCOL.md › Reading. For looking at tables, for tests and for proofs: values are exact and come as JavaScript values;
 * memory is bounded by the compressed columns of one row group, a page of each, and a batch of rows.
 *
 * @module
 */
import type { Add } from '../action.ts'
import { type ColumnMappingMode, columnMappingMode, physicalName } from '../column-mapping.ts'
import { type DeletedRows, readDeletionVector } from '../deletion-vector.ts'
import { DeltaLakeError } from '../error.ts'
import { dataFileSource, type OpenForeignStore } from '../file-source.ts'
import { fileTree } from '../parquet/file-schema.ts'
import { openParquet, type ParquetFile } from '../parquet/parquet-reader.ts'
import { createReaders, type FileReaders, openRowGroup } from '../parquet/value-reader.ts'
import { type PartitionValue, parsePartitionValue } from '../partition-value.ts'
import { assertReadable } from '../protocol.ts'
import { type StructField, type StructType, struct } from '../schema.ts'
import { someType } from '../schema-codec.ts'
import type { Snapshot } from '../snapshot.ts'
import type { RequestOptions } from '../store/object-store.ts'
import type { TableState } from '../table-state.ts'

/** Reader features under which the rows of a table are read as they are meant. */
export const SCAN_READER_FEATURES: ReadonlySet<string> = new Set([
  'columnMapping',
  'deletionVectors',
  'timestampNtz',
  'timestampWithoutTimezone',
  'typeWidening',
  'typeWidening-preview',
  'v2Checkpoint',
  'vacuumProtocolCheck',
  // Some writers list them on every table. A column of the type is refused where one is asked for.
  'variantType',
  'variantType-preview',
  'variantShredding',
  'variantShredding-preview',
])

/** Rows that are made at a time. */
const BATCH_ROWS = 4_096

export interface ScanOptions extends RequestOptions {
  /** Top-level columns, in the order in which rows are to have them. Default: all, in the order of the schema. */
  readonly columns?: readonly string[]
  /** At most this many rows. */
  readonly limit?: number
  /** Opens places outside of the table; without it a table that refers to such files is refused. */
  readonly openForeign?: OpenForeignStore
  /** Called after each file, with how many have been read to their end. */
  readonly progressed?: (filesDone: number) => void
}

/**
 * A row by column name: `boolean`; number for `byte`, `short`, `integer`, `float`, `double` and `date` (days since
 * 1970-01-01); bigint for `long`, `timestamp`, `timestamp_ntz` (microseconds) and decimals (unscaled); string; bytes for
 * `binary`; arrays; maps as `[key, value]` entries in their order; structs as objects.
 */
export type TableRow = Readonly<Record<string, unknown>>

/**
 * The fields that a scan gives, in order.
 *
 * @throws DeltaLakeError `DELTA_COLUMN_NOT_FOUND`
 */
export function scanSchema(state: Pick<TableState, 'schema'>, columns?: readonly string[]): StructType {
  if (columns === undefined) return state.schema
  return struct(
    columns.map(name => {
      const field = state.schema.fields.find(f => f.name === name)
      if (field !== undefined) return field
      throw new DeltaLakeError('DELTA_COLUMN_NOT_FOUND', `the table has no column \`${name}\``, {
        hint: `its columns are ${state.schema.fields.map(f => `\`${f.name}\``).join(', ')}`,
        context: { column: name },
      })
    }),
  )
}

/**
 * Reads the rows, in batches that are never empty. The order is that of the files and of the rows in them, and says
 * nothing.
 *
 * @throws DeltaLakeError `DELTA_PROTOCOL_UNSUPPORTED` naming the feature, `DELTA_COLUMN_NOT_FOUND`, `DELTA_DATA_CORRUPT`
 *   naming the file that is missing or damaged, `DELTA_FILE_OUTSIDE`, and what the store throws
 */
export async function* scanTable(
  snapshot: Snapshot,
  options: ScanOptions = {},
): AsyncGenerator<readonly TableRow[]> {
  const { state } = snapshot
  const schema = scanSchema(state, options.columns)
  assertScannable(state, schema)
  const request: RequestOptions = options.signal === undefined ? {} : { signal: options.signal }
  let left = options.limit ?? Number.POSITIVE_INFINITY
  if (left <= 0) return
  const scan = new TableScan(snapshot, schema, options, request)
  let filesDone = 0
  for await (const add of snapshot.files(request)) {
    for await (const batch of scan.fileRows(add)) {
      if (batch.length >= left) {
        yield batch.slice(0, left)
        return
      }
      left -= batch.length
      yield batch
    }
    options.progressed?.(++filesDone)
  }
}

/**
 * The rows of one live file, as {@link scanTable} gives them.
 *
 * @param add as the snapshot lists it
 * @throws what {@link scanTable} throws
 */
export async function* scanFile(
  snapshot: Snapshot,
  add: Add,
  options: Omit<ScanOptions, 'limit'> = {},
): AsyncGenerator<readonly TableRow[]> {
  const schema = scanSchema(snapshot.state, options.columns)
  assertScannable(snapshot.state, schema)
  const request: RequestOptions = options.signal === undefined ? {} : { signal: options.signal }
  yield* new TableScan(snapshot, schema, options, request).fileRows(add)
}

function assertScannable({ protocol, metadata }: TableState, schema: StructType): void {
  assertReadable(protocol, SCAN_READER_FEATURES)
  if (metadata.format.provider !== 'parquet') {
    throw new DeltaLakeError(
      'DELTA_PROTOCOL_UNSUPPORTED',
      `the data files have the format \`${metadata.format.provider}\`; only \`parquet\` can be read`,
    )
  }
  for (const field of schema.fields) {
    if (!someType(field.type, type => type.kind === 'primitive' && type.name === 'variant')) continue
    throw new DeltaLakeError(
      'DELTA_PROTOCOL_UNSUPPORTED',
      `the column \`${field.name}\` needs the reader feature \`variantType\`, which cannot be read here`,
      { context: { features: 'variantType', column: field.name } },
    )
  }
}

/** One column of the rows: from the file, or the same in all of its rows. */
interface ColumnSource {
  readonly field: StructField
  /** Of a partition column: its name in `partitionValues`. */
  readonly partitionName: string | null
}

class TableScan {
  readonly #snapshot: Snapshot
  readonly #request: RequestOptions
  readonly #openForeign: OpenForeignStore | undefined
  readonly #mode: ColumnMappingMode
  readonly #columns: readonly ColumnSource[]

  constructor(snapshot: Snapshot, schema: StructType, options: ScanOptions, request: RequestOptions) {
    const { metadata } = snapshot.state
    this.#snapshot = snapshot
    this.#request = request
    this.#openForeign = options.openForeign
    const mode = columnMappingMode(metadata)
    this.#mode = mode
    const partitionColumns = new Set(metadata.partitionColumns)
    this.#columns = schema.fields.map(field => ({
      field,
      partitionName: partitionColumns.has(field.name) ? physicalName(field, mode) : null,
    }))
  }

  async *fileRows(add: Add): AsyncGenerator<TableRow[]> {
    const { store } = this.#snapshot
    const source = dataFileSource(add.path, store, this.#openForeign)
    const file = await openParquet(source.store, source.key, { ...this.#request, sizeBytes: add.size })
    const deleted =
      add.deletionVector === undefined
        ? null
        : await readDeletionVector(store, add.deletionVector, this.#openForeign, this.#request)
    const readers = this.#plan(file)
    const constants = this.#columns.map(column => partitionConstant(column, add))
    let firstRow = 0
    for (let group = 0; group < file.rowGroupCount; group++) {
      const rowCount = Number(file.metadata.row_groups[group]!.num_rows)
      await openRowGroup(file, group, readers.leaves)
      const rows = new RowGroupRows(this.#columns, constants, readers, deleted, firstRow)
      for (let done = 0; done < rowCount; done += BATCH_ROWS) {
        this.#request.signal?.throwIfAborted()
        let batch: TableRow[]
        try {
          batch = rows.take(Math.min(BATCH_ROWS, rowCount - done))
        } catch (cause) {
          throw file.undecodable(group, cause)
        }
        if (batch.length > 0) yield batch
      }
      firstRow += rowCount
    }
  }

  #plan(file: ParquetFile): FileReaders {
    const inFile = this.#columns
      .filter(({ partitionName }) => partitionName === null)
      .map(({ field }) => field)
    try {
      return createReaders(inFile, fileTree(file.metadata.schema), this.#mode)
    } catch (cause) {
      throw file.corrupt(cause instanceof Error ? cause.message : String(cause), cause)
    }
  }
}

function partitionConstant({ field, partitionName }: ColumnSource, add: Add): PartitionValue | null {
  return partitionName === null
    ? null
    : parsePartitionValue(field.type, add.partitionValues[partitionName] ?? null)
}

/** Makes rows of what the readers give, leaving out deleted ones. */
class RowGroupRows {
  readonly #columns: readonly ColumnSource[]
  readonly #constants: readonly (PartitionValue | null)[]
  readonly #readers: FileReaders
  readonly #deleted: DeletedRows | null
  /** Position in the file of the next row. */
  #row: number

  constructor(
    columns: readonly ColumnSource[],
    constants: readonly (PartitionValue | null)[],
    readers: FileReaders,
    deleted: DeletedRows | null,
    firstRow: number,
  ) {
    this.#columns = columns
    this.#constants = constants
    this.#readers = readers
    this.#deleted = deleted
    this.#row = firstRow
  }

  take(count: number): TableRow[] {
    const rows: TableRow[] = []
    for (let i = 0; i < count; i++) {
      const row = this.#next()
      if (this.#deleted?.has(this.#row) !== true) rows.push(row)
      this.#row++
    }
    return rows
  }

  #next(): TableRow {
    let next = 0
    // fromEntries defines properties, so that a column named `__proto__` is one like any other.
    return Object.fromEntries(
      this.#columns.map(({ field, partitionName }, i) => {
        if (partitionName !== null) return [field.name, this.#constants[i]]
        return [field.name, this.#readers.columns[next++]?.read() ?? null]
      }),
    )
  }
}
