/**
 * The seam between columns and Parquet bytes.
 *
 * @module
 */
import type { ColumnBatch } from '../column/column.ts'

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
  /** Field ids by path (`a.b`, with `element`, `key` and `value` inside arrays and maps), for column mapping. */
  readonly fieldIds?: ReadonlyMap<string, number>
}

export interface EncodedFile {
  readonly bytes: Uint8Array
  readonly rowCount: number
}

/** Encodes a batch as one whole Parquet file. Pure: no I/O. One property suite compares implementations. */
export interface ParquetEncoder {
  encode(batch: ColumnBatch, options: ParquetEncodeOptions): EncodedFile
}
