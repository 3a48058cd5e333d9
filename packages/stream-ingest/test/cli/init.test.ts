import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { TEMPLATE_NAMES } from '../../src/cli/config-template.ts'
import { createJsonSchema } from '../../src/config/json-schema.ts'
import { assertFailure, documentOf, run } from './command-harness.ts'

async function emptyFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'init-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

describe('init', () => {
  for (const template of TEMPLATE_NAMES) {
    test(`writes the configuration \`${template}\`, which has no finding`, async t => {
      const cwd = await emptyFolder(t)
      const written = await run(['init', 'my-lake', '--template', template], { cwd })
      assert.deepEqual([written.exitCode, written.stderr], [0, ''])
      const config = join('my-lake', 'stream-ingest.yaml')
      assert(written.stdout.startsWith(`wrote ${config} and its JSON Schema\n`))
      const validated = await run(['validate', config, '--deny-warnings', '--json'], { cwd })
      assert.deepEqual(documentOf(validated).diagnostics, [])
      assert.equal(validated.exitCode, 0)
    })

    test(`writes tests into \`${template}\` that pass`, async t => {
      const cwd = await emptyFolder(t)
      await run(['init', '--template', template], { cwd })
      const { exitCode, stdout } = await run(['test'], { cwd })
      assert.deepEqual([exitCode, stdout.split('\n').at(-2)], [0, '2 passed, 0 failed'])
    })
  }

  test('ends with the commands that come next, as they are to be typed', async t => {
    const cwd = await emptyFolder(t)
    const { stdout } = await run(['init'], { cwd })
    const commands = [...stdout.matchAll(/^ {2}stream-ingest (.*?)(?: {2,}.*)?$/gm)].map(match => match[1]!)
    assert.deepEqual(
      commands.map(command => command.split(' ')[0]),
      ['validate', 'test', 'run', 'run'],
    )
    for (const command of commands.slice(0, 2))
      assert.equal((await run(command.split(' '), { cwd })).exitCode, 0)
  })

  test('puts the schema of the modeline beside it', async t => {
    const cwd = await emptyFolder(t)
    const { stdout } = await run(['init', '--json'], { cwd })
    assert.deepEqual(JSON.parse(stdout), {
      template: 'local',
      files: [join(cwd, 'stream-ingest.yaml'), join(cwd, 'stream-ingest.schema.json')],
    })
    const [modeline] = (await readFile(join(cwd, 'stream-ingest.yaml'), 'utf8')).split('\n')
    assert.equal(modeline, '# yaml-language-server: $schema=./stream-ingest.schema.json')
    const schema = JSON.parse(await readFile(join(cwd, 'stream-ingest.schema.json'), 'utf8'))
    assert.deepEqual(schema, JSON.parse(JSON.stringify(createJsonSchema())))
  })

  test('leaves a configuration alone that is there, unless it may be overwritten', async t => {
    const cwd = await emptyFolder(t)
    const path = join(cwd, 'stream-ingest.yaml')
    await writeFile(path, 'mine')
    assertFailure(await run(['init', '--json'], { cwd }), {
      exitCode: 73,
      code: 'IO_FILE_EXISTS',
      message: /^`stream-ingest\.yaml` is there already$/,
      hint: /--overwrite/,
    })
    assert.equal(await readFile(path, 'utf8'), 'mine')
    assert.equal((await run(['init', '--overwrite'], { cwd })).exitCode, 0)
    assert.notEqual(await readFile(path, 'utf8'), 'mine')
  })
})

describe('schema', () => {
  test('prints the JSON Schema of the configuration', async () => {
    const { exitCode, stdout } = await run(['schema'])
    assert.equal(exitCode, 0)
    assert.deepEqual(JSON.parse(stdout), JSON.parse(JSON.stringify(createJsonSchema())))
  })
})
