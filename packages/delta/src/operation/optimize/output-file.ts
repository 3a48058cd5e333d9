/**
 * A data file that grows by row groups, encoded from columns or copied, and its statistics with it.
 *
 * PROTOCOL.md › Per-file Statistics, › Materialize Partition Columns.
 *
 * @module
 */
import type { Column, ColumnBatch } from '../../column/column.ts'
import { createColumnBuilder } from '../../column/column-builder.ts'
import {
  type DataFileFormat,
  type PartitionValues,
  physicalColumns,
  withPartitionColumns,
} from '../../data-file-format.ts'
import type {
  ParquetEncodeOptions,
  ParquetEncoder,
  ParquetFileWriter,
} from '../../parquet/parquet-encoder.ts'
import type { ParquetFile } from '../../parquet/parquet-reader.ts'
import { copyRowGroups } from '../../parquet/row-group-copy.ts'
import { type StructField, type StructType, struct } from '../../schema.ts'
import { collectStatistics, type Statistics } from '../../statistics.ts'
import { mergeStatistics } from '../../statistics-merge.ts'
import { copiedStatistics } from './copied-statistics.ts'

/** The fields that rows come with. */
export interface OutputFields {
  /** The table's columns, by the names that people see. */
  readonly data: readonly StructField[]
  /** Columns that are none of the table's, without statistics. */
  readonly rowIds: readonly StructField[]
}

export class OutputFile {
  readonly #format: DataFileFormat
  readonly #options: ParquetEncodeOptions
  readonly #partitionValues: PartitionValues
  readonly #fields: OutputFields
  /** Of the data columns, which have statistics. */
  readonly #dataSchema: StructType
  readonly #fileSchema: StructType
  readonly #writer: ParquetFileWriter
  #statistics: Statistics | null = null

  constructor(
    encoder: ParquetEncoder,
    format: DataFileFormat,
    options: ParquetEncodeOptions,
    partitionValues: PartitionValues,
    fields: OutputFields,
  ) {
    this.#format = format
    this.#options = options
    this.#partitionValues = partitionValues
    this.#fields = fields
    // Planned by what rows go through, so that the two cannot differ.
    const noColumns = [...fields.data, ...fields.rowIds].map(({ type }) => createColumnBuilder(type).finish())
    const { data, file } = this.#batches(0, noColumns)
    this.#dataSchema = data.schema
    this.#fileSchema = file.schema
    this.#writer = encoder.createFileWriter(file.schema, options)
  }

  /** @param columns of the data fields, then of the row ids */
  append(rowCount: number, columns: readonly Column[]): void {
    const { data, file } = this.#batches(rowCount, columns)
    this.#writer.appendRowGroup(file)
    this.#addStatistics(collectStatistics(data, this.#format.statistics))
  }

  /**
   * Appends all row groups of a file as they are.
   *
   * @param stats of its `add`
   * @returns false, with nothing appended, where its rows must be looked at
   * @throws DeltaLakeError `DELTA_DATA_CORRUPT`, and what the store throws
   */
  async copy(file: ParquetFile, stats: string | undefined, signal?: AbortSignal): Promise<boolean> {
    const { statistics: options } = this.#format
    const statistics = copiedStatistics(stats, this.#dataSchema, file.rowCount, options)
    const groups = copyRowGroups(file, this.#fileSchema, this.#options)
    if (statistics === null || groups === null) return false
    for await (const group of groups) {
      // A row group of the input is in memory.
      signal?.throwIfAborted()
      this.#writer.appendEncodedRowGroup(group)
    }
    this.#addStatistics(statistics)
    return true
  }

  /** @returns null where there is no row */
  finish(): { bytes: Uint8Array; statistics: Statistics } | null {
    if (this.#writer.rowCount === 0 || this.#statistics === null) return null
    return { bytes: this.#writer.finish(), statistics: this.#statistics }
  }

  #batches(rowCount: number, columns: readonly Column[]): { data: ColumnBatch; file: ColumnBatch } {
    const { data: dataFields, rowIds } = this.#fields
    const batch = { schema: struct(dataFields), rowCount, columns: columns.slice(0, dataFields.length) }
    const data = physicalColumns(this.#format, batch)
    const whole = withPartitionColumns(this.#format, data, this.#partitionValues)
    return {
      data,
      file: {
        schema: struct([...whole.schema.fields, ...rowIds]),
        rowCount,
        columns: [...whole.columns, ...columns.slice(dataFields.length)],
      },
    }
  }

  #addStatistics(statistics: Statistics): void {
    this.#statistics =
      this.#statistics === null ? statistics : mergeStatistics(this.#dataSchema, this.#statistics, statistics)
  }
}
