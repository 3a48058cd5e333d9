import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Command } from 'commander'
import { createProgram } from '../../src/cli/command-line.ts'
import { EXAMPLES } from '../../src/cli/help.ts'
import { commandIo, run } from './command-harness.ts'

const silent = commandIo({ stderr: { write: () => true } })

/** Every verb with the words that name it, groups of verbs left out. */
function verbs(command: Command, words = ''): Map<string, Command> {
  if (command.commands.length === 0) return new Map([[words, command]])
  return new Map(command.commands.flatMap(sub => [...verbs(sub, `${words} ${sub.name()}`.trim())]))
}

suite('the help', () => {
  test('shows what somebody new needs first, and the rest under More', async () => {
    const { stdout, exitCode } = await run(['--help'])
    assert.equal(exitCode, 0)
    const first = stdout.slice(stdout.indexOf('Commands:'), stdout.indexOf('More:'))
    for (const verb of ['demo', 'init', 'validate', 'doctor', 'run', 'status'])
      assert.match(first, new RegExp(`^ {2}${verb} `, 'm'))
    assert.doesNotMatch(first, /^ {2}vacuum /m)
    assert.match(stdout.slice(stdout.indexOf('More:')), /^ {2}vacuum /m)
  })

  test('is what comes without a verb, with the exit code of a wrong command line', async () => {
    const { stderr, exitCode } = await run([])
    assert.equal(exitCode, 64)
    assert.match(stderr, /^Usage: stream-ingest /)
    assert.match(stderr, /First steps:\n {2}stream-ingest demo /)
  })

  test('has examples of every verb, and of no other', () => {
    assert.deepEqual([...verbs(createProgram(silent, () => {})).keys()].sort(), Object.keys(EXAMPLES).sort())
  })

  for (const [words, examples] of Object.entries(EXAMPLES)) {
    test(`of \`${words}\` has examples that are understood as they stand`, async () => {
      const { stdout } = await run([...words.split(' '), '--help'])
      for (const [example, meaning] of examples) {
        assert.ok(stdout.includes(`  stream-ingest ${example} `), stdout)
        assert.ok(stdout.includes(meaning))
        assert.ok(`${example} `.startsWith(`${words} `), example)
        const program = createProgram(silent, () => {})
        let understood = false
        verbs(program)
          .get(words)!
          .action(() => {
            understood = true
          })
        await program.parseAsync(example.split(' '), { from: 'user' })
        assert.ok(understood, example)
      }
    })
  }
})
