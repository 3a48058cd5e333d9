import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import {
  DeltaTable,
  FaultQueue,
  field,
  loadTableState,
  MemoryObjectStore,
  primitive,
  readCommit,
  type StoreCall,
  struct,
} from '@stream-ingest/delta'
import { IngestConfig } from '../../src/config/config.ts'
import type { PipelineConfig } from '../../src/config/ingest-config.ts'
import { ConfigError, DeltaError, KafkaError, SerializationError } from '../../src/error.ts'
import { MessageBatch } from '../../src/kafka/message-batch.ts'
import { subscribe } from '../../src/observe/event.ts'
import { DeltaWriter } from '../../src/pipeline/delta-writer.ts'
import { StreamIngestProcessor } from '../../src/pipeline/stream-ingest-processor.ts'
import { MemoryKafka } from '../../src/testing/memory-source.ts'
import {
  type ConfigParts,
  consumeAll,
  fixedRuntime,
  ingestConfig,
  memoryStore,
  message,
  messages,
  NOW_MS,
  pipelineConfig,
  places,
  rowPlaces,
} from './table-fixture.ts'

function setUp(parts: ConfigParts = {}) {
  const runtime = fixedRuntime()
  const store = memoryStore(runtime)
  const config = pipelineConfig(parts)
  const open = (other: PipelineConfig = config) => new DeltaWriter(other, { store, runtime })
  return { runtime, store, config, open, writer: open(), table: store.at('events') }
}

suite('DeltaWriter writes plain messages', () => {
  test('and their offsets in one commit, creating the table', async () => {
    const { writer, table } = setUp()
    const result = await writer.writeBatch([...messages(0, 10), ...messages(0, 5, 1)])
    assert.deepEqual(result, {
      messages: 15,
      rowsWritten: 15,
      filesWritten: 1,
      bytesWritten: result.bytesWritten,
      commits: 1,
      badRecords: 0,
      quarantined: 0,
      skipped: 0,
      duplicates: 0,
      filtered: 0,
      gaps: [],
      version: 1,
    })
    assert.ok(result.bytesWritten > 0)
    assert.deepEqual(await rowPlaces(table), [...places(0, 10), ...places(0, 5, 1)])
    const actions = await readCommit(table, 1)
    const txns = actions!.flatMap(action => ('txn' in action ? [action.txn] : []))
    assert.deepEqual(
      txns.map(({ appId, version }) => [appId, version]),
      [
        ['g:t:0', 10n],
        ['g:t:1', 5n],
      ],
    )
  })

  test('once, however often they come', async () => {
    const { writer, open, table } = setUp()
    await writer.writeBatch(messages(0, 10))
    const again = await writer.writeBatch(messages(0, 10))
    assert.equal(again.duplicates, 10)
    assert.equal(again.messages, 0)
    assert.equal(again.commits, 0)
    assert.equal(again.version, 1)
    const overlapping = await open().writeBatch(messages(6, 14))
    assert.equal(overlapping.duplicates, 4)
    assert.equal(overlapping.rowsWritten, 4)
    assert.deepEqual(await rowPlaces(table), places(0, 14))
  })

  test('once, also where the batch itself has them twice or in disorder', async () => {
    const { writer, table } = setUp()
    const result = await writer.writeBatch([...messages(5, 9), ...messages(0, 7)])
    assert.equal(result.rowsWritten, 9)
    assert.equal(result.duplicates, 2)
    assert.deepEqual(await rowPlaces(table), places(0, 9))
  })

  test('with the counts behind them and the time of the newest row in the commit', async () => {
    const { writer, table } = setUp({ processing: '{ on_bad_record: skip }' })
    const at = (offset: number, timestamp: number | null, payload?: string) => ({
      ...message(offset, payload),
      timestamp,
    })
    const metricsOf = async (version: number) => {
      const actions = (await readCommit(table, version))!
      const [info] = actions.flatMap(action => ('commitInfo' in action ? [action.commitInfo] : []))
      const { numConsumedRecords, numBadRecords, newestRecordTimestampMs } = info!.operationMetrics!
      return [numConsumedRecords, numBadRecords, newestRecordTimestampMs]
    }
    // The last one is newer, and no row.
    await writer.writeBatch([at(0, NOW_MS + 7), at(1, NOW_MS + 3), at(2, NOW_MS + 99, 'no JSON')])
    assert.deepEqual(await metricsOf(1), ['3', '1', String(NOW_MS + 7)])
    // The next commit has its own.
    await writer.writeBatch([at(3, NOW_MS + 5)])
    assert.deepEqual(await metricsOf(2), ['1', '0', String(NOW_MS + 5)])
  })

  test('in several commits where the batch is larger than one', async () => {
    const { writer, table } = setUp({ processing: '{ batch_size: 4 }' })
    const result = await writer.writeBatch(messages(0, 10))
    assert.equal(result.commits, 3)
    assert.equal(result.version, 3)
    assert.equal(result.duplicates, 0)
    assert.deepEqual(await rowPlaces(table), places(0, 10))
  })

  test('and says where offsets are missing before them', async () => {
    const { writer } = setUp()
    await writer.writeBatch(messages(0, 3))
    const { gaps, rowsWritten } = await writer.writeBatch(messages(5, 6))
    assert.equal(rowsWritten, 1)
    assert.deepEqual(gaps, [{ topic: 't', partition: 0, expectedOffset: 3n, fromOffset: 5n }])
  })

  test('none, and makes no commit', async () => {
    const { writer } = setUp()
    const result = await writer.writeBatch([])
    assert.equal(result.commits, 0)
    assert.equal(result.version, 0)
  })

  test('one call after the other, however they overlap', async () => {
    const { writer, table } = setUp()
    const results = await Promise.all([0, 1, 2, 3].map(i => writer.writeBatch(messages(i * 5, i * 5 + 7))))
    assert.deepEqual(
      results.map(r => r.rowsWritten),
      [7, 5, 5, 5],
    )
    assert.deepEqual(await rowPlaces(table), places(0, 22))
  })
})

