/**
 * `npm run test:lambda`: the tests of the function behind the Runtime API, served by AWS's own client of the managed Node
 * runtime in place of our loop. The client is compiled once (two minutes) and kept in `.cache/stack`.
 *
 * @module
 */
import { access, mkdir } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { Foreground } from './foreground.ts'
import { installOnce, runToSuccess } from './stack/installation.ts'
import { StackError } from './stack/stack-error.ts'

const CLIENT = 'aws-lambda-ric@4.0.2'
/** Of its build, which has a copy of curl in it. */
const BUILD_TOOLS = ['cmake', 'make', 'c++', 'autoconf', 'automake', 'libtoolize']
const TESTS = 'packages/stream-ingest/test/acceptance/lambda'
const EXIT_UNAVAILABLE = 69

async function main(): Promise<number> {
  const foreground = new Foreground()
  let client: string | undefined
  try {
    client = await foreground.unlessInterrupted(installRuntimeClient())
  } catch (error) {
    if (!(error instanceof StackError)) throw error
    process.stderr.write(`error: ${error.message}\n`)
    return EXIT_UNAVAILABLE
  }
  // What is still being compiled ends with this process.
  if (client === undefined) process.exit(foreground.interruptedExitCode)
  return foreground.run('node', ['scripts/test.ts', TESTS], { ...process.env, LAMBDA_RUNTIME_CLIENT: client })
}

/** @returns its module */
async function installRuntimeClient(): Promise<string> {
  const module = join('node_modules', 'aws-lambda-ric', 'index.mjs')
  const folder = await installOnce('lambda-runtime-client', [CLIENT, process.version], async target => {
    const present = await Promise.all(BUILD_TOOLS.map(isOnPath))
    const missing = BUILD_TOOLS.filter((_, i) => !present[i])
    if (missing.length > 0) {
      throw new StackError(
        `to compile ${CLIENT} this machine lacks ${missing.join(', ')} (Debian: \`apt-get install cmake g++ make autoconf automake libtool\`)`,
      )
    }
    process.stdout.write(`compiling ${CLIENT} (once) …\n`)
    await mkdir(join(target, 'node_modules'))
    await runToSuccess('npm', ['install', '--prefix', target, '--no-audit', '--no-fund', CLIENT])
    await access(join(target, module))
  })
  return join(folder, module)
}

async function isOnPath(program: string): Promise<boolean> {
  const found = (process.env.PATH ?? '').split(delimiter).map(folder => access(join(folder, program)))
  return Promise.any(found).then(
    () => true,
    () => false,
  )
}

process.exitCode = await main()
