/**
 * Reads a Parquet file into the shapes of `columnValue`.
 *
 * Footer, page headers, decompression, levels and values are decoded by hyparquet. Rows are put together here: its own
 * assembly makes doubles of decimals and objects of maps, and does not tell every empty list from a null.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { type FileMetaData, parquetMetadata } from 'hyparquet'
import { parquetHeader } from 'hyparquet/src/column.js'
import { decompressPage, readDataPage } from 'hyparquet/src/datapage.js'
import { readPlain } from 'hyparquet/src/plain.js'
import { getSchemaPath } from 'hyparquet/src/schema.js'
import { compressors } from 'hyparquet-compressors'
import type { DataType, StructType } from '../../src/schema.ts'
import type { Row } from '../column/arbitrary-batch.ts'

export type ColumnMetaData = NonNullable<FileMetaData['row_groups'][number]['columns'][number]['meta_data']>

export function fileMetadata(bytes: Uint8Array): FileMetaData {
  return parquetMetadata(arrayBufferOf(bytes), { parsers: rawParsers })
}

export function arrayBufferOf(bytes: Uint8Array): ArrayBuffer {
  return bytes.slice().buffer as ArrayBuffer
}

/** Statistics and index bounds as they are stored. */
export const rawParsers = {
  timestampFromMicroseconds: (micros: bigint): bigint => micros,
  dateFromDays: (days: number): number => days,
}

export function readRows(bytes: Uint8Array, schema: StructType): Row[] {
  const metadata = fileMetadata(bytes)
  return metadata.row_groups.flatMap(group => {
    const leaves = new Map<string, LeafCursor>()
    for (const { meta_data: column } of group.columns) {
      assert(column)
      leaves.set(column.path_in_schema.join('.'), new LeafCursor(readLeaf(bytes, metadata, column)))
    }
    const rows = Array.from(
      { length: Number(group.num_rows) },
      () => readStruct(schema, '', 0, 0, leaves) as Row,
    )
    for (const [path, leaf] of leaves) assert(leaf.isAtEnd, `\`${path}\` has entries left`)
    return rows
  })
}

interface Entry {
  readonly definition: number
  readonly repetition: number
  readonly value: unknown
}

/** The entries of a column chunk, page after page. */
function readLeaf(bytes: Uint8Array, metadata: FileMetaData, column: ColumnMetaData): Entry[] {
  const schemaPath = getSchemaPath(metadata.schema, column.path_in_schema)
  const { element } = schemaPath.at(-1)!
  const definitionLevelMax = schemaPath.filter(node =>
    isOf(node.element.repetition_type, 'OPTIONAL', 'REPEATED'),
  ).length
  const start = Number(column.dictionary_page_offset ?? column.data_page_offset)
  const end = start + Number(column.total_compressed_size)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const reader = { view, offset: start }
  const entries: Entry[] = []
  let dictionary: ArrayLike<unknown> | null = null
  let uncompressedSize = 0
  while (reader.offset < end) {
    const headerStart = reader.offset
    const header = parquetHeader(reader)
    uncompressedSize += reader.offset - headerStart + header.uncompressed_page_size
    const stored = bytes.slice(reader.offset, reader.offset + header.compressed_page_size)
    reader.offset += header.compressed_page_size
    const page = decompressPage(stored, header.uncompressed_page_size, column.codec, compressors)
    if (header.dictionary_page_header !== undefined) {
      const pageReader = { view: new DataView(page.buffer, page.byteOffset, page.byteLength), offset: 0 }
      dictionary = readPlain(
        pageReader,
        column.type,
        header.dictionary_page_header.num_values,
        element.type_length,
      )
      continue
    }
    const dataHeader = header.data_page_header
    assert(dataHeader)
    const decoder = { type: column.type, element, schemaPath } as Parameters<typeof readDataPage>[2]
    const { definitionLevels, repetitionLevels, dataPage } = readDataPage(page, dataHeader, decoder)
    let next = 0
    for (let i = 0; i < dataHeader.num_values; i++) {
      // hyparquet leaves levels out that are all at the maximum, or all zero.
      const definition = definitionLevels?.[i] ?? definitionLevelMax
      const raw = definition === definitionLevelMax ? dataPage[next++] : null
      const isCode = dataHeader.encoding === 'RLE_DICTIONARY' && raw !== null
      entries.push({
        definition,
        repetition: repetitionLevels[i] ?? 0,
        value: isCode ? dictionary![raw as number] : raw,
      })
    }
  }
  assert.equal(reader.offset, end)
  assert.equal(entries.length, Number(column.num_values))
  assert.equal(uncompressedSize, Number(column.total_uncompressed_size))
  return entries
}