suite('DeltaWriter writes consumed batches', () => {
  test('under the ids of their topics, so that a pipeline goes on where it ended', async () => {
    const { writer, runtime, store, config, table } = setUp()
    const kafka = new MemoryKafka(runtime)
    kafka.createTopic('t', 2)
    const produce = (partition: number, count: number): void => {
      const records = Array.from({ length: count }, (_, i) => ({ value: `{"id":${i}}`, timestampMs: NOW_MS }))
      kafka.produce('t', partition, records)
    }
    produce(0, 5)
    produce(1, 3)
    const result = await writer.writeBatch(await consumeAll(kafka))
    assert.equal(result.rowsWritten, 8)
    produce(0, 4)
    const processor = new StreamIngestProcessor(new IngestConfig([config]), {
      runtime,
      createStore: () => store,
      createSource: () => kafka.createSource({ topics: ['t'] }),
    })
    const run = await processor.processStream({ untilLatest: true })
    assert.deepEqual(run.errors, [])
    assert.equal(run.metrics.rows, 4)
    const after = await writer.writeBatch(await consumeAll(kafka))
    assert.equal(after.duplicates, 12)
    assert.deepEqual(await rowPlaces(table), [...places(0, 9), ...places(0, 3, 1)])
  })

  test('passing aborted transactions and counting them', async () => {
    const { writer, runtime, table } = setUp()
    const kafka = new MemoryKafka(runtime)
    kafka.createTopic('t')
    const records = [{ value: '{"id":1}', timestampMs: NOW_MS }]
    const aborted = kafka.createTransactionalProducer()
    aborted.produce('t', 0, records)
    aborted.abort()
    kafka.produce('t', 0, records)
    const batch = await consumeAll(kafka)
    const result = await writer.writeBatch(batch)
    assert.equal(result.filtered, 1)
    assert.equal(result.rowsWritten, 1)
    assert.deepEqual(await rowPlaces(table), places(2, 3))
    const { topicId } = batch.chunks[0]!.topicPartition
    assert.equal((await writer.getTableMetrics()).nextOffsets.get(`g:${topicId}:0`), 3n)
  })

  test('up to a damaged one, then fails', async () => {
    const { writer, runtime, table } = setUp()
    const kafka = new MemoryKafka(runtime)
    kafka.createTopic('t')
    for (let i = 0; i < 3; i++) kafka.produce('t', 0, [{ value: '{"id":1}', timestampMs: NOW_MS }])
    const batch = await consumeAll(kafka)
    const [chunk] = batch.chunks
    const damaged = chunk!.batches.map((bytes, i) => {
      const copy = Uint8Array.from(bytes)
      if (i === 2) copy[copy.length - 1]! ^= 1
      return copy
    })
    const broken = new MessageBatch([{ ...chunk!, batches: damaged }])
    await assert.rejects(writer.writeBatch(broken), (error: unknown) => {
      assert.ok(error instanceof KafkaError)
      assert.equal(error.code, 'KAFKA_CORRUPT_BATCH')
      return true
    })
    assert.deepEqual(await rowPlaces(table), places(0, 2))
    const rest = await writer.writeBatch(batch)
    assert.equal(rest.rowsWritten, 1)
    assert.deepEqual(await rowPlaces(table), places(0, 3))
  })
})

