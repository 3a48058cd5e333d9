import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { decimalOf, listOf, scalar } from './decode-harness.ts'
import { RecordHarness } from './record-harness.ts'

const id = scalar('id', 'long', { nullable: false })
const key = { kind: 'key' } as const
const header = (name: string) => ({ kind: 'header', name }) as const
const atMs = Date.parse('2026-11-22T23:59:59.999Z')

describe('metadata columns', () => {
  const metadata = ['topic', 'partition', 'offset', 'timestamp', 'key', 'headers'] as const

  test('hold what Kafka knows of the record', () => {
    const harness = new RecordHarness({ fields: [id], metadata })
    const headers = [
      ['trace', 'abc'],
      ['empty', null],
      ['trace', Uint8Array.of(0xff)],
    ] as const
    const outcomes = harness.append(
      [
        { value: '{"id":1}', key: 'k', timestampMs: atMs, headers },
        { value: '{"id":2}', timestampMs: -1, offsetDelta: 7 },
      ],
      5_000_000_000n,
    )
    assert.deepEqual(outcomes, [null, null])
    const base = { _topic: 'events', _partition: 3 }
    assert.deepEqual(harness.rows(), [
      {
        id: 1n,
        ...base,
        _offset: 5_000_000_000n,
        _timestamp: BigInt(atMs) * 1000n,
        _key: new Uint8Array(Buffer.from('k')),
        _headers: [
          { key: 'trace', value: new Uint8Array(Buffer.from('abc')) },
          { key: 'empty', value: null },
          { key: 'trace', value: Uint8Array.of(0xff) },
        ],
      },
      { id: 2n, ...base, _offset: 5_000_000_007n, _timestamp: null, _key: null, _headers: [] },
    ])
  })

  test('offsets stay exact beyond 2^53', () => {
    const harness = new RecordHarness({ fields: [id], metadata: ['offset'] })
    const baseOffset = 2n ** 53n + 1n
    harness.append([{ value: '{"id":1}' }, { value: '{"id":2}', offsetDelta: 1 }], baseOffset)
    assert.deepEqual(
      harness.rows().map(row => row._offset),
      [baseOffset, baseOffset + 1n],
    )
  })

  test('a timestamp in the wrong unit makes the record bad', () => {
    const harness = new RecordHarness({ fields: [id], metadata: ['timestamp'] })
    const [bad] = harness.append([{ value: '{"id":1}', timestampMs: atMs * 1000 }])
    assert.deepEqual([bad?.path, bad?.column], ['kafka.timestamp', '_timestamp'])
    assert.match(bad!.message, new RegExp(`found ${atMs * 1000}`))
  })
})

