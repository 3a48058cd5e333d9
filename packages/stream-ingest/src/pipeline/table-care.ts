/**
 * Compaction and removal of old files, beside a running pipeline and by its configuration.
 *
 * Neither conflicts with appends, and neither can fail the pipeline: what goes wrong is an event, and is tried again when
 * it is due the next time. When each was done last is read from the table, so that a restart does not repeat it.
 *
 * @module
 */
import {
  loadTableState,
  type ObjectStore,
  optimizeTable,
  type Runtime,
  readCommit,
  vacuumTable,
} from '@stream-ingest/delta'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { publish } from '../observe/event.ts'

/** Tells when files were removed last: VACUUM itself leaves nothing in the log. Hidden from it, as all of the folder. */
export const LAST_VACUUM_KEY = '_stream_ingest/last-vacuum.json'
/** Commits that are read, from the newest back, to learn when the table was compacted last. */
export const COMMITS_SEARCHED_MAX = 500
/** Several processes that see the same thing due do not all begin at once. */
const JITTER_MAX_MS = 30_000
/** A partition that is still being written is compacted all the same at this many times `min_files`. */
const BUSY_FACTOR = 8

/** Where `delta.optimize` does not say: its own default. */
const MIN_FILES_DEFAULT = 8

export type CareOperation = 'optimize' | 'vacuum'

/** What one round came to. */
export interface CareCounts {
  readonly filesRemoved: number
  readonly filesAdded: number
  readonly bytesRemoved: number
  readonly bytesAdded: number
  readonly conflicts: number
}

export class TableCare {
  readonly #config: PipelineConfig
  readonly #store: ObjectStore
  readonly #runtime: Runtime

  /** @param store rooted at the table, which is there */
  constructor(config: PipelineConfig, store: ObjectStore, runtime: Runtime) {
    this.#config = config
    this.#store = store
    this.#runtime = runtime
  }

