/**
 * Makes a fresh clone ready, then runs a command with the repository's own Node first on PATH.
 *
 *   node scripts/bootstrap.mjs COMMAND [ARGUMENT…]
 *
 * Plain JavaScript without dependencies, because it runs before anything is installed and on Node 20, which cannot
 * run the TypeScript sources; the Node that can comes with the installation.
 *
 * @module
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { constants } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const MODULES = join(ROOT, 'node_modules')
const BIN = join(MODULES, '.bin')
const STAMP = join(MODULES, '.stream-ingest-stamp')
const LOCK = join(ROOT, '.cache', 'install.lock')
const NODE_MIN = 20
const LOCK_POLL_MS = 200
const LOCK_WAIT_MS_MAX = 10 * 60 * 1000
/** A lock without a readable owner is one being taken; after this long it is one left behind. */
const LOCK_UNOWNED_MS_MAX = 5000
const INSTALL_OUTPUT_LINES_MAX = 15
const EXIT_USAGE = 64
const EXIT_UNAVAILABLE = 69
const FORWARDED_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP']
const NETWORK_ERROR =
  /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|ENOTCACHED)\b/

/** A failure with a message for people; anything else is a bug and shows its stack. */
class BootstrapError extends Error {}

async function main(command) {
  if (Number(process.versions.node.split('.')[0]) < NODE_MIN)
    throw new BootstrapError(`Node ${NODE_MIN} or newer is needed to start; this is ${process.versions.node}`)
  if (command.length === 0)
    throw new BootstrapError('name a command to run: `node scripts/bootstrap.mjs COMMAND [ARGUMENT…]`')
  await ensureInstalled()
  return run(command[0], command.slice(1))
}

/** Installs what the lockfile says unless it is installed. Two of these at once take turns. */
async function ensureInstalled() {
  const wanted = manifestHash()
  if (isStamped(wanted)) return
  await takeInstallLock()
  try {
    if (isStamped(wanted)) return
    if (!isTreeAsLocked()) install()
    writeFileSync(STAMP, `${wanted}\n`)
  } finally {
    rmSync(LOCK, { recursive: true, force: true })
  }
}

/** The hash of everything that decides what gets installed. */
function manifestHash() {
  const root = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const files = [
    'package-lock.json',
    'package.json',
    ...root.workspaces.map(folder => join(folder, 'package.json')),
  ]
  const hash = createHash('sha256')
  // The platform is part of it: a folder shared between a laptop and a container holds the binaries of one.
  hash.update(`${process.platform} ${process.arch}\n`)
  for (const file of files) hash.update(`${file}\n`).update(readFileSync(join(ROOT, file)))
  return hash.digest('hex')
}

function isStamped(wanted) {
  return existsSync(STAMP) && readFileSync(STAMP, 'utf8').trim() === wanted
}

/**
 * Whether npm's own record of the installed tree agrees with the lockfile. True after an `npm install` by hand, where
 * installing again would only take the folder away from whoever is using it.
 */
function isTreeAsLocked() {
  const record = join(MODULES, '.package-lock.json')
  if (!existsSync(record) || !existsSync(join(BIN, 'node')) || !existsSync(join(BIN, 'stream-ingest')))
    return false
  const installed = JSON.parse(readFileSync(record, 'utf8')).packages
  const locked = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')).packages
  return Object.entries(locked).every(([path, entry]) => {
    if (!path.includes('node_modules/')) return true
    const found = installed[path]
    if (found === undefined) return entry.optional === true
    return found.version === entry.version && found.integrity === entry.integrity
  })
}

function install() {
  const started = Date.now()
  process.stderr.write('installing dependencies (npm ci) … ')
  // Under `npm run` the same npm is used; its path is in the environment.
  const npm = process.env.npm_execpath
  const [program, first] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []]
  const result = spawnSync(program, [...first, 'ci', '--include=dev', '--no-audit', '--no-fund'], {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, npm_config_loglevel: 'error' },
  })
  if (result.error?.code === 'ENOENT') throw new BootstrapError('`npm` is not on PATH; it comes with Node')
  if (result.error) throw result.error
  if (result.status !== 0) {
    process.stderr.write('failed\n')
    throw new BootstrapError(installFailure(`${result.stdout}${result.stderr}`.trim(), result))
  }
  process.stderr.write(`done in ${Math.round((Date.now() - started) / 1000)} s\n`)
}

/** npm says the cause first, then its manual. */
function installFailure(output, { status, signal }) {
  const lines = output.split('\n').slice(0, INSTALL_OUTPUT_LINES_MAX).join('\n')
  const reason = NETWORK_ERROR.test(output)
    ? 'the package registry cannot be reached; the first run needs the network (or a filled npm cache), later runs do not'
    : output.includes('EUSAGE')
      ? 'package.json and package-lock.json do not agree; `npm install` brings them together'
      : `\`npm ci\` ended with ${signal ?? `exit code ${status}`}`
  return `${reason}\n${lines}`
}

async function takeInstallLock() {
  const deadline = Date.now() + LOCK_WAIT_MS_MAX
  let announced = false
  while (Date.now() < deadline) {
    mkdirSync(join(LOCK, '..'), { recursive: true })
    try {
      mkdirSync(LOCK)
      writeFileSync(join(LOCK, String(process.pid)), '')
      return
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    if (isLockAbandoned()) {
      rmSync(LOCK, { recursive: true, force: true })
      continue
    }
    if (!announced) process.stderr.write('waiting for another installation in this folder\n')
    announced = true
    await new Promise(resolve => setTimeout(resolve, LOCK_POLL_MS))
  }
  throw new BootstrapError(`another installation holds ${LOCK}; remove that folder if none is running`)
}

function isLockAbandoned() {
  try {
    const [owner] = readdirSync(LOCK)
    if (owner === undefined) return Date.now() - statSync(LOCK).mtimeMs > LOCK_UNOWNED_MS_MAX
    process.kill(Number(owner), 0)
    return false
  } catch (error) {
    // ESRCH: its owner is gone. ENOENT: released meanwhile. EPERM: another user's, alive.
    return error.code === 'ESRCH'
  }
}

/** Runs the command in the foreground and returns its exit code (128 + n when a signal ended it). */
function run(program, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: 'inherit',
      env: { ...process.env, PATH: `${BIN}${delimiter}${process.env.PATH ?? ''}` },
    })
    for (const signal of FORWARDED_SIGNALS) {
      process.on(signal, () => {
        // A terminal sends Ctrl-C to the whole foreground group; a second copy would mean "stop at once" to the child.
        if (signal === 'SIGINT' && process.stdin.isTTY) return
        child.kill(signal)
      })
    }
    child.once('error', error =>
      reject(
        error.code === 'ENOENT'
          ? new BootstrapError(`no command \`${program}\` in node_modules/.bin or on PATH`)
          : error,
      ),
    )
    child.once('exit', (code, signal) => resolve(signal ? 128 + constants.signals[signal] : code))
  })
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    process.exitCode = await main(process.argv.slice(2))
  } catch (error) {
    if (!(error instanceof BootstrapError)) throw error
    process.stderr.write(`error: ${error.message}\n`)
    process.exitCode = process.argv.length < 3 ? EXIT_USAGE : EXIT_UNAVAILABLE
  }
}
