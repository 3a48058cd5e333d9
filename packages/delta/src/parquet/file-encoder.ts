/**
 * The Parquet encoder of this package: a batch of Arrow-layout columns to one file.
 *
 * Strings and numbers go from the columns' buffers into pages without a JavaScript value in between; pages are
 * collected and put together once their total is known.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { endianness } from 'node:os'
import type { Column, ColumnBatch } from '../column/column.ts'
import { sliceBatch } from '../column/gather.ts'
import { fieldPathKey } from '../column-mapping.ts'
import type { StructType } from '../schema.ts'
import { type Bounds, mergeBounds } from './bounds.ts'
import { type ChunkDescription, describeChunk, type EncodedRowGroup } from './chunk-description.ts'
import {
  type ChunkOptions,
  ChunkScratch,
  type ChunkSummary,
  type FileSink,
  writeColumnChunk,
} from './column-chunk.ts'
import { createPageCompressor } from './compression.ts'
import { MAGIC, type RowGroupSummary, writeFileEnd } from './footer.ts'
import { flattenColumn } from './levels.ts'
import type {
  LeafBounds,
  ParquetCodec,
  ParquetEncodeOptions,
  ParquetEncoder,
  ParquetFileWriter,
} from './parquet-encoder.ts'
import { type ParquetSchema, planParquetSchema } from './schema-element.ts'

const ROW_GROUP_ROWS = 1_048_576
/** Of the columns in memory; what a reader must hold to read a row group is of the same order. */
const ROW_GROUP_SIZE_TARGET_BYTES = 128 << 20
const PAGE_ROWS = 20_000

const NOTHING = new Uint8Array(0)

/**
 * An encoder of data page V1 files with dictionaries where they pay, chunk statistics and page indexes.
 *
 * It throws an AssertionError for a file or a row group without rows, a null where the schema allows none, a struct
 * without fields, and columns of `void` or `variant`: the caller has ruled these out.
 */
export function createParquetEncoder(): ParquetEncoder {
  assert(endianness() === 'LE', 'columns and Parquet are little-endian, this machine is not')
  // A chunk is written in one go, so that files which are written at the same time can share it.
  const scratch = new ChunkScratch()
  return {
    encode: (batch, options) => encode(batch, options, scratch),
    createFileWriter: (schema, options) => new FileWriter(schema, options, scratch),
  }
}

function encode(
  batch: ColumnBatch,
  options: ParquetEncodeOptions,
  scratch: ChunkScratch,
): ReturnType<ParquetEncoder['encode']> {
  assert(batch.rowCount > 0, 'a Parquet file without rows is not written')
  const file = new FileWriter(batch.schema, options, scratch)
  const groupRows = planRowGroupRows(batch, options.rowGroupRows ?? ROW_GROUP_ROWS)
  for (let from = 0; from < batch.rowCount; from += groupRows) {
    const to = Math.min(from + groupRows, batch.rowCount)
    file.appendRowGroup(groupRows >= batch.rowCount ? batch : sliceBatch(batch, from, to))
  }
  return { bytes: file.finish(), rowCount: batch.rowCount, bounds: file.bounds }
}

class FileWriter implements ParquetFileWriter {
  rowCount = 0
  readonly #schema: ParquetSchema
  readonly #codec: ParquetCodec
  readonly #chunkOptions: ChunkOptions
  readonly #scratch: ChunkScratch
  readonly #sink = new PartSink()
  readonly #rowGroups: RowGroupSummary[] = []
  readonly #bounds = new Map<string, Bounds | null>()

  constructor(schema: StructType, options: ParquetEncodeOptions, scratch: ChunkScratch) {
    this.#scratch = scratch
    this.#schema = planParquetSchema(schema, options.fieldIds)
    this.#codec = options.codec
    this.#chunkOptions = {
      compress: createPageCompressor(options.codec, options.compressionLevel),
      pageRows: options.pageRows ?? PAGE_ROWS,
      dictionary: options.dictionary ?? true,
    }
    assert(this.#chunkOptions.pageRows > 0)
    this.#sink.write(MAGIC)
  }

  get sizeBytes(): number {
    return this.#sink.position
  }

  /** Of the row groups that were encoded here. */
  get bounds(): LeafBounds {
    return this.#bounds
  }

