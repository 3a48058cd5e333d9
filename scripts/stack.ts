/**
 * `npm run stack -- up|down|status`: real parts on the loopback interface, for development by hand.
 *
 * @module
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { isRunning, leaveRunning } from './stack/managed-process.ts'
import type { S3ServerKind } from './stack/s3-server.ts'
import { clientEnvironment, type Stack, stackEnvironment, startStack, stopStack } from './stack/stack.ts'
import { PartUnavailableError, StackError } from './stack/stack-error.ts'

const STATE_FILE = fileURLToPath(new URL('../.cache/stack/state.json', import.meta.url))
const USAGE = `usage: npm run stack -- COMMAND
  up [--s3 s3proxy|versitygw]   start Kafka and an S3 server, prepare the readers, print where they are
  status                        say what runs; exit code 1 when nothing does
  status --env                  the same as shell assignments, for \`eval\`: what tests read (SI_TEST_…), and KAFKA, BUCKET
                                and AWS_… for configurations and AWS clients
  down                          stop everything and remove its data
versitygw is built with Go on first use, which takes minutes.
`
const NEXT = `
in this shell:    eval "$(npm run --silent stack -- status --env)"     sets KAFKA, BUCKET and AWS_…
then for example: npm run example
`
const EXIT_FAILURE = 1
const EXIT_USAGE = 64
const S3_KINDS: readonly string[] = ['s3proxy', 'versitygw'] satisfies S3ServerKind[]

async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { s3: { type: 'string' }, env: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  })
  if (values.help) {
    process.stdout.write(USAGE)
    return 0
  }
  if (values.s3 !== undefined && !S3_KINDS.includes(values.s3))
    return usageError(`no S3 server is called \`${values.s3}\`; there are ${S3_KINDS.join(' and ')}`)
  const [command, extra] = positionals
  if (extra !== undefined) return usageError(`one command at a time; \`${extra}\` is left over`)
  switch (command) {
    case 'up':
      return up(values.s3 as S3ServerKind | undefined)
    case 'status':
      return status(values.env ?? false)
    case 'down':
      return down()
    default:
      return usageError(command === undefined ? 'say what to do' : `no command is called \`${command}\``)
  }
}

async function up(s3: S3ServerKind | undefined): Promise<number> {
  const known = readState()
  if (known !== undefined && isWhole(known)) {
    process.stdout.write(`already up\n${description(known)}${NEXT}`)
    return 0
  }
  // What a reboot or a kill left of an earlier one.
  if (known !== undefined) await stopStack(known)
  process.stderr.write('starting Kafka and the S3 server (the first time they are downloaded) …\n')
  const stack = await startStack(s3 ? { s3 } : {})
  writeState(stack)
  await leaveRunning()
  process.stdout.write(`${description(stack)}${NEXT}`)
  return stack.kafka === undefined && stack.s3 === undefined ? EXIT_FAILURE : 0
}

function status(asEnvironment: boolean): number {
  const stack = readState()
  if (stack === undefined) {
    process.stderr.write('not running; `npm run stack -- up` starts it\n')
    return EXIT_FAILURE
  }
  process.stdout.write(asEnvironment ? assignments(stack) : description(stack))
  return isWhole(stack) ? 0 : EXIT_FAILURE
}

async function down(): Promise<number> {
  const stack = readState()
  if (stack === undefined) {
    process.stdout.write('not running\n')
    return 0
  }
  await stopStack(stack)
  rmSync(STATE_FILE, { force: true })
  process.stdout.write('stopped, data removed\n')
  return 0
}

function isWhole(stack: Stack): boolean {
  return [stack.kafka, stack.s3].every(server => server === undefined || isRunning(server.process))
}

function description(stack: Stack): string {
  const lines: [string, string][] = []
  for (const server of [stack.kafka, stack.s3]) {
    if (server === undefined) continue
    const { pid } = server.process
    lines.push([server.name, isRunning(server.process) ? `process ${pid}` : 'ENDED; `down`, then `up`'])
    lines.push(['  log', server.logPath])
  }
  for (const [name, value] of Object.entries(stackEnvironment(stack))) lines.push([name, value])
  for (const part of stack.unavailable) lines.push(['missing', part])
  const width = Math.max(...lines.map(([name]) => name.length))
  return lines.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join('')
}

function assignments(stack: Stack): string {
  return Object.entries({ ...stackEnvironment(stack), ...clientEnvironment(stack) })
    .map(([name, value]) => `export ${name}='${value.replaceAll("'", "'\\''")}'\n`)
    .join('')
}

function readState(): Stack | undefined {
  try {
    return JSON.parse(readFileSync(STATE_FILE, 'utf8')) as Stack
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Holds the S3 server's secret key: for the owner alone. */
function writeState(stack: Stack): void {
  mkdirSync(dirname(STATE_FILE), { recursive: true })
  writeFileSync(`${STATE_FILE}.partial`, JSON.stringify(stack, null, 2), { mode: 0o600 })
  renameSync(`${STATE_FILE}.partial`, STATE_FILE)
}

function usageError(problem: string): number {
  process.stderr.write(`error: ${problem}\n${USAGE}`)
  return EXIT_USAGE
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  const isUsage = (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS')
  if (!isUsage && !(error instanceof StackError) && !(error instanceof PartUnavailableError)) throw error
  process.exitCode = isUsage ? usageError((error as Error).message) : EXIT_FAILURE
  if (!isUsage) process.stderr.write(`error: ${(error as Error).message}\n`)
}
