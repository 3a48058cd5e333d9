import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  checkTable,
  columnDefault,
  createParquetEncoder,
  type DataType,
  DeltaTable,
  decimal,
  encodeDataFile,
  field,
  loadSnapshot,
  MemoryObjectStore,
  optimizeTable,
  parseStatistics,
  primitive,
  scanTable,
  struct,
  uploadDataFile,
} from '@stream-ingest/delta'
import { appendFields, BatchBuilder } from '@stream-ingest/delta/column'
import { testRuntime } from './table-fixture.ts'

const withDefault = (type: DataType, text: unknown) => field('c', type, true, { CURRENT_DEFAULT: text })

suite('a column default', () => {
  const literals: readonly [type: DataType, text: string, value: unknown][] = [
    [primitive('integer'), '42', 42],
    [primitive('integer'), ' -1 ', -1],
    [primitive('long'), '9223372036854775807', 9_223_372_036_854_775_807n],
    [primitive('double'), '1.5e3', 1500],
    [primitive('float'), '((+.5))', 0.5],
    [decimal(20, 2), '123456789012345678.9', 12_345_678_901_234_567_890n],
    [primitive('boolean'), 'TRUE', true],
    [primitive('string'), "'it''s'", "it's"],
    [primitive('string'), "''", ''],
    [primitive('date'), "DATE '2026-01-02'", 20_455],
    [primitive('timestamp'), "TIMESTAMP '2026-01-02 03:04:05.000006Z'", 1_767_323_045_000_006n],
    [primitive('timestamp'), "timestamp'2026-01-02 03:04:05 UTC'", 1_767_323_045_000_000n],
    [primitive('timestamp_ntz'), "TIMESTAMP_NTZ '2026-01-02 03:04:05'", 1_767_323_045_000_000n],
    [primitive('long'), 'null', null],
  ]
  for (const [type, text, value] of literals) {
    test(`\`${text}\` is a literal`, () => {
      assert.deepEqual(columnDefault(withDefault(type, text)), { kind: 'literal', value })
    })
  }

  const expressions: readonly [type: DataType, text: string][] = [
    [primitive('integer'), '1 + 1'],
    [primitive('integer'), '2147483648'],
    [primitive('integer'), '1.5'],
    [primitive('integer'), "'1'"],
    [decimal(3, 1), '100'],
    [primitive('string'), 'abc'],
    [primitive('string'), "'a' 'b'"],
    [primitive('string'), "'a\\n'"],
    [primitive('date'), 'current_date()'],
    [primitive('date'), "DATE '2026-13-01'"],
    // In the zone of the session that reads it, whatever that is.
    [primitive('timestamp'), "TIMESTAMP '2026-01-02 03:04:05'"],
    [primitive('binary'), "X'00'"],
  ]
  for (const [type, text] of expressions) {
    test(`\`${text}\` is none`, () => {
      assert.deepEqual(columnDefault(withDefault(type, text)), { kind: 'expression', text })
    })
  }

  test('is nothing where the column has none, and no literal where it is no text', () => {
    assert.deepEqual(columnDefault(field('c', primitive('long'))), { kind: 'none' })
    assert.deepEqual(columnDefault(withDefault(primitive('long'), 7)), { kind: 'expression', text: '7' })
  })
})

/** A table of `id`, and columns with defaults that another engine added. */
async function tableWithDefaults(
  ...defaults: [name: string, type: DataType, text: string, nullable: boolean][]
) {
  const runtime = testRuntime()
  const store = new MemoryObjectStore({ now: runtime.now })
  const id = field('id', primitive('long'))
  const { table } = await DeltaTable.openOrCreate(
    store,
    {
      schema: struct([
        id,
        ...defaults.map(([name, type, text, nullable]) =>
          field(name, type, nullable, { CURRENT_DEFAULT: text }),
        ),
      ]),
      partitionColumns: [],
      properties: { 'delta.feature.allowColumnDefaults': 'supported' },
    },
    { runtime },
  )
  const append = async (schema = struct([id]), row: Record<string, unknown> = { id: 1n }) => {
    const builder = new BatchBuilder(schema)
    appendFields(schema.fields, builder.columns, row)
    builder.endRow()
    const encoder = createParquetEncoder()
    const file = encodeDataFile(table.state, encoder, builder.finish(), {}, { codec: 'snappy' }, runtime)
    const add = await uploadDataFile(store, file, runtime)
    const outcome = await table.append({ adds: [add], rowCounts: [1], txns: [] })
    assert.equal(outcome.status, 'committed')
    return add
  }
  const rows = async () => {
    const all = []
    for await (const batch of scanTable((await loadSnapshot(store))!)) all.push(...batch)
    return all.toSorted((a, b) => Number((a.id as bigint) - (b.id as bigint)))
  }
  return { store, runtime, table, append, rows }
}

suite('a table with column defaults', () => {
  test('gets them where the rows lack the column, with statistics, and not where they hold null', async () => {
    const { store, runtime, append, rows, table } = await tableWithDefaults(
      ['kind', primitive('string'), "'unknown'", true],
      ['count', primitive('integer'), '7', false],
      ['nothing', primitive('long'), 'NULL', true],
    )
    const { stats } = await append()
    assert.deepEqual(parseStatistics(stats!)?.minValues, { id: 1, kind: 'unknown', count: 7 })
    await append(struct(table.state.schema.fields.slice(0, 2)), { id: 2n, kind: null })
    const expected = [
      { id: 1n, kind: 'unknown', count: 7, nothing: null },
      { id: 2n, kind: null, count: 7, nothing: null },
    ]
    assert.deepEqual(await rows(), expected)
    // Rows that are only moved keep what they have.
    await optimizeTable(store, { runtime })
    assert.deepEqual(await rows(), expected)
    assert.deepEqual((await checkTable(store, { deep: true, nowMs: runtime.now() })).findings, [])
  })

  test('is refused where a default is no literal, naming column and expression', async () => {
    await assert.rejects(tableWithDefaults(['at', primitive('date'), 'current_date()', true]), {
      code: 'DELTA_PROTOCOL_UNSUPPORTED',
      message: /`allowColumnDefaults` \(the default of the column `at`, `current_date\(\)`\)/,
    })
    const inner = struct([field('x', primitive('long'), true, { CURRENT_DEFAULT: '1' })])
    await assert.rejects(
      DeltaTable.openOrCreate(new MemoryObjectStore(), {
        schema: struct([field('s', inner)]),
        partitionColumns: [],
        properties: {},
      }),
      /the default of the column `s\.x`/,
    )
  })
})
