/**
 * The command line as a function, in the real world: environment, clock, signals, standard streams.
 *
 * @module
 */
import { systemRuntime } from '@stream-ingest/delta'
import { type CommandIo, STOP_SIGNALS } from './command-io.ts'

/**
 * Runs one command as `stream-ingest` does. Without arguments it ingests: `INGEST_CONFIG`, else `./stream-ingest.yaml`.
 *
 * @param argv words behind the program's name
 * @returns the exit code; the process goes on living
 */
export async function localMain(argv: readonly string[] = []): Promise<number> {
  const { runCommandLine } = await import('./command-line.ts')
  return runCommandLine(argv.length === 0 ? ['run'] : argv, processIo())
}

/** The process's own streams, environment, clock and signals. */
export function processIo(): CommandIo {
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    runtime: systemRuntime,
    onStopSignal: listener => {
      for (const signal of STOP_SIGNALS) process.on(signal, listener)
      return () => {
        for (const signal of STOP_SIGNALS) process.off(signal, listener)
      }
    },
    exit: code => process.exit(code),
    kill: () => {
      process.kill(process.pid, 'SIGKILL')
      // The signal needs no turn of the event loop, and this thread must do nothing more.
      for (;;);
    },
  }
}
