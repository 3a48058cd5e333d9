import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { DecodeField } from '../../src/config/decode-field.ts'
import { decimalOf, listOf, mapOf, scalar, structOf } from './decode-harness.ts'
import { type Payload, writeEachAlone, writeInRuns } from './run-harness.ts'

/** Random documents in all; `FUZZ_DOCUMENTS=1000000` for a night. */
const DOCUMENTS = Number(process.env.FUZZ_DOCUMENTS ?? 10_000)
const DOCUMENTS_A_RUN = 40
const RUNS = Math.ceil(DOCUMENTS / DOCUMENTS_A_RUN)

/** A field, and texts of values for it: most of them fit. */
interface Kind {
  readonly field: (name: string, nullable: boolean) => DecodeField
  readonly value: fc.Arbitrary<string>
}

const space = fc.constantFrom('', '', '', '', ' ', '\n\t ')
const spaced = (text: fc.Arbitrary<string>) => fc.tuple(space, text, space).map(parts => parts.join(''))

const integer = fc.oneof(
  fc.nat(99).map(String),
  fc.maxSafeInteger().map(String),
  fc.bigInt({ min: -(2n ** 63n) - 2n, max: 2n ** 63n + 1n }).map(String),
  fc.bigInt({ min: -(2n ** 31n) - 2n, max: 2n ** 31n + 1n }).map(String),
  fc.constantFrom('-0', '00', '1.0', '1e2', '-', '128', '-129', '32768', '-32769'),
)
const float = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(n => JSON.stringify(n)),
  fc.tuple(fc.integer(), fc.nat()).map(([whole, fraction]) => `${whole}.${fraction}`),
  fc.constantFrom('-0.0', '1.', '.5', '1e400', '0.30000000000000004', '123456789012345678901234567890'),
)
const text = fc.oneof(
  fc.string({ maxLength: 40 }).map(s => JSON.stringify(s)),
  fc.string({ unit: 'grapheme', maxLength: 40 }).map(s => JSON.stringify(s)),
  fc.string({ unit: 'binary', maxLength: 20 }).map(s => JSON.stringify(s)),
  fc
    .array(
      fc.constantFrom(
        '\\n',
        '\\u0041',
        '\\ud83d\\ude00',
        '\\ud83d',
        '\\u00e9',
        '\\/',
        '\\x',
        'é',
        'a'.repeat(17),
      ),
    )
    .map(parts => `"${parts.join('')}"`),
)
const instant = fc.oneof(
  fc.date({ noInvalidDate: true }).map(d => JSON.stringify(d.toISOString())),
  fc.nat().map(n => String(n * 1_000_003)),
  fc
    .tuple(
      fc.constantFrom('2024-02-29', '2023-02-29', '0001-01-01', '9999-12-31', '2026-13-01', '1900-02-29'),
      fc.constantFrom('', 'T', ' ', 't', 'x'),
      fc.constantFrom(
        '',
        '12:34',
        '23:59:59',
        '24:00',
        '12:60',
        '00:00:00.5',
        '00:00:00,123456789',
        '1:2',
        '01:02:03.',
      ),
      fc.constantFrom('', 'Z', 'z', '+01', '-01:30', '+0130', '+24:00', '+1', '+01:3', 'Zx'),
    )
    .map(parts => `"${parts.join('')}"`),
)

const leaves: readonly Kind[] = [
  { field: (name, nullable) => scalar(name, 'long', { nullable }), value: integer },
  { field: (name, nullable) => scalar(name, 'integer', { nullable }), value: integer },
  { field: (name, nullable) => scalar(name, 'short', { nullable }), value: integer },
  { field: (name, nullable) => scalar(name, 'byte', { nullable }), value: integer },
  { field: (name, nullable) => scalar(name, 'long', { nullable, unsignedBits: 32 }), value: integer },
  { field: (name, nullable) => scalar(name, 'double', { nullable }), value: fc.oneof(float, integer) },
  { field: (name, nullable) => scalar(name, 'float', { nullable }), value: fc.oneof(float, integer) },
  { field: (name, nullable) => scalar(name, 'string', { nullable }), value: text },
  {
    field: (name, nullable) => scalar(name, 'boolean', { nullable }),
    value: fc.constantFrom('true', 'false', 'tru'),
  },
  { field: (name, nullable) => scalar(name, 'date', { nullable }), value: instant },
  {
    field: (name, nullable) => scalar(name, 'binary', { nullable }),
    value: fc.base64String().map(s => `"${s}"`),
  },
  { field: (name, nullable) => decimalOf(name, 12, 3, { nullable }), value: fc.oneof(float, integer) },
  ...(['second', 'millisecond', 'microsecond', 'nanosecond'] as const).map(unit => ({
    field: (name: string, nullable: boolean) => scalar(name, 'timestamp', { nullable, unit }),
    value: fc.oneof(instant, integer),
  })),
]

