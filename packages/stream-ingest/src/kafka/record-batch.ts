/**
 * Record batches of format 2 (Kafka 0.11 and newer), read without an object per record.
 *
 * ```
 * RecordBatch => baseOffset batchLength partitionLeaderEpoch magic crc attributes lastOffsetDelta baseTimestamp
 *                maxTimestamp producerId producerEpoch baseSequence recordCount [Record…]
 *   baseOffset => INT64              at 0
 *   batchLength => INT32             at 8    bytes that follow this field
 *   partitionLeaderEpoch => INT32    at 12
 *   magic => INT8                    at 16   2
 *   crc => UINT32                    at 17   CRC-32C of everything after this field
 *   attributes => INT16              at 21   bits 0-2 codec, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon
 *   lastOffsetDelta => INT32         at 23
 *   baseTimestamp => INT64           at 27
 *   maxTimestamp => INT64            at 35
 *   producerId => INT64              at 43
 *   producerEpoch => INT16           at 51
 *   baseSequence => INT32            at 53
 *   recordCount => INT32             at 57
 * Record => length attributes timestampDelta offsetDelta keyLength key valueLength value headerCount [Header…]
 *   length, offsetDelta, keyLength, valueLength, headerCount => VARINT (zigzag)     timestampDelta => VARLONG
 *   attributes => INT8               unused
 * Header => keyLength key valueLength value
 * ```
 * The records section (everything after `recordCount`) is what the codec compresses. A length of −1 is null.
 *
 * @module
 */
import { type BatchPlace, corruptBatch, unsupportedBatch } from './batch-place.ts'
import { COMPRESSION_CODECS, decompressRecords } from './compression.ts'
import { crc32c } from './crc32c.ts'
import { RECORD_MIN_BYTES, type RecordSlab } from './record-slab.ts'
import { VarintReader } from './varint.ts'

/** Bytes of `baseOffset` and `batchLength`, which `batchLength` does not count. */
export const BATCH_OVERHEAD_BYTES = 12
export const BATCH_HEADER_BYTES = 61
export const BATCH_MAGIC = 2

/** A batch may unpack to this much unless the caller says otherwise. */
export const BATCH_MAX_BYTES = 256 * 1024 * 1024

/** Byte offsets of the header's fields. */
export const BATCH_FIELD = {
  baseOffset: 0,
  batchLength: 8,
  partitionLeaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  recordCount: 57,
} as const

export const BATCH_ATTRIBUTE = {
  codec: 0b111,
  logAppendTime: 0x08,
  transactional: 0x10,
  control: 0x20,
} as const

/** What a reader needs to know of a batch before it unpacks it. */
export interface BatchHeader {
  readonly baseOffset: bigint
  /** The whole batch, header included. */
  readonly sizeBytes: number
  readonly magic: number
  readonly attributes: number
  /** Offset of the last record that the batch held when it was written; compaction may have removed it. */
  readonly lastOffset: bigint
  readonly producerId: bigint
  readonly recordCount: number
  readonly isTransactional: boolean
  readonly isControl: boolean
}

/**
 * Reads the header of the batch at `start`, or returns null where `bytes` ends before the batch does (a broker cuts the
 * last batch of a response).
 * @throws KafkaError `KAFKA_CORRUPT_BATCH` for an impossible length, `KAFKA_BATCH_UNSUPPORTED` for formats 0 and 1
 */
export function readBatchHeader(
  bytes: Uint8Array,
  start: number,
  topic: string,
  partition: number,
): BatchHeader | null {
  const available = bytes.length - start
  if (available < BATCH_FIELD.crc) return null
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, available)
  const baseOffset = view.getBigInt64(BATCH_FIELD.baseOffset)
  const sizeBytes = view.getInt32(BATCH_FIELD.batchLength) + BATCH_OVERHEAD_BYTES
  const place = { topic, partition, baseOffset }
  if (baseOffset < 0n) throw corruptBatch(place, 'negative base offset')
  const magic = view.getInt8(BATCH_FIELD.magic)
  if (magic === 0 || magic === 1) {
    throw unsupportedBatch(place, `has message format ${magic}, of Kafka before 0.11: only format 2 is read`)
  }
  if (magic !== BATCH_MAGIC) throw corruptBatch(place, `unknown message format ${magic}`)
  if (sizeBytes < BATCH_HEADER_BYTES) throw corruptBatch(place, `impossible length ${sizeBytes}`)
  if (available < sizeBytes) return null
  const attributes = view.getInt16(BATCH_FIELD.attributes)
  const lastOffsetDelta = view.getInt32(BATCH_FIELD.lastOffsetDelta)
  const recordCount = view.getInt32(BATCH_FIELD.recordCount)
  if (lastOffsetDelta < 0) throw corruptBatch(place, `negative last offset delta ${lastOffsetDelta}`)
  if (recordCount < 0) throw corruptBatch(place, `negative record count ${recordCount}`)
  return {
    baseOffset,
    sizeBytes,
    magic,
    attributes,
    lastOffset: baseOffset + BigInt(lastOffsetDelta),
    producerId: view.getBigInt64(BATCH_FIELD.producerId),
    recordCount,
    isTransactional: (attributes & BATCH_ATTRIBUTE.transactional) !== 0,
    isControl: (attributes & BATCH_ATTRIBUTE.control) !== 0,
  }
}

