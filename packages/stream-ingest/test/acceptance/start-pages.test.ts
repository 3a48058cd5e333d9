import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { freePorts } from '../../../../scripts/stack/free-port.ts'
import { ROOT, readPage } from '../docs/markdown-page.ts'
import { type Replacements, sessionScript, shownOutputs } from '../docs/page-session.ts'
import { parts, partsEnvironment, skip } from './real-parts.ts'

/** A session that hangs is killed, and what it has shown so far says where. */
const SESSION_MAX_MS = 5 * 60_000
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024
/** Ports that the pages name; a test takes free ones. */
const PAGE_PORTS = ['9092', '9464']
/** Where a clone keeps what the commands of the pages use. */
const PARTS_OF_A_CLONE = ['package.json', 'node_modules', 'packages', 'scripts']

/** The environment of the independent readers. */
const PYTHON: readonly (readonly [string, string])[] = [
  ['python3 -m venv .venv', `ln -s '${dirname(dirname(parts.python))}' .venv`],
]

suite('the pages of docs/start, typed as they stand', { skip }, () => {
  test('first-table.md: from a clone to rows in DuckDB', async t => {
    await follow(t, 'docs/start/first-table.md', new Map(PYTHON), {})
  })

  test('first-service.md: from a clone to a service that is killed and leaves nothing twice', async t => {
    const environment = { ...partsEnvironment(), AWS_REGION: 'us-east-1' }
    const replacements = new Map([
      ...PYTHON,
      // The parts of this test run, in place of those of `npm run stack`.
      ['npm run stack -- up', ':'],
      ['eval "$(npm run --silent stack -- status --env)"', ':'],
      ['npm run stack -- down', ':'],
    ])
    await follow(t, 'docs/start/first-service.md', replacements, environment)
  })
})

async function follow(
  t: TestContext,
  path: string,
  replacements: Replacements,
  environment: Readonly<Record<string, string>>,
): Promise<void> {
  const page = readPage(path)
  const folder = mkdtempSync(join(tmpdir(), 'stream-ingest-start-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const clone = join(folder, 'clone')
  mkdirSync(clone)
  for (const name of PARTS_OF_A_CLONE) symlinkSync(join(ROOT, name), join(clone, name))
  // Fails where a package that the page names is not there in this version; the network is not asked.
  const pip = ['.venv/bin/pip install ', '.venv/bin/python -m pip install --no-index '] as const
  let script = sessionScript(page, replacements).replaceAll(...pip)
  const ports = await freePorts(PAGE_PORTS.length)
  for (const [index, port] of PAGE_PORTS.entries()) script = script.replaceAll(port, String(ports[index]))
  const scriptPath = join(folder, 'session.sh')
  writeFileSync(scriptPath, script)
  const { code, output } = await bash(scriptPath, clone, { HOME: folder, ...environment })
  assert.equal(code, 0, output)
  for (const shown of shownOutputs(page)) assert.ok(output.includes(shown), `${shown}\n\n${output}`)
}

function bash(
  script: string,
  cwd: string,
  environment: Readonly<Record<string, string>>,
): Promise<{ code: number | null; output: string }> {
  const options = {
    cwd,
    env: { PATH: process.env.PATH, ...environment },
    timeout: SESSION_MAX_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
    killSignal: 'SIGTERM',
  } as const
  return new Promise(resolve => {
    const child = execFile('bash', [script], options, (_error, stdout, stderr) => {
      resolve({ code: child.exitCode, output: `${stdout}\n${stderr}` })
    })
  })
}
