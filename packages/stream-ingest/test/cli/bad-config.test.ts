/** Configurations and command lines that are wrong. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { USER_EVENTS_YAML } from '../config/example-config.ts'
import {
  assertFailure,
  type CommandOptions,
  documentOf,
  type ExpectedFailure,
  type Outcome,
  run,
  SECRET,
} from './command-harness.ts'

async function folderWith(
  t: TestContext,
  files: Readonly<Record<string, string | Uint8Array>>,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'bad-config-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
  return folder
}

const KEY_LINE = /^(\s*(?:- )?)([a-z0-9_]+):(.*)$/

/** The documented configuration with each key misspelled, in a way of its own per `round`: where, and what is meant. */
function misspellAll(round: number): { text: string; expected: Map<string, string> } {
  const expected = new Map<string, string>()
  const lines = USER_EVENTS_YAML.split('\n').map((line, index) => {
    const [, indent, key, rest] = KEY_LINE.exec(line) ?? []
    if (indent === undefined || key === undefined) return line
    expected.set(`${index + 1}:${indent.length + 1}`, key)
    const at = 1 + ((round + index) % (key.length - 1))
    const ways = [key.slice(0, at) + key.slice(at + 1), `${key.slice(0, at)}${key[at]}${key.slice(at)}`]
    const misspelled = key.length > 3 && round % 2 === 0 ? ways[0]! : ways[1]!
    return `${indent}${misspelled === 'topics' ? 'topicc' : misspelled}:${rest}`
  })
  return { text: lines.join('\n'), expected }
}

describe('a configuration with every key misspelled', () => {
  for (let round = 0; round < 6; round++) {
    test(`has the right suggestion for each, in both commands (${round})`, async t => {
      const { text, expected } = misspellAll(round)
      const cwd = await folderWith(t, { 'pipeline.yaml': text })
      const validated = await run(['validate', 'pipeline.yaml', '--json'], { cwd })
      assert.equal(validated.exitCode, 78)
      const { ok, diagnostics } = documentOf(validated) as {
        ok: boolean
        diagnostics: {
          code: string
          line: number
          column: number
          suggestion: string
          help: string
          file: string
        }[]
      }
      assert.equal(ok, false)
      assert.deepEqual(
        new Map(diagnostics.map(each => [`${each.line}:${each.column}`, each.suggestion])),
        expected,
      )
      for (const each of diagnostics) {
        assert.deepEqual([each.code, each.file], ['CONFIG_UNKNOWN_KEY', 'pipeline.yaml'])
        assert.equal(each.help, `did you mean \`${each.suggestion}\`?`)
      }

      const outcome = await run(['run', 'pipeline.yaml', '--json'], { cwd })
      const error = assertFailure(outcome, {
        exitCode: 78,
        kind: 'config',
        code: 'CONFIG_INVALID',
        message: new RegExp(
          `^the configuration \`pipeline.yaml\` has ${expected.size} errors: 1:1 unknown key \`k`,
        ),
        hint: /run `stream-ingest validate`/,
      })
      assert.equal(error.context.errorCount, expected.size)
      // For people: each with its frame, all at once.
      for (const [place, key] of expected) {
        assert(outcome.stderr.includes(`--> pipeline.yaml:${place}\n`), place)
        assert(outcome.stderr.includes(`did you mean \`${key}\`?`), key)
      }
    })
  }
})

