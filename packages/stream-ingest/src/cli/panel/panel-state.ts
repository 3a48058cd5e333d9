/**
 * What a run's events come to, for each pipeline: the numbers of the live panel.
 *
 * @module
 */
import { StreamIngestError } from '../../error.ts'
import { type IngestEventName, type IngestEvents, subscribe } from '../../observe/event.ts'

/** The rate is that of the last seconds. */
export const RATE_WINDOW_MS = 5_000
/** Progress comes twice a second; twice as many are kept as fit into the window. */
const SAMPLES_MAX = 20

export type Phase = 'starting' | 'running' | 'waiting' | 'stopped' | 'failed'

/** One line of the panel. */
export interface PanelRow {
  readonly name: string
  readonly phase: Phase
  /** Until a pipeline that failed starts again; null in every other phase. */
  readonly againInMs: number | null
  /** Null before there are two moments to compare. */
  readonly messagesPerSecond: number | null
  readonly bufferedMessageCount: number
  readonly bufferedSizeBytes: number
  /** Age of the oldest message that is buffered; null where none is. */
  readonly oldestMs: number | null
  /** Messages that the table does not hold yet; null while an end offset is not known. */
  readonly lag: bigint | null
  /** Newest version that is known; its age only where this run committed it. */
  readonly commit: { readonly version: number; readonly ageMs: number | null } | null
  readonly badCount: number
  /** Starts from the table after a failure, and races for a version that were lost. */
  readonly retryCount: number
  /** Of the last one: `conflict`, or the code of the error. */
  readonly retryReason: string | null
}

export interface PanelClock {
  /** Epoch milliseconds. */
  now(): number
  monotonicMs(): number
}

/** What is kept of one pipeline. */
interface Kept {
  phase: Phase
  againAtMs: number | null
  samples: { readonly atMs: number; readonly messageCount: number }[]
  progress: IngestEvents['pipeline:progress'] | null
  version: number | null
  committedAtMs: number | null
  badCount: number
  retryCount: number
  retryReason: string | null
}

export class PanelState {
  private readonly pipelines = new Map<string, Kept>()
  private readonly clock: PanelClock
  private stopping = false

  /** @param names of the pipelines, in the order in which they are shown */
  constructor(names: readonly string[], clock: PanelClock) {
    this.clock = clock
    for (const name of names) {
      this.pipelines.set(name, {
        phase: 'starting',
        againAtMs: null,
        samples: [],
        progress: null,
        version: null,
        committedAtMs: null,
        badCount: 0,
        retryCount: 0,
        retryReason: null,
      })
    }
  }

  /** Was the run asked to stop? */
  get isStopping(): boolean {
    return this.stopping
  }

  /** Listens. @returns a function that ends it */
  subscribe(): () => void {
    const ends = [
      subscribe('run:stopping', () => {
        this.stopping = true
      }),
      this.on('pipeline:started', (kept, { version }) => {
        Object.assign(kept, { phase: 'running', againAtMs: null, samples: [], version })
      }),
      this.on('pipeline:progress', (kept, event) => this.takeProgress(kept, event)),
      this.on('pipeline:retrying', (kept, { error, delayMs }) => {
        // What was buffered is read again.
        Object.assign(kept, { phase: 'waiting', againAtMs: this.clock.monotonicMs() + delayMs, samples: [] })
        forgetBuffered(kept)
        countRetry(kept, StreamIngestError.from(error).code)
      }),
      this.on('commit:conflicted', kept => countRetry(kept, 'conflict')),
      this.on('commit:committed', (kept, { version, attemptCount }) => {
        Object.assign(kept, { version, committedAtMs: this.clock.now() })
        if (attemptCount > 1) countRetry(kept, 'conflict', attemptCount - 1)
      }),
      this.on('record:rejected', kept => {
        kept.badCount++
      }),
      this.on('pipeline:stopped', (kept, { version }) => {
        Object.assign(kept, { phase: 'stopped', version, samples: [] })
        forgetBuffered(kept)
      }),
      this.on('pipeline:failed', kept => {
        Object.assign(kept, { phase: 'failed', againAtMs: null, samples: [] })
        forgetBuffered(kept)
      }),
    ]
    return () => {
      for (const end of ends) end()
    }
  }

  /** As it is now. */
  rows(): PanelRow[] {
    return [...this.pipelines].map(([name, kept]) => this.rowOf(name, kept))
  }

  private on<Name extends Exclude<IngestEventName, 'run:stopping' | 'run:serving'>>(
    name: Name,
    take: (kept: Kept, event: IngestEvents[Name]) => void,
  ): () => void {
    return subscribe(name, event => {
      const kept = this.pipelines.get(event.pipeline)
      // Another processor may run in the same process.
      if (kept !== undefined) take(kept, event)
    })
  }

  private takeProgress(kept: Kept, event: IngestEvents['pipeline:progress']): void {
    kept.progress = event
    const nowMs = this.clock.monotonicMs()
    const { samples } = kept
    samples.push({ atMs: nowMs, messageCount: event.messageCount })
    while (samples.length > SAMPLES_MAX || (samples.length > 1 && samples[1]!.atMs <= nowMs - RATE_WINDOW_MS))
      samples.shift()
  }

  private rowOf(name: string, kept: Kept): PanelRow {
    const { phase, againAtMs, progress, version, committedAtMs } = kept
    const nowMs = this.clock.now()
    const sinceMs = progress?.bufferedSinceMs ?? null
    return {
      name,
      phase,
      againInMs: againAtMs === null ? null : Math.max(0, againAtMs - this.clock.monotonicMs()),
      messagesPerSecond: this.rateOf(kept),
      bufferedMessageCount: progress?.bufferedMessageCount ?? 0,
      bufferedSizeBytes: progress?.bufferedSizeBytes ?? 0,
      oldestMs: sinceMs === null ? null : Math.max(0, nowMs - sinceMs),
      lag: progress === null ? null : lagOf(progress),
      commit:
        version === null
          ? null
          : { version, ageMs: committedAtMs === null ? null : Math.max(0, nowMs - committedAtMs) },
      badCount: kept.badCount,
      retryCount: kept.retryCount,
      retryReason: kept.retryReason,
    }
  }

  /** Up to now, and not up to the last event: where nothing is heard of a pipeline, nothing comes in. */
  private rateOf({ samples }: Kept): number | null {
    const [first] = samples
    const last = samples.at(-1)
    if (first === undefined || last === undefined || first === last) return null
    const elapsedMs = this.clock.monotonicMs() - first.atMs
    return elapsedMs <= 0 ? null : ((last.messageCount - first.messageCount) / elapsedMs) * 1_000
  }
}

function forgetBuffered(kept: Kept): void {
  if (kept.progress === null) return
  kept.progress = {
    ...kept.progress,
    bufferedMessageCount: 0,
    bufferedSizeBytes: 0,
    bufferedSinceMs: null,
  }
}

function countRetry(kept: Kept, reason: string, count = 1): void {
  kept.retryCount += count
  kept.retryReason = reason
}

/** As `status` has it: what the table does not hold, buffered or not. */
function lagOf({ partitions }: IngestEvents['pipeline:progress']): bigint | null {
  let lag = 0n
  for (const { nextOffset, endOffset } of partitions) {
    if (endOffset === null) return null
    if (endOffset > nextOffset) lag += endOffset - nextOffset
  }
  return lag
}
