/**
 * Many files into one: their live rows, under the table's present schema.
 *
 * PROTOCOL.md › Reading, › Row Tracking, › Column Mapping. Large row groups are copied
 * as they are, where the output describes their columns in the same way. Other rows go column by column from pages into
 * builders. Memory is that of the compressed columns of one row group of an input, of one row group of the output, and of
 * the output's encoded bytes.
 *
 * @module
 */
import { setImmediate } from 'node:timers/promises'
import type { Add } from '../../action.ts'
import { appendValue } from '../../column/append-value.ts'
import { type ColumnBuilder, createColumnBuilder } from '../../column/column-builder.ts'
import { physicalName } from '../../column-mapping.ts'
import type { EncodedDataFile } from '../../data-file.ts'
import { type DataFileFormat, dataFileFormatOf, type PartitionValues } from '../../data-file-format.ts'
import { type DeletedRows, readDeletionVector } from '../../deletion-vector.ts'
import { DeltaLakeError } from '../../error.ts'
import { formatDataFileKey } from '../../file-path.ts'
import { dataFileSource, type OpenForeignStore } from '../../file-source.ts'
import { fileTree } from '../../parquet/file-schema.ts'
import type { ParquetCodec, ParquetEncodeOptions, ParquetEncoder } from '../../parquet/parquet-encoder.ts'
import { openParquet, type ParquetFile } from '../../parquet/parquet-reader.ts'
import { createReaders, type LeafSlot, openRowGroup, type ValueReader } from '../../parquet/value-reader.ts'
import type { Runtime } from '../../runtime.ts'
import { array, type DataType, field, map, primitive, type StructField, struct } from '../../schema.ts'
import { someType } from '../../schema-codec.ts'
import { formatStatistics } from '../../statistics.ts'
import type { ObjectStore, RequestOptions } from '../../store/object-store.ts'
import { tableProperty } from '../../table-property.ts'
import type { TableState } from '../../table-state.ts'
import { OutputFile } from './output-file.ts'

/** Rows that go through the columns at a time. */
const SLICE_ROWS = 8_192
/** Columns in memory at which a row group of the output ends. */
export const ROW_GROUP_SIZE_MAX_BYTES = 64 << 20
/** Rows at which a row group of the output ends. */
const ROW_GROUP_ROWS_MAX = 1_048_576
/** Encoded: a file whose row groups have this size on average is copied. Smaller ones would be many in the output. */
export const ROW_GROUP_COPY_MIN_BYTES = 8 << 20

export interface RewriteOptions extends RequestOptions {
  readonly codec: ParquetCodec
  readonly compressionLevel?: number
  readonly openForeign?: OpenForeignStore
  /** Default {@link ROW_GROUP_COPY_MIN_BYTES}. */
  readonly rowGroupCopyMinBytes?: number
}

/** Where a table that tracks rows keeps the ids of rows that were moved. */
interface RowIdColumns {
  readonly rowId: StructField
  readonly commitVersion: StructField
}

/** Rewrites files of one table as of one state; makes no commit. */
export class FileRewriter {
  readonly #store: ObjectStore
  readonly #state: TableState
  readonly #encoder: ParquetEncoder
  readonly #runtime: Runtime
  readonly #options: RewriteOptions
  readonly #format: DataFileFormat
  /** Top-level columns that the output has, by the names that people see. */
  readonly #fields: readonly StructField[]
  readonly #rowIds: RowIdColumns | null

  /** @throws DeltaLakeError `DELTA_PROTOCOL_UNSUPPORTED` for a column that files cannot hold */
  constructor(
    store: ObjectStore,
    state: TableState,
    encoder: ParquetEncoder,
    runtime: Runtime,
    options: RewriteOptions,
  ) {
    this.#store = store
    this.#state = state
    this.#encoder = encoder
    this.#runtime = runtime
    this.#options = options
    this.#format = dataFileFormatOf(state)
    this.#fields = outputFields(state)
    this.#rowIds = rowIdColumns(state)
  }

  /** Do rows keep their ids? Where the table does not track them the answer does not matter. */
  get preservesRowIds(): boolean {
    return this.#rowIds !== null
  }

