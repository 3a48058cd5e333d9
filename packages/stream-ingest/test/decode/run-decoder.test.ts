import assert from 'node:assert/strict'
import { describe, mock, type TestContext, test } from 'node:test'
import { JsonDecoder } from '../../src/decode/json-decoder.ts'
import type { RecordWriterOptions } from '../../src/decode/record-writer.ts'
import { RecordSlab } from '../../src/kafka/record-slab.ts'
import { at, decimalOf, listOf, mapOf, payloadField, scalar, structOf } from './decode-harness.ts'
import type { LayoutParts } from './record-harness.ts'
import {
  type Payload,
  RunHarness,
  slabOf,
  type TimedPayload,
  writeEachAlone,
  writeInRuns,
} from './run-harness.ts'

/** As many as make a window worth staging. */
const FEW = 8

const event = [
  scalar('id', 'long', { nullable: false }),
  scalar('text', 'string'),
  scalar('at', 'timestamp', { unit: 'millisecond' }),
  scalar('day', 'date'),
  scalar('small', 'integer'),
  scalar('short', 'short'),
  scalar('tiny', 'byte'),
  scalar('value', 'double'),
  scalar('flag', 'boolean'),
  listOf('tags', scalar('element', 'string')),
  mapOf('counts', scalar('value', 'long')),
  structOf('place', [scalar('city', 'string'), structOf('geo', [scalar('lat', 'double')])]),
  listOf('items', structOf('element', [scalar('sku', 'string'), listOf('sizes', scalar('e', 'integer'))])),
]

function eventText(id: number): string {
  return JSON.stringify({
    id,
    text: `text "${id}" \\ é 😀`,
    at: 1_700_000_000_000 + id,
    day: '2026-12-01',
    small: -id,
    short: id % 100,
    tiny: -(id % 100),
    value: id / 8,
    flag: id % 2 === 0,
    tags: ['a', 'b'.repeat(id % 40)],
    counts: { one: 1, two: id },
    place: { city: 'Zürich', geo: { lat: 47.37 } },
    items: [{ sku: 'x', sizes: [1, 2] }, { sku: 'y', sizes: [] }, { sku: 'z' }],
  })
}

/** How many payloads went through the decoder that takes them one by one. */
function countDecoded(t: TestContext): () => number {
  const spy = mock.method(JsonDecoder.prototype, 'decode')
  t.after(() => spy.mock.restore())
  return () => spy.mock.callCount()
}

function assertSame(
  parts: LayoutParts,
  payloads: readonly (Payload | TimedPayload)[],
  options: RecordWriterOptions = {},
): void {
  assert.deepEqual(writeInRuns(parts, payloads, options), writeEachAlone(parts, payloads, options))
}