suite('DeltaWriter meets bad records', () => {
  const mixed = [...messages(0, 3), message(3, '{"id":"x"}'), message(4, null), message(5)]

  test('and stops behind what came before, by default', async () => {
    const { writer, table } = setUp()
    await assert.rejects(writer.writeBatch(mixed), (error: unknown) => {
      assert.ok(error instanceof SerializationError)
      assert.equal(error.code, 'RECORD_INVALID')
      assert.equal(error.shouldSkipMessage(), true)
      assert.match(error.message, /t\[0\]@3 \$\.id/)
      return true
    })
    assert.deepEqual(await rowPlaces(table), places(0, 3))
    // The writer is as good as new: the corrected message goes in.
    const { rowsWritten, skipped } = await writer.writeBatch([message(3), message(4, null), message(5)])
    assert.equal(rowsWritten, 2)
    assert.equal(skipped, 1)
  })

  test('and skips them where told to, saying so', async () => {
    const { writer, table } = setUp({ processing: '{ on_bad_record: skip }' })
    const rejected: bigint[] = []
    const end = subscribe('record:rejected', ({ offset, action }) => {
      assert.equal(action, 'skip')
      rejected.push(offset)
    })
    const result = await writer.writeBatch(mixed)
    end()
    assert.deepEqual(rejected, [3n])
    assert.equal(result.messages, 6)
    assert.equal(result.rowsWritten, 4)
    assert.equal(result.badRecords, 1)
    assert.equal(result.skipped, 1)
    assert.deepEqual(await rowPlaces(table), [...places(0, 3), ...places(5, 6)])
    assert.equal((await writer.getTableMetrics()).nextOffsets.get('g:t:0'), 6n)
  })
})

