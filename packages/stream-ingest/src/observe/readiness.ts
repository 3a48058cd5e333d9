/**
 * Is each pipeline at work? Not whether it is behind: whether what is behind is being worked on.
 *
 * Ready is a pipeline that has its partitions, and whose table moves as long as there is anything to write. A backlog of
 * days is ready while commits come; a commit that hangs is not, nor a pipeline that waits to start over.
 *
 * @module
 */
import { StreamIngestError } from '../error.ts'
import { type IngestEvents, subscribe } from './event.ts'

export interface WatchedPipeline {
  readonly name: string
  /** Longest time that messages may wait without the table moving. */
  readonly stuckAfterMs: number
}

interface State {
  readonly stuckAfterMs: number
  /** Why it does not run; null while it does. */
  idleReason: string | null
  /** Are there messages that the table does not hold? */
  isBehind: boolean
  /** The table moved, or there was nothing to write; monotonic. */
  movedAtMs: number
  /** Sum of the offsets that the table holds. */
  offsetSum: bigint
}

export class Readiness {
  private readonly states = new Map<string, State>()
  private readonly monotonicMs: () => number

  constructor(pipelines: readonly WatchedPipeline[], monotonicMs: () => number) {
    this.monotonicMs = monotonicMs
    for (const { name, stuckAfterMs } of pipelines) {
      this.states.set(name, {
        stuckAfterMs,
        idleReason: 'has not started yet',
        isBehind: false,
        movedAtMs: monotonicMs(),
        offsetSum: 0n,
      })
    }
  }

  /** @returns a function that ends it */
  listen(): () => void {
    const on = <
      Name extends 'pipeline:started' | 'pipeline:stopped' | 'pipeline:retrying' | 'pipeline:failed',
    >(
      name: Name,
      reasonOf: (event: IngestEvents[Name]) => string | null,
    ): (() => void) =>
      subscribe(name, event => {
        const state = this.states.get(event.pipeline)
        if (state === undefined) return
        state.idleReason = reasonOf(event)
        state.isBehind = false
        state.movedAtMs = this.monotonicMs()
      })
    const ends = [
      on('pipeline:started', () => null),
      on('pipeline:stopped', () => 'has stopped'),
      on('pipeline:retrying', ({ error }) => `starts over after ${StreamIngestError.from(error).code}`),
      on('pipeline:failed', ({ error }) => `failed with ${StreamIngestError.from(error).code}`),
      subscribe('pipeline:progress', event => this.takeProgress(event)),
      subscribe('commit:committed', ({ pipeline }) => {
        const state = this.states.get(pipeline)
        if (state !== undefined) state.movedAtMs = this.monotonicMs()
      }),
    ]
    return () => {
      for (const end of ends) end()
    }
  }

  isRunning(pipeline: string): boolean {
    return this.states.get(pipeline)?.idleReason === null
  }

  /** By pipeline, what is wrong with those that are not ready. */
  problems(): Map<string, string> {
    const problems = new Map<string, string>()
    for (const [name, { idleReason, isBehind, movedAtMs, stuckAfterMs }] of this.states) {
      const stillMs = this.monotonicMs() - movedAtMs
      if (idleReason !== null) problems.set(name, idleReason)
      else if (isBehind && stillMs > stuckAfterMs) {
        problems.set(name, `messages wait, and the table has not moved for ${Math.round(stillMs / 1000)} s`)
      }
    }
    return problems
  }

  private takeProgress({
    pipeline,
    partitions,
    bufferedMessageCount,
  }: IngestEvents['pipeline:progress']): void {
    const state = this.states.get(pipeline)
    if (state === undefined) return
    let offsetSum = 0n
    let isBehind = bufferedMessageCount > 0
    for (const { nextOffset, endOffset } of partitions) {
      offsetSum += nextOffset
      isBehind ||= endOffset !== null && endOffset > nextOffset
    }
    // A dry run and a replacement make no commits as they go: their offsets tell.
    if (!isBehind || !state.isBehind || offsetSum !== state.offsetSum) state.movedAtMs = this.monotonicMs()
    state.isBehind = isBehind
    state.offsetSum = offsetSum
  }
}
