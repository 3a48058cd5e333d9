/**
 * Server processes that are ended by id and do not outlive whoever needs them.
 *
 * Each runs in a session of its own, so that Ctrl-C in the terminal reaches the runner alone, which then ends them in
 * order. Should the runner itself be killed, a watchdog process ends them: it holds the other end of a pipe that
 * closes with the runner.
 *
 * @module
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { StackError } from './stack-error.ts'

const WATCHDOG = fileURLToPath(new URL('watchdog.ts', import.meta.url))
const STOP_GRACE_MS = 10_000
const STOP_POLL_MS = 25
const LOG_TAIL_LINES = 25

/** A process as it can be found again later: ids are reused, ids with their start time are not. */
export interface ProcessIdentity {
  readonly pid: number
  /** As the system reports it; only compared. */
  readonly startTime: string
}

export interface ManagedProcess extends ProcessIdentity {
  readonly logPath: string
  /** Resolves when it has ended, with what ended it. */
  readonly ended: Promise<string>
}

export interface StartOptions {
  readonly command: string
  readonly args: readonly string[]
  readonly logPath: string
  readonly env?: NodeJS.ProcessEnv
}

/** Starts a server. Throws {@link StackError} when the program cannot be started at all. */
export async function startProcess(options: StartOptions): Promise<ManagedProcess> {
  const log = openSync(options.logPath, 'a')
  const child = spawn(options.command, options.args, {
    detached: true,
    stdio: ['ignore', log, log],
    env: options.env ?? process.env,
  })
  closeSync(log)
  const ended = new Promise<string>(resolve => {
    child.once('exit', (code, signal) => resolve(signal ? `signal ${signal}` : `exit code ${code}`))
  })
  try {
    await once(child, 'spawn')
  } catch (error) {
    throw new StackError(`\`${options.command}\` cannot be started: ${(error as Error).message}`)
  }
  const pid = child.pid as number
  const managed = { pid, startTime: startTimeOf(pid) ?? '', logPath: options.logPath, ended }
  // The log tells what happened; the caller need not keep this process alive for it.
  child.unref()
  tellWatchdog(`process ${managed.pid} ${managed.startTime}`)
  return managed
}

/** SIGTERM, and SIGKILL if it is still there after ten seconds. Another process with the same id is left alone. */
export async function stopProcess(identity: ProcessIdentity): Promise<void> {
  signalProcess(identity, 'SIGTERM')
  const deadline = Date.now() + STOP_GRACE_MS
  while (isRunning(identity)) {
    if (Date.now() > deadline) signalProcess(identity, 'SIGKILL')
    await new Promise(resolve => setTimeout(resolve, STOP_POLL_MS))
  }
}

export function isRunning(identity: ProcessIdentity): boolean {
  return startTimeOf(identity.pid) === identity.startTime
}

/** When the process with this id started, as text to compare, or `undefined` when there is none (or only its remains). */
export function startTimeOf(pid: number): string | undefined {
  if (process.platform === 'linux') {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      // The second field is the program's name in brackets and may hold anything; the third is the state.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
    } catch {
      return undefined
    }
  }
  const ps = spawnSync('ps', ['-o', 'state=,lstart=', '-p', String(pid)], { encoding: 'utf8' })
  const [state, ...started] = (ps.stdout ?? '').trim().split(/\s+/)
  return state === undefined || state === '' || state.startsWith('Z') ? undefined : started.join(' ')
}

/** Has the folder removed when this process ends without having done it. */
export function removeFolderWhenKilled(folder: string): void {
  tellWatchdog(`folder ${folder}`)
}

/** Everything started so far outlives this process; somebody will stop it by its identity. */
export async function leaveRunning(): Promise<void> {
  const guard = watchdog
  if (guard === undefined) return
  watchdog = undefined
  const ended = once(guard, 'exit')
  guard.ref()
  guard.stdin?.end('release\n')
  await ended
}

/**
 * Asks until `ready` answers true. Throws {@link StackError} with the end of the log when the process ends first or
 * the time is over.
 */
export async function waitUntilReady(
  server: ManagedProcess,
  name: string,
  timeoutMs: number,
  ready: () => Promise<boolean>,
): Promise<void> {
  const deadline = Date.now() + timeoutMs
  let end: string | undefined
  void server.ended.then(reason => {
    end = reason
  })
  while (!(await ready())) {
    const problem = end
      ? `ended with ${end} before it was ready`
      : Date.now() > deadline
        ? `did not answer within ${timeoutMs / 1000} s`
        : undefined
    if (problem) throw new StackError(`${name} ${problem}; the end of its log:\n${logTail(server.logPath)}`)
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}

function logTail(path: string): string {
  return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n')
}

/** Nothing happens where it is gone. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isRunning(identity)) return
  try {
    process.kill(identity.pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

let watchdog: ChildProcess | undefined

function tellWatchdog(line: string): void {
  if (watchdog === undefined) {
    watchdog = spawn(process.execPath, [WATCHDOG], { detached: true, stdio: ['pipe', 'ignore', 'inherit'] })
    // It must not keep its master alive: the pipe closes with the master.
    watchdog.unref()
    ;(watchdog.stdin as unknown as { unref(): void }).unref()
  }
  watchdog.stdin?.write(`${line}\n`)
}
