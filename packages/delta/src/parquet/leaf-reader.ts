/**
 * One leaf column of a row group, entry by entry: values with their definition and repetition levels.
 *
 * parquet-format › Nested Encoding, › Data Pages. Pages are decoded when the cursor reaches them, so that a column costs
 * its compressed bytes and one decoded page, however large the row group is. Encodings are `hyparquet`'s; what the values
 * mean is decided here, because a decimal or a timestamp that went through a JavaScript number is another value.
 *
 * @module
 */
import { crc32 } from 'node:zlib'
import type { ColumnMetaData, PageHeader, SchemaElement } from 'hyparquet'
import { parquetHeader } from 'hyparquet/src/column.js'
import { decompressPage, readDataPage, readDataPageV2 } from 'hyparquet/src/datapage.js'
import { readPlain } from 'hyparquet/src/plain.js'
import { DECOMPRESSORS } from './decompression.ts'
import type { ValueConversion } from './leaf-value.ts'
import type { ColumnChunkBytes } from './parquet-reader.ts'

/** A page that claims more than this is damaged: writers aim at one megabyte. */
const PAGE_MAX_BYTES = 1024 * 1024 * 1024

type Decoder = Parameters<typeof readDataPage>[2]

/** Where a leaf is in the file's schema. */
export interface LeafPlace {
  /** From the root, which is the first, to the leaf. */
  readonly path: readonly SchemaElement[]
  /** Number of nodes on the path that may be absent; an entry with this level has a value. */
  readonly definitionLevel: number
  /** Number of repeated nodes on the path. */
  readonly repetitionLevel: number
}

/** A cursor. It stands on an entry: the place of a value, or of a null or an empty list somewhere above it. */
export class LeafReader {
  readonly place: LeafPlace
  /** Of the entry under the cursor; −1 behind the last one. */
  definition = -1
  /** Of the entry under the cursor: 0 starts a row; −1 behind the last entry. */
  repetition = -1
  readonly #convert: ValueConversion
  #bytes: Uint8Array = new Uint8Array(0)
  #offset = 0
  #decoder: Decoder | null = null
  #dictionary: ArrayLike<unknown> | null = null
  /** Entries of the row group that no decoded page has held yet. */
  #entriesLeft = 0
  #page: Page = EMPTY_PAGE
  #entry = 0
  #valueIndex = 0

  constructor(place: LeafPlace, convert: ValueConversion) {
    this.place = place
    this.#convert = convert
  }

  /**
   * Starts on the first entry of a chunk.
   *
   * @throws Error for pages that cannot be decoded, as {@link LeafReader.advance}
   */
  open({ metadata, bytes }: ColumnChunkBytes): void {
    this.#bytes = bytes
    this.#offset = 0
    this.#decoder = decoderOf(this.place, metadata)
    this.#dictionary = null
    this.#entriesLeft = Number(metadata.num_values)
    this.#nextPage()
  }

  /** The value of the entry under the cursor, which must have one. */
  value(): unknown {
    if (this.definition !== this.place.definitionLevel) throw new Error('the entry has no value')
    return this.#page.values[this.#valueIndex]
  }

  /**
   * Goes to the next entry.
   *
   * @throws Error behind the last entry, and for a page that cannot be decoded
   */
  advance(): void {
    if (this.definition < 0)
      throw new Error(`the column ${this.#name} has fewer values than the row group has rows`)
    if (this.definition === this.place.definitionLevel) this.#valueIndex++
    this.#entry++
    if (this.#entry === this.#page.entryCount) this.#nextPage()
    else this.#readLevels()
  }

  get #name(): string {
    return `\`${this.place.path
      .slice(1)
      .map(element => element.name)
      .join('.')}\``
  }

