import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  at,
  DecodeHarness,
  decimalOf,
  decodeOne,
  decodeValue,
  listOf,
  mapOf,
  scalar,
  structOf,
} from './decode-harness.ts'

/** Random documents in all; `FUZZ_DOCUMENTS=1000000` for a night. */
const DOCUMENTS = Number(process.env.FUZZ_DOCUMENTS ?? 10_000)
/** Sum of the shares that the tests below take, in multiples of `RUNS`. */
const SHARES = 23
const RUNS = Math.ceil(DOCUMENTS / SHARES)

/** JSON with free spaces, escapes, duplicate keys and numbers in all their spellings. */
const jsonText: fc.Arbitrary<string> = fc.letrec<{ value: string; container: string }>(tie => {
  const space = fc.constantFrom('', '', '', ' ', '\n', '\t\r ')
  const spaced = (text: fc.Arbitrary<string>) => fc.tuple(space, text, space).map(parts => parts.join(''))
  const number = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }).map(n => JSON.stringify(n)),
    fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map(String),
    fc
      .tuple(
        fc.constantFrom('', '-'),
        fc.nat(),
        fc.constantFrom('', '.0', '.50'),
        fc.constantFrom('', 'e3', 'E-2', 'e+1'),
      )
      .map(parts => parts.join('')),
  )
  const key = fc.constantFrom('"a"', '"b"', '"c"', '"\\u0061"', '"d e"', '"é"', '"\\ud83d"', '""')
  const list = (entry: fc.Arbitrary<string>) =>
    fc.array(entry, { maxLength: 4 }).map(entries => entries.join(','))
  return {
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom('null', 'true', 'false', '"\\n\\/"', '"\\ud83d\\ude00"'),
      number,
      fc.string({ unit: 'binary' }).map(s => JSON.stringify(s)),
      tie('container'),
    ),
    container: fc.oneof(
      list(spaced(tie('value'))).map(entries => `[${entries}]`),
      list(fc.tuple(spaced(key), spaced(tie('value'))).map(([k, v]) => `${k}:${v}`)).map(
        members => `{${members}}`,
      ),
    ),
  }
}).value

const objectText = fc
  .array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'u'), jsonText), { maxLength: 5 })
  .map(members => `{${members.map(([k, v]) => `"${k}":${v}`).join(',')}}`)

/** Takes every JSON value, so that only what is not JSON is refused. */
const liberal = [scalar('a', 'string'), scalar('n', 'string', { source: at('a2') })]

function parses(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** Half of a surrogate pair is JSON, but no text. */
function hasLoneSurrogate(value: unknown): boolean {
  return typeof value === 'string' && !value.isWellFormed()
}

function assertSameVerdict(bytes: Uint8Array): void {
  const { bad } = decodeOne(liberal, bytes)
  let text: string | null
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    text = null
  }
  const isJson = text !== null && parses(text)
  const isBad = bad?.code === 'RECORD_NOT_JSON'
  assert.equal(isBad, !isJson, `${JSON.stringify(Buffer.from(bytes).toString('latin1'))}: ${bad?.message}`)
}

test('accepts the documents that JSON.parse accepts', () => {
  fc.assert(
    fc.property(fc.oneof(objectText, jsonText), text => assertSameVerdict(Buffer.from(text))),
    { numRuns: RUNS },
  )
})

test('refuses cut documents like JSON.parse', () => {
  fc.assert(
    fc.property(objectText, fc.nat(), (text, at) => {
      const bytes = Buffer.from(text)
      assertSameVerdict(bytes.subarray(0, at % (bytes.length + 1)))
    }),
    { numRuns: RUNS },
  )
})

test('judges damaged bytes like JSON.parse over strict UTF-8', () => {
  fc.assert(
    fc.property(
      objectText,
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 }),
      (text, flips) => {
        const bytes = Buffer.from(text)
        for (const [at, value] of flips) bytes[at % bytes.length] = value
        assertSameVerdict(bytes)
      },
    ),
    { numRuns: RUNS * 4 },
  )
})

