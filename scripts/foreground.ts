/**
 * Commands in the foreground of a script that has something to clean up afterwards.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export class Foreground {
  #child: ChildProcess | undefined
  #interrupted: NodeJS.Signals | undefined
  readonly #interruption: Promise<void>

  constructor() {
    this.#interruption = new Promise(resolve => {
      for (const signal of SIGNALS)
        process.on(signal, () => {
          this.#interrupted ??= signal
          // From a terminal the child has got its own copy of Ctrl-C, and a second one would mean "at once".
          if (signal !== 'SIGINT' || !process.stdin.isTTY) this.#child?.kill(signal)
          resolve()
        })
    })
  }

  /** The exit code of the signal that asked this script to end; undefined while none has. */
  get interruptedExitCode(): number | undefined {
    return this.#interrupted && 128 + constants.signals[this.#interrupted]
  }

  /** Runs a command with this process's terminal; its exit code, 128 + n when a signal ended it. */
  run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<number> {
    if (this.interruptedExitCode !== undefined) return Promise.resolve(this.interruptedExitCode)
    return new Promise((resolve, reject) => {
      const child = spawn(command, args, { stdio: 'inherit', env })
      this.#child = child
      child.once('error', reject)
      child.once('exit', (code, signal) => {
        this.#child = undefined
        resolve(signal ? 128 + constants.signals[signal] : (code ?? 1))
      })
    })
  }

  /** The work's outcome, or `undefined` as soon as somebody asks this script to end. */
  async unlessInterrupted<T>(work: Promise<T>): Promise<T | undefined> {
    return Promise.race([work, this.#interruption.then(() => undefined)])
  }
}
