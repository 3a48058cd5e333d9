/**
 * Long verbs that end at a request to stop: the first one lets them stop where nothing is half done, a second one leaves at
 * once.
 *
 * @module
 */
import { EXIT_CODES } from '../error.ts'
import type { CommandIo } from './command-io.ts'
import { CLEAR_LINE, canRepaint } from './terminal.ts'

const STOPPED = 'stopped: what was committed or deleted before stands, the rest is as it was\n'

/** What `work` came to; `interrupted` where it was stopped. Says so on stderr. */
export async function stoppable<T>(
  io: CommandIo,
  work: (signal: AbortSignal) => Promise<T>,
  note: string = STOPPED,
): Promise<T | 'interrupted'> {
  const controller = new AbortController()
  const unsubscribe = io.onStopSignal(() => {
    if (controller.signal.aborted) {
      clearLine(io)
      io.exit(EXIT_CODES.interrupted)
    }
    controller.abort()
  })
  try {
    return await work(controller.signal)
  } catch (error) {
    if (!controller.signal.aborted || error !== controller.signal.reason) throw error
    clearLine(io)
    io.stderr.write(note)
    return 'interrupted'
  } finally {
    unsubscribe()
  }
}

/** Progress may be painted there, and the terminal has put a `^C` behind it. */
function clearLine({ stderr, env }: CommandIo): void {
  if (canRepaint(stderr, env)) stderr.write(CLEAR_LINE)
}
