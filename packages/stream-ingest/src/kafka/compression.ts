/**
 * The five codecs of Kafka record batches, with the output bounded while decompressing: a small batch that unpacks to
 * gigabytes is refused before its output is allocated.
 *
 * @module
 */
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { snappyDecompress } from '@platformatic/wasm-utils'
import { type BatchPlace, batchTooLarge, corruptBatch } from './batch-place.ts'
import { decompressLz4Frame, isWasmTrap } from './lz4-frame.ts'

/** Index = the codec's number in the batch attributes (bits 0 to 2). */
export const COMPRESSION_CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type CompressionCodec = (typeof COMPRESSION_CODECS)[number]

/** Output buffers of zlib start here and double as needed: few copies, and no large allocation for a small batch. */
const ZLIB_CHUNK_MIN_BYTES = 64 * 1024
const ZLIB_CHUNK_MAX_BYTES = 1024 * 1024
/** JSON compresses about this much. */
const USUAL_RATIO = 5

/** Magic of snappy-java's framing: 0x82 "SNAPPY" 0x00, then version and lowest compatible version (4 bytes each). */
const XERIAL_MAGIC = Uint8Array.of(0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00)
const XERIAL_HEADER_BYTES = 16

/**
 * Decompresses the records section of one batch.
 *
 * @param input the section as it came; returned itself for `none`
 * @param maxBytes most bytes to return
 * @throws KafkaError `KAFKA_BATCH_TOO_LARGE` over the bound, `KAFKA_CORRUPT_BATCH` where the data is damaged
 */
export function decompressRecords(
  codec: CompressionCodec,
  input: Uint8Array,
  maxBytes: number,
  place: BatchPlace,
): Uint8Array {
  switch (codec) {
    case 'none':
      if (input.length > maxBytes) throw batchTooLarge(place, maxBytes, `${input.length} bytes`)
      return input
    case 'gzip':
      return inflate(gunzipSync, codec, input, maxBytes, place)
    case 'zstd':
      return inflate(zstdDecompressSync, codec, input, maxBytes, place)
    case 'snappy':
      return hasXerialMagic(input, 0)
        ? decompressXerial(input, maxBytes, place)
        : decompressSnappy(input, 0, input.length, maxBytes, place)
    case 'lz4':
      return decompressLz4Frame(input, maxBytes, place)
  }
}

type Inflate = (input: Uint8Array, options: { maxOutputLength: number; chunkSize: number }) => Buffer

function inflate(
  run: Inflate,
  codec: CompressionCodec,
  input: Uint8Array,
  maxBytes: number,
  place: BatchPlace,
): Uint8Array {
  const wanted = Math.min(input.length * USUAL_RATIO, maxBytes)
  const chunkSize = Math.max(ZLIB_CHUNK_MIN_BYTES, Math.min(wanted, ZLIB_CHUNK_MAX_BYTES))
  try {
    return run(input, { maxOutputLength: Math.max(1, maxBytes), chunkSize })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw batchTooLarge(place, maxBytes, 'more')
    }
    throw corruptBatch(place, `${codec}: ${(error as Error).message}`, error)
  }
}

/**
 * One snappy block: an unsigned var-int with the uncompressed length, then elements. The declared length is what the
 * decoder allocates, so checking it first is the bound.
 */
function decompressSnappy(
  input: Uint8Array,
  start: number,
  end: number,
  maxBytes: number,
  place: BatchPlace,
): Uint8Array {
  const declared = readSnappyLength(input, start, end)
  if (declared < 0) throw corruptBatch(place, 'snappy: no length')
  if (declared > maxBytes) throw batchTooLarge(place, maxBytes, `${declared} bytes`)
  // An element of three bytes yields 64 at most: a longer claim cannot be met and would only cost the allocation.
  if (declared > (end - start) * SNAPPY_EXPANSION_MAX) throw corruptBatch(place, 'snappy: impossible length')
  try {
    const output = snappyDecompress(asBuffer(input, start, end))
    if (output.length !== declared) throw corruptBatch(place, 'snappy: length differs from the declared one')
    return output
  } catch (error) {
    if (isWasmTrap(error)) throw corruptBatch(place, 'snappy: bad element', error)
    throw error
  }
}

const SNAPPY_EXPANSION_MAX = 22

/** The declared length, or −1 where there is none. */
function readSnappyLength(input: Uint8Array, start: number, end: number): number {
  let length = 0
  for (let index = 0; index < 5 && start + index < end; index++) {
    const byte = input[start + index]!
    length += (byte & 0x7f) * 2 ** (7 * index)
    if (byte < 0x80) return length <= 0xffffffff ? length : -1
  }
  return -1
}

function hasXerialMagic(input: Uint8Array, at: number): boolean {
  if (input.length - at < XERIAL_HEADER_BYTES) return false
  return XERIAL_MAGIC.every((byte, index) => input[at + index] === byte)
}

/**
 * snappy-java's framing, which the Java producer writes: the 16-byte header, then blocks of
 * `[length: INT32 big-endian] [snappy block]`. Streams may be concatenated: a header may stand in a block's place.
 *
 * Two passes: the first adds up the declared lengths, so that the bound holds before anything is unpacked.
 */
function decompressXerial(input: Uint8Array, maxBytes: number, place: BatchPlace): Uint8Array {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength)
  const blocks: [start: number, end: number][] = []
  let total = 0
  for (let position = XERIAL_HEADER_BYTES; position < input.length; ) {
    if (hasXerialMagic(input, position)) {
      position += XERIAL_HEADER_BYTES
      continue
    }
    if (input.length - position < 4) throw corruptBatch(place, 'snappy: truncated block length')
    const size = view.getUint32(position)
    const start = position + 4
    const end = start + size
    if (end > input.length) throw corruptBatch(place, 'snappy: truncated block')
    const declared = readSnappyLength(input, start, end)
    if (declared < 0) throw corruptBatch(place, 'snappy: no length')
    total += declared
    if (total > maxBytes) throw batchTooLarge(place, maxBytes, `at least ${total} bytes`)
    blocks.push([start, end])
    position = end
  }
  if (total > input.length * SNAPPY_EXPANSION_MAX) throw corruptBatch(place, 'snappy: impossible length')
  const output = Buffer.allocUnsafe(total)
  let written = 0
  for (const [start, end] of blocks) {
    const block = decompressSnappy(input, start, end, maxBytes, place)
    output.set(block, written)
    written += block.length
  }
  return output
}

function asBuffer(bytes: Uint8Array, start: number, end: number): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start)
}
