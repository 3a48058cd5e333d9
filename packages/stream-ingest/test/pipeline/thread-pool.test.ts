import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadSnapshot, MemoryObjectStore, scanTable } from '@stream-ingest/delta'
import { StreamIngestProcessor } from '../../src/pipeline/stream-ingest-processor.ts'
import { canStartThreads, ThreadPool, threadCountOf } from '../../src/pipeline/thread-pool.ts'
import { MemoryKafka } from '../../src/testing/memory-source.ts'
import { ingestConfig, NOW_MS } from './table-fixture.ts'

suite('threads of a process', () => {
  test('have their program beside the pool, in the sources as in what is built', () => {
    assert.equal(canStartThreads(), true)
  })

  test('decode and encode what a pipeline reads, and end with the run', async () => {
    const kafka = new MemoryKafka({ now: () => NOW_MS, random: Math.random, delay: async () => {} })
    kafka.createTopic('t', 2)
    for (let batch = 0; batch < 20; batch++) {
      const records = Array.from({ length: 50 }, (_, i) => ({
        value: `{"id":${i},"kind":"k"}`,
        timestampMs: NOW_MS,
      }))
      kafka.produce('t', batch % 2, records, { codec: 'lz4' })
    }
    const store: MemoryObjectStore = new MemoryObjectStore()
    const processor = new StreamIngestProcessor(
      ingestConfig({ processing: '{ workers: 2, batch_size: 300 }' }),
      {
        createStore: () => store,
        createSource: () => kafka.createSource({ topics: ['t'], maxPartitionBytes: 2_000 }),
      },
    )
    const { success, metrics } = await processor.processStream({ untilLatest: true })
    assert.equal(success, true)
    assert.equal(metrics.rows, 1_000)
    let rowCount = 0
    for await (const rows of scanTable((await loadSnapshot(store.at('events')))!)) rowCount += rows.length
    assert.equal(rowCount, 1_000)
  })

  test('tell what is wrong with a request, and go on with the next', async () => {
    const pool = new ThreadPool(1)
    try {
      const [thread] = pool.threads
      await assert.rejects(thread!.request('cut', 7, { cut: 1, rules: null }), /lane 7 is not open/)
      await assert.rejects(thread!.request('release', 8, { cut: 1 }), /lane 8 is not open/)
    } finally {
      await pool.close()
    }
  })

  test('answer nothing any more once they are closed', async () => {
    const pool = new ThreadPool(1)
    const [thread] = pool.threads
    const waiting = thread!.request('close', 1, null)
    await Promise.all([assert.rejects(waiting, /closed/), pool.close()])
    await assert.rejects(thread!.request('close', 1, null), /closed/)
  })

  test('do not keep a process alive that has nothing to do', () => {
    const pool = new URL('../../src/pipeline/thread-pool.ts', import.meta.url)
    const program = `
      import { ThreadPool } from ${JSON.stringify(pool.href)}
      const { threads } = new ThreadPool(2)
      // They run once they have answered, if only that there is no such lane.
      await Promise.allSettled(threads.map(thread => thread.request('close', 1, null)))
    `
    const args = ['--conditions=source', '--input-type=module-typescript', '--eval', program]
    const cwd = fileURLToPath(new URL('.', import.meta.url))
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000, cwd })
    assert.equal(status, 0, stderr)
  })
})

test('threads are as many as asked for, else as cores and memory allow; one is the main thread', () => {
  const MIB = 1024 ** 2
  const counts = (memoryMib: number, cores: number, workers?: number, dryRun = false): number =>
    threadCountOf(
      { memoryLimitBytes: memoryMib * MIB, dryRun, ...(workers === undefined ? {} : { workers }) },
      cores,
    )
  assert.deepEqual(
    [1, 2, 3, 4, 5, 64].map(cores => counts(512, cores)),
    [0, 0, 2, 3, 4, 4],
  )
  assert.equal(counts(128, 8), 0)
  assert.equal(counts(2048, 8), 7)
  assert.deepEqual(
    [0, 1, 2, 16].map(workers => counts(128, 1, workers)),
    [0, 0, 2, 16],
  )
  assert.equal(counts(512, 8, 4, true), 0)
})
