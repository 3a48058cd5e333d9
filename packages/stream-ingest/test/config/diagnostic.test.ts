import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { checkConfigText } from '../../src/config/config.ts'
import { CONFIG_LENGTH_MAX } from '../../src/config/config-node.ts'
import { DiagnosticSink } from '../../src/config/diagnostic.ts'
import { countDiagnostics, formatDiagnostic, formatDiagnostics } from '../../src/config/diagnostic-format.ts'
import { ERRORS } from '../../src/error.ts'
import { EVERY_KEY_YAML, USER_EVENTS_YAML } from './example-config.ts'

function format(text: string): string {
  return formatDiagnostics(checkConfigText(text, { file: 'a.yaml', environment: {} }).diagnostics)
}

describe('a finding', () => {
  test('shows its place, the line and the help', () => {
    const text = USER_EVENTS_YAML.replace('topic:', 'topc:').replace(
      'batch_timeout_ms: 30000',
      'batch_timeout_ms: 30s',
    )
    assert.equal(
      format(text),
      `error[CONFIG_UNKNOWN_KEY]: unknown key \`topc\` in kafka
  --> a.yaml:3:3
    │
  3 │   topc: "user-events"
    │   ^^^^
    = help: did you mean \`topic\`?

error[CONFIG_INVALID_VALUE]: expected milliseconds as an integer from 1 to 86400000, found the text \`30s\`
  --> a.yaml:26:21
    │
 26 │   batch_timeout_ms: 30s
    │                     ^^^
    = help: the key is in milliseconds: write \`30000\``,
    )
  })

  test('without a line has no frame', () => {
    assert.equal(
      format('').split('\n\n')[0],
      'error[CONFIG_MISSING_KEY]: missing section `kafka`\n  --> a.yaml:1:1\n    = help: add `kafka:` with `bootstrap_servers`, `consumer_group`',
    )
  })

  test('is cut around what is meant where the line is long, and shows no control characters', () => {
    const long = `kafka: { ${Array.from({ length: 60 }, (_, i) => `aaaaaaaa${i}: 1`).join(', ')}, topc: "x\\u001b[31m" }\n`
    const finding = checkConfigText(long, { environment: {} }).diagnostics.find(each =>
      each.message.includes('topc'),
    )
    const { frame } = finding ?? {}
    assert(frame !== null && frame !== undefined)
    assert(frame.text.length <= 162)
    assert.equal(frame.text.slice(frame.start, frame.start + frame.length), 'topc')
    const sink = new DiagnosticSink('f', 'a\u001b[31m\tb')
    sink.error('CONFIG_INVALID_VALUE', { start: 7, end: 8 }, 'm')
    assert.equal(sink.finish()[0]?.frame?.text, 'a\u{fffd}[31m b')
  })

  test('counts in words', () => {
    const [error] = checkConfigText('', { environment: {} }).diagnostics
    assert(error !== undefined)
    const warning = { ...error, severity: 'warning' as const }
    assert.equal(countDiagnostics([]), 'no problems')
    assert.equal(countDiagnostics([error, error, warning]), '2 errors, 1 warning')
    assert.match(formatDiagnostic({ ...error, line: 12_345 }), / {2}--> <text>:12345:1/)
  })

  test('masks secrets without losing its mark', () => {
    const text = 'a: hunter2, b: wrong'
    const sink = new DiagnosticSink('f', text)
    sink.redact({ start: 3, end: 10 })
    sink.error('CONFIG_INVALID_VALUE', { start: 15, end: 20 }, 'behind')
    sink.error('CONFIG_INVALID_VALUE', { start: 3, end: 10 }, 'the secret')
    sink.error('CONFIG_INVALID_VALUE', { start: 0, end: 20 }, 'around')
    const marked = sink
      .finish()
      .map(({ message, frame }) => [message, frame?.text.slice(frame.start, frame.start + frame.length)])
    assert.deepEqual(marked, [
      ['around', 'a: [secret], b: wrong'],
      ['the secret', '[secret]'],
      ['behind', 'wrong'],
    ])
  })
})

describe('a hostile text', () => {
  const codes = (text: string): string[] => [
    ...new Set(checkConfigText(text, { environment: {} }).diagnostics.map(each => each.code)),
  ]

  test('of aliases upon aliases ends soon', () => {
    const levels = Array.from(
      { length: 12 },
      (_, i) => `k${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`).join(', ')}]`,
    )
    assert.deepEqual(codes(`k0: &a0 [x]\n${levels.join('\n')}\n`), ['CONFIG_TOO_LARGE'])
  })

  test('that holds itself ends', () => {
    assert.deepEqual(codes('kafka: &a\n  sasl: *a\n'), ['CONFIG_TOO_LARGE'])
    assert(codes('kafka: *nowhere\n').includes('CONFIG_YAML_SYNTAX'))
  })

  test('that is nested or long is refused', () => {
    assert.deepEqual(codes(`a: ${'['.repeat(100)}${']'.repeat(100)}`), ['CONFIG_TOO_LARGE'])
    assert.deepEqual(codes(`a: ${'['.repeat(200_000)}`), ['CONFIG_YAML_SYNTAX'])
    assert.deepEqual(codes('x'.repeat(CONFIG_LENGTH_MAX + 1)), ['CONFIG_TOO_LARGE'])
  })

  test('of more than one document is refused', () => {
    assert.match(
      format(`${USER_EVENTS_YAML}---\na: 1\n`),
      /CONFIG_YAML_SYNTAX.*(\n.*)*several flows go under `pipelines`/,
    )
  })

  test('has findings, whatever it is, and every one has a place within it', () => {
    const lines = EVERY_KEY_YAML.split('\n')
    const mutated = fc
      .array(
        fc.tuple(
          fc.nat(lines.length - 1),
          fc.constantFrom('', '  x: y', '- a', '{', '"', '*a', '&a', ': :', '\u0000', '\t', '${', '---'),
        ),
        { maxLength: 4 },
      )
      .map(edits => {
        const copy = [...lines]
        for (const [at, replacement] of edits) copy[at] = replacement
        return copy.join('\n')
      })
    const text = fc.oneof(fc.string({ maxLength: 80 }), mutated)
    fc.assert(
      fc.property(text, source => {
        const { diagnostics, pipelines } = checkConfigText(source, { environment: {}, readFile: () => '' })
        const lineCount = source.split('\n').length
        for (const each of diagnostics) {
          assert(each.line >= 1 && each.line <= lineCount && each.column >= 1, JSON.stringify(each))
          assert(each.endLine > each.line || each.endColumn >= each.column, JSON.stringify(each))
          assert(each.code in ERRORS)
        }
        const hasErrors = diagnostics.some(each => each.severity === 'error')
        assert.equal(pipelines === null, hasErrors)
      }),
      { numRuns: 300 },
    )
  })
})
