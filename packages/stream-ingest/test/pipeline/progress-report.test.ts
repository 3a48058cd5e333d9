import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { MemoryObjectStore } from '@stream-ingest/delta'
import { type IngestEvents, subscribe } from '../../src/observe/event.ts'
import { PROGRESS_EVERY_MS, ProgressReport } from '../../src/pipeline/progress-report.ts'
import { StreamIngestProcessor } from '../../src/pipeline/stream-ingest-processor.ts'
import { TableProgress } from '../../src/pipeline/table-progress.ts'
import { MemoryKafka } from '../../src/testing/memory-source.ts'
import { fixedRuntime, ingestConfig } from './table-fixture.ts'

type Told = IngestEvents['pipeline:progress']

const TP = { topic: 't', topicId: 'id', partition: 0 }
const NOTHING = { messageCount: 0, sizeBytes: 0, sinceMs: null }

function listen(): { told: Told[]; end: () => void } {
  const told: Told[] = []
  return { told, end: subscribe('pipeline:progress', event => told.push(event)) }
}

suite('a progress report', () => {
  const source = { assignment: [TP], heardEndOffset: () => 9n }

  test('counts what fills and what is being written, and is as old as the older of them', () => {
    const runtime = fixedRuntime()
    const tableProgress = new TableProgress()
    tableProgress.start(TP, { nextOffset: 4n, fromTable: true })
    const report = new ProgressReport('p', source, tableProgress, runtime)
    const { told, end } = listen()
    try {
      report.countTaken(3)
      const filling = { messageCount: 2, buffered: { messageCount: 2, sizeBytes: 20, sinceMs: 1_100 } }
      report.tell(filling, { messageCount: 3, sizeBytes: 30, sinceMs: 1_000 })
    } finally {
      end()
    }
    assert.deepEqual(told, [
      {
        pipeline: 'p',
        messageCount: 5,
        bufferedMessageCount: 5,
        bufferedSizeBytes: 50,
        bufferedSinceMs: 1_000,
        partitions: [{ topic: 't', partition: 0, nextOffset: 4n, endOffset: 9n }],
      },
    ])
  })

  test('comes twice a second at most', () => {
    const runtime = fixedRuntime()
    const report = new ProgressReport('p', source, new TableProgress(), runtime)
    const { told, end } = listen()
    try {
      for (let ms = 0; ms < 2_000; ms += 10) {
        report.tell({ messageCount: 0, buffered: NOTHING }, undefined)
        runtime.nowMs += 10
      }
    } finally {
      end()
    }
    assert.equal(told.length, 2_000 / PROGRESS_EVERY_MS)
  })

  test('is not even made where nobody listens', () => {
    const report = new ProgressReport('p', source, new TableProgress(), {
      ...fixedRuntime(),
      monotonicMs: () => assert.fail('the clock is asked'),
    })
    report.tell({ messageCount: 0, buffered: NOTHING }, undefined)
  })
})

test('a pipeline tells where it stands while it runs, up to its end', async () => {
  const clock = fixedRuntime()
  // Every look at the clock is a second after the one before.
  const runtime = { ...clock, monotonicMs: () => (clock.nowMs += 1_000) }
  const kafka = new MemoryKafka(runtime)
  kafka.createTopic('t')
  for (let id = 0; id < 40; id++)
    kafka.produce('t', 0, [{ value: new TextEncoder().encode(`{"id":${id}}`), timestampMs: 0 }])
  const { told, end } = listen()
  try {
    const processor = new StreamIngestProcessor(ingestConfig({ processing: '{ batch_size: 10 }' }), {
      runtime,
      createStore: () => new MemoryObjectStore(),
      createSource: () => kafka.createSource({ topics: ['t'] }),
    })
    assert.equal((await processor.processStream({ untilLatest: true })).success, true)
  } finally {
    end()
  }
  assert.equal(told[0]?.bufferedMessageCount, 0)
  assert.deepEqual(told[0]?.partitions[0], { topic: 't', partition: 0, nextOffset: 0n, endOffset: null })
  assert.ok(told.some(event => event.bufferedMessageCount > 0 && event.bufferedSinceMs !== null))
  const counts = told.map(event => event.messageCount)
  assert.deepEqual(
    counts,
    counts.toSorted((a, b) => a - b),
  )
  assert.equal(counts.at(-1), 40)
  assert.equal(told.at(-1)?.partitions[0]?.endOffset, 40n)
  // What is not buffered is in the table. A commit's epoch counts as buffered until its checksum is written, too.
  for (const { messageCount, bufferedMessageCount, partitions } of told)
    assert.ok(BigInt(messageCount - bufferedMessageCount) <= partitions[0]!.nextOffset)
})