describe('columns from the key and headers', () => {
  test('text and bytes are taken as they are, other types as their text', () => {
    const fields = [
      scalar('k', 'string', { source: key }),
      scalar('raw', 'binary', { source: key }),
      scalar('n', 'integer', { source: header('n') }),
      scalar('t', 'timestamp', { source: header('t'), unit: 'second' }),
      scalar('d', 'date', { source: header('d') }),
      decimalOf('m', 6, 2, { source: header('m') }),
      listOf('l', scalar('element', 'long'), { source: header('l') }),
      scalar('b', 'boolean', { source: header('b') }),
    ]
    const harness = new RecordHarness({ fields })
    const headers = [
      ['n', '1'],
      ['n', '12'],
      ['t', '2026-11-22T00:00:00Z'],
      ['d', '2026-11-22'],
      ['m', '1.5'],
      ['l', ' [1, 2] '],
      ['b', 'true'],
    ] as const
    const other = [
      ['t', '1700000000'],
      ['d', '20000'],
      ['n', null],
    ] as const
    assert.deepEqual(
      harness.append([
        { value: '{}', key: '"q"', headers },
        { value: '{}', headers: other },
      ]),
      [null, null],
    )
    const [first, second] = harness.rows()
    assert.deepEqual(first, {
      k: '"q"',
      raw: new Uint8Array(Buffer.from('"q"')),
      n: 12,
      t: BigInt(Date.parse('2026-11-22')) * 1000n,
      d: Date.parse('2026-11-22') / 86_400_000,
      m: 150n,
      l: [1n, 2n],
      b: true,
    })
    const nothing = { k: null, raw: null, n: null, m: null, l: null, b: null }
    assert.deepEqual(second, { ...nothing, t: 1_700_000_000_000_000n, d: 20000 })
  })

  test('what does not fit is bad, with its place', () => {
    const n = scalar('n', 'integer', { source: header('x-n'), declaredType: 'int32', nullable: false })
    const k = scalar('k', 'string', { source: key, declaredType: 'utf8' })
    const harness = new RecordHarness({ fields: [n, k] })
    const headers = (value: string) => [['x-n', value]] as const
    const outcomes = harness.append([
      { value: '{}' },
      { value: '{}', headers: headers('abc') },
      { value: '{}', headers: headers('1 2') },
      { value: '{}', headers: headers('3000000000') },
      { value: '{}', headers: headers('1'), key: Uint8Array.of(0xff) },
      { value: '{}', headers: headers('1'), key: '' },
    ])
    assert.deepEqual(
      outcomes.map(bad => bad && [bad.path, bad.column]),
      [
        ['kafka.headers.x-n', 'n'],
        ['kafka.headers.x-n', 'n'],
        ['kafka.headers.x-n', 'n'],
        ['kafka.headers.x-n', 'n'],
        ['kafka.key', 'k'],
        null,
      ],
    )
    assert.match(outcomes[3]!.message, /expected int32, found the number 3000000000 \(out of range\)/)
    assert.deepEqual(harness.rows(), [{ n: 1, k: '' }])
  })
})

describe('derived columns', () => {
  const at = scalar('at', 'timestamp', { unit: 'millisecond' })
  const units = ['date', 'hour', 'year', 'month', 'day'] as const

  test('are parts of a column, a nested field or the record’s timestamp, in UTC', () => {
    for (const from of ['at', 'user.at', 'kafka.timestamp']) {
      const derive = units.map(as => ({ name: as, from, as }))
      const harness = new RecordHarness({ fields: from === 'at' ? [at] : [id], derive })
      const value = `{"id":1,"at":${atMs},"user":{"at":"2026-11-23T01:59:59.999+02:00"}}`
      assert.deepEqual(harness.append([{ value, timestampMs: atMs }]), [null], from)
      const [row] = harness.rows()
      assert.deepEqual(
        units.map(unit => row![unit]),
        [Date.parse('2026-11-22') / 86_400_000, 23, 2026, 11, 22],
        from,
      )
    }
  })

  test('before 1970 and beyond 2^53 microseconds they are right too', () => {
    const harness = new RecordHarness({
      fields: [at],
      derive: units.map(as => ({ name: as, from: 'at', as })),
    })
    const text = (at: string) => ({ value: `{"at":"${at}"}` })
    harness.append([
      text('1969-12-31T23:59:59.999999Z'),
      text('9999-12-31T23:59:59.999999Z'),
      text('0001-01-01'),
    ])
    assert.deepEqual(
      harness.rows().map(row => units.map(unit => row[unit])),
      [
        [-1, 23, 1969, 12, 31],
        [2932896, 23, 9999, 12, 31],
        [-719162, 0, 1, 1, 1],
      ],
    )
  })

  test('are null where a nullable input is, and bad where an undeclared one is missing', () => {
    const nullable = new RecordHarness({ fields: [at], derive: [{ name: 'date', from: 'at', as: 'date' }] })
    assert.deepEqual(nullable.append([{ value: '{}' }]), [null])
    assert.deepEqual(nullable.rows(), [{ at: null, date: null }])
    const required = new RecordHarness({
      fields: [id],
      derive: [{ name: 'date', from: 'user.at', as: 'date' }],
    })
    const outcomes = required.append([
      { value: '{"id":1}' },
      { value: '{"id":1,"user":{"at":"soon"}}' },
      { value: '{"id":1,"user":{"at":0}}' },
    ])
    assert.deepEqual(
      outcomes.map(bad => bad && [bad.path, bad.column]),
      [['$.user.at', 'date'], ['$.user.at', 'date'], null],
    )
    assert.deepEqual(required.rows(), [{ id: 1n, date: 0 }])
  })
})

