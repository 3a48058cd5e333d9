import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { VERSION } from '../../src/cli/version.ts'

function manifestOf(folder: string): Record<string, unknown> {
  return JSON.parse(readFileSync(new URL(`../../../${folder}/package.json`, import.meta.url), 'utf8'))
}

test('the command line says the version of the package, and the Delta library is of the same release', () => {
  const { version, dependencies } = manifestOf('stream-ingest')
  assert.equal(VERSION, version)
  assert.equal(manifestOf('delta').version, version)
  assert.equal((dependencies as Record<string, string>)['@stream-ingest/delta'], version)
})