test('judges swapped and repeated pieces like JSON.parse', () => {
  const token = fc.constantFrom(
    ...[
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      '"a"',
      '1',
      '0',
      '-',
      '.',
      'e',
      'E',
      '+',
      'true',
      'null',
      ' ',
      '\\u00',
      'é',
    ],
  )
  fc.assert(
    fc.property(fc.array(token, { maxLength: 12 }), tokens => {
      assertSameVerdict(Buffer.from(tokens.join('')))
      assertSameVerdict(Buffer.from(`{"a":${tokens.join('')}}`))
      assertSameVerdict(Buffer.from(`{"x":${tokens.join('')}}`))
    }),
    { numRuns: RUNS * 4 },
  )
})

/** What a column holds by the rules, given the value of `JSON.parse`; undefined where the record is bad. */
type Expectation = (value: unknown) => unknown

const asText: Expectation = v =>
  v === null || v === undefined ? null : typeof v === 'string' && !hasLoneSurrogate(v) ? v : undefined
const asBoolean: Expectation = v =>
  v === null || v === undefined ? null : typeof v === 'boolean' ? v : undefined
const asDouble: Expectation = v =>
  v === null || v === undefined ? null : typeof v === 'number' ? v : undefined
const asList =
  (element: Expectation): Expectation =>
  v => {
    if (v === null || v === undefined) return null
    if (!Array.isArray(v)) return undefined
    const elements = v.map(element)
    return elements.includes(undefined) ? undefined : elements
  }
const asMap =
  (value: Expectation): Expectation =>
  v => {
    if (v === null || v === undefined) return null
    if (typeof v !== 'object' || Array.isArray(v)) return undefined
    const entries = Object.entries(v).map(([key, x]) => [key, value(x)] as const)
    return entries.some(([key, x]) => x === undefined || hasLoneSurrogate(key)) ? undefined : new Map(entries)
  }
const asStruct =
  (fields: Readonly<Record<string, Expectation>>): Expectation =>
  v => {
    if (v === null || v === undefined) return null
    if (typeof v !== 'object' || Array.isArray(v)) return undefined
    const entries = Object.entries(fields).map(
      ([name, expect]) => [name, expect((v as Record<string, unknown>)[name])] as const,
    )
    return entries.some(([, x]) => x === undefined) ? undefined : Object.fromEntries(entries)
  }

function withMaps(value: unknown, isMap: boolean): unknown {
  return isMap && Array.isArray(value) ? new Map(value as [unknown, unknown][]) : value
}

test('gives the values that JSON.parse gives', () => {
  const element = scalar('element', 'double')
  const kinds = [
    { type: scalar('v', 'boolean'), expect: asBoolean },
    { type: scalar('v', 'double'), expect: asDouble },
    { type: listOf('v', element), expect: asList(asDouble) },
    { type: mapOf('v', scalar('value', 'double')), expect: asMap(asDouble), isMap: true },
    {
      type: structOf('v', [scalar('a', 'double'), scalar('b', 'boolean'), listOf('c', element)]),
      expect: asStruct({ a: asDouble, b: asBoolean, c: asList(asDouble) }),
    },
    { type: listOf('v', listOf('element', element)), expect: asList(asList(asDouble)) },
  ]
  fc.assert(
    fc.property(jsonText, fc.constantFrom(...kinds), (json, kind) => {
      const decoded = decodeValue(kind.type, json)
      const expected = kind.expect(JSON.parse(json))
      if (expected === undefined) assert.ok('bad' in decoded, `${json} decoded`)
      else
        assert.deepEqual('bad' in decoded ? decoded : withMaps(decoded.value, kind.isMap === true), expected)
    }),
    { numRuns: RUNS * 4 },
  )
})

test('gives the text that JSON.parse gives', () => {
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }))
  const spelled = fc
    .tuple(text, fc.boolean())
    .map(([s, escaped]) =>
      escaped
        ? `"${Array.from({ length: s.length }, (_, i) => `\\u${s.charCodeAt(i).toString(16).padStart(4, '0')}`).join('')}"`
        : JSON.stringify(s),
    )
  fc.assert(
    fc.property(spelled, json => {
      const expected = asText(JSON.parse(json))
      const decoded = decodeValue(scalar('v', 'string'), json)
      if (expected === undefined) assert.ok('bad' in decoded)
      else assert.deepEqual(decoded, { value: expected })
    }),
    { numRuns: RUNS },
  )
})

