import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PartitionRouter } from '../../src/decode/partition-router.ts'
import { decimalOf, scalar } from './decode-harness.ts'
import { type LayoutParts, RecordHarness } from './record-harness.ts'

const PARTITIONS_MAX = 100

function route(parts: LayoutParts, payloads: readonly string[]) {
  const harness = new RecordHarness(parts)
  const router = new PartitionRouter(harness.layout, harness.batch, PARTITIONS_MAX)
  const outcomes = harness.append(payloads.map(value => ({ value })))
  assert.ok(outcomes.every(bad => bad === null))
  const ids = payloads.map((_, row) => router.route(row))
  return { harness, router, ids }
}

test('rows of equal values share an id, in the order of first sight', () => {
  const fields = [scalar('id', 'long'), scalar('city', 'string'), scalar('day', 'date')]
  const { router, ids } = route({ fields, partitionColumns: ['day', 'city'] }, [
    '{"day":"2026-11-22","city":"Bern"}',
    '{"day":"2026-11-22","city":"Bern","id":1}',
    '{"day":"2026-11-23","city":"Bern"}',
    '{"day":"2026-11-22","city":"Bern"}',
    '{"day":"2026-11-22","city":null}',
    '{"day":"2026-11-22","city":""}',
    '{"city":"Bern"}',
  ])
  assert.deepEqual(ids, [0, 0, 1, 0, 2, 2, 3])
  assert.deepEqual([router.partitionCount, router.largestRowCount, router.room > 0], [4, 3, true])
  const partitions = router.finish()
  assert.deepEqual(
    partitions.map(p => p.partitionValues),
    [
      { day: '2026-11-22', city: 'Bern' },
      { day: '2026-11-23', city: 'Bern' },
      { day: '2026-11-22', city: null },
      { day: null, city: 'Bern' },
    ],
  )
  const day = Date.parse('2026-11-22') / 86_400_000
  assert.deepEqual(
    partitions.map(p => p.values),
    [
      [day, 'Bern'],
      [day + 1, 'Bern'],
      [day, null],
      [null, 'Bern'],
    ],
  )
})

test('values of every simple type have their text in the log', () => {
  const fields = [
    scalar('id', 'long'),
    scalar('s', 'string'),
    scalar('b', 'boolean'),
    scalar('n', 'long'),
    scalar('f', 'double'),
    scalar('x', 'binary'),
    scalar('t', 'timestamp', { unit: 'second' }),
    decimalOf('d', 10, 2),
  ]
  const partitionColumns = fields.slice(1).map(f => f.name)
  const json = '{"id":1,"s":"é","b":true,"n":9007199254740993,"f":1,"x":"YQ==","t":0,"d":1.5}'
  const { router } = route({ fields, partitionColumns }, [json])
  assert.deepEqual(router.finish()[0]!.partitionValues, {
    s: 'é',
    b: 'true',
    n: '9007199254740993',
    f: '1.0',
    x: 'a',
    t: '1970-01-01T00:00:00.000000Z',
    d: '1.50',
  })
})

test('integers that a double cannot tell apart are different partitions', () => {
  const { ids } = route({ fields: [scalar('id', 'string'), scalar('n', 'long')], partitionColumns: ['n'] }, [
    '{"n":9007199254740992}',
    '{"n":9007199254740993}',
    '{"n":9007199254740992}',
  ])
  assert.deepEqual(ids, [0, 1, 0])
})

test('a table without partition columns is one partition', () => {
  const { router, ids } = route({ fields: [scalar('id', 'long')] }, ['{"id":1}', '{"id":2}'])
  assert.deepEqual(ids, [0, 0])
  assert.deepEqual(router.finish(), [{ values: [], partitionValues: {} }])
})

test('starts over after finish, with a batch that was handed out', () => {
  const { harness, router } = route(
    { fields: [scalar('id', 'long'), scalar('p', 'string')], partitionColumns: ['p'] },
    ['{"p":"a"}', '{"p":"b"}'],
  )
  harness.batch.finish()
  assert.deepEqual(
    router.finish().map(p => p.partitionValues.p),
    ['a', 'b'],
  )
  assert.equal(router.partitionCount, 0)
  harness.append([{ value: '{"p":"b"}' }])
  assert.equal(router.route(0), 0)
  assert.equal(router.finish()[0]!.partitionValues.p, 'b')
})

test('is full at its bound and still tells partitions apart beyond it', () => {
  const payloads = Array.from({ length: 500 }, (_, i) => `{"p":"${(i * 7) % 250}"}`)
  const { router, ids } = route(
    { fields: [scalar('id', 'long'), scalar('p', 'string')], partitionColumns: ['p'] },
    payloads,
  )
  assert.equal(router.room, 0)
  assert.equal(router.partitionCount, 250)
  assert.deepEqual(ids.slice(250), ids.slice(0, 250))
})

test('ids are equal exactly where values are', () => {
  const value = fc.constantFrom(
    'null',
    '0',
    '-0.0',
    '1',
    '1.5',
    '1e300',
    '-1e300',
    '0.1',
    '4294967296',
    '1e-7',
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(value, value), { minLength: 1, maxLength: 60 }), pairs => {
      const fields = [scalar('id', 'long'), scalar('a', 'double'), scalar('b', 'double')]
      const payloads = pairs.map(([a, b]) => `{"a":${a},"b":${b}}`)
      const { ids } = route({ fields, partitionColumns: ['a', 'b'] }, payloads)
      const seen = new Map<string, number>()
      for (const [row, [a, b]] of pairs.entries()) {
        const key = JSON.stringify([JSON.parse(a), JSON.parse(b)])
        if (!seen.has(key)) seen.set(key, seen.size)
        assert.equal(ids[row], seen.get(key))
      }
    }),
    { numRuns: 100 },
  )
})
