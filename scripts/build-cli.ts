/**
 * `node scripts/build-cli.ts [--out DIR]`: the command line as installed: bundled in a few modules, which start in a fraction of the time that the hundreds of
 * modules of its libraries take. `npm run build` runs it after the compiler; `dist/cli-bundle` is what the package's
 * binary starts.
 *
 * @module
 */
import { rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'
import { bundleOptions, ROOT } from './bundle.ts'

const PACKAGE = join(ROOT, 'packages/stream-ingest')
const { values } = parseArgs({
  options: { out: { type: 'string', default: join(PACKAGE, 'dist/cli-bundle') } },
})
const out = resolve(values.out)

await rm(out, { recursive: true, force: true })
const options = bundleOptions()
await build({
  ...options,
  entryPoints: {
    main: join(PACKAGE, 'src/cli/main.ts'),
    // Started as a thread by whichever module has `thread-pool.ts`.
    'decode-thread': join(PACKAGE, 'src/pipeline/decode-thread.ts'),
  },
  outdir: out,
  // Each verb loads what it needs.
  splitting: true,
  outExtension: { '.js': '.mjs' },
  // Optional companions, which are used where they are installed.
  external: [...(options.external ?? []), '@opentelemetry/api', 'aws-msk-iam-sasl-signer-js'],
})
