/**
 * The command line as a function, in the real world: environment, clock, signals, standard streams.
 *
 * @module
 */
import { systemRuntime } from '@stream-ingest/delta'
import { ConfigError } from '../error.ts'
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
    readStdin,
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

/** Far beyond any configuration; a stream without an end must come to one. */
const STDIN_BYTES_MAX = 4 * 1024 * 1024

async function readStdin(): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of process.stdin) {
    size += chunk.length
    if (size > STDIN_BYTES_MAX)
      throw new ConfigError('CONFIG_TOO_LARGE', `standard input has more than ${STDIN_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
