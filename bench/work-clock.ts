/**
 * The clock of a measured process of ours, started with its first line of work.
 *
 * @module
 */
import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks'
import type { ProgramReport } from './measured-process.ts'

/** Milliseconds of CPU, user and system, of all threads of this process. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/**
 * The main thread's part of it. A reading costs microseconds; one of the whole process sums over its threads, and what
 * they do between two readings would count for whatever the main thread was at.
 */
export function mainThreadCpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

export interface OurReport extends ProgramReport {
  /** CPU of the main thread from the first line of work to the last. */
  readonly mainThreadCpuMs: number
  /** Of all other threads meanwhile: collection of garbage, compilation, workers. */
  readonly otherThreadsCpuMs: number
  /** Time that the main thread stood still to collect garbage. */
  readonly gcMs: number
  /** Collections of the whole heap; other threads do most of each, and that is in `otherThreadsCpuMs`. */
  readonly majorCollections: number
}

/** What an entry of the type `gc` has besides. */
interface GcEntry extends PerformanceEntry {
  readonly detail: { readonly kind?: number }
}

export class WorkClock {
  readonly #startCpuMs = cpuMs()
  readonly #startMainThreadCpuMs = mainThreadCpuMs()
  readonly #startMs = performance.now()
  readonly #collections = new PerformanceObserver(list => this.#count(list.getEntries()))
  #gcMs = 0
  #majorCollections = 0

  constructor() {
    this.#collections.observe({ entryTypes: ['gc'] })
  }

  /** Prints the figures as one JSON line: the end of the process's output. */
  report(figures: { readonly messages: number }): void {
    const workWallMs = performance.now() - this.#startMs
    const mainThread = mainThreadCpuMs() - this.#startMainThreadCpuMs
    const allThreads = cpuMs() - this.#startCpuMs
    this.#count(this.#collections.takeRecords())
    this.#collections.disconnect()
    const whole: OurReport = {
      ...figures,
      workWallMs,
      mainThreadCpuMs: mainThread,
      otherThreadsCpuMs: allThreads - mainThread,
      startCpuMs: this.#startCpuMs,
      gcMs: this.#gcMs,
      majorCollections: this.#majorCollections,
    }
    process.stdout.write(`${JSON.stringify(whole)}\n`)
  }

  #count(entries: readonly PerformanceEntry[]): void {
    for (const entry of entries) {
      this.#gcMs += entry.duration
      const { kind } = (entry as GcEntry).detail
      if (kind === constants.NODE_PERFORMANCE_GC_MAJOR) this.#majorCollections++
    }
  }
}
