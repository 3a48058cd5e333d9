import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { compressors } from 'hyparquet-compressors'
import { createPageCompressor } from '../../src/parquet/compression.ts'

const readers = {
  snappy: compressors.SNAPPY,
  zstd: compressors.ZSTD,
  gzip: compressors.GZIP,
  lz4_raw: compressors.LZ4_RAW,
}

describe('compressed pages', () => {
  for (const codec of ['snappy', 'zstd', 'gzip', 'lz4_raw'] as const) {
    const decompress = (stored: Uint8Array, size: number): Uint8Array => {
      const reader = readers[codec]
      assert(reader)
      return reader(stored, size)
    }

    test(`${codec}: an independent reader gets the page back`, () => {
      const page = fc.oneof(
        fc.uint8Array({ minLength: 1, maxLength: 300 }),
        fc
          .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.integer({ min: 1, max: 400 })), {
            minLength: 1,
            maxLength: 8,
          })
          .map(parts =>
            Buffer.concat(parts.flatMap(([bytes, count]) => new Array<Uint8Array>(count).fill(bytes))),
          ),
      )
      const compress = createPageCompressor(codec)
      fc.assert(
        fc.property(page, bytes => {
          assert(Buffer.from(bytes).equals(decompress(compress(bytes), bytes.length)))
        }),
        { numRuns: 60 },
      )
    })

    test(`${codec}: a page of many blocks, compressible and not, comes back`, () => {
      const size = 13_000_000
      const page = new Uint8Array(size)
      let state = 7
      for (let i = 0; i < size; i++) {
        state = Math.imul(state, 1_664_525) + 1_013_904_223
        // Stretches of noise (stored blocks among them), of text, and of one byte.
        const stretch = Math.floor(i / 1_500_000) % 4
        page[i] = stretch < 2 ? state >>> 24 : stretch === 2 ? 97 + (i % 19) : 0
      }
      for (const bytes of [
        page,
        page.subarray(0, 4 << 20),
        page.subarray(0, (4 << 20) + 1),
        page.fill(1, 9_000_000),
      ]) {
        assert(Buffer.from(bytes).equals(decompress(createPageCompressor(codec)(bytes), bytes.length)))
      }
    })
  }

  test('a higher level of zstd and gzip makes a smaller page', () => {
    const page = Buffer.from(
      Array.from({ length: 20_000 }, (_, i) => `item ${(i * 7919) % 1000} of ${i}; `).join(''),
    )
    for (const codec of ['zstd', 'gzip'] as const) {
      const low = createPageCompressor(codec, 1)(page)
      const high = createPageCompressor(codec, 9)(page)
      assert(high.length < low.length, codec)
    }
  })
})
