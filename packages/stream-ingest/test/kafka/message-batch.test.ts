import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  extractPartitionValues,
  type KafkaMessage,
  MessageBatch,
  parseJsonMessage,
} from '../../src/kafka/message-batch.ts'
import { encodeRecordBatch } from '../../src/kafka/record-batch-encoder.ts'

const TARGET = { topic: 'orders', topicId: 'x', partition: 2 }

function chunk(batches: readonly Uint8Array[], fromOffset: bigint, nextOffset: bigint) {
  const sizeBytes = batches.reduce((sum, batch) => sum + batch.length, 0)
  return {
    topicPartition: TARGET,
    fromOffset,
    nextOffset,
    batches,
    sizeBytes,
    abortedRecordCount: 0,
    endOffset: 100n,
  }
}

function message(
  payload: string | null,
  timestamp: number | null = Date.UTC(2026, 10, 5, 7, 8),
): KafkaMessage {
  const batch = encodeRecordBatch(
    [{ value: payload, ...(timestamp === null ? {} : { timestampMs: timestamp }) }],
    {
      baseOffset: 5n,
    },
  )
  return [...new MessageBatch([chunk([batch], 5n, 6n)])][0]!
}

describe('MessageBatch', () => {
  test('gives each record as a message, texts beside exact bytes', () => {
    const batch = encodeRecordBatch(
      [
        {
          key: 'k',
          value: Uint8Array.of(0xff, 0x41),
          timestampMs: 12,
          headers: [
            ['h', '1'],
            ['h', '2'],
            ['n', null],
          ],
        },
        { value: null },
      ],
      { baseOffset: 8n, codec: 'zstd' },
    )
    const [first, second] = new MessageBatch([chunk([batch], 8n, 10n)])
    assert.deepEqual(
      {
        ...first,
        keyBytes: null,
        payloadBytes: [...first!.payloadBytes!],
        headerList: first!.headerList.length,
      },
      {
        key: 'k',
        payload: '\ufffdA',
        topic: 'orders',
        partition: 2,
        offset: 8n,
        timestamp: 12,
        headers: { h: '2', n: '' },
        keyBytes: null,
        payloadBytes: [0xff, 0x41],
        headerList: 3,
      },
    )
    assert.deepEqual([second?.key, second?.payload, second?.offset], [null, null, 9n])
  })

  test('leaves out records outside its offsets, and may be iterated again', () => {
    const batch = encodeRecordBatch(
      ['a', 'b', 'c', 'd'].map(value => ({ value })),
      { baseOffset: 0n },
    )
    const messages = new MessageBatch([chunk([batch], 1n, 3n)])
    assert.deepEqual(
      [...messages].map(({ payload }) => payload),
      ['b', 'c'],
    )
    assert.deepEqual(
      [...messages].map(({ payload }) => payload),
      ['b', 'c'],
    )
    assert.deepEqual([...messages.nextOffsets()], [[TARGET, 3n]])
    assert.equal(messages.recordCountMax, 4)
  })

  test('gives null for a timestamp that the producer did not set', () => {
    assert.equal(message('x', null).timestamp, null)
  })
})

describe('parseJsonMessage', () => {
  test('keeps 64-bit integers exact', () => {
    assert.deepEqual(
      parseJsonMessage(
        '{"a":9223372036854775807,"b":-9007199254740993,"c":9007199254740991,"d":1.5,"e":1e20}',
      ),
      {
        a: 9223372036854775807n,
        b: -9007199254740993n,
        c: 9007199254740991,
        d: 1.5,
        e: 1e20,
      },
    )
  })

  test('refuses what is not JSON', () => {
    assert.throws(() => parseJsonMessage('{"a":'), { code: 'RECORD_NOT_JSON' })
  })
})

describe('extractPartitionValues', () => {
  test('takes the field of the payload, else the timestamp in UTC', () => {
    const found = extractPartitionValues(
      message('{"country":"de","n":9223372036854775807,"ok":true,"date":null}'),
      ['country', 'n', 'ok', 'date', 'year', 'month', 'day', 'hour'],
    )
    assert.deepEqual(found, {
      country: 'de',
      n: '9223372036854775807',
      ok: 'true',
      date: '2026-11-05',
      year: '2026',
      month: '11',
      day: '5',
      hour: '7',
    })
    assert.deepEqual(extractPartitionValues(message('{"x":null}'), ['x']), { x: null })
  })

  test('refuses a column that is nowhere, holds an object, or needs a missing timestamp', () => {
    assert.throws(() => extractPartitionValues(message('{}'), ['country']), {
      code: 'RECORD_INVALID',
      message: 'partition column `country` of `orders-2@5` is not in the payload',
    })
    assert.throws(() => extractPartitionValues(message('{"x":[1]}'), ['x']), { code: 'RECORD_INVALID' })
    assert.throws(() => extractPartitionValues(message('{}', null), ['date']), { code: 'RECORD_INVALID' })
  })
})
