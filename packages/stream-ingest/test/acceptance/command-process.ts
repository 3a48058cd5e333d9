/**
 * Any verb of the command line in a process of its own, to its end.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseJson } from '@stream-ingest/delta'
import { partsEnvironment } from './real-parts.ts'

const ENTRY = fileURLToPath(new URL('../../bin/stream-ingest.js', import.meta.url))
/** A process that hangs is killed, so that its exit code says so. */
const RUN_MAX_MS = 2 * 60_000

export interface CommandEnd {
  /** Null where a signal ended it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export function runCommand(words: readonly string[]): Promise<CommandEnd> {
  const options = {
    env: { PATH: process.env.PATH, ...partsEnvironment() },
    timeout: RUN_MAX_MS,
    killSignal: 'SIGKILL',
  } as const
  return new Promise(resolve => {
    const child = execFile(process.execPath, [ENTRY, ...words], options, (_error, stdout, stderr) => {
      resolve({ code: child.exitCode, stdout, stderr })
    })
  })
}

/** The one document that `--json` prints. */
export async function documentOfCommand<Document>(
  words: readonly string[],
  expectedCode = 0,
): Promise<Document> {
  const { code, stdout, stderr } = await runCommand([...words, '--json'])
  assert.equal(code, expectedCode, `${stdout}\n${stderr}`)
  return parseJson(stdout) as Document
}
