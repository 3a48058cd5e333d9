/**
 * `stream-ingest test`: the tests of configuration files, without Kafka, store or network.
 *
 * @module
 */
import { isDeepStrictEqual } from 'node:util'
import type { ConfigTest } from '../config/config-test.ts'
import { nearestWord } from '../config/suggestion.ts'
import { ConfigError, EXIT_CODES } from '../error.ts'
import { type ConfigTestResult, ConfigTestRunner } from '../pipeline/config-test.ts'
import { type CheckedFile, checkFiles, checkText } from './checked-file.ts'
import { type CommandIo, writeText } from './command-io.ts'
import { updateExpectations } from './expectation-update.ts'
import { formatJsonDocument } from './json-document.ts'
import { replaceFile } from './replace-file.ts'
import { type FileTestResult, formatTestReport, testDocument } from './test-report.ts'
import { formatFindingsJson } from './validate-json.ts'
import { formatText } from './validate-text.ts'

/** Of tests that there are, where none is the one that is asked for. */
const NAMES_SHOWN_MAX = 8

export interface TestOptions {
  /** Only tests whose names hold this text. */
  readonly filter?: string
  /** Only tests of this pipeline. */
  readonly pipeline?: string
  /** Write what came into the files. */
  readonly update?: boolean
  /** Exit as for a failure where there are no tests. */
  readonly denyEmpty?: boolean
  readonly json?: boolean
}

/** What testing needs of the world. */
export type TestIo = Pick<CommandIo, 'stdout' | 'stderr' | 'env' | 'cwd' | 'runtime'>

/**
 * Runs the tests of each file; without any, of what `INGEST_CONFIG` holds, else of `./stream-ingest.yaml`.
 *
 * @returns 0, 1 where a test fails, or 78 where a configuration is invalid, which is said as `validate` says it
 * @throws ConfigError `CONFIG_USAGE` where no test has the name or the pipeline that is asked for, or what is to be
 *   updated is no file; what writing a file throws
 */
export async function testCommand(
  files: readonly string[],
  options: TestOptions,
  io: TestIo,
): Promise<number> {
  const { json = false, update = false } = options
  const checked = await checkFiles(files, io)
  if (checked.some(({ pipelines }) => pipelines === null)) {
    const report = { ok: false, files: checked, skipped: 0 }
    await writeText(io.stdout, json ? formatFindingsJson(report) : formatText(report))
    return EXIT_CODES.config
  }
  const results: FileTestResult[] = []
  for (const file of checked) {
    const came = runTests(file, options, io)
    const updated = update ? await updateFile(file, came, io) : new Set<ConfigTest>()
    for (const each of came) results.push({ ...each, file: file.file, isUpdated: updated.has(each.test) })
  }
  if (results.length === 0) assertNothingMissed(checked, options)
  const isOk = results.every(({ ok, isUpdated }) => ok || isUpdated)
  const isDenied = results.length === 0 && options.denyEmpty === true
  if (json) await writeText(io.stdout, formatJsonDocument(testDocument(results, isOk && !isDenied)))
  else await writeText(io.stdout, results.length === 0 ? formatEmpty(checked) : formatTestReport(results))
  return isOk && !isDenied ? EXIT_CODES.ok : EXIT_CODES.negative
}

function isChosen(
  { name, pipeline }: ConfigTest,
  options: Pick<TestOptions, 'filter' | 'pipeline'>,
): boolean {
  if (options.pipeline !== undefined && pipeline !== options.pipeline) return false
  return options.filter === undefined || name.includes(options.filter)
}

function runTests(
  { tests, pipelines }: CheckedFile,
  options: Pick<TestOptions, 'filter' | 'pipeline'>,
  { runtime }: Pick<TestIo, 'runtime'>,
): ConfigTestResult[] {
  const runner = new ConfigTestRunner(pipelines ?? [], runtime)
  return tests.filter(test => isChosen(test, options)).map(test => runner.run(test))
}

/** Writes what came of the tests that failed. Returns them; none where that cannot be done in place. */
async function updateFile(
  file: CheckedFile,
  results: readonly ConfigTestResult[],
  io: TestIo,
): Promise<ReadonlySet<ConfigTest>> {
  const wrong = results.filter(({ ok, outcome }) => !ok && outcome !== null)
  if (wrong.length === 0) return new Set()
  if (file.path === null) {
    throw new ConfigError('CONFIG_USAGE', `\`${file.file}\` cannot be updated: it is no file`, {
      hint: 'name a file, or leave --update out',
    })
  }
  const text = updateExpectations(file.text, wrong)
  const changed = new Set(wrong.map(({ test }) => test))
  if (text === null || !isUpdate(file, checkText(text, file.file, file.path, io), changed, io)) {
    io.stderr.write(
      `${file.file} is left as it is: what came cannot be written in place, as where an alias stands for several values\n`,
    )
    return new Set()
  }
  await replaceFile(file.path, file.text, text)
  return changed
}

/** Says the new text the same as the old one, but for the tests that failed, which pass? */
function isUpdate(
  before: CheckedFile,
  after: CheckedFile,
  changed: ReadonlySet<ConfigTest>,
  io: Pick<TestIo, 'runtime'>,
): boolean {
  if (!isDeepStrictEqual(after.pipelines, before.pipelines)) return false
  if (after.tests.length !== before.tests.length) return false
  const wasOk = runTests(before, {}, io)
  return runTests(after, {}, io).every(({ test, ok }, i) => {
    const old = before.tests[i]!
    return (
      test.name === old.name &&
      isDeepStrictEqual(test.records, old.records) &&
      ok === (changed.has(old) || wasOk[i]!.ok)
    )
  })
}

/** A name that nothing has is a slip of the keyboard: passing it would hide that nothing was tested. */
function assertNothingMissed(checked: readonly CheckedFile[], { filter, pipeline }: TestOptions): void {
  const tests = checked.flatMap(file => file.tests)
  if (tests.length === 0) return
  const pipelines = tests.map(test => test.pipeline)
  if (pipeline !== undefined && !pipelines.includes(pipeline)) {
    throw nothingCalled('is of the pipeline', pipeline, pipelines)
  }
  const names = tests.filter(test => isChosen(test, pipeline === undefined ? {} : { pipeline }))
  throw nothingCalled(
    'has in its name',
    filter ?? '',
    names.map(({ name }) => name),
  )
}

function nothingCalled(what: string, word: string, names: readonly string[]): ConfigError {
  const near = nearestWord(word, names)
  const listed = [...new Set(names)].slice(0, NAMES_SHOWN_MAX).map(name => `\`${name}\``)
  return new ConfigError('CONFIG_USAGE', `no test ${what} \`${word}\``, {
    hint: near === null ? `there are: ${listed.join(', ')}` : `did you mean \`${near}\`?`,
  })
}

function formatEmpty(checked: readonly CheckedFile[]): string {
  return `no tests in ${checked.map(({ file }) => file).join(', ')}
  = help: add some:

tests:
  - name: a message becomes one row
    input: { payload: { id: 1 } }
    rows: [{ id: 1 }]
`
}
