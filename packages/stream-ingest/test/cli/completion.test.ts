import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { createProgram } from '../../src/cli/command-line.ts'
import { listCommands } from '../../src/cli/command-tree.ts'
import { completionScript } from '../../src/cli/completion.ts'
import { SHELLS } from '../../src/cli/completion-shell.ts'
import { allErrorCodes } from '../../src/cli/error-reference.ts'
import { commandIo, run } from './command-harness.ts'

const program = createProgram(commandIo({ stderr: { write: () => true } }), () => {})
const folder = mkdtempSync(join(tmpdir(), 'stream-ingest-completion-'))
after(() => rmSync(folder, { recursive: true, force: true }))

/** Not every machine has every shell; what has to hold for all of them is tested without any. */
function isHere(shell: string): boolean {
  return spawnSync(shell, ['-c', 'true']).status === 0
}

function scriptFile(shell: (typeof SHELLS)[number]): string {
  const path = join(folder, shell)
  writeFileSync(path, completionScript(shell, program))
  return path
}

function outputOf(shell: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(shell, args, { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  assert.equal(stderr, '')
  return stdout
}

/** What bash offers at the end of a line that was typed so far. */
function offeredByBash(line: string): string[] {
  const words = line.split(' ')
  const assigned = words.map(word => `'${word}'`).join(' ')
  const script = `source '${scriptFile('bash')}'; COMP_WORDS=(${assigned}); COMP_CWORD=${words.length - 1}
    _stream_ingest; printf '%s\\n' "\${COMPREPLY[@]}"`
  return outputOf('bash', ['--norc', '-c', script])
    .split('\n')
    .filter(word => word !== '')
    .sort()
}

suite('stream-ingest completion', () => {
  test('prints the script of each shell, and refuses others', async () => {
    for (const shell of SHELLS) {
      const { stdout, exitCode } = await run(['completion', shell])
      assert.equal(exitCode, 0)
      assert.equal(stdout, completionScript(shell, program))
    }
    const { exitCode, stderr } = await run(['completion', 'tcsh'])
    assert.equal(exitCode, 64)
    assert.match(stderr, /bash, zsh, fish/)
  })

  test('knows every verb and every option, for every shell', () => {
    for (const shell of SHELLS) {
      const script = completionScript(shell, program)
      for (const { words, options } of listCommands(program)) {
        assert.ok(script.includes(words), `${shell}: ${words}`)
        for (const { long } of options) {
          const name = shell === 'fish' ? ` -l ${long?.slice(2)} ` : long
          assert.ok(script.includes(name ?? ''), `${shell}: ${words} ${long}`)
        }
      }
    }
  })
})

if (isHere('bash')) {
  suite('completion in bash', () => {
    test('is a script without errors', () => {
      assert.equal(outputOf('bash', ['-n', scriptFile('bash')]), '')
    })

    test('offers the verbs, and those below a verb', () => {
      const verbs = program.commands.map(command => command.name()).sort()
      assert.deepEqual(offeredByBash('stream-ingest '), verbs)
      assert.deepEqual(offeredByBash('stream-ingest val'), ['validate'])
      assert.deepEqual(offeredByBash('stream-ingest inspect '), ['table', 'topic'])
      assert.deepEqual(offeredByBash('stream-ingest offsets s'), ['set', 'show'])
    })

    test('offers the options of the verb that is typed, wherever it stands', () => {
      assert.deepEqual(offeredByBash('stream-ingest run a.yaml --until'), ['--until-latest'])
      assert.deepEqual(offeredByBash('stream-ingest inspect table ./lake --o'), ['--offsets'])
      assert.deepEqual(offeredByBash('stream-ingest validate --until'), [])
    })

    test('offers the values of an option, codes, and shells', () => {
      assert.deepEqual(offeredByBash('stream-ingest init --template '), ['local', 'msk', 's3'])
      assert.deepEqual(offeredByBash('stream-ingest run --log j'), ['json'])
      assert.deepEqual(offeredByBash('stream-ingest completion '), [...SHELLS].sort())
      const ofTopics = allErrorCodes().filter(code => code.startsWith('KAFKA_TOPIC_'))
      assert.deepEqual(offeredByBash('stream-ingest explain KAFKA_TOPIC_'), ofTopics)
    })

    test('leaves files to the shell', () => {
      assert.deepEqual(offeredByBash('stream-ingest run '), [])
      assert.deepEqual(offeredByBash('stream-ingest demo --dir '), [])
    })
  })
}

if (isHere('zsh')) {
  suite('completion in zsh', () => {
    test('is a script without errors', () => {
      assert.equal(outputOf('zsh', ['-f', '-n', scriptFile('zsh')]), '')
    })

    test('loads, and offers verbs with what they do', () => {
      // `_describe` stands in for the line editor, which a test has not.
      const script = `compdef() { :; }; source '${scriptFile('zsh')}'
      _describe() { print -rl -- "\${(@P)@[-1]}"; }
      words=(stream-ingest inspect ''); CURRENT=3; _stream_ingest`
      const offered = outputOf('zsh', ['-f', '-c', script]).trim().split('\n')
      assert.deepEqual(
        offered.map(entry => entry.split(':')[0]),
        ['table', 'topic'],
      )
    })
  })
}

if (isHere('fish')) {
  suite('completion in fish', () => {
    test('offers verbs, options and values', () => {
      const offered = (line: string): string[] =>
        outputOf('fish', ['--no-config', '-c', `source '${scriptFile('fish')}'; complete -C '${line}'`])
          .split('\n')
          .map(entry => entry.split('\t')[0] as string)
          .filter(word => word !== '')
      assert.ok(offered('stream-ingest ').includes('validate'))
      assert.deepEqual(offered('stream-ingest inspect '), ['table', 'topic'])
      assert.deepEqual(offered('stream-ingest run --until'), ['--until-latest'])
      assert.deepEqual(offered('stream-ingest init --template m'), ['msk'])
    })
  })
}
