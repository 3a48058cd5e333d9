/**
 * One `stream-ingest run` in a process of its own, as it is started, watched by its log, signalled, and found dead.
 *
 * @module
 */
import { open } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import {
  isRunning,
  type ManagedProcess,
  startProcess,
  stopProcess,
} from '../../../../scripts/stack/managed-process.ts'

const PROGRAM = fileURLToPath(new URL('../../bin/stream-ingest.js', import.meta.url))
const POLL_MS = 20
const READ_BYTES_MAX = 1 << 20

/** A line of the log; other fields are there as the event has them. */
export interface LogLine {
  readonly event: string
  readonly error?: { readonly code: string; readonly message: string }
}

export interface StartWriterOptions {
  readonly name: string
  readonly configFile: string
  readonly logPath: string
  readonly untilLatest: boolean
  readonly env: NodeJS.ProcessEnv
}

export class WriterProcess {
  readonly name: string
  readonly #process: ManagedProcess
  readonly #lines: LogLine[] = []
  #readBytes = 0
  #partLine = ''
  #end: string | undefined

  private constructor(name: string, managed: ManagedProcess) {
    this.name = name
    this.#process = managed
    void managed.ended.then(end => {
      this.#end = end
    })
  }

  static async start(options: StartWriterOptions): Promise<WriterProcess> {
    const bounds = options.untilLatest ? ['--until-latest'] : []
    const managed = await startProcess({
      command: process.execPath,
      args: [PROGRAM, 'run', options.configFile, '--log', 'json', '--verbose', ...bounds],
      logPath: options.logPath,
      env: options.env,
    })
    return new WriterProcess(options.name, managed)
  }

  /** `signal SIGKILL`, `exit code 0`; undefined while it lives. */
  get end(): string | undefined {
    return this.#end
  }

  /** False where it is gone already. */
  signal(signal: NodeJS.Signals): boolean {
    if (this.#end !== undefined || !isRunning(this.#process)) return false
    process.kill(this.#process.pid, signal)
    return true
  }

  /** Resolves with what ended it, or undefined after `timeoutMs`. */
  async ended(timeoutMs: number, signal: AbortSignal): Promise<string | undefined> {
    const stop = new AbortController()
    const timer = delay(timeoutMs, undefined, { signal: AbortSignal.any([signal, stop.signal]) })
    timer.catch(() => undefined)
    try {
      return await Promise.race([this.#process.ended, timer])
    } finally {
      stop.abort()
    }
  }

  /** Waits until the log holds more than `count` of these events; false where the process ended or time ran out first. */
  async waitFor(event: string, count: number, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      if ((await this.count(event)) > count) return true
      if (this.#end !== undefined || performance.now() > deadline) return false
      await delay(POLL_MS, undefined, { signal })
    }
  }

  async count(event: string): Promise<number> {
    const lines = await this.lines()
    return lines.reduce((sum, line) => sum + (line.event === event ? 1 : 0), 0)
  }

  /** What it has logged so far. */
  async lines(): Promise<readonly LogLine[]> {
    const log = await open(this.#process.logPath)
    try {
      for (;;) {
        const { buffer, bytesRead } = await log.read(
          Buffer.alloc(READ_BYTES_MAX),
          0,
          READ_BYTES_MAX,
          this.#readBytes,
        )
        if (bytesRead === 0) return this.#lines
        this.#readBytes += bytesRead
        this.#take(buffer.toString('latin1', 0, bytesRead))
      }
    } finally {
      await log.close()
    }
  }

  /** Ends it, gently first, however it stands. */
  async stop(): Promise<void> {
    if (this.#end !== undefined) return
    this.signal('SIGCONT')
    await stopProcess(this.#process)
  }

  #take(text: string): void {
    const lines = (this.#partLine + text).split('\n')
    this.#partLine = lines.pop() ?? ''
    for (const line of lines) {
      // What is not a log line is the report of a failure; the file holds it for a person.
      if (!line.startsWith('{')) continue
      const parsed = JSON.parse(line) as Partial<LogLine>
      if (parsed.event !== undefined) this.#lines.push(parsed as LogLine)
    }
  }
}