describe('what producers write all day is staged', () => {
  test('values of each kind, more than one window of them', t => {
    const decoded = countDecoded(t)
    const payloads = Array.from({ length: 3_000 }, (_, id) => eventText(id))
    const { outcomes, rows } = writeInRuns({ fields: event }, payloads)
    assert.equal(decoded(), 0)
    assert.ok(outcomes.every(outcome => outcome === null))
    assert.deepEqual(rows, writeEachAlone({ fields: event }, payloads).rows)
  })

  const staged: Readonly<Record<string, string>> = {
    'null in every field': `{"id":1,${event
      .slice(1)
      .map(({ name }) => `"${name}":null`)
      .join(',')}}`,
    'nothing but the required field': '{"id":1}',
    'another order of keys': '{"flag":true,"id":3,"text":"x","small":1}',
    'fields that no column takes': '{"x":{"y":[1,{"z":"\\u0041"}]},"id":4,"z":null,"é":1e5}',
    'space wherever it may be': ' { "id" : 5 ,\n"tags" : [ "a" , "b" ] , "counts" : { "k" : 1 } }\t',
    'the widest integers': '{"id":-9223372036854775808,"small":-2147483648,"short":32767,"tiny":-128}',
    'numbers with more digits than a double': '{"id":6,"value":0.12345678901234567890}',
    'numbers with an exponent': '{"id":7,"value":-1.5e-320}',
    'negative zero': '{"id":0,"value":-0}',
    'escapes of every kind': '{"id":8,"text":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20ac\\ud83d\\ude00"}',
    'text of other scripts':
      '{"id":9,"text":"日本語テキスト, ελληνικά, 🙂🙃, and long enough for two loads"}',
    'an instant as text': '{"id":10,"at":"2024-02-29 23:59:59,123456789+05:30"}',
    'an instant of another zone': '{"id":10,"at":"2026-12-01T00:00Z"}',
    'a day as an instant': '{"id":10,"at":"1969-12-31"}',
    'JSON in a column of text': '{"id":11,"text":{"a":[1,2.50,"x"]}}',
    'a number in a column of text': '{"id":11,"text":-1.50e3}',
    'nothing in lists and maps': '{"id":12,"tags":[],"counts":{},"items":[],"place":{}}',
  }
  for (const [what, payload] of Object.entries(staged)) {
    test(what, t => {
      const decoded = countDecoded(t)
      const payloads = Array.from({ length: FEW }, () => payload)
      const run = writeInRuns({ fields: event }, payloads)
      assert.equal(decoded(), 0)
      assert.deepEqual(run, writeEachAlone({ fields: event }, payloads))
    })
  }

  test('instants in each unit', t => {
    const decoded = countDecoded(t)
    const units = ['second', 'millisecond', 'microsecond', 'nanosecond'] as const
    const fields = units.map(unit => scalar(unit, 'timestamp', { unit }))
    const payload =
      '{"second":1764547200,"millisecond":1764547200123,"microsecond":1764547200123456,"nanosecond":1764547200123456789}'
    const payloads = Array.from({ length: FEW }, () => payload)
    const run = writeInRuns({ fields }, payloads)
    assert.equal(decoded(), 0)
    assert.deepEqual(run, writeEachAlone({ fields }, payloads))
  })

  test('unsigned integers within their bounds', t => {
    const decoded = countDecoded(t)
    const fields = [
      scalar('u32', 'long', { unsignedBits: 32 }),
      scalar('u16', 'integer', { unsignedBits: 16 }),
      scalar('u8', 'short', { unsignedBits: 8 }),
    ]
    const payloads = Array.from({ length: FEW }, () => '{"u32":4294967295,"u16":65535,"u8":255}')
    assert.deepEqual(writeInRuns({ fields }, payloads), writeEachAlone({ fields }, payloads))
    assert.equal(decoded(), FEW)
    assertSame({ fields }, [...payloads, '{"u32":4294967296}', '{"u16":65536}', '{"u8":-1}'])
  })
})

describe('anything else has another look, between rows that are staged', () => {
  const odd: Readonly<Record<string, Payload>> = {
    'no payload': null,
    'an empty payload': '',
    'no JSON': 'hello',
    'another value than an object': '[1]',
    'a required field that is missing': '{"text":"x"}',
    'a required field that is null': '{"id":null}',
    'a value of another kind': '{"id":"1"}',
    'an integer out of range': '{"id":1,"small":2147483648}',
    'an integer beyond 64 bits': '{"id":9223372036854775808}',
    'an integer with a fraction': '{"id":1.0}',
    'an integer with a leading zero': '{"id":01}',
    'a key twice': '{"id":1,"id":2}',
    'a key twice in a map': '{"id":1,"counts":{"a":1,"a":2}}',
    'a key that is escaped': '{"\\u0069d":1}',
    'half of a surrogate pair': '{"id":1,"text":"\\ud83d"}',
    'a pair that is none': '{"id":1,"text":"\\ud83d\\u0041"}',
    'text that is no UTF-8': Uint8Array.of(...Buffer.from('{"id":1,"text":"'), 0xc0, 0x80, 0x22, 0x7d),
    'a control character': '{"id":1,"text":"a\u0001"}',
    'an instant before 1970': '{"id":1,"at":-1}',
    'an instant in the wrong unit': '{"id":1,"at":1764547200123456789}',
    'a day that does not exist': '{"id":1,"day":"2026-02-29"}',
    'an hour that does not exist': '{"id":1,"at":"2026-12-01T24:00:00Z"}',
    'cut off in a text': '{"id":1,"text":"abc',
    'cut off behind a value': '{"id":1,"small":12',
    'cut off behind a comma': '{"id":1,',
    'something behind the object': '{"id":1} 2',
    'a comma too many': '{"id":1,}',
    'many entries in a map': `{"id":1,"counts":{${Array.from({ length: 100 }, (_, i) => `"${i}":${i}`).join(',')}}}`,
    'nested too deep': `{"id":1,"x":${'['.repeat(200)}${']'.repeat(200)}}`,
    'nested in a column of text': `{"id":1,"text":${'['.repeat(127)}${']'.repeat(127)}}`,
    'larger than a window': `{"id":1,"text":"${'x'.repeat(300_000)}"}`,
  }
  for (const [what, payload] of Object.entries(odd)) {
    test(what, t => {
      const decoded = countDecoded(t)
      const before = Array.from({ length: FEW }, (_, id) => eventText(id))
      const payloads = [...before, payload, ...before]
      const run = writeInRuns({ fields: event }, payloads)
      assert.ok(decoded() <= 1, 'its neighbours are staged')
      assert.deepEqual(run, writeEachAlone({ fields: event }, payloads))
    })
  }

  test('numbers beyond the bound of those that are noted', () => {
    const fields = [listOf('v', scalar('element', 'double'))]
    const many = `{"v":[${Array.from({ length: 5_000 }, (_, i) => `${i}.12345678901234567`).join(',')}]}`
    assertSame({ fields }, [...Array.from({ length: FEW }, () => '{"v":[1.5]}'), many, '{"v":[2.5]}', many])
  })

  test('mostly such records: they are not scanned twice for long', t => {
    const decoded = countDecoded(t)
    const fields = [scalar('v', 'long', { nullable: false })]
    const payloads = Array.from({ length: 20_000 }, (_, i) => (i % 3 === 0 ? '{"v":1}' : '{"v":1.0}'))
    const run = writeInRuns({ fields }, payloads)
    assert.ok(decoded() > 19_000 * (2 / 3))
    assert.deepEqual(run, writeEachAlone({ fields }, payloads))
  })

  test('few records: the kernel does not pay', t => {
    const decoded = countDecoded(t)
    const payloads = Array.from({ length: FEW - 1 }, (_, id) => eventText(id))
    writeInRuns({ fields: event }, payloads)
    assert.equal(decoded(), FEW - 1)
  })
})

