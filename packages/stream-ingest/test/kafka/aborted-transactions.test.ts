import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { selectConsumableBatches } from '../../src/kafka/aborted-transactions.ts'
import type { AbortedTransaction } from '../../src/kafka/fetch-response.ts'
import { BATCH_FIELD, readRecords } from '../../src/kafka/record-batch.ts'
import { encodeControlBatch, encodeRecordBatch } from '../../src/kafka/record-batch-encoder.ts'
import { RecordSlab } from '../../src/kafka/record-slab.ts'
import { expectKafkaError } from './record-batch-fixture.ts'

/** A log in short: `P1:a,b` a batch of producer 1 in a transaction, `-:x` one outside, `P1!abort` a marker. */
function buildLog(steps: readonly string[], startOffset = 0n): Uint8Array[] {
  let baseOffset = startOffset
  return steps.map(step => {
    const marker = /^P(\d)!(commit|abort)$/.exec(step)
    const [producer, values = ''] = step.split(':')
    const producerId = producer === '-' ? -1n : BigInt(marker?.[1] ?? producer!.slice(1))
    const records = values.split(',').map(value => ({ value }))
    const batch =
      marker === null
        ? encodeRecordBatch(records, { baseOffset, producerId, transactional: producerId >= 0n })
        : encodeControlBatch(marker[2] as 'commit' | 'abort', { baseOffset, producerId })
    baseOffset += BigInt(marker === null ? records.length : 1)
    return batch
  })
}

interface Selection {
  readonly values: string[]
  readonly nextOffset: bigint
  readonly aborted: number
}

function select(
  batches: readonly Uint8Array[],
  abortedTransactions: readonly AbortedTransaction[],
  options: { fromOffset?: bigint; isReadCommitted?: boolean; highWatermark?: bigint; cutBytes?: number } = {},
): Selection {
  const whole = Buffer.concat(batches)
  const selected = selectConsumableBatches({
    topic: 'orders',
    partition: 3,
    fromOffset: options.fromOffset ?? 0n,
    records: whole.subarray(0, whole.length - (options.cutBytes ?? 0)),
    abortedTransactions,
    highWatermark: options.highWatermark ?? 1000n,
    isReadCommitted: options.isReadCommitted ?? true,
  })
  const slab = new RecordSlab()
  const values = selected.batches.flatMap(batch => {
    readRecords(batch, slab, 'orders', 3)
    return Array.from({ length: slab.count }, (_, index) => Buffer.from(slab.valueAt(index)!).toString())
  })
  return { values, nextOffset: selected.nextOffset, aborted: selected.abortedRecordCount }
}

