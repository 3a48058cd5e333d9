import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DeltaTable, type MemoryObjectStore, type ObjectStore } from '@stream-ingest/delta'
import { IngestConfig } from '../../src/config/config.ts'
import { KafkaError } from '../../src/error.ts'
import { DeltaWriter } from '../../src/pipeline/delta-writer.ts'
import { moveOffsets } from '../../src/pipeline/offset-move.ts'
import {
  COMMITS_SEARCHED_MAX,
  type PipelineStatus,
  readPipelineStatus,
} from '../../src/pipeline/pipeline-status.ts'
import { PIPELINES_AT_ONCE } from '../../src/pipeline/status-report.ts'
import { StreamIngestProcessor } from '../../src/pipeline/stream-ingest-processor.ts'
import { MemoryKafka, type MemorySourceCall } from '../../src/testing/memory-source.ts'
import { fixedRuntime, ingestConfig, memoryStore, messages, NOW_MS, pipelineConfig } from './table-fixture.ts'

const HOUR_MS = 3_600_000

let topics = 0

/** Each topic with an id of its own. */
function memoryKafka(runtime: ReturnType<typeof fixedRuntime>): MemoryKafka {
  return new MemoryKafka({ now: runtime.now, delay: runtime.delay, random: () => (++topics % 997) / 997 })
}

class Scene {
  readonly runtime: ReturnType<typeof fixedRuntime>
  readonly kafka: MemoryKafka
  readonly lake: MemoryObjectStore

  constructor() {
    this.runtime = fixedRuntime()
    this.kafka = memoryKafka(this.runtime)
    this.lake = memoryStore(this.runtime)
    this.kafka.createTopic('t', 2)
  }

  get table(): ObjectStore {
    return this.lake.at('events')
  }

  produce(partition: number, from: number, to: number, timestampMs = NOW_MS): void {
    const records = Array.from({ length: to - from }, (_, i) => ({
      value: `{"id":${from + i},"kind":"k"}`,
      timestampMs,
    }))
    this.kafka.produce('t', partition, records)
  }

  async ingest(processing = '{}'): Promise<void> {
    const processor = new StreamIngestProcessor(ingestConfig({ processing }), {
      runtime: this.runtime,
      createStore: () => this.lake,
      createSource: () => this.kafka.createSource({ topics: ['t'] }),
    })
    assert.deepEqual((await processor.processStream({ untilLatest: true })).errors, [])
  }

  async status(
    parts: { store?: ObjectStore; failing?: MemorySourceCall; kafka?: object } = {},
  ): Promise<PipelineStatus> {
    const { store = this.table, failing, kafka = {} } = parts
    const source = this.kafka.createSource({
      topics: ['t'],
      beforeCall: call => {
        if (call === failing) throw new KafkaError('KAFKA_UNREACHABLE', 'nobody is there')
      },
    })
    const config = pipelineConfig()
    return readPipelineStatus(
      { ...config, kafka: { ...config.kafka, ...kafka } },
      { store, source, runtime: this.runtime },
    )
  }

  /** Others write, as OPTIMIZE or another pipeline does. */
  async commitOthers(count: number): Promise<void> {
    const table = (await DeltaTable.open(this.table, { runtime: this.runtime }))!
    for (let i = 0; i < count; i++) {
      await table.append({ adds: [], rowCounts: [], txns: [{ appId: 'other', version: BigInt(i) }] })
    }
  }
}

function offsetsOf({ partitions }: PipelineStatus): unknown[] {
  return partitions.map(({ topic, partition, nextOffset, endOffset, lag }) => [
    `${topic}[${partition}]`,
    nextOffset,
    endOffset,
    lag,
  ])
}

const UNAVAILABLE: Pick<ObjectStore, 'get' | 'list'> = {
  get: async () => assert.fail('the store is away'),
  // biome-ignore lint/correctness/useYield: it fails before
  list: async function* () {
    assert.fail('the store is away')
  },
}

