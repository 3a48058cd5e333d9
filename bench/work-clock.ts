/**
 * The clock of a measured process of ours, started with its first line of work.
 *
 * @module
 */
import { PerformanceObserver } from 'node:perf_hooks'
import type { ProgramReport } from './measured-process.ts'

/** Milliseconds of CPU, user and system, of all threads of this process. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

export interface OurReport extends ProgramReport {
  /** CPU from the first line of work to the last. */
  readonly workCpuMs: number
  /** Time that the main thread stood still to collect garbage. */
  readonly gcMs: number
}

export class WorkClock {
  readonly #startCpuMs = cpuMs()
  readonly #startMs = performance.now()
  readonly #collections = new PerformanceObserver(list => this.#count(list.getEntries()))
  #gcMs = 0

  constructor() {
    this.#collections.observe({ entryTypes: ['gc'] })
  }

  /** Prints the figures as one JSON line: the end of the process's output. */
  report(figures: { readonly messages: number }): void {
    const workWallMs = performance.now() - this.#startMs
    const workCpuMs = cpuMs() - this.#startCpuMs
    this.#count(this.#collections.takeRecords())
    this.#collections.disconnect()
    const whole: OurReport = {
      ...figures,
      workWallMs,
      workCpuMs,
      startCpuMs: this.#startCpuMs,
      gcMs: this.#gcMs,
    }
    process.stdout.write(`${JSON.stringify(whole)}\n`)
  }

  #count(entries: readonly { readonly duration: number }[]): void {
    for (const { duration } of entries) this.#gcMs += duration
  }
}
