import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import {
  checkTable,
  loadSnapshot,
  MemoryObjectStore,
  type Runtime,
  readCommit,
  type StoreFault,
  scanTable,
} from '@stream-ingest/delta'
import { IngestConfig } from '../../src/config/config.ts'
import { type IngestEvents, subscribe } from '../../src/observe/event.ts'
import { StreamIngestProcessor } from '../../src/pipeline/stream-ingest-processor.ts'
import { LAST_VACUUM_KEY } from '../../src/pipeline/table-care.ts'
import { MemoryKafka } from '../../src/testing/memory-source.ts'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

function configOf(care: string): IngestConfig {
  return IngestConfig.parse(`
kafka: { bootstrap_servers: "memory:9092", topic: t, consumer_group: g }
local: { path: /unused }
delta:
  table_name: t
  schema: [{ name: id, data_type: int64, nullable: false }]
  ${care}
processing: { batch_size: 10, batch_timeout_ms: 1000 }
`)
}

/** Waiting moves the clock and lets others go on. */
function virtualRuntime(): Runtime & { advance(ms: number): void } {
  let nowMs = 1_800_000_000_000
  let ids = 0
  return {
    now: () => nowMs,
    monotonicMs: () => nowMs,
    random: () => 0.5,
    uuid: () => `00000000-0000-4000-8000-${String(ids++).padStart(12, '0')}`,
    delay: async (ms, signal) => {
      const untilMs = nowMs + ms
      do {
        await setImmediate()
        signal?.throwIfAborted()
        nowMs += Math.min(50, Math.max(0, untilMs - nowMs))
      } while (nowMs < untilMs)
    },
    advance: ms => {
      nowMs += ms
    },
  }
}

class World {
  readonly runtime = virtualRuntime()
  readonly kafka = new MemoryKafka(this.runtime)
  fault: (operation: string, key: string) => StoreFault | undefined = () => undefined
  readonly store = new MemoryObjectStore({
    now: this.runtime.now,
    faults: ({ operation, key }) => this.fault(operation, key),
  })
  readonly done: IngestEvents['care:done'][] = []
  readonly failed: IngestEvents['care:failed'][] = []
  #produced = 0

  constructor() {
    this.kafka.createTopic('t')
  }

  produce(count: number): void {
    for (let i = 0; i < count; i++) {
      const value = new TextEncoder().encode(`{"id":${this.#produced++}}`)
      this.kafka.produce('t', 0, [{ value, timestampMs: 0 }])
    }
  }

  /** Runs for some time, with a message now and then, and stops. */
  async run(care: string, runtimeLimitMs: number): Promise<void> {
    const ends = [
      subscribe('care:done', e => this.done.push(e)),
      subscribe('care:failed', e => this.failed.push(e)),
    ]
    try {
      const processor = new StreamIngestProcessor(configOf(care), {
        runtime: this.runtime,
        createStore: () => this.store,
        createSource: () => this.kafka.createSource({ topics: ['t'] }),
      })
      const { errors } = await processor.processStream({ runtimeLimitMs })
      assert.deepEqual(errors, [])
    } finally {
      for (const end of ends) end()
    }
  }

