/**
 * One measured process: drains a topic into a table (`ingest`), or only fetches it (`fetch`), and prints its figures as
 * one JSON line. Started by `bench/run.ts`.
 *
 * The stages that run without waiting (decoding, encoding) are measured by the process's own CPU clock in place of the
 * wall clock, so that other processes on the machine do not count.
 *
 * @module
 */
import { systemRuntime } from '@stream-ingest/delta'
import { createKafkaSource } from '../packages/stream-ingest/src/kafka/kafka-source.ts'
import { StreamIngestProcessor } from '../packages/stream-ingest/src/pipeline/stream-ingest-processor.ts'
import { type BenchSettings, benchConfig } from './config.ts'

/** Milliseconds of CPU, user and system, of all threads of this process. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

export interface Figures {
  readonly messages: number
  readonly bytesRead: number
  readonly wallMs: number
  /** Of the whole process, start-up included. */
  readonly cpuMs: number
  /** From the first line of work on, start-up excluded. */
  readonly workCpuMs: number
  readonly decodeCpuMs: number
  readonly encodeCpuMs: number
  readonly peakRssBytes: number
  readonly commits: number
  readonly files: number
  readonly bytesWritten: number
}

async function ingest(
  settings: BenchSettings,
): Promise<Omit<Figures, 'cpuMs' | 'workCpuMs' | 'peakRssBytes' | 'wallMs'>> {
  const processor = new StreamIngestProcessor(benchConfig(settings), {
    runtime: { ...systemRuntime, monotonicMs: cpuMs },
  })
  const { metrics, failures } = await processor.processStream({ untilLatest: true })
  if (failures[0] !== undefined) throw failures[0].error
  return {
    messages: metrics.messages,
    bytesRead: metrics.bytesRead,
    decodeCpuMs: metrics.stages.decodeMs,
    encodeCpuMs: metrics.stages.encodeMs,
    commits: metrics.commits,
    files: metrics.files,
    bytesWritten: metrics.bytesWritten,
  }
}

/** Reads the topic to its end and throws the batches away: what is left of the whole when nothing is done with them. */
async function fetchOnly(
  settings: BenchSettings,
): Promise<Omit<Figures, 'cpuMs' | 'workCpuMs' | 'peakRssBytes' | 'wallMs'>> {
  const source = createKafkaSource(benchConfig(settings).kafka, { runtime: systemRuntime })
  await source.open()
  try {
    for (const [tp, offset] of await source.resolveStart(source.assignment, 'earliest'))
      source.seek(tp, offset)
    const ends = await source.endOffsets()
    let messages = 0
    let bytesRead = 0
    const open = new Set(source.assignment.filter(tp => ends.get(tp)!.endOffset > 0n))
    while (open.size > 0) {
      for (const chunk of await source.read({ maxBytes: 64 * 1024 * 1024, maxWaitMs: 1000 })) {
        messages += Number(chunk.nextOffset - chunk.fromOffset)
        bytesRead += chunk.sizeBytes
        if (chunk.nextOffset >= ends.get(chunk.topicPartition)!.endOffset) open.delete(chunk.topicPartition)
      }
    }
    return { messages, bytesRead, decodeCpuMs: 0, encodeCpuMs: 0, commits: 0, files: 0, bytesWritten: 0 }
  } finally {
    await source.close()
  }
}

const [mode, settingsText = '{}'] = process.argv.slice(2)
const settings = JSON.parse(settingsText) as BenchSettings
const startCpuMs = cpuMs()
const startMs = performance.now()
const figures = await (mode === 'fetch' ? fetchOnly(settings) : ingest(settings))
const whole: Figures = {
  ...figures,
  wallMs: performance.now() - startMs,
  cpuMs: cpuMs(),
  workCpuMs: cpuMs() - startCpuMs,
  peakRssBytes: process.resourceUsage().maxRSS * 1024,
}
process.stdout.write(`${JSON.stringify(whole)}\n`)