describe('selectConsumableBatches', () => {
  test('leaves out one aborted transaction whose marker is present', () => {
    const log = buildLog(['P1:no,no', 'P1!abort', '-:yes'])
    assert.deepEqual(select(log, [{ producerId: 1n, firstOffset: 0n }]), {
      values: ['yes'],
      nextOffset: 4n,
      aborted: 2,
    })
  })

  test('leaves out two aborted transactions of one producer in one response', () => {
    const log = buildLog(['P1:no-1', 'P1!abort', 'P1:no-2', 'P1!abort', 'P1:yes', 'P1!commit'])
    const aborted = [
      { producerId: 1n, firstOffset: 2n },
      { producerId: 1n, firstOffset: 0n },
    ]
    assert.deepEqual(select(log, aborted), { values: ['yes'], nextOffset: 6n, aborted: 2 })
  })

  test('leaves out an aborted transaction whose marker is in a later response', () => {
    const log = buildLog(['P1:no-1', 'P1:no-2', '-:yes'])
    assert.deepEqual(select(log, [{ producerId: 1n, firstOffset: 0n }]), {
      values: ['yes'],
      nextOffset: 3n,
      aborted: 2,
    })
  })

  test('leaves out the rest of a transaction that began in an earlier response', () => {
    const log = buildLog(['P1:no', 'P1!abort', 'P1:yes', 'P1!commit'], 50n)
    assert.deepEqual(select(log, [{ producerId: 1n, firstOffset: 7n }], { fromOffset: 50n }), {
      values: ['yes'],
      nextOffset: 54n,
      aborted: 1,
    })
  })

  test('keeps a committed transaction between two aborted ones of its producer', () => {
    const log = buildLog(['P1:no', 'P1!abort', 'P1:yes', 'P1!commit', 'P1:no', 'P1!abort'])
    const aborted = [
      { producerId: 1n, firstOffset: 0n },
      { producerId: 1n, firstOffset: 4n },
    ]
    assert.deepEqual(select(log, aborted), { values: ['yes'], nextOffset: 6n, aborted: 2 })
  })

  test('tells interleaved producers apart, and leaves records outside transactions alone', () => {
    const log = buildLog([
      'P1:no',
      'P2:yes-2',
      '-:yes-0',
      'P1:no',
      'P2!commit',
      'P1!abort',
      'P2:no',
      'P2!abort',
    ])
    const aborted = [
      { producerId: 1n, firstOffset: 0n },
      { producerId: 2n, firstOffset: 6n },
    ]
    assert.deepEqual(select(log, aborted), { values: ['yes-2', 'yes-0'], nextOffset: 8n, aborted: 3 })
  })

  test('advances over a response of nothing but aborted records', () => {
    assert.deepEqual(select(buildLog(['P1:no,no,no', 'P1!abort']), [{ producerId: 1n, firstOffset: 0n }]), {
      values: [],
      nextOffset: 4n,
      aborted: 3,
    })
  })

  test('keeps aborted records under read_uncommitted, but never control records', () => {
    const log = buildLog(['P1:a', 'P1!abort'])
    const aborted = [{ producerId: 1n, firstOffset: 0n }]
    assert.deepEqual(select(log, aborted, { isReadCommitted: false }), {
      values: ['a'],
      nextOffset: 2n,
      aborted: 0,
    })
  })

  test('cuts a trailing batch that is not whole', () => {
    assert.deepEqual(select(buildLog(['-:a', '-:b']), [], { cutBytes: 1 }), {
      values: ['a'],
      nextOffset: 1n,
      aborted: 0,
    })
  })

  test('gives the batch whole that the first offset is within', () => {
    assert.deepEqual(select(buildLog(['-:a,b', '-:c']), [], { fromOffset: 1n }).values, ['a', 'b', 'c'])
  })

  test('leaves out a batch that is before the first offset', () => {
    const selected = select(buildLog(['-:a,b', '-:c']), [], { fromOffset: 2n })
    assert.deepEqual(selected, { values: ['c'], nextOffset: 3n, aborted: 0 })
  })

  test('advances over an empty batch, which compaction keeps', () => {
    const empty = encodeRecordBatch([], { baseOffset: 0n, lastOffsetDelta: 4 })
    assert.deepEqual(select([empty], []), { values: [], nextOffset: 5n, aborted: 0 })
  })

  test('drops nothing whose checksum is wrong', () => {
    for (const step of ['P1!abort', 'P1:no']) {
      const [batch] = buildLog([step])
      batch![BATCH_FIELD.producerId + 8]! ^= 1
      const error = expectKafkaError('KAFKA_CORRUPT_BATCH', () =>
        select([batch!], [{ producerId: 1n, firstOffset: 0n }]),
      )
      assert.match(error.message, /`orders-3@0`/)
    }
  })

  test('refuses offsets that go back or pass the end of the log', () => {
    const [first, second] = buildLog(['-:a,b', '-:c'])
    expectKafkaError('KAFKA_CORRUPT_BATCH', () => select([first!], [], { highWatermark: 1n }))
    assert.deepEqual(select([first!, first!], []).values, ['a', 'b'])
    assert.deepEqual(select([first!, second!], [], { highWatermark: 2n }).values, ['a', 'b'])
  })

  test('hands out what comes before a batch that cannot be read; the next Fetch begins with it and is refused', () => {
    const before = buildLog(['-:a,b', 'P1:no'])
    const damaged = buildLog(['-:c'], 3n)[0]!
    damaged[BATCH_FIELD.magic] = 9
    const aborted = [{ producerId: 1n, firstOffset: 2n }]
    const selected = select([...before, damaged], aborted)
    assert.deepEqual(selected, { values: ['a', 'b'], nextOffset: 3n, aborted: 1 })
    expectKafkaError('KAFKA_CORRUPT_BATCH', () => select([damaged], aborted, { fromOffset: 3n }))
  })

  test('drops no batch whose checksum is wrong behind one that is handed out', () => {
    const [first, second] = buildLog(['-:a,b', 'P1:no'])
    second![BATCH_FIELD.producerId + 8]! ^= 1
    const aborted = [{ producerId: 1n, firstOffset: 2n }]
    assert.deepEqual(select([first!, second!], aborted), { values: ['a', 'b'], nextOffset: 2n, aborted: 0 })
    expectKafkaError('KAFKA_CORRUPT_BATCH', () => select([second!], aborted, { fromOffset: 2n }))
  })
})