test('the order of keys and what other records held make no difference', () => {
  const names = ['k0', 'k1', 'k2', 'k3', 'k4']
  const fields = names.map(name => scalar(name, 'long'))
  const record = fc
    .shuffledSubarray([...names, 'x', 'y'])
    .map(keys => keys.map((key, i) => [key, i] as const))
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 8 }), records => {
      const harness = new DecodeHarness(fields)
      for (const members of records) {
        assert.equal(harness.append(`{${members.map(([k, v]) => `"${k}":${v}`).join(',')}}`), null)
      }
      const expected = records.map(members => {
        const values = new Map(members)
        return Object.fromEntries(names.map(n => [n, values.has(n) ? BigInt(values.get(n)!) : null]))
      })
      assert.deepEqual(harness.rows(), expected)
    }),
    { numRuns: RUNS },
  )
})

test('integers of 64 bits are exact in every spelling', () => {
  const spelling = fc
    .tuple(fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }), fc.nat(25), fc.nat(3))
    .map(([value, shift, zeros]) => {
      const digits = (value < 0n ? -value : value).toString().padStart(shift + 1, '0')
      const whole = digits.slice(0, digits.length - shift)
      const fraction = digits.slice(digits.length - shift) + '0'.repeat(zeros)
      const text = `${value < 0n ? '-' : ''}${whole}${fraction === '' ? '' : `.${fraction}`}${shift === 0 ? '' : `e${shift}`}`
      return { value, text }
    })
  fc.assert(
    fc.property(spelling, ({ value, text }) => {
      const long = decodeValue(scalar('v', 'long'), text)
      if (BigInt.asIntN(64, value) === value) assert.deepEqual(long, { value })
      else assert.ok('bad' in long)
      const unsigned = decodeValue(decimalOf('v', 20, 0, { unsignedBits: 64 }), text)
      if (BigInt.asUintN(64, value) === value) assert.deepEqual(unsigned, { value })
      else assert.ok('bad' in unsigned)
    }),
    { numRuns: RUNS * 2 },
  )
})

test('decimals are exact from their text', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: -(10n ** 38n) + 1n, max: 10n ** 38n - 1n }),
      fc.integer({ min: -9, max: 9 }),
      (unscaled, shift) => {
        const scale = 9
        const json = `${unscaled}e${shift - scale}`
        const expected = shift >= 0 ? unscaled * 10n ** BigInt(shift) : unscaled / 10n ** BigInt(-shift)
        const isExact = shift >= 0 || unscaled % 10n ** BigInt(-shift) === 0n
        const fits = isExact && expected < 10n ** 38n && expected > -(10n ** 38n)
        for (const text of [json, `"${json}"`]) {
          const decoded = decodeValue(decimalOf('v', 38, scale), text)
          if (fits) assert.deepEqual(decoded, { value: expected }, text)
          else assert.ok('bad' in decoded, text)
        }
      },
    ),
    { numRuns: RUNS * 2 },
  )
})

test('doubles are those of Number, from their shortest and from longer texts', () => {
  const spelled = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }).map(n => JSON.stringify(n)),
    fc
      .tuple(fc.bigInt({ min: 0n, max: 10n ** 25n }), fc.integer({ min: -340, max: 320 }))
      .map(([m, e]) => `${m}e${e}`),
    fc.tuple(fc.nat(), fc.bigInt({ min: 0n, max: 10n ** 18n })).map(([w, f]) => `-${w}.${f}`),
  )
  fc.assert(
    fc.property(spelled, json =>
      assert.deepEqual(decodeValue(scalar('v', 'double'), json), { value: Number(json) }),
    ),
    { numRuns: RUNS * 2 },
  )
})

test('instants are those of Date, whatever the zone', () => {
  const date = fc.date({ min: new Date('0002-01-01'), max: new Date('9998-12-31'), noInvalidDate: true })
  fc.assert(
    fc.property(date, fc.integer({ min: -1439, max: 1439 }), (instant, offset) => {
      const value = BigInt(instant.getTime()) * 1000n
      const local = new Date(instant.getTime() + offset * 60_000).toISOString().slice(0, -1)
      const sign = offset < 0 ? '-' : '+'
      const part = (n: number) => String(Math.trunc(n)).padStart(2, '0')
      const zone = `${sign}${part(Math.abs(offset) / 60)}:${part(Math.abs(offset) % 60)}`
      const v = scalar('v', 'timestamp', { unit: 'millisecond' })
      assert.deepEqual(decodeValue(v, `"${local}${zone}"`), { value })
      assert.deepEqual(decodeValue(v, String(instant.getTime())), { value })
    }),
    { numRuns: RUNS },
  )
})