describe('the status of a pipeline', () => {
  test('is told by the table alone where Kafka cannot be asked', async () => {
    for (const failing of ['open', 'endOffsets'] as const) {
      const scene = new Scene()
      scene.produce(0, 0, 5)
      await scene.ingest()
      const status = await scene.status({ failing })
      assert.deepEqual(
        status.errors.map(({ code }) => code),
        ['KAFKA_UNREACHABLE'],
      )
      assert.deepEqual(offsetsOf(status), [
        ['t[0]', 5n, null, null],
        ['t[1]', 0n, null, null],
      ])
      // Whether anything is left to read is not known, and so is not how far behind it is.
      assert.deepEqual([status.lag, status.freshnessMs, status.newestRecordMs], [null, null, NOW_MS])
      assert.equal(status.version, status.lastCommitVersion)
    }
  })

  test('is told by Kafka alone where the table cannot be read', async () => {
    const scene = new Scene()
    scene.produce(0, 0, 5)
    const status = await scene.status({
      store: { ...scene.table, ...UNAVAILABLE, uri: 'memory://away' } as ObjectStore,
    })
    assert.equal(status.errors.length, 1)
    assert.deepEqual(offsetsOf(status), [
      ['t[0]', null, 5n, null],
      ['t[1]', null, 0n, null],
    ])
    assert.deepEqual([status.version, status.lag], [null, null])
  })

  test('names both where neither can be asked', async () => {
    const scene = new Scene()
    const store = { ...scene.table, ...UNAVAILABLE, uri: 'memory://away' } as ObjectStore
    const { errors, partitions } = await scene.status({ store, failing: 'open' })
    assert.deepEqual([errors.length, partitions], [2, []])
  })

  test('tells the partitions that it knows where a run would not start for another', async () => {
    const scene = new Scene()
    scene.produce(0, 0, 5)
    await scene.ingest()
    scene.kafka.addPartitions('t', 3)
    const none = await scene.status({ kafka: { autoOffsetReset: 'none' } })
    // A partition that came later is read from its beginning, whatever the policy.
    assert.deepEqual([none.errors, none.lag], [[], 0n])
    scene.kafka.createTopic('u', 1)
    const source = scene.kafka.createSource({ topics: ['t', 'u'] })
    const config = pipelineConfig()
    const kafka = { ...config.kafka, topics: ['t', 'u'], autoOffsetReset: 'none' } as const
    const status = await readPipelineStatus(
      { ...config, kafka },
      { store: scene.table, source, runtime: scene.runtime },
    )
    assert.deepEqual(
      status.errors.map(({ code }) => code),
      ['KAFKA_NO_OFFSET'],
    )
    assert.deepEqual(offsetsOf(status), [
      ['t[0]', 5n, 5n, 0n],
      ['t[1]', 0n, 0n, 0n],
      ['t[2]', null, 0n, null],
      ['u[0]', null, 0n, null],
    ])
    assert.equal(status.lag, null)
  })

  test('of a table that a trigger feeds goes by the names of topics', async () => {
    const scene = new Scene()
    scene.produce(0, 0, 8)
    scene.produce(1, 0, 2)
    const writer = new DeltaWriter(ingestConfig(), { store: scene.lake, runtime: scene.runtime })
    await writer.writeBatch(messages(0, 5))
    await writer.close()
    const status = await scene.status()
    assert.deepEqual(status.errors, [])
    assert.deepEqual(offsetsOf(status), [
      ['t[0]', 5n, 8n, 3n],
      ['t[1]', 0n, 2n, 2n],
    ])
    assert.deepEqual(
      status.partitions.map(({ isInTable }) => isInTable),
      [true, false],
    )
    assert.deepEqual([status.lag, status.unknownTopicIds], [5n, []])
  })

  test('says by how much the table is ahead of a log that was cut off', async () => {
    const scene = new Scene()
    scene.produce(0, 0, 9)
    await scene.ingest()
    // What the table holds is beyond the end of this one.
    const other = memoryKafka(scene.runtime)
    other.createTopic('t', 2)
    const source = other.createSource({ topics: ['t'] })
    await source.open()
    const { topicId } = source.assignment[0]!
    const table = (await DeltaTable.open(scene.table, { runtime: scene.runtime }))!
    await table.append({
      adds: [],
      rowCounts: [],
      txns: [
        { appId: `g:${topicId}:0`, version: 4n },
        { appId: `g:${topicId}:1`, version: 0n },
      ],
    })
    const status = await readPipelineStatus(pipelineConfig(), {
      store: scene.table,
      source,
      runtime: scene.runtime,
    })
    const [first] = status.partitions
    assert.deepEqual([first!.ahead, first!.lag, first!.lost], [4n, 0n, 0n])
    assert.equal(status.unknownTopicIds.length, 1)
  })

  test('measures freshness by the newest row, from the commit that last told of one', async () => {
    const scene = new Scene()
    scene.produce(0, 0, 5, NOW_MS - HOUR_MS)
    await scene.ingest()
    // A commit without rows: nothing but a tombstone.
    scene.kafka.produce('t', 0, [{ value: null }])
    await scene.ingest()
    await scene.commitOthers(40)
    assert.equal((await scene.status()).freshnessMs, 0)
    scene.produce(0, 6, 7)
    const status = await scene.status()
    assert.deepEqual([status.lag, status.freshnessMs, status.newestRecordMs], [1n, HOUR_MS, NOW_MS - HOUR_MS])
    assert.equal(status.lastCommitVersion, status.version! - 40)
  })

  test('looks no further back for a commit of the pipeline than so many versions', async () => {
    const scene = new Scene()
    scene.produce(0, 0, 5)
    await scene.ingest()
    await scene.commitOthers(COMMITS_SEARCHED_MAX - 1)
    assert.notEqual((await scene.status()).lastCommitVersion, null)
    await scene.commitOthers(1)
    const status = await scene.status()
    assert.deepEqual([status.lastCommitVersion, status.lag], [null, 0n])
  })

  test('takes no move of offsets by hand for a commit of the pipeline', async () => {
    const scene = new Scene()
    scene.produce(0, 0, 5)
    await scene.ingest()
    const before = await scene.status()
    const source = scene.kafka.createSource({ topics: ['t'] })
    const context = { store: scene.table, source, runtime: scene.runtime }
    await moveOffsets(pipelineConfig(), { to: 'earliest', force: true }, context)
    const after = await scene.status()
    assert.deepEqual(
      [after.lag, after.lastCommitVersion, after.version],
      [5n, before.lastCommitVersion, before.version! + 1],
    )
  })
})

