/**
 * A measured process: reads a topic to its end and throws the batches away. What is left of the whole when nothing is done
 * with them. Started by `bench/run.ts`.
 *
 * @module
 */
import { systemRuntime } from 'stream-ingest'
import { createKafkaSource } from '../packages/stream-ingest/src/kafka/kafka-source.ts'
import { type BenchSettings, benchConfig } from './config.ts'
import { WorkClock } from './work-clock.ts'

const READ_MAX_BYTES = 64 * 1024 * 1024
const READ_WAIT_MS_MAX = 1000

/** The number of offsets passed. */
async function fetchAll(settings: BenchSettings): Promise<number> {
  const source = createKafkaSource(benchConfig(settings).kafka, { runtime: systemRuntime })
  await source.open()
  try {
    for (const [tp, offset] of await source.resolveStart(source.assignment, 'earliest'))
      source.seek(tp, offset)
    const ends = await source.endOffsets()
    let messages = 0
    const open = new Set(source.assignment.filter(tp => ends.get(tp)!.endOffset > 0n))
    while (open.size > 0) {
      for (const chunk of await source.read({ maxBytes: READ_MAX_BYTES, maxWaitMs: READ_WAIT_MS_MAX })) {
        messages += Number(chunk.nextOffset - chunk.fromOffset)
        if (chunk.nextOffset >= ends.get(chunk.topicPartition)!.endOffset) open.delete(chunk.topicPartition)
      }
    }
    return messages
  } finally {
    await source.close()
  }
}

const clock = new WorkClock()
clock.report({ messages: await fetchAll(JSON.parse(process.argv[2] ?? '{}') as BenchSettings) })
