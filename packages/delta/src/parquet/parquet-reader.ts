/**
 * Random access to a Parquet file in an object store: footer, then only the columns that are asked for.
 *
 * parquet-format › File format. Thrift, pages and encodings are `hyparquet`'s; this adds range requests, projection to
 * single leaves, Node's native decompression, exact 64-bit values, and errors that name the file.
 *
 * @module
 */
import { type ColumnMetaData, type FileMetaData, parquetMetadata } from 'hyparquet'
import { DeltaLakeError } from '../error.ts'
import type { ByteRange, ObjectStore, RequestOptions } from '../store/object-store.ts'

/** The end of the file that is read first: footers of most files fit, so that one request is enough. */
const FOOTER_GUESS_BYTES = 64 * 1024
/** `<footer length: 4 bytes>PAR1`. */
const FOOTER_TAIL_BYTES = 8
const MAGIC = 0x31524150
/** Columns with at most this many unwanted bytes between them are read in one request. */
const RANGE_GAP_BYTES = 256 * 1024
/** A file whose footer is larger is damaged. */
const FOOTER_MAX_BYTES = 512 * 1024 * 1024

export interface OpenParquetOptions extends RequestOptions {
  /** Size of the object where it is known: saves a request. */
  readonly sizeBytes?: number
}

/** A column chunk as it is in the file. */
export interface ColumnChunkBytes {
  readonly metadata: ColumnMetaData
  readonly bytes: Uint8Array
}

/** Values as the file has them: nothing becomes a `Date`, a timestamp is a bigint in the file's own unit. */
const EXACT_PARSERS = {
  timestampFromMilliseconds: (value: bigint) => value,
  timestampFromMicroseconds: (value: bigint) => value,
  timestampFromNanoseconds: (value: bigint) => value,
  dateFromDays: (days: number) => days,
  jsonFromBytes: (bytes: Uint8Array) => new TextDecoder().decode(bytes),
}

/**
 * Opens a file: one or two range requests, and one for the size where it is not given.
 *
 * @throws DeltaLakeError `DELTA_DATA_CORRUPT` where it is missing or no Parquet file, and what the store throws
 */
export async function openParquet(
  store: ObjectStore,
  key: string,
  options: OpenParquetOptions = {},
): Promise<ParquetFile> {
  const { signal } = options
  const request: RequestOptions = signal === undefined ? {} : { signal }
  const sizeBytes = options.sizeBytes ?? (await store.head(key, request))?.sizeBytes
  if (sizeBytes === undefined) throw missing(store, key)
  const file = new RangedFile(store, key, request)
  const tail = await file.read({ startByte: Math.max(0, sizeBytes - FOOTER_GUESS_BYTES), endByte: sizeBytes })
  const view = new DataView(tail.buffer, tail.byteOffset, tail.byteLength)
  if (tail.length < FOOTER_TAIL_BYTES || view.getUint32(tail.length - 4, true) !== MAGIC) {
    throw corrupt(store, key, 'does not end as a Parquet file does')
  }
  const footerBytes = view.getUint32(tail.length - FOOTER_TAIL_BYTES, true) + FOOTER_TAIL_BYTES
  if (footerBytes > Math.min(sizeBytes, FOOTER_MAX_BYTES)) {
    throw corrupt(store, key, `has a footer of ${footerBytes} bytes, more than the file`)
  }
  const footer =
    footerBytes <= tail.length
      ? tail.subarray(tail.length - footerBytes)
      : await file.read({ startByte: sizeBytes - footerBytes, endByte: sizeBytes })
  let metadata: FileMetaData
  try {
    metadata = parquetMetadata(exactBuffer(footer), { parsers: EXACT_PARSERS, geoparquet: false })
  } catch (cause) {
    throw corrupt(store, key, 'has a footer that cannot be read', cause)
  }
  return new ParquetFile(store, key, sizeBytes, metadata, footer.subarray(0, -FOOTER_TAIL_BYTES), file)
}

/** A file whose footer has been read. */
export class ParquetFile {
  readonly key: string
  readonly sizeBytes: number
  readonly metadata: FileMetaData
  /** The same as it is in the file: FileMetaData in the compact protocol. */
  readonly footer: Uint8Array
  readonly rowCount: number
  readonly #store: ObjectStore
  readonly #file: RangedFile

  constructor(
    store: ObjectStore,
    key: string,
    sizeBytes: number,
    metadata: FileMetaData,
    footer: Uint8Array,
    file: RangedFile,
  ) {
    this.#store = store
    this.key = key
    this.sizeBytes = sizeBytes
    this.metadata = metadata
    this.footer = footer
    this.rowCount = Number(metadata.num_rows)
    this.#file = file
  }

  get rowGroupCount(): number {
    return this.metadata.row_groups.length
  }

  /** Do the row group's statistics say that every leaf at or below `path` is null? False where they say nothing. */
  isAllNull(rowGroup: number, path: string): boolean {
    return this.metadata.row_groups[rowGroup]!.columns.every(({ meta_data: column }) => {
      if (column === undefined || !isAtOrBelow(column.path_in_schema.join('.'), path)) return true
      // A null or empty list or map counts as one null value of its leaf.
      return column.statistics?.null_count !== undefined && column.statistics.null_count === column.num_values
    })
  }

  /** Nulls of a leaf in a row group, by its statistics; null where they do not say, or where there is no such leaf. */
  nullCount(rowGroup: number, leaf: string): number | null {
    for (const { meta_data: column } of this.metadata.row_groups[rowGroup]!.columns) {
      if (column?.path_in_schema.join('.') !== leaf) continue
      return column.statistics?.null_count === undefined ? null : Number(column.statistics.null_count)
    }
    return null
  }