export interface ReadRecordsOptions {
  /** Most bytes the records may unpack to; {@link BATCH_MAX_BYTES} by default. */
  readonly maxBytes?: number
}

/**
 * Checks one whole batch, unpacks it and fills `slab` with where its records are; what the slab held before is gone.
 *
 * Every length is checked against the bytes there are, so a damaged batch cannot make it read elsewhere, loop or
 * allocate without bound.
 * @param batch exactly one batch, header included
 * @throws KafkaError `KAFKA_CORRUPT_BATCH`, `KAFKA_BATCH_TOO_LARGE`, `KAFKA_BATCH_UNSUPPORTED`, each naming the place
 */
export function readRecords(
  batch: Uint8Array,
  slab: RecordSlab,
  topic: string,
  partition: number,
  options: ReadRecordsOptions = {},
): BatchHeader {
  slab.clear()
  const header = readBatchHeader(batch, 0, topic, partition)
  if (header === null || header.sizeBytes !== batch.length) {
    const baseOffset = batch.length >= 8 ? new DataView(batch.buffer, batch.byteOffset).getBigInt64(0) : -1n
    const detail = header === null ? `truncated to ${batch.length} bytes` : 'bytes after its end'
    throw corruptBatch({ topic, partition, baseOffset }, detail)
  }
  const place: BatchPlace = { topic, partition, baseOffset: header.baseOffset }
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength)
  const expected = view.getUint32(BATCH_FIELD.crc)
  const actual = crc32c(batch.subarray(BATCH_FIELD.attributes))
  if (actual !== expected) {
    throw corruptBatch(place, `CRC-32C is ${hex(actual)}, the header says ${hex(expected)}`)
  }
  const codecNumber = header.attributes & BATCH_ATTRIBUTE.codec
  const codec = COMPRESSION_CODECS[codecNumber]
  if (codec === undefined) throw unsupportedBatch(place, `has the unknown codec number ${codecNumber}`)
  const maxBytes = options.maxBytes ?? BATCH_MAX_BYTES
  const packed = codec !== 'none'
  const bytes = decompressRecords(
    codec,
    packed ? batch.subarray(BATCH_HEADER_BYTES) : batch,
    packed ? maxBytes : maxBytes + BATCH_HEADER_BYTES,
    place,
    slab.decoder,
  )
  const start = packed ? 0 : BATCH_HEADER_BYTES
  if (header.recordCount * RECORD_MIN_BYTES > bytes.length - start) {
    throw corruptBatch(place, `${header.recordCount} records do not fit into ${bytes.length - start} bytes`)
  }
  slab.reset(bytes, header.baseOffset, header.recordCount)
  walkRecords(slab, start, view, header, place)
  return header
}

function walkRecords(
  slab: RecordSlab,
  start: number,
  view: DataView,
  header: BatchHeader,
  place: BatchPlace,
): void {
  const { bytes, offsetDelta, timestamp, keyStart, keyEnd, valueStart, valueEnd, headersStart, recordEnd } =
    slab
  const { headerCount } = slab
  const count = header.recordCount
  const lastOffsetDelta = view.getInt32(BATCH_FIELD.lastOffsetDelta)
  const baseTimestamp = Number(view.getBigInt64(BATCH_FIELD.baseTimestamp))
  const maxTimestamp = Number(view.getBigInt64(BATCH_FIELD.maxTimestamp))
  // Under LogAppendTime the broker rewrites only the header: every record has the batch's maximum.
  const isAppendTime = (header.attributes & BATCH_ATTRIBUTE.logAppendTime) !== 0
  const reader = new VarintReader(bytes, start, bytes.length, place)
  let previousDelta = -1
  for (let index = 0; index < count; index++) {
    const length = reader.readVarint()
    const end = reader.position + length
    if (length < RECORD_MIN_BYTES - 1 || end > bytes.length) {
      throw corruptBatch(place, `record ${index} has the impossible length ${length}`)
    }
    reader.end = end
    reader.position++ // attributes
    const timestampDelta = reader.readVarlong()
    const delta = reader.readVarint()
    if (delta <= previousDelta || delta > lastOffsetDelta) {
      throw corruptBatch(place, `record ${index} has offset delta ${delta} after ${previousDelta}`)
    }
    previousDelta = delta
    offsetDelta[index] = delta
    timestamp[index] = isAppendTime ? maxTimestamp : baseTimestamp + timestampDelta
    const keyLength = reader.readLength()
    keyStart[index] = keyLength < 0 ? -1 : reader.position
    reader.position += Math.max(0, keyLength)
    keyEnd[index] = keyLength < 0 ? -1 : reader.position
    const valueLength = reader.readLength()
    valueStart[index] = valueLength < 0 ? -1 : reader.position
    reader.position += Math.max(0, valueLength)
    valueEnd[index] = valueLength < 0 ? -1 : reader.position
    const headers = reader.readVarint()
    // A header takes two bytes at least.
    if (headers < 0 || headers * 2 > end - reader.position) {
      throw corruptBatch(place, `record ${index} claims ${headers} headers`)
    }
    if (headers === 0 && reader.position !== end) {
      throw corruptBatch(place, `record ${index} is longer than its content`)
    }
    headerCount[index] = headers
    headersStart[index] = reader.position
    recordEnd[index] = end
    reader.position = end
    reader.end = bytes.length
  }
  if (reader.position !== bytes.length) throw corruptBatch(place, 'bytes after the last record')
  slab.count = count
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`
}
