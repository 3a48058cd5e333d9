import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { SourceChunk, TopicPartition } from '../../src/kafka/message-source.ts'
import { encodeRecordBatch } from '../../src/kafka/record-batch-encoder.ts'
import { trimBatch } from '../../src/pipeline/batch-trim.ts'

const A: TopicPartition = { topic: 't', topicId: 'id', partition: 0 }
const B: TopicPartition = { topic: 't', topicId: 'id', partition: 1 }

/** A record at every offset. */
function chunk(topicPartition: TopicPartition, fromOffset: bigint, nextOffset: bigint): SourceChunk {
  const records = Array.from({ length: Number(nextOffset - fromOffset) }, () => ({ value: '{}' }))
  const batch = encodeRecordBatch(records, { baseOffset: fromOffset })
  return {
    topicPartition,
    fromOffset,
    nextOffset,
    batches: [batch],
    sizeBytes: batch.length,
    abortedRecordCount: 0,
    endOffset: nextOffset,
  }
}

function trim(chunks: readonly SourceChunk[], held: ReadonlyMap<TopicPartition, bigint> = new Map()) {
  const trimmed = trimBatch(chunks, tp => held.get(tp) ?? null, 1 << 20)
  const ranges = trimmed.chunks.map(c => [c.topicPartition.partition, c.fromOffset, c.nextOffset])
  return { ...trimmed, ranges }
}

suite('a batch is trimmed to what the table does not hold', () => {
  test('all of it where the table knows nothing of the partition', () => {
    const { ranges, duplicates, gaps } = trim([chunk(A, 7n, 9n), chunk(B, 0n, 2n)])
    assert.deepEqual(ranges, [
      [0, 7n, 9n],
      [1, 0n, 2n],
    ])
    assert.equal(duplicates, 0)
    assert.deepEqual(gaps, [])
  })

  test('its end where the table holds its beginning', () => {
    const { ranges, duplicates } = trim([chunk(A, 0n, 10n)], new Map([[A, 4n]]))
    assert.deepEqual(ranges, [[0, 4n, 10n]])
    assert.equal(duplicates, 4)
  })

  test('nothing of it where the table holds it', () => {
    for (const held of [10n, 50n]) {
      const { ranges, duplicates, gaps } = trim([chunk(A, 0n, 10n)], new Map([[A, held]]))
      assert.deepEqual(ranges, [])
      assert.equal(duplicates, 10)
      assert.deepEqual(gaps, [])
    }
  })

  test('once, where chunks overlap or come out of order', () => {
    const { ranges, duplicates } = trim([chunk(A, 5n, 12n), chunk(B, 0n, 1n), chunk(A, 0n, 8n)])
    assert.deepEqual(ranges, [
      [0, 0n, 8n],
      [0, 8n, 12n],
      [1, 0n, 1n],
    ])
    assert.equal(duplicates, 3)
  })

  test('and gaps are named', () => {
    const { gaps } = trim([chunk(A, 5n, 6n), chunk(A, 8n, 9n), chunk(B, 3n, 4n)], new Map([[A, 2n]]))
    assert.deepEqual(gaps, [
      { topic: 't', partition: 0, expectedOffset: 2n, fromOffset: 5n },
      { topic: 't', partition: 0, expectedOffset: 6n, fromOffset: 8n },
    ])
  })
})
