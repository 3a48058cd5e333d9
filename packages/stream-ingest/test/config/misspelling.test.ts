import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { checkConfigText } from '../../src/config/config.ts'
import { ALL_SECTIONS, rootSection } from '../../src/config/read-config.ts'
import type { AnySection } from '../../src/config/section.ts'
import { USER_EVENTS_YAML } from './example-config.ts'

/** Inserted letters: each place gets its neighbour twice, and these. */
const INSERTED = ['e', 'x', '_']

/** Every deletion and swap of neighbours, and insertions, that give another word. */
function misspell(word: string): string[] {
  const found = new Set<string>()
  for (let at = 0; at < word.length; at++) {
    found.add(word.slice(0, at) + word.slice(at + 1))
    if (at > 0) found.add(word.slice(0, at - 1) + word[at] + word[at - 1] + word.slice(at + 1))
    for (const letter of [word[at], ...INSERTED]) found.add(word.slice(0, at) + letter + word.slice(at))
  }
  found.delete(word)
  found.delete('')
  return [...found]
}

/** A text that holds nothing but this key of this section, and the line and column of the key. */
function isolate(spec: AnySection, key: string): { text: string; line: number; column: number } {
  const path = spec.name === '' ? [] : spec.name.split('.')
  if (spec.name === 'delta.schema') {
    return { text: `delta:\n  schema:\n    - ${key}: 1\n`, line: 3, column: 7 }
  }
  if (spec.name === 'tests.*') return { text: `tests:\n  - ${key}: 1\n`, line: 2, column: 5 }
  if (path[0] === 'tests') return { text: `tests:\n  - ${path[1]}:\n      ${key}: 1\n`, line: 3, column: 7 }
  const lines = path.map((name, depth) => `${'  '.repeat(depth)}${name === '*' ? 'some_name' : name}:`)
  const indent = '  '.repeat(path.length)
  return {
    text: `${[...lines, `${indent}${key}: 1`].join('\n')}\n`,
    line: path.length + 1,
    column: indent.length + 1,
  }
}

function suggestionFor(spec: AnySection, misspelled: string): string | null | undefined {
  const { text, line, column } = isolate(spec, misspelled)
  const finding = checkConfigText(text, { environment: {} }).diagnostics.find(
    each => each.code === 'CONFIG_UNKNOWN_KEY' && each.line === line && each.column === column,
  )
  return finding?.suggestion
}

describe('a misspelled key', () => {
  test('is told apart from every other key of every section', t => {
    let count = 0
    const wrong: string[] = []
    for (const spec of [rootSection as AnySection, ...ALL_SECTIONS]) {
      const keys = Object.keys(spec.fields)
      for (const key of keys.filter(each => each.length > 3)) {
        for (const misspelled of misspell(key).filter(each => !keys.includes(each))) {
          const suggestion = suggestionFor(spec, misspelled)
          count += 1
          if (suggestion !== key) wrong.push(`${spec.name}.${misspelled} → ${suggestion}, not ${key}`)
        }
      }
    }
    const rate = (100 * (count - wrong.length)) / count
    t.diagnostic(`${count - wrong.length} of ${count} suggestions are right (${rate.toFixed(2)} %)`)
    for (const line of wrong.slice(0, 40)) t.diagnostic(line)
    assert(count > 4000)
    assert(rate >= 99.5, wrong.join('\n'))
  })

  test('is suggested rightly when every key of the documented configuration is misspelled at once', () => {
    // Each round misspells each key in another way; the configuration's own words decide how many ways there are.
    const keyLine = /^(\s*(?:- )?)([a-z0-9_]+):/
    const lines = USER_EVENTS_YAML.split('\n')
    for (let round = 0; round < 60; round++) {
      const expected = new Map<string, string>()
      const text = lines.map((line, index) => {
        const [, indent, key] = keyLine.exec(line) ?? []
        if (indent === undefined || key === undefined) return line
        const ways = misspell(key).filter(each => !/^[0-9_]/.test(each) && each !== 'topics')
        const misspelled = ways[(round * 7 + index) % ways.length] as string
        expected.set(`${index + 1}:${indent.length + 1}`, key)
        return `${indent}${misspelled}${line.slice(indent.length + key.length)}`
      })
      const { diagnostics } = checkConfigText(text.join('\n'), { environment: {} })
      const unknown = diagnostics.filter(each => each.code === 'CONFIG_UNKNOWN_KEY')
      const suggested = new Map(unknown.map(each => [`${each.line}:${each.column}`, each.suggestion]))
      assert.deepEqual(suggested, expected)
      assert.equal(diagnostics.length, unknown.length, 'a misspelled key has no other consequence')
    }
  })

  test('in the spelling of code or of Kafka’s own properties is recognized', () => {
    for (const [key, written] of [
      ['bootstrap_servers', 'bootstrapServers'],
      ['bootstrap_servers', 'bootstrap.servers'],
      ['consumer_group', 'consumer-group'],
      ['auto_offset_reset', 'auto.offset.reset'],
    ] as const) {
      const kafka = ALL_SECTIONS.find(spec => spec.name === 'kafka')
      assert(kafka !== undefined)
      assert.equal(suggestionFor(kafka, written), key)
    }
  })
})
