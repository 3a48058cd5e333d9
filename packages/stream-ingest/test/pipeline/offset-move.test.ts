import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { checkTable, DeltaTable, type ObjectStore, type Runtime } from '@stream-ingest/delta'
import type { PipelineConfig } from '../../src/config/ingest-config.ts'
import { subscribe } from '../../src/observe/event.ts'
import { DeltaWriter } from '../../src/pipeline/delta-writer.ts'
import { moveOffsets, type OffsetMove, type OffsetMoveOptions } from '../../src/pipeline/offset-move.ts'
import { StreamIngestProcessor } from '../../src/pipeline/stream-ingest-processor.ts'
import { MemoryKafka } from '../../src/testing/memory-source.ts'
import {
  fixedRuntime,
  ingestConfig,
  memoryStore,
  messages,
  pipelineConfig,
  places,
  rowPlaces,
} from './table-fixture.ts'

class Scene {
  readonly runtime: ReturnType<typeof fixedRuntime>
  readonly kafka: MemoryKafka
  readonly lake: ObjectStore
  readonly config: PipelineConfig

  constructor(processing = '{}') {
    this.runtime = fixedRuntime()
    this.kafka = new MemoryKafka(this.runtime)
    this.lake = memoryStore(this.runtime)
    this.config = pipelineConfig({ processing })
    this.kafka.createTopic('t', 2)
  }

  get table(): ObjectStore {
    return this.lake.at('events')
  }

  produce(partition: number, from: number, to: number): void {
    const records = Array.from({ length: to - from }, (_, i) => ({ value: `{"id":${from + i},"kind":"k"}` }))
    this.kafka.produce('t', partition, records)
  }

  processor(beforeRead: () => void | Promise<void> = () => {}): StreamIngestProcessor {
    return new StreamIngestProcessor(ingestConfig({ processing: '{ batch_timeout_ms: 1000 }' }), {
      runtime: this.runtime,
      createStore: () => this.lake,
      createSource: () =>
        this.kafka.createSource({
          topics: ['t'],
          beforeCall: async call => {
            if (call === 'read') await beforeRead()
          },
        }),
    })
  }

  async ingest(): Promise<void> {
    const result = await this.processor().processStream({ untilLatest: true })
    assert.deepEqual(result.errors, [])
  }

  async move(options: OffsetMoveOptions, runtime: Runtime = this.runtime): Promise<OffsetMove> {
    const source = this.kafka.createSource({ topics: ['t'] })
    return moveOffsets(this.config, options, { store: this.table, source, runtime })
  }
}

describe('offsets that are moved under a writer that runs', () => {
  test('back: it is fenced at its next commit, drops what it holds, and reads from there', async () => {
    const scene = new Scene()
    scene.produce(0, 0, 10)
    scene.produce(1, 0, 3)
    await scene.ingest()
    scene.produce(0, 10, 15)
    const fenced: number[] = []
    const end = subscribe('commit:conflicted', ({ winner, reason }) => {
      assert.equal(reason, 'txn')
      fenced.push(winner)
    })
    let reads = 0
    let moved: OffsetMove | null = null
    // The writer stands at 10, as the table says; before it has read on, the table says 7.
    const processor = scene.processor(async () => {
      if (++reads === 1) moved = await scene.move({ to: { offset: 7n }, partitions: [0], force: true })
    })
    const result = await processor.processStream({ untilLatest: true })
    end()
    assert.deepEqual(result.errors, [])
    const { version } = moved! as OffsetMove
    assert.deepEqual(fenced, [version])
    assert.equal(result.metrics.fenced, 1)
    // 7 to 9 are there twice, as was wanted; 10 to 14, which it had in hand, once.
    assert.deepEqual(await rowPlaces(scene.table), [
      ...places(0, 7),
      ...[7, 8, 9].flatMap(offset => [...places(offset, offset + 1), ...places(offset, offset + 1)]),
      ...places(10, 15),
      ...places(0, 3, 1),
    ])
    assert.deepEqual((await checkTable(scene.table, { deep: true })).findings, [])
  })

  test('on: what it had in hand is dropped, and not in the table', async () => {
    const scene = new Scene()
    scene.produce(0, 0, 10)
    await scene.ingest()
    scene.produce(0, 10, 15)
    let reads = 0
    const processor = scene.processor(async () => {
      if (++reads === 1) await scene.move({ to: { offset: 13n }, partitions: [0], force: true })
    })
    assert.deepEqual((await processor.processStream({ untilLatest: true })).errors, [])
    assert.deepEqual(await rowPlaces(scene.table), [...places(0, 10), ...places(13, 15)])
  })

  test('of another partition: the writer goes on, and is fenced when that one is its turn', async () => {
    const scene = new Scene()
    scene.produce(0, 0, 5)
    scene.produce(1, 0, 5)
    await scene.ingest()
    scene.produce(0, 5, 8)
    const stop = new AbortController()
    let commits = 0
    const end = subscribe('commit:committed', () => {
      commits++
      // The first commit, of partition 0 alone, has met the move of partition 1 and passed it.
      if (commits === 1) scene.produce(1, 5, 6)
      else stop.abort()
    })
    let reads = 0
    const processor = scene.processor(async () => {
      if (++reads === 1) await scene.move({ to: { offset: 3n }, partitions: [1], force: true })
    })
    const result = await processor.processStream({ signal: stop.signal })
    end()
    assert.deepEqual(result.errors, [])
    assert.equal(result.metrics.fenced, 1)
    assert.deepEqual(await rowPlaces(scene.table), [
      ...places(0, 8),
      ...places(0, 3, 1),
      ...[3, 4].flatMap(offset => [...places(offset, offset + 1, 1), ...places(offset, offset + 1, 1)]),
      ...places(5, 6, 1),
    ])
  })
})