describe('columns that are not staged', () => {
  const fields = [
    scalar('id', 'long', { nullable: false }),
    decimalOf('price', 10, 2),
    scalar('raw', 'binary'),
    scalar('single', 'float'),
    scalar('u64', 'long', { unsignedBits: 64 }),
    listOf('prices', decimalOf('element', 10, 2)),
    scalar('name', 'string'),
  ].map(f => (f.name === 'u64' ? { ...decimalOf('u64', 20, 0, { unsignedBits: 64 }) } : f))
  const payload = (id: number) =>
    `{"id":${id},"price":"12.50","raw":"AAEC","single":1.1,"u64":18446744073709551615,"prices":[1.25,null],"name":"n${id}"}`

  test('are found by the kernel, and decoded one by one', t => {
    const decoded = countDecoded(t)
    const payloads = Array.from({ length: 50 }, (_, id) => payload(id))
    const run = writeInRuns({ fields }, [...payloads, '{"id":1}', '{"id":2,"price":null}'])
    assert.equal(decoded(), 0)
    assert.deepEqual(run, writeEachAlone({ fields }, [...payloads, '{"id":1}', '{"id":2,"price":null}']))
  })

  test('a value that does not fit takes nothing else along', () => {
    const good = Array.from({ length: FEW }, (_, id) => payload(id))
    for (const bad of [
      '{"id":1,"price":"x"}',
      '{"id":1,"price":1,"raw":"!"}',
      '{"id":1,"prices":[1,2.505]}',
    ]) {
      assertSame({ fields }, [...good, bad, ...good])
    }
  })

  test('one value for several columns, and below it', () => {
    const spread = [
      scalar('whole', 'string', { source: at('o') }),
      scalar('n', 'long', { source: at('o', 'n') }),
      payloadField('again', scalar('n', 'long').type, { source: at('o', 'n') }),
      scalar('x', 'long'),
    ]
    const payloads = Array.from({ length: FEW }, (_, id) => `{"o":{"n":${id}},"x":1}`)
    assertSame({ fields: spread }, [...payloads, '{"x":2}', '{"o":{"n":"no"}}', '{"o":1}', ...payloads])
  })

  test('a name that JSON must escape', () => {
    const quoted = [scalar('a"b', 'long'), scalar('c', 'long')]
    assertSame(
      { fields: quoted },
      Array.from({ length: FEW }, () => '{"a\\"b":1,"c":2}'),
    )
  })
})

