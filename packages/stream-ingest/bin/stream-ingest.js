#!/usr/bin/env node
// The command-line entry. Inside the repository it runs the TypeScript sources; an installed package runs its bundle.
import { existsSync } from 'node:fs'

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 22)) {
  process.stderr.write(
    `stream-ingest needs Node 22.22 or newer; this is ${process.versions.node}.\n` +
      'Inside the repository use `npx stream-ingest`, which finds the Node that `npm install` brought.\n',
  )
  process.exit(64)
}

const source = new URL('../src/cli/main.ts', import.meta.url)
if (existsSync(source)) {
  const { registerHooks } = await import('node:module')
  registerHooks({
    resolve: (specifier, context, next) =>
      next(specifier, { ...context, conditions: ['source', ...context.conditions] }),
  })
  await import(source.href)
} else {
  await import('../dist/cli-bundle/main.mjs')
}
