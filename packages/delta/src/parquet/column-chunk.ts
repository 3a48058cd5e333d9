/**
 * One column of one row group: its pages, and what the footer and the page index say of them.
 *
 * README.md › File format, Data Pages (V1): repetition levels, definition levels, values, compressed together. Levels
 * are stored where their maximum is above 0, each with its size in four bytes before it.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { Arena } from '../column/arena.ts'
import { type Bounds, boundsOf, mergeBounds } from './bounds.ts'
import { ByteWriter } from './byte-writer.ts'
import type { PageCompressor } from './compression.ts'
import { type DictionaryEncoded, encodeDictionary } from './dictionary.ts'
import type { LeafData } from './levels.ts'
import { appendPlain, plainSizeBytes, plainView, takeValues } from './physical-values.ts'
import { appendBitmap, appendHybrid, bitWidthOf } from './rle.ts'
import type { Leaf } from './schema-element.ts'
import { ThriftWriter } from './thrift.ts'

/** parquet.thrift › Encoding. */
export const ENCODING_IDS = { PLAIN: 0, RLE: 3, RLE_DICTIONARY: 8 } as const

/** parquet.thrift › PageType. */
export const PAGE_TYPE_IDS = { DATA_PAGE: 0, DICTIONARY_PAGE: 2 } as const

/** Larger pages are split by rows; a single row may be larger. */
const PAGE_SIZE_TARGET_BYTES = 1 << 20
/** The header's sizes are 32-bit. */
const PAGE_SIZE_MAX_BYTES = 2 ** 31 - 1

/** Where the file's bytes go, in order. */
export interface FileSink {
  readonly position: number
  write(bytes: Uint8Array): void
}

export interface ChunkOptions {
  readonly compress: PageCompressor
  readonly pageRows: number
  readonly dictionary: boolean
}

export interface PageSummary {
  /** In the file, of the page header. */
  readonly offset: number
  /** Header included. */
  readonly compressedSizeBytes: number
  /** In the row group. */
  readonly firstRow: number
  readonly nullCount: number
  /** No value but nulls. */
  readonly isNullPage: boolean
  /** Null where all values are null or one is NaN. */
  readonly bounds: Bounds | null
}

export interface ChunkSummary {
  readonly leaf: Leaf
  /** Nulls and empty lists included. */
  readonly entryCount: number
  readonly nullCount: number
  /** Null where all values are null or one is NaN. */
  readonly bounds: Bounds | null
  readonly dictionaryPageOffset: number | null
  readonly dataPageOffset: number
  /** Page headers included. */
  readonly uncompressedSizeBytes: number
  readonly compressedSizeBytes: number
  readonly pages: readonly PageSummary[]
}

/** Buffers that chunks use one after the other. */
export class ChunkScratch {
  readonly page = new ByteWriter()
  readonly thrift = new ThriftWriter()
  readonly arena = new Arena()
}

interface PageRange {
  readonly rowFrom: number
  readonly rowTo: number
}

