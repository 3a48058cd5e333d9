import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  importedPath,
  isBare,
  layerOf,
  outsideWorldReads,
  packageOf,
  shapelessFiles,
  sourceFiles,
  undeclaredImports,
} from '../../../scripts/source-rules.ts'

const files = sourceFiles(new URL('../src/', import.meta.url))

/** What the configuration means, as far as the layers below the pipeline need it; reading it is not their business. */
const CONFIG_MEANING = [
  'config/ingest-config.ts',
  'config/decode-field.ts',
  'config/table-layout.ts',
  'config/merged-layout.ts',
  'config/table-path.ts',
]

/** ARCHITECTURE.md, "Who imports whom": what each layer may import beside its own files. `a/b.ts` allows that file alone. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'index.ts': [
    'cli/local-main.ts',
    'lambda',
    'pipeline',
    'kafka',
    'decode',
    's3',
    'config',
    'observe',
    'error.ts',
  ],
  cli: ['pipeline', 'doctor', 'config', 'observe', 'testing', 'error.ts', 'lint-code.ts'],
  // A message as people see it: an event brings such.
  lambda: ['pipeline', 'config', 'observe', 'kafka/message-batch.ts', 'error.ts'],
  // Looks at every part as the pipeline uses it.
  doctor: ['pipeline', 'kafka', 'delta', 's3', ...CONFIG_MEANING, 'observe/format.ts', 'error.ts'],
  pipeline: [
    'kafka',
    'decode',
    'delta',
    's3',
    'config/config.ts',
    'config/config-test.ts',
    ...CONFIG_MEANING,
    'observe/event.ts',
    'error.ts',
  ],
  kafka: [...CONFIG_MEANING, 'error.ts'],
  decode: [...CONFIG_MEANING, 'error.ts'],
  delta: [...CONFIG_MEANING, 'error.ts'],
  s3: [...CONFIG_MEANING, 'error.ts'],
  config: ['error.ts'],
  observe: ['error.ts'],
  // Shipped for users' tests and for the demo: it speaks the protocol of `kafka`.
  testing: ['kafka', ...CONFIG_MEANING, 'error.ts'],
  'error.ts': ['error-code.ts', 'error-origin.ts'],
  'error-origin.ts': ['error-code.ts'],
  'error-code.ts': ['lint-code.ts'],
  'lint-code.ts': [],
}

/** Libraries that have one home, so that replacing one stays a change in one place. */
const HOME_OF: Readonly<Record<string, readonly string[]>> = {
  '@platformatic/kafka': ['kafka', 'testing'],
  'apache-arrow': ['delta'],
  '@opentelemetry/api': ['observe'],
  commander: ['cli'],
  yaml: ['config'],
}

test('every layer imports only what the import table allows it', () => {
  const problems = files.flatMap(file => {
    const layer = layerOf(file.path)
    const allowed = MAY_IMPORT[layer]
    if (allowed === undefined) return [`${file.path}: there is no layer \`${layer}\` in the import table`]
    return file.imports
      .filter(specifier => specifier.startsWith('.'))
      .map(specifier => importedPath(file, specifier))
      .filter(path => layerOf(path) !== layer && !allowed.includes(layerOf(path)) && !allowed.includes(path))
      .map(path => `${file.path} imports ${path}: \`${layer}\` may import ${allowed.join(', ') || 'nothing'}`)
  })
  assert.deepEqual(problems, [])
})

test('a library with one home is imported there alone', () => {
  const problems = files.flatMap(file =>
    file.imports
      .filter(specifier => isBare(specifier))
      .filter(specifier => HOME_OF[packageOf(specifier)]?.includes(layerOf(file.path)) === false)
      .map(
        specifier => `${file.path} imports \`${specifier}\`, whose home is ${HOME_OF[packageOf(specifier)]}`,
      ),
  )
  assert.deepEqual(problems, [])
})

test('every package that is imported is declared', () => {
  assert.deepEqual(undeclaredImports(files, new URL('../package.json', import.meta.url)), [])
})

test('only the command line and the Lambda handler read the environment, the clock and chance', () => {
  // Public doors: where their caller names no environment, it is the process's.
  const defaults: Readonly<Record<string, readonly string[]>> = {
    'config/config.ts': ['env: Environment = process.env', '{ environment = process.env'],
  }
  const inner = files.map(file => {
    let { text } = file
    for (const allowed of defaults[file.path] ?? []) {
      assert.ok(text.includes(allowed), `${file.path} no longer has \`${allowed}\`: take it out of this list`)
      text = text.replace(allowed, '')
    }
    return { ...file, text }
  })
  assert.deepEqual(outsideWorldReads(inner, ['cli', 'lambda']), [])
})

test('every source file is short and named after what it holds', () => {
  assert.deepEqual(shapelessFiles(files), [])
})
