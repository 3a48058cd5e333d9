/**
 * The RLE / bit-packing hybrid: levels and dictionary codes.
 *
 * Encodings.md › Run Length Encoding / Bit-Packing Hybrid:
 *
 *     run            = bit-packed-run | rle-run
 *     bit-packed-run = varint(groups of 8 values << 1 | 1), the values, least significant bit first
 *     rle-run        = varint(count << 1), the value in as many whole bytes as its bit width needs
 *
 * @module
 */
import assert from 'node:assert/strict'
import { sliceBits } from '../column/bitmap.ts'
import type { ByteWriter } from './byte-writer.ts'

/** Wider than any dictionary code or level; a value is cut over two 32-bit words at most. */
export const BIT_WIDTH_MAX = 24

/** A shorter repetition stays in the bit-packed run: a run of its own would cost two headers. */
const RLE_RUN_MIN = 16

/** Bits that hold every value up to `max`; at least one, as some readers stumble over none. */
export function bitWidthOf(max: number): number {
  return Math.max(1, 32 - Math.clz32(max))
}

/** Appends `values[from, to)`, each of them below `2^bitWidth`. */
export function appendHybrid(
  out: ByteWriter,
  values: Uint8Array | Int32Array,
  from: number,
  to: number,
  bitWidth: number,
): void {
  assert(bitWidth >= 1 && bitWidth <= BIT_WIDTH_MAX)
  let at = from
  while (at < to) {
    const runEnd = repetitionEnd(values, at, to)
    if (runEnd - at >= RLE_RUN_MIN || runEnd === to) {
      out.appendVarint((runEnd - at) * 2)
      for (let bits = 0, value = values[at]!; bits < bitWidth; bits += 8, value >>>= 8)
        out.appendByte(value & 0xff)
      at = runEnd
      continue
    }
    // Whole groups of eight, up to one that starts a repetition worth a run.
    let packedEnd = at + 8
    while (packedEnd < to && !startsRun(values, packedEnd, to)) packedEnd += 8
    packedEnd = Math.min(packedEnd, to)
    appendBitPacked(out, values, at, packedEnd, bitWidth)
    at = packedEnd
  }
}

/** Appends the bits `[from, to)` of a bitmap as values of width 1: a validity bitmap is a run of definition levels. */
export function appendBitmap(out: ByteWriter, bits: Uint8Array, from: number, to: number): void {
  const count = to - from
  const groupCount = (count + 7) >> 3
  out.appendVarint(groupCount * 2 + 1)
  out.append(sliceBits(bits, from, to))
  if ((count & 7) !== 0) out.bytes[out.length - 1]! &= (1 << (count & 7)) - 1
}

function repetitionEnd(values: Uint8Array | Int32Array, from: number, to: number): number {
  const value = values[from]!
  let end = from + 1
  while (end < to && values[end] === value) end++
  return end
}

function startsRun(values: Uint8Array | Int32Array, from: number, to: number): boolean {
  if (from + RLE_RUN_MIN > to) return false
  const value = values[from]!
  for (let i = from + 1; i < from + RLE_RUN_MIN; i++) if (values[i] !== value) return false
  return true
}

/** The last group is filled up with zeros. */
function appendBitPacked(
  out: ByteWriter,
  values: Uint8Array | Int32Array,
  from: number,
  to: number,
  bitWidth: number,
): void {
  const groupCount = (to - from + 7) >> 3
  out.appendVarint(groupCount * 2 + 1)
  out.ensure(groupCount * bitWidth)
  const { bytes } = out
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const end = out.length + groupCount * bitWidth
  let at = out.length
  let pending = 0
  let pendingBits = 0
  for (let i = from; i < to; i++) {
    const value = values[i]!
    pending |= value << pendingBits
    pendingBits += bitWidth
    if (pendingBits < 32) continue
    view.setInt32(at, pending, true)
    at += 4
    pendingBits -= 32
    // What of the value did not fit; a shift by 32 would be one by nothing.
    pending = pendingBits === 0 ? 0 : value >>> (bitWidth - pendingBits)
  }
  for (; pendingBits > 0; pendingBits -= 8, pending >>>= 8) bytes[at++] = pending
  bytes.fill(0, at, end)
  out.length = end
}
