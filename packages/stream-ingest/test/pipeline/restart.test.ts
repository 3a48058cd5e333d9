import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { DeltaTable, MemoryObjectStore, type StoreFault, systemRuntime } from '@stream-ingest/delta'
import { IngestConfig } from '../../src/config/config.ts'
import { type IngestEvents, subscribe } from '../../src/observe/event.ts'
import { type ProcessingResult, StreamIngestProcessor } from '../../src/pipeline/stream-ingest-processor.ts'
import { MemoryKafka } from '../../src/testing/memory-source.ts'

const CONFIG = `
kafka: { bootstrap_servers: "memory:9092", topic: t, consumer_group: g }
local: { path: /unused }
delta:
  table_name: t
  schema: [{ name: id, data_type: int64, nullable: false }]
processing: `

interface Outcome {
  readonly result: ProcessingResult
  readonly retries: readonly IngestEvents['pipeline:retrying'][]
  /** Every wait of the run. */
  readonly delays: readonly number[]
  readonly failed: number
  readonly rows: number
}

/** Ingests 40 messages while `fault` decides about each data file, by its number from 1. */
async function ingest(
  fault: (upload: number) => StoreFault | undefined,
  openFault?: StoreFault,
  { processing = '{ batch_size: 10, max_retries: 2, retry_base_delay_ms: 1 }', chance = 0.5 } = {},
): Promise<Outcome> {
  const delays: number[] = []
  const runtime = {
    ...systemRuntime,
    random: () => chance,
    delay: async (ms: number) => {
      delays.push(ms)
    },
  }
  const kafka = new MemoryKafka(runtime)
  kafka.createTopic('t')
  for (let id = 0; id < 40; id++)
    kafka.produce('t', 0, [{ value: new TextEncoder().encode(`{"id":${id}}`), timestampMs: 0 }])
  let uploads = 0
  const store = new MemoryObjectStore({
    faults: ({ operation, key }) => {
      if (operation === 'get' && openFault !== undefined) return openFault
      if (operation !== 'put' || !/part-.*\.parquet$/.test(key)) return undefined
      uploads++
      return fault(uploads)
    },
  })
  const retries: IngestEvents['pipeline:retrying'][] = []
  let failed = 0
  const ends = [
    subscribe('pipeline:retrying', e => retries.push(e)),
    subscribe('pipeline:failed', () => failed++),
  ]
  try {
    const processor = new StreamIngestProcessor(IngestConfig.parse(CONFIG + processing), {
      runtime,
      createStore: () => store,
      createSource: () => kafka.createSource({ topics: ['t'] }),
    })
    const result = await processor.processStream({ untilLatest: true })
    const table = openFault === undefined ? await DeltaTable.open(store.at('t')) : null
    const [txn] = table?.state.txns.values() ?? []
    return { result, retries, delays, failed, rows: Number(txn?.version ?? 0n) }
  } finally {
    for (const end of ends) end()
  }
}

suite('a pipeline that fails for a reason that may pass', () => {
  test('starts again from the table and finishes', async () => {
    const { result, retries, failed, rows } = await ingest(n =>
      n === 2 || n === 3 ? { kind: 'throttled' } : undefined,
    )
    assert.equal(result.success, true)
    assert.deepEqual([retries.length, failed, rows], [2, 0, 40])
    assert.equal(result.pipelines[0]?.partitions[0]?.fromOffset, 0n, 'the first attempt’s start counts')
    assert.equal(result.metrics.rows, 40)
  })

  test('counts anew after each commit', async () => {
    const { result, retries } = await ingest(n => (n % 2 === 0 ? { kind: 'throttled' } : undefined))
    assert.equal(result.success, true)
    assert(retries.length > 2, `${retries.length} retries`)
    assert(retries.every(r => r.attempt === 1))
  })

  test('gives up after max_retries in a row, with the cause and what the table holds', async () => {
    const { result, retries, failed, rows } = await ingest(n => (n > 1 ? { kind: 'throttled' } : undefined))
    assert.equal(result.success, false)
    assert.equal(result.failures[0]?.error.code, 'STORE_THROTTLED')
    assert.deepEqual([retries.length, failed, rows], [2, 1, 10])
    assert.equal(result.pipelines[0]?.partitions[0]?.nextOffset, 10n)
  })

  test('waits between: doubled each time up to the longest, any part of it by chance', async () => {
    const processing =
      '{ batch_size: 10, max_retries: 6, retry_base_delay_ms: 100, retry_max_delay_ms: 1000 }'
    const always = (n: number): StoreFault | undefined => (n > 1 ? { kind: 'throttled' } : undefined)
    for (const [chance, expected] of [
      [0, [0, 0, 0, 0, 0, 0]],
      [0.5, [50, 100, 200, 400, 500, 500]],
      [0.999, [99, 199, 399, 799, 999, 999]],
    ] as const) {
      const { retries, delays } = await ingest(always, undefined, { processing, chance })
      assert.deepEqual(
        retries.map(({ delayMs }) => delayMs),
        expected,
      )
      // Nothing between the store and the pipeline waits and tries again of its own accord.
      assert.deepEqual(delays, expected)
    }
  })

  test('is not started again where `max_retries` is 0', async () => {
    const processing = '{ batch_size: 10, max_retries: 0 }'
    const { result, retries } = await ingest(n => (n > 1 ? { kind: 'throttled' } : undefined), undefined, {
      processing,
    })
    assert.deepEqual([result.success, retries.length], [false, 0])
  })

  test('fails at once where it could not even start', async () => {
    const { result, retries } = await ingest(() => undefined, { kind: 'throttled' })
    assert.equal(result.success, false)
    assert.equal(retries.length, 0)
  })
})

test('a pipeline that fails for a reason that stays does not start again', async () => {
  const { result, retries } = await ingest(n => (n === 2 ? { kind: 'crash', moment: 'before' } : undefined))
  assert.equal(result.success, false)
  assert.equal(retries.length, 0)
})
