import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { suite, test } from 'node:test'
import { createProgram } from '../../src/cli/command-line.ts'
import { createCommandReference } from '../../src/cli/command-reference.ts'
import { listCommands } from '../../src/cli/command-tree.ts'
import { EXIT_CODES } from '../../src/error.ts'
import { commandIo } from './command-harness.ts'

const program = createProgram(commandIo({ stderr: { write: () => true } }), () => {})
const page = createCommandReference(program)

/** What stands under a heading, up to the next one. */
function section(heading: string): string {
  const from = page.indexOf(`\n## ${heading}\n`)
  assert.notEqual(from, -1, heading)
  const to = page.indexOf('\n## ', from + 1)
  return page.slice(from, to === -1 ? undefined : to)
}

suite('the page of the command line', () => {
  test('is the file of the documentation', async () => {
    const file = await readFile(new URL('../../../../docs/reference/cli.md', import.meta.url), 'utf8')
    assert.equal(file, page, 'run `node --conditions=source scripts/generate-docs.mjs`')
  })

  for (const { words, command } of listCommands(program)) {
    if (words === '' || command.commands.length > 0) continue
    test(`names every argument and option of \`${words}\`, and shows it in use`, () => {
      const text = section(words)
      for (const argument of command.registeredArguments) assert.ok(text.includes(argument.description), text)
      for (const option of command.options) {
        assert.ok(text.includes(`| \`${option.flags}\` | ${option.description}`), option.flags)
        for (const choice of option.argChoices ?? []) assert.ok(text.includes(`\`${choice}\``), choice)
      }
      assert.ok(text.includes(`\nstream-ingest ${words}`), text)
    })
  }

  test('names every exit code', () => {
    const text = section('Exit codes')
    for (const code of Object.values(EXIT_CODES)) assert.ok(text.includes(`\n| ${code} | `), String(code))
  })
})