describe('a configuration that cannot be read', () => {
  const cases: Readonly<
    Record<
      string,
      { args?: string[]; options?: CommandOptions } & Omit<ExpectedFailure, 'exitCode'> & {
          files?: Readonly<Record<string, string | Uint8Array>>
        }
    >
  > = {
    'there is no such file': {
      code: 'CONFIG_NOT_FOUND',
      message: /^no configuration at `\/.*\/pipeline\.yaml`: the file does not exist$/,
      hint: /name a file, or set INGEST_CONFIG/,
    },
    'none is named, and there is no default': {
      args: ['run', '--json'],
      code: 'CONFIG_NOT_FOUND',
      message: /^no configuration: there is no `stream-ingest\.yaml` here$/,
      hint: /name a file .*INGEST_CONFIG/,
    },
    'it is a folder': {
      args: ['run', 'folder', '--json'],
      code: 'CONFIG_NOT_FOUND',
      message: /^no configuration at `\/.*\/folder`: it is a folder$/,
      hint: /name a file in that folder/,
    },
    'the environment names a file that is not there': {
      args: ['run', '--json'],
      options: { env: { INGEST_CONFIG: '/nowhere/pipeline.yaml' } },
      code: 'CONFIG_NOT_FOUND',
      message: /`\/nowhere\/pipeline\.yaml`: the file does not exist/,
      hint: /./,
    },
    'it is binary': {
      files: { 'pipeline.yaml': Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 0xff, 0xfe, 0x80]) },
      code: 'CONFIG_INVALID',
      message: /^the configuration `.*pipeline\.yaml` is not UTF-8$/,
      hint: /save the file as UTF-8/,
    },
    'it is empty': {
      files: { 'pipeline.yaml': '' },
      code: 'CONFIG_INVALID',
      message:
        /has 3 errors: 1:1 missing section `kafka`; 1:1 missing section `s3` or `local`; 1:1 missing section `delta`$/,
      hint: /validate/,
    },
    'it is a list': {
      files: { 'pipeline.yaml': '- kafka\n- s3\n' },
      code: 'CONFIG_INVALID',
      message: /has 1 error: 1:1 expected .*, found a list/,
      hint: /validate/,
    },
    'it is a number': {
      files: { 'pipeline.yaml': '42\n' },
      code: 'CONFIG_INVALID',
      message: /has 1 error: 1:1 expected .*, found the number 42/,
      hint: /validate/,
    },
    'it is no YAML': {
      files: { 'pipeline.yaml': 'kafka:\n  topic: [a\n s3: {' },
      code: 'CONFIG_INVALID',
      message: /has \d+ errors?: \d+:\d+ /,
      hint: /validate/,
    },
    'it is twenty megabytes': {
      files: { 'pipeline.yaml': Buffer.alloc(20_000_000, 'a') },
      code: 'CONFIG_TOO_LARGE',
      message: /has more than 4194304 bytes$/,
      hint: /split the pipelines/,
    },
    'its aliases grow without end': {
      files: {
        'pipeline.yaml': [
          'a: &a [1,1,1,1,1,1,1,1,1,1]',
          ...['bc', 'cd', 'de', 'ef', 'fg', 'gh', 'hi'].map(
            ([to], i) => `${to}: &${to} [${Array(10).fill(`*${'abcdefgh'[i]}`).join(',')}]`,
          ),
        ].join('\n'),
      },
      code: 'CONFIG_INVALID',
      message: /has more than 100000 values/,
      hint: /validate/,
    },
    'a pipeline is named that it does not have': {
      args: ['run', 'pipeline.yaml', '--pipeline', 'user_event', '--json'],
      files: { 'pipeline.yaml': USER_EVENTS_YAML },
      code: 'CONFIG_USAGE',
      message: /^there is no pipeline `user_event`$/,
      hint: /^did you mean `user_events`\?$/,
    },
  }
  for (const [name, { args, options, files, ...expected }] of Object.entries(cases)) {
    test(name, async t => {
      const cwd = await folderWith(t, files ?? {})
      await mkdir(join(cwd, 'folder'))
      const outcome = await run(args ?? ['run', 'pipeline.yaml', '--json'], { cwd, ...options })
      const exitCode = expected.code === 'CONFIG_USAGE' ? 64 : 78
      assertFailure(outcome, { kind: 'config', retryable: false, ...expected, exitCode })
    })
  }

  test('a secret in it is shown nowhere, whatever else is wrong', async t => {
    const secret = (line: string): string =>
      USER_EVENTS_YAML.replace('auto_offset_reset: "earliest"', `security_protocol: sasl_ssl\n  ${line}`)
    const texts = [
      secret(`sasl: { mechanism: plain, username: me, password: ${SECRET} }`).replace('topic:', 'topc:'),
      secret(`sasl: { mechanism: plain, username: me, pasword: ${SECRET} }`),
      secret(`sasl: { mechanism: plane, username: me, password: ${SECRET} }`),
      secret(`sasl: { mechanism: plain, username: me, password: [${SECRET}] }`),
      secret(`sasl: { mechanism: plain, username: me, password: ${SECRET}`),
      USER_EVENTS_YAML.replace(
        'prefix:',
        `credentials: { access_key_id: AK, secret_acess_key: ${SECRET} }\n  prefix:`,
      ),
    ]
    const cwd = await folderWith(t, Object.fromEntries(texts.map((text, i) => [`${i}.yaml`, text])))
    for (const i of texts.keys()) {
      // The harness looks for it in all that comes out.
      for (const verb of ['validate', 'run']) {
        const outcome = await run([verb, `${i}.yaml`, '--json'], { cwd })
        assert.equal(outcome.exitCode, 78, `${verb} ${i}.yaml`)
        await run([verb, `${i}.yaml`], { cwd })
      }
    }
  })
})

