/**
 * What bundles of the product have in common: one tree of modules for Node, in which the Kafka library is its transport
 * alone.
 *
 * @module
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type BuildOptions, build, type Plugin } from 'esbuild'

export const ROOT: string = fileURLToPath(new URL('..', import.meta.url))

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

/** For whoever bundles the pipeline: what `thread-pool.ts` starts, under the name that it looks for. */
export const DECODE_THREAD: string = join(ROOT, 'packages/stream-ingest/src/pipeline/decode-thread.ts')

/**
 * Programs of the product as they are installed: a few modules in a folder of their own, which start in a fraction of the time
 * that the hundreds of modules of the libraries take.
 *
 * @param entries source file by the name of its module
 */
export async function buildInstalled(
  entries: Readonly<Record<string, string>>,
  folder: string,
): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  const options = bundleOptions()
  await build({
    ...options,
    entryPoints: { ...entries, 'decode-thread': DECODE_THREAD },
    outdir: folder,
    // Each verb loads what it needs.
    splitting: true,
    outExtension: { '.js': '.mjs' },
    // Optional companions, which are used where they are installed.
    external: [...(options.external ?? []), '@opentelemetry/api', 'aws-msk-iam-sasl-signer-js'],
  })
}

/** Options of esbuild; entries and places are the caller's. */
export function bundleOptions(): BuildOptions {
  return {
    absWorkingDir: ROOT,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node22',
    conditions: ['source'],
    mainFields: ['module', 'main'],
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
  }
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
