import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { compressors } from 'hyparquet-compressors'
import { lz4BlockOfFrame } from '../../src/parquet/lz4.ts'

/** A frame of blocks; a stored one has its data as it is. */
function frameOf(blocks: readonly { data: Uint8Array; stored: boolean }[]): Uint8Array {
  const parts: Uint8Array[] = [Uint8Array.of(0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0x73)]
  for (const { data, stored } of blocks) {
    const size = Buffer.alloc(4)
    size.writeUInt32LE(data.length + (stored ? 0x8000_0000 : 0))
    parts.push(size, data)
  }
  return Buffer.concat([...parts, new Uint8Array(4)])
}

describe('an LZ4 frame as one block', () => {
  test('a single compressed block is taken as it is', () => {
    const data = Uint8Array.of(0x30, 1, 2, 3)
    assert.deepEqual([...lz4BlockOfFrame(frameOf([{ data, stored: false }]))], [...data])
  })

  // Around the lengths at which another length byte is needed: 15, then every 255.
  for (const size of [1, 14, 15, 16, 269, 270, 271, 524, 525, 526]) {
    test(`stored blocks of ${size} bytes together become literals`, () => {
      const bytes = Uint8Array.from({ length: size }, (_, i) => i * 31)
      const half = size >> 1
      const blocks = [bytes.subarray(0, half), bytes.subarray(half)].map(data => ({ data, stored: true }))
      const block = lz4BlockOfFrame(frameOf(blocks))
      assert.deepEqual([...compressors.LZ4_RAW!(block, size)], [...bytes])
    })
  }

  test('the last literals of a block move into the first sequence of the next', () => {
    // `abab…` as 2 literals and a match of 8, then 5 literals; twice, with a stored block between.
    const data = Uint8Array.of(0x24, 97, 98, 2, 0, 0x50, 1, 2, 3, 4, 5)
    const stored = Uint8Array.of(9, 9)
    const block = lz4BlockOfFrame(
      frameOf([
        { data, stored: false },
        { data: stored, stored: true },
        { data, stored: false },
      ]),
    )
    const expected = [...Buffer.from('ababababab'), 1, 2, 3, 4, 5]
    assert.deepEqual([...compressors.LZ4_RAW!(block, 32)], [...expected, 9, 9, ...expected])
  })

  test('a frame with other flags is refused', () => {
    const frame = frameOf([{ data: Uint8Array.of(0), stored: false }])
    frame[4] = 0x40
    assert.throws(() => lz4BlockOfFrame(frame), /unexpected lz4 frame header/)
  })
})