  async assertWhole(): Promise<void> {
    const snapshot = (await loadSnapshot(this.store.at('t')))!
    const ids: bigint[] = []
    for await (const batch of scanTable(snapshot)) for (const row of batch) ids.push(row.id as bigint)
    assert.deepEqual(
      ids.toSorted((a, b) => (a < b ? -1 : 1)),
      Array.from({ length: this.#produced }, (_, i) => BigInt(i)),
    )
    const { findings } = await checkTable(this.store.at('t'), { deep: true, nowMs: this.runtime.now() })
    assert.deepEqual(findings, [])
  }

  async optimizeCommitCount(): Promise<number> {
    let count = 0
    for (let v = 0; ; v++) {
      const commit = await readCommit(this.store.at('t'), v)
      if (commit === null) return count
      if (commit.some(a => 'commitInfo' in a && a.commitInfo.operation === 'OPTIMIZE')) count++
    }
  }
}

suite('a running pipeline takes care of its table', () => {
  test('compacts what is due, keeps every row, and does it again only after the interval', async () => {
    const world = new World()
    world.produce(100)
    const care = 'optimize: { every: 10m, min_files: 4 }'
    await world.run(care, 5 * MINUTE_MS)
    const [first] = world.done
    assert.deepEqual([first?.operation, first?.filesRemoved, first?.filesAdded], ['optimize', 10, 1])
    assert.equal(world.done.length, 1)
    world.produce(50)
    // A restart within the interval sees in the log that it was done.
    await world.run(care, 2 * MINUTE_MS)
    assert.equal(await world.optimizeCommitCount(), 1)
    world.produce(50)
    await world.run(care, 10 * MINUTE_MS)
    assert.equal(await world.optimizeCommitCount(), 2)
    await world.assertWhole()
  })

  test('deletes old files when that is due, and remembers it over a restart', async () => {
    const world = new World()
    world.produce(60)
    await world.run('optimize: { every: 1h, min_files: 4 }', 2 * MINUTE_MS)
    world.runtime.advance(9 * DAY_MS)
    const care = 'vacuum: { every: 24h }'
    await world.run(care, 2 * MINUTE_MS)
    const { operation, filesRemoved } = world.done.at(-1)!
    assert.deepEqual([operation, filesRemoved], ['vacuum', 6])
    assert.notEqual(await world.store.at('t').head(LAST_VACUUM_KEY), null)
    const count = world.done.length
    await world.run(care, 2 * MINUTE_MS)
    assert.equal(world.done.length, count, 'not due again')
    await world.assertWhole()
  })

  test('goes on ingesting where care fails, and says so', async () => {
    const world = new World()
    world.produce(100)
    let isCompacting = false
    world.fault = (operation, key) => {
      // Inputs are read by compaction alone.
      isCompacting ||= operation === 'get' && key.endsWith('.parquet')
      return operation === 'get' && key.endsWith('.parquet') ? { kind: 'throttled' } : undefined
    }
    await world.run('optimize: { every: 10m, min_files: 4 }', 5 * MINUTE_MS)
    assert(isCompacting)
    assert.equal(world.failed[0]?.operation, 'optimize')
    world.fault = () => undefined
    await world.assertWhole()
  })

  test('tries again where the table could not be asked, each by its own name', async () => {
    const world = new World()
    world.produce(60)
    await world.run('', MINUTE_MS)
    let faults = 0
    world.fault = (operation, key) =>
      operation === 'head' && key.endsWith(LAST_VACUUM_KEY) && faults++ === 0
        ? { kind: 'throttled' }
        : undefined
    await world.run('vacuum: { every: 1m }', 5 * MINUTE_MS)
    assert.deepEqual(
      world.failed.map(({ operation }) => operation),
      ['vacuum'],
    )
    assert(world.done.length >= 2)
  })

  test('does not delete earlier than the table allows, and says so', async () => {
    const world = new World()
    world.produce(10)
    const care = `vacuum: { every: 10m, retention: 24h }
  table_properties: { delta.deletedFileRetentionDuration: interval 30 days }`
    await world.run(care, 5 * MINUTE_MS)
    assert.deepEqual(
      world.failed.map(({ error }) => (error as { code?: string }).code),
      ['DELTA_RETENTION_TOO_SHORT'],
    )
  })

  test('ends with the pipeline, whatever is under way', async () => {
    const world = new World()
    world.produce(30)
    await world.run('optimize: { every: 1h }\n  vacuum: { every: 24h }', 0)
    await world.run('optimize: { every: 1h }', 1)
    await world.assertWhole()
  })

  test('leaves the table alone in a dry run and without the configuration', async () => {
    const world = new World()
    world.produce(100)
    await world.run('', 2 * MINUTE_MS)
    assert.equal(await world.optimizeCommitCount(), 0)
    assert.deepEqual([world.done, world.failed], [[], []])
  })
})
