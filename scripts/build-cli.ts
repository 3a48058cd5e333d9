/**
 * `node scripts/build-cli.ts [--out DIR]`: the command line as installed: bundled in a few modules, which start in a fraction of the time that the hundreds of
 * modules of its libraries take. `npm run build` runs it after the compiler; `dist/cli-bundle` is what the package's
 * binary starts.
 *
 * @module
 */
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { buildInstalled, ROOT } from './bundle.ts'

const PACKAGE = join(ROOT, 'packages/stream-ingest')
const { values } = parseArgs({
  options: { out: { type: 'string', default: join(PACKAGE, 'dist/cli-bundle') } },
})
await buildInstalled({ main: join(PACKAGE, 'src/cli/main.ts') }, resolve(values.out))
