import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { KafkaError } from '../../src/error.ts'
import { COMPRESSION_CODECS } from '../../src/kafka/compression.ts'
import { readRecords } from '../../src/kafka/record-batch.ts'
import { encodeRecordBatch, sealRecordBatch } from '../../src/kafka/record-batch-encoder.ts'
import { RecordSlab } from '../../src/kafka/record-slab.ts'

const bytes = fc.option(fc.uint8Array({ maxLength: 300 }))
const record = fc.record({
  key: bytes,
  value: bytes,
  timestampMs: fc.integer({ min: 0, max: 8_640_000_000_000_000 }),
  gap: fc.integer({ min: 1, max: 1000 }),
  headers: fc.array(fc.tuple(fc.string({ unit: 'grapheme' }), bytes), { maxLength: 4 }),
})
const records = fc.array(record, { minLength: 1, maxLength: 40 }).map(list => {
  let offsetDelta = -1
  return list.map(({ gap, ...rest }) => {
    offsetDelta += gap
    return { ...rest, offsetDelta }
  })
})
const baseOffset = fc.bigInt({ min: 0n, max: 2n ** 62n })
const plain = (value: Uint8Array | null): number[] | null => (value === null ? null : [...value])

describe('record batches', () => {
  for (const codec of COMPRESSION_CODECS) {
    test(`decode to what was encoded: ${codec}`, () => {
      const slab = new RecordSlab()
      fc.assert(
        fc.property(records, baseOffset, (list, base) => {
          readRecords(encodeRecordBatch(list, { baseOffset: base, codec }), slab, 'orders', 0)
          assert.equal(slab.count, list.length)
          list.forEach((expected, index) => {
            assert.equal(slab.offsetAt(index), base + BigInt(expected.offsetDelta))
            assert.equal(slab.timestamp[index], expected.timestampMs)
            assert.deepEqual(slab.keyAt(index) && plain(slab.keyAt(index)), plain(expected.key))
            assert.deepEqual(slab.valueAt(index) && plain(slab.valueAt(index)), plain(expected.value))
            assert.deepEqual(
              slab.headersAt(index, 'orders', 0).map(([name, value]) => [name, plain(value)]),
              expected.headers.map(([name, value]) => [name, plain(value)]),
            )
          })
        }),
        { numRuns: 60 },
      )
    })

    test(`damaged in any way give an error of ours, also with a right checksum: ${codec}`, () => {
      const slab = new RecordSlab()
      const flips = fc.array(fc.tuple(fc.nat(100_000), fc.integer({ min: 1, max: 255 })), {
        minLength: 1,
        maxLength: 4,
      })
      fc.assert(
        fc.property(records, flips, (list, damage) => {
          const batch = encodeRecordBatch(list, { baseOffset: 10n, codec })
          for (const [at, mask] of damage) batch[at % batch.length]! ^= mask
          sealRecordBatch(batch)
          try {
            readRecords(batch, slab, 'orders', 0, { maxBytes: 1024 * 1024 })
            for (let index = 0; index < slab.count; index++) slab.headersAt(index, 'orders', 0)
          } catch (error) {
            assert(error instanceof KafkaError, `${(error as Error).stack}`)
          }
        }),
        { numRuns: 150 },
      )
    })
  }
})