  /**
   * Reads the bytes of column chunks of one row group, undecoded: near ones in one request.
   *
   * @param columns the leaves of the schema, counted from 0
   * @returns in the order of `columns`; undefined where the row group has no such chunk
   * @throws DeltaLakeError `DELTA_DATA_CORRUPT`, and what the store throws
   */
  async readChunks(rowGroup: number, columns: readonly number[]): Promise<(ColumnChunkBytes | undefined)[]> {
    const chunks = columns.map(column => this.metadata.row_groups[rowGroup]!.columns[column]?.meta_data)
    const present = chunks.filter(chunk => chunk !== undefined)
    const parts = await this.readRanges(present.map(chunkRange))
    let next = 0
    return chunks.map(chunk => (chunk === undefined ? undefined : { metadata: chunk, bytes: parts[next++]! }))
  }

  /**
   * Reads ranges of the file, near ones in one request.
   *
   * @returns in the order of `ranges`
   * @throws DeltaLakeError `DELTA_DATA_CORRUPT`, and what the store throws
   */
  async readRanges(ranges: readonly ByteRange[]): Promise<Uint8Array[]> {
    const blocks = await Promise.all(
      coalesce(ranges).map(async range => ({ range, bytes: await this.#file.read(range) })),
    )
    return ranges.map(range => this.#slice(blocks, range))
  }

  /** The error of a row group that cannot be decoded, naming the file. An error of ours stays what it is. */
  undecodable(rowGroup: number, cause: unknown): DeltaLakeError {
    if (cause instanceof DeltaLakeError) return cause
    if (cause instanceof Error && /unsupported|not supported/i.test(cause.message)) {
      return new DeltaLakeError(
        'PARQUET_UNSUPPORTED',
        `the file \`${this.key}\` of ${this.#store.uri} cannot be decoded: ${cause.message}`,
        { cause, context: { table: this.#store.uri, file: this.key } },
      )
    }
    return this.corrupt(`cannot be decoded in row group ${rowGroup}`, cause)
  }

  /** `DELTA_DATA_CORRUPT` naming the file; the message goes on after its name. */
  corrupt(message: string, cause?: unknown): DeltaLakeError {
    return corrupt(this.#store, this.key, message, cause)
  }

  #slice(blocks: readonly Block[], { startByte, endByte }: ByteRange): Uint8Array {
    const block = blocks.find(({ range }) => range.startByte <= startByte && endByte <= range.endByte)
    if (block === undefined) throw this.corrupt('has column chunks that lie outside of their ranges')
    return block.bytes.subarray(startByte - block.range.startByte, endByte - block.range.startByte)
  }
}

interface Block {
  readonly range: ByteRange
  readonly bytes: Uint8Array
}

/** The dictionary page, where there is one, comes before the first data page. */
function chunkRange(column: ColumnMetaData): ByteRange {
  const startByte = Number(column.dictionary_page_offset || column.data_page_offset)
  return { startByte, endByte: startByte + Number(column.total_compressed_size) }
}

/** An object that is read by ranges, each of which must be there in full. */
class RangedFile {
  readonly #store: ObjectStore
  readonly #key: string
  readonly #request: RequestOptions

  constructor(store: ObjectStore, key: string, request: RequestOptions) {
    this.#store = store
    this.#key = key
    this.#request = request
  }

  async read(range: ByteRange): Promise<Uint8Array> {
    if (range.endByte <= range.startByte) return new Uint8Array(0)
    const bytes = await this.#store.get(this.#key, { ...this.#request, range })
    if (bytes === null) throw missing(this.#store, this.#key)
    if (bytes.length !== range.endByte - range.startByte) {
      throw corrupt(this.#store, this.#key, `ends before byte ${range.endByte}`)
    }
    return bytes
  }
}

function isAtOrBelow(path: string, ancestor: string): boolean {
  return path === ancestor || path.startsWith(`${ancestor}.`)
}

function coalesce(ranges: readonly ByteRange[]): ByteRange[] {
  const sorted = ranges.toSorted((a, b) => a.startByte - b.startByte)
  const merged: { startByte: number; endByte: number }[] = []
  for (const range of sorted) {
    const last = merged.at(-1)
    if (last !== undefined && range.startByte - last.endByte <= RANGE_GAP_BYTES) {
      last.endByte = Math.max(last.endByte, range.endByte)
    } else merged.push({ ...range })
  }
  return merged
}

/** The bytes as an ArrayBuffer of their own; without a copy where they fill one. */
function exactBuffer(bytes: Uint8Array): ArrayBuffer {
  if (bytes.buffer instanceof ArrayBuffer && bytes.byteLength === bytes.buffer.byteLength) return bytes.buffer
  return bytes.slice().buffer as ArrayBuffer
}

function missing(store: ObjectStore, key: string): DeltaLakeError {
  return new DeltaLakeError('DELTA_DATA_CORRUPT', `the file \`${key}\` of ${store.uri} does not exist`, {
    context: { table: store.uri, file: key },
  })
}

function corrupt(store: ObjectStore, key: string, message: string, cause?: unknown): DeltaLakeError {
  return new DeltaLakeError('DELTA_DATA_CORRUPT', `the file \`${key}\` of ${store.uri} ${message}`, {
    cause,
    context: { table: store.uri, file: key },
  })
}
