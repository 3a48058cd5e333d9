import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadSnapshot, MemoryObjectStore, readCommit, scanTable, systemRuntime } from '@stream-ingest/delta'
import { IngestConfig } from '../../src/config/config.ts'
import { subscribe } from '../../src/observe/event.ts'
import { StreamIngestProcessor } from '../../src/pipeline/stream-ingest-processor.ts'
import { MemoryKafka } from '../../src/testing/memory-source.ts'

const CONFIG = `
kafka: { bootstrap_servers: "memory:9092", topic: t, consumer_group: g }
local: { path: /unused }
delta:
  table_name: t
  schema: [{ name: id, data_type: int64, nullable: false }]
processing: { batch_size: 5, max_retries: 0 }
`

test('a pipeline whose last commit was overwritten stops before the next one, and the next start loses nothing', async () => {
  const runtime = { ...systemRuntime, delay: async () => {} }
  const kafka = new MemoryKafka(runtime)
  kafka.createTopic('t')
  for (let id = 0; id < 20; id++) {
    kafka.produce('t', 0, [{ value: new TextEncoder().encode(`{"id":${id}}`), timestampMs: 0 }])
  }
  const store = new MemoryObjectStore()
  const table = store.at('t')
  const run = () =>
    new StreamIngestProcessor(IngestConfig.parse(CONFIG), {
      runtime,
      createStore: () => store,
      createSource: () => kafka.createSource({ topics: ['t'], maxPartitionBytes: 1 }),
    }).processStream({ untilLatest: true })
  // As a writer does that looks whether the version exists and then puts without a condition.
  let overwritten: number | null = null
  const end = subscribe('commit:committed', ({ version }) => {
    if (version < 2 || overwritten !== null) return
    overwritten = version
    const key = `_delta_log/${String(version).padStart(20, '0')}.json`
    const body = '{"commitInfo":{"operation":"WRITE","engineInfo":"Another-Engine/1.0","txnId":"theirs"}}\n'
    void table.put(key, new TextEncoder().encode(body))
  })
  const { failures } = await run()
  end()
  const error = failures[0]?.error
  assert.equal(error?.code, 'DELTA_TABLE_CHANGED')
  assert.match(
    error.message,
    new RegExp(`version ${overwritten} .* was overwritten by \`Another-Engine/1\\.0\``),
  )
  assert.equal(await readCommit(table, overwritten! + 1), null, 'nothing is built upon it')
  // What a checksum says of a commit that is another one now is not believed.
  assert.equal((await run()).success, true)
  const ids: number[] = []
  for await (const rows of scanTable((await loadSnapshot(table))!))
    for (const row of rows) ids.push(Number(row.id))
  assert.deepEqual(
    ids.toSorted((a, b) => a - b),
    Array.from({ length: 20 }, (_, i) => i),
  )
})
