/**
 * The `run` command in a process of its own, as its users start it: by file, watched through its log, ended by signals.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { StopSignal } from '../../src/cli/command-io.ts'
import { partsEnvironment } from './real-parts.ts'

const ENTRY = fileURLToPath(new URL('../../bin/stream-ingest.js', import.meta.url))
/** A process that hangs is killed, so that the test that started it says so. */
const RUN_MAX_MS = 5 * 60_000
/** Three times the longest that anything here takes: topics are looked up again for new partitions every 30 seconds. */
const LINE_WAIT_MS_MAX = 90_000

/** The document of `run --json`, as far as the tests look at it. Offsets here are small. */
export interface RunDocument {
  readonly success: boolean
  readonly messagesProcessed: number
  readonly batchesProcessed: number
  readonly processingTimeMs: number
  readonly metrics: { readonly rows: number; readonly filtered: number; readonly skipped: number }
  readonly pipelines: readonly {
    readonly version: number | null
    readonly rows: number
    readonly filtered: number
    readonly partitions: readonly {
      readonly partition: number
      readonly fromOffset: number
      readonly nextOffset: number
      readonly endOffset: number
      readonly lag: number
    }[]
  }[]
  readonly error?: { readonly code: string; readonly message: string }
}

/** A line of the log. */
export interface LogLine {
  readonly event: string
  readonly level: string
  readonly [field: string]: unknown
}

export interface IngestEnd {
  /** Null where a signal ended it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  /** Lines of stderr that are no log lines. */
  readonly notes: readonly string[]
  readonly log: readonly LogLine[]
}

export class IngestProcess {
  readonly ended: Promise<IngestEnd>
  readonly #child: ChildProcessByStdio<null, Readable, Readable>
  readonly #log: LogLine[] = []
  readonly #notes: string[] = []
  readonly #waiting = new Set<() => void>()
  #hasEnded = false

  /**
   * Ends with the test at the latest, however that ends.
   *
   * @param endpoint of the S3 server, where it is not the stack's own
   */
  static start(
    t: TestContext,
    configFile: string,
    flags: readonly string[] = [],
    endpoint?: string,
  ): IngestProcess {
    const started = new IngestProcess(configFile, flags, endpoint)
    t.after(() => started.#child.kill('SIGKILL'))
    return started
  }

  /** For runs that end of themselves. */
  constructor(configFile: string, flags: readonly string[] = [], endpoint?: string) {
    this.#child = spawn(process.execPath, [ENTRY, 'run', configFile, '--log', 'json', ...flags], {
      env: { PATH: process.env.PATH, ...partsEnvironment(endpoint) },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: RUN_MAX_MS,
      killSignal: 'SIGKILL',
    })
    this.ended = this.#collect()
  }

  /** The first line of the log that fits, those that came already included. Rejects where the process ends without one. */
  async line(event: string, fits: (line: LogLine) => boolean = () => true): Promise<LogLine> {
    const find = (): LogLine | undefined => this.#log.find(line => line.event === event && fits(line))
    return this.#until(find, `\`${event}\` in the log`)
  }

  signal(name: StopSignal): void {
    assert(this.#child.kill(name), 'the process is still there')
  }

  async #until<T>(find: () => T | undefined, what: string): Promise<T> {
    const overdue = setTimeout(() => this.#child.kill('SIGKILL'), LINE_WAIT_MS_MAX)
    try {
      return await this.#untilFound(find, what)
    } finally {
      clearTimeout(overdue)
    }
  }

  async #untilFound<T>(find: () => T | undefined, what: string): Promise<T> {
    for (;;) {
      const found = find()
      if (found !== undefined) return found
      if (this.#hasEnded) {
        const end = await this.ended
        assert.fail(`the process ended (${end.code ?? end.signal}) without ${what}\n${this.#said()}`)
      }
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#waiting.add(resolve)
      await promise
      this.#waiting.delete(resolve)
    }
  }

  async #collect(): Promise<IngestEnd> {
    const { stdout, stderr } = this.#child
    let document = ''
    stdout.setEncoding('utf8').on('data', text => {
      document += text
    })
    const lines = createInterface({ input: stderr })
    lines.on('line', line => {
      if (line.startsWith('{')) this.#log.push(JSON.parse(line) as LogLine)
      else this.#notes.push(line)
      this.#wake()
    })
    const linesEnded = once(lines, 'close')
    const [code, signal] = (await once(this.#child, 'close')) as [number | null, NodeJS.Signals | null]
    await linesEnded
    this.#hasEnded = true
    this.#wake()
    return { code, signal, stdout: document, notes: this.#notes, log: this.#log }
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve()
  }

  #said(): string {
    const log = this.#log.map(line => JSON.stringify(line))
    return [...this.#notes, ...log.slice(-20)].join('\n')
  }
}

/** Runs to the end offsets (or as the flags say) and expects it to end well. */
export async function ingest(
  configFile: string,
  flags: readonly string[] = ['--until-latest'],
): Promise<RunDocument & { readonly log: readonly LogLine[] }> {
  const end = await new IngestProcess(configFile, [...flags, '--json']).ended
  assert.equal(
    end.code,
    0,
    [...end.notes, ...end.log.map(line => JSON.stringify(line))].slice(-20).join('\n'),
  )
  return { ...(JSON.parse(end.stdout) as RunDocument), log: end.log }
}
