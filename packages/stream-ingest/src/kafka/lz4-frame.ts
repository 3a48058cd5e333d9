/**
 * LZ4 frames (lz4_Frame_format.md), as Kafka uses them, with a bound on the output.
 *
 * ```
 * Frame  => magic FLG BD [contentSize] [dictionaryId] HC [Block…] endMark [contentChecksum]
 *   magic => UINT32 little-endian 0x184D2204
 *   FLG   => version(2 bits = 01) blockIndependence blockChecksum contentSize contentChecksum reserved dictionaryId
 *   BD    => reserved blockMaxSize(3 bits: 4 = 64 KiB, 5 = 256 KiB, 6 = 1 MiB, 7 = 4 MiB) reserved(4 bits)
 * Block  => size data [blockChecksum]     size => UINT32 little-endian, highest bit: stored uncompressed
 * ```
 *
 * @module
 */
import { type BatchPlace, batchTooLarge, corruptBatch } from './batch-place.ts'
import type { BlockDecoder, Lz4Block } from './block-decoder.ts'

const MAGIC = 0x184d2204
const VERSION = 0b01
const FLAG_BLOCK_CHECKSUM = 0x10
const FLAG_CONTENT_SIZE = 0x08
const FLAG_CONTENT_CHECKSUM = 0x04
const FLAG_DICTIONARY = 0x01
const STORED = 0x80000000

/**
 * Decompresses the one frame that `input` starts with.
 * @returns a view of the decoder's memory
 * @throws KafkaError `KAFKA_BATCH_TOO_LARGE`, `KAFKA_CORRUPT_BATCH`
 */
export function decompressLz4Frame(
  input: Uint8Array,
  maxBytes: number,
  place: BatchPlace,
  decoder: BlockDecoder,
): Uint8Array {
  const frame = planFrame(input, place)
  const unpacked = decoder.unpackLz4(input, frame.blocks, Math.min(frame.sizeMax, maxBytes))
  if (unpacked.status === 'unpacked') return unpacked.bytes
  if (unpacked.status === 'too-large' && frame.sizeMax > maxBytes)
    throw batchTooLarge(place, maxBytes, 'more')
  throw corruptBatch(place, 'lz4: bad block')
}

interface Frame {
  readonly blocks: readonly Lz4Block[]
  /** No frame of this shape unpacks to more. */
  readonly sizeMax: number
}

function planFrame(input: Uint8Array, place: BatchPlace): Frame {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength)
  if (input.length < 7 || view.getUint32(0, true) !== MAGIC) throw corruptBatch(place, 'lz4: no frame')
  const flags = input[4]!
  const blockMaxCode = (input[5]! >> 4) & 0b111
  if (flags >> 6 !== VERSION || blockMaxCode < 4) throw corruptBatch(place, 'lz4: bad frame descriptor')
  if (flags & FLAG_DICTIONARY) throw corruptBatch(place, 'lz4: needs a dictionary')
  const blockMaxBytes = 2 ** (8 + 2 * blockMaxCode)
  const checksumBytes = flags & FLAG_BLOCK_CHECKSUM ? 4 : 0
  const blocks: Lz4Block[] = []
  let sizeMax = 0
  let position = 6 + (flags & FLAG_CONTENT_SIZE ? 8 : 0) + 1
  for (;;) {
    if (position + 4 > input.length) throw corruptBatch(place, 'lz4: no end mark')
    const word = view.getUint32(position, true)
    position += 4
    if (word === 0) break
    const stored = word >= STORED
    const size = stored ? word - STORED : word
    const end = position + size
    if (size > blockMaxBytes || end + checksumBytes > input.length) {
      throw corruptBatch(place, 'lz4: truncated block')
    }
    blocks.push({ start: position, end, isStored: stored })
    sizeMax += stored ? size : Math.min(blockMaxBytes, size * EXPANSION_MAX)
    position = end + checksumBytes
  }
  if (flags & FLAG_CONTENT_CHECKSUM) position += 4
  if (position > input.length) throw corruptBatch(place, 'lz4: truncated checksum')
  return { blocks, sizeMax }
}

/** One more length byte adds 255 to a match: no byte of a block yields more. */
const EXPANSION_MAX = 255
