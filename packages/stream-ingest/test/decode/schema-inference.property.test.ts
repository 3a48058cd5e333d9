import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DataType, formatJson } from '@stream-ingest/delta'
import fc from 'fast-check'
import { MergeHarness } from './merge-harness.ts'

const RUNS = 300

type Json = null | boolean | bigint | number | string | readonly Json[] | { readonly [key: string]: Json }
type JsonObject = Readonly<Record<string, Json>>

const scalar = {
  b: fc.boolean(),
  i: fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt({ min: -99n, max: 99n })),
  f: fc.double({ noNaN: true, noDefaultInfinity: true }).filter(n => /[.e]/.test(String(n))),
  s: fc.string({ unit: 'grapheme' }),
} as const
const key = fc.constantFrom('a', 'b', 'c', 'é', 'constructor', '1')

const anyJson: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>(tie => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(
      fc.constant(null),
      scalar.b,
      scalar.i,
      scalar.f,
      scalar.s,
      fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }),
    ),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(key, tie('value'), { maxKeys: 3, noNullPrototype: true }),
  ),
})).value

/** Values by the kind that a name stands for, so that no two of one name disagree. */
function ofKind(name: string): fc.Arbitrary<Json> {
  const kind = name[0] as keyof typeof scalar | 'l' | 'o'
  const value: fc.Arbitrary<Json> =
    kind === 'l'
      ? fc.array(ofKind(name.slice(1)), { maxLength: 3 })
      : kind === 'o'
        ? agreeing([`i${name}`, `s${name}`, 'lf', 'b'])
        : scalar[kind]
  return fc.option(value, { freq: 6 })
}

function agreeing(names: readonly string[]): fc.Arbitrary<JsonObject> {
  const model = Object.fromEntries(names.map(name => [name, ofKind(name)]))
  return fc.record(model, { requiredKeys: [], noNullPrototype: true }) as fc.Arbitrary<JsonObject>
}

/** Is the value in the column, as far as a column holds anything of it? */
function assertHeld(value: Json, held: unknown, type: DataType | null, place: string): void {
  if (isEmpty(value)) {
    assert(
      held === null || held === undefined || typeof held === 'object' || held === formatJson(value),
      place,
    )
    return
  }
  assert(type !== null, `${place}: no column for ${formatJson(value)}`)
  switch (type.kind) {
    case 'struct': {
      for (const [name, each] of Object.entries(value as JsonObject)) {
        const inner = type.fields.find(f => f.name === name)?.type ?? null
        const values = held as Record<string, unknown>
        assertHeld(each, Object.hasOwn(values, name) ? values[name] : undefined, inner, `${place}.${name}`)
      }
      return
    }
    case 'array': {
      const items = held as unknown[]
      assert.equal(items.length, (value as Json[]).length, place)
      for (const [i, each] of (value as Json[]).entries())
        assertHeld(each, items[i], type.element, `${place}[${i}]`)
      return
    }
    case 'decimal':
      assert.equal(held, integerOf(formatJson(value)), place)
      return
    default: {
      const { name } = type as { name: string }
      if (name === 'string') assert.equal(held, typeof value === 'string' ? value : formatJson(value), place)
      else assert.deepEqual(held, name === 'double' ? Number(value) : value, place)
    }
  }
}

/** `-1e+21` is as much an integer as `-1000000000000000000000`. */
function integerOf(text: string): bigint {
  const [, sign, whole, fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:e\+?(\d+))?$/.exec(text)!
  const zeros = Number(exponent) - fraction.length
  assert(zeros >= 0, `${text} is no integer`)
  return BigInt(`${sign}${whole}${fraction}${'0'.repeat(zeros)}`)
}

function isEmpty(value: Json): boolean {
  if (value === null) return true
  return typeof value === 'object' && Object.values(value).every(isEmpty)
}

/** Appends the documents, with a commit before each of `cuts`; the accepted ones must be in the rows. */
function assertMerges(documents: readonly JsonObject[], cuts: ReadonlySet<number>, mayRefuse: boolean): void {
  const harness = new MergeHarness()
  let accepted: JsonObject[] = []
  const check = (): void => {
    const { schema } = harness
    const rows = harness.take()
    assert.equal(rows.length, accepted.length)
    for (const [i, document] of accepted.entries()) assertHeld(document, rows[i], schema, `$[${i}]`)
    accepted = []
  }
  for (const [i, document] of documents.entries()) {
    if (cuts.has(i)) check()
    const bad = harness.append(formatJson(document))
    if (bad === null) accepted.push(document)
    else {
      assert(mayRefuse, `${formatJson(document)}: ${bad.path} ${bad.message}`)
      assert.match(bad.message, /^expected .+, found /)
    }
  }
  check()
}

const cuts = fc.uniqueArray(fc.nat(8)).map(all => new Set(all))

test('every value of documents that agree is in the columns that they make', () => {
  const documents = fc.array(agreeing(['b', 'i', 'f', 's', 'li', 'lls', 'o', 'lo', 'lb', 'oo']), {
    maxLength: 9,
  })
  fc.assert(
    fc.property(documents, cuts, (all, at) => assertMerges(all, at, false)),
    { numRuns: RUNS },
  )
})

test('any documents are in the columns that they make, or bad', () => {
  const documents = fc.array(fc.dictionary(key, anyJson, { maxKeys: 4, noNullPrototype: true }), {
    maxLength: 9,
  })
  fc.assert(
    fc.property(documents, cuts, (all, at) => assertMerges(all, at, true)),
    { numRuns: RUNS },
  )
})

test('a first document is never bad, whatever is in it', () => {
  const document = fc.dictionary(key, anyJson, { maxKeys: 4, noNullPrototype: true })
  fc.assert(
    fc.property(document, each => assertMerges([each], new Set(), false)),
    { numRuns: RUNS * 2 },
  )
})
