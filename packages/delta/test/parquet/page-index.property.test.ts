import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { parquetHeader } from 'hyparquet/src/column.js'
import { deserializeTCompactProtocol } from 'hyparquet/src/thrift.js'
import { createParquetEncoder } from '../../src/index.ts'
import { copyRowGroups } from '../../src/parquet/row-group-copy.ts'
import { type DataType, decimal, field, primitive, type StructType, struct } from '../../src/schema.ts'
import { arbitraryBatchCase, batchOf, type Row } from '../column/arbitrary-batch.ts'
import { openFile } from './open-file.ts'

const encoder = createParquetEncoder()

describe('statistics and page indexes', () => {
  test('hold for every page and chunk of every type', () => {
    fc.assert(
      fc.property(
        arbitraryBatchCase({ depth: 0, rowsMin: 1, rowsMax: 60 }),
        fc.integer({ min: 1, max: 20 }),
        fc.boolean(),
        ({ schema, rows }, pageRows, dictionary) => {
          assertIndexes(schema, rows, { pageRows, dictionary })
        },
      ),
      { numRuns: 300 },
    )
  })

  test('are those of the same pages where a row group was copied from another file', async () => {
    const property = fc.asyncProperty(
      arbitraryBatchCase({ depth: 0, rowsMin: 1, rowsMax: 30 }),
      fc.integer({ min: 1, max: 20 }),
      async ({ schema, rows }, pageRows) => {
        const options = { codec: 'snappy', pageRows } as const
        const file = encoder.createFileWriter(schema, options)
        file.appendRowGroup(batchOf(schema, rows))
        for await (const group of copyRowGroups(await openFile(file.finish()), schema, options)!) {
          const copy = encoder.createFileWriter(schema, options)
          copy.appendRowGroup(batchOf(schema, rows.slice(0, 1)))
          copy.appendEncodedRowGroup(group)
          assertIndexesOf(copy.finish(), 1, schema, rows, pageRows)
        }
      },
    )
    await fc.assert(property, { numRuns: 100 })
  })

  test('hold for long strings and binaries, whose bounds are cut', () => {
    const text = fc
      .array(fc.constantFrom('a', '\u007f', 'é', '\u07ff', '\ud7ff', '\uffff', '😀', '\u{10ffff}'), {
        minLength: 12,
        maxLength: 600,
      })
      .map(characters => characters.join(''))
    const bytes = fc.array(fc.constantFrom(0, 1, 0xfe, 0xff), { minLength: 50, maxLength: 90 })
    const schema = struct([field('text', primitive('string')), field('bytes', primitive('binary'))])
    fc.assert(
      fc.property(
        fc.array(fc.record({ text, bytes: bytes.map(b => Uint8Array.from(b)) }), {
          minLength: 1,
          maxLength: 12,
        }),
        fc.integer({ min: 1, max: 4 }),
        (rows, pageRows) => assertIndexes(schema, rows, { pageRows, dictionary: false }),
      ),
      { numRuns: 100 },
    )
  })

  test('say that pages are in order where they are', () => {
    const schema = struct([field('v', primitive('long'))])
    const order = (values: readonly (bigint | null)[]) => {
      const file = encoder.encode(
        batchOf(
          schema,
          values.map(v => ({ v })),
        ),
        { codec: 'none', pageRows: 2 },
      )
      return fileChunks(file.bytes)[0]![0]!.columnIndex!.boundaryOrder
    }
    assert.equal(order([1n, 2n, null, null, 2n, 3n]), 1)
    assert.equal(order([9n, 8n, null, null, 7n, 7n]), 2)
    assert.equal(order([1n, 5n, 2n, 3n]), 0)
    assert.equal(order([null, null]), 1)
  })

  test('a NaN leaves a chunk without bounds, zeros are widened to both zeros', () => {
    const schema = struct([field('v', primitive('double'))])
    const chunk = (values: readonly number[]) =>
      fileChunks(
        encoder.encode(
          batchOf(
            schema,
            values.map(v => ({ v })),
          ),
          { codec: 'none' },
        ).bytes,
      )[0]![0]!
    assert.deepEqual(
      [chunk([1, NaN]).min, chunk([1, NaN]).max, chunk([1, NaN]).columnIndex],
      [null, null, null],
    )
    for (const zeros of [[0], [-0], [0, -0]]) {
      const { min, max } = chunk(zeros)
      assert.deepEqual([Buffer.from(min!).readDoubleLE(), Buffer.from(max!).readDoubleLE()], [-0, 0])
    }
    const infinite = chunk([-Infinity, 1, Infinity])
    assert.deepEqual(Buffer.from(infinite.min!).readDoubleLE(), -Infinity)
    assert.deepEqual(Buffer.from(infinite.max!).readDoubleLE(), Infinity)
  })

  test('bounds of a kilobyte are exact, longer ones are left out of the statistics', () => {
    const schema = struct([field('v', primitive('string'))])
    const chunk = (text: string) =>
      fileChunks(encoder.encode(batchOf(schema, [{ v: text }]), { codec: 'none' }).bytes)[0]![0]!
    assert.equal(chunk('x'.repeat(1024)).max?.length, 1024)
    const long = chunk('x'.repeat(1025))
    assert.deepEqual([long.min, long.max], [null, null])
    assert.equal(Buffer.from(long.columnIndex!.max[0]!).toString(), `${'x'.repeat(63)}y`)
  })

  test('decimals are compared as numbers in all three physical types', () => {
    for (const precision of [5, 15, 30]) {
      const schema = struct([field('v', decimal(precision, 0))])
      assertIndexes(schema, [{ v: -1n }, { v: 0n }, { v: -300n }, { v: 299n }], {
        pageRows: 1,
        dictionary: false,
      })
    }
  })
})

