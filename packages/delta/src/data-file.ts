/**
 * From columns to a file of the table: encoded, with its statistics, and the `add` that makes it part of the table.
 *
 * PROTOCOL.md › Add File. Encoding is pure; uploading is the only I/O. A file's name is never used twice.
 *
 * @module
 */
import type { Add } from './action.ts'
import type { ColumnBatch } from './column/column.ts'
import {
  type DataFileFormat,
  dataFileFormatOf,
  type PartitionValues,
  physicalColumns,
  physicalPartitionValues,
  withDefaults,
  withPartitionColumns,
} from './data-file-format.ts'
import { formatDataFileKey } from './file-path.ts'
import type { ParquetCodec, ParquetEncoder } from './parquet/parquet-encoder.ts'
import type { Runtime } from './runtime.ts'
import { collectStatistics, formatStatistics } from './statistics.ts'
import type { ObjectStore } from './store/object-store.ts'
import type { TableState } from './table-state.ts'

export interface EncodedDataFile {
  /** Relative to the table's root; only characters that need no escaping, so it is the log path too. */
  readonly key: string
  readonly bytes: Uint8Array
  readonly rowCount: number
  /** As the `add` has them: by physical name. */
  readonly partitionValues: PartitionValues
  /** JSON text of the statistics. */
  readonly stats: string
}

export interface DataFileOptions {
  readonly codec: ParquetCodec
  readonly compressionLevel?: number
}

/**
 * Encodes one data file of a table.
 *
 * @param batch rows of one table partition, with the data columns only (no partition columns), at least one row, under
 *   the names that people see; columns of the table that it lacks hold their default, else null
 * @param partitionValues one entry for each partition column, by the same names, in the text form of the protocol
 */
export function encodeDataFile(
  state: TableState,
  encoder: ParquetEncoder,
  batch: ColumnBatch,
  partitionValues: PartitionValues,
  options: DataFileOptions,
  runtime: Pick<Runtime, 'uuid'>,
): EncodedDataFile {
  return encodeFileOfFormat(dataFileFormatOf(state), encoder, batch, partitionValues, options, runtime)
}

/** {@link encodeDataFile} with what it needs to know of the table, which can be sent to another thread. */
export function encodeFileOfFormat(
  format: DataFileFormat,
  encoder: ParquetEncoder,
  batch: ColumnBatch,
  partitionValues: PartitionValues,
  options: DataFileOptions,
  runtime: Pick<Runtime, 'uuid'>,
): EncodedDataFile {
  const data = physicalColumns(format, withDefaults(format, batch))
  const { bytes, rowCount, bounds } = encoder.encode(withPartitionColumns(format, data, partitionValues), {
    ...options,
    fieldIds: format.fieldIds,
  })
  const stats = formatStatistics(collectStatistics(data, format.statistics, bounds))
  return {
    key: formatDataFileKey(runtime.uuid(), options.codec, partitionValues),
    bytes,
    rowCount,
    partitionValues: physicalPartitionValues(format, partitionValues),
    stats,
  }
}

/** Uploads the file and returns the `add` that a commit must carry for it. */
export async function uploadDataFile(
  store: ObjectStore,
  file: EncodedDataFile,
  runtime: Runtime,
): Promise<Add> {
  // Crash here: nothing, or a file that no commit names; VACUUM removes it, the rows are read again from Kafka.
  await store.put(file.key, file.bytes)
  return {
    path: file.key,
    partitionValues: file.partitionValues,
    size: file.bytes.length,
    modificationTime: runtime.now(),
    dataChange: true,
    stats: file.stats,
  }
}
