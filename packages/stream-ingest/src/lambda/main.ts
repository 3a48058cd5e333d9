/**
 * The module of a function: `handler` for AWS's runtime, which imports it; started as a program, as in an image of one's
 * own, it serves the Runtime API itself.
 *
 * @module
 */
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { formatDiagnostics } from '../config/diagnostic-format.ts'
import { ConfigError } from '../error.ts'
import { createHandler } from './handler.ts'
import { InvocationError } from './invocation-error.ts'
import type { LambdaHandler } from './lambda-context.ts'
import { runRuntimeLoop } from './runtime-loop.ts'

const api = process.env.AWS_LAMBDA_RUNTIME_API
const isEntry = process.argv[1] !== undefined && isSameFile(process.argv[1], fileURLToPath(import.meta.url))

function isSameFile(a: string, b: string): boolean {
  try {
    return realpathSync(a) === realpathSync(b)
  } catch {
    return false
  }
}

/** As soon as the module is there the configuration is loaded: a bad one fails the start of the function. */
export const handler: LambdaHandler = await makeHandler()

async function makeHandler(): Promise<LambdaHandler> {
  if (!isEntry) return checkedHandler()
  if (api === undefined) {
    process.stderr.write('AWS_LAMBDA_RUNTIME_API is not set: this program runs on AWS Lambda\n')
    process.exit(64)
  }
  try {
    return await runRuntimeLoop(checkedHandler, { api, env: process.env, now: Date.now })
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
    process.exit(1)
  }
}

/** What `validate` would print goes to the log; the error that Lambda passes on has one line. */
async function checkedHandler(): Promise<LambdaHandler> {
  try {
    return await createHandler()
  } catch (error) {
    if (error instanceof ConfigError) process.stderr.write(formatDiagnostics(error.diagnostics))
    throw InvocationError.from(error)
  }
}