function kindOf(depth: number): fc.Arbitrary<Kind> {
  const leaf = fc.constantFrom(...leaves)
  if (depth === 0) return leaf
  const below = fc.tuple(kindOf(depth - 1), fc.boolean())
  const orNull = (value: fc.Arbitrary<string>) =>
    fc.oneof({ weight: 9, arbitrary: value }, { weight: 1, arbitrary: fc.constant('null') })
  return fc.oneof(
    { weight: 4, arbitrary: leaf },
    {
      weight: 1,
      arbitrary: below.map(([element, inner]) => ({
        field: (name: string, nullable: boolean) =>
          listOf(name, element.field('element', inner), { nullable }),
        value: fc
          .array(spaced(orNull(element.value)), { maxLength: 4 })
          .map(values => `[${values.join(',')}]`),
      })),
    },
    {
      weight: 1,
      arbitrary: below.map(([value, inner]) => ({
        field: (name: string, nullable: boolean) => mapOf(name, value.field('value', inner), { nullable }),
        value: fc
          .array(
            fc.tuple(fc.constantFrom('"k"', '"l"', '"mm"', '"\\u006b"', '"é"'), spaced(orNull(value.value))),
            { maxLength: 3 },
          )
          .map(entries => `{${entries.map(([key, text]) => `${key}:${text}`).join(',')}}`),
      })),
    },
    {
      weight: 1,
      arbitrary: fc.array(below, { minLength: 1, maxLength: 3 }).map(members => ({
        field: (name: string, nullable: boolean) =>
          structOf(
            name,
            members.map(([member, inner], i) => member.field(`s${i}`, inner)),
            { nullable },
          ),
        value: objectOf(members.map(([member], i) => [`s${i}`, member])),
      })),
    },
  )
}

/** Members in their order or another, some missing, null, twice or unknown. */
function objectOf(members: readonly (readonly [string, Kind])[]): fc.Arbitrary<string> {
  const member = ([name, { value }]: readonly [string, Kind]) =>
    fc
      .tuple(
        fc.oneof({ weight: 20, arbitrary: spaced(value) }, { weight: 1, arbitrary: fc.constant('null') }),
        fc.constantFrom(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 2),
      )
      .map(([json, times]) => Array.from({ length: times }, () => `"${name}":${json}`))
  const unknown = fc.constantFrom([], [], [], ['"x":[1,{"y":"\\u0041"}]'], ['"x":1,"z":null'], ['"x":01'])
  return fc
    .tuple(fc.tuple(...members.map(member)), unknown, fc.integer({ min: 0, max: 9 }))
    .map(([known, other, turn]) => {
      const all = [...known.flat(), ...other]
      // Mostly in one order, as producers have it.
      const from = turn === 0 && all.length > 0 ? all.length >> 1 : 0
      return `{${[...all.slice(from), ...all.slice(0, from)].join(',')}}`
    })
}

/** Now and then cut off, damaged, or no payload at all. */
function payloadOf(document: fc.Arbitrary<string>): fc.Arbitrary<Payload> {
  return fc.oneof(
    { weight: 30, arbitrary: spaced(document) as fc.Arbitrary<Payload> },
    { weight: 1, arbitrary: fc.constant(null) },
    {
      weight: 1,
      arbitrary: fc.tuple(document, fc.nat()).map(([json, at]) => json.slice(0, at % (json.length + 1))),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(document, fc.nat(), fc.nat(255)).map(([json, at, value]) => {
        const bytes = Buffer.from(json)
        bytes[at % bytes.length] = value
        return bytes
      }),
    },
  )
}

/** Most of them of one day, some of none. */
const timestampMs = fc.oneof(
  { weight: 20, arbitrary: fc.integer({ min: 0, max: 200_000_000 }) },
  { weight: 1, arbitrary: fc.constantFrom(-1, 2 ** 53, -(2 ** 50)) },
)

test('records written in runs come to what each comes to alone', () => {
  const cases = fc
    .array(fc.tuple(kindOf(2), fc.integer({ min: 0, max: 4 })), { minLength: 1, maxLength: 5 })
    .chain(kinds => {
      const named = kinds.map(([kind], i) => [`f${i}`, kind] as const)
      const fields = kinds.map(([kind, required], i) => kind.field(`f${i}`, required > 0))
      const simple = fields.filter(({ type }) => type.kind === 'primitive' || type.kind === 'decimal')
      const timed = fields.filter(({ type }) => type.kind === 'primitive' && type.name === 'timestamp')
      const document = payloadOf(objectOf([...named, ['date', { field: () => fields[0]!, value: instant }]]))
      return fc.record({
        fields: fc.constant(fields),
        records: fc.array(fc.record({ payload: document, timestampMs }), {
          minLength: 8,
          maxLength: DOCUMENTS_A_RUN,
        }),
        partitionColumns: fc
          .tuple(
            fc.subarray(
              simple.map(({ name }) => name),
              { maxLength: Math.min(1, simple.length) },
            ),
            fc.boolean(),
          )
          .map(([own, isByDate]) => [...own, ...(isByDate ? ['date'] : [])])
          // A table has a column beside those of its partitions.
          .filter(columns => columns.length < fields.length),
        derive: fc
          .subarray(timed.map(({ name }) => name))
          .map(names => names.map(name => ({ name: `${name}_hour`, from: name, as: 'hour' as const }))),
        metadata: fc.subarray(['topic', 'partition', 'offset', 'timestamp', 'key', 'headers'] as const),
        notesUnknown: fc.boolean(),
      })
    })
  fc.assert(
    fc.property(cases, ({ records, notesUnknown, ...parts }) => {
      const options = { notesUnknown }
      assert.deepEqual(writeInRuns(parts, records, options), writeEachAlone(parts, records, options))
    }),
    { numRuns: RUNS },
  )
})
