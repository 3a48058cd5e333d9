/**
 * From an LZ4 frame to the one raw block that Parquet's LZ4_RAW codec wants.
 *
 * lz4_Frame_format.md: magic number, FLG, BD, header checksum, then blocks (a 4-byte size whose highest bit says
 * "stored", the data), then a zero size. The frames come from our own compressor call: independent blocks of up to
 * 4 MiB, no content size, no checksums. lz4_Block_format.md: a block is sequences of
 *
 *     token (literal length << 4 | match length − 4), [length bytes], literals, offset, [length bytes]
 *
 * of which the last ends after its literals. Blocks are joined by moving the last literals of each into the first
 * sequence of the next.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { ByteWriter } from './byte-writer.ts'

const FRAME_MAGIC = 0x184d2204
/** FLG: version 01, independent blocks, everything else off. */
const FRAME_FLAGS = 0x60
const FRAME_HEADER_BYTES = 7
const STORED = 0x8000_0000
/** A length nibble of this value is continued in further bytes. */
const NIBBLE_MAX = 15

/** @throws AssertionError where the frame is not as described above: the compressor has changed */
export function lz4BlockOfFrame(frame: Uint8Array): Uint8Array {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength)
  assert(
    view.getUint32(0, true) === FRAME_MAGIC && frame[4] === FRAME_FLAGS,
    'an unexpected lz4 frame header',
  )
  const firstSize = view.getUint32(FRAME_HEADER_BYTES, true)
  const firstEnd = FRAME_HEADER_BYTES + 4 + firstSize
  if (firstSize < STORED && view.getUint32(firstEnd, true) === 0) {
    return frame.subarray(FRAME_HEADER_BYTES + 4, firstEnd)
  }
  return joinBlocks(frame, view)
}

function joinBlocks(frame: Uint8Array, view: DataView): Uint8Array {
  const out = new ByteWriter()
  const literals = new ByteWriter()
  let at = FRAME_HEADER_BYTES
  for (let size = view.getUint32(at, true); size !== 0; size = view.getUint32(at, true)) {
    at += 4
    const block = frame.subarray(at, at + (size % STORED))
    at += block.length
    if (size >= STORED) literals.append(block)
    else appendBlock(out, literals, block)
  }
  appendLiterals(out, literals.written(), 0)
  return out.written()
}

/** Appends a block all but its last literals, which are left in `literals`. */
function appendBlock(out: ByteWriter, literals: ByteWriter, block: Uint8Array): void {
  const first = sequenceAt(block, 0)
  literals.append(block.subarray(first.literalsStart, first.literalsEnd))
  if (first.literalsEnd === block.length) return
  appendLiterals(out, literals.written(), block[0]! & NIBBLE_MAX)
  literals.clear()
  let at = first.end
  let last = sequenceAt(block, at)
  while (last.literalsEnd < block.length) {
    at = last.end
    last = sequenceAt(block, at)
  }
  out.append(block.subarray(first.literalsEnd, at))
  literals.append(block.subarray(last.literalsStart, last.literalsEnd))
}

/** A sequence up to its literals. */
function appendLiterals(out: ByteWriter, literals: Uint8Array, matchNibble: number): void {
  out.appendByte((Math.min(literals.length, NIBBLE_MAX) << 4) | matchNibble)
  if (literals.length >= NIBBLE_MAX) {
    let rest = literals.length - NIBBLE_MAX
    for (; rest >= 0xff; rest -= 0xff) out.appendByte(0xff)
    out.appendByte(rest)
  }
  out.append(literals)
}

/** Where the literals of a sequence are, and where the sequence after it starts. */
function sequenceAt(
  block: Uint8Array,
  start: number,
): { literalsStart: number; literalsEnd: number; end: number } {
  const token = block[start]!
  let at = start + 1
  let literalLength = token >> 4
  if (literalLength === NIBBLE_MAX) {
    do literalLength += block[at]!
    while (block[at++] === 0xff)
  }
  const literalsStart = at
  const literalsEnd = at + literalLength
  at = literalsEnd + 2
  if ((token & NIBBLE_MAX) === NIBBLE_MAX) while (block[at++] === 0xff);
  return { literalsStart, literalsEnd, end: at }
}