describe('partition columns outside of the schema', () => {
  test('take the payload’s field, else the record’s timestamp', () => {
    const harness = new RecordHarness({ fields: [id], partitionColumns: ['date', 'hour'] })
    const outcomes = harness.append([
      { value: '{"id":1,"date":"2020-02-29","hour":7}', timestampMs: atMs },
      { value: '{"id":2,"date":null}', timestampMs: atMs },
      { value: '{"id":3,"date":"never"}', timestampMs: atMs },
      { value: '{"id":4}', timestampMs: -1 },
    ])
    assert.deepEqual(
      outcomes.map(bad => bad && [bad.path, bad.column]),
      [null, null, ['$.date', 'date'], ['kafka.timestamp', 'date']],
    )
    const day = (text: string) => Date.parse(text) / 86_400_000
    assert.deepEqual(harness.rows(), [
      { id: 1n, date: day('2020-02-29'), hour: 7 },
      { id: 2n, date: day('2026-11-22'), hour: 23 },
    ])
  })

  test('are bad where they are of another name and missing', () => {
    const harness = new RecordHarness({ fields: [id], partitionColumns: ['region'] })
    const [good, bad] = harness.append([{ value: '{"id":1,"region":"eu"}' }, { value: '{"id":2}' }])
    assert.equal(good, null)
    assert.deepEqual([bad?.path, bad?.column], ['$.region', 'region'])
  })

  test('must have text that the log can hold', () => {
    const fields = [id, scalar('p', 'string', { nullable: false }), scalar('q', 'binary')]
    const harness = new RecordHarness({ fields, partitionColumns: ['p', 'q'] })
    const outcomes = harness.append([
      { value: '{"id":1,"p":"","q":null}' },
      { value: '{"id":1,"p":"x","q":"/w=="}' },
      { value: '{"id":1,"p":"x","q":"YQ=="}' },
    ])
    assert.deepEqual(
      outcomes.map(bad => bad && [bad.path, bad.column]),
      [['$.p', 'p'], ['$.q', 'q'], null],
    )
  })
})

test('a tombstone is a row of key and metadata where the payload’s columns may be null', () => {
  const parts = { partitionColumns: ['date'], metadata: ['key'] as const }
  const harness = new RecordHarness({ fields: [scalar('name', 'string')], ...parts })
  assert.deepEqual(harness.append([{ value: null, key: 'gone', timestampMs: 0 }]), [null])
  assert.deepEqual(harness.rows(), [{ name: null, date: 0, _key: new Uint8Array(Buffer.from('gone')) }])
  const [bad] = new RecordHarness({ fields: [id], ...parts }).append([{ value: null, timestampMs: 0 }])
  assert.deepEqual([bad?.path, bad?.column], ['$.id', 'id'])
})

test('a bad record leaves the batch as it was, whichever column it fails in', () => {
  const fields = [id, scalar('h', 'integer', { source: header('h') }), scalar('s', 'string')]
  const derive = [{ name: 'day', from: 'when', as: 'day' }] as const
  const metadata = ['headers', 'timestamp'] as const
  const harness = new RecordHarness({ fields, derive, metadata, partitionColumns: ['date'] })
  const good = { value: '{"id":1,"s":"x","when":0}', headers: [['h', '1']] as const, timestampMs: atMs }
  harness.append([good])
  const outcomes = harness.append([
    { ...good, value: '{"s":"x","when":0}' },
    { ...good, value: '{"id":1,"s":"x","when":true}' },
    { ...good, value: '{"id":1,"s":"x"' },
    { ...good, headers: [['h', 'x']] },
    { ...good, timestampMs: -1 },
  ])
  assert.ok(outcomes.every(bad => bad !== null))
  assert.ok(harness.batch.columns.every(column => column.length === 1))
  assert.deepEqual(harness.append([good]), [null])
  const [first, second] = harness.rows()
  assert.deepEqual(second, first)
})
