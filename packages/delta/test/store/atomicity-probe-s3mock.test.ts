import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runToSuccess } from '../../../../scripts/stack/installation.ts'
import { s3mockCommand } from '../../../../scripts/stack/s3mock-in-namespace.ts'
import { PartUnavailableError } from '../../../../scripts/stack/stack-error.ts'

const PROVE = fileURLToPath(new URL('prove-s3mock.ts', import.meta.url))
/** The runner starts real parts, or says that it does not. */
const skip = process.env.SI_TEST_S3_ENDPOINT === undefined ? 'no real S3 servers in this run' : false

test('a real server that honours the condition in sequence but not in races is refused', {
  skip,
}, async t => {
  let command: readonly string[]
  try {
    command = await s3mockCommand([process.execPath, '--conditions=source', PROVE])
  } catch (error) {
    if (!(error instanceof PartUnavailableError)) throw error
    return t.skip(error.message)
  }
  const [program, ...args] = command as [string, ...string[]]
  const outcome = await runToSuccess(program, args)
  assert.match(outcome, /^STORE_NOT_ATOMIC: .*http:\/\/127\.0\.0\.1:9090/)
})
