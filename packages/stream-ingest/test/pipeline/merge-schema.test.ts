import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  checkTable,
  createTable,
  DeltaTable,
  decimal,
  field,
  formatDataType,
  loadSnapshot,
  MemoryObjectStore,
  type ObjectStore,
  primitive,
  scanTable,
  struct,
  systemRuntime,
} from '@stream-ingest/delta'
import { IngestConfig } from '../../src/config/config.ts'
import { type IngestEvents, subscribe } from '../../src/observe/event.ts'
import { convertToArrowBatch } from '../../src/pipeline/arrow-batch.ts'
import { DeltaWriter } from '../../src/pipeline/delta-writer.ts'
import { type ProcessingResult, StreamIngestProcessor } from '../../src/pipeline/stream-ingest-processor.ts'
import { MemoryKafka } from '../../src/testing/memory-source.ts'
import { LocalThread } from './local-thread.ts'
import { message } from './table-fixture.ts'

const runtime = { ...systemRuntime, delay: async () => {} }

interface Parts {
  /** YAML of `delta`, beside its name and `merge_schema`. */
  readonly delta?: string
  readonly processing?: string
  readonly topic?: string
  readonly group?: string
}

function configOf({ delta = '', processing = '{}', topic = 't', group = 'g' }: Parts = {}): IngestConfig {
  return IngestConfig.parse(`
kafka: { bootstrap_servers: "memory:9092", topic: ${topic}, consumer_group: ${group} }
local: { path: /unused }
delta:
  table_name: t
  merge_schema: true
${delta.replace(/^/gm, '  ')}
processing: ${processing}
`)
}

/** A table in memory, the topics that go into it, and the events about its schema. */
class World {
  /** The number of the table's write, from 1, at which the process dies; 0 for none. */
  crashAt = 0
  crashMoment: 'before' | 'after' = 'before'
  writes = 0
  readonly store = new MemoryObjectStore({
    faults: ({ operation, key }) => {
      const isWrite = operation === 'put' || operation === 'putIfAbsent'
      if (!isWrite || key.includes('_stream_ingest/')) return undefined
      if (++this.writes !== this.crashAt) return undefined
      return { kind: 'crash', moment: this.crashMoment }
    },
  })
  readonly kafka = new MemoryKafka(runtime)
  readonly table: ObjectStore = this.store.at('t')

  constructor(...topics: string[]) {
    for (const topic of topics.length === 0 ? ['t'] : topics) this.kafka.createTopic(topic)
  }

  produce(payloads: readonly string[], topic = 't'): void {
    for (const value of payloads)
      this.kafka.produce(topic, 0, [{ value: Buffer.from(value), timestampMs: 0 }])
  }

  async run(
    parts: Parts = {},
  ): Promise<{ result: ProcessingResult; evolved: IngestEvents['schema:evolved'][] }> {
    const evolved: IngestEvents['schema:evolved'][] = []
    const end = subscribe('schema:evolved', e => evolved.push(e))
    try {
      const processor = new StreamIngestProcessor(configOf(parts), {
        runtime,
        createStore: () => this.store,
        createSource: ({ kafka }) => this.kafka.createSource({ topics: kafka.topics }),
        threads: [new LocalThread(), new LocalThread()],
      })
      return { result: await processor.processStream({ untilLatest: true }), evolved }
    } finally {
      end()
    }
  }

  /** `name: type` of the columns that the messages made or filled. */
  async columns(): Promise<string> {
    const table = await DeltaTable.open(this.table)
    const own = table!.state.schema.fields.filter(({ name }) => !name.startsWith('_kafka_'))
    return own.map(({ name, type }) => `${name}: ${formatDataType(type)}`).join(', ')
  }

  /** Rows by topic and offset, without the metadata, nulls left out; the table is sound. */
  async rows(): Promise<Record<string, unknown>[]> {
    const report = await checkTable(this.table, { deep: true })
    assert.deepEqual(report.findings, [])
    const snapshot = await loadSnapshot(this.table)
    const rows: Record<string, unknown>[] = []
    for await (const batch of scanTable(snapshot!)) rows.push(...batch)
    const place = (row: Record<string, unknown>) =>
      `${row._kafka_topic}${String(row._kafka_offset).padStart(6, '0')}`
    rows.sort((a, b) => (place(a) < place(b) ? -1 : 1))
    return rows.map(row =>
      Object.fromEntries(
        Object.entries(row).filter(([name, v]) => v !== null && !name.startsWith('_kafka_')),
      ),
    )
  }
}