  #readLevels(): void {
    const { definitions, repetitions } = this.#page
    this.definition = definitions === null ? this.place.definitionLevel : definitions[this.#entry]!
    this.repetition = repetitions === null ? 0 : repetitions[this.#entry]!
  }

  #nextPage(): void {
    this.#entry = 0
    this.#valueIndex = 0
    while (this.#entriesLeft > 0) {
      const page = this.#decodePage()
      if (page === null || page.entryCount === 0) continue
      this.#entriesLeft -= page.entryCount
      if (this.#entriesLeft < 0)
        throw new Error(`the column ${this.#name} has more values than its footer says`)
      this.#page = page
      this.#readLevels()
      return
    }
    this.#page = EMPTY_PAGE
    this.definition = -1
    this.repetition = -1
  }

  /** @returns null for a page without entries of its own: a dictionary, an index */
  #decodePage(): Page | null {
    const decoder = this.#decoder!
    if (this.#offset >= this.#bytes.length) {
      throw new Error(`the column ${this.#name} has fewer values than its footer says`)
    }
    const reader = { view: viewOf(this.#bytes), offset: this.#offset }
    const header = parquetHeader(reader)
    const body = this.#bytes.subarray(reader.offset, reader.offset + header.compressed_page_size)
    this.#offset = reader.offset + header.compressed_page_size
    checkPage(header, body, this.#name)
    switch (header.type) {
      case 'DICTIONARY_PAGE':
        this.#dictionary = this.#convert(readDictionary(header, body, decoder))
        return null
      case 'DATA_PAGE': {
        const data = header.data_page_header
        if (data === undefined) throw new Error(`a data page of ${this.#name} has no header`)
        this.#checkCount(data.num_values)
        const page = decompressPage(body, header.uncompressed_page_size, decoder.codec, DECOMPRESSORS)
        return this.#toPage(readDataPage(page, data, decoder), data.encoding, data.num_values)
      }
      case 'DATA_PAGE_V2': {
        const data = header.data_page_header_v2
        if (data === undefined) throw new Error(`a data page of ${this.#name} has no header`)
        this.#checkCount(data.num_values)
        return this.#toPage(readDataPageV2(body, header, decoder), data.encoding, data.num_values)
      }
      default:
        return null
    }
  }

  /** Before anything of the claimed size is allocated. */
  #checkCount(count: number): void {
    if (count < 0 || count > this.#entriesLeft) {
      throw new Error(
        `a page of the column ${this.#name} claims ${count} values, ${this.#entriesLeft} are left`,
      )
    }
  }

  #toPage(decoded: ReturnType<typeof readDataPage>, encoding: string, entryCount: number): Page {
    const { definitionLevels, repetitionLevels, dataPage } = decoded
    const isIndexes = encoding === 'PLAIN_DICTIONARY' || encoding === 'RLE_DICTIONARY'
    return {
      entryCount,
      // Left empty where every entry has a value.
      definitions: definitionLevels === undefined || definitionLevels.length === 0 ? null : definitionLevels,
      repetitions: repetitionLevels.length === 0 ? null : repetitionLevels,
      values: isIndexes ? this.#lookUp(dataPage as ArrayLike<number>) : this.#convert(dataPage),
    }
  }

  #lookUp(indexes: ArrayLike<number>): unknown[] {
    const dictionary = this.#dictionary
    if (dictionary === null) throw new Error(`the column ${this.#name} has no dictionary page`)
    const values = new Array<unknown>(indexes.length)
    for (let i = 0; i < indexes.length; i++) {
      const index = indexes[i]!
      if (index >= dictionary.length) throw new Error(`the dictionary of ${this.#name} has no entry ${index}`)
      values[i] = dictionary[index]
    }
    return values
  }
}

interface Page {
  readonly entryCount: number
  /** Null where every entry has a value. */
  readonly definitions: ArrayLike<number> | null
  /** Null where nothing on the path is repeated. */
  readonly repetitions: ArrayLike<number> | null
  /** Of the entries that have one. */
  readonly values: ArrayLike<unknown>
}

const EMPTY_PAGE: Page = { entryCount: 0, definitions: null, repetitions: null, values: [] }

/**
 * A bit that flipped on the way shows here, where the writer left a checksum; the values alone might not show it.
 *
 * @param name of the column, for the message
 * @throws Error for a page that is cut off, or is not what its header says
 */
export function checkPage(header: PageHeader, body: Uint8Array, name: string): void {
  if (header.compressed_page_size < 0 || body.length < header.compressed_page_size) {
    throw new Error(`a page of the column ${name} is cut off`)
  }
  if (header.uncompressed_page_size < 0 || header.uncompressed_page_size > PAGE_MAX_BYTES) {
    throw new Error(`a page of the column ${name} claims ${header.uncompressed_page_size} bytes`)
  }
  if (header.crc !== undefined && crc32(body) >>> 0 !== header.crc >>> 0) {
    throw new Error(`a page of the column ${name} does not have the checksum in its header`)
  }
}

function readDictionary(header: PageHeader, body: Uint8Array, decoder: Decoder): ArrayLike<unknown> {
  const count = header.dictionary_page_header?.num_values ?? 0
  const page = decompressPage(body, header.uncompressed_page_size, decoder.codec, DECOMPRESSORS)
  // Every value but a boolean takes a byte at least, and booleans have no dictionary.
  if (count < 0 || count > page.length)
    throw new Error(`a dictionary claims ${count} entries in ${page.length} bytes`)
  return readPlain({ view: viewOf(page), offset: 0 }, decoder.type, count, decoder.element.type_length)
}

function decoderOf(place: LeafPlace, metadata: ColumnMetaData): Decoder {
  const element = place.path.at(-1)!
  const schemaPath = place.path.map(node => ({ children: [], count: 1, element: node, path: [] }))
  // What `hyparquet` needs of it to decode a page; its own conversions and parsers are never called.
  return {
    ...metadata,
    pathInSchema: metadata.path_in_schema,
    element,
    schemaPath,
    compressors: DECOMPRESSORS,
  } as unknown as Decoder
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
