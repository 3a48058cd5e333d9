/**
 * Checks and what they came to: each is run once, in bounded time, and none that fails keeps the others from running.
 *
 * @module
 */
import type { DeltaErrorCode, Runtime } from '@stream-ingest/delta'
import { definitionOf, type ErrorCode, GenericError, StreamIngestError } from '../error.ts'

export const CHECK_GROUPS = ['config', 'kafka', 'store', 'table', 'clock'] as const
export type CheckGroup = (typeof CHECK_GROUPS)[number]

export type CheckStatus = 'pass' | 'warn' | 'fail'

export interface Check {
  readonly group: CheckGroup
  readonly pipeline: string
  readonly title: string
  readonly status: CheckStatus
  /** Null where it passed. */
  readonly code: ErrorCode | DeltaErrorCode | null
  readonly message: string | null
  /** What to do; null where it passed. */
  readonly help: string | null
  readonly durationMs: number
}

/** A check that could not be made. */
export interface SkippedCheck {
  readonly group: CheckGroup
  readonly pipeline: string
  readonly title: string
  readonly because: string
}

/** What a check found: something for the checks after it, and what to say of it. */
export interface Found<T> {
  readonly value: T
  /** A detail worth knowing. */
  readonly message?: string
  /** Something that works, and will not for ever or not for everybody. */
  readonly warning?: Problem
}

export interface Problem {
  readonly code: ErrorCode | DeltaErrorCode
  readonly message: string
  /** Default: the code's. */
  readonly help?: string
}

export type CheckWork<T> = (signal: AbortSignal) => Promise<Found<T>>

export interface CheckOptions {
  /** In place of the checkup's. */
  readonly timeoutMs?: number
  /** The pipeline does without: a failure is a warning. */
  readonly isOptional?: boolean
}

/** What to do about a failure, where more is known than its hint says. */
export type HelpOf = (error: StreamIngestError) => string

/** The checks of one group of one pipeline, in the order in which they began. */
export class Checkup {
  readonly group: CheckGroup
  readonly skipped: SkippedCheck[] = []
  private readonly pipeline: string
  private readonly runtime: Runtime
  private readonly timeoutMs: number
  private readonly helpOf: HelpOf
  private readonly slots: (Check | null)[] = []

  constructor(
    group: CheckGroup,
    pipeline: string,
    runtime: Runtime,
    timeoutMs: number,
    helpOf: HelpOf = error => error.hint,
  ) {
    this.group = group
    this.pipeline = pipeline
    this.runtime = runtime
    this.timeoutMs = timeoutMs
    this.helpOf = helpOf
  }

  /** Those that ended. */
  get checks(): readonly Check[] {
    return this.slots.filter(check => check !== null)
  }

  /**
   * Runs one check. Never throws for an operational failure.
   *
   * @returns null where it failed
   */
  async run<T>(title: string, work: CheckWork<T>, options: CheckOptions = {}): Promise<Found<T> | null> {
    const slot = this.slots.push(null) - 1
    const startedMs = this.runtime.monotonicMs()
    let outcome: Pick<Check, 'status' | 'code' | 'message' | 'help'>
    let found: Found<T> | null = null
    try {
      found = await this.inTime(title, work, options.timeoutMs ?? this.timeoutMs)
      outcome = outcomeOf(found)
    } catch (thrown) {
      const error = StreamIngestError.from(thrown)
      const status = options.isOptional === true ? 'warn' : 'fail'
      const code = error.code as Check['code']
      outcome = { status, code, message: error.message, help: this.helpOf(error) }
    }
    const durationMs = Math.round(this.runtime.monotonicMs() - startedMs)
    this.slots[slot] = { group: this.group, pipeline: this.pipeline, title, ...outcome, durationMs }
    return found
  }

  skip(title: string, because: string): void {
    this.skipped.push({ group: this.group, pipeline: this.pipeline, title, because })
  }

  /** Failures of checks with these titles become warnings: another of them is enough. */
  downgrade(titles: ReadonlySet<string>): void {
    for (const [index, check] of this.slots.entries()) {
      if (check?.status === 'fail' && titles.has(check.title))
        this.slots[index] = { ...check, status: 'warn' }
    }
  }

  private async inTime<T>(title: string, work: CheckWork<T>, timeoutMs: number): Promise<Found<T>> {
    const ended = new AbortController()
    const overdue = this.runtime.delay(timeoutMs, ended.signal).then(
      () => 'overdue' as const,
      () => new Promise<never>(() => {}),
    )
    try {
      const working = work(ended.signal)
      const first = await Promise.race([working, overdue])
      if (first !== 'overdue') return first
      // What goes on is told to end, and what it still has to say is of no use to anybody.
      working.catch(() => {})
      throw new GenericError('CHECK_TIMEOUT', `\`${title}\` did not end within ${timeoutMs} ms`)
    } finally {
      ended.abort(new GenericError('CHECK_TIMEOUT', `\`${title}\` is over`))
    }
  }
}

function outcomeOf({
  message,
  warning,
}: Found<unknown>): Pick<Check, 'status' | 'code' | 'message' | 'help'> {
  if (warning === undefined) return { status: 'pass', code: null, message: message ?? null, help: null }
  return {
    status: 'warn',
    code: warning.code,
    message: warning.message,
    help: warning.help ?? definitionOf(warning.code).hint,
  }
}