suite('a pipeline with merge_schema', () => {
  test('makes the table of nothing but the messages', async () => {
    const world = new World()
    world.produce(['{"id":1,"user":{"name":"a"}}', '{"id":2,"tags":["x"],"user":{"age":5}}'])
    const { result, evolved } = await world.run()
    assert.deepEqual(result.errors, [])
    assert.equal(
      await world.columns(),
      'id: long, user: struct<name: string, age: long>, tags: array<string>',
    )
    assert.deepEqual(await world.rows(), [
      { id: 1n, user: { name: 'a', age: null } },
      { id: 2n, user: { name: null, age: 5n }, tags: ['x'] },
    ])
    assert.deepEqual(
      evolved.map(e => [e.version, e.changes.map(c => c.path)]),
      [[1, ['id', 'user', 'tags']]],
      'one change of the schema, in the commit of the rows',
    )
  })

  test('adds columns over commits and restarts, and fills those that earlier runs have added', async () => {
    const world = new World()
    const parts = {
      delta:
        'schema: [{ name: id, data_type: int64, nullable: false }, { name: s, data_type: "struct<x: int64>" }]',
      processing: '{ batch_size: 2 }',
    }
    world.produce([
      '{"id":0}',
      '{"id":1,"a":1}',
      '{"id":2,"a":2,"s":{"x":1,"y":true}}',
      '{"id":3,"b":"x"}',
      '{"id":4}',
    ])
    assert.deepEqual((await world.run(parts)).result.errors, [])
    world.produce(['{"id":5,"a":5,"b":"y","s":{"y":false}}'])
    const again = await world.run(parts)
    assert.deepEqual(again.result.errors, [])
    assert.deepEqual(again.evolved, [], 'what the table has already needs no change')
    world.produce(['{"id":6,"s":{"z":{"deep":[{"er":1.5}]}}}'])
    const third = await world.run({ ...parts, delta: '' })
    assert.deepEqual(third.result.errors, [])
    assert.deepEqual(
      third.evolved.flatMap(e => e.changes.map(c => c.path)),
      ['s.z'],
    )
    assert.equal(
      await world.columns(),
      'id: long, s: struct<x: long, y: boolean, z: struct<deep: array<struct<er: double>>>>, a: long, b: string',
    )
    assert.deepEqual(await world.rows(), [
      { id: 0n },
      { id: 1n, a: 1n },
      { id: 2n, a: 2n, s: { x: 1n, y: true, z: null } },
      { id: 3n, b: 'x' },
      { id: 4n },
      { id: 5n, a: 5n, b: 'y', s: { x: null, y: false, z: null } },
      { id: 6n, s: { x: null, y: null, z: { deep: [{ er: 1.5 }] } } },
    ])
  })

  test('partitions by derived and by payload columns as without it', async () => {
    const world = new World()
    const parts = { delta: 'partition_columns: [date, country]\nderive: { date: { from: at, as: date } }' }
    world.produce([
      '{"country":"de","at":"2026-01-01T10:00:00Z"}',
      '{"country":"fr","at":"2026-01-02T10:00:00Z","n":1}',
    ])
    assert.deepEqual((await world.run(parts)).result.errors, [])
    world.produce(['{"country":"de","at":"2026-01-02T10:00:00Z","n":2}'])
    assert.deepEqual((await world.run(parts)).result.errors, [])
    assert.equal(await world.columns(), 'date: date, country: string, at: string, n: long')
    assert.deepEqual(
      (await world.rows()).map(({ date, country, n }) => [date, country, n]),
      [
        [20454, 'de', undefined],
        [20455, 'fr', 1n],
        [20455, 'de', 2n],
      ],
    )
  })

  test('widens integers as far as the table allows', async () => {
    const world = new World()
    const parts = { delta: 'schema: [{ name: n, data_type: int8 }]' }
    world.produce(['{"n":1}', '{"n":300}', '{"n":-70000}'])
    const { result, evolved } = await world.run(parts)
    assert.deepEqual(result.errors, [])
    assert.deepEqual(
      evolved.flatMap(e => e.changes.map(c => c.kind)),
      ['type-widened'],
    )
    assert.equal(await world.columns(), 'n: integer')
    world.produce(['{"n":7}', '{"n":3000000000}'])
    const { result: second } = await world.run(parts)
    assert.match(
      second.errors[0]!,
      /RECORD_INVALID: t\[0\]@4 \$\.n: expected integer, found the number 3000000000/,
    )
    assert.deepEqual(
      (await world.rows()).map(row => row.n),
      [1, 300, -70000, 7],
    )
  })

  test('keeps to its policy for records whose fields cannot become columns', async () => {
    const world = new World()
    world.produce(['{"id":1}', '{"id":2,"a b":1}', '{"id":"x"}', '{"id":3,"ID":4}', '{"id":5}'])
    const stopped = await world.run()
    assert.match(
      stopped.result.errors[0]!,
      /RECORD_INVALID: t\[0\]@1 \$\["a b"\]: the field is new and cannot become/,
    )
    const { result } = await world.run({ processing: '{ on_bad_record: skip }' })
    assert.deepEqual(result.errors, [])
    assert.equal(result.metrics.badRecords, 3)
    assert.equal(await world.columns(), 'id: long')
    assert.deepEqual(await world.rows(), [{ id: 1n }, { id: 5n }])
  })

  test('adds no more than its bound of fields, whatever keys the messages have', async () => {
    const world = new World()
    world.produce(
      Array.from({ length: 60 }, (_, i) => {
        const keys = Array.from({ length: 20 }, (_, k) => `"r${i}_${k}":${k}`)
        return `{"id":${i},${keys.join(',')}}`
      }),
    )
    const { result } = await world.run({ processing: '{ on_bad_record: skip }' })
    assert.deepEqual(result.errors, [])
    const table = await DeltaTable.open(world.table)
    assert(table!.state.schema.fields.length <= 1000)
    assert.equal((await world.rows()).length, 49)
    assert.equal(result.metrics.badRecords, 11)
  })

  test('says in a dry run what it would add, and writes nothing', async () => {
    const world = new World()
    world.produce(['{"id":1}', '{"id":2,"a":"x"}'])
    const { result, evolved } = await world.run({ processing: '{ dry_run: true, batch_size: 1 }' })
    assert.deepEqual(result.errors, [])
    assert.deepEqual(
      evolved.map(e => [e.version, e.changes.map(c => c.path)]),
      [
        [null, ['id']],
        [null, ['a']],
      ],
    )
    assert.equal(await DeltaTable.open(world.table), null)
  })

  test('fills columns that others have added meanwhile, under their types', async () => {
    const world = new World()
    const spec = {
      schema: struct([
        field('id', primitive('long')),
        field('day', primitive('date')),
        field('note', primitive('string')),
      ]),
      partitionColumns: [],
      properties: {},
    }
    await createTable(world.table, spec, runtime)
    world.produce(['{"id":1,"day":"1970-01-02","note":7,"new":true}'])
    const { result } = await world.run({ delta: 'metadata_columns: false' })
    assert.deepEqual(result.errors, [])
    assert.equal(await world.columns(), 'id: long, day: date, note: string, new: boolean')
    assert.deepEqual(await world.rows(), [{ id: 1n, day: 1, note: '7', new: true }])
  })

  test('loses and doubles nothing where it dies, at whichever write', async () => {
    const payloads = Array.from({ length: 12 }, (_, i) => `{"id":${i},"f${i % 4}":{"g${i % 3}":${i}}}`)
    const parts = { processing: '{ batch_size: 4 }' }
    for (let crashAt = 1, crashed = true; crashed; crashAt++) {
      assert(crashAt < 100, 'the run ends')
      const world = new World()
      world.produce(payloads)
      world.crashAt = Math.ceil(crashAt / 2)
      world.crashMoment = crashAt % 2 === 0 ? 'before' : 'after'
      await world.run(parts)
      crashed = world.writes >= world.crashAt
      assert.deepEqual((await world.run(parts)).result.errors, [])
      const rows = await world.rows()
      assert.equal(rows.length, 12)
      for (const [i, row] of rows.entries()) {
        assert.equal(row.id, BigInt(i))
        assert.equal((row[`f${i % 4}`] as Record<string, unknown>)[`g${i % 3}`], BigInt(i))
      }
    }
  })

  test('replaces the rows of a table that grows in one commit', async () => {
    const world = new World()
    world.produce(['{"id":1,"a":1}', '{"id":2}', '{"id":3,"b":{"c":1}}', '{"id":4,"b":{"d":"x"}}'])
    assert.deepEqual((await world.run({ processing: '{ batch_size: 1 }' })).result.errors, [])
    world.produce(['{"id":5,"e":true}'])
    const { result, evolved } = await world.run({
      delta: 'write_mode: overwrite',
      processing: '{ batch_size: 1 }',
    })
    assert.deepEqual(result.errors, [])
    assert.equal(evolved.length, 1)
    assert.deepEqual(await world.rows(), [
      { id: 1n, a: 1n },
      { id: 2n },
      { id: 3n, b: { c: 1n, d: null } },
      { id: 4n, b: { c: null, d: 'x' } },
      { id: 5n, e: true },
    ])
  })

  test('widens types further where the table has the feature, and reads older files on', async () => {
    const world = new World()
    const schema = struct([field('n', primitive('integer')), field('d', decimal(5, 2))])
    const properties = { 'delta.enableTypeWidening': 'true' }
    await createTable(world.table, { schema, partitionColumns: [], properties }, runtime)
    const parts = { delta: 'metadata_columns: false' }
    for (const payload of ['{"n":1,"d":1.25}', '{"n":3000000000,"d":123456.789}']) {
      world.produce([payload])
      assert.deepEqual((await world.run(parts)).result.errors, [])
    }
    assert.equal(await world.columns(), 'n: long, d: decimal(9,3)')
    const rows = (await world.rows()).sort((a, b) => Number(a.n) - Number(b.n))
    assert.deepEqual(
      rows.map(row => row.n),
      [1n, 3000000000n],
    )
  })

  test('takes any name where the table maps its columns', async () => {
    const world = new World()
    const schema = struct([field('id', primitive('long'))])
    const properties = { 'delta.columnMapping.mode': 'name' }
    await createTable(world.table, { schema, partitionColumns: [], properties }, runtime)
    const parts = { delta: 'metadata_columns: false' }
    world.produce(['{"id":1,"a b":{"c,d":2}}'])
    assert.deepEqual((await world.run(parts)).result.errors, [])
    world.produce(['{"id":2,"a b":{"c,d":3,"e=f":4}}'])
    assert.deepEqual((await world.run(parts)).result.errors, [])
    assert.equal(await world.columns(), 'id: long, a b: struct<c,d: long, e=f: long>')
    const rows = (await world.rows()).sort((a, b) => Number(a.id) - Number(b.id))
    assert.deepEqual(rows, [
      { id: 1n, 'a b': { 'c,d': 2n, 'e=f': null } },
      { id: 2n, 'a b': { 'c,d': 3n, 'e=f': 4n } },
    ])
  })

  test('needs one column to create the table with', async () => {
    const world = new World()
    const { result } = await world.run({ delta: 'metadata_columns: false' })
    assert.match(result.errors[0]!, /CONFIG_CONFLICT: the table is created before the first message is read/)
  })
})

