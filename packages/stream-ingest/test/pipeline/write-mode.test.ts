import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  checkTable,
  DeltaTable,
  formatDataType,
  MemoryObjectStore,
  type ObjectStore,
  readCommit,
  type StoreCall,
  type StoreFault,
} from '@stream-ingest/delta'
import { subscribe } from '../../src/observe/event.ts'
import { DeltaWriter } from '../../src/pipeline/delta-writer.ts'
import type { RunOptions } from '../../src/pipeline/pipeline.ts'
import { type ProcessingResult, StreamIngestProcessor } from '../../src/pipeline/stream-ingest-processor.ts'
import { MemoryKafka } from '../../src/testing/memory-source.ts'
import {
  type ConfigParts,
  fixedRuntime,
  ingestConfig,
  messages,
  NOW_MS,
  places,
  rowPlaces,
} from './table-fixture.ts'

/** Topic `t` of two partitions and its table, with faults on demand. */
class Setting {
  readonly runtime = fixedRuntime()
  readonly kafka = new MemoryKafka(this.runtime)
  fault: (call: StoreCall) => StoreFault | undefined = () => undefined
  readonly store = new MemoryObjectStore({
    now: this.runtime.now,
    faults: call => this.fault(call),
  })
  readonly table: ObjectStore = this.store.at('events')

  constructor() {
    this.kafka.createTopic('t', 2)
  }

  produce(partition: number, from: number, to: number): void {
    for (let id = from; id < to; id++) {
      this.kafka.produce('t', partition, [{ value: `{"id":${id},"kind":"k"}`, timestampMs: NOW_MS }])
    }
  }

  run(
    delta: string,
    options: RunOptions & Pick<ConfigParts, 'processing'> = { untilLatest: true },
  ): Promise<ProcessingResult> {
    const { processing = '{ batch_size: 3, retry_base_delay_ms: 1 }', ...runOptions } = options
    const processor = new StreamIngestProcessor(ingestConfig({ delta, processing }), {
      runtime: this.runtime,
      createStore: () => this.store,
      createSource: () => this.kafka.createSource({ topics: ['t'] }),
    })
    return processor.processStream(runOptions)
  }

  async version(): Promise<number> {
    return (await DeltaTable.open(this.table, { runtime: this.runtime }))!.state.version
  }

  /** Offsets by partition number, as the table has them. */
  async offsets(): Promise<Record<string, bigint>> {
    const { state } = (await DeltaTable.open(this.table, { runtime: this.runtime }))!
    return Object.fromEntries([...state.txns].map(([appId, txn]) => [appId.split(':').at(-1)!, txn.version]))
  }

  async assertSound(): Promise<void> {
    const { findings } = await checkTable(this.table, { deep: true, nowMs: this.runtime.now() })
    assert.deepEqual(findings, [])
  }
}

const OVERWRITE = 'write_mode: overwrite'
const both = (to0: number, to1: number): string[] => [...places(0, to0), ...places(0, to1, 1)]

suite('`error_if_exists`', () => {
  const MODE = 'write_mode: error_if_exists'

  test('creates the table, and refuses it from the next run on', async () => {
    const setting = new Setting()
    setting.produce(0, 0, 5)
    assert.equal((await setting.run(MODE)).success, true)
    setting.produce(0, 5, 9)
    for (const processing of ['{}', '{ dry_run: true }']) {
      const { failures } = await setting.run(MODE, { untilLatest: true, processing })
      assert.equal(failures[0]?.error.code, 'DELTA_TABLE_EXISTS')
      assert.equal(failures[0]?.error.exitCode, 73)
    }
    assert.deepEqual(await rowPlaces(setting.table), places(0, 5))
    await setting.assertSound()
  })

  test('goes on with the table that the same run created, when the run starts again', async () => {
    const setting = new Setting()
    setting.produce(0, 0, 9)
    let uploads = 0
    setting.fault = ({ operation, key }) =>
      operation === 'put' && key.endsWith('.parquet') && ++uploads === 2 ? { kind: 'throttled' } : undefined
    const result = await setting.run(MODE)
    assert.equal(result.success, true)
    assert.deepEqual(await rowPlaces(setting.table), places(0, 9))
    await setting.assertSound()
  })

  test('lets one of two that create at once have the table', async () => {
    const setting = new Setting()
    setting.produce(0, 0, 9)
    const results = await Promise.all([setting.run(MODE), setting.run(MODE)])
    assert.deepEqual(results.map(r => r.success).sort(), [false, true])
    assert.equal(results.find(r => !r.success)?.failures[0]?.error.code, 'DELTA_TABLE_EXISTS')
    assert.deepEqual(await rowPlaces(setting.table), places(0, 9))
  })
})