suite('several DeltaWriters of one pipeline', () => {
  test('write each message once, whichever is first', async () => {
    const { open, table } = setUp({ processing: '{ batch_size: 3 }' })
    const writers = Array.from({ length: 4 }, open.bind(null, undefined))
    const batches = Array.from({ length: 8 }, (_, i) => messages(i * 5, i * 5 + 9))
    const results = await Promise.all(
      writers.map(async writer => {
        const own = []
        for (const batch of batches) own.push(await writer.writeBatch(batch))
        return own
      }),
    )
    assert.deepEqual(await rowPlaces(table), places(0, 44))
    const all = results.flat()
    assert.equal(
      all.reduce((sum, r) => sum + r.rowsWritten, 0),
      44,
    )
    for (const r of all) assert.equal(r.rowsWritten + r.duplicates, 9)
    for (const r of all) assert.deepEqual(r.gaps, [])
  })

  test('do not take an answer that was lost for another writer', async () => {
    const { runtime, config } = setUp()
    const faults = new FaultQueue()
    const store = new MemoryObjectStore({ now: runtime.now, faults: faults.hook })
    const writer = new DeltaWriter(config, { store, runtime })
    await writer.createTableIfNotExists()
    faults.add('putIfAbsent', { kind: 'own-earlier-write' })
    const result = await writer.writeBatch(messages(0, 5))
    assert.equal(result.rowsWritten, 5)
    assert.deepEqual(await rowPlaces(store.at('events')), places(0, 5))
  })

  test('may call again after a failure of the store, whatever became of the commit', async () => {
    for (const outcome of ['lost-answer', 'timeout'] as const) {
      const { runtime, config } = setUp()
      let isFailing = false
      const store = new MemoryObjectStore({
        now: runtime.now,
        faults: (call: StoreCall) => {
          if (!isFailing || call.operation !== 'put' || !call.key.endsWith('.parquet')) return undefined
          isFailing = false
          return { kind: outcome }
        },
      })
      const writer = new DeltaWriter(config, { store, runtime })
      await writer.createTableIfNotExists()
      isFailing = true
      await assert.rejects(writer.writeBatch(messages(0, 5)), { code: 'STORE_UNAVAILABLE', kind: 's3' })
      const { rowsWritten } = await writer.writeBatch(messages(0, 5))
      assert.equal(rowsWritten, 5)
      assert.deepEqual(await rowPlaces(store.at('events')), places(0, 5))
    }
  })
})

suite('the table of a DeltaWriter', () => {
  test('is created on request, once', async () => {
    const { writer, open, table } = setUp({ delta: 'create_table: false' })
    await assert.rejects(open().writeBatch(messages(0, 1)), { code: 'DELTA_TABLE_NOT_FOUND', kind: 'delta' })
    assert.equal(await writer.createTableIfNotExists(), true)
    assert.equal(await writer.createTableIfNotExists(), false)
    assert.equal(await open().createTableIfNotExists(), false)
    assert.equal((await loadTableState(table))?.version, 0)
  })

  test('must fit the configuration', async () => {
    const { writer, table, runtime } = setUp()
    const spec = { schema: struct([field('other', primitive('long'))]), partitionColumns: [], properties: {} }
    await DeltaTable.openOrCreate(table, spec, { runtime })
    await assert.rejects(writer.writeBatch(messages(0, 1)), { code: 'TABLE_SCHEMA_MISMATCH' })
    await assert.rejects(writer.createTableIfNotExists(), { code: 'TABLE_SCHEMA_MISMATCH' })
  })

  test('shows its schema as Arrow, also before it is there', async () => {
    const { writer } = setUp()
    const expected = [
      'id: Int64',
      'kind: Utf8',
      'date: Date32<DAY>',
      '_kafka_topic: Utf8',
      '_kafka_partition: Int32',
      '_kafka_offset: Int64',
      '_kafka_timestamp: Timestamp<MICROSECOND, UTC>',
    ]
    for (let i = 0; i < 2; i++) {
      const schema = await writer.getTableSchema()
      assert.deepEqual(schema.fields.map(String), expected)
      assert.equal(schema.fields[0]!.nullable, false)
      await writer.createTableIfNotExists()
    }
  })

  test('has metrics', async () => {
    const { writer } = setUp()
    await assert.rejects(writer.getTableMetrics(), DeltaError)
    await writer.writeBatch(messages(0, 10))
    const { bytesWritten } = await writer.writeBatch([...messages(10, 13), ...messages(0, 4, 1)])
    const { sizeBytes, ...rest } = await writer.getTableMetrics()
    assert.ok(sizeBytes > bytesWritten)
    assert.deepEqual(rest, {
      version: 2,
      numFiles: 2,
      numRows: 17,
      checkpointVersion: null,
      partitionColumns: ['date'],
      nextOffsets: new Map([
        ['g:t:0', 13n],
        ['g:t:1', 4n],
      ]),
    })
  })

  test('gets its checkpoints', async () => {
    const { writer } = setUp({ delta: 'checkpoint_interval: 2' })
    for (let i = 0; i < 4; i++) await writer.writeBatch([message(i)])
    assert.equal((await writer.getTableMetrics()).checkpointVersion, 4)
  })

  test('is vacuumed by age', async () => {
    const { writer, runtime, table } = setUp()
    await writer.writeBatch(messages(0, 3))
    await table.put('date=2027-01-15/orphan.parquet', new Uint8Array(8))
    runtime.nowMs += 8 * 86_400_000
    await assert.rejects(writer.vacuumTable(24), { code: 'DELTA_RETENTION_TOO_SHORT' })
    await assert.rejects(writer.vacuumTable(0, { allowShortRetention: true }), {
      code: 'DELTA_RETENTION_TOO_SHORT',
    })
    const { filesDeleted, files } = await writer.vacuumTable(168)
    assert.equal(filesDeleted, 1)
    assert.equal(files[0]!.key, 'date=2027-01-15/orphan.parquet')
    assert.deepEqual(await rowPlaces(table), places(0, 3))
  })

  test('is compacted, with every row in it', async () => {
    const { writer, table } = setUp()
    for (let from = 0; from < 6; from += 2) await writer.writeBatch(messages(from, from + 2))
    const planned = await writer.optimizeTable({ dryRun: true })
    const { filesRemoved, filesAdded, version } = await writer.optimizeTable()
    assert.deepEqual([planned.filesRemoved, filesRemoved, filesAdded, version], [3, 3, 1, 4])
    assert.deepEqual(await rowPlaces(table), places(0, 6))
    await writer.writeBatch(messages(6, 7))
    assert.deepEqual(await rowPlaces(table), places(0, 7))
  })

  test('that does not exist is not compacted', async () => {
    const { writer } = setUp()
    await assert.rejects(writer.optimizeTable(), { code: 'DELTA_TABLE_NOT_FOUND', kind: 'delta' })
  })

  test('is in the place of the configuration', async t => {
    const path = await mkdtemp(join(tmpdir(), 'writer-'))
    t.after(() => rm(path, { recursive: true, force: true }))
    const storage = `local: { path: ${JSON.stringify(path)} }`
    const writer = new DeltaWriter(ingestConfig({ storage }))
    const { ok, version, error } = await writer.healthCheck()
    assert.deepEqual([ok, version, error], [true, null, null])
    await writer.writeBatch(messages(0, 2))
    assert.equal((await writer.healthCheck()).version, 1)
    await writer.close()
    assert.deepEqual(await readdir(path), ['events'])
  })
})

