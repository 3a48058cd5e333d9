/**
 * Row groups of one file as those of another, without decoding a value.
 *
 * A chunk's bytes mean the same in any file that describes their column in the same way: physical type, repetition,
 * annotations, compression. So what is compared are the schema elements of both footers, field by field, and what is
 * rewritten are offsets. Pages are walked by their headers on the way: a damaged chunk is not handed on as a good one.
 *
 * parquet.thrift › FileMetaData, RowGroup, ColumnChunk, ColumnMetaData, Statistics, OffsetIndex. Fields are named by their
 * numbers, as the compact protocol has them.
 *
 * @module
 */
import { isDeepStrictEqual } from 'node:util'
import { parquetHeader } from 'hyparquet/src/column.js'
import { deserializeTCompactProtocol } from 'hyparquet/src/thrift.js'
import type { StructType } from '../schema.ts'
import type { ByteRange } from '../store/object-store.ts'
import type { ChunkStatistics, EncodedChunk, EncodedRowGroup } from './chunk-description.ts'
import { CODEC_IDS } from './compression.ts'
import { checkPage } from './leaf-reader.ts'
import type { PageLocation } from './page-index.ts'
import type { ParquetEncodeOptions } from './parquet-encoder.ts'
import type { ParquetFile } from './parquet-reader.ts'
import { planParquetSchema, writeSchemaElement } from './schema-element.ts'
import { ThriftWriter } from './thrift.ts'

/** A struct of the compact protocol, by `field_N`. */
type Thrift = Readonly<Record<`field_${number}`, unknown>>

/**
 * Reads the row groups of `file` one after the other as they are in it.
 *
 * @param schema of the file that they go to, which is written with `options`
 * @returns null where that file would describe one of the columns in another way
 */
export function copyRowGroups(
  file: ParquetFile,
  schema: StructType,
  options: ParquetEncodeOptions,
): AsyncGenerator<EncodedRowGroup> | null {
  const footer = readFooter(file)
  const groups = footer.field_4 as Thrift[]
  const plan = planParquetSchema(schema, options.fieldIds)
  const elements = footer.field_2 as Thrift[]
  if (elements.length !== plan.elements.length) return null
  for (const [i, element] of plan.elements.entries()) {
    const wanted = readThrift(formatElement(element))
    if (i === 0 ? elements[0]!.field_5 !== wanted.field_5 : !isSameElement(elements[i]!, wanted)) return null
  }
  const codecId = CODEC_IDS[options.codec]
  const isCopyable = groups.every(({ field_1: chunks }) =>
    (chunks as Thrift[]).every(chunk => {
      const metadata = chunk.field_3 as Thrift | undefined
      const isElsewhere = chunk.field_1 !== undefined || chunk.field_8 !== undefined
      return metadata?.field_4 === codecId && !isElsewhere
    }),
  )
  if (!isCopyable) return null
  // Without column orders the bounds of a chunk mean nothing.
  const hasOrders = footer.field_7 !== undefined
  const isRepeated = plan.leaves.map(leaf => leaf.repetitionLevelMax > 0)
  return readGroups(file, groups, hasOrders, isRepeated)
}

async function* readGroups(
  file: ParquetFile,
  groups: readonly Thrift[],
  hasOrders: boolean,
  isRepeated: readonly boolean[],
): AsyncGenerator<EncodedRowGroup> {
  for (const [g, group] of groups.entries()) {
    const rowCount = Number(group.field_3)
    if (rowCount === 0) continue
    const chunks = group.field_1 as Thrift[]
    const bytes = await file.readChunks(
      g,
      chunks.map((_, c) => c),
    )
    const indexes = await readPageIndexes(file, chunks)
    let encoded: EncodedChunk[]
    try {
      encoded = chunks.map((chunk, c) => {
        const found = describe(chunk.field_3 as Thrift, bytes[c]!.bytes, hasOrders, indexes[c]!)
        checkPages(found, isRepeated[c]! ? null : rowCount)
        return found
      })
    } catch (cause) {
      throw file.undecodable(g, cause)
    }
    yield { rowCount, chunks: encoded }
  }
}

function readFooter(file: ParquetFile): Thrift {
  try {
    return readThrift(file.footer)
  } catch (cause) {
    throw file.corrupt('has a footer that cannot be read', cause)
  }
}

function readThrift(bytes: Uint8Array): Thrift {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return deserializeTCompactProtocol({ view, offset: 0 })
}

function formatElement(element: Parameters<typeof writeSchemaElement>[1]): Uint8Array {
  const thrift = new ThriftWriter()
  thrift.struct(() => writeSchemaElement(thrift, element))
  return thrift.take()
}

/** 1 type, 2 type_length, 3 repetition_type, 4 name, 5 num_children, 7 scale, 8 precision, 9 field_id. */
const ELEMENT_FIELDS = [1, 2, 3, 4, 5, 7, 8, 9].map(id => `field_${id}` as const)
/** Either is enough to say what a column means; writers of some ages leave out one of them. */
const CONVERTED_TYPE = 'field_6'
const LOGICAL_TYPE = 'field_10'

function isSameElement(found: Thrift, wanted: Thrift): boolean {
  const isSame = (field: keyof Thrift): boolean => isDeepStrictEqual(found[field], wanted[field])
  if (!ELEMENT_FIELDS.every(isSame)) return false
  if (isSame(CONVERTED_TYPE))
    return isSame(LOGICAL_TYPE) || isLeftOut(found, wanted, LOGICAL_TYPE, CONVERTED_TYPE)
  return isSame(LOGICAL_TYPE) && isLeftOut(found, wanted, CONVERTED_TYPE, LOGICAL_TYPE)
}

