import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { lz4Compress, snappyCompress } from '@platformatic/wasm-utils'
import fc from 'fast-check'
import { BlockDecoder, KEPT_MAX_BYTES } from '../../src/kafka/block-decoder.ts'
import { type CompressionCodec, decompressRecords } from '../../src/kafka/compression.ts'

const PLACE = { topic: 'orders', partition: 3, baseOffset: 1500n }
const BOUND = 64 * 1024 * 1024

/** Not empty: the packer of the tests fails then. Short alphabets repeat themselves at every distance; runs make matches that overlap themselves. */
const repetitive = fc
  .array(
    fc.oneof(
      fc.record({
        bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }),
        times: fc.integer({ min: 1, max: 500 }),
      }),
      fc.record({
        bytes: fc.uint8Array({ minLength: 1, maxLength: 3000, max: 3 }),
        times: fc.constant(1),
      }),
    ),
    { minLength: 1, maxLength: 20 },
  )
  .map(parts => Buffer.concat(parts.flatMap(({ bytes, times }) => Array<Uint8Array>(times).fill(bytes))))

const PACKERS: readonly [CompressionCodec, (bytes: Buffer) => Buffer][] = [
  ['lz4', lz4Compress],
  ['snappy', snappyCompress],
]

describe('the block decoder', () => {
  for (const [codec, pack] of PACKERS) {
    test(`gives back what another implementation packed: ${codec}`, () => {
      const decoder = new BlockDecoder()
      fc.assert(
        fc.property(repetitive, bytes => {
          const unpacked = decompressRecords(codec, pack(bytes), BOUND, PLACE, decoder)
          assert.deepEqual(Buffer.from(unpacked), bytes)
        }),
      )
    })

    test(`neither fails otherwise nor leaves its room where the input is damaged: ${codec}`, () => {
      const decoder = new BlockDecoder()
      fc.assert(
        fc.property(
          repetitive,
          fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 5 }),
          (bytes, hits) => {
            const packed = Buffer.from(pack(bytes))
            for (const [at, byte] of hits) packed[at % packed.length] = byte
            try {
              const unpacked = decompressRecords(codec, packed, BOUND, PLACE, decoder)
              assert(unpacked.length <= BOUND)
            } catch (error) {
              assert.match((error as { code: string }).code, /^KAFKA_(CORRUPT_BATCH|BATCH_TOO_LARGE)$/)
            }
          },
        ),
      )
    })
  }

  /** As the decoders are used: the memory behind the output is not theirs. */
  test('writes no further than its slack behind an output that is full', () => {
    const decoder = new BlockDecoder()
    const bytes = Buffer.from('abcdefgh'.repeat(1000))
    const packed = snappyCompress(bytes)
    const block = { start: 2, end: packed.length, sizeBytes: bytes.length }
    for (const sizeBytes of [1, 7, 8, 100, bytes.length - 1]) {
      assert.equal(decoder.unpackSnappy(packed, [{ ...block, sizeBytes }], sizeBytes).status, 'damaged')
    }
    assert.equal(decoder.unpackSnappy(packed, [block], bytes.length).status, 'unpacked')
  })

  test('unpacks literals whose length takes one to four bytes', () => {
    const decoder = new BlockDecoder()
    for (const size of [61, 256, 257, 65_536, 65_537, 70_000]) {
      const bytes = Buffer.from(Uint8Array.from({ length: size }, (_, index) => index * 7919))
      const lengths = [1, 2, 3, 4].filter(width => size - 1 < 2 ** (8 * width))
      for (const width of lengths) {
        const length = Buffer.alloc(4)
        length.writeUInt32LE(size - 1)
        const packed = Buffer.concat([Buffer.of((59 + width) << 2), length.subarray(0, width), bytes])
        const unpacked = decoder.unpackSnappy(
          packed,
          [{ start: 0, end: packed.length, sizeBytes: size }],
          size,
        )
        assert(unpacked.status === 'unpacked')
        assert.deepEqual(Buffer.from(unpacked.bytes), bytes)
      }
    }
  })

  test('refuses copies from before the output, of each form', () => {
    const decoder = new BlockDecoder()
    const literal = [0x00, 0x61]
    const copies = [
      [0x01, 0x00],
      [0x01, 0x02],
      [0x02, 0x02, 0x00],
      [0x03, 0x02, 0x00, 0x00, 0x00],
      [0x03, 0xff, 0xff, 0xff, 0xff],
    ]
    for (const copy of copies) {
      const packed = Buffer.from([...literal, ...copy])
      const block = { start: 0, end: packed.length, sizeBytes: 100 }
      assert.equal(decoder.unpackSnappy(packed, [block], 100).status, 'damaged')
    }
  })

  test('uses its memory again, and gives back what a large batch needed', () => {
    const decoder = new BlockDecoder()
    const small = lz4Compress(Buffer.from('{"id":1}'.repeat(100)))
    const large = lz4Compress(Buffer.alloc(KEPT_MAX_BYTES * 2))
    decompressRecords('lz4', small, BOUND, PLACE, decoder)
    const before = decoder.sizeBytes
    for (let i = 0; i < 10; i++) decompressRecords('lz4', small, BOUND, PLACE, decoder)
    assert.equal(decoder.sizeBytes, before)
    decompressRecords('lz4', large, BOUND, PLACE, decoder)
    assert(decoder.sizeBytes > KEPT_MAX_BYTES)
    decompressRecords('lz4', small, BOUND, PLACE, decoder)
    assert.equal(decoder.sizeBytes, before)
  })

  test('keeps nothing of a caller without a decoder', () => {
    const first = decompressRecords('lz4', lz4Compress(Buffer.from('first')), BOUND, PLACE)
    decompressRecords('lz4', lz4Compress(Buffer.from('other')), BOUND, PLACE)
    assert.equal(Buffer.from(first).toString(), 'first')
  })
})
