/**
 * The five codecs of Kafka record batches, with the output bounded while decompressing: a small batch that unpacks to
 * gigabytes is refused before its output is allocated.
 *
 * @module
 */
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { type BatchPlace, batchTooLarge, corruptBatch } from './batch-place.ts'
import { BlockDecoder, type SnappyBlock } from './block-decoder.ts'
import { decompressLz4Frame } from './lz4-frame.ts'

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

/** For callers without a decoder of their own, who get copies. */
const sharedDecoder = new BlockDecoder()

/**
 * Decompresses the records section of one batch.
 *
 * @param input the section as it came; returned itself for `none`
 * @param maxBytes most bytes to return
 * @param decoder whose memory may hold the result (`lz4`, `snappy`) until its next use; without one, nothing else holds it
 * @throws KafkaError `KAFKA_BATCH_TOO_LARGE` over the bound, `KAFKA_CORRUPT_BATCH` where the data is damaged
 */
export function decompressRecords(
  codec: CompressionCodec,
  input: Uint8Array,
  maxBytes: number,
  place: BatchPlace,
  decoder?: BlockDecoder,
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
    case 'lz4': {
      const unpack = codec === 'lz4' ? decompressLz4Frame : decompressSnappy
      const bytes = unpack(input, maxBytes, place, decoder ?? sharedDecoder)
      return decoder === undefined ? bytes.slice() : bytes
    }
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

/** A block of its own, or in snappy-java's framing. */
function decompressSnappy(
  input: Uint8Array,
  maxBytes: number,
  place: BatchPlace,
  decoder: BlockDecoder,
): Uint8Array {
  const blocks = hasXerialMagic(input, 0)
    ? planXerial(input, maxBytes, place)
    : [planSnappy(input, 0, input.length, maxBytes, place)]
  const sizeBytes = blocks.reduce((sum, block) => sum + block.sizeBytes, 0)
  const unpacked = decoder.unpackSnappy(input, blocks, sizeBytes)
  if (unpacked.status !== 'unpacked') throw corruptBatch(place, 'snappy: bad element')
  return unpacked.bytes
}

/**
 * One snappy block: an unsigned var-int with the uncompressed length, then elements. The declared length is what is
 * allocated, so checking it first is the bound.
 */
function planSnappy(
  input: Uint8Array,
  start: number,
  end: number,
  maxBytes: number,
  place: BatchPlace,
): SnappyBlock {
  let sizeBytes = 0
  let position = start
  for (let shift = 0; ; shift += 7) {
    if (position === end || shift > 28) throw corruptBatch(place, 'snappy: no length')
    const byte = input[position++]!
    sizeBytes += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) break
  }
  if (sizeBytes > 0xffffffff) throw corruptBatch(place, 'snappy: no length')
  if (sizeBytes > maxBytes) throw batchTooLarge(place, maxBytes, `${sizeBytes} bytes`)
  // An element of three bytes yields 64 at most: a longer claim cannot be met and would only cost the allocation.
  if (sizeBytes > (end - start) * SNAPPY_EXPANSION_MAX) throw corruptBatch(place, 'snappy: impossible length')
  return { start: position, end, sizeBytes }
}

const SNAPPY_EXPANSION_MAX = 22

function hasXerialMagic(input: Uint8Array, at: number): boolean {
  if (input.length - at < XERIAL_HEADER_BYTES) return false
  return XERIAL_MAGIC.every((byte, index) => input[at + index] === byte)
}

/**
 * snappy-java's framing, which the Java producer writes: the 16-byte header, then blocks of
 * `[length: INT32 big-endian] [snappy block]`. Streams may be concatenated: a header may stand in a block's place.
 * The lengths add up before anything is unpacked, so that the bound holds.
 */
function planXerial(input: Uint8Array, maxBytes: number, place: BatchPlace): SnappyBlock[] {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength)
  const blocks: SnappyBlock[] = []
  let total = 0
  for (let position = XERIAL_HEADER_BYTES; position < input.length; ) {
    if (hasXerialMagic(input, position)) {
      position += XERIAL_HEADER_BYTES
      continue
    }
    if (input.length - position < 4) throw corruptBatch(place, 'snappy: truncated block length')
    const start = position + 4
    const end = start + view.getUint32(position)
    if (end > input.length) throw corruptBatch(place, 'snappy: truncated block')
    const block = planSnappy(input, start, end, maxBytes, place)
    total += block.sizeBytes
    if (total > maxBytes) throw batchTooLarge(place, maxBytes, `at least ${total} bytes`)
    blocks.push(block)
    position = end
  }
  return blocks
}