export function writeColumnChunk(
  sink: FileSink,
  data: LeafData,
  options: ChunkOptions,
  scratch: ChunkScratch,
): ChunkSummary {
  scratch.arena.reset()
  const encoded = options.dictionary ? encodeDictionary(data.values, scratch.arena) : null
  const chunkStart = sink.position
  let uncompressedSizeBytes = 0
  if (encoded !== null) {
    const { dictionary } = encoded
    scratch.page.clear()
    appendPlain(scratch.page, dictionary, 0, dictionary.count)
    uncompressedSizeBytes += writePage(
      sink,
      'DICTIONARY_PAGE',
      scratch.page.written(),
      options,
      scratch,
      thrift => {
        thrift.field(7, () => {
          thrift.i32(1, dictionary.count)
          thrift.i32(2, ENCODING_IDS.PLAIN)
        })
      },
    )
  }
  const dataPageOffset = sink.position
  const pages: PageSummary[] = []
  const pageBounds = encoded === null ? plainPageBounds(data) : dictionaryPageBounds(encoded)
  for (const { rowFrom, rowTo } of planPages(data, encoded, options.pageRows)) {
    const offset = sink.position
    const entryFrom = data.entryStarts?.[rowFrom] ?? rowFrom
    const entryTo = data.entryStarts?.[rowTo] ?? rowTo
    const valueFrom = data.valueStarts?.[rowFrom] ?? rowFrom
    const valueTo = data.valueStarts?.[rowTo] ?? rowTo
    const body = pageBody(data, encoded, entryFrom, entryTo, valueFrom, valueTo, scratch.page)
    uncompressedSizeBytes += writePage(sink, 'DATA_PAGE', body, options, scratch, thrift => {
      thrift.field(5, () => {
        thrift.i32(1, entryTo - entryFrom)
        thrift.i32(2, encoded === null ? ENCODING_IDS.PLAIN : ENCODING_IDS.RLE_DICTIONARY)
        thrift.i32(3, ENCODING_IDS.RLE)
        thrift.i32(4, ENCODING_IDS.RLE)
      })
    })
    pages.push({
      offset,
      compressedSizeBytes: sink.position - offset,
      firstRow: rowFrom,
      nullCount: entryTo - entryFrom - (valueTo - valueFrom),
      isNullPage: valueFrom === valueTo,
      bounds: valueFrom === valueTo ? null : pageBounds(valueFrom, valueTo),
    })
  }
  return {
    leaf: data.leaf,
    entryCount: data.entryCount,
    nullCount: data.entryCount - data.values.count,
    bounds: chunkBounds(pages, data.leaf),
    dictionaryPageOffset: encoded === null ? null : chunkStart,
    dataPageOffset,
    uncompressedSizeBytes,
    compressedSizeBytes: sink.position - chunkStart,
    pages,
  }
}

/** Halves the rows of a page until its values fit the target. */
function planPages(data: LeafData, encoded: DictionaryEncoded | null, pageRows: number): PageRange[] {
  const pages: PageRange[] = []
  for (let row = 0; row < data.rowCount; row += pageRows) split(row, Math.min(row + pageRows, data.rowCount))
  return pages

  function split(rowFrom: number, rowTo: number): void {
    if (rowTo - rowFrom > 1 && sizeBytes(rowFrom, rowTo) > PAGE_SIZE_TARGET_BYTES) {
      // At a whole byte of bitmaps, where that is possible.
      const half = (rowTo - rowFrom) >> 1
      const middle = rowFrom + (half >= 8 ? half & ~7 : half)
      split(rowFrom, middle)
      split(middle, rowTo)
    } else pages.push({ rowFrom, rowTo })
  }

  function sizeBytes(rowFrom: number, rowTo: number): number {
    const valueFrom = data.valueStarts?.[rowFrom] ?? rowFrom
    const valueTo = data.valueStarts?.[rowTo] ?? rowTo
    const entryCount = (data.entryStarts?.[rowTo] ?? rowTo) - (data.entryStarts?.[rowFrom] ?? rowFrom)
    const valuesSizeBytes =
      encoded === null
        ? plainSizeBytes(data.values, valueFrom, valueTo)
        : ((valueTo - valueFrom) * encoded.bitWidth) / 8
    // Levels compress well; a byte an entry keeps pages of nothing but nulls and empty lists bounded too.
    return valuesSizeBytes + (data.repetition === null ? 0 : entryCount)
  }
}

function pageBody(
  data: LeafData,
  encoded: DictionaryEncoded | null,
  entryFrom: number,
  entryTo: number,
  valueFrom: number,
  valueTo: number,
  out: ByteWriter,
): Uint8Array {
  const { definitionLevelMax, repetitionLevelMax } = data.leaf
  if (definitionLevelMax === 0 && encoded === null) {
    const view = plainView(data.values, valueFrom, valueTo)
    if (view !== null) return view
  }
  out.clear()
  if (repetitionLevelMax > 0) {
    const repetition = data.repetition!
    appendSized(out, () => appendHybrid(out, repetition, entryFrom, entryTo, bitWidthOf(repetitionLevelMax)))
  }
  if (definitionLevelMax > 0) appendSized(out, () => appendDefinition(out, data, entryFrom, entryTo))
  if (encoded === null) appendPlain(out, data.values, valueFrom, valueTo)
  else {
    out.appendByte(encoded.bitWidth)
    appendHybrid(out, encoded.codes, valueFrom, valueTo, encoded.bitWidth)
  }
  return out.written()
}