describe('moving offsets', () => {
  test('is refused within a minute of a commit of the pipeline, or twice its batch timeout', async () => {
    for (const [processing, quietMs] of [
      ['{}', 60_000],
      ['{ batch_timeout_ms: 300000 }', 600_000],
    ] as const) {
      const scene = new Scene(processing)
      scene.produce(0, 0, 2)
      await scene.ingest()
      scene.runtime.nowMs += quietMs - 1_500
      await assert.rejects(scene.move({ to: 'earliest' }), { code: 'PIPELINE_ACTIVE' })
      scene.runtime.nowMs += 1_500
      assert.equal((await scene.move({ to: 'earliest' })).activeCommit, null)
    }
  })

  test('does not take an earlier move, or a commit of another pipeline, for a process that runs', async () => {
    const scene = new Scene()
    scene.produce(0, 0, 2)
    await scene.ingest()
    scene.runtime.nowMs += 3_600_000
    await scene.move({ to: 'earliest' })
    const table = (await DeltaTable.open(scene.table, { runtime: scene.runtime }))!
    await table.append({ adds: [], rowCounts: [], txns: [{ appId: 'another:x:0', version: 1n }] })
    assert.equal((await scene.move({ to: 'latest' })).changes.length, 1)
  })

  test('is planned anew where the writer commits in between, from where that left it', async () => {
    const scene = new Scene()
    scene.produce(0, 0, 2)
    await scene.ingest()
    scene.produce(0, 2, 5)
    let asked = 0
    // The conditional put was proved: this is asked right before the commit.
    const runtime = {
      ...scene.runtime,
      now: () => scene.runtime.nowMs,
      uuid: () => `00000000-0000-4000-9000-${String(asked++).padStart(12, '0')}`,
    }
    const store = scene.table
    let isFirst = true
    const racing: ObjectStore = new Proxy(store, {
      get(target, property) {
        const value = Reflect.get(target, property) as unknown
        if (property !== 'putIfAbsent') return typeof value === 'function' ? value.bind(target) : value
        return async (...args: Parameters<ObjectStore['putIfAbsent']>) => {
          if (isFirst && args[0].startsWith('_delta_log/')) {
            isFirst = false
            await scene.ingest()
          }
          return target.putIfAbsent(...args)
        }
      },
    })
    const source = scene.kafka.createSource({ topics: ['t'] })
    const options = { to: { offset: 1n }, partitions: [0], force: true }
    const move = await moveOffsets(scene.config, options, { store: racing, source, runtime })
    assert.deepEqual(move.changes, [{ topic: 't', partition: 0, fromOffset: 5n, toOffset: 1n }])
    assert.deepEqual([move.repeated, move.passedOver], [4n, 0n])
  })

  test('moves those that a trigger left under the name of the topic, where they are', async () => {
    const scene = new Scene()
    scene.produce(0, 0, 6)
    scene.produce(1, 0, 6)
    const writer = new DeltaWriter(ingestConfig(), { store: scene.lake, runtime: scene.runtime })
    await writer.writeBatch([...messages(0, 5), ...messages(0, 5, 1)])
    await writer.close()
    const move = await scene.move({ to: { offset: 2n }, partitions: [1], force: true })
    assert.deepEqual(move.changes, [{ topic: 't', partition: 1, fromOffset: 5n, toOffset: 2n }])
    const table = (await DeltaTable.open(scene.table, { runtime: scene.runtime }))!
    assert.deepEqual([...table.state.txns].map(([appId, { version }]) => [appId, version]).sort(), [
      ['g:t:0', 5n],
      ['g:t:1', 2n],
    ])
  })
})
