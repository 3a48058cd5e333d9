/**
 * Runs a command beside Adobe S3Mock, a server whose `If-None-Match: *` lets several racing writers through:
 *
 *   node scripts/stack/s3mock-in-namespace.ts COMMAND [ARGUMENT…]
 *
 * S3Mock listens on all interfaces and cannot be told otherwise, so both get a network of their own in which there is
 * nothing but the loopback interface (Linux, `unshare --net`). The command finds the server by `SI_TEST_S3MOCK_ENDPOINT`
 * and its one bucket by `SI_TEST_S3MOCK_BUCKET`; any credentials will do.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { mavenClassPath, requireJava, runCommand, runToSuccess } from './installation.ts'
import { startProcess, stopProcess, waitUntilReady } from './managed-process.ts'
import { PartUnavailableError } from './stack-error.ts'

const SELF = fileURLToPath(import.meta.url)
const INSIDE = '--inside-with-class-path'
const BUCKET = 'lake'
/** In a network of its own every port is free. */
const PORT = 9090
const READY_TIMEOUT_MS = 120_000
const PROBE_TIMEOUT_MS = 2000
const EXIT_UNAVAILABLE = 69

/** How to start {@link SELF} around a command, or `PartUnavailableError` where that cannot be done. */
export async function s3mockCommand(command: readonly string[]): Promise<readonly string[]> {
  await requireJava()
  const unshare = ['unshare', '--net', ...(process.getuid?.() === 0 ? [] : ['--map-root-user'])]
  const [program, ...options] = unshare as [string, ...string[]]
  const trial = await runCommand(program, [...options, 'ip', 'link', 'set', 'lo', 'up'])
  if (trial.exitCode !== 0)
    throw new PartUnavailableError(`\`${unshare.join(' ')}\` does not work here: ${trial.stderr.trim()}`)
  const classPath = await mavenClassPath('s3mock', new URL('s3mock/pom.xml', import.meta.url))
  return [...unshare, process.execPath, SELF, INSIDE, classPath, ...command]
}

async function runInside(classPath: string, command: readonly string[]): Promise<number> {
  await runToSuccess('ip', ['link', 'set', 'lo', 'up'])
  const folder = await mkdtemp(join(tmpdir(), 'stream-ingest-s3mock-'))
  const endpoint = `http://127.0.0.1:${PORT}`
  const server = await startProcess({
    command: 'java',
    args: [
      '-Xmx512m',
      '-XX:+UseSerialGC',
      `-Dhttp.port=${PORT}`,
      `-Dcom.adobe.testing.s3mock.store.initialBuckets=${BUCKET}`,
      `-Dcom.adobe.testing.s3mock.store.root=${join(folder, 'data')}`,
      '-cp',
      classPath,
      'com.adobe.testing.s3mock.S3MockApplication',
    ],
    logPath: join(folder, 's3mock.log'),
  })
  try {
    await waitUntilReady(server, 'S3Mock', READY_TIMEOUT_MS, () => hasBucket(endpoint))
    return await runForeground(command, { SI_TEST_S3MOCK_ENDPOINT: endpoint, SI_TEST_S3MOCK_BUCKET: BUCKET })
  } finally {
    await stopProcess(server)
    await rm(folder, { recursive: true, force: true })
  }
}

async function hasBucket(endpoint: string): Promise<boolean> {
  try {
    const response = await fetch(`${endpoint}/${BUCKET}`, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) })
    await response.arrayBuffer()
    return response.ok
  } catch {
    return false
  }
}

function runForeground(command: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const [program, ...args] = command as [string, ...string[]]
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'inherit', env: { ...process.env, ...env } })
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
    child.once('error', reject)
    child.once('exit', (code, signal) => resolve(signal ? 128 + constants.signals[signal] : (code ?? 1)))
  })
}

if (import.meta.main) {
  const [first, ...rest] = process.argv.slice(2)
  if (first === INSIDE) {
    process.exitCode = await runInside(rest[0] as string, rest.slice(1))
  } else {
    try {
      const command = await s3mockCommand(process.argv.slice(2))
      process.exitCode = await runForeground(command, {})
    } catch (error) {
      if (!(error instanceof PartUnavailableError)) throw error
      process.stderr.write(`error: ${error.message}\n`)
      process.exitCode = EXIT_UNAVAILABLE
    }
  }
}
