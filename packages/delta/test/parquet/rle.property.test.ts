import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readRleBitPackedHybrid } from 'hyparquet/src/encoding.js'
import { ByteWriter } from '../../src/parquet/byte-writer.ts'
import { appendBitmap, appendHybrid, bitWidthOf } from '../../src/parquet/rle.ts'

/** Runs of every length, as levels and dictionary codes have them. */
const values = fc.integer({ min: 1, max: 20 }).chain(bitWidth =>
  fc
    .array(fc.tuple(fc.nat({ max: 2 ** bitWidth - 1 }), fc.constantFrom(1, 1, 1, 2, 7, 8, 15, 16, 17, 100)), {
      minLength: 1,
      maxLength: 40,
    })
    .map(runs => ({
      bitWidth,
      values: runs.flatMap(([value, count]) => new Array<number>(count).fill(value)),
    })),
)

function read(bytes: Uint8Array, bitWidth: number, count: number): number[] {
  // hyparquet reads past the last byte of a run.
  const padded = new Uint8Array(bytes.length + 8)
  padded.set(bytes)
  const output = new Array<number>(count)
  const reader = { view: new DataView(padded.buffer), offset: 0 }
  readRleBitPackedHybrid(reader, bitWidth, output, bytes.length)
  return output
}

test('runs of levels and codes read back, whole and from any value on', () => {
  fc.assert(
    fc.property(values, fc.nat(), ({ bitWidth, values: numbers }, seed) => {
      const from = seed % numbers.length
      const out = new ByteWriter()
      appendHybrid(out, Int32Array.from(numbers), from, numbers.length, bitWidth)
      const expected = numbers.slice(from)
      assert.deepEqual(read(out.written(), bitWidth, expected.length), expected)
      // Never much more than bit-packing alone.
      assert(out.length <= Math.ceil(expected.length / 8) * bitWidth + 8 + expected.length / 8)
    }),
    { numRuns: 300 },
  )
})

test('one value repeated is one run of a few bytes', () => {
  const out = new ByteWriter()
  appendHybrid(out, new Uint8Array(20_000).fill(1), 0, 20_000, 1)
  assert.deepEqual([...out.written()], [0xc0, 0xb8, 0x02, 0x01])
})

test('a bitmap is a run of levels of one bit, and the spare bits are zero', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 30 }), fc.nat(), fc.nat(), (bits, a, b) => {
      const from = a % (bits.length * 8)
      const to = from + 1 + (b % (bits.length * 8 - from))
      const out = new ByteWriter()
      appendBitmap(out, bits, from, to)
      const expected = Array.from(
        { length: to - from },
        (_, i) => (bits[(from + i) >> 3]! >> ((from + i) & 7)) & 1,
      )
      const groups = Math.ceil(expected.length / 8) * 8
      const spare = new Array<number>(groups - expected.length).fill(0)
      assert.deepEqual(read(out.written(), 1, groups), [...expected, ...spare])
    }),
  )
})

test('a bit width holds its largest value, and is never 0', () => {
  assert.deepEqual([0, 1, 2, 3, 4, 255, 256, 131_071].map(bitWidthOf), [1, 1, 2, 2, 3, 8, 9, 17])
})

test('what a buffer held before does not show in the spare bits of the last group', () => {
  const write = (out: ByteWriter): Uint8Array => {
    appendHybrid(out, Int32Array.of(1, 2, 3, 4, 5, 6, 7, 0, 1), 0, 9, 13)
    return out.written().slice()
  }
  const used = new ByteWriter()
  used.append(new Uint8Array(100).fill(0xff))
  used.clear()
  assert.deepEqual(write(used), write(new ByteWriter()))
})