function isLeftOut(found: Thrift, wanted: Thrift, field: keyof Thrift, other: keyof Thrift): boolean {
  return found[field] === undefined && wanted[other] !== undefined
}

interface PageIndex {
  readonly columnIndex: Uint8Array | null
  readonly offsetIndex: Uint8Array | null
}

/** 4, 5 offset index, 6, 7 column index: offset and length of each. */
async function readPageIndexes(file: ParquetFile, chunks: readonly Thrift[]): Promise<PageIndex[]> {
  const ranges: ByteRange[] = []
  const slots = chunks.map(chunk => {
    const slot = (offset: unknown, sizeBytes: unknown): number | null => {
      if (offset === undefined || sizeBytes === undefined) return null
      return ranges.push({ startByte: Number(offset), endByte: Number(offset) + Number(sizeBytes) }) - 1
    }
    return {
      offsetIndex: slot(chunk.field_4, chunk.field_5),
      columnIndex: slot(chunk.field_6, chunk.field_7),
    }
  })
  const parts = await file.readRanges(ranges)
  return slots.map(({ offsetIndex, columnIndex }) => ({
    offsetIndex: offsetIndex === null ? null : parts[offsetIndex]!,
    // Its pages are only found by the other one.
    columnIndex: columnIndex === null || offsetIndex === null ? null : parts[columnIndex]!,
  }))
}

function describe(
  metadata: Thrift,
  bytes: Uint8Array,
  hasOrders: boolean,
  { columnIndex, offsetIndex }: PageIndex,
): EncodedChunk {
  const dataPageOffset = Number(metadata.field_9)
  const dictionaryPageOffset = Number(metadata.field_11 ?? 0) || null
  const start = dictionaryPageOffset ?? dataPageOffset
  return {
    bytes,
    path: (metadata.field_3 as Uint8Array[]).map(decodeText),
    physicalTypeId: metadata.field_1 as number,
    encodingIds: metadata.field_2 as number[],
    pageEncodings: ((metadata.field_13 ?? []) as Thrift[]).map(pages => ({
      pageTypeId: pages.field_1 as number,
      encodingId: pages.field_2 as number,
      count: pages.field_3 as number,
    })),
    entryCount: Number(metadata.field_5),
    uncompressedSizeBytes: Number(metadata.field_6),
    compressedSizeBytes: bytes.length,
    dictionaryPageOffset: dictionaryPageOffset === null ? null : 0,
    dataPageOffset: dataPageOffset - start,
    statistics: statisticsOf(metadata.field_12 as Thrift | undefined, hasOrders),
    columnIndex: hasOrders ? columnIndex : null,
    pages: offsetIndex === null ? null : pageLocations(offsetIndex, start),
  }
}

/** 3 null_count, 5 max_value, 6 min_value, 7 is_max_value_exact, 8 is_min_value_exact; older bounds had another order. */
function statisticsOf(statistics: Thrift | undefined, hasOrders: boolean): ChunkStatistics {
  if (statistics === undefined) return { nullCount: null, bounds: null }
  const {
    field_3: nullCount,
    field_5: max,
    field_6: min,
    field_7: isMaxExact,
    field_8: isMinExact,
  } = statistics
  return {
    nullCount: nullCount === undefined ? null : Number(nullCount),
    bounds:
      hasOrders && min instanceof Uint8Array && max instanceof Uint8Array
        ? {
            min,
            max,
            ...(typeof isMinExact === 'boolean' ? { isMinExact } : {}),
            ...(typeof isMaxExact === 'boolean' ? { isMaxExact } : {}),
          }
        : null,
  }
}

/** 1 page_locations: 1 offset, 2 compressed_page_size, 3 first_row_index. */
function pageLocations(offsetIndex: Uint8Array, start: number): PageLocation[] {
  return (readThrift(offsetIndex).field_1 as Thrift[]).map(page => ({
    offset: Number(page.field_1) - start,
    compressedSizeBytes: Number(page.field_2),
    firstRow: Number(page.field_3),
  }))
}

/**
 * Are there the pages that the footer promises, one behind the other?
 *
 * @param rowCount null where rows may have any number of entries
 */
function checkPages({ bytes, path, entryCount, pages }: EncodedChunk, rowCount: number | null): void {
  const name = path.join('.')
  const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 }
  let entries = 0
  const starts = new Set<number>()
  while (reader.offset < bytes.length) {
    starts.add(reader.offset)
    const header = parquetHeader(reader)
    const body = bytes.subarray(reader.offset, reader.offset + header.compressed_page_size)
    checkPage(header, body, `\`${name}\``)
    reader.offset += header.compressed_page_size
    entries += header.data_page_header?.num_values ?? header.data_page_header_v2?.num_values ?? 0
  }
  if (entries !== entryCount || (rowCount !== null && entries !== rowCount)) {
    throw new Error(`the column \`${name}\` has ${entries} values in its pages, ${entryCount} by its footer`)
  }
  const lost = pages?.find(({ offset }) => !starts.has(offset))
  if (lost !== undefined) throw new Error(`the page index of \`${name}\` names a place where no page starts`)
}

function decodeText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}
