/**
 * `npm test`: formatting and lint, types, then every test in one run, with real Kafka, a real S3 server and independent
 * readers of the tables where they can be had.
 *
 *   npm test                    everything
 *   npm test -- --unit          without the real parts; what needs them says that it is skipped
 *   npm test -- PATH…           these test files or folders alone
 *
 * With `CI=true` a missing part is a failure, and so is a skipped test.
 *
 * @module
 */
import { globSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Foreground } from './foreground.ts'
import { type Stack, stackEnvironment, startStack, stopStack } from './stack/stack.ts'
import { StackError } from './stack/stack-error.ts'
import type { TestTally } from './test-tally.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const TALLY_REPORTER = fileURLToPath(new URL('test-tally.ts', import.meta.url))
const EVERY_TEST = ['packages/*/test/**/*.test.ts', 'scripts/test/**/*.test.ts']
/** A test that hangs is ended, so that its name is known. */
const TEST_TIMEOUT_MS = 10 * 60 * 1000
const EXIT_FAILURE = 1
const EXIT_USAGE = 64

interface Plan {
  readonly testFiles: readonly string[]
  readonly isWhole: boolean
  readonly withRealParts: boolean
  readonly isCi: boolean
}

async function main(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  process.chdir(ROOT)
  const plan = planRun(argv, env)
  if (typeof plan === 'string') {
    process.stderr.write(`error: ${plan}\n`)
    return EXIT_USAGE
  }
  const foreground = new Foreground()
  // Downloading and starting takes a while, which lint and types use. A failure is awaited below, not lost.
  const starting = plan.withRealParts ? startStack() : undefined
  starting?.catch(() => undefined)
  let stack: Stack | undefined
  try {
    const problems = plan.isWhole ? await checkSources(foreground) : []
    if (starting !== undefined) {
      process.stdout.write('\n▶ starting real Kafka, a real S3 server and independent readers\n')
      const started = await foreground.unlessInterrupted(startedOrProblem(starting))
      if (typeof started === 'string') problems.push(started)
      else stack = started
      if (stack) problems.push(...announceParts(stack, plan))
    }
    problems.push(...(await runTests(foreground, plan, stack)))
    return verdict(foreground, problems)
  } finally {
    if (stack) await stopStack(stack)
    // Half started: what runs already ends with this process.
    else if (foreground.interruptedExitCode !== undefined) process.exit(foreground.interruptedExitCode)
  }
}

/** A stack that does not start fails the run, and the tests that do without it still say what they have to say. */
async function startedOrProblem(starting: Promise<Stack>): Promise<Stack | string> {
  try {
    return await starting
  } catch (error) {
    if (!(error instanceof StackError)) throw error
    process.stderr.write(`error: ${error.message}\n`)
    return 'the real parts did not start'
  }
}

/** What to run, or what is wrong with the arguments. */
function planRun(argv: readonly string[], env: NodeJS.ProcessEnv): Plan | string {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { unit: { type: 'boolean' } },
  })
  const isWhole = positionals.length === 0
  const patterns = isWhole ? EVERY_TEST : positionals.map(asPattern)
  const testFiles = globSync(patterns).sort()
  if (testFiles.length === 0) return `no test file matches ${patterns.map(p => `\`${p}\``).join(', ')}`
  return { testFiles, isWhole, withRealParts: !values.unit, isCi: env.CI === 'true' || env.CI === '1' }
}

function asPattern(path: string): string {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
  return isFolder ? join(path, '**/*.test.ts') : path
}

async function checkSources(foreground: Foreground): Promise<string[]> {
  const checks: readonly (readonly [name: string, ...command: string[]])[] = [
    ['formatting and lint', 'biome', 'check', '--error-on-warnings', '.'],
    ['types', 'tsc', '-b'],
  ]
  const problems: string[] = []
  for (const [name, command, ...args] of checks) {
    process.stdout.write(`\n▶ ${name}\n`)
    if ((await foreground.run(command as string, args)) !== 0) problems.push(`${name} did not pass`)
  }
  return problems
}

/** Says what the tests will meet. What is missing is a problem in CI alone. */
function announceParts(stack: Stack, plan: Plan): string[] {
  const present = [
    stack.kafka?.name,
    stack.s3?.name,
    stack.python && 'delta-rs and DuckDB',
    stack.kernelReader && 'Delta Kernel',
  ]
  process.stdout.write(`  ready: ${present.filter(part => part !== undefined).join(', ') || 'none'}\n`)
  for (const part of stack.unavailable)
    process.stdout.write(`  MISSING ${part}; tests that need it are skipped\n`)
  return plan.isCi ? stack.unavailable.map(part => `not on this machine: ${part}`) : []
}

async function runTests(foreground: Foreground, plan: Plan, stack: Stack | undefined): Promise<string[]> {
  process.stdout.write(`\n▶ tests (${plan.testFiles.length} files)\n`)
  const folder = mkdtempSync(join(tmpdir(), 'stream-ingest-test-'))
  const tallyPath = join(folder, 'tally.json')
  const args = [
    '--conditions=source',
    '--test',
    `--test-timeout=${TEST_TIMEOUT_MS}`,
    `--test-reporter=${TALLY_REPORTER}`,
    `--test-reporter-destination=${tallyPath}`,
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    ...plan.testFiles,
  ]
  try {
    const exitCode = await foreground.run('node', args, testEnvironment(stack))
    if (foreground.interruptedExitCode !== undefined) return []
    return tallyProblems(exitCode, JSON.parse(readFileSync(tallyPath, 'utf8')) as TestTally, plan)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The parts of this run alone: what somebody's shell still holds from another stack must not be met by accident. */
function testEnvironment(stack: Stack | undefined): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('SI_TEST_'))
  return { ...Object.fromEntries(kept), ...(stack && stackEnvironment(stack)) }
}

function tallyProblems(exitCode: number, tally: TestTally, plan: Plan): string[] {
  const problems: string[] = []
  if (exitCode !== 0) problems.push(`tests failed: ${tally.failed} of ${tally.tests}`)
  if (tally.tests === 0) problems.push('no test ran')
  if (tally.notRun.length > 0) {
    process.stdout.write(`\n${tally.notRun.length} tests did not run:\n`)
    for (const name of tally.notRun) process.stdout.write(`  ${name}\n`)
    if (plan.isCi && plan.withRealParts) problems.push(`${tally.notRun.length} tests did not run`)
  }
  return problems
}

function verdict(foreground: Foreground, problems: readonly string[]): number {
  if (foreground.interruptedExitCode !== undefined) return foreground.interruptedExitCode
  for (const problem of problems) process.stderr.write(`error: ${problem}\n`)
  return problems.length === 0 ? 0 : EXIT_FAILURE
}

process.exitCode = await main(process.argv.slice(2), process.env)
