/**
 * A reader as a process that answers one request after the other, so that what takes long to start is started once.
 *
 * @module
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'

export interface ReaderCommand {
  readonly command: string
  readonly args: readonly string[]
  readonly env?: NodeJS.ProcessEnv
}

/** Errors of a process that ended are the end of what it wrote. */
const ERROR_OUTPUT_MAX = 2000

type Child = ChildProcessByStdio<Writable, Readable, Readable>

/** One request at a time: the next may be asked when the one before is answered. */
export class ReaderProcess {
  readonly #command: ReaderCommand
  #running: RunningReader | undefined

  constructor(command: ReaderCommand) {
    this.#command = command
  }

  /**
   * One JSON line out, one back. Whatever becomes of the process is the answer's `error`; the next request then starts
   * another one.
   *
   * @param timeoutMs a process that takes longer is killed
   */
  async ask(request: object, timeoutMs: number): Promise<Record<string, unknown>> {
    this.#running ??= new RunningReader(this.#command)
    const answer = await this.#running.ask(request, timeoutMs)
    if (typeof answer !== 'string') return answer
    await this.#running.end('SIGKILL')
    this.#running = undefined
    return { error: answer }
  }

  async close(): Promise<void> {
    await this.#running?.end()
    this.#running = undefined
  }
}

class RunningReader {
  readonly #child: Child
  readonly #answers: AsyncIterator<string>
  readonly #ended: Promise<unknown>
  #errorOutput = ''

  constructor({ command, args, env }: ReaderCommand) {
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } })
    this.#ended = once(this.#child, 'close').catch(error => {
      this.#errorOutput += String(error)
    })
    this.#child.stdin.on('error', () => {
      // It ended without reading; the end of its answers tells.
    })
    this.#child.stderr.setEncoding('utf8').on('data', text => {
      this.#errorOutput = (this.#errorOutput + text).slice(-ERROR_OUTPUT_MAX)
    })
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  /** The answer, or why there is none. */
  async ask(request: object, timeoutMs: number): Promise<Record<string, unknown> | string> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<'late'>(resolve => {
      timer = setTimeout(resolve, timeoutMs, 'late')
    })
    try {
      const answer = await Promise.race([this.#answers.next(), late])
      if (answer === 'late') return `no answer within ${timeoutMs / 1000} s`
      if (!answer.done) return JSON.parse(answer.value) as Record<string, unknown>
      await this.#ended
      return `the reader ended: ${this.#errorOutput.trim()}`
    } finally {
      clearTimeout(timer)
    }
  }

  /** Without a signal it ends by itself, as nothing is left to read. */
  async end(signal?: NodeJS.Signals): Promise<void> {
    if (signal === undefined) this.#child.stdin.end()
    else this.#child.kill(signal)
    await this.#ended
  }
}