interface RawChunk {
  readonly nullCount: number
  readonly min: Uint8Array | null
  readonly max: Uint8Array | null
  readonly columnIndex: RawColumnIndex | null
  readonly pages: readonly { offset: number; sizeBytes: number; firstRow: number }[]
}

interface RawColumnIndex {
  readonly nullPages: readonly boolean[]
  readonly nullCounts: readonly number[]
  readonly min: readonly Uint8Array[]
  readonly max: readonly Uint8Array[]
  readonly boundaryOrder: number
}

type Thrift = Record<string, unknown>

/** The chunks of each row group, bounds as they are stored. */
function fileChunks(bytes: Uint8Array): RawChunk[][] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const read = (offset: number): Thrift => deserializeTCompactProtocol({ view, offset }) as Thrift
  const footer = read(bytes.length - 8 - view.getUint32(bytes.length - 8, true))
  return (footer.field_4 as Thrift[]).map(group =>
    (group.field_1 as Thrift[]).map(column => {
      const metadata = column.field_3 as Thrift
      const statistics = metadata.field_12 as Thrift
      const offsetIndex = read(Number(column.field_4))
      return {
        nullCount: Number(statistics.field_3),
        max: (statistics.field_5 as Uint8Array | undefined) ?? null,
        min: (statistics.field_6 as Uint8Array | undefined) ?? null,
        columnIndex: column.field_6 === undefined ? null : rawColumnIndex(read(Number(column.field_6))),
        pages: (offsetIndex.field_1 as Thrift[]).map(page => ({
          offset: Number(page.field_1),
          sizeBytes: Number(page.field_2),
          firstRow: Number(page.field_3),
        })),
      }
    }),
  )
}

function rawColumnIndex(index: Thrift): RawColumnIndex {
  return {
    nullPages: index.field_1 as boolean[],
    min: index.field_2 as Uint8Array[],
    max: index.field_3 as Uint8Array[],
    boundaryOrder: Number(index.field_4),
    nullCounts: (index.field_5 as (number | bigint)[]).map(Number),
  }
}

function assertIndexes(
  schema: StructType,
  rows: readonly Row[],
  options: { pageRows: number; dictionary: boolean },
): void {
  const { bytes } = encoder.encode(batchOf(schema, rows), { codec: 'snappy', ...options })
  assertIndexesOf(bytes, 0, schema, rows, options.pageRows)
}

