/**
 * A command on a real pseudo-terminal, with somebody before it who reads the screen, types and changes its size.
 *
 * @module
 */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { Screen } from './screen.ts'

const HOST = fileURLToPath(new URL('pty_host.py', import.meta.url))
/** Nothing that is waited for takes longer, on a machine that is busy. */
const WAIT_MAX_MS = 60_000

export interface TerminalEnd {
  readonly code: number | null
  readonly signal: string | null
  /** Echo, line editing and the like are as they were. */
  readonly modesRestored: boolean
}

export interface TerminalOptions {
  readonly columns?: number
  readonly rows?: number
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** A Python with pseudo-terminals, or null. */
export function findPython(env: Readonly<Record<string, string | undefined>>): string | null {
  const candidates = [env.SI_TEST_PYTHON, 'python3'].filter(name => name !== undefined)
  return candidates.find(name => spawnSync(name, ['-c', 'import pty, termios']).status === 0) ?? null
}

export class Terminal {
  readonly screen: Screen
  /** Everything that was printed, byte for byte. */
  output = ''
  readonly ended: Promise<TerminalEnd>
  readonly #host: ChildProcessByStdio<Writable, Readable, Readable>
  #changed = Promise.withResolvers<void>()
  #hasEnded = false

  constructor(python: string, command: readonly string[], options: TerminalOptions = {}) {
    const { columns = 100, rows = 24, cwd, env = {} } = options
    this.screen = new Screen(columns, rows)
    this.#host = spawn(python, [HOST, String(columns), String(rows), ...command], {
      cwd,
      env: { PATH: process.env.PATH, HOME: process.env.HOME, TERM: 'xterm-256color', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#host.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.output += text
      this.screen.write(text)
      this.#wake()
    })
    // Where it is gone already, what is asked of it has no meaning any more.
    this.#host.stdin.on('error', () => {})
    this.ended = this.#collect()
  }

  /** Waits until the screen is as wanted. Rejects where the command ends before, or nothing changes for too long. */
  async until(what: string, isSo: (screen: Screen) => boolean): Promise<void> {
    const timeout = Promise.withResolvers<never>()
    const timer = setTimeout(() => timeout.reject(this.#missed(what)), WAIT_MAX_MS)
    try {
      while (!isSo(this.screen)) {
        if (this.#hasEnded) throw this.#missed(what)
        await Promise.race([this.#changed.promise, timeout.promise])
      }
    } finally {
      clearTimeout(timer)
    }
  }

  /** As if it came from the keyboard: `\x03` is Ctrl-C. */
  type(text: string): void {
    this.#ask({ type: text })
  }

  signal(name: NodeJS.Signals): void {
    this.#ask({ signal: name })
  }

  resize(columns: number, rows: number): void {
    this.screen.resize(columns, rows)
    this.#ask({ resize: [columns, rows] })
  }

  /** Ends whatever is still running. */
  async close(): Promise<void> {
    if (!this.#hasEnded) this.signal('SIGKILL')
    this.#host.stdin.end()
    await this.ended
  }

  #ask(wish: unknown): void {
    this.#host.stdin.write(`${JSON.stringify(wish)}\n`)
  }

  #missed(what: string): Error {
    return new Error(`the terminal does not show ${what}:\n${this.screen.text}`)
  }

  #wake(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers<void>()
  }

  async #collect(): Promise<TerminalEnd> {
    let said = ''
    this.#host.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    await once(this.#host, 'close')
    this.#hasEnded = true
    this.#wake()
    try {
      return JSON.parse(said) as TerminalEnd
    } catch {
      throw new Error(`the terminal’s host failed: ${said}`)
    }
  }
}
