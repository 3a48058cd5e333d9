/**
 * The end of a Parquet file: page indexes, then the footer.
 *
 * README.md › File format; parquet.thrift › FileMetaData, RowGroup, ColumnChunk, ColumnMetaData, Statistics. Field
 * numbers and names stand beside the calls that write them.
 *
 * @module
 */

import { VERSION } from '../version.ts'
import type { ChunkDescription, ChunkStatistics } from './chunk-description.ts'
import type { FileSink } from './column-chunk.ts'
import { CODEC_IDS } from './compression.ts'
import { formatOffsetIndex } from './page-index.ts'
import type { ParquetCodec } from './parquet-encoder.ts'
import { type ParquetSchema, writeSchemaElement } from './schema-element.ts'
import { ThriftWriter } from './thrift.ts'

/** `name version x.y.z`, the form that readers parse to know a writer's bugs. */
export const CREATED_BY = `stream-ingest version ${VERSION}`

/** DataPageV1 files, as `delta.parquet.format.version` 1.0.0 has them. */
const FORMAT_VERSION = 1
/** RowGroup.ordinal is 16 bits. */
const ORDINAL_MAX = 32_767

export interface RowGroupSummary {
  readonly rowCount: number
  readonly chunks: readonly ChunkDescription[]
}

/** Where a part of the file is. */
interface FileRange {
  readonly offset: number
  readonly sizeBytes: number
}

interface IndexedChunk extends ChunkDescription {
  readonly columnIndexRange: FileRange | null
  readonly offsetIndexRange: FileRange | null
}

/** Column indexes, offset indexes, footer, its size in four bytes and `PAR1`. */
export function writeFileEnd(
  sink: FileSink,
  schema: ParquetSchema,
  rowGroups: readonly RowGroupSummary[],
  codec: ParquetCodec,
): void {
  const columnIndexes = rowGroups.map(group =>
    group.chunks.map(({ columnIndex }) => (columnIndex === null ? null : writeRange(sink, columnIndex))),
  )
  const indexed = rowGroups.map((group, g) => ({
    rowCount: group.rowCount,
    chunks: group.chunks.map(
      (chunk, c): IndexedChunk => ({
        ...chunk,
        columnIndexRange: columnIndexes[g]![c]!,
        offsetIndexRange: chunk.pages === null ? null : writeRange(sink, formatOffsetIndex(chunk.pages)),
      }),
    ),
  }))
  const thrift = new ThriftWriter()
  thrift.struct(() => {
    thrift.i32(1, FORMAT_VERSION) // version
    thrift.structs(2, schema.elements, element => writeSchemaElement(thrift, element)) // schema
    thrift.i64(
      3, // num_rows
      rowGroups.reduce((sum, group) => sum + group.rowCount, 0),
    )
    let ordinal = 0
    // row_groups
    thrift.structs(4, indexed, group => {
      writeRowGroup(thrift, group, ordinal++, codec)
    })
    thrift.string(6, CREATED_BY) // created_by
    // column_orders: TYPE_ORDER for each leaf, without which min_value and max_value mean nothing.
    thrift.structs(7, schema.leaves, () => thrift.field(1, () => {}))
  })
  const footer = thrift.take()
  sink.write(footer)
  const end = new Uint8Array(8)
  new DataView(end.buffer).setUint32(0, footer.length, true)
  end.set(MAGIC, 4)
  sink.write(end)
}

/** `PAR1`, at both ends of a file. */
export const MAGIC: Uint8Array = Uint8Array.of(0x50, 0x41, 0x52, 0x31)

function writeRowGroup(
  thrift: ThriftWriter,
  group: { readonly rowCount: number; readonly chunks: readonly IndexedChunk[] },
  ordinal: number,
  codec: ParquetCodec,
): void {
  const { chunks } = group
  thrift.structs(1, chunks, chunk => writeColumnChunk(thrift, chunk, codec)) // columns
  // total_byte_size: without compression.
  thrift.i64(
    2,
    sum(chunks, chunk => chunk.uncompressedSizeBytes),
  )
  thrift.i64(3, group.rowCount) // num_rows
  thrift.i64(5, startOf(chunks[0]!)) // file_offset
  // total_compressed_size
  thrift.i64(
    6,
    sum(chunks, chunk => chunk.compressedSizeBytes),
  )
  if (ordinal <= ORDINAL_MAX) thrift.i16(7, ordinal) // ordinal
}

function writeColumnChunk(thrift: ThriftWriter, chunk: IndexedChunk, codec: ParquetCodec): void {
  thrift.i64(2, 0) // file_offset: deprecated, 0 where the metadata is in the footer alone
  thrift.field(3, () => writeColumnMetaData(thrift, chunk, codec)) // meta_data
  const { offsetIndexRange, columnIndexRange } = chunk
  if (offsetIndexRange !== null) {
    thrift.i64(4, offsetIndexRange.offset) // offset_index_offset
    thrift.i32(5, offsetIndexRange.sizeBytes) // offset_index_length
  }
  if (columnIndexRange !== null) {
    thrift.i64(6, columnIndexRange.offset) // column_index_offset
    thrift.i32(7, columnIndexRange.sizeBytes) // column_index_length
  }
}

function writeColumnMetaData(thrift: ThriftWriter, chunk: ChunkDescription, codec: ParquetCodec): void {
  thrift.i32(1, chunk.physicalTypeId) // type
  thrift.i32s(2, chunk.encodingIds) // encodings
  thrift.strings(3, chunk.path) // path_in_schema
  thrift.i32(4, CODEC_IDS[codec]) // codec
  thrift.i64(5, chunk.entryCount) // num_values
  thrift.i64(6, chunk.uncompressedSizeBytes) // total_uncompressed_size
  thrift.i64(7, chunk.compressedSizeBytes) // total_compressed_size
  thrift.i64(9, chunk.dataPageOffset) // data_page_offset
  if (chunk.dictionaryPageOffset !== null) thrift.i64(11, chunk.dictionaryPageOffset) // dictionary_page_offset
  thrift.field(12, () => writeStatistics(thrift, chunk.statistics)) // statistics
  // encoding_stats: 1 page_type, 2 encoding, 3 count
  if (chunk.pageEncodings.length > 0) {
    thrift.structs(13, chunk.pageEncodings, pages => {
      thrift.i32(1, pages.pageTypeId)
      thrift.i32(2, pages.encodingId)
      thrift.i32(3, pages.count)
    })
  }
}

function writeStatistics(thrift: ThriftWriter, { nullCount, bounds }: ChunkStatistics): void {
  if (nullCount !== null) thrift.i64(3, nullCount) // null_count
  if (bounds === null) return
  thrift.binary(5, bounds.max) // max_value
  thrift.binary(6, bounds.min) // min_value
  if (bounds.isMaxExact !== undefined) thrift.bool(7, bounds.isMaxExact) // is_max_value_exact
  if (bounds.isMinExact !== undefined) thrift.bool(8, bounds.isMinExact) // is_min_value_exact
}

function writeRange(sink: FileSink, bytes: Uint8Array): FileRange {
  const offset = sink.position
  sink.write(bytes)
  return { offset, sizeBytes: bytes.length }
}

function startOf(chunk: ChunkDescription): number {
  return chunk.dictionaryPageOffset ?? chunk.dataPageOffset
}

function sum(chunks: readonly ChunkDescription[], size: (chunk: ChunkDescription) => number): number {
  return chunks.reduce((total, chunk) => total + size(chunk), 0)
}
