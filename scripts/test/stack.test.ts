import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { freePorts } from '../stack/free-port.ts'
import {
  isRunning,
  type ProcessIdentity,
  startProcess,
  startTimeOf,
  stopProcess,
  waitUntilReady,
} from '../stack/managed-process.ts'
import { StackError } from '../stack/stack-error.ts'

const MASTER = fileURLToPath(new URL('master.ts', import.meta.url))

test('a server ends when it is asked to', async t => {
  const server = await startNode(t, 'process.stdin.resume(); setInterval(() => {}, 1000)')
  assert.equal(isRunning(server), true)
  await stopProcess(server)
  assert.equal(isRunning(server), false)
  assert.match(await server.ended, /SIGTERM/)
})

test('a process that only shares its id with a server is left alone', async t => {
  const server = await startNode(t, 'setInterval(() => {}, 1000)')
  const namesake: ProcessIdentity = { pid: server.pid, startTime: 'another time' }
  await stopProcess(namesake)
  assert.equal(isRunning(server), true)
  await stopProcess(server)
})

test('a server that ends instead of getting ready is reported with the end of its log', async t => {
  const server = await startNode(t, 'console.error("port is taken"); process.exit(3)')
  await assert.rejects(
    waitUntilReady(server, 'the server', 60_000, async () => false),
    (error: Error) =>
      error instanceof StackError && /exit code 3/.test(error.message) && /port is taken/.test(error.message),
  )
})

test('a program that does not exist is reported by name', async t => {
  const logPath = join(temporaryFolder(t), 'log')
  await assert.rejects(
    startProcess({ command: 'no-such-program', args: [], logPath }),
    /`no-such-program` cannot be started/,
  )
})

test('servers and their folder do not outlive a master that is killed', async t => {
  const folder = temporaryFolder(t)
  const data = join(folder, 'data')
  const { master, server } = await startMaster(data, folder)
  assert.equal(isRunning(server), true)
  const gone = removalOf(folder, data)
  master.kill('SIGKILL')
  await gone
  assert.equal(isRunning(server), false)
})

test('what a master leaves running outlives it', async t => {
  const folder = temporaryFolder(t)
  const { master, server } = await startMaster(join(folder, 'data'), folder, '--leave-running')
  if (master.exitCode === null) await once(master, 'exit')
  assert.equal(isRunning(server), true)
  await stopProcess(server)
})

test('free ports are different ones', async () => {
  const ports = await freePorts(20)
  assert.equal(new Set(ports).size, 20)
})

test('there is no start time of a process that does not exist', () => {
  assert.equal(typeof startTimeOf(process.pid), 'string')
  assert.equal(startTimeOf(0x7fffffff), undefined)
})

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'stream-ingest-stack-test-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function startNode(t: TestContext, code: string): ReturnType<typeof startProcess> {
  const logPath = join(temporaryFolder(t), 'log')
  writeFileSync(logPath, '')
  return startProcess({ command: process.execPath, args: ['--eval', code], logPath })
}

/** Another process that starts a server and says which one. */
async function startMaster(
  data: string,
  folder: string,
  ...options: string[]
): Promise<{ master: ChildProcess; server: ProcessIdentity }> {
  const master = spawn(process.execPath, [MASTER, data, join(folder, 'log'), ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for await (const line of createInterface({ input: master.stdout as NodeJS.ReadableStream }))
    return { master, server: JSON.parse(line) as ProcessIdentity }
  throw new Error(`the master said nothing; its log: ${readFileSync(join(folder, 'log'), 'utf8')}`)
}

async function removalOf(folder: string, entry: string): Promise<void> {
  const watcher = watch(folder)
  while (existsSync(entry)) await once(watcher, 'change')
  watcher.close()
}
