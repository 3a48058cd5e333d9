import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, test } from 'node:test'
import * as delta from '@stream-ingest/delta'
import type { Command } from 'commander'
import { createProgram } from '../../src/cli/command-line.ts'
import * as product from '../../src/index.ts'
import * as lambda from '../../src/lambda/index.ts'
import * as testing from '../../src/testing/index.ts'
import { commandIo } from '../cli/command-harness.ts'
import {
  allMarkdownPaths,
  anchorsOf,
  documentationPaths,
  type Fence,
  placeOf,
  proseOf,
  ROOT,
  readPage,
} from './markdown-page.ts'

const SHELLS = new Set(['', 'sh', 'bash', 'shell', 'console'])
const MODULES: Readonly<Record<string, object>> = {
  'stream-ingest': product,
  'stream-ingest/lambda': lambda,
  'stream-ingest/testing': testing,
  '@stream-ingest/delta': delta,
}

describe('the pages of the documentation', () => {
  for (const path of allMarkdownPaths()) {
    test(`${path}: every link leads somewhere`, () => {
      const page = readPage(path)
      for (const [, target] of proseOf(page.text).matchAll(/\[[^\]]*\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target!)) continue
        const [file, anchor] = target!.split('#') as [string, string | undefined]
        const found = file === '' ? path : normalize(join(dirname(path), file))
        assert(existsSync(join(ROOT, found)), `${path}: ${target}`)
        if (anchor === undefined || !found.endsWith('.md')) continue
        const anchors = anchorsOf(readFileSync(join(ROOT, found), 'utf8'))
        assert(anchors.has(anchor), `${path}: ${target}; there are ${[...anchors].join(' ')}`)
      }
    })
  }

  test('are all to be found from their index', () => {
    const index = readPage('docs/README.md').text
    const listed = [...index.matchAll(/\]\(([^)#\s]+)\)/g)].map(([, target]) =>
      normalize(join('docs', target!)),
    )
    const decisions = readPage('docs/decisions/README.md').text
    for (const path of documentationPaths()) {
      if (path === 'README.md' || path === 'docs/README.md') continue
      const isListed = path.startsWith('docs/decisions/0')
        ? decisions.includes(path.split('/').at(-1)!)
        : listed.includes(path)
      assert(isListed, path)
    }
  })

  const scripts = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).scripts
  const program = createProgram(commandIo({ stderr: { write: () => true } }), () => {})
  for (const path of documentationPaths()) {
    const page = readPage(path)
    for (const fence of page.fences) {
      const place = placeOf(page, fence)
      if (SHELLS.has(fence.language)) {
        for (const line of commandLines(fence)) {
          test(`${place}: \`${line.slice(0, 60)}\` is a command`, () => assertCommand(line, program, scripts))
        }
      } else if (fence.language === 'json') {
        test(`${place}: is JSON`, () => {
          for (const text of fence.title.endsWith('.ndjson') ? fence.text.trim().split('\n') : [fence.text])
            assert.doesNotThrow(() => JSON.parse(text))
        })
      } else if (fence.language === 'ts') {
        test(`${place}: imports what there is`, () => assertImports(fence.text))
      }
    }
  }
})

/** Those of ours and of npm; continued lines put together, comments left out. */
function commandLines({ text }: Fence): string[] {
  return text
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .flatMap(line => line.split(/\s(?:\||&&|\|\|)\s/))
    .map(line =>
      line
        .replace(/^\$ /, '')
        .replace(/(?:^|\s)#.*$/, '')
        .trim(),
    )
    .filter(line => /^(?:npx |until )?(?:stream-ingest|npm run)\s/.test(line))
    .map(line => line.replace(/\s(?:&|2?>{1,2}\s*\S+|<\s*\S+)(?=\s|$)/g, '').trim())
}

function assertCommand(line: string, program: Command, scripts: Readonly<Record<string, string>>): void {
  const words = wordsOf(line)
  if (words[0] === 'npm') {
    const name = words.find((word, i) => i > 1 && !word.startsWith('-'))
    assert(name !== undefined && name in scripts, line)
    return
  }
  let rest = words.slice(words.indexOf('stream-ingest') + 1)
  let command = program
  for (let sub = subcommand(command, rest[0]); sub !== undefined; sub = subcommand(command, rest[0])) {
    command = sub
    rest = rest.slice(1)
  }
  if (rest[0] === '--help' || rest[0] === '--version') return
  assert(command !== program, `${line}: no such verb`)
  const { operands, unknown } = command.parseOptions([...rest])
  assert.deepEqual(unknown, [], `${line}: unknown options`)
  const allowed = command.registeredArguments
  const isVariadic = allowed.some(argument => argument.variadic)
  assert(isVariadic || operands.length <= allowed.length, `${line}: too many arguments`)
  const needed = allowed.filter(argument => argument.required).length
  assert(operands.length >= needed, `${line}: an argument is missing`)
}

function subcommand(command: Command, word: string | undefined): Command | undefined {
  return command.commands.find(each => each.name() === word || each.aliases().includes(word ?? ''))
}

/** As a shell splits them, quotes taken off. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S+)/g)].map(
    match => match[1] ?? match[2] ?? match[3]!,
  )
}

function assertImports(text: string): void {
  for (const [, names, from] of text.matchAll(/import\s+(?:type\s+)?\{([^}]*)\}\s+from\s+'([^']+)'/g)) {
    const module = MODULES[from!]
    if (module === undefined) continue
    for (const name of names!
      .split(',')
      .map(each => each.trim())
      .filter(each => each !== '' && !each.startsWith('type ')))
      assert(name in module, `\`${from}\` exports no \`${name}\``)
  }
}
