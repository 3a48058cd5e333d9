import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

/** Of other implementations, each with the threads in which their users met it. */
const MISTAKES = 56

test('each mistake of others has one test with its number, and names where it was met', () => {
  const folder = fileURLToPath(new URL('.', import.meta.url))
  const names = globSync('*.test.ts', { cwd: folder }).flatMap(file =>
    [...readFileSync(join(folder, file), 'utf8').matchAll(/test\(\s*'(\d+): ([^']*)'/g)].map(
      m => [Number(m[1]), m[2]!] as const,
    ),
  )
  assert.deepEqual(
    names.map(([number]) => number).toSorted((a, b) => a - b),
    Array.from({ length: MISTAKES }, (_, i) => i + 1),
  )
  assert.deepEqual(
    names.filter(([, name]) => !/#\d+/.test(name)),
    [],
  )
})
