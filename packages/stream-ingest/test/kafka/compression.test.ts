import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import { lz4Compress, snappyCompress } from '@platformatic/wasm-utils'
import { type CompressionCodec, decompressRecords } from '../../src/kafka/compression.ts'
import { expectKafkaError } from './record-batch-fixture.ts'

const PLACE = { topic: 'orders', partition: 3, baseOffset: 1500n }
const BOMB_BYTES = 64 * 1024 * 1024
const BOUND = 1024 * 1024

/** Snappy-java's header and one block per 32 KiB. */
function xerial(bytes: Buffer): Buffer {
  const parts: Uint8Array[] = [Buffer.from('82534e41505059000000000100000001', 'hex')]
  for (let start = 0; start < bytes.length; start += 32768) {
    const block = snappyCompress(bytes.subarray(start, start + 32768))
    const size = Buffer.alloc(4)
    size.writeUInt32BE(block.length)
    parts.push(size, block)
  }
  return Buffer.concat(parts)
}

const PACKERS: [string, CompressionCodec, (bytes: Buffer) => Buffer][] = [
  ['gzip', 'gzip', bytes => gzipSync(bytes)],
  ['zstd', 'zstd', bytes => zstdCompressSync(bytes)],
  ['raw snappy', 'snappy', bytes => snappyCompress(bytes)],
  ['Xerial snappy', 'snappy', xerial],
  ['lz4', 'lz4', bytes => lz4Compress(bytes)],
]

describe('decompressRecords', () => {
  for (const [name, codec, pack] of PACKERS) {
    test(`refuses a ${name} bomb without allocating its output`, () => {
      const bomb = pack(Buffer.alloc(BOMB_BYTES))
      assert(bomb.length < BOMB_BYTES / 10)
      const before = process.memoryUsage()
      const error = expectKafkaError('KAFKA_BATCH_TOO_LARGE', () =>
        decompressRecords(codec, bomb, BOUND, PLACE),
      )
      const after = process.memoryUsage()
      assert.match(error.message, /`orders-3@1500` holds .* decompressed, over the bound of 1048576 bytes/)
      assert(after.external - before.external < BOMB_BYTES / 2, 'the output was not allocated')
    })

    test(`unpacks ${name} of exactly the bound, and refuses one byte more`, () => {
      const bytes = Buffer.from(Array.from({ length: 5000 }, (_, index) => `{"id":${index}}`).join(''))
      const packed = pack(bytes)
      assert.deepEqual(Buffer.from(decompressRecords(codec, packed, bytes.length, PLACE)), bytes)
      expectKafkaError('KAFKA_BATCH_TOO_LARGE', () =>
        decompressRecords(codec, packed, bytes.length - 1, PLACE),
      )
    })

    test(`refuses truncated and foreign ${name}`, () => {
      const bytes = Buffer.from(Array.from({ length: 5000 }, (_, index) => `{"id":${index}}`).join(''))
      const packed = pack(bytes)
      for (const damaged of [
        packed.subarray(0, packed.length >> 1),
        packed.subarray(0, packed.length - 1),
        Buffer.alloc(100, 0xab),
        Buffer.alloc(0),
      ]) {
        expectKafkaError('KAFKA_CORRUPT_BATCH', () => decompressRecords(codec, damaged, BOUND, PLACE))
      }
    })
  }

  test('refuses a snappy block that declares more than it can hold', () => {
    expectKafkaError('KAFKA_CORRUPT_BATCH', () =>
      decompressRecords('snappy', Uint8Array.of(0x80, 0x80, 0x20, 0), BOUND, PLACE),
    )
  })

  test('reads concatenated Xerial streams', () => {
    const both = Buffer.concat([xerial(Buffer.from('first ')), xerial(Buffer.from('second'))])
    assert.equal(Buffer.from(decompressRecords('snappy', both, BOUND, PLACE)).toString(), 'first second')
  })

  test('reads lz4 frames of stored blocks', () => {
    const frame = Buffer.from('04224d186040820300008061626300000000', 'hex')
    assert.equal(Buffer.from(decompressRecords('lz4', frame, BOUND, PLACE)).toString(), 'abc')
  })

  test('reads zstd with a checksum and without a declared size', () => {
    const params = { [constants.ZSTD_c_checksumFlag]: 1, [constants.ZSTD_c_contentSizeFlag]: 0 }
    const packed = zstdCompressSync(Buffer.from('hello'), { params })
    assert.equal(Buffer.from(decompressRecords('zstd', packed, BOUND, PLACE)).toString(), 'hello')
  })
})
