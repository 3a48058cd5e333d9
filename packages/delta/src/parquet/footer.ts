/**
 * The end of a Parquet file: page indexes, then the footer.
 *
 * README.md › File format; PageIndex.md; parquet.thrift › FileMetaData, RowGroup, ColumnChunk, ColumnMetaData,
 * Statistics, ColumnIndex, OffsetIndex. Field numbers and names stand beside the calls that write them.
 *
 * @module
 */

import { VERSION } from '../version.ts'
import { type Bounds, boundBytes, compareBounds, truncateMax, truncateMin } from './bounds.ts'
import { type ChunkSummary, ENCODING_IDS, type FileSink, PAGE_TYPE_IDS } from './column-chunk.ts'
import { CODEC_IDS } from './compression.ts'
import type { ParquetCodec } from './parquet-encoder.ts'
import { type Leaf, type ParquetSchema, PHYSICAL_TYPE_IDS, writeSchemaElement } from './schema-element.ts'
import { ThriftWriter } from './thrift.ts'

/** `name version x.y.z`, the form that readers parse to know a writer's bugs. */
export const CREATED_BY = `stream-ingest version ${VERSION}`

/** DataPageV1 files, as `delta.parquet.format.version` 1.0.0 has them. */
const FORMAT_VERSION = 1
/** Longer bounds are left out of the statistics of a chunk, where readers take bounds for exact values. */
const STATISTICS_BOUND_MAX_BYTES = 1024
/** The bounds of a page in the column index need not be exact: longer ones are cut. */
const COLUMN_INDEX_BOUND_MAX_BYTES = 64
/** RowGroup.ordinal is 16 bits. */
const ORDINAL_MAX = 32_767

/** parquet.thrift › BoundaryOrder. */
const BOUNDARY_ORDER_IDS = { UNORDERED: 0, ASCENDING: 1, DESCENDING: 2 } as const

export interface RowGroupSummary {
  readonly rowCount: number
  readonly chunks: readonly ChunkSummary[]
}

/** Where a part of the file is. */
interface FileRange {
  readonly offset: number
  readonly sizeBytes: number
}

interface IndexedChunk extends ChunkSummary {
  /** Null where a page has values but no bounds. */
  readonly columnIndex: FileRange | null
  readonly offsetIndex: FileRange
}