  /** Does what is due, one after the other, until the signal. What fails is told as an event. */
  async run(signal: AbortSignal): Promise<void> {
    const { optimize, vacuum } = this.#config.delta
    const due = new Map<CareOperation, number>()
    try {
      if (optimize !== undefined)
        due.set('optimize', await this.#firstDueMs('optimize', optimize.everyMs, signal))
      if (vacuum !== undefined) due.set('vacuum', await this.#firstDueMs('vacuum', vacuum.everyMs, signal))
      while (due.size > 0) {
        const [operation, dueMs] = [...due].reduce((a, b) => (b[1] < a[1] ? b : a))
        await this.#runtime.delay(Math.max(0, dueMs - this.#runtime.now()), signal)
        await this.#attempt(operation, signal)
        const everyMs = operation === 'optimize' ? optimize!.everyMs : vacuum!.everyMs
        due.set(operation, this.#runtime.now() + everyMs)
      }
    } catch (error) {
      // What is due fails by itself: only a request to stop ends the loop.
      if (!signal.aborted) throw error
    }
  }

  /** Where the table cannot be asked, as if it had just been done: another reason to fail must not come in a storm. */
  async #firstDueMs(operation: CareOperation, everyMs: number, signal: AbortSignal): Promise<number> {
    let lastMs: number | null
    try {
      lastMs =
        operation === 'optimize'
          ? await this.#lastOptimizedMs(everyMs, signal)
          : ((await this.#store.head(LAST_VACUUM_KEY, { signal }))?.lastModifiedMs ?? null)
    } catch (error) {
      if (signal.aborted) throw error
      this.#fail(operation, error)
      lastMs = this.#runtime.now()
    }
    const nowMs = this.#runtime.now()
    const dueMs = lastMs === null ? nowMs : lastMs + everyMs
    return Math.max(dueMs, nowMs) + this.#runtime.random() * Math.min(JITTER_MAX_MS, everyMs)
  }

  /** Null where it was longer ago than `everyMs`, or never, or is too far back in the log to be found. */
  async #lastOptimizedMs(everyMs: number, signal: AbortSignal): Promise<number | null> {
    const state = await loadTableState(this.#store, { nowMs: this.#runtime.now(), signal })
    if (state === null) return null
    const oldestMs = this.#runtime.now() - everyMs
    for (let i = 0; i < COMMITS_SEARCHED_MAX && state.version - i >= 0; i++) {
      const commit = await readCommit(this.#store, state.version - i, { signal })
      if (commit === null) return null
      for (const action of commit) {
        if (!('commitInfo' in action)) continue
        const { operation, timestamp = 0 } = action.commitInfo
        if (timestamp < oldestMs) return null
        if (operation === 'OPTIMIZE') return timestamp
      }
    }
    return null
  }

  /** A round that goes wrong is an event. */
  async #attempt(operation: CareOperation, signal: AbortSignal): Promise<void> {
    try {
      await this.perform(operation, signal)
    } catch (error) {
      if (signal.aborted) throw error
      this.#fail(operation, error)
    }
  }

  /**
   * One round, now, by what `delta.optimize` or `delta.vacuum` says, or by its defaults; in a dry run it only counts.
   *
   * @throws what {@link optimizeTable} or {@link vacuumTable} throws; the signal's reason, when what was committed stands
   */
  async perform(operation: CareOperation, signal: AbortSignal): Promise<CareCounts> {
    const startedMs = this.#runtime.monotonicMs()
    const counts = operation === 'optimize' ? await this.#optimize(signal) : await this.#vacuum(signal)
    const durationMs = this.#runtime.monotonicMs() - startedMs
    publish('care:done', { pipeline: this.#config.name, operation, durationMs, ...counts })
    return counts
  }

  async #optimize(signal: AbortSignal): Promise<CareCounts> {
    const { delta, processing } = this.#config
    const { minFiles = MIN_FILES_DEFAULT } = delta.optimize ?? {}
    const { filesRemoved, filesAdded, bytesRemoved, bytesAdded, conflicts } = await optimizeTable(
      this.#store,
      {
        runtime: this.#runtime,
        signal,
        dryRun: processing.dryRun,
        targetFileSizeBytes: delta.targetFileSizeBytes,
        minFiles,
        // A table without partitions is always being written, and would never be compacted.
        quietMs: delta.partitionColumns.length === 0 ? 0 : 2 * processing.batchTimeoutMs,
        busyMinFiles: minFiles * BUSY_FACTOR,
        codec: processing.compression,
        ...(processing.compressionLevel === undefined
          ? {}
          : { compressionLevel: processing.compressionLevel }),
      },
    )
    return { filesRemoved, filesAdded, bytesRemoved, bytesAdded, conflicts }
  }

  async #vacuum(signal: AbortSignal): Promise<CareCounts> {
    const { retentionMs } = this.#config.delta.vacuum ?? {}
    const { dryRun } = this.#config.processing
    const { filesDeleted, bytesDeleted } = await vacuumTable(this.#store, {
      runtime: this.#runtime,
      signal,
      dryRun,
      ...(retentionMs === undefined ? {} : { retentionMs }),
    })
    if (!dryRun) {
      const body = new TextEncoder().encode(`{"at":${this.#runtime.now()}}\n`)
      await this.#store.put(LAST_VACUUM_KEY, body, { signal })
    }
    return {
      filesRemoved: filesDeleted,
      filesAdded: 0,
      bytesRemoved: bytesDeleted,
      bytesAdded: 0,
      conflicts: 0,
    }
  }

  #fail(operation: CareOperation, error: unknown): void {
    publish('care:failed', { pipeline: this.#config.name, operation, error })
  }
}

/** Runs `work` with the care that the configuration asks for beside it; the care has ended when this returns. */
export async function withTableCare<T>(
  config: PipelineConfig,
  store: ObjectStore | null,
  runtime: Runtime,
  work: () => Promise<T>,
): Promise<T> {
  const { optimize, vacuum } = config.delta
  const isWanted = (optimize !== undefined || vacuum !== undefined) && !config.processing.dryRun
  if (!isWanted || store === null) return work()
  const controller = new AbortController()
  const caring = new TableCare(config, store, runtime).run(controller.signal)
  // A bug in it is met below; until then it must not count as unhandled.
  caring.catch(() => {})
  try {
    return await work()
  } finally {
    controller.abort()
    await caring
  }
}
