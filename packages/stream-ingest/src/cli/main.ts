/**
 * The process entry of the command line: leaves with the command's exit code.
 *
 * @module
 */
import { runCommandLine } from './command-line.ts'
import { processIo } from './local-main.ts'

// A reader that went away (`stream-ingest read … | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

// A terminal that was closed ends the panel and the log, not the drain that its SIGHUP has begun.
process.stderr.on('error', () => {})

process.exitCode = await runCommandLine(process.argv.slice(2), processIo())