class LeafCursor {
  private readonly entries: readonly Entry[]
  private next = 0

  constructor(entries: readonly Entry[]) {
    this.entries = entries
  }

  get isAtEnd(): boolean {
    return this.next === this.entries.length
  }

  peek(): Entry | undefined {
    return this.entries[this.next]
  }

  take(): Entry {
    const entry = this.entries[this.next++]
    assert(entry)
    return entry
  }
}

type Leaves = ReadonlyMap<string, LeafCursor>

/** Record assembly as the Dremel paper has it, top down. `definition` is the level at which the parent is present. */
function readNode(
  type: DataType,
  nullable: boolean,
  path: string,
  definition: number,
  repetition: number,
  leaves: Leaves,
): unknown {
  const below = leavesBelow(path, leaves)
  let here = definition
  if (nullable) {
    here++
    if (below[0]!.peek()!.definition < here) {
      for (const leaf of below) leaf.take()
      return null
    }
  }
  switch (type.kind) {
    case 'struct':
      return readStruct(type, `${path}.`, here, repetition, leaves)
    case 'array':
    case 'map': {
      if (below[0]!.peek()!.definition === here) {
        for (const leaf of below) leaf.take()
        return []
      }
      const items: unknown[] = []
      do {
        if (type.kind === 'array') {
          const element = `${path}.list.element`
          items.push(readNode(type.element, type.containsNull, element, here + 1, repetition + 1, leaves))
        } else {
          const key = readNode(type.key, false, `${path}.key_value.key`, here + 1, repetition + 1, leaves)
          const valuePath = `${path}.key_value.value`
          items.push([
            key,
            readNode(type.value, type.valueContainsNull, valuePath, here + 1, repetition + 1, leaves),
          ])
        }
      } while (below[0]!.peek()?.repetition === repetition + 1)
      return items
    }
    default: {
      const entry = below[0]!.take()
      assert.equal(entry.definition, here)
      return fromPhysical(entry.value, type)
    }
  }
}

function readStruct(
  type: StructType,
  prefix: string,
  definition: number,
  repetition: number,
  leaves: Leaves,
): Record<string, unknown> {
  return Object.fromEntries(
    type.fields.map(f => [
      f.name,
      readNode(f.type, f.nullable, prefix + f.name, definition, repetition, leaves),
    ]),
  )
}

function leavesBelow(path: string, leaves: Leaves): LeafCursor[] {
  return [...leaves]
    .filter(([leaf]) => leaf === path || leaf.startsWith(`${path}.`))
    .map(([, cursor]) => cursor)
}

function fromPhysical(value: unknown, type: DataType): unknown {
  if (type.kind === 'decimal') {
    if (!(value instanceof Uint8Array)) return BigInt(value as number | bigint)
    return BigInt.asIntN(value.length * 8, BigInt(`0x${Buffer.from(value).toString('hex')}`))
  }
  if (!(value instanceof Uint8Array)) return value
  if (type.kind === 'primitive' && type.name === 'string') {
    return new TextDecoder('utf-8', { ignoreBOM: true, fatal: true }).decode(value)
  }
  return new Uint8Array(value)
}

function isOf(value: string | undefined, ...options: string[]): boolean {
  return value !== undefined && options.includes(value)
}