/** Column indexes, offset indexes, footer, its size in four bytes and `PAR1`. */
export function writeFileEnd(
  sink: FileSink,
  schema: ParquetSchema,
  rowGroups: readonly RowGroupSummary[],
  codec: ParquetCodec,
): void {
  const columnIndexes = rowGroups.map(group => group.chunks.map(chunk => writeColumnIndex(sink, chunk)))
  const indexed = rowGroups.map((group, g) => ({
    rowCount: group.rowCount,
    chunks: group.chunks.map((chunk, c): IndexedChunk => {
      const offsetIndex = writeOffsetIndex(sink, chunk)
      return { ...chunk, columnIndex: columnIndexes[g]![c]!, offsetIndex }
    }),
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
  thrift.i64(4, chunk.offsetIndex.offset) // offset_index_offset
  thrift.i32(5, chunk.offsetIndex.sizeBytes) // offset_index_length
  if (chunk.columnIndex !== null) {
    thrift.i64(6, chunk.columnIndex.offset) // column_index_offset
    thrift.i32(7, chunk.columnIndex.sizeBytes) // column_index_length
  }
}

function writeColumnMetaData(thrift: ThriftWriter, chunk: ChunkSummary, codec: ParquetCodec): void {
  const { leaf } = chunk
  const isDictionary = chunk.dictionaryPageOffset !== null
  const hasLevels = leaf.definitionLevelMax > 0 || leaf.repetitionLevelMax > 0
  const encodings: number[] = [ENCODING_IDS.PLAIN]
  if (isDictionary) encodings.push(ENCODING_IDS.RLE_DICTIONARY)
  if (hasLevels) encodings.push(ENCODING_IDS.RLE)
  const dataPages = {
    pageType: PAGE_TYPE_IDS.DATA_PAGE,
    encoding: isDictionary ? ENCODING_IDS.RLE_DICTIONARY : ENCODING_IDS.PLAIN,
    count: chunk.pages.length,
  }
  const dictionaryPages = { pageType: PAGE_TYPE_IDS.DICTIONARY_PAGE, encoding: ENCODING_IDS.PLAIN, count: 1 }
  thrift.i32(1, PHYSICAL_TYPE_IDS[leaf.physicalType]) // type
  thrift.i32s(2, encodings) // encodings
  thrift.strings(3, leaf.path) // path_in_schema
  thrift.i32(4, CODEC_IDS[codec]) // codec
  thrift.i64(5, chunk.entryCount) // num_values
  thrift.i64(6, chunk.uncompressedSizeBytes) // total_uncompressed_size
  thrift.i64(7, chunk.compressedSizeBytes) // total_compressed_size
  thrift.i64(9, chunk.dataPageOffset) // data_page_offset
  if (chunk.dictionaryPageOffset !== null) thrift.i64(11, chunk.dictionaryPageOffset) // dictionary_page_offset
  thrift.field(12, () => writeStatistics(thrift, chunk)) // statistics
  // encoding_stats: 1 page_type, 2 encoding, 3 count
  thrift.structs(13, isDictionary ? [dictionaryPages, dataPages] : [dataPages], pages => {
    thrift.i32(1, pages.pageType)
    thrift.i32(2, pages.encoding)
    thrift.i32(3, pages.count)
  })
}

function writeStatistics(thrift: ThriftWriter, chunk: ChunkSummary): void {
  thrift.i64(3, chunk.nullCount) // null_count
  if (chunk.bounds === null) return
  const min = boundBytes(chunk.bounds.min, chunk.leaf)
  const max = boundBytes(chunk.bounds.max, chunk.leaf)
  if (min.length > STATISTICS_BOUND_MAX_BYTES || max.length > STATISTICS_BOUND_MAX_BYTES) return
  thrift.binary(5, max) // max_value
  thrift.binary(6, min) // min_value
  thrift.bool(7, true) // is_max_value_exact
  thrift.bool(8, true) // is_min_value_exact
}

/** Null, and nothing written, where a page has values but no bounds: such a page could not be told from others. */
function writeColumnIndex(sink: FileSink, chunk: ChunkSummary): FileRange | null {
  const { pages, leaf } = chunk
  const bounds: Bounds[] = []
  for (const page of pages) {
    if (page.isNullPage) continue
    const cut = page.bounds === null ? null : cutBounds(page.bounds, leaf)
    if (cut === null) return null
    bounds.push(cut)
  }
  let next = 0
  const places = pages.map(page => (page.isNullPage ? null : bounds[next++]!))
  const thrift = new ThriftWriter()
  thrift.struct(() => {
    thrift.bools(
      1, // null_pages
      pages.map(page => page.isNullPage),
    )
    thrift.binaries(
      2, // min_values
      places.map(page => (page === null ? NOTHING : boundBytes(page.min, leaf))),
    )
    thrift.binaries(
      3, // max_values
      places.map(page => (page === null ? NOTHING : boundBytes(page.max, leaf))),
    )
    thrift.i32(4, BOUNDARY_ORDER_IDS[boundaryOrder(bounds, leaf)]) // boundary_order
    thrift.i64s(
      5, // null_counts
      pages.map(page => page.nullCount),
    )
  })
  return writeRange(sink, thrift.take())
}

/** Bounds as the column index has them; null where no short one is above the largest value. */
function cutBounds({ min, max }: Bounds, leaf: Leaf): Bounds | null {
  if (!(min instanceof Uint8Array && max instanceof Uint8Array)) return { min, max }
  const cutMax = truncateMax(max, COLUMN_INDEX_BOUND_MAX_BYTES, leaf)
  return cutMax === null ? null : { min: truncateMin(min, COLUMN_INDEX_BOUND_MAX_BYTES, leaf), max: cutMax }
}

function writeOffsetIndex(sink: FileSink, chunk: ChunkSummary): FileRange {
  const thrift = new ThriftWriter()
  thrift.struct(() => {
    // page_locations: 1 offset, 2 compressed_page_size, 3 first_row_index
    thrift.structs(1, chunk.pages, page => {
      thrift.i64(1, page.offset)
      thrift.i32(2, page.compressedSizeBytes)
      thrift.i64(3, page.firstRow)
    })
  })
  return writeRange(sink, thrift.take())
}

/** Whether both the mins and the maxs of the pages with values go up, or both go down. */
function boundaryOrder(bounds: readonly Bounds[], leaf: Leaf): keyof typeof BOUNDARY_ORDER_IDS {
  const isOrdered = (direction: 1 | -1): boolean =>
    bounds.every((page, i) => {
      const before = bounds[i - 1] ?? page
      return (
        compareBounds(before.min, page.min, leaf) * direction <= 0 &&
        compareBounds(before.max, page.max, leaf) * direction <= 0
      )
    })
  if (isOrdered(1)) return 'ASCENDING'
  return isOrdered(-1) ? 'DESCENDING' : 'UNORDERED'
}

function writeRange(sink: FileSink, bytes: Uint8Array): FileRange {
  const offset = sink.position
  sink.write(bytes)
  return { offset, sizeBytes: bytes.length }
}

function startOf(chunk: ChunkSummary): number {
  return chunk.dictionaryPageOffset ?? chunk.dataPageOffset
}

function sum(chunks: readonly ChunkSummary[], size: (chunk: ChunkSummary) => number): number {
  return chunks.reduce((total, chunk) => total + size(chunk), 0)
}

const NOTHING = new Uint8Array(0)
