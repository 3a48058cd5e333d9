/**
 * Writes the pages and files that derive from declarations in the sources. A test fails where they are stale.
 *
 * Usage: node --conditions=source scripts/generate-docs.mjs
 */
import { execFileSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

const root = new URL('../', import.meta.url)
const { createReference } = await import('../packages/stream-ingest/src/config/reference.ts')
const { createJsonSchema } = await import('../packages/stream-ingest/src/config/json-schema.ts')
const { createErrorReference } = await import('../packages/stream-ingest/src/cli/error-reference.ts')
const { createCommandReference } = await import('../packages/stream-ingest/src/cli/command-reference.ts')
const { createProgram } = await import('../packages/stream-ingest/src/cli/command-line.ts')
const { createMetricReference } = await import('../packages/stream-ingest/src/cli/metric-reference.ts')

await mkdir(new URL('docs/reference/', root), { recursive: true })
await writeFile(new URL('docs/reference/config.md', root), createReference())
// Nothing is run: only the definitions are looked at.
const program = createProgram({}, () => {})
await writeFile(new URL('docs/reference/cli.md', root), createCommandReference(program))
await writeFile(new URL('docs/reference/errors.md', root), createErrorReference())
await writeFile(new URL('docs/reference/metrics.md', root), createMetricReference())
const schemaFile = new URL('docs/reference/config.schema.json', root)
await writeFile(schemaFile, `${JSON.stringify(createJsonSchema(), null, 2)}\n`)
const biome = fileURLToPath(new URL('node_modules/@biomejs/biome/bin/biome', root))
execFileSync(process.execPath, [biome, 'format', '--write', fileURLToPath(schemaFile)], { stdio: 'ignore' })
