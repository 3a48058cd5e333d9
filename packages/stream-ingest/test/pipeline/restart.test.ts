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
processing: { batch_size: 10, max_retries: 2, retry_base_delay_ms: 1 }
`

interface Outcome {
  readonly result: ProcessingResult
  readonly retries: readonly IngestEvents['pipeline:retrying'][]
  readonly failed: number
  readonly rows: number
}

/** Ingests 40 messages while `fault` decides about each data file, by its number from 1. */
async function ingest(
  fault: (upload: number) => StoreFault | undefined,
  openFault?: StoreFault,
): Promise<Outcome> {
  const runtime = { ...systemRuntime, delay: async () => {} }
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
    const processor = new StreamIngestProcessor(IngestConfig.parse(CONFIG), {
      runtime,
      createStore: () => store,
      createSource: () => kafka.createSource({ topics: ['t'] }),
    })
    const result = await processor.processStream({ untilLatest: true })
    const table = openFault === undefined ? await DeltaTable.open(store.at('t')) : null
    const [txn] = table?.state.txns.values() ?? []
    return { result, retries, failed, rows: Number(txn?.version ?? 0n) }
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
