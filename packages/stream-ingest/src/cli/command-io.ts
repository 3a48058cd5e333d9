/**
 * What a command needs of the world: the only place from which the environment, the clock and signals come in.
 *
 * @module
 */
import type { Runtime } from '@stream-ingest/delta'

export interface OutputStream {
  /** False: what was written before is still waiting; `drain` tells when to go on. */
  write(text: string): unknown
  once?(event: 'drain', listener: () => void): unknown
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}

/** Ctrl-C, the request of a service manager or an orchestrator, and a terminal that is closed. */
export const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
export type StopSignal = (typeof STOP_SIGNALS)[number]

export interface CommandIo {
  /** Results. */
  readonly stdout: OutputStream
  /** Logs, progress, errors. */
  readonly stderr: OutputStream
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** All of standard input, up to a bound, as text. */
  readonly readStdin?: () => Promise<string>
  readonly runtime: Runtime
  /** Calls back at each request to stop; returns a function that ends the subscription. */
  onStopSignal(listener: (signal: StopSignal) => void): () => void
  /** Leaves at once, whatever is still running. */
  exit(code: number): never
  /** Dies by SIGKILL: no handler runs, nothing is flushed. */
  kill(): never
}

/** Writes, and waits until the stream takes more: what a slow reader has not taken stays bounded. */
export async function writeText(stream: OutputStream, text: string): Promise<void> {
  if (stream.write(text) !== false || stream.once === undefined) return
  await new Promise<void>(resolve => stream.once?.('drain', resolve))
}
