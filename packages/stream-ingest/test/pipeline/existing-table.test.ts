import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  checkTable,
  DeltaTable,
  field,
  loadSnapshot,
  MemoryObjectStore,
  primitive,
  type StructField,
  scanTable,
  struct,
  type TableRow,
} from '@stream-ingest/delta'
import { IngestConfig } from '../../src/config/config.ts'
import { StreamIngestProcessor } from '../../src/pipeline/stream-ingest-processor.ts'
import { MemoryKafka } from '../../src/testing/memory-source.ts'
import { fixedRuntime } from './table-fixture.ts'

const CONFIG = `
kafka: { bootstrap_servers: "memory:9092", topic: t, consumer_group: g }
local: { path: /unused }
delta:
  table_name: t
  metadata_columns: false
  partition_columns: [part]
  schema:
    - { name: id, data_type: int64, nullable: false }
    - { name: part, data_type: utf8 }
`
const ID = field('id', primitive('long'), false)
const PART = field('part', primitive('string'))

/** Makes the table as another engine would, ingests three messages, and gives its rows. */
async function ingestInto(
  columns: readonly StructField[],
  properties: Readonly<Record<string, string>>,
): Promise<{ rows: readonly TableRow[]; store: MemoryObjectStore }> {
  const runtime = fixedRuntime()
  const store = new MemoryObjectStore({ now: runtime.now })
  const spec = { schema: struct(columns), partitionColumns: ['part'], properties }
  await DeltaTable.openOrCreate(store.at('t'), spec, { runtime })
  const kafka = new MemoryKafka(runtime)
  kafka.createTopic('t')
  for (const value of ['{"id":1,"part":"a"}', '{"id":2,"part":"b"}', '{"id":3}'])
    kafka.produce('t', 0, [{ value, timestampMs: 0 }])
  const processor = new StreamIngestProcessor(IngestConfig.parse(CONFIG), {
    runtime,
    createStore: () => store,
    createSource: () => kafka.createSource({ topics: ['t'] }),
  })
  const { errors } = await processor.processStream({ untilLatest: true })
  assert.deepEqual(errors, [])
  const table = store.at('t')
  const rows: TableRow[] = []
  for await (const batch of scanTable((await loadSnapshot(table))!)) rows.push(...batch)
  assert.deepEqual((await checkTable(table, { deep: true, nowMs: runtime.now() })).findings, [])
  return { store, rows: rows.toSorted((a, b) => Number((a.id as bigint) - (b.id as bigint))) }
}

suite('a table that another engine made is ingested into', () => {
  for (const mode of ['name', 'id']) {
    test(`under column mapping by ${mode}: the files have the physical names`, async () => {
      const { rows, store } = await ingestInto([ID, PART], { 'delta.columnMapping.mode': mode })
      assert.deepEqual(rows, [
        { id: 1n, part: 'a' },
        { id: 2n, part: 'b' },
        { id: 3n, part: null },
      ])
      const [file] = await (await loadSnapshot(store.at('t')))!.allFiles()
      assert.match(Object.keys(file!.partitionValues).join(), /^col-/)
    })
  }

  test('with defaults: columns that the configuration does not name get them, also where they must not be null', async () => {
    const columns = [
      ID,
      PART,
      field('source', primitive('string'), false, { CURRENT_DEFAULT: "'kafka'" }),
      field('score', primitive('double'), true, { CURRENT_DEFAULT: '0.5' }),
      field('plain', primitive('long')),
    ]
    const { rows } = await ingestInto(columns, { 'delta.feature.allowColumnDefaults': 'supported' })
    assert.deepEqual(rows[0], { id: 1n, part: 'a', source: 'kafka', score: 0.5, plain: null })
    assert.equal(rows.length, 3)
  })

  test('with row tracking, in-commit timestamps, deletion vectors and a change feed', async () => {
    const { rows, store } = await ingestInto([ID, PART], {
      'delta.enableRowTracking': 'true',
      'delta.enableInCommitTimestamps': 'true',
      'delta.enableDeletionVectors': 'true',
      'delta.enableChangeDataFeed': 'true',
      'delta.checkpointPolicy': 'v2',
    })
    assert.equal(rows.length, 3)
    const files = await (await loadSnapshot(store.at('t')))!.allFiles()
    assert.deepEqual(files.map(f => f.baseRowId).toSorted(), [0n, 1n, 2n])
  })
})