  /**
   * The live rows of `files`, which are of one table partition, as one file.
   *
   * @returns null where no row is live
   * @throws DeltaLakeError `DELTA_DATA_CORRUPT`, `DELTA_FILE_OUTSIDE`, `PARQUET_UNSUPPORTED`, and what the store throws
   */
  async rewrite(files: readonly Add[]): Promise<EncodedDataFile | null> {
    const partitionValues = this.#logicalPartitionValues(files[0]!)
    const output = new OutputFile(this.#encoder, this.#format, this.#encodeOptions(), partitionValues, {
      data: this.#fields,
      rowIds: this.#rowIds === null ? [] : [this.#rowIds.rowId, this.#rowIds.commitVersion],
    })
    const rest: Add[] = []
    for (const add of files) {
      if (!(await this.#copyFile(add, output))) rest.push(add)
    }
    const builders = this.#outputFields().map(f => createColumnBuilder(f.type))
    for (const add of rest) {
      for await (const rowCount of this.#appendFile(add, builders)) {
        // A slice was appended.
        if (rowCount >= ROW_GROUP_ROWS_MAX || sizeOf(builders) >= ROW_GROUP_SIZE_MAX_BYTES) {
          this.#flush(output, builders)
        }
      }
    }
    this.#flush(output, builders)
    const finished = output.finish()
    if (finished === null) return null
    return {
      key: formatDataFileKey(this.#runtime.uuid(), this.#options.codec, partitionValues),
      bytes: finished.bytes,
      rowCount: finished.statistics.numRecords,
      partitionValues: files[0]!.partitionValues,
      stats: formatStatistics(finished.statistics),
    }
  }

  #encodeOptions(): ParquetEncodeOptions {
    const { codec, compressionLevel } = this.#options
    return {
      codec,
      ...(compressionLevel === undefined ? {} : { compressionLevel }),
      fieldIds: this.#format.fieldIds,
    }
  }

  #outputFields(): StructField[] {
    return [
      ...this.#fields,
      ...(this.#rowIds === null ? [] : [this.#rowIds.rowId, this.#rowIds.commitVersion]),
    ]
  }

  #flush(output: OutputFile, builders: readonly ColumnBuilder[]): void {
    const rowCount = builders[0]!.length
    if (rowCount === 0) return
    const columns = builders.map(builder => builder.finish())
    for (const [i, { name }] of this.#fields.entries()) {
      const inTable = this.#state.schema.fields.find(f => f.name === name)!
      if (!inTable.nullable && columns[i]!.nullCount > 0) {
        throw new DeltaLakeError(
          'DELTA_DATA_CORRUPT',
          `a file of ${this.#store.uri} has nulls in the column \`${name}\`, which must not be null`,
          { context: { table: this.#store.uri, column: name } },
        )
      }
    }
    output.append(rowCount, columns)
  }

  /**
   * Appends the row groups of a file as they are.
   *
   * @returns false, with nothing appended, where its rows must be looked at
   */
  async #copyFile(add: Add, output: OutputFile): Promise<boolean> {
    const { rowGroupCopyMinBytes = ROW_GROUP_COPY_MIN_BYTES, signal } = this.#options
    // Deleted rows go, and rows that have ids take them along.
    if (add.size < rowGroupCopyMinBytes || add.deletionVector !== undefined || this.#rowIds !== null)
      return false
    const file = await this.#open(add)
    if (add.size < rowGroupCopyMinBytes * file.rowGroupCount) return false
    return output.copy(file, add.stats, signal)
  }

  #open(add: Add): Promise<ParquetFile> {
    const { openForeign } = this.#options
    const source = dataFileSource(add.path, this.#store, openForeign)
    return openParquet(source.store, source.key, { ...this.#request, sizeBytes: add.size })
  }

  get #request(): RequestOptions {
    return this.#options.signal === undefined ? {} : { signal: this.#options.signal }
  }

  /** Appends the live rows of a file, giving after each slice how many rows the builders hold. */
  async *#appendFile(add: Add, builders: readonly ColumnBuilder[]): AsyncGenerator<number> {
    const { openForeign, signal } = this.#options
    const file = await this.#open(add)
    const deleted =
      add.deletionVector === undefined
        ? null
        : await readDeletionVector(this.#store, add.deletionVector, openForeign, this.#request)
    const columns = this.#openColumns(file, add)
    let firstRow = 0
    for (let group = 0; group < file.rowGroupCount; group++) {
      const rowCount = Number(file.metadata.row_groups[group]!.num_rows)
      await openRowGroup(file, group, columns.leaves)
      for (let done = 0; done < rowCount; done += SLICE_ROWS) {
        signal?.throwIfAborted()
        const count = Math.min(SLICE_ROWS, rowCount - done)
        const live = liveRows(deleted, firstRow + done, count)
        try {
          for (const [i, source] of columns.sources.entries()) {
            source.append(builders[i]!, firstRow + done, count, live)
          }
        } catch (cause) {
          throw file.undecodable(group, cause)
        }
        // Lets through whoever else uses this thread.
        await setImmediate()
        yield builders[0]!.length
      }
      firstRow += rowCount
    }
  }

  #openColumns(file: ParquetFile, add: Add): { sources: ColumnSource[]; leaves: readonly LeafSlot[] } {
    try {
      const tree = fileTree(file.metadata.schema)
      const tableFields = this.#fields.map(
        ({ name }) => this.#state.schema.fields.find(f => f.name === name)!,
      )
      const readers = createReaders(tableFields, tree, this.#format.mode, 'bytes')
      const sources: ColumnSource[] = readers.columns.map(reader => new ReadColumn(reader))
      if (this.#rowIds === null) return { sources, leaves: readers.leaves }
      // These two are found by their names under any mapping: they are no columns of the schema.
      const moved = createReaders([this.#rowIds.rowId, this.#rowIds.commitVersion], tree, 'none')
      const { baseRowId, defaultRowCommitVersion } = add
      sources.push(
        new RowIdColumn(moved.columns[0]!, row => (baseRowId === undefined ? null : baseRowId + BigInt(row))),
        new RowIdColumn(moved.columns[1]!, () =>
          defaultRowCommitVersion === undefined ? null : BigInt(defaultRowCommitVersion),
        ),
      )
      return { sources, leaves: [...readers.leaves, ...moved.leaves] }
    } catch (cause) {
      throw file.corrupt(cause instanceof Error ? cause.message : String(cause), cause)
    }
  }

  #logicalPartitionValues({ partitionValues }: Add): PartitionValues {
    const { partitionFields, mode } = this.#format
    return Object.fromEntries(
      partitionFields.map(f => [f.name, partitionValues[physicalName(f, mode)] ?? null]),
    )
  }
}

/** The data columns that files hold. What is inside others may be null in any file, whatever the schema says of it. */
function outputFields({ schema, metadata }: TableState): StructField[] {
  return schema.fields
    .filter(f => !metadata.partitionColumns.includes(f.name))
    .filter(f => !(f.type.kind === 'primitive' && f.type.name === 'void'))
    .map(f => {
      if (someType(f.type, type => type.kind === 'primitive' && type.name === 'void')) {
        throw new DeltaLakeError(
          'DELTA_PROTOCOL_UNSUPPORTED',
          `the column \`${f.name}\` holds a field of the type \`void\`, whose files cannot be written anew here`,
        )
      }
      return field(f.name, relaxed(f.type), f.nullable)
    })
}

function relaxed(type: DataType): DataType {
  switch (type.kind) {
    case 'struct':
      return struct(type.fields.map(f => field(f.name, relaxed(f.type))))
    case 'array':
      return array(relaxed(type.element))
    case 'map':
      return map(relaxed(type.key), relaxed(type.value))
    default:
      return type
  }
}

function rowIdColumns({ metadata }: TableState): RowIdColumns | null {
  const { configuration } = metadata
  if (!tableProperty(configuration, 'delta.enableRowTracking')) return null
  const names = ['RowId', 'RowCommitVersion'].map(
    what => configuration[`delta.rowTracking.materialized${what}ColumnName`],
  )
  const [rowId, commitVersion] = names
  if (rowId === undefined || commitVersion === undefined) {
    throw new DeltaLakeError(
      'DELTA_LOG_CORRUPT',
      'the table tracks rows, and its properties do not say in which columns (`delta.rowTracking.materialized…`)',
    )
  }
  const type = primitive('long')
  return { rowId: field(rowId, type), commitVersion: field(commitVersion, type) }
}

/** Which of `count` rows from `firstRow` on are live; null where all are. */
function liveRows(deleted: DeletedRows | null, firstRow: number, count: number): Uint8Array | null {
  if (deleted === null) return null
  const live = new Uint8Array(count)
  for (let i = 0; i < count; i++) live[i] = deleted.has(firstRow + i) ? 0 : 1
  return live
}

/** One column of an input. */
interface ColumnSource {
  /** @param live null where all rows are */
  append(builder: ColumnBuilder, firstRow: number, count: number, live: Uint8Array | null): void
}

class ReadColumn implements ColumnSource {
  readonly #reader: ValueReader | null

  /** @param reader null where the file was written before the column was there */
  constructor(reader: ValueReader | null) {
    this.#reader = reader
  }

  append(builder: ColumnBuilder, _firstRow: number, count: number, live: Uint8Array | null): void {
    const reader = this.#reader
    for (let i = 0; i < count; i++) {
      const value = reader === null ? null : reader.read()
      if (live === null || live[i] === 1) appendValue(builder, value)
    }
  }
}

/** The id that a row was moved with, else the one that it has by its place. */
class RowIdColumn implements ColumnSource {
  readonly #moved: ValueReader | null
  readonly #byPlace: (row: number) => bigint | null

  constructor(moved: ValueReader | null, byPlace: (row: number) => bigint | null) {
    this.#moved = moved
    this.#byPlace = byPlace
  }

  append(builder: ColumnBuilder, firstRow: number, count: number, live: Uint8Array | null): void {
    for (let i = 0; i < count; i++) {
      const id = this.#moved?.read() ?? this.#byPlace(firstRow + i)
      if (live === null || live[i] === 1) appendValue(builder, id)
    }
  }
}

function sizeOf(builders: readonly ColumnBuilder[]): number {
  return builders.reduce((total, builder) => total + builder.sizeBytes, 0)
}
