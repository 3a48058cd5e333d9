import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** A folder that exists on somebody's machine alone. */
const MACHINE_PATHS: readonly RegExp[] = [
  /(?<![\w.$}])\/(?:work|root)\//,
  /(?<![\w.$}])\/(?:home|Users)\/[a-z]/,
  /(?<!\w)\.\.\/shared(?:\/|\b)/,
]
const BINARY = /\.(parquet|png|jpg|gz|zst|avro|bin|crc)$/
const PUBLIC_REGISTRY = 'https://registry.npmjs.org/'

test('no tracked file names a folder of the machine it was written on', t => {
  const listing = spawnSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' })
  if (listing.status !== 0) return t.skip('not a git checkout, so nothing is tracked')
  const problems = listing.stdout
    .split('\0')
    .filter(path => path !== '' && !BINARY.test(path) && existsSync(join(ROOT, path)))
    .filter(path => statSync(join(ROOT, path)).isFile())
    .flatMap(path =>
      readFileSync(join(ROOT, path), 'utf8')
        .split('\n')
        .flatMap((line, index) =>
          MACHINE_PATHS.some(pattern => pattern.test(line)) ? [`${path}:${index + 1}: ${line.trim()}`] : [],
        ),
    )
  assert.deepEqual(problems, [])
})

test('the lockfile takes every package from the public registry', () => {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'))
  const elsewhere = Object.values(packages as Record<string, { resolved?: string; link?: boolean }>)
    .filter(entry => entry.resolved !== undefined && entry.link !== true)
    .filter(entry => !entry.resolved?.startsWith(PUBLIC_REGISTRY))
  assert.deepEqual(elsewhere, [])
})

test('the lockfile knows the binaries of every platform, so that it installs on each', () => {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'))
  const paths = Object.keys(packages)
  const missing = paths.flatMap(path =>
    Object.keys(packages[path].optionalDependencies ?? {})
      .filter(name => !paths.some(known => known.endsWith(`node_modules/${name}`)))
      .map(name => `${path} lacks ${name}`),
  )
  assert.deepEqual(missing, [])
})

test('every dependency is pinned to one version', () => {
  const manifests = ['package.json', 'packages/delta/package.json', 'packages/stream-ingest/package.json']
  const loose = manifests.flatMap(path => {
    const { dependencies = {}, devDependencies = {} } = JSON.parse(readFileSync(join(ROOT, path), 'utf8'))
    return Object.entries({ ...dependencies, ...devDependencies })
      .filter(([, version]) => !/^\d+\.\d+\.\d+/.test(version as string))
      .map(([name, version]) => `${path}: ${name} ${version}`)
  })
  assert.deepEqual(loose, [])
})
