import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseFetchResponse } from '../../src/kafka/fetch-response.ts'
import { expectKafkaError } from './record-batch-fixture.ts'

const TOPIC_ID = '00112233-4455-4677-8899-aabbccddeeff'

const int16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const int64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(value)
  return bytes
}
const varint = (value: number): Buffer =>
  value < 128 ? Buffer.of(value) : Buffer.concat([Buffer.of((value & 127) | 128), varint(value >> 7)])
const compactArray = (items: readonly Buffer[]): Buffer => Buffer.concat([varint(items.length + 1), ...items])
const tags = (entries: readonly [number, Buffer][]): Buffer =>
  Buffer.concat([
    varint(entries.length),
    ...entries.flatMap(([tag, value]) => [varint(tag), varint(value.length), value]),
  ])
const NO_TAGS = tags([])

function partition(
  index: number,
  errorCode: number,
  records: Buffer | null,
  extra: Partial<Record<'aborted' | 'tags', Buffer>> = {},
): Buffer {
  return Buffer.concat([
    int32(index),
    int16(errorCode),
    int64(100n),
    int64(90n),
    int64(5n),
    extra.aborted ?? varint(0),
    int32(-1),
    records === null ? varint(0) : Buffer.concat([varint(records.length + 1), records]),
    extra.tags ?? NO_TAGS,
  ])
}

function response(partitions: readonly Buffer[], finalTags = NO_TAGS): Buffer {
  const topic = Buffer.concat([
    Buffer.from(TOPIC_ID.replaceAll('-', ''), 'hex'),
    compactArray(partitions),
    NO_TAGS,
  ])
  return Buffer.concat([int32(7), int16(0), int32(0), compactArray([topic]), finalTags])
}

describe('parseFetchResponse', () => {
  test('reads every partition, an error of one beside data of another', () => {
    const aborted = compactArray([Buffer.concat([int64(42n), int64(17n), NO_TAGS])])
    const leader = tags([
      [0, Buffer.concat([int32(1), int64(2n), NO_TAGS])],
      [1, Buffer.concat([int32(3), int32(9), NO_TAGS])],
      [99, Buffer.from('unknown')],
    ])
    const body = response([
      partition(0, 0, Buffer.alloc(300, 7), { aborted }),
      partition(1, 6, null, { tags: leader }),
    ])
    const { throttleTimeMs, errorCode, partitions } = parseFetchResponse(body)
    assert.deepEqual([throttleTimeMs, errorCode], [7, 0])
    const [first, second] = partitions
    assert.equal(first?.topicId, TOPIC_ID)
    assert.deepEqual([first?.highWatermark, first?.lastStableOffset, first?.logStartOffset], [100n, 90n, 5n])
    assert.deepEqual(first?.abortedTransactions, [{ producerId: 42n, firstOffset: 17n }])
    assert.deepEqual(Buffer.from(first!.records), Buffer.alloc(300, 7))
    assert.equal(first?.currentLeader, null)
    assert.deepEqual([second?.errorCode, second?.records.length], [6, 0])
    assert.deepEqual(second?.currentLeader, { nodeId: 3, epoch: 9 })
  })

  test('hands out the records as a view, without a copy', () => {
    const body = response([partition(0, 0, Buffer.from('records'))])
    const [found] = parseFetchResponse(body).partitions
    assert.equal(found?.records.buffer, body.buffer)
  })

  test('skips the node endpoints of version 16', () => {
    const endpoints = tags([[0, Buffer.from('anything')]])
    assert.equal(parseFetchResponse(response([partition(0, 0, null)], endpoints)).partitions.length, 1)
  })

  test('reads an empty response', () => {
    assert.deepEqual(parseFetchResponse(Buffer.concat([int32(0), int16(70), int32(0), varint(1), NO_TAGS])), {
      throttleTimeMs: 0,
      errorCode: 70,
      partitions: [],
    })
  })

  test('refuses a response that is cut anywhere', () => {
    const body = response([partition(0, 0, Buffer.alloc(40))])
    // The last byte is the final tag count, which is not needed.
    for (let size = 0; size < body.length - 1; size++) {
      expectKafkaError('KAFKA_PROTOCOL', () => parseFetchResponse(body.subarray(0, size)))
    }
  })

  test('refuses a length that leads past the end', () => {
    const body = response([partition(0, 0, Buffer.alloc(40))])
    body[body.indexOf(varint(41))] = 0x7f
    expectKafkaError('KAFKA_PROTOCOL', () => parseFetchResponse(body))
  })
})
