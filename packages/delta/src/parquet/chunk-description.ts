/**
 * A column chunk as the footer and the page index describe it, whoever encoded it.
 *
 * parquet.thrift › ColumnMetaData, Statistics.
 *
 * @module
 */
import { boundBytes } from './bounds.ts'
import { type ChunkSummary, ENCODING_IDS, PAGE_TYPE_IDS } from './column-chunk.ts'
import { formatColumnIndex, type PageLocation } from './page-index.ts'
import { PHYSICAL_TYPE_IDS } from './schema-element.ts'

/** Longer bounds are left out of the statistics of a chunk, where readers take bounds for exact values. */
const STATISTICS_BOUND_MAX_BYTES = 1024

export interface ChunkDescription {
  /** Names from the root's child down. */
  readonly path: readonly string[]
  /** parquet.thrift › Type. */
  readonly physicalTypeId: number
  /** parquet.thrift › Encoding: of pages, dictionary and levels. */
  readonly encodingIds: readonly number[]
  /** parquet.thrift › PageEncodingStats. */
  readonly pageEncodings: readonly PageEncoding[]
  /** Nulls and empty lists included. */
  readonly entryCount: number
  /** Page headers included. */
  readonly uncompressedSizeBytes: number
  readonly compressedSizeBytes: number
  readonly dictionaryPageOffset: number | null
  readonly dataPageOffset: number
  readonly statistics: ChunkStatistics
  /** A ColumnIndex; null where there is none. */
  readonly columnIndex: Uint8Array | null
  /** For the OffsetIndex; null where there is none. */
  readonly pages: readonly PageLocation[] | null
}

export interface PageEncoding {
  readonly pageTypeId: number
  readonly encodingId: number
  readonly count: number
}

export interface ChunkStatistics {
  readonly nullCount: number | null
  /** As PLAIN encoding has them, byte arrays without their length; null where they are not known. */
  readonly bounds: {
    readonly min: Uint8Array
    readonly max: Uint8Array
    /** Undefined where whoever wrote them did not say. */
    readonly isMinExact?: boolean
    readonly isMaxExact?: boolean
  } | null
}

/** A chunk and its bytes; the offsets in its description are from the first of them. */
export interface EncodedChunk extends ChunkDescription {
  readonly bytes: Uint8Array
}

export interface EncodedRowGroup {
  readonly rowCount: number
  readonly chunks: readonly EncodedChunk[]
}

/** Of a chunk that was encoded here. */
export function describeChunk(chunk: ChunkSummary): ChunkDescription {
  const { leaf, dictionaryPageOffset } = chunk
  const isDictionary = dictionaryPageOffset !== null
  const hasLevels = leaf.definitionLevelMax > 0 || leaf.repetitionLevelMax > 0
  const encodingIds: number[] = [ENCODING_IDS.PLAIN]
  if (isDictionary) encodingIds.push(ENCODING_IDS.RLE_DICTIONARY)
  if (hasLevels) encodingIds.push(ENCODING_IDS.RLE)
  const dataPages = {
    pageTypeId: PAGE_TYPE_IDS.DATA_PAGE,
    encodingId: isDictionary ? ENCODING_IDS.RLE_DICTIONARY : ENCODING_IDS.PLAIN,
    count: chunk.pages.length,
  }
  const dictionaryPage = {
    pageTypeId: PAGE_TYPE_IDS.DICTIONARY_PAGE,
    encodingId: ENCODING_IDS.PLAIN,
    count: 1,
  }
  return {
    path: leaf.path,
    physicalTypeId: PHYSICAL_TYPE_IDS[leaf.physicalType],
    encodingIds,
    pageEncodings: isDictionary ? [dictionaryPage, dataPages] : [dataPages],
    entryCount: chunk.entryCount,
    uncompressedSizeBytes: chunk.uncompressedSizeBytes,
    compressedSizeBytes: chunk.compressedSizeBytes,
    dictionaryPageOffset,
    dataPageOffset: chunk.dataPageOffset,
    statistics: { nullCount: chunk.nullCount, bounds: statisticsBounds(chunk) },
    columnIndex: formatColumnIndex(chunk),
    pages: chunk.pages,
  }
}

function statisticsBounds({ bounds, leaf }: ChunkSummary): ChunkStatistics['bounds'] {
  if (bounds === null) return null
  const min = boundBytes(bounds.min, leaf)
  const max = boundBytes(bounds.max, leaf)
  if (min.length > STATISTICS_BOUND_MAX_BYTES || max.length > STATISTICS_BOUND_MAX_BYTES) return null
  return { min, max, isMinExact: true, isMaxExact: true }
}
