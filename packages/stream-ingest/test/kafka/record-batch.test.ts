import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { COMPRESSION_CODECS } from '../../src/kafka/compression.ts'
import {
  BATCH_FIELD,
  BATCH_HEADER_BYTES,
  readBatchHeader,
  readRecords,
} from '../../src/kafka/record-batch.ts'
import {
  assignBaseOffset,
  encodeControlBatch,
  encodeRecordBatch,
  sealRecordBatch,
} from '../../src/kafka/record-batch-encoder.ts'
import { RecordSlab } from '../../src/kafka/record-slab.ts'
import { expectKafkaError, rowsOf } from './record-batch-fixture.ts'

const TEXT = Buffer.from('abc')

describe('readRecords', () => {
  for (const codec of COMPRESSION_CODECS) {
    test(`reads keys, values, timestamps and headers from ${codec}`, () => {
      const batch = encodeRecordBatch(
        [
          {
            key: 'k0',
            value: 'v0',
            timestampMs: 1000,
            headers: [
              ['h', 'x'],
              ['h', null],
              ['', ''],
            ],
          },
          { key: null, value: TEXT, timestampMs: 999 },
          { key: '', value: null, timestampMs: 3_000_000_000_000 },
          { value: '', offsetDelta: 9 },
        ],
        { baseOffset: 500n, codec },
      )
      const slab = new RecordSlab()
      const header = readRecords(batch, slab, 'orders', 3)
      assert.equal(header.lastOffset, 509n)
      assert.deepEqual(rowsOf(slab), [
        {
          offset: 500n,
          timestamp: 1000,
          key: 'k0',
          value: 'v0',
          headers: [
            ['h', 'x'],
            ['h', null],
            ['', ''],
          ],
        },
        { offset: 501n, timestamp: 999, key: null, value: 'abc', headers: [] },
        { offset: 502n, timestamp: 3_000_000_000_000, key: '', value: null, headers: [] },
        { offset: 509n, timestamp: 1000, key: null, value: '', headers: [] },
      ])
    })
  }

  test('reads raw snappy as librdkafka writes it', () => {
    const batch = encodeRecordBatch([{ value: 'x'.repeat(100_000) }], {
      baseOffset: 0n,
      codec: 'snappy',
      snappyFraming: 'raw',
    })
    const slab = new RecordSlab()
    readRecords(batch, slab, 'orders', 0)
    assert.equal(slab.valueAt(0)?.length, 100_000)
  })

  test('gives every record the batch maximum under LogAppendTime', () => {
    const batch = encodeRecordBatch(
      [
        { value: 'a', timestampMs: 1 },
        { value: 'b', timestampMs: 2 },
      ],
      {
        baseOffset: 0n,
        logAppendTimeMs: 777,
      },
    )
    const slab = new RecordSlab()
    readRecords(batch, slab, 'orders', 0)
    assert.deepEqual([slab.timestamp[0], slab.timestamp[1]], [777, 777])
  })

  test('keeps "no timestamp" as −1', () => {
    const slab = new RecordSlab()
    readRecords(encodeRecordBatch([{ value: 'a' }, { value: 'b' }], { baseOffset: 0n }), slab, 'orders', 0)
    assert.deepEqual([slab.timestamp[0], slab.timestamp[1]], [-1, -1])
  })

  test('reads a batch whose records compaction removed', () => {
    const slab = new RecordSlab()
    const header = readRecords(
      encodeRecordBatch([], { baseOffset: 5n, lastOffsetDelta: 4 }),
      slab,
      'orders',
      0,
    )
    assert.equal(slab.count, 0)
    assert.equal(header.lastOffset, 9n)
  })

  test('reads 5,000 records into a slab that starts smaller, and reuses it', () => {
    const slab = new RecordSlab()
    const records = Array.from({ length: 5000 }, (_, index) => ({ value: `${index}` }))
    readRecords(encodeRecordBatch(records, { baseOffset: 0n, codec: 'lz4' }), slab, 'orders', 0)
    assert.equal(Buffer.from(slab.valueAt(4999)!).toString(), '4999')
    const arrays = slab.valueStart
    readRecords(encodeRecordBatch(records.slice(0, 10), { baseOffset: 7n }), slab, 'orders', 0)
    assert.equal(slab.count, 10)
    assert.equal(slab.offsetAt(9), 16n)
    assert.equal(slab.valueStart, arrays)
  })

  test('reads a batch that is a view inside a larger buffer', () => {
    const batch = encodeRecordBatch([{ key: 'k', value: 'v', headers: [['n', 'h']] }], { baseOffset: 0n })
    const larger = Buffer.alloc(batch.length + 100)
    larger.set(batch, 33)
    const slab = new RecordSlab()
    readRecords(larger.subarray(33, 33 + batch.length), slab, 'orders', 0)
    assert.deepEqual(rowsOf(slab), [
      { offset: 0n, timestamp: -1, key: 'k', value: 'v', headers: [['n', 'h']] },
    ])
  })

  test('names topic, partition and base offset of a bit-flipped batch', () => {
    const batch = encodeRecordBatch([{ value: 'hello' }], { baseOffset: 1234n })
    batch[batch.length - 2]! ^= 1
    const error = expectKafkaError('KAFKA_CORRUPT_BATCH', () =>
      readRecords(batch, new RecordSlab(), 'orders', 3),
    )
    assert.match(error.message, /`orders-3@1234` is damaged: CRC-32C is 0x[0-9a-f]{8}, the header says/)
    assert.equal(error.isRetryable(), false)
  })

  test('refuses a batch cut at any byte', () => {
    const batch = encodeRecordBatch([{ key: 'k', value: 'hello' }], { baseOffset: 1n })
    for (let size = 0; size < batch.length; size++) {
      expectKafkaError('KAFKA_CORRUPT_BATCH', () =>
        readRecords(batch.subarray(0, size), new RecordSlab(), 'orders', 0),
      )
    }
  })

  for (const codec of COMPRESSION_CODECS) {
    test(`refuses ${codec} whose content is cut although the checksum is right`, () => {
      const records = Array.from({ length: 200 }, (_, index) => ({ value: `value number ${index}` }))
      const whole = encodeRecordBatch(records, { baseOffset: 0n, codec })
      for (const size of [whole.length - 1, whole.length - 20, BATCH_HEADER_BYTES + 20, BATCH_HEADER_BYTES]) {
        const cut = Buffer.from(whole.subarray(0, size))
        cut.writeInt32BE(size - 12, BATCH_FIELD.batchLength)
        sealRecordBatch(cut)
        expectKafkaError('KAFKA_CORRUPT_BATCH', () => readRecords(cut, new RecordSlab(), 'orders', 0))
      }
    })
  }

  test('refuses formats 0 and 1 by name', () => {
    for (const magic of [0, 1]) {
      const batch = Buffer.from(encodeRecordBatch([{ value: 'a' }], { baseOffset: 0n }))
      batch.writeInt8(magic, BATCH_FIELD.magic)
      const error = expectKafkaError('KAFKA_BATCH_UNSUPPORTED', () =>
        readRecords(batch, new RecordSlab(), 'orders', 0),
      )
      assert.match(error.message, new RegExp(`message format ${magic}, of Kafka before 0\\.11`))
    }
  })

  test('refuses an unknown codec number', () => {
    const batch = Buffer.from(encodeRecordBatch([{ value: 'a' }], { baseOffset: 0n }))
    batch.writeInt16BE(6, BATCH_FIELD.attributes)
    sealRecordBatch(batch)
    expectKafkaError('KAFKA_BATCH_UNSUPPORTED', () => readRecords(batch, new RecordSlab(), 'orders', 0))
  })

  test('refuses a record count that the bytes cannot hold, before it makes room for it', () => {
    const batch = Buffer.from(encodeRecordBatch([{ value: 'a' }], { baseOffset: 0n }))
    batch.writeInt32BE(0x7fffffff, BATCH_FIELD.recordCount)
    sealRecordBatch(batch)
    const slab = new RecordSlab()
    expectKafkaError('KAFKA_CORRUPT_BATCH', () => readRecords(batch, slab, 'orders', 0))
    assert.equal(slab.offsetDelta.length, 1024)
  })

  test('refuses a record length that leads past the batch', () => {
    const batch = Buffer.from(encodeRecordBatch([{ value: 'a' }], { baseOffset: 0n }))
    batch[BATCH_HEADER_BYTES] = 0x7e
    sealRecordBatch(batch)
    expectKafkaError('KAFKA_CORRUPT_BATCH', () => readRecords(batch, new RecordSlab(), 'orders', 0))
  })

  test('refuses offsets beyond the last one that the header names', () => {
    const batch = Buffer.from(encodeRecordBatch([{ value: 'a' }, { value: 'b' }], { baseOffset: 0n }))
    batch.writeInt32BE(0, BATCH_FIELD.lastOffsetDelta)
    sealRecordBatch(batch)
    const error = expectKafkaError('KAFKA_CORRUPT_BATCH', () =>
      readRecords(batch, new RecordSlab(), 'orders', 0),
    )
    assert.match(error.message, /record 1 has offset delta 1 after 0/)
  })

  test('refuses an uncompressed batch over the bound', () => {
    const batch = encodeRecordBatch([{ value: 'x'.repeat(2000) }], { baseOffset: 0n })
    const read = (maxBytes: number) => readRecords(batch, new RecordSlab(), 'orders', 0, { maxBytes })
    expectKafkaError('KAFKA_BATCH_TOO_LARGE', () => read(1000))
    read(batch.length - BATCH_HEADER_BYTES)
  })
})

describe('readBatchHeader', () => {
  test('returns null for a batch that the response cuts', () => {
    const batch = encodeRecordBatch([{ value: 'a' }], { baseOffset: 0n })
    assert.equal(readBatchHeader(batch.subarray(0, 10), 0, 'orders', 0), null)
    assert.equal(readBatchHeader(batch.subarray(0, 62), 0, 'orders', 0), null)
    assert.equal(readBatchHeader(batch, 0, 'orders', 0)?.sizeBytes, batch.length)
  })

  test('tells control and transactional batches', () => {
    const marker = encodeControlBatch('abort', { baseOffset: 9n, producerId: 77n })
    const header = readBatchHeader(marker, 0, 'orders', 0)
    assert.deepEqual(
      [header?.isControl, header?.isTransactional, header?.producerId, header?.lastOffset],
      [true, true, 77n, 9n],
    )
  })
})

test('assignBaseOffset keeps the checksum valid', () => {
  const batch = encodeRecordBatch([{ value: 'a' }], { baseOffset: 0n, codec: 'zstd' })
  assignBaseOffset(batch, 42n, 5)
  const slab = new RecordSlab()
  readRecords(batch, slab, 'orders', 0)
  assert.equal(slab.offsetAt(0), 42n)
})