suite('a dry run of a DeltaWriter', () => {
  test('tells what it would write, and writes nothing', async () => {
    const { writer, store } = setUp({ processing: '{ dry_run: true }' })
    assert.equal(await writer.createTableIfNotExists(), false)
    const result = await writer.writeBatch(messages(0, 10))
    assert.equal(result.rowsWritten, 10)
    assert.equal(result.version, null)
    assert.equal(result.commits, 0)
    for await (const { key } of store.list('')) assert.fail(`${key} was written`)
  })

  test('leaves out what a table that is there holds', async () => {
    const { writer, open } = setUp()
    await writer.writeBatch(messages(0, 4))
    const dry = open(pipelineConfig({ processing: '{ dry_run: true }' }))
    const result = await dry.writeBatch(messages(0, 10))
    assert.equal(result.duplicates, 4)
    assert.equal(result.rowsWritten, 6)
    assert.ok(result.bytesWritten > 0)
    assert.equal(result.version, 1)
    assert.equal((await writer.getTableMetrics()).version, 1)
  })
})

test('of several pipelines one is named', () => {
  const [one] = ingestConfig().pipelines
  const config = new IngestConfig([
    { ...one!, name: 'a' },
    { ...one!, name: 'b' },
  ])
  assert.throws(() => new DeltaWriter(config), ConfigError)
  assert.throws(() => new DeltaWriter(config, { pipeline: 'c' }), /`a`, `b`/)
  assert.ok(new DeltaWriter(config, { pipeline: 'b' }))
})