suite('pipelines that change one table at once', () => {
  test('have every row once and every value, where their fields differ', async () => {
    const world = new World('t', 'u')
    const payloads = (name: string) =>
      Array.from({ length: 40 }, (_, i) => `{"id":${i},"${name}${i % 10}":${i},"both":{"${name}":"v${i}"}}`)
    world.produce(payloads('a'), 't')
    world.produce(payloads('b'), 'u')
    const processing = '{ batch_size: 3 }'
    const runs = await Promise.all([
      world.run({ processing }),
      world.run({ processing, topic: 'u', group: 'h' }),
    ])
    assert.deepEqual(
      runs.flatMap(run => run.result.errors),
      [],
    )
    const rows = await world.rows()
    assert.equal(rows.length, 80)
    for (const [at, name] of [
      [0, 'a'],
      [40, 'b'],
    ] as const) {
      for (let i = 0; i < 40; i++) {
        const row = rows[at + i]!
        assert.deepEqual([row.id, row[`${name}${i % 10}`]], [BigInt(i), BigInt(i)])
        assert.equal((row.both as Record<string, unknown>)[name], `v${i}`)
      }
    }
  })

  test('take over the type that the first of them gave a field', async () => {
    const world = new World('t', 'u')
    world.produce(
      Array.from({ length: 12 }, (_, i) => `{"v":"text ${i}"}`),
      't',
    )
    world.produce(
      Array.from({ length: 12 }, (_, i) => `{"v":${i}}`),
      'u',
    )
    const processing = '{ batch_size: 2, on_bad_record: skip }'
    const runs = await Promise.all([
      world.run({ processing }),
      world.run({ processing, topic: 'u', group: 'h' }),
    ])
    assert.deepEqual(
      runs.flatMap(run => run.result.errors),
      [],
    )
    const columns = await world.columns()
    const values = (await world.rows()).map(row => row.v)
    if (columns === 'v: string') assert.equal(values.filter(v => /^\d+$/.test(String(v))).length, 12)
    else
      assert.deepEqual(
        values,
        Array.from({ length: 12 }, (_, i) => BigInt(i)),
      )
  })

  test('of one id, too, have every row once', async () => {
    const world = new World()
    world.produce(Array.from({ length: 60 }, (_, i) => `{"id":${i},"f${i % 7}":${i}.5}`))
    const processing = '{ batch_size: 4 }'
    const runs = await Promise.all([world.run({ processing }), world.run({ processing })])
    assert.deepEqual(
      runs.flatMap(run => run.result.errors),
      [],
    )
    const rows = await world.rows()
    assert.deepEqual(
      rows.map(row => [row.id, row[`f${Number(row.id) % 7}`]]),
      Array.from({ length: 60 }, (_, i) => [BigInt(i), i + 0.5]),
    )
  })
})

