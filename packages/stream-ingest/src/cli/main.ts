/**
 * The process entry of the command line: gives the commands the real world, and leaves with their exit code.
 *
 * @module
 */
import { systemRuntime } from '@stream-ingest/delta'
import type { CommandIo } from './command-io.ts'
import { runCommandLine } from './command-line.ts'

const io: CommandIo = {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
  runtime: systemRuntime,
  onStopSignal: listener => {
    process.on('SIGINT', listener)
    process.on('SIGTERM', listener)
    return () => {
      process.off('SIGINT', listener)
      process.off('SIGTERM', listener)
    }
  },
  exit: code => process.exit(code),
  kill: () => {
    process.kill(process.pid, 'SIGKILL')
    // The signal needs no turn of the event loop, and this thread must do nothing more.
    for (;;);
  },
}

// A reader that went away (`stream-ingest read … | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

process.exitCode = await runCommandLine(process.argv.slice(2), io)
