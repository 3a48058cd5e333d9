import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { DeltaTable, loadSnapshot, MemoryObjectStore, scanTable, systemRuntime } from '@stream-ingest/delta'
import { IngestConfig } from '../../src/config/config.ts'
import { type ProcessingResult, StreamIngestProcessor } from '../../src/pipeline/stream-ingest-processor.ts'
import { MemoryKafka } from '../../src/testing/memory-source.ts'

const PROPERTY = 'delta.setTransactionRetentionDuration'
const DAY_MS = 86_400_000

function configText(properties = '{}'): string {
  return `
kafka: { bootstrap_servers: "memory:9092", topic: t, consumer_group: g }
local: { path: /unused }
delta:
  table_name: t
  schema: [{ name: id, data_type: int64, nullable: false }]
  table_properties: ${properties}
processing: { batch_size: 5, max_retries: 1, retry_base_delay_ms: 1 }
`
}

class World {
  nowMs = 1_800_000_000_000
  readonly runtime = { ...systemRuntime, now: () => this.nowMs, delay: async () => {} }
  readonly kafka = new MemoryKafka(this.runtime)
  /** What each upload of a data file waits for. */
  beforeUpload: () => Promise<void> = async () => {}
  readonly store = new MemoryObjectStore({
    now: this.runtime.now,
    wait: () => this.beforeUpload(),
    faults: ({ operation, key }) =>
      operation === 'put' && key.endsWith('.parquet') ? { kind: 'slow', delayMs: 1 } : undefined,
  })
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

  run(): Promise<ProcessingResult> {
    return new StreamIngestProcessor(IngestConfig.parse(configText()), {
      runtime: this.runtime,
      createStore: () => this.store,
      createSource: () => this.kafka.createSource({ topics: ['t'] }),
    }).processStream({ untilLatest: true })
  }

  /** Another engine sets the property. */
  async setRetention(interval: string): Promise<void> {
    const table = (await DeltaTable.open(this.store.at('t'), { runtime: this.runtime }))!
    const { metadata } = table.state
    const configuration = { ...metadata.configuration, [PROPERTY]: interval }
    const outcome = await table.append({
      adds: [],
      rowCounts: [],
      txns: [],
      change: { metadata: { ...metadata, configuration }, protocol: null },
    })
    assert.equal(outcome.status, 'committed')
  }

  async ids(): Promise<number[]> {
    const ids: number[] = []
    for await (const batch of scanTable((await loadSnapshot(this.store.at('t')))!))
      for (const row of batch) ids.push(Number(row.id))
    return ids.toSorted((a, b) => a - b)
  }
}

suite('a table that forgets offsets', () => {
  test('is refused before anything is read, however long ago they were written', async () => {
    for (const restMs of [0, 3 * DAY_MS]) {
      const world = new World()
      world.produce(10)
      assert.equal((await world.run()).success, true)
      await world.setRetention('interval 1 days')
      world.nowMs += restMs
      world.produce(5)
      const { failures, metrics } = await world.run()
      const error = failures[0]!.error
      assert.equal(error.code, 'TABLE_OFFSETS_EXPIRE')
      assert.match(error.message, /`interval 1 days`.*setTransactionRetentionDuration/)
      assert.equal(error.isRetryable(), false)
      assert.equal(metrics.messages, 0)
      assert.deepEqual(await world.ids(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    }
  })

  test('stops the run under which it became one', async () => {
    const world = new World()
    world.produce(10)
    await world.run()
    world.produce(5)
    let setting: Promise<void> | undefined
    world.beforeUpload = () => {
      setting ??= world.setRetention('interval 1 days')
      return setting
    }
    const { failures } = await world.run()
    assert.equal(failures[0]?.error.code, 'TABLE_OFFSETS_EXPIRE')
    assert.deepEqual(await world.ids(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  test('is not made by a configuration', () => {
    assert.throws(() => IngestConfig.parse(configText(`{ ${PROPERTY}: interval 30 days }`)), /forget/)
  })
})
