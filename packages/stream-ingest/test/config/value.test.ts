// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the configuration has variables of that form.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  formatDuration,
  formatSize,
  parseDurationMs,
  parseInteger,
  parseSizeBytes,
} from '../../src/config/field-type.ts'
import { interpolate } from '../../src/config/interpolation.ts'
import { parseInstantMs } from '../../src/config/kafka-section.ts'
import { editDistance, nearestWord } from '../../src/config/suggestion.ts'

describe('sizes', () => {
  test('are bytes, or have a decimal or a binary unit', () => {
    for (const [text, bytes] of [
      ['0', 0],
      ['1_000', 1000],
      ['128MiB', 134_217_728],
      ['512 MB', 512_000_000],
      ['1.5kib', 1536],
      ['2GiB', 2_147_483_648],
      ['10b', 10],
      ['1e6', 1_000_000],
    ] as const) {
      assert.equal(parseSizeBytes(text), bytes, text)
    }
    for (const text of ['', 'MiB', '1 M', '12XB', '-1MiB', '1.2.3MB', '1,5MB', '99999999999TiB']) {
      const parsed = parseSizeBytes(text)
      assert(parsed === null || parsed < 0, text)
    }
  })

  test('are read as they are written', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 2 ** 40 }),
        bytes => parseSizeBytes(formatSize(bytes).replace('ytes', '')) === bytes,
      ),
    )
  })
})

describe('durations', () => {
  test('have units, which add up', () => {
    for (const [text, ms] of [
      ['500ms', 500],
      ['30s', 30_000],
      ['1.5m', 90_000],
      ['1h30m', 5_400_000],
      ['7d', 604_800_000],
      ['1h 5s', 3_605_000],
    ] as const) {
      assert.equal(parseDurationMs(text), ms, text)
    }
    for (const text of ['', '60', '1', 's', '1x', '-1s', '1 hour'])
      assert.equal(parseDurationMs(text), null, text)
  })

  test('are read as they are written', () => {
    fc.assert(fc.property(fc.nat({ max: 10 ** 12 }), ms => parseDurationMs(formatDuration(ms)) === ms))
  })
})

test('integers are exact, with `_` between digits or an exponent', () => {
  for (const [text, value] of [
    ['1000', 1000],
    ['1_000_000', 1_000_000],
    ['1e6', 1_000_000],
    ['5.0', 5],
    ['-3', -3],
  ] as const) {
    assert.equal(parseInteger(text), value)
  }
  for (const text of ['', '1.5', '0x10', 'ten', '1 000', '9007199254740993', 'Infinity', '1e99'])
    assert.equal(parseInteger(text), null, text)
})

test('instants are ISO-8601; without a zone they are UTC', () => {
  const noon = Date.UTC(2026, 0, 31, 12)
  for (const text of [
    '2026-01-31T12:00:00Z',
    '2026-01-31 12:00',
    '2026-01-31T14:00:00+02:00',
    '2026-01-31T12:00:00.000',
  ]) {
    assert.equal(parseInstantMs(text), noon, text)
  }
  assert.equal(parseInstantMs('2026-01-31'), Date.UTC(2026, 0, 31))
  for (const text of ['', 'yesterday', '2026-13-01', '1769860800', '2026-01-31T25:00'])
    assert.equal(parseInstantMs(text), null, text)
})

describe('variables', () => {
  const environment = { A: 'a', EMPTY: '', NESTED: '${A}', DOLLAR: '$$' }
  for (const [text, expected] of [
    ['plain', 'plain'],
    ['${A}', 'a'],
    ['x${A}y${A}', 'xaya'],
    ['${EMPTY}', ''],
    ['${EMPTY:-d}', 'd'],
    ['${NOPE:-}', ''],
    ['${NOPE:-a:b-c}', 'a:b-c'],
    ['${NOPE:-${A}}', 'a'],
    ['${NOPE:-${NOPE:-deep}}!', 'deep!'],
    ['${A:?needed}', 'a'],
    ['$$', '$'],
    ['$${A}', '${A}'],
    ['$A cost $5', '$A cost $5'],
    ['${NESTED}', '${A}'],
    ['${DOLLAR}', '$$'],
  ] as const) {
    test(`\`${text}\` is \`${expected}\``, () => {
      const result = interpolate(text, environment)
      assert(result.ok)
      assert.equal(result.text, expected)
    })
  }
  for (const [text, message] of [
    ['${NOPE}', 'the environment variable `NOPE` is not set'],
    ['${EMPTY:?say why}', 'the environment variable `EMPTY` is not set: say why'],
    ['${A', '`${` has no closing `}`'],
    ['${}', '`${}` is no variable'],
    ['${1A}', '`${1A}` is no variable'],
    ['${A-b}', '`${A-b}` is no variable'],
  ] as const) {
    test(`\`${text}\` is refused`, () => {
      const result = interpolate(text, environment)
      assert(!result.ok)
      assert.equal(result.message, message)
    })
  }

  test('leave a text alone whose dollar signs are doubled', () => {
    fc.assert(
      fc.property(fc.string(), text => {
        const result = interpolate(text.replaceAll('$', '$$$$'), {})
        return result.ok && result.text === text && !result.hasVariables
      }),
    )
  })

  test('never make it grow without bound', () => {
    const result = interpolate('${X}'.repeat(2000), { X: 'x'.repeat(1000) })
    assert(!result.ok)
    const deep = interpolate(`${'${N:-'.repeat(2000)}x${'}'.repeat(2000)}`, {})
    assert(!deep.ok)
  })
})

describe('suggestions', () => {
  test('count insertions, deletions, replacements and swaps', () => {
    assert.equal(editDistance('topic', 'topic'), 0)
    assert.equal(editDistance('tpoic', 'topic'), 1)
    assert.equal(editDistance('', 'abc'), 3)
    assert.equal(editDistance('ca', 'abc'), 3)
  })

  test('obey the laws of a distance, and find a word that is one edit away among unlike ones', () => {
    const word = fc.string({ maxLength: 12 })
    fc.assert(
      fc.property(
        word,
        word,
        (a, b) => editDistance(a, b) === editDistance(b, a) && (editDistance(a, b) === 0) === (a === b),
      ),
    )
    assert.equal(nearestWord('snapy', ['snappy', 'zstd', 'gzip']), 'snappy')
    assert.equal(nearestWord('int46', ['int16', 'int64']), 'int64')
    assert.equal(nearestWord('something', ['else']), null)
    assert.equal(nearestWord('x'.repeat(100_000), ['x']), null)
  })
})
