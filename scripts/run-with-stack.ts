/**
 * Runs a command while real Kafka and a real S3 server are up:
 *
 *   node scripts/run-with-stack.ts [--s3 versitygw] -- COMMAND [ARGUMENT…]
 *
 * The command finds them by the `SI_TEST_…` variables. All of them are needed; a missing one is an error.
 *
 * @module
 */
import { parseArgs } from 'node:util'
import { Foreground } from './foreground.ts'
import type { S3ServerKind } from './stack/s3-server.ts'
import { type Stack, stackEnvironment, startStack, stopStack } from './stack/stack.ts'

const EXIT_USAGE = 64
const EXIT_UNAVAILABLE = 69

async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { s3: { type: 'string' } },
  })
  const [command, ...args] = positionals
  if (command === undefined || !['s3proxy', 'versitygw', undefined].includes(values.s3)) {
    process.stderr.write('usage: run-with-stack [--s3 s3proxy|versitygw] -- COMMAND [ARGUMENT…]\n')
    return EXIT_USAGE
  }
  const foreground = new Foreground()
  const starting = startStack(values.s3 ? { s3: values.s3 as S3ServerKind } : {})
  let stack: Stack | undefined
  try {
    stack = await foreground.unlessInterrupted(starting)
    for (const part of stack?.unavailable ?? []) process.stderr.write(`error: not on this machine: ${part}\n`)
    if (stack === undefined || stack.unavailable.length > 0)
      return foreground.interruptedExitCode ?? EXIT_UNAVAILABLE
    return await foreground.run(command, args, { ...process.env, ...stackEnvironment(stack) })
  } finally {
    if (stack) await stopStack(stack)
    // Half started: what runs already ends with this process.
    else if (foreground.interruptedExitCode !== undefined) process.exit(foreground.interruptedExitCode)
  }
}

process.exitCode = await main(process.argv.slice(2))
