import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const BOOTSTRAP = fileURLToPath(new URL('../bootstrap.mjs', import.meta.url))

function bootstrap(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [BOOTSTRAP, ...args], { encoding: 'utf8' })
}

test('runs a command with the Node of the repository, whichever Node started it', () => {
  const { stdout, status } = bootstrap('node', '--print', 'process.version')
  assert.match(stdout, /^v24\./)
  assert.equal(status, 0)
})

test('hands on arguments as they are and returns the exit code', () => {
  const { stdout, status } = bootstrap(
    'node',
    '--eval',
    'console.log(process.argv[1]); process.exit(7)',
    'a  b "c"',
  )
  assert.equal(stdout, 'a  b "c"\n')
  assert.equal(status, 7)
})

test('returns 128 and the signal number when a signal ended the command', () => {
  assert.equal(bootstrap('node', '--eval', 'process.kill(process.pid, "SIGTERM")').status, 143)
})

test('hands on a signal, so that the command can end in its own way', async () => {
  const code =
    'process.on("SIGTERM", () => process.exit(5)); setInterval(() => {}, 1000); console.log("ready")'
  const child = spawn(process.execPath, [BOOTSTRAP, 'node', '--eval', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  child.kill('SIGTERM')
  const [exitCode] = await once(child, 'exit')
  assert.equal(exitCode, 5)
})

test('names a command that does not exist', () => {
  const { status, stderr } = bootstrap('no-such-command')
  assert.equal(status, 69)
  assert.match(stderr, /no command `no-such-command`/)
})

test('says how it is used when no command is given', () => {
  const { status, stderr } = bootstrap()
  assert.equal(status, 64)
  assert.match(stderr, /bootstrap\.mjs COMMAND/)
})
