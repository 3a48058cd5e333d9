import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import fc from 'fast-check'
import {
  array,
  createParquetEncoder,
  type DataType,
  DeltaTable,
  decimal,
  encodeDataFile,
  field,
  LocalObjectStore,
  map,
  PARQUET_CODECS,
  type ParquetEncodeOptions,
  type PrimitiveName,
  primitive,
  type StructType,
  struct,
  systemRuntime,
  uploadDataFile,
} from '../../src/index.ts'
import {
  arbitraryBatchCase,
  arbitraryRow,
  type BatchCase,
  batchOf,
  type Row,
} from '../column/arbitrary-batch.ts'

/** A Python that has pyarrow and duckdb. */
const python = process.env.SI_TEST_PYTHON
const SEED = 20_261_122
const RANDOM_FILES = 60

test('pyarrow and DuckDB read what was written, and its statistics are those of the rows', {
  skip: python === undefined ? 'SI_TEST_PYTHON names no Python with pyarrow and duckdb' : false,
}, async t => {
  const folder = await mkdtemp(join(tmpdir(), 'parquet-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const encoder = createParquetEncoder()
  const manifest: Expectation[] = []
  for (const [i, { options, schema, rows }] of files().entries()) {
    const path = join(folder, `${i}-${options.codec}.parquet`)
    await writeFile(path, encoder.encode(batchOf(schema, rows), options).bytes)
    manifest.push({ path, columns: expectedColumns(schema, rows) })
  }
  await assertReadersAgree(folder, manifest)
})

test('delta-rs reads every type of a table under every codec', {
  skip: python === undefined ? 'SI_TEST_PYTHON names no Python with delta-rs' : false,
}, async t => {
  const folder = await mkdtemp(join(tmpdir(), 'delta-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const rows = everyTypeRows()
  const manifest: Expectation[] = []
  for (const codec of PARQUET_CODECS) {
    const path = join(folder, codec)
    const store = new LocalObjectStore(path)
    const spec = { schema: everyTypeSchema, partitionColumns: [], properties: {} }
    const { table } = await DeltaTable.openOrCreate(store, spec)
    const batch = batchOf(everyTypeSchema, rows)
    const file = encodeDataFile(table.state, createParquetEncoder(), batch, {}, { codec }, systemRuntime)
    const outcome = await table.append({
      adds: [await uploadDataFile(store, file, systemRuntime)],
      rowCounts: [rows.length],
      txns: [],
      operation: 'WRITE',
      operationParameters: {},
      operationMetrics: {},
      txnId: systemRuntime.uuid(),
    })
    assert.equal(outcome.status, 'committed')
    manifest.push({ path, isTable: true, columns: expectedColumns(everyTypeSchema, rows) })
  }
  await assertReadersAgree(folder, manifest)
})

/** What the script is to find at a path: in a file, or in a table. */
interface Expectation {
  readonly path: string
  readonly isTable?: boolean
  /** By name, a canonical value for each row. */
  readonly columns: Readonly<Record<string, readonly unknown[]>>
}

function expectedColumns(schema: StructType, rows: readonly Row[]): Expectation['columns'] {
  return Object.fromEntries(schema.fields.map(f => [f.name, rows.map(row => canonical(row[f.name], f.type))]))
}

async function assertReadersAgree(folder: string, manifest: readonly Expectation[]): Promise<void> {
  const manifestPath = join(folder, 'manifest.json')
  await writeFile(manifestPath, JSON.stringify(manifest))
  const script = join(import.meta.dirname, 'independent-readers.py')
  const { stdout } = await promisify(execFile)(python!, [script, manifestPath], { maxBuffer: 1 << 28 })
  assert.deepEqual(JSON.parse(stdout), { files: manifest.length, problems: [] })
}

interface FileCase extends BatchCase {
  readonly options: ParquetEncodeOptions
}

function everyTypeRows(): Row[] {
  const everyType = fc.sample(fc.array(arbitraryRow(everyTypeSchema), { minLength: 300, maxLength: 300 }), {
    numRuns: 1,
    seed: SEED,
  })[0]!
  return everyType.map(row => withUniqueKeys(row, everyTypeSchema))
}

function files(): FileCase[] {
  const rows = everyTypeRows()
  const repeated = Array.from({ length: 21_000 }, (_, i) => rows[i % 50]!)
  const ofEveryType = PARQUET_CODECS.flatMap(codec => [
    { options: { codec, pageRows: 64, rowGroupRows: 130 }, schema: everyTypeSchema, rows },
    { options: { codec, dictionary: false }, schema: everyTypeSchema, rows },
  ])
  const manyPages = { options: { codec: 'snappy' }, schema: everyTypeSchema, rows: repeated } as const
  const large = { options: { codec: 'lz4_raw' }, ...largeValues() } as const
  const random = fc.sample(
    fc.tuple(
      arbitraryBatchCase({ depth: 3, rowsMin: 1 }),
      fc.record({
        codec: fc.constantFrom(...PARQUET_CODECS),
        dictionary: fc.boolean(),
        pageRows: fc.integer({ min: 1, max: 40 }),
        rowGroupRows: fc.integer({ min: 1, max: 40 }),
      }),
    ),
    { numRuns: RANDOM_FILES, seed: SEED },
  )
  const ofRandomTypes = random.map(([{ schema, rows: some }, options]) => ({
    options,
    schema,
    rows: some.map(row => withUniqueKeys(row, schema)),
  }))
  return [...ofEveryType, manyPages, large, ...ofRandomTypes]
}

const primitives: readonly PrimitiveName[] = [
  'boolean',
  'byte',
  'short',
  'integer',
  'long',
  'float',
  'double',
  'date',
  'timestamp',
  'timestamp_ntz',
  'string',
  'binary',
]

/** Every type, nullable and not, and every way of nesting. */
const everyTypeSchema: StructType = struct([
  ...primitives.flatMap(name => [
    field(name, primitive(name)),
    field(`${name}_required`, primitive(name), false),
  ]),
  ...[1, 9, 10, 18, 19, 28, 38].map(precision =>
    field(`decimal_${precision}`, decimal(precision, precision >> 1)),
  ),
  field('strings', array(primitive('string'))),
  field('required_longs', array(primitive('long'), false), false),
  field('counts', map(primitive('string'), primitive('long'))),
  field(
    'deep',
    array(
      struct([
        field('a', array(array(primitive('integer')))),
        field('m', map(primitive('integer'), array(primitive('string')))),
        field('s', struct([field('x', primitive('double')), field('y', primitive('boolean'), false)])),
      ]),
    ),
  ),
])

/** Pages of one row, and of more bytes than an LZ4 block of the compressor holds. */
function largeValues(): BatchCase {
  const schema = struct([field('text', primitive('string')), field('noise', primitive('binary'))])
  let state = 1
  const noise = new Uint8Array(5_000_000)
  for (let i = 0; i < noise.length; i++) {
    state = Math.imul(state, 1_664_525) + 1_013_904_223
    noise[i] = state >>> 24
  }
  return {
    schema,
    rows: [
      { text: 'x'.repeat(9_000_000), noise },
      { text: null, noise: noise.subarray(0, 100) },
      { text: 'abc'.repeat(2_000_000), noise: null },
    ],
  }
}

/** DuckDB refuses maps with a key twice. */
function withUniqueKeys<T>(value: T, type: DataType): T {
  return withUnique(value, type) as T
}

function withUnique(value: unknown, type: DataType): unknown {
  if (value === null) return null
  switch (type.kind) {
    case 'array':
      return (value as unknown[]).map(element => withUnique(element, type.element))
    case 'map': {
      const entries = (value as [unknown, unknown][]).map(
        ([key, entry]) => [key, withUnique(entry, type.value)] as const,
      )
      // By the key as DuckDB compares it, with one NaN and one zero.
      return [...new Map(entries.map(entry => [String(entry[0]), entry])).values()]
    }
    case 'struct':
      return Object.fromEntries(
        type.fields.map(f => [f.name, withUnique((value as Record<string, unknown>)[f.name], f.type)]),
      )
    default:
      return value
  }
}

/** The form that the script compares: text for numbers, the bits of doubles, hexadecimal for bytes. */
function canonical(value: unknown, type: DataType): unknown {
  if (value === null) return null
  switch (type.kind) {
    case 'decimal':
      return String(value)
    case 'array':
      return (value as unknown[]).map(element => canonical(element, type.element))
    case 'map':
      return (value as [unknown, unknown][]).map(([key, entry]) => [
        canonical(key, type.key),
        canonical(entry, type.value),
      ])
    case 'struct':
      return Object.fromEntries(
        type.fields.map(f => [f.name, canonical((value as Record<string, unknown>)[f.name], f.type)]),
      )
    case 'primitive':
      switch (type.name) {
        case 'boolean':
        case 'string':
          return value
        case 'binary':
          return Buffer.from(value as Uint8Array).toString('hex')
        case 'float':
        case 'double': {
          if (Number.isNaN(value)) return 'NaN'
          const bits = Buffer.alloc(8)
          bits.writeDoubleBE(value as number)
          return bits.toString('hex')
        }
        default:
          return String(value)
      }
  }
}
