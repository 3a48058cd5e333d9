import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IngestConfig } from '../../src/config/config.ts'
import { convertToArrowBatch } from '../../src/pipeline/arrow-batch.ts'
import { CORRUPTIONS } from '../../src/testing/generate-messages.ts'
import { generateMessages, MessageSummaryBuilder } from '../../src/testing/index.ts'

test('the same seed gives the same bytes, another seed others', () => {
  const bytes = (seed: number): string =>
    [...generateMessages({ seed, count: 50, corruptShare: 0.2 })]
      .map(message => Buffer.from(message.value).toString('hex'))
      .join(' ')
  assert.equal(bytes(7), bytes(7))
  assert.notEqual(bytes(7), bytes(8))
})

test('a sound message is JSON of the event, its integers exact, about 200 bytes', () => {
  let total = 0
  for (const { value, event, key, timestampMs } of generateMessages({ seed: 1, count: 500 })) {
    assert(event !== null)
    const text = Buffer.from(value).toString('utf8')
    const parsed = JSON.parse(text) as Record<string, unknown>
    const { user_id, ...rest } = event
    assert.equal(/"user_id":(-?\d+),/.exec(text)?.[1], String(user_id))
    const { user_id: _rounded, ...parsedRest } = parsed
    assert.deepEqual(parsedRest, rest)
    assert.equal(Buffer.from(key).toString(), String(user_id))
    assert.equal(timestampMs, event.timestamp)
    total += value.length
  }
  assert(total / 500 > 170 && total / 500 < 230, `${total / 500} bytes`)
})

test('some ids need all 64 bits', () => {
  const ids = [...generateMessages({ seed: 1, count: 500 })].map(message => message.event!.user_id)
  assert(ids.some(id => id > 2n ** 53n))
  assert(ids.some(id => id < -(2n ** 53n)))
})

/** Does the schema of the three required fields take it? */
function fitsSchema(value: Uint8Array): boolean {
  const text = Buffer.from(value).toString('utf8')
  const message = {
    key: null,
    payload: text,
    topic: 't',
    partition: 0,
    offset: 0n,
    timestamp: 0,
    headers: {},
    keyBytes: null,
    payloadBytes: value,
    headerList: [],
  }
  return convertToArrowBatch([message], REQUIRED_FIELDS).numRows === 1
}

const REQUIRED_FIELDS = IngestConfig.parse(`
kafka: { bootstrap_servers: "b:9092", topic: t, consumer_group: g }
local: { path: /unused }
delta:
  table_name: t
  schema:
    - { name: user_id, data_type: int64, nullable: false }
    - { name: event_type, data_type: utf8, nullable: false }
    - { name: timestamp, data_type: timestamp_millisecond, nullable: false }
processing: { on_bad_record: skip }
`)

test('no kind of corrupt message fits the schema of the required fields, and every sound one does', () => {
  const seen = new Set<string>()
  for (const { corruption, event, value } of generateMessages({ seed: 3, count: 300, corruptShare: 0.5 })) {
    assert.equal(corruption === null, event !== null)
    assert.equal(fitsSchema(value), corruption === null, corruption ?? 'sound')
    if (corruption !== null) seen.add(corruption)
  }
  assert.deepEqual([...seen].sort(), [...CORRUPTIONS].sort())
})

test('the summary counts, adds and bounds every column over the sound messages', () => {
  const builder = new MessageSummaryBuilder()
  const messages = [...generateMessages({ seed: 5, count: 400, corruptShare: 0.1 })]
  for (const message of messages) builder.add(message)
  const summary = builder.summary()
  const events = messages.flatMap(message => (message.event === null ? [] : [message.event]))
  assert.equal(summary.messageCount, 400)
  assert.equal(summary.rowCount, events.length)
  assert.equal(summary.corruptCount, 400 - events.length)
  const ids = events.map(event => event.user_id).sort((a, b) => (a < b ? -1 : 1))
  const { user_id, amount, event_type, is_mobile } = summary.columns
  assert.deepEqual(user_id, {
    nullCount: 0,
    min: ids[0],
    max: ids.at(-1),
    sum: ids.reduce((sum, id) => sum + id, 0n),
  })
  const amounts = events.flatMap(event => (event.amount === null ? [] : [event.amount]))
  assert.equal(amount.nullCount, events.length - amounts.length)
  assert.equal(
    amount.sum,
    amounts.reduceRight((sum, value) => sum + value, 0),
  )
  assert.deepEqual([event_type.min, event_type.max, event_type.sum], ['add_to_cart', 'sign_out', null])
  assert.equal(is_mobile.sum, BigInt(events.filter(event => event.is_mobile).length))
})
