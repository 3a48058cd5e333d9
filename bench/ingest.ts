/**
 * A measured process: drains a topic into a table and prints its figures as one JSON line. Started by `bench/run.ts`,
 * bundled as the command line is.
 *
 * The stages that run without waiting (decoding, encoding) are measured by the main thread's CPU clock in place of the
 * wall clock, so that other processes on the machine do not count.
 *
 * @module
 */
import { StreamIngestProcessor, systemRuntime } from 'stream-ingest'
import { type BenchSettings, benchConfig } from './config.ts'
import { mainThreadCpuMs, type OurReport, WorkClock } from './work-clock.ts'

export interface IngestReport extends OurReport {
  readonly decodeCpuMs: number
  readonly encodeCpuMs: number
  readonly commits: number
  readonly files: number
  readonly bytesWritten: number
}

const clock = new WorkClock()
const settings = JSON.parse(process.argv[2] ?? '{}') as BenchSettings
const processor = new StreamIngestProcessor(benchConfig(settings), {
  runtime: { ...systemRuntime, monotonicMs: mainThreadCpuMs },
})
const { metrics, failures } = await processor.processStream({ untilLatest: true })
if (failures[0] !== undefined) throw failures[0].error
const figures: Omit<IngestReport, keyof OurReport> & { readonly messages: number } = {
  messages: metrics.rows,
  decodeCpuMs: metrics.stages.decodeMs,
  encodeCpuMs: metrics.stages.encodeMs,
  commits: metrics.commits,
  files: metrics.files,
  bytesWritten: metrics.bytesWritten,
}
clock.report(figures)