suite('`overwrite`', () => {
  test('replaces all rows in one commit at the end, whatever offsets the table holds', async () => {
    const setting = new Setting()
    setting.produce(0, 0, 7)
    await setting.run('write_mode: append')
    const before = await setting.version()
    assert(before > 2)
    setting.produce(1, 0, 4)
    const uploads: number[] = []
    const end = subscribe('overwrite:uploaded', e => uploads.push(e.rowCount))
    const result = await setting.run(OVERWRITE)
    end()
    assert.equal(result.success, true)
    assert.deepEqual([result.metrics.rows, result.metrics.commits], [11, 1])
    assert(uploads.length > 2, 'files go up as epochs fill')
    assert.equal(await setting.version(), before + 1)
    assert.deepEqual(await rowPlaces(setting.table), both(7, 4))
    assert.deepEqual(await setting.offsets(), { 0: 7n, 1: 4n })
    const [info, ...rest] = (await readCommit(setting.table, before + 1))!
    assert(info !== undefined && 'commitInfo' in info)
    const { operation, operationParameters, operationMetrics, isBlindAppend } = info.commitInfo
    assert.deepEqual([operation, operationParameters?.mode, isBlindAppend], ['WRITE', 'Overwrite', false])
    assert.equal(operationMetrics?.numOutputRows, '11')
    assert.equal(operationMetrics?.numRemovedFiles, String(rest.filter(a => 'remove' in a).length))
    await setting.assertSound()
  })

  test('is followed by appending runs, from the offsets that it came to', async () => {
    const setting = new Setting()
    setting.produce(0, 0, 5)
    await setting.run(OVERWRITE)
    setting.produce(0, 5, 8)
    await setting.run('write_mode: append')
    assert.deepEqual(await rowPlaces(setting.table), places(0, 8))
    await setting.run(OVERWRITE)
    assert.deepEqual(await rowPlaces(setting.table), places(0, 8))
    await setting.assertSound()
  })

  test('ends by time too, and records where every partition stands', async () => {
    const setting = new Setting()
    setting.produce(0, 0, 5)
    setting.fault = () => {
      setting.runtime.nowMs += 1
      return undefined
    }
    const result = await setting.run(OVERWRITE, { runtimeLimitMs: 60_000 })
    assert.equal(result.success, true)
    assert.deepEqual(await rowPlaces(setting.table), places(0, 5))
    assert.deepEqual(await setting.offsets(), { 0: 5n, 1: 0n })
  })

  test('needs an end', async () => {
    const setting = new Setting()
    const { failures } = await setting.run(OVERWRITE, {})
    assert.equal(failures[0]?.error.code, 'CONFIG_CONFLICT')
    assert.match(failures[0]!.error.hint, /--until-latest/)
    const writer = new DeltaWriter(ingestConfig({ delta: OVERWRITE }), { store: setting.store })
    await assert.rejects(writer.writeBatch(messages(0, 1)), { code: 'CONFIG_CONFLICT' })
    assert.equal(await DeltaTable.open(setting.table), null)
  })

  test('that is stopped leaves the table as it was, and says so', async () => {
    const setting = new Setting()
    setting.produce(0, 0, 5)
    await setting.run('write_mode: append')
    const version = await setting.version()
    const stop = new AbortController()
    const end = subscribe('overwrite:uploaded', () => stop.abort())
    setting.produce(0, 5, 50)
    const result = await setting.run(OVERWRITE, { untilLatest: true, signal: stop.signal })
    end()
    assert.equal(result.failures[0]?.error.code, 'OVERWRITE_UNFINISHED')
    assert.equal(result.metrics.rows, 0)
    assert.equal(result.pipelines[0]?.partitions[0]?.nextOffset, 0n)
    assert.equal(await setting.version(), version)
  })

  test('that meets a bad record leaves the table as it was', async () => {
    const setting = new Setting()
    setting.produce(0, 0, 5)
    await setting.run('write_mode: append')
    const version = await setting.version()
    setting.kafka.produce('t', 0, [{ value: '{"id":"x"}', timestampMs: NOW_MS }])
    const result = await setting.run(OVERWRITE)
    assert.equal(result.success, false)
    assert.equal(await setting.version(), version)
  })

  test('in a dry run reads all of it and writes nothing', async () => {
    const setting = new Setting()
    setting.produce(0, 0, 5)
    await setting.run('write_mode: append')
    const version = await setting.version()
    const result = await setting.run(OVERWRITE, { untilLatest: true, processing: '{ dry_run: true }' })
    assert.deepEqual([result.success, result.metrics.rows], [true, 5])
    assert.equal(await setting.version(), version)
  })

  test('is fenced where another process of the pipeline moved its offsets meanwhile', async () => {
    const setting = new Setting()
    setting.produce(0, 0, 5)
    await setting.run('write_mode: append')
    const version = await setting.version()
    setting.produce(0, 5, 9)
    const results = await Promise.all([setting.run(OVERWRITE), setting.run(OVERWRITE)])
    assert.deepEqual(results.map(r => r.success).sort(), [false, true])
    assert.equal(results.find(r => !r.success)?.failures[0]?.error.code, 'PIPELINE_FENCED')
    assert.equal(await setting.version(), version + 1)
    assert.deepEqual(await rowPlaces(setting.table), places(0, 9))
    await setting.assertSound()
  })

  test('starts over where the store fails for a while', async () => {
    const setting = new Setting()
    setting.produce(0, 0, 9)
    await setting.run('write_mode: append')
    let uploads = 0
    setting.fault = ({ operation, key }) =>
      operation === 'put' && key.endsWith('.parquet') && ++uploads === 2 ? { kind: 'throttled' } : undefined
    const result = await setting.run(OVERWRITE)
    assert.equal(result.success, true)
    assert.deepEqual(await rowPlaces(setting.table), places(0, 9))
    await setting.assertSound()
  })

  test('that ends by time does not start over with the time that is left', async () => {
    const setting = new Setting()
    setting.produce(0, 0, 9)
    await setting.run('write_mode: append')
    const version = await setting.version()
    setting.fault = ({ operation, key }) =>
      operation === 'put' && key.endsWith('.parquet') ? { kind: 'throttled' } : undefined
    const { failures } = await setting.run(OVERWRITE, { runtimeLimitMs: 60_000 })
    assert.equal(failures[0]?.error.code, 'STORE_THROTTLED')
    assert.equal(await setting.version(), version)
  })

  test('that is to read to the end and has no time for it leaves the table as it was', async () => {
    const setting = new Setting()
    setting.produce(0, 0, 9)
    await setting.run('write_mode: append')
    const version = await setting.version()
    setting.fault = ({ operation }) => {
      if (operation === 'put') setting.runtime.nowMs += 60_000
      return undefined
    }
    const { failures } = await setting.run(OVERWRITE, { untilLatest: true, runtimeLimitMs: 60_000 })
    assert.equal(failures[0]?.error.code, 'OVERWRITE_UNFINISHED')
    assert.equal(await setting.version(), version)
  })

  test('brings the columns of all of its messages in its one commit', async () => {
    const setting = new Setting()
    setting.produce(0, 0, 4)
    await setting.run('write_mode: append')
    const version = await setting.version()
    const more = ['{"id":4,"n":1}', '{"id":5,"s":"x"}', '{"id":6,"n":"text"}', '{"id":7,"o":{"a":true}}']
    for (const value of more) {
      // One message an epoch, so that each is planned on what those before have brought.
      setting.kafka.produce('t', 0, [{ value, timestampMs: NOW_MS }])
    }
    const result = await setting.run(`${OVERWRITE}\nmerge_schema: true`, {
      untilLatest: true,
      processing: '{ batch_size: 1, on_bad_record: skip }',
    })
    assert.equal(result.success, true)
    assert.deepEqual([result.metrics.rows, result.metrics.badRecords], [7, 1])
    const { state } = (await DeltaTable.open(setting.table, { runtime: setting.runtime }))!
    assert.equal(state.version, version + 1)
    const added = state.schema.fields.slice(-3).map(f => `${f.name}: ${formatDataType(f.type)}`)
    assert.deepEqual(added, ['n: long', 's: string', 'o: struct<a: boolean>'])
    await setting.assertSound()
  })

  for (const moment of ['before', 'after'] as const) {
    test(`that dies ${moment} any of its writes leaves the old rows or the new ones, and can be run again`, async () => {
      let died = 0
      let replaced = 0
      for (let nth = 1; ; nth++) {
        const setting = new Setting()
        setting.produce(0, 0, 7)
        await setting.run('write_mode: append')
        const version = await setting.version()
        setting.produce(1, 0, 4)
        let writes = 0
        setting.fault = ({ operation }) =>
          operation.startsWith('put') && ++writes === nth ? { kind: 'crash', moment } : undefined
        const { success } = await setting.run(OVERWRITE)
        setting.fault = () => undefined
        if (writes < nth) break
        // A crash in the upkeep after the commit is no failure of the run.
        if (!success) died++
        const isReplaced = (await setting.version()) > version
        if (isReplaced) replaced++
        assert.deepEqual(await rowPlaces(setting.table), isReplaced ? both(7, 4) : places(0, 7))
        assert.deepEqual(await setting.offsets(), isReplaced ? { 0: 7n, 1: 4n } : { 0: 7n, 1: 0n })
        await setting.assertSound()
        assert.equal((await setting.run(OVERWRITE)).success, true)
        assert.deepEqual(await rowPlaces(setting.table), both(7, 4))
        await setting.assertSound()
      }
      assert(died > 4 && replaced > 0, `${died} deaths, ${replaced} of them after the commit`)
    })
  }
})