describe('columns that are not of the payload alone', () => {
  const START_MS = Date.parse('2026-12-01T22:00:00Z')
  const timed = (payloads: readonly Payload[]) =>
    payloads.map((payload, i) => ({ payload, timestampMs: START_MS + i * 600_000 }))
  const metadata = ['topic', 'partition', 'offset', 'timestamp', 'key', 'headers'] as const
  const payloads = Array.from({ length: 40 }, (_, id) => eventText(id))

  test('what Kafka knows of the record', t => {
    const decoded = countDecoded(t)
    const run = writeInRuns({ fields: event, metadata }, timed(payloads))
    assert.equal(decoded(), 0)
    assert.deepEqual(run, writeEachAlone({ fields: event, metadata }, timed(payloads)))
  })

  test('a timestamp that is none in the middle of a run', () => {
    for (const timestampMs of [-1, START_MS * 1000]) {
      const records = [...timed(payloads), { payload: eventText(99), timestampMs }, ...timed(payloads)]
      assertSame({ fields: event, metadata }, records)
      assertSame({ fields: event, partitionColumns: ['date'] }, records)
      assertSame({ fields: event, partitionColumns: ['date', 'hour'], metadata }, [...records, ...records])
    }
  })

  test('the table partition from the payload, or else from the timestamp', t => {
    const decoded = countDecoded(t)
    const fields = [scalar('id', 'long'), scalar('date', 'date')]
    const records = timed(
      Array.from({ length: 30 }, (_, id) =>
        id % 3 === 0 ? `{"id":${id}}` : `{"id":${id},"date":"2020-02-${10 + (id % 9)}"}`,
      ),
    )
    const parts = { fields: fields.slice(0, 1), partitionColumns: ['date'] }
    const { rows } = writeInRuns(parts, records)
    assert.equal(decoded(), 0)
    assert.deepEqual(rows, writeEachAlone(parts, records).rows)
    assertSame({ fields, partitionColumns: ['date'] }, records)
    assertSame(parts, [...records, { payload: '{"id":1}', timestampMs: -1 }, ...records])
  })

  test('what is derived from a field, which may be missing', t => {
    const decoded = countDecoded(t)
    const at = scalar('at', 'timestamp', { unit: 'millisecond' })
    const derive = [
      { name: 'day', from: 'at', as: 'date' },
      { name: 'hour', from: 'at', as: 'hour' },
    ] as const
    const parts = { fields: [at, scalar('id', 'long')], derive }
    const records = Array.from({ length: 30 }, (_, id) =>
      id % 5 === 0 ? `{"id":${id}}` : `{"id":${id},"at":${START_MS + id * 3_600_000}}`,
    )
    const run = writeInRuns(parts, records)
    assert.equal(decoded(), 0)
    assert.deepEqual(run, writeEachAlone(parts, records))
  })

  test('text that is no value of a table partition', () => {
    const fields = [scalar('id', 'long'), scalar('tenant', 'string', { nullable: false })]
    const records = Array.from(
      { length: 60 },
      (_, id) => `{"id":${id},"tenant":"${id % 7 === 6 ? '' : 'a'}"}`,
    )
    assertSame({ fields, partitionColumns: ['tenant'] }, records)
  })
})

test('unknown fields are noted where somebody wants to know', () => {
  const unknown = ['{"id":1,"x":1}', '{"id":1,"x":null}', '{"id":1,"place":{"zip":1}}']
  const payloads = unknown.flatMap(payload => [eventText(1), eventText(2), payload, eventText(3)])
  assertSame({ fields: event }, payloads, { notesUnknown: true })
})

test('a view that is filled again is read again', () => {
  const slab = new RecordSlab()
  const harness = new RunHarness({ fields: [scalar('id', 'long')] })
  for (const first of [0, 100, 200]) {
    const ids = Array.from({ length: FEW }, (_, i) => first + i)
    const filled = slabOf(
      ids.map(id => `{"id":${id}}`),
      slab,
    )
    assert.deepEqual(
      harness.writeInRuns(filled).rows.map(row => row.id),
      ids.map(BigInt),
    )
  }
})

test('a table too wide for a window is decoded all the same', () => {
  const fields = Array.from({ length: 2_500 }, (_, i) => scalar(`c${i}`, 'string'))
  assertSame(
    { fields },
    Array.from({ length: FEW }, () => '{"c0":"a","c2499":"b"}'),
  )
})