function appendDefinition(out: ByteWriter, data: LeafData, entryFrom: number, entryTo: number): void {
  const { definition, leaf } = data
  switch (definition.kind) {
    case 'full':
      out.appendVarint((entryTo - entryFrom) * 2)
      out.appendByte(leaf.definitionLevelMax)
      break
    case 'bits':
      appendBitmap(out, definition.bits, entryFrom, entryTo)
      break
    case 'levels':
      appendHybrid(out, definition.levels, entryFrom, entryTo, bitWidthOf(leaf.definitionLevelMax))
  }
}

/** Four bytes with the size of what `write` appends, then that. */
function appendSized(out: ByteWriter, write: () => void): void {
  const at = out.length
  out.appendUint32(0)
  write()
  out.setUint32(at, out.length - at - 4)
}

/**
 * parquet.thrift › PageHeader: 1 type, 2 uncompressed_page_size, 3 compressed_page_size, 5 data_page_header
 * (1 num_values, 2 encoding, 3 definition_level_encoding, 4 repetition_level_encoding), 7 dictionary_page_header
 * (1 num_values, 2 encoding).
 *
 * @returns the page's size without compression, its header included
 */
function writePage(
  sink: FileSink,
  pageType: keyof typeof PAGE_TYPE_IDS,
  body: Uint8Array,
  options: ChunkOptions,
  scratch: ChunkScratch,
  writeTypeHeader: (thrift: ThriftWriter) => void,
): number {
  assert(
    body.length > 0 && body.length <= PAGE_SIZE_MAX_BYTES,
    'a page is empty or larger than its header can say',
  )
  const stored = options.compress(body)
  assert(stored.length <= PAGE_SIZE_MAX_BYTES, 'a compressed page is larger than its header can say')
  const { thrift } = scratch
  thrift.struct(() => {
    thrift.i32(1, PAGE_TYPE_IDS[pageType])
    thrift.i32(2, body.length)
    thrift.i32(3, stored.length)
    writeTypeHeader(thrift)
  })
  const header = thrift.take()
  sink.write(header)
  // The scratch page is written over by the next one; a view of the batch stays as it is.
  sink.write(stored.buffer === scratch.page.bytes.buffer ? stored.slice() : stored)
  return header.length + body.length
}

function plainPageBounds(data: LeafData): (from: number, to: number) => Bounds | null {
  return (from, to) => boundsOf(data.values, from, to)
}

/** Looks at each dictionary entry of a page once, however often it occurs. */
function dictionaryPageBounds(encoded: DictionaryEncoded): (from: number, to: number) => Bounds | null {
  const { dictionary, codes } = encoded
  const seenInPage = new Int32Array(dictionary.count)
  const distinct = new Int32Array(dictionary.count)
  let page = 0
  return (from, to) => {
    page++
    let distinctCount = 0
    for (let i = from; i < to; i++) {
      const code = codes[i]!
      if (seenInPage[code] === page) continue
      seenInPage[code] = page
      distinct[distinctCount++] = code
    }
    return boundsOf(takeValues(dictionary, distinct.subarray(0, distinctCount)), 0, distinctCount)
  }
}

function chunkBounds(pages: readonly PageSummary[], leaf: Leaf): Bounds | null {
  let merged: Bounds | null = null
  for (const { bounds, isNullPage } of pages) {
    if (isNullPage) continue
    if (bounds === null) return null
    merged = merged === null ? bounds : mergeBounds(merged, bounds, leaf)
  }
  return merged
}