describe('the status of many pipelines', () => {
  function pipelinesOf(count: number): IngestConfig {
    const pipelines = Object.fromEntries(
      Array.from({ length: count }, (_, i) => [`p${i}`, { delta: { table_name: `t${i}` } }]),
    )
    return IngestConfig.parse(
      JSON.stringify({
        kafka: { bootstrap_servers: 'memory:9092', topic: 't', consumer_group: 'g' },
        local: { path: '/unused' },
        delta: { merge_schema: true },
        pipelines,
      }),
    )
  }

  test('comes in their order, so many of them asked at once', async () => {
    const scene = new Scene()
    const config = pipelinesOf(PIPELINES_AT_ONCE * 2)
    let open = 0
    let openMax = 0
    const processor = new StreamIngestProcessor(config, {
      runtime: scene.runtime,
      createStore: () => scene.lake,
      createSource: () => {
        openMax = Math.max(openMax, ++open)
        const source = scene.kafka.createSource({ topics: ['t'] })
        const { close } = source
        let isClosed = false
        source.close = async () => {
          if (!isClosed) open--
          isClosed = true
          await close.call(source)
        }
        return source
      },
    })
    const reports = await processor.status()
    assert.deepEqual(
      reports.map(({ status }) => status.name),
      config.pipelines.map(({ name }) => name),
    )
    assert.deepEqual([open, openMax], [0, PIPELINES_AT_ONCE])
  })

  test('is told of all but the one that cannot even be opened', async () => {
    const scene = new Scene()
    const processor = new StreamIngestProcessor(pipelinesOf(3), {
      runtime: scene.runtime,
      createStore: () => scene.lake,
      createSource: ({ name }) => {
        if (name === 'p1') throw new KafkaError('KAFKA_TLS', 'no certificate')
        return scene.kafka.createSource({ topics: ['t'] })
      },
    })
    assert.deepEqual(
      (await processor.status()).map(({ status }) => [status.name, status.errors.map(({ code }) => code)]),
      [
        ['p0', []],
        ['p1', ['KAFKA_TLS']],
        ['p2', []],
      ],
    )
  })

  test('ends at once where it is given up', async () => {
    const scene = new Scene()
    const giveUp = new AbortController()
    const processor = new StreamIngestProcessor(pipelinesOf(1), {
      runtime: scene.runtime,
      createStore: () => scene.lake,
      createSource: () => {
        const source = scene.kafka.createSource({ topics: ['t'] })
        const closed = Promise.withResolvers<void>()
        const { close } = source
        source.open = async () => {
          giveUp.abort()
          // A broker that never answers: only the end of the source ends the wait.
          await closed.promise
          throw new KafkaError('KAFKA_UNREACHABLE', 'closed')
        }
        source.close = async () => {
          closed.resolve()
          await close.call(source)
        }
        return source
      },
    })
    const [report] = await processor.status({ signal: giveUp.signal })
    assert(report!.status.errors.some(({ code }) => code === 'KAFKA_UNREACHABLE'))
  })
})