  appendRowGroup({ rowCount, columns }: ColumnBatch): void {
    assert(rowCount > 0, 'a row group without rows is not written')
    const chunks = this.#schema.nodes.flatMap((node, i) => {
      const column = columns[i]
      assert(
        column?.length === rowCount,
        `the column \`${node.place}\` is missing or of another length than its batch`,
      )
      return flattenColumn(node, column).map(leaf => {
        const chunk = writeColumnChunk(this.#sink, leaf, this.#chunkOptions, this.#scratch)
        this.#note(chunk)
        return describeChunk(chunk)
      })
    })
    this.#rowGroups.push({ rowCount, chunks })
    this.rowCount += rowCount
  }

  appendEncodedRowGroup({ rowCount, chunks }: EncodedRowGroup): void {
    assert(rowCount > 0, 'a row group without rows is not written')
    assert.deepEqual(
      chunks.map(({ path }) => path),
      this.#schema.leaves.map(({ path }) => path),
    )
    const placed = chunks.map(({ bytes, ...chunk }): ChunkDescription => {
      const start = this.#sink.position
      this.#sink.write(bytes)
      return {
        ...chunk,
        dictionaryPageOffset: chunk.dictionaryPageOffset === null ? null : chunk.dictionaryPageOffset + start,
        dataPageOffset: chunk.dataPageOffset + start,
        pages: chunk.pages?.map(page => ({ ...page, offset: page.offset + start })) ?? null,
      }
    })
    this.#rowGroups.push({ rowCount, chunks: placed })
    this.rowCount += rowCount
  }

  #note({ leaf, nullCount, entryCount, bounds }: ChunkSummary): void {
    if (leaf.repetitionLevelMax > 0 || nullCount === entryCount) return
    const key = fieldPathKey(leaf.path)
    const before = this.#bounds.get(key)
    const isKnown = before !== null && bounds !== null
    this.#bounds.set(
      key,
      isKnown && before !== undefined ? mergeBounds(before, bounds, leaf) : isKnown ? bounds : null,
    )
  }

  take(): Uint8Array {
    return this.#sink.join()
  }

  finish(): Uint8Array {
    assert(this.rowCount > 0, 'a Parquet file without rows is not written')
    writeFileEnd(this.#sink, this.#schema, this.#rowGroups, this.#codec)
    return this.#sink.join()
  }
}

/** Parts of the file, put together when all are there: no buffer grows and is copied on the way. */
class PartSink implements FileSink {
  position = 0
  private parts: Uint8Array[] = []
  private sizeBytes = 0

  write(bytes: Uint8Array): void {
    this.parts.push(bytes)
    this.sizeBytes += bytes.length
    this.position += bytes.length
  }

  /** What was written since the last call. Gives up each part as soon as it is copied. */
  join(): Uint8Array {
    const file = new Uint8Array(this.sizeBytes)
    let at = 0
    for (const [i, part] of this.parts.entries()) {
      file.set(part, at)
      at += part.length
      this.parts[i] = NOTHING
    }
    this.parts = []
    this.sizeBytes = 0
    return file
  }
}

/** As many rows as fit the size target on average, at least one and at most `rowsMax`. */
function planRowGroupRows(batch: ColumnBatch, rowsMax: number): number {
  assert(rowsMax > 0)
  const sizeBytes = batch.columns.reduce((total, column) => total + columnSizeBytes(column), 0)
  const rows = Math.floor((ROW_GROUP_SIZE_TARGET_BYTES * batch.rowCount) / Math.max(1, sizeBytes))
  return Math.max(1, Math.min(rowsMax, rows))
}

/** Under lists and maps the levels of an entry count too. */
function columnSizeBytes(column: Column): number {
  switch (column.kind) {
    case 'boolean':
      return (column.length + 7) >> 3
    case 'binary':
      return spanOf(column) + column.length * 4
    case 'list':
      return spanOf(column) * LEVEL_BYTES + column.length * 4 + columnSizeBytes(column.element)
    case 'map':
      return (
        spanOf(column) * LEVEL_BYTES * 2 +
        column.length * 4 +
        columnSizeBytes(column.key) +
        columnSizeBytes(column.value)
      )
    case 'struct':
      return column.fields.reduce((total, child) => total + columnSizeBytes(child), 0)
    default:
      return column.values.byteLength
  }
}

/** An entry's index and levels while its column is flattened. */
const LEVEL_BYTES = 6

/** Bytes of a binary column, items of a list or map. */
function spanOf(column: { readonly length: number; readonly offsets: Int32Array }): number {
  return column.offsets[column.length]! - column.offsets[0]!
}
