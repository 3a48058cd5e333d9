/**
 * `npm run build:lambda [-- --out DIR] [--config FILE] [--no-timing]`: the Lambda function as one ES module, `index.mjs` with
 * its source map, and a zip of it that runs as it is: handler `index.handler`, runtime `nodejs24.x`. A configuration lies
 * beside it as `stream-ingest.yaml`: INGEST_CONFIG names it so. Prints sizes and the time that its import takes.
 *
 * The AWS SDK is in it: a function's start is faster so, and its version is the one that was tested.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { build, type Plugin } from 'esbuild'
import { type Zippable, zipSync } from 'fflate'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const ENTRY = join(ROOT, 'packages/stream-ingest/src/lambda/main.ts')
/** Zip entries have a date; one that stays makes the same input the same zip. */
const ZIP_DATE = new Date(1_980, 0, 2)
const IMPORTS_TIMED = 5

/** Stands in for the validator: the library's clients would call it, and none is in the bundle. */
const NO_VALIDATION = `
export class Ajv2020 {
  addKeyword() {}
  compile() {
    return () => {
      throw new Error('clients of the Kafka library are not in the bundle')
    }
  }
}
`

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
await build({
  absWorkingDir: ROOT,
  entryPoints: [ENTRY],
  outfile: bundle,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node22',
  conditions: ['source'],
  mainFields: ['module', 'main'],
  minify: true,
  sourcemap: true,
  sourcesContent: false,
  // The other one reads its WASM from a file beside it.
  alias: { '@platformatic/wasm-utils': '@platformatic/wasm-utils/bundled' },
  plugins: [transportAlone()],
  // A native package, which is used where it is installed.
  external: ['@node-rs/crc32'],
  banner: {
    js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);",
  },
  legalComments: 'none',
  logLevel: 'warning',
})
const code = await readFile(bundle)
const files: Zippable = { 'index.mjs': [code, { level: 9, mtime: ZIP_DATE }] }
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

/**
 * Of the Kafka library only the transport and the protocol are used. Its index loads its clients and registries too, which
 * compile dozens of schemas; declared as modules without side effects, those fall away. What is left of them compiles the
 * schema of a client's options, and of schemas themselves: a fifth of the time that the import of the bundle takes.
 */
function transportAlone(): Plugin {
  const isPure = { sideEffects: false }
  return {
    name: 'transport-alone',
    setup(bundler) {
      bundler.onResolve({ filter: /^ajv\/dist\/2020\.js$/ }, ({ path }) => ({
        path,
        namespace: 'no-validation',
      }))
      bundler.onLoad({ filter: /./, namespace: 'no-validation' }, () => ({ contents: NO_VALIDATION }))
      bundler.onResolve({ filter: /./ }, async ({ path, pluginData, ...rest }) => {
        const isOurs = path === '@platformatic/kafka' || rest.importer.includes('/@platformatic/kafka/dist/')
        if (!isOurs || pluginData?.isResolved === true) return undefined
        const { kind, importer, namespace, resolveDir } = rest
        const found = await bundler.resolve(path, {
          kind,
          importer,
          namespace,
          resolveDir,
          pluginData: { isResolved: true },
        })
        return found.path.includes('/@platformatic/kafka/dist/') ? { ...found, ...isPure } : found
      })
    },
  }
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
