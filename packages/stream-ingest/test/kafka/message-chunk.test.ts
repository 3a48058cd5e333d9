import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type KafkaMessage, MessageBatch } from '../../src/kafka/message-batch.ts'
import { chunksOfMessages, countRecords } from '../../src/kafka/message-chunk.ts'
import { NamedPartitions } from '../../src/kafka/named-partitions.ts'

const partitions = new NamedPartitions()

function message(offset: bigint, more: Partial<KafkaMessage> = {}): KafkaMessage {
  return {
    key: null,
    payload: `${offset}`,
    topic: 't',
    partition: 0,
    offset,
    timestamp: 1_800_000_000_000 + Number(offset % 1000n),
    headers: {},
    keyBytes: null,
    payloadBytes: Buffer.from(`${offset}`),
    headerList: [],
    ...more,
  }
}

suite('messages as chunks', () => {
  test('come back as they were, bytes, headers and missing parts included', () => {
    const messages = [
      message(5n, {
        key: 'k',
        keyBytes: Buffer.from('k'),
        headers: { a: '2', b: '' },
        headerList: [
          ['a', Buffer.from('1')],
          ['a', Buffer.from('2')],
          ['b', null],
        ],
      }),
      message(7n, { payload: null, payloadBytes: null }),
      message(8n, { timestamp: null }),
      message(9n, { payload: '\ufffd', payloadBytes: Uint8Array.of(0xff) }),
      message(2n ** 40n),
    ]
    const { chunks, repeatedCount } = chunksOfMessages(messages, partitions)
    assert.equal(repeatedCount, 0)
    const back = [...new MessageBatch(chunks)].map(m => ({
      ...m,
      keyBytes: m.keyBytes && Buffer.from(m.keyBytes),
      payloadBytes: m.payloadBytes && Buffer.from(m.payloadBytes),
      headerList: m.headerList.map(([name, value]) => [name, value && Buffer.from(value)]),
    }))
    assert.deepEqual(
      back,
      messages.map(m => ({ ...m, payloadBytes: m.payloadBytes && Buffer.from(m.payloadBytes) })),
    )
  })

  test('are put in order, by partition and offset, none twice', () => {
    const { chunks, repeatedCount } = chunksOfMessages(
      [message(3n), message(1n, { partition: 1 }), message(1n), message(3n), message(2n), message(3n)],
      partitions,
    )
    assert.equal(repeatedCount, 2)
    assert.deepEqual(
      chunks.map(({ topicPartition, fromOffset, nextOffset }) => ({
        topicPartition,
        fromOffset,
        nextOffset,
      })),
      [
        { topicPartition: partitions.of('t', 0), fromOffset: 1n, nextOffset: 4n },
        { topicPartition: partitions.of('t', 1), fromOffset: 1n, nextOffset: 2n },
      ],
    )
    assert.deepEqual(
      [...new MessageBatch(chunks)].map(m => m.offset),
      [1n, 2n, 3n, 1n],
    )
  })

  test('are none where there are none', () => {
    assert.deepEqual(chunksOfMessages([], partitions), { chunks: [], repeatedCount: 0 })
  })

  test('many messages make several batches', () => {
    const { chunks } = chunksOfMessages(
      Array.from({ length: 25_000 }, (_, i) => message(BigInt(i))),
      partitions,
    )
    assert.equal(chunks[0]!.batches.length, 3)
    assert.equal([...new MessageBatch(chunks)].length, 25_000)
  })
})

test('counting records of a range counts those, not the offsets', () => {
  const { chunks } = chunksOfMessages([message(1n), message(4n), message(5n), message(9n)], partitions)
  const [chunk] = chunks
  const count = (from: bigint, next: bigint): number => countRecords(chunk!, from, next, 1 << 20)
  assert.equal(count(0n, 100n), 4)
  assert.equal(count(2n, 5n), 1)
  assert.equal(count(4n, 9n), 2)
  assert.equal(count(6n, 9n), 0)
})