suite('DeltaWriter with merge_schema', () => {
  test('adds columns batch by batch, and shows the schema that a table would be created with', async () => {
    const world = new World()
    const writer = new DeltaWriter(configOf(), { store: world.store, runtime })
    const before = await writer.getTableSchema()
    assert.deepEqual(
      before.fields.map(f => f.name),
      ['_kafka_topic', '_kafka_partition', '_kafka_offset', '_kafka_timestamp'],
    )
    await writer.writeBatch([message(0, '{"a":1}'), message(1, '{"a":2,"b":[1.5]}')])
    await writer.writeBatch([message(1, '{"a":2,"b":[1.5]}'), message(2, '{"c":true}')])
    assert.equal(await world.columns(), 'a: long, b: array<double>, c: boolean')
    assert.deepEqual(await world.rows(), [{ a: 1n }, { a: 2n, b: [1.5] }, { c: true }])
  })

  test('goes on with the table where another writer gave a new field another type', async () => {
    const world = new World()
    const open = (group: string) => new DeltaWriter(configOf({ group }), { store: world.store, runtime })
    const [first, second] = [open('g'), open('h')]
    await first.createTableIfNotExists()
    await second.writeBatch([message(0, '{"id":1}')])
    await first.writeBatch([message(0, '{"v":"text"}')])
    await second.writeBatch([message(1, '{"v":7}')])
    assert.deepEqual((await world.rows()).map(row => row.v ?? null).sort(), ['7', 'text', null].sort())
  })
})

test('convertToArrowBatch has the columns that the messages bring', () => {
  const batch = convertToArrowBatch([message(0, '{"a":1}'), message(1, '{"b":"x"}')], configOf())
  assert.deepEqual(
    batch.schema.fields.map(f => f.name),
    ['_kafka_topic', '_kafka_partition', '_kafka_offset', '_kafka_timestamp', 'a', 'b'],
  )
  assert.equal(batch.numRows, 2)
})
