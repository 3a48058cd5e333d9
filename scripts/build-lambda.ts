/**
 * `npm run build:lambda [-- --out DIR] [--config FILE] [--no-timing]`: the Lambda function as one ES module, `index.mjs`,
 * another for threads that decode, their source maps, and a zip that runs as it is: handler `index.handler`, runtime
 * `nodejs24.x`. A configuration lies beside them as `stream-ingest.yaml`: INGEST_CONFIG names it so. Prints sizes and the time
 * that the function's import takes.
 *
 * The AWS SDK is in it: a function's start is faster so, and its version is the one that was tested.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'
import { type Zippable, zipSync } from 'fflate'
import { bundleOptions, DECODE_THREAD, ROOT } from './bundle.ts'

const ENTRY = join(ROOT, 'packages/stream-ingest/src/lambda/main.ts')
/** Zip entries have a date; one that stays makes the same input the same zip. */
const ZIP_DATE = new Date(1_980, 0, 2)
const IMPORTS_TIMED = 5

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: 'build/lambda' },
    config: { type: 'string' },
    'no-timing': { type: 'boolean', default: false },
  },
})
const out = resolve(ROOT, values.out)
await rm(out, { recursive: true, force: true })
await mkdir(out, { recursive: true })
const bundle = join(out, 'index.mjs')
const files: Zippable = {}
for (const [name, entry] of [
  ['index.mjs', ENTRY],
  // For a function with `processing.workers`.
  ['decode-thread.mjs', DECODE_THREAD],
] as const) {
  await build({ ...bundleOptions(), entryPoints: [entry], outfile: join(out, name), minify: true })
  files[name] = [await readFile(join(out, name)), { level: 9, mtime: ZIP_DATE }]
}
const code = await readFile(bundle)
if (values.config !== undefined) {
  const config = await readFile(resolve(ROOT, values.config))
  await writeFile(join(out, 'stream-ingest.yaml'), config)
  files['stream-ingest.yaml'] = [config, { level: 9, mtime: ZIP_DATE }]
}
const zip = zipSync(files)
await writeFile(join(out, 'lambda.zip'), zip)
print(`${bundle}  ${megabytes(code.length)}`)
print(`${join(out, 'lambda.zip')}  ${megabytes(zip.length)}`)
if (!values['no-timing']) {
  const times = importTimesMs().map(ms => `${ms} ms`)
  print(`import  ${times.join('  ')}`)
}

/** In processes of their own, with a configuration to load, sorted. */
function importTimesMs(): number[] {
  const config = `
kafka: { bootstrap_servers: "localhost:9092", topic: t, consumer_group: g }
local: { path: /tmp }
delta: { table_name: t, schema: [{ name: id, data_type: int64 }] }
`
  const program = `
const startedMs = performance.now()
const { handler } = await import(${JSON.stringify(pathToFileURL(bundle).href)})
if (typeof handler !== 'function') throw new Error('there is no handler')
process.stdout.write(String(Math.round(performance.now() - startedMs)))
`
  const times = Array.from({ length: IMPORTS_TIMED }, () => {
    const child = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
      env: { ...process.env, INGEST_CONFIG: config },
      encoding: 'utf8',
    })
    if (child.status !== 0) throw new Error(`the bundle cannot be imported: ${child.stderr}`)
    return Number(child.stdout)
  })
  return times.sort((a, b) => a - b)
}

function megabytes(sizeBytes: number): string {
  return `${(sizeBytes / 1e6).toFixed(2)} MB`
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
