/**
 * The seam between columns and Parquet bytes.
 *
 * @module
 */
import type { ColumnBatch } from '../column/column.ts'
import type { StructType } from '../schema.ts'
import type { Bounds } from './bounds.ts'
import type { EncodedRowGroup } from './chunk-description.ts'

export const PARQUET_CODECS = ['snappy', 'zstd', 'gzip', 'lz4_raw', 'none'] as const
export type ParquetCodec = (typeof PARQUET_CODECS)[number]

export interface ParquetEncodeOptions {
  readonly codec: ParquetCodec
  /** For zstd (1–22) and gzip (0–9); the codec's usual default otherwise. */
  readonly compressionLevel?: number
  /** Rows per row group at most; default 1,048,576. Row groups are also kept to about 128 MiB of columns. */
  readonly rowGroupRows?: number
  /** Rows per page at most; default 20,000. Pages are also kept to about 1 MiB. */
  readonly pageRows?: number
  /** Whether columns may be dictionary-encoded where that is smaller; default true. */
  readonly dictionary?: boolean
  /** Field ids by path (`fieldPathKey`), with `element`, `key` and `value` inside arrays and maps: column mapping. */
  readonly fieldIds?: ReadonlyMap<string, number>
}

/**
 * Smallest and largest values of leaf columns, whole, by `fieldPathKey`. Null where one is NaN; columns without a value, and those
 * inside arrays and maps, are missing.
 */
export type LeafBounds = ReadonlyMap<string, Bounds | null>

export interface EncodedFile {
  readonly bytes: Uint8Array
  readonly rowCount: number
  /** What the encoder has seen on its way, if it tells. */
  readonly bounds?: LeafBounds
}

/** A file that is written one row group after the other: memory is that of its encoded bytes and of one batch. */
export interface ParquetFileWriter {
  /** Of the row groups so far. */
  readonly rowCount: number
  /** Bytes so far. */
  readonly sizeBytes: number
  /** Encodes a batch as a row group of its own, whatever its size. It has rows, and the columns of the file's schema. */
  appendRowGroup(batch: ColumnBatch): void
  /** Appends a row group that another file has, as it is there: one whose columns are described in the same way. */
  appendEncodedRowGroup(group: EncodedRowGroup): void
  /** The bytes made since the last call, which the file does not keep: for a file that goes out as it is made. */
  take(): Uint8Array
  /** The whole file, or what was not taken of it; it has a row at least. Nothing may be called afterwards. */
  finish(): Uint8Array
}

/** Encodes batches as Parquet files. Pure: no I/O. One property suite compares implementations. */
export interface ParquetEncoder {
  /** Encodes a batch as one whole file. */
  encode(batch: ColumnBatch, options: ParquetEncodeOptions): EncodedFile
  /** Starts a file that grows by row groups, so that `rowGroupRows` has no meaning for it. */
  createFileWriter(schema: StructType, options: ParquetEncodeOptions): ParquetFileWriter
}
