import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  FaultQueue,
  MemoryObjectStore,
  type ObjectStore,
  type Runtime,
  systemRuntime,
} from '@stream-ingest/delta'
import { IngestConfig } from '../../src/config/config.ts'
import { ConfigError } from '../../src/error.ts'
import type { MessageSource } from '../../src/kafka/message-source.ts'
import { DeltaWriter } from '../../src/pipeline/delta-writer.ts'
import type { HealthReport } from '../../src/pipeline/health-check.ts'
import { StreamIngestProcessor } from '../../src/pipeline/stream-ingest-processor.ts'
import { HEALTH_TIMEOUT_MS, S3Client } from '../../src/s3/s3-client.ts'
import { MemoryKafka } from '../../src/testing/memory-source.ts'
import { ReadOnlyStore } from './read-only-store.ts'
import { messages, pipelineConfig } from './table-fixture.ts'

/** The time of a health check is over at once. */
const IMPATIENT: Runtime = {
  ...systemRuntime,
  delay: (ms, signal) => systemRuntime.delay(ms === HEALTH_TIMEOUT_MS ? 1 : ms, signal),
}

const never = <T>(): Promise<T> => new Promise<T>(() => {})

/** Never answers, whatever becomes of the signal. */
class SilentStore extends ReadOnlyStore {
  override get = () => never<null>()
  override head = () => never<null>()
  override list = async function* () {
    await never()
    yield* []
  }
  override at(): ObjectStore {
    return this
  }
}

interface Parts {
  readonly store?: ObjectStore
  readonly createSource?: () => MessageSource
  readonly runtime?: Runtime
}

/** Of two pipelines, on one topic and one lake. */
async function healthOf({ store, createSource, runtime = systemRuntime }: Parts): Promise<HealthReport> {
  const config = IngestConfig.parse(`
kafka: { bootstrap_servers: "memory:9092", topic: t, consumer_group: g }
local: { path: /unused }
delta: { table_name: events, schema: [{ name: id, data_type: int64 }] }
pipelines: { a: {}, b: { delta: { table_name: other } } }
`)
  const cluster = new MemoryKafka(systemRuntime)
  cluster.createTopic('t', 3)
  const processor = new StreamIngestProcessor(config, {
    runtime,
    createStore: () => store ?? new MemoryObjectStore(),
    createSource: createSource ?? (() => cluster.createSource({ topics: ['t'] })),
  })
  return processor.healthCheck()
}

suite('the health of a processor', () => {
  test('is that of each pipeline’s topics and table, in the order of the configuration', async () => {
    const store = new MemoryObjectStore()
    await new DeltaWriter(pipelineConfig(), { store }).writeBatch(messages(0, 3))
    assert.deepEqual(await healthOf({ store }), {
      healthy: true,
      parts: [
        { name: 'a kafka', healthy: true, detail: '3 partitions' },
        { name: 'a table', healthy: true, detail: 'version 1' },
        { name: 'b kafka', healthy: true, detail: '3 partitions' },
        { name: 'b table', healthy: true, detail: 'not created yet' },
      ],
    })
  })

  test('names what fails, and asks the others all the same', async () => {
    const faults = new FaultQueue().add('get', { kind: 'throttled' })
    const { healthy, parts } = await healthOf({ store: new MemoryObjectStore({ faults: faults.hook }) })
    assert.equal(healthy, false)
    assert.equal(parts.filter(part => part.healthy).length, 3)
    assert.match(parts.find(part => !part.healthy)!.detail, /^STORE_THROTTLED: /)
  })

  test('is bad where the table may not be written', async () => {
    const store = new MemoryObjectStore()
    const protocol = {
      minReaderVersion: 3,
      minWriterVersion: 7,
      readerFeatures: [],
      writerFeatures: ['newer'],
    }
    const metaData = {
      id: 'x',
      format: { provider: 'parquet', options: {} },
      schemaString: '{"type":"struct","fields":[]}',
      partitionColumns: [],
      configuration: {},
    }
    const commit = `${JSON.stringify({ protocol })}\n${JSON.stringify({ metaData })}\n`
    await store.put('events/_delta_log/00000000000000000000.json', Buffer.from(commit))
    const { parts } = await healthOf({ store })
    assert.match(parts[1]!.detail, /^DELTA_PROTOCOL_UNSUPPORTED: .*newer/)
    const writer = new DeltaWriter(pipelineConfig(), { store })
    assert.equal((await writer.healthCheck()).error?.code, 'DELTA_PROTOCOL_UNSUPPORTED')
  })

  test('ends where nobody ever answers', async () => {
    let closedCount = 0
    const source = {
      assignment: [],
      open: () => never<void>(),
      close: async () => {
        closedCount++
      },
    } as unknown as MessageSource
    const store = new SilentStore(new MemoryObjectStore())
    const { parts } = await healthOf({ store, createSource: () => source, runtime: IMPATIENT })
    assert.deepEqual(
      parts.map(({ detail }) => detail.split(':')[0]),
      ['KAFKA_UNREACHABLE', 'STORE_UNAVAILABLE', 'KAFKA_UNREACHABLE', 'STORE_UNAVAILABLE'],
    )
    assert(parts.every(({ detail }) => detail.endsWith('within 10000 ms')))
    assert.equal(closedCount, 2, 'what was opened is closed')
  })

  test('is bad where the configuration alone forbids to run', async () => {
    const createSource = (): MessageSource => {
      throw new ConfigError('CONFIG_UNSUPPORTED', 'that mechanism comes in a later release')
    }
    const { parts } = await healthOf({ createSource })
    assert(parts.every(({ healthy, detail }) => !healthy && detail.startsWith('CONFIG_UNSUPPORTED: ')))
  })
})

test('a store that never answers is an unhealthy one, for a DeltaWriter and an S3Client', async () => {
  const store = new SilentStore(new MemoryObjectStore())
  const config = pipelineConfig()
  const client = new S3Client(config.s3, { store, runtime: IMPATIENT })
  assert.equal((await client.healthCheck()).error?.code, 'STORE_UNAVAILABLE')
  const writer = new DeltaWriter(config, { store, runtime: IMPATIENT })
  const { ok, version, error } = await writer.healthCheck()
  assert.deepEqual([ok, version, error?.code], [false, null, 'STORE_UNAVAILABLE'])
})
