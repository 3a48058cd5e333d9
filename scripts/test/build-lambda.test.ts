import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { unzipSync } from 'fflate'

const run = promisify(execFile)
const BUILD = fileURLToPath(new URL('../build-lambda.ts', import.meta.url))
/** A function starts faster the less there is to load. */
const BUNDLE_MAX_BYTES = 2_000_000
const CONFIG = `
kafka: { bootstrap_servers: "localhost:9092", topic: t, consumer_group: g }
local: { path: ./lake }
delta: { table_name: t, schema: [{ name: id, data_type: int64 }] }
`

suite('npm run build:lambda', () => {
  let folder = ''
  let out = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'build-lambda-'))
    out = join(folder, 'out')
    const config = join(folder, 'my.yaml')
    await writeFile(config, CONFIG)
    await run(process.execPath, [BUILD, '--out', out, '--config', config, '--no-timing'])
  })
  after(() => rm(folder, { recursive: true, force: true }))

  test('makes a zip of the function, its decoding thread and the configuration, and source maps beside it', async () => {
    const files = unzipSync(await readFile(join(out, 'lambda.zip')))
    assert.deepEqual(Object.keys(files).sort(), ['decode-thread.mjs', 'index.mjs', 'stream-ingest.yaml'])
    assert.equal(Buffer.from(files['stream-ingest.yaml']!).toString('utf8'), CONFIG)
    assert.deepEqual(Buffer.from(files['index.mjs']!), await readFile(join(out, 'index.mjs')))
    const map = JSON.parse(await readFile(join(out, 'index.mjs.map'), 'utf8')) as { sources: string[] }
    assert(map.sources.some(source => source.endsWith('lambda/handler.ts')))
  })

  test('makes a module of less than two megabytes', async () => {
    const { length } = await readFile(join(out, 'index.mjs'))
    assert(length < BUNDLE_MAX_BYTES, `${length} bytes`)
  })

  test('makes a module that needs nothing beside it but its configuration', async () => {
    // Unpacked where no package can be found.
    const alone = join(folder, 'alone')
    await mkdir(alone)
    for (const [name, bytes] of Object.entries(unzipSync(await readFile(join(out, 'lambda.zip'))))) {
      await writeFile(join(alone, name), bytes)
    }
    const program = `
      const { handler } = await import('./index.mjs')
      const error = await handler('a text', { awsRequestId: 'r', getRemainingTimeInMillis: () => 1000 }).catch(e => e)
      process.stdout.write(error.message)`
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program], {
      cwd: alone,
      env: { INGEST_CONFIG: 'stream-ingest.yaml' },
    })
    assert.match(stdout, /LAMBDA_EVENT: the event is not understood: it is a string/)
  })
})