/** @param rows of the row group */
function assertIndexesOf(
  bytes: Uint8Array,
  group: number,
  schema: StructType,
  rows: readonly Row[],
  pageRows: number,
): void {
  const chunks = fileChunks(bytes)[group]
  schema.fields.forEach(({ name, type }, i) => {
    const chunk = chunks![i]!
    const values = rows.map(row => row[name] ?? null)
    assert.equal(chunk.nullCount, values.filter(v => v === null).length)
    const present = values.filter(v => v !== null)
    const hasNaN = present.some(v => Number.isNaN(v))
    if (present.length === 0 || hasNaN) assert.deepEqual([chunk.min, chunk.max], [null, null])
    else if (chunk.max !== null) assertBounds(chunk.min!, chunk.max, present, type, true)
    assertPages(bytes, chunk, values, type, pageRows)
    // Bytes of 0xff have nothing above them that is shorter.
    if (!hasNaN && !(type.kind === 'primitive' && type.name === 'binary')) {
      const hasMaxOnly = present.every(v => typeof v !== 'string' || !v.startsWith('\u{10ffff}'.repeat(16)))
      if (hasMaxOnly) assert(chunk.columnIndex !== null, `no column index for ${name}`)
    }
  })
}

function assertPages(
  bytes: Uint8Array,
  chunk: RawChunk,
  values: readonly unknown[],
  type: DataType,
  pageRows: number,
): void {
  const { pages, columnIndex } = chunk
  assert.equal(pages.length, Math.ceil(values.length / pageRows))
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const stored: { min: Uint8Array; max: Uint8Array }[] = []
  pages.forEach((page, p) => {
    const reader = { view, offset: page.offset }
    const header = parquetHeader(reader)
    const end = pages[p + 1]?.firstRow ?? values.length
    assert.equal(header.data_page_header?.num_values, end - page.firstRow)
    assert.equal(reader.offset + header.compressed_page_size, page.offset + page.sizeBytes)
    if (columnIndex === null) return
    const inPage = values.slice(page.firstRow, end)
    const present = inPage.filter(v => v !== null)
    assert.equal(columnIndex.nullCounts[p], inPage.length - present.length)
    assert.equal(columnIndex.nullPages[p], present.length === 0)
    const bounds = { min: columnIndex.min[p]!, max: columnIndex.max[p]! }
    if (present.length === 0) assert.equal(bounds.min.length + bounds.max.length, 0)
    else {
      assertBounds(bounds.min, bounds.max, present, type, false)
      stored.push(bounds)
    }
  })
  const direction = [0, 1, -1][columnIndex?.boundaryOrder ?? 0]!
  for (let p = 1; direction !== 0 && p < stored.length; p++) {
    for (const side of ['min', 'max'] as const) {
      const order = compare(decode(stored[p - 1]![side], type), decode(stored[p]![side], type))
      assert(order * direction <= 0, 'the boundary order is not that of the pages')
    }
  }
}

function assertBounds(
  min: Uint8Array,
  max: Uint8Array,
  values: readonly unknown[],
  type: DataType,
  areExact: boolean,
): void {
  const [low, high] = [decode(min, type), decode(max, type)]
  const comparable = values.map(v => (typeof v === 'string' ? new TextEncoder().encode(v) : v))
  for (const value of comparable) {
    assert(compare(low, value) <= 0, 'a value below the minimum')
    assert(compare(high, value) >= 0, 'a value above the maximum')
  }
  if (type.kind === 'primitive' && type.name === 'string') {
    for (const bound of [min, max]) new TextDecoder('utf-8', { fatal: true }).decode(bound)
  }
  if (areExact || !(low instanceof Uint8Array)) {
    assert(comparable.some(value => compare(low, value) === 0))
    assert(comparable.some(value => compare(high, value) === 0))
  } else assert(min.length <= 64 && max.length <= 68)
}

/** A stored bound as a value that `compare` orders. */
function decode(bound: Uint8Array, type: DataType): unknown {
  const buffer = Buffer.from(bound)
  if (type.kind === 'decimal') {
    if (type.precision <= 9) return BigInt(buffer.readInt32LE())
    if (type.precision <= 18) return buffer.readBigInt64LE()
    return BigInt.asIntN(buffer.length * 8, BigInt(`0x${buffer.toString('hex')}`))
  }
  assert(type.kind === 'primitive')
  switch (type.name) {
    case 'boolean':
      return bound[0] === 1
    case 'byte':
    case 'short':
    case 'integer':
    case 'date':
      return buffer.readInt32LE()
    case 'float':
      return buffer.readFloatLE()
    case 'double':
      return buffer.readDoubleLE()
    case 'string':
    case 'binary':
      return bound
    default:
      return buffer.readBigInt64LE()
  }
}

function compare(a: unknown, b: unknown): number {
  if (a instanceof Uint8Array) return Buffer.compare(a, b as Uint8Array)
  const [x, y] = [a as number, b as number]
  return x < y ? -1 : x > y ? 1 : 0
}