describe('a command line that is wrong', () => {
  const cases: readonly (readonly [args: readonly string[], message: RegExp, hint: RegExp])[] = [
    [['runn'], /^unknown command `runn`$/, /^did you mean `run`\?$/],
    [['valdate', 'x.yaml'], /^unknown command `valdate`$/, /^did you mean `validate`\?$/],
    [['inspect', 'tabel', 'x'], /^unknown command `tabel`$/, /^did you mean `table`\?$/],
    [['consume'], /^unknown command `consume`$/, /--help/],
    [['run', '--until-lastest'], /^unknown option `--until-lastest`$/, /^did you mean `--until-latest`\?$/],
    [['run', '--dryrun'], /^unknown option `--dryrun`$/, /^did you mean `--dry-run`\?$/],
    [['--nope'], /^unknown option `--nope`$/, /--help/],
    [['run', '--for', '10'], /`--for <duration>` argument `10` is invalid.*30s, 10m, 2h$/, /--help/],
    [['run', '--log', 'xml'], /`--log <format>` argument `xml` is invalid.*json, pretty$/, /--help/],
    [['run', 'a.yaml', 'b.yaml'], /too many arguments for `run`/, /--help/],
    [['read'], /^missing required argument `table`$/, /--help/],
    [['read', 'x', '--limit', 'many'], /`--limit <count>` argument `many` is invalid/, /--help/],
    [['read', 'x', '--format', 'parquet'], /argument `parquet` is invalid.*ndjson, table, csv$/, /--help/],
    [['demo', '--rows', '-5'], /`--rows <count>` argument `-5` is invalid/, /--help/],
  ]
  for (const [args, message, hint] of cases) {
    test(args.join(' '), async () => {
      const expected = { exitCode: 64, kind: 'config', code: 'CONFIG_USAGE', message, hint, retryable: false }
      assertFailure(await run([...args, '--json']), expected)
      const forPeople: Outcome = await run(args)
      assert.equal(forPeople.exitCode, 64)
      assert.equal(forPeople.stdout, '')
      assert.match(forPeople.stderr, /^error\[CONFIG_USAGE\]: .*\n {2}= help: .*\n$/)
    })
  }

  test('without a verb shows what there is', async () => {
    for (const args of [[], ['inspect']]) {
      const outcome = await run(args)
      assert.equal(outcome.exitCode, 64)
      assert.match(outcome.stderr, /^Usage: stream-ingest/)
      assert.equal(outcome.stdout, '')
    }
  })

  test('help and version are no failures', async () => {
    for (const args of [['--help'], ['run', '--help'], ['--version']]) {
      const outcome = await run(args)
      assert.equal(outcome.exitCode, 0)
      assert.equal(outcome.stderr, '')
      assert.notEqual(outcome.stdout, '')
    }
  })
})
