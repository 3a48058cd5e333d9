/**
 * Threads that decode and encode beside the main one, shared by the pipelines of a process.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { ProcessingConfig } from '../config/ingest-config.ts'
import type { RequestKind, ThreadAnswer, ThreadRequests } from './thread-message.ts'

/** One thread, as seen from the main one. */
export interface DecodeThread {
  /** A number for a lane that is about to be opened. */
  takeLane(): number
  /** Answers come in the order of the requests. Rejects with what the thread threw. */
  request<K extends RequestKind>(
    kind: K,
    lane: number,
    asks: ThreadRequests[K]['asks'],
    transfer?: readonly ArrayBuffer[],
  ): Promise<ThreadRequests[K]['answers']>
}

/** Of `processing.memory_limit`, for each thread that nobody asked for: its heap and code take about half of it, beside the limit. */
export const THREAD_MEMORY_LIMIT_BYTES: number = 128 * 1024 ** 2

/**
 * How many threads a pipeline decodes on; none where the main thread does it.
 *
 * @param cores of this process
 */
export function threadCountOf(
  { workers, memoryLimitBytes, dryRun }: Pick<ProcessingConfig, 'workers' | 'memoryLimitBytes' | 'dryRun'>,
  cores: number,
): number {
  if (dryRun) return 0
  const count = workers ?? Math.min(cores - 1, Math.floor(memoryLimitBytes / THREAD_MEMORY_LIMIT_BYTES))
  // The main thread is as good as one, without what a second heap takes.
  return count <= 1 ? 0 : count
}

/** Beside this file, in the same form: source, compiled or bundled. */
const FORM = extname(new URL(import.meta.url).pathname)
const ENTRY = new URL(`./decode-thread${FORM}`, import.meta.url)
/** Sources find sources, however the main thread was told to: a thread takes over its options, and no hooks. */
const OPTIONS = FORM === '.ts' ? { execArgv: ['--conditions=source'] } : {}

/** Is the program of the threads where it belongs? Not so where somebody has bundled this package without it. */
export function canStartThreads(): boolean {
  return ENTRY.protocol === 'file:' && existsSync(fileURLToPath(ENTRY))
}

export class ThreadPool {
  readonly threads: readonly DecodeThread[]
  private readonly workers: readonly WorkerThread[]

  /** Starts them; they do not keep the process alive. */
  constructor(count: number) {
    this.workers = Array.from({ length: count }, (_, index) => new WorkerThread(`decode-${index}`))
    this.threads = this.workers
  }

  async close(): Promise<void> {
    await Promise.all(this.workers.map(worker => worker.close()))
  }
}

interface Waiting {
  readonly resolve: (value: never) => void
  readonly reject: (error: unknown) => void
}

class WorkerThread implements DecodeThread {
  private readonly worker: Worker
  private readonly waiting: Waiting[] = []
  private failure: { readonly error: unknown } | null = null
  private laneCount = 0

  constructor(name: string) {
    this.worker = new Worker(ENTRY, { name, ...OPTIONS })
    this.worker.unref()
    this.worker.on('message', (answer: ThreadAnswer) => this.settle(answer))
    this.worker.on('messageerror', error => this.fail(error))
    this.worker.on('error', error => this.fail(error))
    this.worker.on('exit', code => this.fail(new Error(`a decoding thread ended (exit code ${code})`)))
  }

  takeLane(): number {
    return this.laneCount++
  }

  request<K extends RequestKind>(
    kind: K,
    lane: number,
    asks: ThreadRequests[K]['asks'],
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<ThreadRequests[K]['answers']> {
    if (this.failure !== null) return Promise.reject(this.failure.error)
    return new Promise((resolve, reject) => {
      this.worker.postMessage({ kind, lane, asks }, transfer)
      this.waiting.push({ resolve, reject })
      // While somebody waits, the process must not end.
      if (this.waiting.length === 1) this.worker.ref()
    })
  }

  async close(): Promise<void> {
    this.fail(new Error('the decoding threads are closed'))
    this.worker.ref()
    await this.worker.terminate()
  }

  private settle(answer: ThreadAnswer): void {
    // Nobody waits any more for what was asked before.
    if (this.failure !== null) return
    const first = this.waiting.shift()
    assert(first !== undefined, 'every answer was asked for')
    if (this.waiting.length === 0) this.worker.unref()
    if ('error' in answer) first.reject(answer.error)
    else first.resolve(answer.value as never)
  }

  private fail(error: unknown): void {
    this.failure ??= { error }
    for (const { reject } of this.waiting.splice(0)) reject(this.failure.error)
  }
}
