import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { stringify } from 'yaml'
import { updateExpectations } from '../../src/cli/expectation-update.ts'
import { checkConfigText } from '../../src/config/config.ts'
import { type ConfigTestResult, ConfigTestRunner } from '../../src/pipeline/config-test.ts'

/** A data type, and JSON texts of its values. */
interface Typed {
  readonly type: string
  readonly json: fc.Arbitrary<string>
}

const integer = (min: bigint, max: bigint): fc.Arbitrary<string> => fc.bigInt({ min, max }).map(String)
const quoted = (text: fc.Arbitrary<string>): fc.Arbitrary<string> => text.map(each => JSON.stringify(each))
const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({
    unit: fc.constantFrom('$', '{', '}', '\\', '"', "'", '\n', '\r', '\t', ':', '#', '\u0085', '\u2028', ' '),
  }),
  fc.constantFrom(
    'null',
    '~',
    'true',
    '1',
    '1.0',
    '0x1',
    '2026-01-01',
    '- a',
    '&a',
    '*a',
    '!!str',
    '---',
    '',
    ' ',
  ),
)
const number = fc.oneof(
  fc
    .double({ noNaN: true, noDefaultInfinity: true })
    .map(value => (Object.is(value, -0) ? '-0.0' : String(value))),
  fc.constantFrom('1e400', '-1e400', '1e-400', '5e-324', '1E5', '-0'),
)

const SCALARS: readonly Typed[] = [
  { type: 'int64', json: integer(-(2n ** 63n), 2n ** 63n - 1n) },
  { type: 'int8', json: integer(-128n, 127n) },
  { type: 'uint64', json: integer(0n, 2n ** 64n - 1n) },
  { type: 'decimal(38,0)', json: integer(-(10n ** 38n) + 1n, 10n ** 38n - 1n) },
  { type: 'decimal(20,4)', json: integer(-(10n ** 16n) + 1n, 10n ** 16n - 1n).map(each => `${each}.0625`) },
  { type: 'float64', json: number },
  { type: 'float32', json: number },
  { type: 'boolean', json: fc.constantFrom('true', 'false') },
  { type: 'utf8', json: quoted(anyText) },
  { type: 'binary', json: quoted(fc.uint8Array().map(bytes => Buffer.from(bytes).toString('base64'))) },
  { type: 'date', json: integer(-719_162n, 2_932_896n) },
  { type: 'timestamp', json: integer(-62_135_596_800_000_000n, 253_402_300_799_999_999n) },
  { type: 'timestamp_second', json: integer(-62_135_596_800n, 253_402_300_799n) },
  { type: 'timestamp_ntz', json: integer(0n, 253_402_300_799_999_999n) },
]

/** Whatever a schema may hold, in each other. */
const scalar = fc.constantFrom(...SCALARS)
const nested = (inner: fc.Arbitrary<Typed>): fc.Arbitrary<Typed> =>
  fc.oneof(
    scalar,
    inner.map(({ type, json }) => ({
      type: `list<${type}>`,
      json: fc.array(orNull(json), { maxLength: 3 }).map(items => `[${items.join(',')}]`),
    })),
    inner.map(({ type, json }) => ({
      type: `map<utf8, ${type}>`,
      json: fc.dictionary(anyText, orNull(json), { maxKeys: 3 }).map(objectText),
    })),
    fc.tuple(inner, inner).map(([a, b]) => ({
      type: `struct<a: ${a.type}, b_c: ${b.type}>`,
      json: fc.record({ a: orNull(a.json), b_c: orNull(b.json) }, { requiredKeys: [] }).map(objectText),
    })),
  )
const column = nested(nested(scalar))

function orNull(json: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.option(json, { freq: 5, nil: 'null' })
}

function objectText(members: Readonly<Record<string, string>>): string {
  return `{${Object.entries(members)
    .map(([key, json]) => `${JSON.stringify(key)}:${json}`)
    .join(',')}}`
}

/** A payload of these columns, and values that are expected in their place. */
const scene = fc.array(column, { minLength: 1, maxLength: 4 }).chain(columns => {
  const row = fc.tuple(...columns.map(({ json }) => orNull(json)))
  return fc.record({
    types: fc.constant(columns.map(({ type }) => type)),
    payloads: fc.array(row, { minLength: 1, maxLength: 3 }),
    expected: fc.oneof(fc.array(row, { maxLength: 3 }), fc.constant('bad' as const)),
    style: fc.constantFrom('json', 'one line', 'block' as const),
  })
})

type Scene = typeof scene extends fc.Arbitrary<infer T> ? T : never

function configText({ types, payloads, expected, style }: Scene): string {
  const members = (row: readonly string[]): Record<string, string> =>
    Object.fromEntries(row.map((json, i) => [`c${i}`, json]))
  const config = {
    kafka: { bootstrap_servers: 'localhost:9092', topic: 't', consumer_group: 'g' },
    local: { path: './lake' },
    delta: { table_name: 't', schema: types.map((type, i) => ({ name: `c${i}`, data_type: type })) },
    tests: [
      {
        name: 'a',
        // A dollar sign is doubled, for variables are put in everywhere.
        input: payloads.map(row => ({ payload_text: objectText(members(row)).replaceAll('$', '$$$$') })),
        ...(expected === 'bad'
          ? { bad: {} }
          : { rows: expected.map(row => JSON.parse(objectText(members(row)).replaceAll('$', '$$$$'))) }),
      },
      { name: 'b', input: { payload: null }, skipped: true },
    ],
  }
  if (style === 'block') return stringify(config)
  return JSON.stringify(config, null, style === 'json' ? 2 : 0)
}

function resultsOf(text: string): readonly ConfigTestResult[] {
  const { tests, pipelines, diagnostics } = checkConfigText(text, { environment: {} })
  assert.deepEqual(diagnostics, [], text)
  const runner = new ConfigTestRunner(pipelines!, { now: () => 0 })
  return tests.map(each => runner.run(each))
}

describe('an update of expectations', () => {
  test('makes every row expected as it is, and changes nothing before the first test', () => {
    fc.assert(
      fc.property(scene, each => {
        const text = configText(each)
        const updated = updateExpectations(text, resultsOf(text))
        assert(updated !== null)
        for (const { ok, differences } of resultsOf(updated)) assert(ok, `${updated}\n${differences.length}`)
        const upTo = (whole: string): string => whole.slice(0, whole.indexOf('payload_text'))
        assert.equal(upTo(updated), upTo(text))
        assert.equal(updateExpectations(updated, resultsOf(updated)), updated)
      }),
      { numRuns: 300 },
    )
  })
})
